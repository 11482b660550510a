//! No secret can be printed: canaries in every secret that goes in, looked for in everything that comes out.
//!
//! A program of its own, with one test: the log is seen through a subscriber for the whole process.

#![cfg(test)]

#[path = "black_box/canary/marker.rs"]
#[allow(dead_code, reason = "tests/black_box uses the rest")]
mod marker;

use std::fmt::{Debug, Write as _};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusync::auth::device_code::DeviceLogin;
use edusync::auth::refresh::{MemoryStore, RefreshTokens, TokenOwner};
use edusync::auth::{ClientCertificate, Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::transport::{Transport, TransportError};
use futures::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use marker::{Kind, Marker, Search};
use secrecy::SecretString;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

const PLACE: (&str, &str, &str) =
    ("https://login.example", "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a", "https://graph.example");
const CLIENT: &str = "2c7a3f0f-7a11-4d1e-9f53-b6f0c5b25d1e";
const ACCESS: &str = "canary-access-token";
const CLIENT_SECRET: &str = "canary-client-secret";
const SEED: &str = "canary-seed";
const RENEWED: &str = "canary-renewed";
const ASSERTION: &str = "canary-federated-token";
const DEVICE: &str = "canary-device-code";

type Sent = Result<Response<Bytes>, TransportError>;

/// Answers by a script, and keeps the assertions that it was shown, and what else stood in a request.
struct Scripted {
    script: Box<dyn Fn(usize) -> Sent + Send + Sync>,
    assertions: Mutex<Vec<Option<String>>>,
    heads: Mutex<String>,
}

impl Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request<Bytes>, _deadline: Duration) -> BoxFuture<'_, Sent> {
        // A header that is marked as sensitive is no secret to who receives it.
        let headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name, value.as_bytes())).collect();
        write!(self.heads.lock().unwrap(), "{} {headers:?}", request.uri()).unwrap();
        let form = url::form_urlencoded::parse(request.body());
        let assertion = form.into_owned().find(|(name, _)| name == "client_assertion");
        let mut assertions = self.assertions.lock().unwrap();
        let answer = (self.script)(assertions.len());
        assertions.push(assertion.map(|(_, value)| value));
        Box::pin(async move { answer })
    }
}

fn scripted(script: impl Fn(usize) -> Sent + Send + Sync + 'static) -> Arc<Scripted> {
    Arc::new(Scripted { script: Box::new(script), assertions: Mutex::default(), heads: Mutex::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "a script answers with it")]
fn answer(status: u16, body: &Value) -> Sent {
    Ok(response(status, body))
}

fn response(status: u16, body: &Value) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_725_264_000).unwrap()
}

/// A certificate with its key, in PEM form.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Everything that could be read by somebody.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u8>>>);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.keep(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Seen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Seen {
    fn keep(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    fn shown(&mut self, thing: &(impl Debug + ?Sized)) {
        write!(self, "{thing:?} {thing:#?}").unwrap();
    }

    fn error(&mut self, error: &(impl std::error::Error + ?Sized)) {
        write!(self, "{error} {error:?} {error:#?}").unwrap();
    }
}

/// Every answer that a token service could give, with a canary in each of its texts.
fn answers() -> Vec<fn() -> Sent> {
    let all: Vec<fn() -> Sent> = vec![
        || answer(200, &json!({"access_token": ACCESS, "expires_in": ACCESS, "refresh_token": RENEWED})),
        || answer(200, &json!({"access_token": [ACCESS], "refresh_token": RENEWED})),
        || Ok(Response::new(Bytes::from(format!("access_token={ACCESS}&refresh_token={RENEWED}")))),
        || answer(400, &json!({"error": format!("{SEED} {CLIENT_SECRET}"), "error_description": SEED})),
        || {
            answer(
                401,
                &json!({"error": "invalid_client", "error_description": format!("{SEED} {ASSERTION} {CLIENT_SECRET}"), "error_codes": [7_000_215], "correlation_id": SEED}),
            )
        },
        || answer(500, &json!({"error": SEED})),
        || Err(TransportError::NoAnswer("reset".to_owned())),
    ];
    all
}

