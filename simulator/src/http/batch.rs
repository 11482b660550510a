//! JSON batching (Graph docs: combine multiple requests in one HTTP call): reads the batch, sends each item through the
//! ordinary calls, gathers the answers. It knows no call by name.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::{Map, Value};

use super::answer::{Envelope, GraphError};
use super::dispatch::Travel;
use super::fault::Served;
use super::graph::json_body;
use super::incoming::Incoming;
use super::route::{self, Action, Route};
use super::{Answered, Inner, Service, operation};
use crate::json::Json;

/// Items a batch may have.
const MOST: usize = 20;

/// One item of a batch.
struct Item {
    id: String,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
    depends_on: Option<String>,
    /// Whether it has both headers and a body.
    whole: bool,
}

impl Item {
    /// Its path under the version of the batch, without query.
    fn path(&self, version: &str) -> String {
        let path = self.url.split_once('?').map_or(self.url.as_str(), |(path, _)| path);
        format!("/{version}/{}", path.trim_start_matches('/'))
    }

    /// Ids are compared without regard to case.
    fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id)
    }
}

/// An answered item.
struct Done {
    id: String,
    response: Response<Bytes>,
}

/// A batch that was carried out.
pub(super) struct Whole {
    pub(super) body: Json,
    /// Whether a profile was created.
    pub(super) created: bool,
    pub(super) items: Travel,
}

/// The profiles that a batch starts. What is wrong with the batch is found later.
pub(super) fn starts(version: &str, body: &[u8]) -> Vec<String> {
    let Ok(Ok(items)) = serde_json::from_slice::<Value>(body).map(|body| read(&body)) else {
        return Vec::new();
    };
    let started = |item: &Item| match route::route(&item.method, &item.path(version)) {
        Route::Graph(Ok(route::GraphCall { action: Action::Start(id), .. })) => Some(id),
        _ => None,
    };
    items.iter().filter_map(started).collect()
}

/// Answers a whole batch. The token is the outer request's.
pub(super) fn answer(
    inner: &mut Inner,
    version: &str,
    incoming: &Incoming<'_>,
    envelope: &Envelope,
) -> Result<Whole, GraphError> {
    if *incoming.method != Method::POST {
        return Err(GraphError::method_not_allowed());
    }
    let items = read(&json_body(incoming)?)?;
    let mut done: Vec<Done> = Vec::new();
    let (mut created, mut travel) = (false, Travel::default());
    for item in items {
        let failed = |one: &Done| !one.response.status().is_success();
        let on = item.depends_on.as_ref();
        let broken =
            on.is_some_and(|on| done.iter().any(|one| one.id.eq_ignore_ascii_case(on) && failed(one)));
        let response = if broken {
            let message = "A request this one depends on has failed.";
            let status = StatusCode::FAILED_DEPENDENCY;
            envelope.error(GraphError::new(status, "FailedDependency", message))
        } else {
            let served = send(inner, version, &item, incoming, envelope);
            created |= served.answered.created;
            travel.join(served.travel);
            served.answered.response
        };
        done.push(Done { id: item.id, response });
    }
    let responses = Json::List(done.iter().map(shown).collect());
    Ok(Whole { body: Json::Object(vec![("responses", responses)]), created, items: travel })
}

/// Sends one item through the calls. It has the version of the batch, and its token.
fn send(inner: &mut Inner, version: &str, item: &Item, outer: &Incoming<'_>, envelope: &Envelope) -> Served {
    let query = item.url.split_once('?').map(|(_, query)| query);
    let path = item.path(version);
    let mut headers = item.headers.clone();
    if let Some(token) = outer.headers.get(http::header::AUTHORIZATION) {
        headers.insert(http::header::AUTHORIZATION, token.clone());
    }
    let incoming = Incoming {
        method: &item.method,
        path: &path,
        query,
        headers: &headers,
        body: &item.body,
        authority: outer.authority.clone(),
    };
    if item.method == Method::POST && !item.whole {
        let sentence = "A POST in a batch needs 'headers' and a 'body'. One without content has the body {}.";
        return refusal(envelope, sentence);
    }
    match route::route(&item.method, &path) {
        // Faults strike an item as they strike a call.
        call @ Route::Graph(_) => {
            let named = operation::name(&item.method, &path, query);
            inner.serve(Service::Other(call), &named, &incoming, envelope)
        }
        _ => refusal(envelope, "A batch cannot hold this request."),
    }
}

fn refusal(envelope: &Envelope, sentence: &str) -> Served {
    let answered = Answered::only(envelope.error(GraphError::bad_request(sentence)));
    Served { answered, travel: Travel::default(), changed: false }
}

