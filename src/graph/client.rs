//! The calls to Graph, one method each. A method makes its call once; when to call again is decided above.
//!
//! The only repetition in here is the one that platform rules ask for: a 401 is tried once more with
//! a new token. Right before each change the lease is asked, below every queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::error::{CallIds, GraphError, UnknownOutcome, from_answer, retired};
use super::profile::RemoteProfile;
use super::throttle::{Gate, retry_after};
use super::transport::{Transport, TransportError};
use crate::api::connection::Dialect;
use crate::auth::{AccessToken, TokenSource};
use crate::clock::Clock;

/// A LIST that needs more pages than this is given up: Microsoft recommends three profiles a tenant.
const MOST_PAGES: usize = 10_000;

/// How long a 429 holds that does not say so itself (Graph docs, "throttling": back off).
const WITHOUT_RETRY_AFTER: Duration = Duration::from_secs(10);

/// May this process change Graph now?
pub trait Permission: Send + Sync + std::fmt::Debug {
    /// True while this process holds the lease.
    fn may_write(&self) -> bool;
}

/// One application's access to the profiles of one tenant.
#[derive(Clone, Debug)]
pub struct GraphClient {
    /// Address of Graph, without version.
    pub endpoint: String,
    /// The form of the API.
    pub dialect: Dialect,
    /// Where tokens come from.
    pub tokens: Arc<TokenSource>,
    /// Holds calls back while Graph asks to wait.
    pub gate: Arc<Gate>,
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Asked right before each change.
    pub permission: Arc<dyn Permission>,
    /// The clock.
    pub clock: Clock,
    /// Deadline of a call.
    pub request_timeout: Duration,
}

/// What Graph said to a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Accepted: Graph is deleting.
    Accepted,
    /// There is no such profile.
    NotFound,
}

struct Call<'a> {
    operation: &'static str,
    method: Method,
    url: Url,
    body: Option<&'a Value>,
    client_request_id: String,
    deadline: Duration,
}

struct Answer {
    status: StatusCode,
    body: Bytes,
    ids: CallIds,
    retry_after: Option<Duration>,
}