async fn credentials(file: &std::path::Path, pair: &Pair) -> Vec<Credential> {
    let (certificate, key) =
        (SecretString::from(pair.certificate.as_str()), SecretString::from(pair.key.as_str()));
    let certificate = ClientCertificate::from_pem(&certificate, &key, now()).unwrap();
    let tokens = RefreshTokens::new(Arc::new(MemoryStore::default()));
    let owner = TokenOwner { namespace: "a".into(), name: "b".into(), uid: "c".into() };
    let token = tokens.open(owner, Some(&SEED.into())).await.unwrap().unwrap();
    vec![
        Credential::ClientSecret(CLIENT_SECRET.into()),
        Credential::Certificate(Arc::new(certificate)),
        Credential::WorkloadIdentity { token_file: Some(file.to_owned()) },
        Credential::ManagedIdentity { endpoint: "http://node.example".to_owned() },
        Credential::RefreshToken { token, client_secret: Some(CLIENT_SECRET.into()) },
    ]
}

/// Lines of the key, and everything that was sent as an assertion.
fn more_secrets(pair: &Pair, transports: &[Arc<Scripted>]) -> Vec<String> {
    let lines = pair.key.lines().filter(|line| !line.starts_with('-')).map(ToOwned::to_owned);
    let sent = transports.iter().flat_map(|transport| {
        transport.assertions.lock().unwrap().iter().flatten().cloned().collect::<Vec<_>>()
    });
    lines.chain(sent).collect()
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_shown_by_anything_of_auth() {
    let mut seen = Seen::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(seen.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (pair, clock) = (Pair::new(), Clock::starting_at(now()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ASSERTION).unwrap();
    let mut transports = Vec::new();
    for give in answers() {
        for credential in credentials(file.path(), &pair).await {
            seen.shown(&credential);
            let transport = scripted(move |_| give());
            let port = Arc::clone(&transport) as Arc<dyn Transport>;
            let source = TokenSource::new(PLACE, CLIENT, credential, port, clock);
            match source.token().await {
                Ok(token) => seen.shown(&token),
                Err(error) => {
                    seen.error(&error);
                    write!(seen, "{}", error.remedy()).unwrap();
                }
            }
            let _ = source.keep_alive(Duration::ZERO).await;
            let _ = source.save(true).await;
            seen.shown(&source);
            transports.push(transport);
        }
        sign_in(give, clock, &mut seen).await;
    }
    wrong_pairs(&pair, &mut seen);

    let text = String::from_utf8(seen.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("asked for a token") && text.contains("no token"), "the log is seen");
    let mut secrets = more_secrets(&pair, &transports);
    assert!(secrets.len() > 20 && secrets.iter().any(|secret| secret == ASSERTION));
    secrets.extend([ACCESS, CLIENT_SECRET, SEED, RENEWED, DEVICE].map(ToOwned::to_owned));
    let markers: Vec<Marker> = secrets.into_iter().map(|text| Marker { kind: Kind::Foreign, text }).collect();
    let search = Search::new(&markers);
    assert!(search.find(&text).is_empty(), "{:?} is shown:\n{text}", search.find(&text));
    for transport in transports {
        let heads = transport.heads.lock().unwrap();
        assert!(heads.contains("https://login.example") || heads.contains("http://node.example"), "{heads}");
        assert!(search.find(&*heads).is_empty(), "{:?} is sent in:\n{heads}", search.find(&*heads));
    }
}

async fn sign_in(give: fn() -> Sent, clock: Clock, seen: &mut Seen) {
    let begun =
        json!({"device_code": DEVICE, "user_code": "code", "verification_uri": "uri", "expires_in": 900});
    for with_code in [true, false] {
        let begun = begun.clone();
        let transport =
            scripted(move |number| if with_code && number == 0 { answer(200, &begun) } else { give() });
        match DeviceLogin::begin(PLACE, (CLIENT, None), transport, clock).await {
            Ok(mut login) => {
                match login.poll().await {
                    Ok(poll) => seen.shown(&poll),
                    Err(error) => seen.error(&error),
                }
                seen.shown(&login);
            }
            Err(error) => seen.error(&error),
        }
    }
}

fn wrong_pairs(pair: &Pair, seen: &mut Seen) {
    let (certificate, key) = (pair.certificate.as_str(), pair.key.as_str());
    for (certificates, key) in [(key, key), (certificate, certificate), (certificate, &key[..300])] {
        seen.error(&ClientCertificate::from_pem(&certificates.into(), &key.into(), now()).unwrap_err());
    }
}
