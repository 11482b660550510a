//! A strict simulator of Microsoft Graph's classic School Data Sync API and of the Entra token endpoint.
//!
//! - `model`: the service itself; pure, takes the time as an argument.
//! - `http`: one request in, one answer out ([`Simulator`]); no sockets.
//! - `server`: [`Server`], a [`Simulator`] behind TLS on a port.
//! - `content`: what was uploaded, in memory or in files.
//! - `upload`: reads bodies from a connection.
//! - `fault`: what goes wrong, with which call, when. `clock`: the simulator's own time.
//! - `settings`, `settings_profiles`: what it can be told.
//! - `credentials`: certificates, federated issuers and managed identities it can be told.
//! - `listen`: ports, with and without TLS. `line`: connections that can be reset. `state`: what is kept over restarts.
//! - `tls`: its certificates. `json`: JSON with ordered members.
//!
//! It shares nothing with any client of that API: a mistake in both would hide from every test.

mod clock;
mod content;
mod credentials;
mod fault;
mod http;
mod json;
mod line;
mod listen;
mod model;
mod server;
mod settings;
mod settings_profiles;
mod state;
mod tls;
mod upload;

pub use crate::credentials::{
    ClientCertificate, FederatedCredential, IssuerKeys, ManagedIdentity, RefreshTokenRotation,
};
pub use crate::fault::{ActiveFault, Fault, faults_help};
pub use crate::http::{Cut, Outcome, RecordedRequest, Simulator};
pub use crate::model::{PrincipalKind, SyncOutcome};
pub use crate::server::Server;
pub use crate::settings::{
    CreateStatus, EXAMPLE_CLIENT_ID, EXAMPLE_CLIENT_SECRET, EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_REFRESH_TOKEN,
    EXAMPLE_TENANT, ServerCertificate, Settings,
};
pub use crate::settings_profiles::{
    DeleteStatus, EarlyStatus, ExpandRule, ProfileSettings, StartErrorStatus, UpdateStatus, UpdateVerb,
    UploadUrlStatus,
};
