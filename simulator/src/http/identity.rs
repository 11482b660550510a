//! The HTTP side of the managed identity endpoint: header and query in, JSON with numbers as strings out.

use http::{Method, StatusCode};

use super::answer::Envelope;
use super::{Answered, Incoming, header};
use crate::json::Json;
use crate::model::{IdentityQuery, Model};

/// Answers `GET /metadata/identity/oauth2/token`.
pub(super) fn answer(model: &mut Model, incoming: &Incoming<'_>, envelope: &Envelope) -> Answered {
    match checked(model, incoming, envelope) {
        Ok(answered) => answered,
        Err((status, error, why)) => {
            Answered { response: envelope.identity_error(status, error, why), ..Answered::default() }
        }
    }
}

fn checked(
    model: &mut Model,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Answered, (u16, &'static str, &'static str)> {
    if *incoming.method != Method::GET {
        return Err((405, "invalid_request", "The endpoint takes GET only"));
    }
    if !header(incoming.headers, "metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err((400, "invalid_request", "Required metadata header not specified"));
    }
    let query = query(incoming);
    let resource = query.resource.clone().unwrap_or_default();
    let (issued, client) = model
        .identity(&query, &incoming.authority, envelope.now)
        .map_err(|refusal| (400, refusal.0, refusal.1))?;
    let now = envelope.now.as_second();
    let ends = now.saturating_add_unsigned(issued.expires_in);
    let body = Json::Object(vec![
        ("access_token", Json::from(issued.access_token)),
        ("client_id", Json::from(client)),
        ("expires_in", Json::from(issued.expires_in.to_string())),
        ("expires_on", Json::from(ends.to_string())),
        ("not_before", Json::from(now.to_string())),
        ("resource", Json::from(resource)),
        ("token_type", Json::from("Bearer")),
    ]);
    let response = envelope.own(StatusCode::OK, body.to_bytes());
    Ok(Answered { response, principal: Some(issued.kind), ..Answered::default() })
}

fn query(incoming: &Incoming<'_>) -> IdentityQuery {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(incoming.query.unwrap_or("").as_bytes()).into_owned().collect();
    let get = |wanted: &str| {
        let found = pairs.iter().find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    IdentityQuery {
        api_version: get("api-version"),
        resource: get("resource"),
        scope: get("scope").is_some(),
        client_id: get("client_id"),
        object_id: get("object_id"),
        resource_id: get("msi_res_id").or_else(|| get("mi_res_id")),
    }
}
