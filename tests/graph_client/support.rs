//! The client that the tests share, and the transports below it: the simulator in process, or a
//! script of answers. No test stands here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusync::api::connection::Dialect;
use edusync::auth::{Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::client::{Deletion, Permission};
use edusync::graph::transport::{Transport, TransportError};
use edusync::graph::wire::RequestBody;
use edusync::graph::{GraphClient, GraphError, RemoteProfile};
use futures::future::BoxFuture;
use graph_simulator::{Settings, Simulator};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

pub const TIMEOUT: Duration = Duration::from_secs(30);
pub const CANARY: &str = "canary-of-a-pupil";

pub type Answer = Result<Response<Bytes>, TransportError>;

/// Answers by a function, and counts.
pub struct Scripted {
    pub answer: Box<dyn Fn(Request<Bytes>) -> Answer + Send + Sync>,
    pub tokens: AtomicUsize,
    pub calls: AtomicUsize,
    /// All requests but those for tokens.
    pub seen: Mutex<Vec<Request<Bytes>>>,
    /// Their deadlines.
    pub deadlines: Mutex<Vec<Duration>>,
    /// A token takes so many seconds.
    pub token_takes: AtomicU64,
    /// Any other answer takes so many.
    pub call_takes: AtomicU64,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request<Bytes>, deadline: Duration) -> BoxFuture<'_, Answer> {
        let is_token = request.uri().path().ends_with("/token");
        let counter = if is_token { &self.tokens } else { &self.calls };
        counter.fetch_add(1, Ordering::SeqCst);
        if !is_token {
            self.seen.lock().unwrap().push(request.clone());
            self.deadlines.lock().unwrap().push(deadline);
        }
        let takes = if is_token { &self.token_takes } else { &self.call_takes }.load(Ordering::SeqCst);
        let answer = (self.answer)(request);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(takes)).await;
            answer
        })
    }
}

#[derive(Debug)]
pub struct Lease(pub bool);

impl Permission for Lease {
    fn may_write(&self) -> bool {
        self.0
    }
}

pub fn scripted(answer: impl Fn(Request<Bytes>) -> Answer + Send + Sync + 'static) -> Arc<Scripted> {
    Arc::new(Scripted {
        answer: Box::new(answer),
        tokens: AtomicUsize::new(0),
        calls: AtomicUsize::new(0),
        seen: Mutex::default(),
        deadlines: Mutex::default(),
        token_takes: AtomicU64::new(0),
        call_takes: AtomicU64::new(0),
    })
}

pub fn clock() -> Clock {
    Clock::starting_at(Timestamp::from_second(1_700_000_000).unwrap())
}

/// A client with the simulator's delegated credential.
pub fn client(transport: Arc<Scripted>, clock: Clock) -> GraphClient {
    let settings = Settings::default();
    let place = ("https://login.example", settings.tenant.as_str(), "https://graph.microsoft.com");
    let credential = Credential::RefreshToken {
        token: settings.refresh_token.clone().into(),
        client_secret: Some(settings.client_secret.clone().into()),
    };
    let transport: Arc<dyn Transport> = transport;
    let tokens = TokenSource::new(place, &settings.client_id, credential, Arc::clone(&transport), clock);
    GraphClient::new(
        "https://graph.microsoft.com",
        Dialect::Beta,
        tokens,
        transport,
        Arc::new(Lease(true)),
        clock,
    )
}

/// The simulator in process.
pub fn simulated(settings: Settings, clock: Clock) -> (Arc<Scripted>, Arc<Simulator>) {
    let simulator = Arc::new(Simulator::new(settings));
    let inside = Arc::clone(&simulator);
    (scripted(move |request| Ok(inside.handle(request, clock.now()))), simulator)
}

pub fn token_answer() -> Response<Bytes> {
    let body = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "token"});
    Response::new(Bytes::from(body.to_string()))
}

/// Tokens are given; calls to Graph get this answer.
pub fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> Arc<Scripted> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = Bytes::from(body.to_owned());
    scripted(move |request| {
        if request.uri().path().ends_with("/token") {
            return Ok(token_answer());
        }
        let mut response = Response::builder().status(status);
        for (name, value) in &headers {
            response = response.header(name, value);
        }
        Ok(response.body(body.clone()).unwrap())
    })
}

pub fn body(name: &str) -> Value {
    json!({
        "displayName": name,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}]
        }
    })
}

pub async fn create(client: &GraphClient, name: &str) -> Result<RemoteProfile, GraphError> {
    let admission = client.ready().await?;
    client.create(admission, &RequestBody::new(body(name)), "attempt", TIMEOUT).await
}

pub async fn delete(client: &GraphClient, id: &str) -> Result<Deletion, GraphError> {
    let admission = client.ready().await?;
    client.delete(admission, id).await
}

pub fn client_of(transport: &Arc<Scripted>) -> GraphClient {
    client(Arc::clone(transport), clock())
}

impl Scripted {
    /// Methods and addresses of all requests but those for tokens, without the host.
    pub fn lines(&self) -> Vec<String> {
        let line = |request: &Request<Bytes>| {
            let address = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
            let address = address.replace("/beta/education/synchronizationProfiles", "…");
            format!("{} {address}", request.method())
        };
        self.seen.lock().unwrap().iter().map(line).collect()
    }
}

/// Tokens are given; calls to Graph are answered by a function of their method and path.
pub fn answered_by(
    answer: impl Fn(&Request<Bytes>) -> (u16, String) + Send + Sync + 'static,
) -> Arc<Scripted> {
    scripted(move |request| {
        if request.uri().path().ends_with("/token") {
            return Ok(token_answer());
        }
        let (status, body) = answer(&request);
        Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
    })
}
