//! The resources as users write them: types, CEL rules, conditions, and the CRDs made from them.
//!
//! Nothing in here does I/O, knows a client or asks for the time. What Graph's JSON looks like is
//! the business of [`crate::graph`]; this module only shares Graph's property names, because users
//! should find in the manifest what Microsoft's documents call it.

#![expect(clippy::doc_markdown, reason = "kubectl explain prints these docs, where backticks are noise")]
#![expect(
    clippy::duplicated_attributes,
    reason = "each printcolumn of kube's derive repeats the same keys, which clippy takes for a mistake"
)]

pub mod conditions;
pub mod connection;
mod connection_status;
pub mod crds;
pub mod customizations;
pub mod identity;
pub mod lifecycle;
pub mod profile;
pub mod provider;
pub mod status;
mod sync;

pub use connection::GraphConnection;
pub use profile::EducationSyncProfile;

/// The finalizer that keeps a resource until its profile is gone from Graph.
pub const FINALIZER: &str = "edusync.dev/profile";

/// The finalizer that keeps a connection, and with it the way to the tenant, while a profile needs it.
pub const IN_USE_FINALIZER: &str = "edusync.dev/in-use";

/// Confirms that a profile is gone although the tenant is suddenly empty; the value is the profile's id.
pub const CONFIRM_GONE: &str = "edusync.dev/confirm-gone";

/// Confirms a deletion that is held because very many came at once; the value is "true".
pub const CONFIRM_DELETION: &str = "edusync.dev/confirm-deletion";

/// Asks for a pass now; the value is answered in `status.lastHandledReconcileAt` (the contract of Flux).
pub const REQUESTED_AT: &str = "reconcile.edusync.dev/requestedAt";
