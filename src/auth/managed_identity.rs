//! The metadata service of a node (IMDS): a GET instead of a form, and statuses with a meaning of their own.
//!
//! Builds the request and reads what is special about the answer. Nothing is sent or kept here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

use super::error::{AuthError, AuthFailure, Unusable};

const API_VERSION: &str = "2018-02-01";

#[derive(Deserialize)]
struct Payload {
    tid: String,
}

/// The request for a token of the identity `client_id`, for `resource`.
pub(super) fn request(endpoint: &str, resource: &str, client_id: &str) -> http::Result<http::Request<Bytes>> {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("api-version", API_VERSION)
        .append_pair("resource", resource)
        .append_pair("client_id", client_id)
        .finish();
    http::Request::get(format!("{endpoint}/metadata/identity/oauth2/token?{query}"))
        // Without it the service does not answer, so that nobody can be tricked into asking by a link.
        .header("Metadata", "true")
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::new())
}

/// What an answer other than 200 means. 400 is "no such identity here"; all else may pass: 404, 410 and
/// 5xx come while the service is updated, and 403 from a gateway where there is none.
pub(super) const fn failure(status: u16, wait: Option<Duration>) -> AuthError {
    if status == 400 {
        return AuthError::unusable(Unusable::IdentityNotAssigned);
    }
    AuthError::new(AuthFailure::Unavailable(wait))
}

/// Refuses a token of another tenant. The service does not know which tenant the connection names, and
/// Graph would take such a token: the operator would work on the wrong tenant. Microsoft calls the
/// content of a token opaque; one that cannot be read is let through.
pub(super) fn check_tenant(token: &SecretString, tenant: &str) -> Result<(), AuthError> {
    let payload = token.expose_secret().split('.').nth(1);
    let bytes = payload.and_then(|payload| URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok());
    let tid = bytes.and_then(|bytes| serde_json::from_slice::<Payload>(&bytes).ok());
    match tid {
        Some(Payload { tid }) if !tid.eq_ignore_ascii_case(tenant) => {
            Err(AuthError::unusable(Unusable::IdentityOfOtherTenant))
        }
        _ => Ok(()),
    }
}
