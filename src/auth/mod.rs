//! Credentials into tokens: one cache, one reading of the token service's errors, one clock, one way out.
//!
//! The kinds of credential differ in a few form fields only, so they share everything else. Secrets
//! are held in types that cannot be printed or serialised; nothing here logs a body. Nothing here
//! knows Kubernetes: files of kinds that have one are read, Secrets come in as values, and where renewed
//! refresh tokens are kept is behind the port [`refresh::RefreshTokenStore`].

mod certificate;
mod credential;
pub mod device_code;
mod error;
mod managed_identity;
pub mod refresh;
mod remedy;
mod source;
#[cfg(test)]
mod tests;

pub use certificate::{CertificateError, ClientCertificate};
pub use credential::Credential;
pub use error::{AuthError, AuthFailure, Unusable};
pub use source::TokenSource;

use std::sync::Arc;

use secrecy::SecretString;

/// An access token. It cannot be printed.
pub type AccessToken = Arc<SecretString>;