/// An item of the answer. Answers without a body have none here; a number or a text stands as JSON.
fn shown(done: &Done) -> Json {
    let headers = done.response.headers();
    let named = [
        ("Content-Type", "content-type"),
        ("Retry-After", "retry-after"),
        ("OData-Version", "odata-version"),
        ("Preference-Applied", "preference-applied"),
    ];
    let header = |(shown, name): (&'static str, &str)| {
        let value = headers.get(name)?.to_str().ok()?;
        // Parameters of the media type are those of the batch itself.
        let value = if shown == "Content-Type" { value.split(';').next().unwrap_or(value) } else { value };
        Some((shown, Json::from(value)))
    };
    let mut members = vec![
        ("id", Json::from(done.id.as_str())),
        ("status", Json::Number(u64::from(done.response.status().as_u16()))),
        ("headers", Json::Object(named.into_iter().filter_map(header).collect())),
    ];
    let body = done.response.body();
    if !body.is_empty() {
        let text = || Value::from(String::from_utf8_lossy(body).into_owned());
        members.push(("body", Json::Any(serde_json::from_slice(body).unwrap_or_else(|_| text()))));
    }
    Json::Object(members)
}

/// Reads a batch. What is wrong with its form makes the whole batch 400.
fn read(body: &Value) -> Result<Vec<Item>, GraphError> {
    let bad = |sentence: String| Err(GraphError::bad_request(sentence));
    let Some(requests) = body.get("requests").and_then(Value::as_array) else {
        return bad("The batch needs an array 'requests'.".to_owned());
    };
    if requests.len() > MOST {
        return bad(format!("A batch may hold {MOST} requests, but {} were sent.", requests.len()));
    }
    let mut items: Vec<Item> = Vec::new();
    for request in requests {
        let item = item(request)?;
        if items.iter().any(|other| other.is(&item.id)) {
            return bad(format!("Request Id {} is used more than once in the batch.", item.id));
        }
        items.push(item);
    }
    check_shape(&items)?;
    sort(items)
}

fn item(request: &Value) -> Result<Item, GraphError> {
    let text = |name: &str| {
        let found = request.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let missing =
            || GraphError::bad_request(format!("Each request of a batch needs the string '{name}'."));
        found.map(str::to_owned).ok_or_else(missing)
    };
    let method = Method::from_bytes(text("method")?.to_ascii_uppercase().as_bytes());
    let none = Map::new();
    let headers = request.get("headers").and_then(Value::as_object).unwrap_or(&none);
    let header = |(name, value): (&String, &Value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    };
    let body = match request.get("body") {
        None | Some(Value::Null) => Vec::new(),
        Some(body) => body.to_string().into_bytes(),
    };
    let depends_on = match request.get("dependsOn").and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => None,
        Some([Value::String(id)]) => Some(id.clone()),
        Some(_) => return Err(GraphError::bad_request("'dependsOn' may name one request of the batch.")),
    };
    let whole = request.get("headers").is_some_and(Value::is_object) && !body.is_empty();
    Ok(Item {
        id: text("id")?,
        method: method
            .map_err(|_| GraphError::bad_request("A method of the batch is not an HTTP method."))?,
        url: text("url")?,
        headers: headers.iter().filter_map(header).collect(),
        body,
        depends_on,
        whole,
    })
}

/// A batch is parallel, or sequential, or everything that waits waits for the same request (Graph docs: known issues).
fn check_shape(items: &[Item]) -> Result<(), GraphError> {
    let lower = |item: &Item| item.depends_on.as_ref().map(|on| on.to_ascii_lowercase());
    let mut named: Vec<String> = items.iter().filter_map(lower).collect();
    if let Some(unknown) = named.iter().find(|on| !items.iter().any(|item| item.is(on))) {
        let message = format!("'dependsOn' names '{unknown}', which is no request of the batch.");
        return Err(GraphError::bad_request(message));
    }
    let waiting = named.len();
    named.sort();
    named.dedup();
    let is_chain = waiting + 1 >= items.len() && named.len() == waiting;
    if named.len() <= 1 || is_chain {
        return Ok(());
    }
    let message =
        "'dependsOn' must make the batch a chain of all its requests, or name the same request everywhere.";
    Err(GraphError::bad_request(message))
}

/// Puts every item behind the one it depends on.
fn sort(mut items: Vec<Item>) -> Result<Vec<Item>, GraphError> {
    let mut sorted: Vec<Item> = Vec::new();
    while !items.is_empty() {
        let ready = items.iter().position(|item| {
            item.depends_on.as_ref().is_none_or(|on| sorted.iter().any(|before| before.is(on)))
        });
        let Some(ready) = ready else {
            let message = "The requests of the batch depend on each other in a circle.";
            return Err(GraphError::bad_request(message));
        };
        sorted.push(items.remove(ready));
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_says_what_it_starts() {
        let post = |id: &str, url: &str| serde_json::json!({ "id": id, "method": "post", "url": url });
        let requests = [
            post("1", "/education/synchronizationProfiles/a/start"),
            post("2", "education/synchronizationProfiles('b')/start?x=1"),
            post("3", "/education/synchronizationProfiles/c/pause"),
        ];
        let body = serde_json::json!({ "requests": requests }).to_string();
        assert_eq!(starts("beta", body.as_bytes()), ["a", "b"]);
        assert!(starts("v1.0", body.as_bytes()).is_empty());
        assert!(starts("beta", b"{}").is_empty() && starts("beta", b"?").is_empty());
    }
}
