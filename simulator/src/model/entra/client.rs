//! Who asks for a token: the client id, and its proof by secret, certificate or federated token. What the proof is
//! good for is decided elsewhere.

use super::assertion::Jwt;
use super::{Asked, TokenRefusal, assertion, federation};
use crate::settings::Settings;

/// The only kind of assertion (RFC 7523).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a confidential client has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Secret,
    Certificate,
    Federated,
}

/// Client credentials: the client must be the confidential one and prove it.
pub(super) fn prove(asked: &Asked<'_>) -> Result<Proof, TokenRefusal> {
    let client = asked.form.require("client_id")?;
    if client == asked.settings.public_client_id {
        let sentence = "A public client has no credentials and cannot use the client credentials grant.";
        return Err(TokenRefusal::new(400, "unauthorized_client", 700_025, sentence));
    }
    if client != asked.settings.client_id {
        return Err(unknown(client, asked.tenant));
    }
    presented(asked)?.ok_or_else(|| {
        TokenRefusal::new(
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )
    })
}

/// Refresh tokens: either client. The proof of a confidential one may be absent (decided), but must be right if there.
pub(super) fn prove_if_presented(asked: &Asked<'_>) -> Result<Option<Proof>, TokenRefusal> {
    let client = asked.form.require("client_id")?;
    if client == asked.settings.public_client_id {
        let bare = ["client_secret", "client_assertion"].iter().all(|name| asked.form.get(name).is_none());
        return if bare { Ok(None) } else { Err(public()) };
    }
    if client != asked.settings.client_id {
        return Err(unknown(client, asked.tenant));
    }
    presented(asked)
}

/// Device codes: a public client, or a confidential one that proves itself.
pub(super) fn prove_or_public(asked: &Asked<'_>) -> Result<(), TokenRefusal> {
    if asked.form.require("client_id")? == asked.settings.public_client_id {
        return prove_if_presented(asked).map(|_| ());
    }
    prove(asked).map(|_| ())
}

/// Checks the assertion or the secret, whichever is there.
fn presented(asked: &Asked<'_>) -> Result<Option<Proof>, TokenRefusal> {
    if let Some(text) = asked.form.get("client_assertion") {
        check_type(asked.form.require("client_assertion_type")?)?;
        let jwt = Jwt::parse(text).ok_or_else(assertion::malformed)?;
        // Entra tells the two by what the header names: a registered certificate, or only a key of the issuer.
        return if jwt.names_a_certificate() {
            assertion::check(&jwt, asked).map(|()| Some(Proof::Certificate))
        } else {
            federation::check(&jwt, asked).map(|()| Some(Proof::Federated))
        };
    }
    let secret = asked.form.get("client_secret");
    secret.map(|secret| check_secret(asked.settings, secret).map(|()| Proof::Secret)).transpose()
}

fn check_type(given: &str) -> Result<(), TokenRefusal> {
    if given == ASSERTION_TYPE {
        return Ok(());
    }
    let sentence = format!("The value of 'client_assertion_type' must be '{ASSERTION_TYPE}'.");
    Err(TokenRefusal::new(400, "invalid_request", 0, sentence))
}

fn check_secret(settings: &Settings, secret: &str) -> Result<(), TokenRefusal> {
    if secret == settings.client_secret {
        return Ok(());
    }
    Err(TokenRefusal::new(401, "invalid_client", 7_000_215, "Invalid client secret provided."))
}

fn public() -> TokenRefusal {
    let sentence = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.";
    TokenRefusal::new(401, "invalid_client", 700_025, sentence)
}

fn unknown(client: &str, tenant: &str) -> TokenRefusal {
    // A client id that is not a GUID may be a secret in the wrong field; it is not repeated.
    let shown = if uuid::Uuid::try_parse(client).is_ok() { client } else { "(not a GUID)" };
    let sentence =
        format!("Application with identifier '{shown}' was not found in the directory '{tenant}'.");
    TokenRefusal::new(400, "unauthorized_client", 700_016, sentence)
}
