//! The HTTP side of the Graph calls: token, permission, query options, JSON; then one operation of the model.

use http::StatusCode;
use serde_json::Value;

use super::answer::{Envelope, GraphError};
use super::render::{self, Occasion};
use super::route::{Action, GraphCall, Lost};
use super::{Incoming, media_type};
use crate::json::Json;
use crate::model::{BadToken, Generation, Model, Principal, View};
use crate::settings::CreateStatus;

/// An answer, before it got its headers.
pub(crate) enum Answer {
    Body(StatusCode, Json),
    Created(StatusCode, Json),
    Empty(StatusCode),
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
pub(crate) fn bad_token(bad: BadToken, now: jiff::Timestamp) -> GraphError {
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
        let message = "The caller does not have the permission this operation needs.";
        return Err(GraphError::new(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    let tenant = principal.tenant.as_str();
    match action {
        Action::List => list(model, tenant, generation, incoming, envelope),
        Action::Create => create(model, tenant, generation, incoming, envelope),
        Action::CreateRef if model.settings().accept_ref_post => {
            create(model, tenant, generation, incoming, envelope)
        }
        Action::CreateRef => Err(GraphError::bad_request(
            "A reference cannot be added to synchronizationProfiles, because it is a containment collection. Post the profile to the collection itself.",
        )),
        Action::Get(id) => {
            no_options(incoming)?;
            let view = model.get(tenant, &id, envelope.now).ok_or_else(GraphError::not_found)?;
            Ok(Answer::Body(StatusCode::OK, entity(&view, generation, Occasion::Read, incoming)))
        }
        Action::Delete(id) => {
            no_options(incoming)?;
            let accepted = model.delete(tenant, &id, envelope.now);
            if accepted { Ok(Answer::Empty(StatusCode::ACCEPTED)) } else { Err(GraphError::not_found()) }
        }
        Action::NotBuilt(what) => Err(GraphError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!(
                "Microsoft's documents describe this call ({what}), but this version of the simulator does not have it."
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
        Lost::Method => GraphError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "Specified HTTP method is not allowed for the request target.",
        ),
    }
}

/// Graph docs: Create educationSynchronizationProfile; 415 for another media type (Graph docs: error responses).
fn create(
    model: &mut Model,
    tenant: &str,
    generation: Generation,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Answer, GraphError> {
    no_options(incoming)?;
    if media_type(incoming.headers) != Some("application/json".to_owned()) {
        let message = "The request body needs the Content-Type application/json.";
        return Err(GraphError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    let body: Value = serde_json::from_slice(incoming.body)
        .map_err(|error| GraphError::bad_request(format!("The request body is not valid JSON: {error}.")))?;
    let created = model.create(tenant, &body, generation, envelope.now);
    let view = created.map_err(|invalid| GraphError::bad_request(invalid.into_sentence()))?;
    let status = match model.settings().create_status {
        CreateStatus::Created => StatusCode::CREATED,
        CreateStatus::Accepted => StatusCode::ACCEPTED,
    };
    Ok(Answer::Created(status, entity(&view, generation, Occasion::Created, incoming)))
}

/// A single profile. The preview's answers carry no `@odata.context` (`synchronizationProfile_create.md`).
fn entity(view: &View, generation: Generation, occasion: Occasion, incoming: &Incoming<'_>) -> Json {
    let context = (generation == Generation::Beta)
        .then(|| ("@odata.context", Json::from(context(generation, incoming, "/$entity"))));
    Json::Object(context.into_iter().chain(render::profile(view, generation, occasion)).collect())
}

fn context(generation: Generation, incoming: &Incoming<'_>, suffix: &str) -> String {
    let root = root(generation, incoming);
    format!("{root}/$metadata#education/synchronizationProfiles{suffix}")
}

fn root(generation: Generation, incoming: &Incoming<'_>) -> String {
    let name = match generation {
        Generation::Beta => "beta",
        Generation::Preview => "testEduApi",
    };
    format!("https://{}/{name}", incoming.authority)
}

/// The query options of a list that the simulator has.
struct ListOptions {
    top: Option<usize>,
    count: bool,
    after: Option<u64>,
}

/// Graph docs: List educationSynchronizationProfiles, query parameters; paging (form of the skip token inferred).
fn list(
    model: &mut Model,
    tenant: &str,
    generation: Generation,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Answer, GraphError> {
    let ListOptions { top, count, after } = list_options(incoming)?;
    let largest = model.settings().page_size.max(1);
    let size = top.map_or(largest, |top| top.min(largest));
    let page = model.list(tenant, size, after, envelope.now);
    let mut members = vec![("@odata.context", Json::from(context(generation, incoming, "")))];
    if count {
        members.push(("@odata.count", Json::Number(u64::try_from(page.total).unwrap_or(u64::MAX))));
    }
    if let Some(next) = page.next {
        let top = top.map(|top| format!("$top={top}&")).unwrap_or_default();
        let count = if count { "$count=true&" } else { "" };
        let root = root(generation, incoming);
        let link =
            format!("{root}/education/synchronizationProfiles?{top}{count}$skiptoken={SKIP_PREFIX}{next:x}");
        members.push(("@odata.nextLink", Json::from(link)));
    }
    let profile = |view| Json::Object(render::profile(view, generation, Occasion::Read));
    members.push(("value", Json::List(page.views.iter().map(profile).collect())));
    Ok(Answer::Body(StatusCode::OK, Json::Object(members)))
}

/// Makes a skip token look unlike a number, so that nobody counts with it.
const SKIP_PREFIX: &str = "after-";

fn list_options(incoming: &Incoming<'_>) -> Result<ListOptions, GraphError> {
    let mut options = ListOptions { top: None, count: false, after: None };
    for (name, value) in system_options(incoming) {
        match name.as_str() {
            "top" => {
                let top = value.parse().map_err(|_| {
                    GraphError::query_option("The query option $top must be a whole number, 0 or more.")
                })?;
                options.top = Some(top);
            }
            "count" => {
                options.count = value.parse().map_err(|_| {
                    GraphError::query_option("The query option $count must be 'true' or 'false'.")
                })?;
            }
            "skiptoken" => {
                let position = value.strip_prefix(SKIP_PREFIX);
                let position = position.and_then(|text| u64::from_str_radix(text, 16).ok());
                let wrong = "The query option $skiptoken is not one this service wrote. Follow @odata.nextLink as it is.";
                options.after = Some(position.ok_or_else(|| GraphError::query_option(wrong))?);
            }
            other => return Err(unsupported(other)),
        }
    }
    Ok(options)
}

/// Refuses every system query option, for calls that take none.
fn no_options(incoming: &Incoming<'_>) -> Result<(), GraphError> {
    match system_options(incoming).next() {
        Some((name, _)) => Err(unsupported(&name)),
        None => Ok(()),
    }
}

fn unsupported(name: &str) -> GraphError {
    GraphError::query_option(format!("The query option '${name}' is not supported here."))
}

/// The names of OData's system query options. On beta they may lack their `$` (Graph docs: use query parameters).
const SYSTEM_OPTIONS: [&str; 10] =
    ["count", "expand", "filter", "format", "orderby", "search", "select", "skip", "skiptoken", "top"];

/// System query options without their `$`. Other options belong to the caller and are ignored (OData: custom query options).
fn system_options<'a>(incoming: &'a Incoming<'_>) -> impl Iterator<Item = (String, String)> + 'a {
    let pairs = url::form_urlencoded::parse(incoming.query.unwrap_or("").as_bytes()).into_owned();
    pairs.filter_map(|(name, value)| {
        let bare = match name.strip_prefix('$') {
            Some(bare) => bare.to_owned(),
            None if SYSTEM_OPTIONS.contains(&name.as_str()) => name,
            None => return None,
        };
        Some((bare, value))
    })
}
