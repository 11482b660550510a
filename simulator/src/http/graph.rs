//! The HTTP side of the Graph calls: token, permission, and which call it is; then one function of `items`,
//! `collections`, `actions` or `skus`. Nothing is done here.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use super::answer::{Envelope, GraphError};
use super::items::{self, Update};
use super::odata::{self, Shape};
use super::route::{Action, GraphCall, Lost};
use super::{Incoming, actions, collections, media_type, skus};
use crate::json::Json;
use crate::model::{BadToken, Generation, Model, Principal, Refused, View};

/// An answer, before it got its headers.
pub(crate) enum Answer {
    Body(StatusCode, Json),
    /// A body for which the caller's `Prefer: include-unknown-enum-members` was applied.
    Preferred(StatusCode, Json),
    Created(StatusCode, Json),
    Empty(StatusCode),
    /// `text/plain`, with 200.
    Text(String),
}

impl Answer {
    /// Says that the caller's preference was applied, if it was.
    pub(crate) fn preferring(self, applied: bool) -> Self {
        match self {
            Self::Body(status, body) if applied => Self::Preferred(status, body),
            other => other,
        }
    }
}

/// What every call needs to know of its request besides its target.
pub(crate) struct Call<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) generation: Generation,
    pub(crate) incoming: &'a Incoming<'a>,
    pub(crate) now: Timestamp,
}

impl Call<'_> {
    /// Where links start.
    pub(crate) fn root(&self) -> String {
        let name = match self.generation {
            Generation::Beta => "beta",
            Generation::Preview => "testEduApi",
        };
        format!("https://{}/{name}", self.incoming.authority)
    }

    /// A context URL.
    pub(crate) fn context(&self, path: &str) -> String {
        format!("{}/$metadata#{path}", self.root())
    }

    /// The profile of this id.
    pub(crate) fn view(&self, model: &mut Model, id: &str) -> Result<View, GraphError> {
        model.get(self.tenant, id, self.now).ok_or_else(GraphError::not_found)
    }
}

/// Reads the bearer token and finds its principal.
pub(crate) fn principal(
    model: &Model,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Principal, GraphError> {
    model.principal(bearer(incoming), envelope.now).map_err(|bad| bad_token(bad, envelope.now))
}

/// The token of the request, if there is one.
pub(crate) fn bearer<'a>(incoming: &Incoming<'a>) -> Option<&'a str> {
    let header = incoming.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Graph docs: resolve authorization errors; for a token that was taken back, continuous access evaluation.
pub(crate) fn bad_token(bad: BadToken, now: Timestamp) -> GraphError {
    let mut error = GraphError::unauthenticated(match bad {
        BadToken::Missing => "Access token is empty.",
        BadToken::Unknown => "Access token validation failure. The token was not issued by this service.",
        BadToken::Expired => "Access token has expired or is not yet valid.",
        BadToken::Revoked => {
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp"
        }
    });
    if bad == BadToken::Revoked {
        let nbf = now.as_second();
        error.claims = Some(format!(r#"{{"access_token":{{"nbf":{{"essential":true,"value":"{nbf}"}}}}}}"#));
    }
    error
}

/// Carries out one call for a known principal.
pub(crate) fn call(
    model: &mut Model,
    principal: &Principal,
    route: Result<GraphCall, Lost>,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Answer, GraphError> {
    let GraphCall { generation, action, need } = route.map_err(lost)?;
    if !principal.may(need) {
        return Err(GraphError::forbidden(principal.kind, need));
    }
    let call = &Call { tenant: principal.tenant.as_str(), generation, incoming, now: envelope.now };
    match action {
        Action::List => collections::list(model, call),
        Action::Count => collections::count(model, call),
        Action::Create => items::create(model, call),
        Action::CreateRef if model.settings().accept_ref_post => items::create(model, call),
        Action::CreateRef => Err(GraphError::bad_request(
            "A reference cannot be added to synchronizationProfiles, because it is a containment collection. Post the profile to the collection itself.",
        )),
        Action::PutCollection => items::update(model, call, Update::PutCollection),
        Action::Get(id) => items::get(model, call, &id),
        Action::Put(id) => items::update(model, call, Update::Put(&id)),
        Action::Patch(id) => items::update(model, call, Update::Patch(&id)),
        Action::Delete(id) => items::delete(model, call, &id),
        Action::Control(id, control) => actions::control(model, call, &id, control),
        Action::Start(id) => actions::start(model, call, &id),
        Action::UploadUrl(id) => actions::upload_url(model, call, &id),
        Action::Status(id) => items::status(model, call, &id),
        Action::Errors(id) => collections::errors(model, call, &id),
        Action::ErrorsCount(id) => collections::errors_count(model, call, &id),
        Action::Error(id, error) => collections::error(model, call, &id, &error),
        Action::Skus(version) => skus::list(version, call.tenant, incoming),
        Action::NotBuilt(what) => Err(GraphError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!(
                "Microsoft's documents describe this call ({what}), but this simulator does not have it."
            ),
        )),
    }
}

fn lost(lost: Lost) -> GraphError {
    match lost {
        Lost::Version(version) => GraphError::bad_request(format!("Invalid version: {version}")),
        Lost::Segment(segment) => {
            GraphError::bad_request(format!("Resource not found for the segment '{segment}'."))
        }
        Lost::Method => GraphError::method_not_allowed(),
    }
}

/// How a refusal of the model is answered.
pub(crate) fn refused(refused: Refused) -> GraphError {
    match refused {
        Refused::NotFound => GraphError::not_found(),
        Refused::Conflict(sentence) => GraphError::new(StatusCode::CONFLICT, "Conflict", sentence),
        Refused::Invalid(invalid) => GraphError::bad_request(invalid.into_sentence()),
    }
}

/// The JSON body of a create or an update; 415 for another media type (Graph docs: error responses).
pub(crate) fn json_body(incoming: &Incoming<'_>) -> Result<Value, GraphError> {
    if media_type(incoming.headers) != Some("application/json".to_owned()) {
        let message = "The request body needs the Content-Type application/json.";
        return Err(GraphError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    serde_json::from_slice(incoming.body)
        .map_err(|error| GraphError::bad_request(format!("The request body is not valid JSON: {error}.")))
}

/// Refuses every system query option, for calls that take none.
pub(crate) fn no_options(incoming: &Incoming<'_>) -> Result<(), GraphError> {
    odata::options(incoming, &Shape::NONE).map(|_| ())
}
