//! Microsoft Graph: wire types, one method a call, one classification of errors, throttling.
//!
//! Everything that knows Graph's HTTP stays in here. What to call, and when, is decided in
//! [`crate::reconcile`]; how often to look is the business of [`crate::poller`].

pub mod access;
pub mod blob;
pub mod budget;
pub mod client;
pub mod difference;
pub mod error;
pub mod learnt;
pub mod name;
pub mod profile;
pub mod sync;
pub mod throttle;
pub mod transport;
pub mod upload;
pub mod wire;

pub use client::GraphClient;
pub use error::{CallIds, Certainty, GraphError};
pub use profile::RemoteProfile;
