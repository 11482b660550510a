//! A strict simulator of Microsoft Graph's classic School Data Sync API and of the Entra token endpoint.
//!
//! - `model`: the service itself; pure, takes the time as an argument.
//! - `http`: one request in, one answer out ([`Simulator`]); no sockets.
//! - `server`: [`Server`], a [`Simulator`] behind TLS on a port.
//! - `content`: what was uploaded, in memory or in files.
//! - `settings`, `settings_profiles`: what it can be told.
//! - `upload`: reads bodies from a connection.
//! - `tls`: its certificates. `json`: JSON with ordered members.
//!
//! It shares nothing with any client of that API: a mistake in both would hide from every test.

mod content;
mod http;
mod json;
mod model;
mod server;
mod settings;
mod settings_profiles;
mod tls;
mod upload;

pub use crate::http::{RecordedRequest, Simulator};
pub use crate::model::{PrincipalKind, SyncOutcome};
pub use crate::server::Server;
pub use crate::settings::{
    CreateStatus, EXAMPLE_CLIENT_ID, EXAMPLE_CLIENT_SECRET, EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_REFRESH_TOKEN,
    EXAMPLE_TENANT, Settings,
};
pub use crate::settings_profiles::{
    DeleteStatus, EarlyStatus, ExpandRule, ProfileSettings, StartErrorStatus, UpdateStatus, UpdateVerb,
    UploadUrlStatus,
};
