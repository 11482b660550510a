//! Whatever comes back, nothing panics, no token goes to another host, and no free text is printed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusync::api::connection::Dialect;
use edusync::auth::{AuthError, Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::blob::UploadUrl;
use edusync::graph::client::{Permission, Update};
use edusync::graph::difference::differences;
use edusync::graph::error::{CallIds, from_answer, retired};
use edusync::graph::sync::{ProfileStatus, SyncError, VerificationMessage};
use edusync::graph::throttle::retry_after;
use edusync::graph::transport::{Transport, TransportError};
use edusync::graph::wire::{RequestBody, applied_fields, update};
use edusync::graph::{GraphClient, RemoteProfile};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::cases;
use crate::json::{body, text, value};

const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![
        4 => Just(200_u16), 2 => Just(201), 1 => Just(202), 1 => Just(204), 2 => Just(400), 1 => Just(401),
        1 => Just(404), 1 => Just(405), 1 => Just(409), 1 => Just(429), 1 => Just(503), 2 => 100_u16..1000
    ];
    let names = proptest::sample::select(
        &["retry-after", "www-authenticate", "request-id", "location", "content-type"][..],
    );
    let header_value = prop_oneof![
        vec(any::<u8>(), 0..40),
        text().prop_map(String::into_bytes),
        "[0-9.,eE+ -]{0,20}".prop_map(String::into_bytes),
        Just(b"Tue, 14 Nov 2023 22:13:50 GMT".to_vec()),
        Just(b"Bearer error=\"insufficient_claims\"".to_vec()),
    ];
    (status, vec((names, header_value), 0..4), body()).prop_map(|(status, headers, body)| Reply {
        status,
        headers,
        body,
    })
}

/// Answers with the replies in turn, the last one again and again; `None` is a lost answer.
#[derive(Debug)]
struct Replies {
    of_graph: Vec<Option<Reply>>,
    of_token_service: Option<Reply>,
    next: Mutex<usize>,
}

impl Transport for Replies {
    fn send(
        &self,
        request: Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let to_token_service = request.uri().host() == Some("login.example");
        assert!(to_token_service || request.uri().host() == Some("graph.example"), "{}", request.uri());
        let answer = if to_token_service {
            let body = json!({"access_token": "token", "expires_in": 3600}).to_string();
            let good = Reply { status: 200, headers: Vec::new(), body: body.into_bytes() };
            Some(self.of_token_service.clone().unwrap_or(good))
        } else {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            // A list that never ends is given up after very many pages; that is not what is tried here.
            self.of_graph.get(*next - 1).cloned().flatten()
        };
        Box::pin(async move {
            answer.map_or_else(
                || Err(TransportError::NoAnswer("lost".to_owned())),
                |reply| Ok(response(&reply)),
            )
        })
    }
}

fn response(reply: &Reply) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(reply.body.clone()));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            response.headers_mut().append(*name, value);
        }
    }
    response
}

#[derive(Debug)]
struct Leader;

impl Permission for Leader {
    fn may_write(&self) -> bool {
        true
    }
}

fn client(replies: Vec<Option<Reply>>, tokens: Option<Reply>) -> GraphClient {
    let transport: Arc<dyn Transport> =
        Arc::new(Replies { of_graph: replies, of_token_service: tokens, next: Mutex::new(0) });
    let clock = Clock::starting_at(Timestamp::from_second(1_700_000_000).unwrap());
    let place = ("https://login.example", "tenant", "https://graph.example");
    let credential = Credential::ClientSecret("secret".to_owned().into());
    let tokens = TokenSource::new(place, "client", credential, Arc::clone(&transport), clock);
    GraphClient {
        endpoint: "https://graph.example".to_owned(),
        dialect: Dialect::Beta,
        tokens: Arc::new(tokens),
        gate: Arc::default(),
        learnt: Arc::default(),
        write_access: Arc::default(),
        transport,
        permission: Arc::new(Leader),
        clock,
        request_timeout: TIMEOUT,
    }
}

async fn call(client: &GraphClient, which: u8) {
    let nothing = || RequestBody::new(json!({}));
    if which < 8 {
        match which {
            0 => drop(client.list().await),
            1 => drop(client.list_with_status().await),
            2 => drop(client.get("id").await),
            3 => drop(client.count().await),
            4 => drop(client.profile_status("id").await),
            5 => drop(client.errors("id", None).await),
            6 => drop(client.error_counts("id").await),
            _ => drop(client.error("id", "error").await),
        }
        return;
    }
    let Ok(admission) = client.ready().await else { return };
    match which {
        8 => drop(client.create(admission, &nothing(), "attempt", TIMEOUT).await),
        9 => drop(client.update(admission, "id", &Update { put: nothing(), patch: nothing() }).await),
        10 => drop(client.delete(admission, "id").await),
        11 => drop(client.pause(admission, "id").await),
        12 => drop(client.start(admission, "id").await),
        _ => drop(client.upload_url(admission, "id").await),
    }
}

fn run<F: Future<Output = ()>>(future: F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(future);
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn no_answer_of_graph_makes_the_client_panic(
        which in 0_u8..14,
        replies in vec(prop_oneof![9 => reply().prop_map(Some), 1 => Just(None)], 1..4),
    ) {
        run(async move { call(&client(replies, None), which).await });
    }

    #[test]
    fn no_answer_of_the_token_service_makes_the_client_panic(tokens in reply()) {
        run(async move {
            let client = client(Vec::new(), Some(tokens));
            for _ in 0..2 {
                let _ = client.ready().await;
            }
        });
    }

    #[test]
    fn no_json_makes_a_reader_panic(left in value(), right in value(), words in vec(text(), 0..4)) {
        let _ = RemoteProfile::read(&left).map(|profile| format!("{profile:?}"));
        let _ = ProfileStatus::read(&left);
        let _ = SyncError::read(&left);
        let _ = VerificationMessage::read(&left);
        let paths = differences(&left, &right);
        prop_assert!(differences(&left, &left).is_empty(), "nothing differs from itself");
        let _ = applied_fields(&left);
        let _ = update(&left, &right, &words);
        let _ = update(&left, &right, &paths);
    }

    #[test]
    fn no_body_or_header_makes_a_reader_panic(status in any::<u16>(), body in body(), header in vec(any::<u8>(), 0..60)) {
        let error = from_answer(status, &body, None, CallIds::default());
        let _ = (error.to_string(), error.remedy(), error.certainty());
        let _ = retired(status, &body);
        let error = AuthError::from_answer(status, &body, None);
        let _ = (error.to_string(), error.remedy());
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, value)]);
            let wait = retry_after(&headers, Timestamp::from_second(1_700_000_000).unwrap());
            prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_hours(1)));
        }
        let _ = UploadUrl::parse(&String::from_utf8_lossy(&header), "https://graph.example");
    }
}
