//! The HTTP side of the token endpoint: form in, JSON out. Which request gets a token is the model's decision.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::answer::Envelope;
use super::record::known_grant;
use super::{Incoming, media_type};
use crate::json::Json;
use crate::model::{Form, Issued, Model, PrincipalKind, TokenRefusal};

/// What the log is told besides the answer.
pub(crate) struct TokenAnswer {
    pub(crate) response: Response<Bytes>,
    pub(crate) grant: Option<String>,
    pub(crate) principal: Option<PrincipalKind>,
}

/// Answers one token request.
pub(crate) fn answer(
    model: &mut Model,
    tenant: &str,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> TokenAnswer {
    if *incoming.method != Method::POST {
        let response = envelope.token_error(&only_post(incoming));
        return TokenAnswer { response, grant: None, principal: None };
    }
    let form = Form::new(fields(incoming));
    let grant = form.get("grant_type").map(|grant| known_grant(grant).to_owned());
    match model.token(tenant, &form, &incoming.authority, envelope.now) {
        Ok(issued) => {
            let principal = Some(issued.kind);
            TokenAnswer { response: envelope.token(StatusCode::OK, &body(issued)), grant, principal }
        }
        Err(refusal) => TokenAnswer { response: envelope.token_error(&refusal), grant, principal: None },
    }
}

/// Answers the start of the device code flow (Microsoft identity platform: device authorization request).
pub(crate) fn device(
    model: &mut Model,
    tenant: &str,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Response<Bytes> {
    if *incoming.method != Method::POST {
        return envelope.token_error(&only_post(incoming));
    }
    let form = Form::new(fields(incoming));
    let started = match model.start_device(tenant, &form, &incoming.authority, envelope.now) {
        Ok(started) => started,
        Err(refusal) => return envelope.token_error(&refusal),
    };
    // Where the code is approved here: the simulator's own page.
    let uri = format!("https://{}/", incoming.authority);
    let message = format!(
        "To sign in, use a web browser to open the page {uri} and enter the code {} to authenticate.",
        started.user_code
    );
    let body = Json::Object(vec![
        ("user_code", Json::from(started.user_code)),
        ("device_code", Json::from(started.device_code)),
        ("verification_uri", Json::from(uri)),
        ("expires_in", Json::Number(started.expires_in)),
        ("interval", Json::Number(started.interval)),
        ("message", Json::from(message)),
    ]);
    envelope.token(StatusCode::OK, &body)
}

fn only_post(incoming: &Incoming<'_>) -> TokenRefusal {
    let sentence =
        format!("The endpoint only accepts POST requests. Received a {} request.", incoming.method);
    TokenRefusal::new(405, "invalid_request", 900_561, sentence)
}

/// The fields of the form. A body of another media type has none, and is refused for the first that is missing.
pub(crate) fn fields(incoming: &Incoming<'_>) -> Vec<(String, String)> {
    if media_type(incoming.headers) != Some("application/x-www-form-urlencoded".to_owned()) {
        return Vec::new();
    }
    url::form_urlencoded::parse(incoming.body).into_owned().collect()
}

/// Member order as in Microsoft identity platform: client credentials flow, refresh the access token.
fn body(issued: Issued) -> Json {
    let mut members = vec![
        ("token_type", Json::from("Bearer")),
        ("expires_in", Json::Number(issued.expires_in)),
        ("ext_expires_in", Json::Number(issued.expires_in)),
        ("access_token", Json::from(issued.access_token)),
    ];
    members.extend(issued.refresh_in.map(|seconds| ("refresh_in", Json::Number(seconds))));
    members.extend(issued.scope.map(|scope| ("scope", Json::from(scope))));
    members.extend(issued.refresh_token.map(|token| ("refresh_token", Json::from(token))));
    Json::Object(members)
}
