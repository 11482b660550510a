//! One call: token, lease, request, answer. What is called is decided in the modules beside this.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::GraphClient;
use crate::auth::AccessToken;
use crate::graph::RemoteProfile;
use crate::graph::error::{CallIds, GraphError, class_of, error_code, from_answer, from_transport};
use crate::graph::throttle::retry_after;
use crate::graph::transport::TransportError;
use crate::graph::wire::RequestBody;
use crate::trace::Span;

/// How long a 429 holds that does not say so itself (Graph docs, "throttling": back off).
const WITHOUT_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Shows states that are hidden otherwise (Graph docs, "best practices", evolvable enumerations).
pub(super) const UNKNOWN_ENUM_MEMBERS: &str = "include-unknown-enum-members";

pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<&'a RequestBody>,
    pub(super) accept: &'static str,
    pub(super) prefer: Option<&'static str>,
    pub(super) client_request_id: String,
    pub(super) deadline: Duration,
    /// Does it change something in Graph?
    pub(super) changes: bool,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    pub(super) ids: CallIds,
    retry_after: Option<Duration>,
    /// `error` of the challenge that came with a 401.
    challenge: Option<String>,
}

impl GraphClient {
    pub(super) fn read_call(&self, operation: &'static str, url: Url) -> Call<'_> {
        Call {
            operation,
            method: Method::GET,
            url,
            body: None,
            accept: "application/json",
            prefer: None,
            client_request_id: uuid::Uuid::new_v4().to_string(),
            deadline: self.request_timeout,
            changes: false,
        }
    }

    pub(super) fn change_call(&self, operation: &'static str, method: Method, url: Url) -> Call<'_> {
        Call { method, changes: true, ..self.read_call(operation, url) }
    }

    /// Makes a call that changes a profile itself, and notes what it shows of the credential. Calls that
    /// run its synchronization are no proof: the application may make those too (Graph docs).
    pub(super) async fn change(&self, call: Call<'_>) -> Result<Answer, GraphError> {
        let result = self.call(call).await;
        match &result {
            Ok(answer) => {
                let code = answer.challenge.clone().or_else(|| error_code(&answer.body));
                self.write_access.note_answer(answer.status.as_u16(), &answer.body, code);
            }
            Err(GraphError::NoToken(error)) => self.write_access.note_token(Err(error)),
            Err(_) => {}
        }
        result
    }

    /// Makes the call, a second time with a new token after a 401, which is a definite "not done".
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Answer, GraphError> {
        let began = Instant::now();
        let token = self.tokens.token().await.map_err(GraphError::NoToken)?;
        // The deadline is for all of it: a token that took long, or a process that was frozen in
        // between, must not make the request late.
        let left = call.deadline.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(GraphError::NotConnected(
                "the deadline passed before the request was sent".to_owned(),
            ));
        }
        let answer = self.send(&call, &token, left).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.tokens.discard(&token).await;
        let token = self.tokens.token().await.map_err(GraphError::NoToken)?;
        let left = call.deadline.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(answer);
        }
        self.send(&call, &token, left).await
    }

    async fn send(
        &self,
        call: &Call<'_>,
        token: &AccessToken,
        deadline: Duration,
    ) -> Result<Answer, GraphError> {
        if let Some(left) = self.gate.closed_for(self.clock.now()) {
            return Err(GraphError::Waiting(left));
        }
        let request = request(call, token)?;
        if call.changes && !self.permission.may_write() {
            return Err(GraphError::NotConnected("this process does not hold the lease any more".to_owned()));
        }
        let (began, sent) = (Instant::now(), self.clock.now());
        let span = Span::http(&request, template(&call.url));
        span.set("edusync.graph.operation", call.operation);
        span.set("edusync.graph.client_request_id", call.client_request_id.clone());
        let counted = self.metrics.graph_request(call.operation);
        let result = span.around(self.transport.send(request, deadline)).await;
        span.answered(&result);
        let status = result.as_ref().map(|response| response.status().as_u16());
        counted.end(class_of(status));
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let answer = result
            .map(|response| self.answered(call, response, milliseconds))
            .map_err(|error| lost(call, error, milliseconds));
        // Also without an answer: others would wait as long, one after the other.
        self.gate.ended(sent);
        let answer = answer?;
        if let Some(id) = &answer.ids.request_id {
            span.set("edusync.graph.request_id", id.clone());
        }
        Ok(answer)
    }

    fn answered(&self, call: &Call<'_>, response: http::Response<Bytes>, milliseconds: u64) -> Answer {
        let (parts, body) = response.into_parts();
        let request_id = request_id(&parts.headers).or_else(|| request_id_in(&body));
        tracing::debug!(
            operation = call.operation,
            method = call.method.as_str(),
            status = parts.status.as_u16(),
            milliseconds,
            client_request_id = call.client_request_id,
            request_id,
            "Graph answered"
        );
        let now = self.clock.now();
        let wait = retry_after(&parts.headers, self.clock.wall_now());
        let asked = match (parts.status.as_u16(), wait) {
            (400.., Some(wait)) => Some(wait),
            (429, None) => Some(WITHOUT_RETRY_AFTER),
            _ => None,
        };
        if let Some(wait) = asked {
            self.metrics.throttled(self.gate.close(wait, now));
        }
        Answer {
            status: parts.status,
            body,
            ids: CallIds { request_id, client_request_id: call.client_request_id.clone() },
            retry_after: wait,
            challenge: challenge(&parts.headers),
        }
    }
}

