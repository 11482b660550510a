//! Tests of all kinds of credential over a scripted transport and a paused clock.

mod certificate;
mod device_code;
mod early;
mod kinds;
mod lost;
mod refresh;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{AuthError, Credential, TokenSource};
use crate::clock::Clock;
use crate::graph::transport::{Transport, TransportError};

const TENANT: &str = "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a";
const CLIENT: &str = "2c7a3f0f-7a11-4d1e-9f53-b6f0c5b25d1e";
const LOGIN: &str = "https://login.example";
const GRAPH: &str = "https://graph.example";
const START: i64 = 1_725_264_000;

type Sent = Result<Response<Bytes>, TransportError>;
type Script = Box<dyn FnMut(usize, &Request<Bytes>) -> Sent + Send>;

/// Answers by a script, which is told how many requests came before.
struct Scripted {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request<Bytes>>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request<Bytes>, _deadline: Duration) -> BoxFuture<'_, Sent> {
        let mut requests = self.requests.lock().unwrap();
        let answer = (self.script.lock().unwrap())(requests.len(), &request);
        requests.push(request);
        Box::pin(async move {
            // Whoever comes meanwhile is to find a request under way.
            tokio::task::yield_now().await;
            answer
        })
    }
}

impl Scripted {
    fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn uri(&self, number: usize) -> String {
        self.requests.lock().unwrap()[number].uri().to_string()
    }

    /// The form of a request.
    fn form(&self, number: usize) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.requests.lock().unwrap()[number].body()).into_owned().collect()
    }
}

fn scripted(script: impl FnMut(usize, &Request<Bytes>) -> Sent + Send + 'static) -> Arc<Scripted> {
    Arc::new(Scripted { script: Mutex::new(Box::new(script)), requests: Mutex::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "a script answers with it")]
fn answer(status: u16, body: &Value) -> Sent {
    Ok(response(status, body))
}

fn response(status: u16, body: &Value) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

/// A token named after the number of the request, good for an hour.
fn granted(number: usize) -> Sent {
    answer(
        200,
        &json!({"token_type": "Bearer", "expires_in": 3599, "access_token": format!("token {number}")}),
    )
}

fn refused(status: u16, word: &str, number: u64) -> Sent {
    answer(status, &json!({"error": word, "error_description": "canary", "error_codes": [number]}))
}

fn clock() -> Clock {
    Clock::starting_at(Timestamp::from_second(START).unwrap())
}

fn source(credential: Credential, transport: &Arc<Scripted>) -> TokenSource {
    let transport: Arc<dyn Transport> = Arc::clone(transport) as Arc<dyn Transport>;
    TokenSource::new((LOGIN, TENANT, GRAPH), CLIENT, credential, transport, clock())
}

async fn token(source: &TokenSource) -> Result<String, AuthError> {
    source.token().await.map(|token| token.expose_secret().to_owned())
}

/// An RSA key in PEM form (PKCS#8) with its certificate, which ends on the first day of `year`.
struct Pair {
    key: rcgen::KeyPair,
    certificate: rcgen::Certificate,
}

impl Pair {
    fn new(key: rcgen::KeyPair, year: i32) -> Self {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        Self { key, certificate }
    }

    /// One for all tests: RSA keys are slow to make.
    fn shared() -> &'static Self {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(|| Self::new(rsa_key(), 2030))
    }
}

fn rsa_key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
}