impl GraphClient {
    /// All profiles of the tenant, by id: every page, or an error.
    ///
    /// # Errors
    /// When a page does not come or cannot be read; `Retired` when the collection is gone.
    pub async fn list(&self) -> Result<BTreeMap<String, RemoteProfile>, GraphError> {
        let mut profiles = BTreeMap::new();
        let mut next = Some(self.collection()?);
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else {
                return Ok(profiles);
            };
            let answer = self.call(self.new_call("list", Method::GET, url)).await?;
            if answer.status != StatusCode::OK {
                if retired(answer.status.as_u16(), &answer.body) {
                    return Err(GraphError::Retired { status: answer.status.as_u16(), ids: answer.ids });
                }
                return Err(answer.into_error());
            }
            next = self.take_page(&answer, &mut profiles)?;
        }
        Err(unreadable("the list has no end", CallIds::default()))
    }

    /// One profile, or None when Graph says 404.
    ///
    /// # Errors
    /// When Graph does not say clearly whether the profile is there.
    pub async fn get(&self, id: &str) -> Result<Option<RemoteProfile>, GraphError> {
        let answer = self.call(self.new_call("get", Method::GET, self.item(id)?)).await?;
        match answer.status {
            StatusCode::OK => match answer.profile() {
                Some(profile) => Ok(Some(profile)),
                None => Err(unreadable("a profile without id", answer.ids)),
            },
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.into_error()),
        }
    }

    /// Creates a profile: one POST, with `attempt` as its `client-request-id`.
    ///
    /// Any of 200, 201 and 202 with a body that holds an id is a success: the documents disagree
    /// about the status.
    ///
    /// # Errors
    /// When there is no such answer. [`GraphError::certainty`] says whether the profile may exist.
    pub async fn create(
        &self,
        body: &Value,
        attempt: &str,
        deadline: Duration,
    ) -> Result<RemoteProfile, GraphError> {
        let mut url = self.collection()?;
        if self.dialect == Dialect::BetaRef
            && let Ok(mut segments) = url.path_segments_mut()
        {
            segments.push("$ref");
        }
        let call = Call {
            body: Some(body),
            client_request_id: attempt.to_owned(),
            deadline,
            ..self.new_call("create", Method::POST, url)
        };
        let answer = self.call(call).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => match answer.profile() {
                Some(profile) => Ok(profile),
                None => Err(unreadable("success without the profile's id", answer.ids)),
            },
            _ => Err(answer.into_error()),
        }
    }

    /// Asks Graph to delete a profile: one DELETE.
    ///
    /// # Errors
    /// When Graph neither accepts nor says that there is no such profile.
    pub async fn delete(&self, id: &str) -> Result<Deletion, GraphError> {
        let answer = self.call(self.new_call("delete", Method::DELETE, self.item(id)?)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(Deletion::Accepted),
            StatusCode::NOT_FOUND => Ok(Deletion::NotFound),
            _ => Err(answer.into_error()),
        }
    }

    /// Makes sure that a call could be made now: a token is in hand, and Graph does not ask to wait.
    ///
    /// # Errors
    /// When there is no token, or Graph asks to wait.
    pub async fn ready(&self) -> Result<(), GraphError> {
        if let Some(left) = self.gate.closed_for(self.clock.now()) {
            return Err(GraphError::Waiting(left));
        }
        self.tokens.token().await.map(drop).map_err(GraphError::NoToken)
    }

    fn new_call(&self, operation: &'static str, method: Method, url: Url) -> Call<'_> {
        Call {
            operation,
            method,
            url,
            body: None,
            client_request_id: uuid::Uuid::new_v4().to_string(),
            deadline: self.request_timeout,
        }
    }

    fn collection(&self) -> Result<Url, GraphError> {
        let root = match self.dialect {
            Dialect::Beta | Dialect::BetaRef => "beta",
            Dialect::TestEduApi => "testEduApi",
        };
        Url::parse(&format!("{}/{root}/education/synchronizationProfiles", self.endpoint))
            .map_err(|_| GraphError::NotConnected(format!("{} is not a URL", self.endpoint)))
    }

    fn item(&self, id: &str) -> Result<Url, GraphError> {
        let mut url = self.collection()?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(id);
        }
        Ok(url)
    }

    /// Reads one page, and returns the address of the next.
    fn take_page(
        &self,
        answer: &Answer,
        profiles: &mut BTreeMap<String, RemoteProfile>,
    ) -> Result<Option<Url>, GraphError> {
        let wrong = |what| unreadable(what, answer.ids.clone());
        let page: Value = serde_json::from_slice(&answer.body).map_err(|_| wrong("the list is not JSON"))?;
        let items =
            page.get("value").and_then(Value::as_array).ok_or_else(|| wrong("a list without value"))?;
        for item in items {
            let profile =
                RemoteProfile::read(item).ok_or_else(|| wrong("a profile without id in the list"))?;
            // A list is not a snapshot: a profile can come twice while pages are read.
            profiles.insert(profile.id.clone(), profile);
        }
        let Some(link) = page.get("@odata.nextLink").and_then(Value::as_str) else {
            return Ok(None);
        };
        let next = Url::parse(link).map_err(|_| wrong("the next link is not a URL"))?;
        let home = self.collection()?;
        if next.origin() != home.origin() {
            return Err(wrong("the next link leads to another host"));
        }
        Ok(Some(next))
    }

    /// Makes the call, a second time with a new token after a 401, which is a definite "not done".
    async fn call(&self, call: Call<'_>) -> Result<Answer, GraphError> {
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
        if call.method != Method::GET && !self.permission.may_write() {
            return Err(GraphError::NotConnected("this process does not hold the lease any more".to_owned()));
        }
        let began = Instant::now();
        let result = self.transport.send(request, deadline).await;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut ids = CallIds { request_id: None, client_request_id: call.client_request_id.clone() };
        let (operation, method) = (call.operation, call.method.as_str());
        match result {
            Err(error) => {
                tracing::warn!(operation, method, milliseconds, client_request_id = ids.client_request_id, %error, "Graph did not answer");
                Err(match error {
                    TransportError::NotConnected(what) => GraphError::NotConnected(what),
                    TransportError::NoAnswer(what) => {
                        GraphError::Unknown { what: UnknownOutcome::NoAnswer(what), retry_after: None, ids }
                    }
                })
            }
            Ok(response) => {
                ids.request_id = request_id(response.headers());
                let status = response.status();
                tracing::debug!(
                    operation,
                    method,
                    status = status.as_u16(),
                    milliseconds,
                    client_request_id = ids.client_request_id,
                    request_id = ids.request_id,
                    "Graph answered"
                );
                let now = self.clock.now();
                let wait = retry_after(response.headers(), now);
                match (status.as_u16(), wait) {
                    (429 | 503, Some(wait)) => self.gate.close(wait, now),
                    (429, None) => self.gate.close(WITHOUT_RETRY_AFTER, now),
                    _ => {}
                }
                Ok(Answer { status, body: response.into_body(), ids, retry_after: wait })
            }
        }
    }
}

impl Answer {
    fn profile(&self) -> Option<RemoteProfile> {
        RemoteProfile::read(&serde_json::from_slice(&self.body).ok()?)
    }

    fn into_error(self) -> GraphError {
        from_answer(self.status.as_u16(), &self.body, self.retry_after, self.ids)
    }
}

fn unreadable(what: &'static str, ids: CallIds) -> GraphError {
    GraphError::Unknown { what: UnknownOutcome::Unreadable(what), retry_after: None, ids }
}

fn request(call: &Call<'_>, token: &AccessToken) -> Result<http::Request<Bytes>, GraphError> {
    use secrecy::ExposeSecret;
    let mut builder = http::Request::builder()
        .method(call.method.clone())
        .uri(call.url.as_str())
        .header(http::header::ACCEPT, "application/json")
        .header("client-request-id", call.client_request_id.as_str());
    let mut bearer = http::HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| GraphError::NotConnected("the token cannot be sent in a header".to_owned()))?;
    bearer.set_sensitive(true);
    builder = builder.header(http::header::AUTHORIZATION, bearer);
    let body = call.body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    if call.body.is_some() {
        builder = builder.header(http::header::CONTENT_TYPE, "application/json");
    }
    builder.body(body).map_err(|_| GraphError::NotConnected("the request cannot be built".to_owned()))
}

/// Graph's `request-id`, if it looks like one.
fn request_id(headers: &http::HeaderMap) -> Option<String> {
    let id = headers.get("request-id")?.to_str().ok()?;
    (id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')).then(|| id.to_owned())
}