/// The path, without the id of a profile.
fn template(url: &Url) -> String {
    let mut after_collection = false;
    let segments = url.path_segments().into_iter().flatten().map(|segment| {
        let is_id = after_collection && !segment.starts_with('$');
        after_collection = segment == "synchronizationProfiles";
        if is_id { "{id}" } else { segment }
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

fn lost(call: &Call<'_>, error: TransportError, milliseconds: u64) -> GraphError {
    let ids = CallIds { request_id: None, client_request_id: call.client_request_id.clone() };
    // Whoever made the call says what it means.
    tracing::debug!(
        operation = call.operation,
        method = call.method.as_str(),
        milliseconds,
        client_request_id = ids.client_request_id,
        %error,
        "Graph did not answer"
    );
    from_transport(error, ids)
}

impl Answer {
    /// The profile in the body, if there is one.
    pub(super) fn profile(&self) -> Option<RemoteProfile> {
        RemoteProfile::read(&self.json()?)
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn into_error(self) -> GraphError {
        match from_answer(self.status.as_u16(), &self.body, self.retry_after, self.ids) {
            GraphError::Refused { status: 401, code: _, ids } if self.challenge.is_some() => {
                GraphError::Refused { status: 401, code: self.challenge, ids }
            }
            error => error,
        }
    }
}

fn request(call: &Call<'_>, token: &AccessToken) -> Result<http::Request<Bytes>, GraphError> {
    use secrecy::ExposeSecret;
    let mut builder = http::Request::builder()
        .method(call.method.clone())
        .uri(call.url.as_str())
        .header(http::header::ACCEPT, call.accept)
        .header("client-request-id", call.client_request_id.as_str());
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| GraphError::NotConnected("the token cannot be sent in a header".to_owned()))?;
    bearer.set_sensitive(true);
    builder = builder.header(http::header::AUTHORIZATION, bearer);
    if let Some(prefer) = call.prefer {
        builder = builder.header("prefer", prefer);
    }
    if call.body.is_some() {
        builder = builder.header(http::header::CONTENT_TYPE, "application/json");
    }
    builder
        .body(call.body.map_or_else(Bytes::new, RequestBody::bytes))
        .map_err(|_| GraphError::NotConnected("the request cannot be built".to_owned()))
}

/// Graph's `request-id`, if it looks like one.
fn request_id(headers: &HeaderMap) -> Option<String> {
    looks_like_id(headers.get("request-id")?.to_str().ok()?)
}

/// The same from an error body, for answers of gateways that drop headers.
fn request_id_in(body: &[u8]) -> Option<String> {
    if body.is_empty() || body.len() > 64 * 1024 {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error")?;
    let inner = error.get("innerError").or_else(|| error.get("innererror"))?;
    looks_like_id(inner.get("request-id").or_else(|| inner.get("requestId"))?.as_str()?)
}

fn looks_like_id(id: &str) -> Option<String> {
    (id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')).then(|| id.to_owned())
}

/// `error` of a bearer challenge (RFC 6750, section 3), such as `insufficient_claims` after a change
/// of the tenant's policies (Microsoft identity platform: claims challenges).
fn challenge(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(http::header::WWW_AUTHENTICATE)?.to_str().ok()?;
    let (_, rest) = value.split_once("error=\"")?;
    let (word, _) = rest.split_once('"')?;
    let is_word =
        !word.is_empty() && word.len() <= 64 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_word.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_named_if_it_is_a_word() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::WWW_AUTHENTICATE, value.parse().unwrap());
            challenge(&headers)
        };
        let full = r#"Bearer realm="", authorization_uri="https://login.example", error="insufficient_claims", claims="eyJ9""#;
        assert_eq!(read(full).as_deref(), Some("insufficient_claims"));
        assert_eq!(read(r#"Bearer error="Anna Example""#), None);
        assert_eq!(read("Bearer"), None);
    }

    #[test]
    fn a_template_names_no_profile_and_no_query() {
        let of = |url: &str| template(&url.parse().unwrap());
        let root = "https://graph.microsoft.com/beta/education/synchronizationProfiles";
        assert_eq!(
            of(&format!("{root}?$filter=displayName eq 'A'")),
            "/beta/education/synchronizationProfiles"
        );
        assert_eq!(
            of(&format!("{root}/86904b1e/pause")),
            "/beta/education/synchronizationProfiles/{id}/pause"
        );
        assert_eq!(of(&format!("{root}/$ref")), "/beta/education/synchronizationProfiles/$ref");
    }

    #[test]
    fn an_id_is_found_in_the_body_as_well() {
        for body in [
            r#"{"error":{"innerError":{"request-id":"abc-1"}}}"#,
            r#"{"error":{"innererror":{"requestId":"abc-1"}}}"#,
        ] {
            assert_eq!(request_id_in(body.as_bytes()).as_deref(), Some("abc-1"));
        }
        for body in ["", "<html>", r#"{"error":{"innerError":{"request-id":"a b"}}}"#, "[]"] {
            assert_eq!(request_id_in(body.as_bytes()), None, "{body}");
        }
    }
}
