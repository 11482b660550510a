//! Tokens, both sides: the client builds the form of the example and reads its answer; and the same
//! client gets a token of the simulator, whose answer has the members of the example.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusync::auth::{ClientCertificate, Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::transport::{Transport, TransportError};
use futures::future::BoxFuture;
use graph_simulator::{FederatedCredential, IssuerKeys, ManagedIdentity, Settings, Simulator};
use http::{Request, Response};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::exchange::Exchange;

const TENANT: &str = "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a";
const CLIENT: &str = "2c7a3f0f-7a11-4d1e-9f53-b6f0c5b25d1e";
const SUBJECT: &str = "system:serviceaccount:sds-system:sds-operator";
const ISSUER: &str = "https://oidc.cluster.example/";
const TOKEN: &str = "eyJ0eXAiOiJKV1Qi.example.token";

/// All examples about tokens, each with what comes of it.
pub const EXAMPLES: [(&str, &str); 8] = [
    ("certificate", TOKEN),
    ("client-secret", TOKEN),
    ("refresh", TOKEN),
    ("workload-identity", TOKEN),
    ("imds", TOKEN),
    ("imds-400", "the node that the operator runs on does not have this managed identity"),
    ("error-secret", "the token service refused the credentials (invalid_client, AADSTS7000215)"),
    ("error-federation", "the token service refused the credentials (invalid_request, AADSTS70021)"),
];

/// Answers by a function, and keeps requests and answers.
struct Wire {
    answer: Box<dyn Fn(Request<Bytes>) -> Response<Bytes> + Send + Sync>,
    seen: Mutex<Vec<(Request<Bytes>, Response<Bytes>)>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    fn send(
        &self,
        request: Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = (self.answer)(request.clone());
        self.seen.lock().unwrap().push((request, answer.clone()));
        Box::pin(async move { Ok(answer) })
    }
}

fn wire(answer: impl Fn(Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) -> Arc<Wire> {
    Arc::new(Wire { answer: Box::new(answer), seen: Mutex::default() })
}

/// A key, its certificate, and a service account's token signed by it. RSA keys are slow to make: one serves all.
struct Keys {
    certificate_pem: String,
    key_pem: String,
    public_pem: String,
    token_file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Keys {
    fn new(now: Timestamp) -> Self {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"],
            "iat": now.as_second(), "nbf": now.as_second(), "exp": now.as_second() + 3600});
        let signing = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signing).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, token).unwrap();
        Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            public_pem: key.public_key_pem(),
            token_file,
            _folder: folder,
        }
    }

    fn credential(&self, example: &str, now: Timestamp) -> Credential {
        let secret = |text: &str| SecretString::from(text.to_owned());
        match example {
            "certificate" => {
                let (certificate, key) = (secret(&self.certificate_pem), secret(&self.key_pem));
                Credential::Certificate(Arc::new(
                    ClientCertificate::from_pem(&certificate, &key, now).unwrap(),
                ))
            }
            "client-secret" => Credential::ClientSecret(secret("example-secret")),
            "error-secret" => Credential::ClientSecret(secret("wrong")),
            "refresh" => Credential::RefreshToken {
                token: "0.example-refresh-token".to_owned().into(),
                client_secret: Some(secret("example-secret")),
            },
            "workload-identity" | "error-federation" => {
                Credential::WorkloadIdentity { token_file: Some(self.token_file.clone()) }
            }
            _ => Credential::ManagedIdentity { endpoint: "http://169.254.169.254".to_owned() },
        }
    }
}

fn clock() -> Clock {
    Clock::starting_at("2024-09-02T08:15:30Z".parse().unwrap())
}

async fn ask(credential: Credential, client_id: &str, transport: &Arc<Wire>) -> String {
    let transport: Arc<dyn Transport> = Arc::clone(transport) as Arc<dyn Transport>;
    let place = ("https://login.microsoftonline.com", TENANT, "https://graph.microsoft.com");
    let source = TokenSource::new(place, client_id, credential, transport, clock());
    match source.token().await {
        Ok(token) => token.expose_secret().to_owned(),
        Err(error) => error.to_string(),
    }
}

fn fields(bytes: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

/// The client's side; `read` notes that an example is played.
pub async fn client(read: impl Fn(&str) -> Exchange) {
    let now = clock().now();
    let keys = Keys::new(now);
    for (example, expected) in EXAMPLES {
        let name = format!("platform-token-{example}");
        let exchange = read(&name);
        let answer = exchange.answer();
        let transport = wire(move |_| answer.clone());
        let understood = ask(keys.credential(example, now), CLIENT, &transport).await;
        assert_eq!(understood, expected, "{name}");
        let seen = transport.seen.lock().unwrap();
        let (request, _) = &seen[0];
        let aside: &[&str] = if exchange.request.method == "GET" { &["query"] } else { &["body"] };
        exchange.assert_sent(&name, request, aside);
        let query = |url: &str| fields(url.split_once('?').map_or("", |(_, query)| query).as_bytes());
        // The client always names the identity; the second example shows what a machine without one says.
        for (field, value) in query(&exchange.request.url) {
            assert_eq!(query(&request.uri().to_string()).get(&field), Some(&value), "{name}: {field}");
        }
        let sent = fields(request.body());
        let example_form = exchange.request.form.as_object().cloned().unwrap_or_default();
        assert_eq!(sent.keys().collect::<BTreeSet<_>>(), example_form.keys().collect(), "{name}");
        for (field, value) in &example_form {
            let value = value.as_str().unwrap();
            if !value.starts_with('{') {
                assert_eq!(&sent[field], value, "{name}: {field}");
            }
        }
        if example == "certificate" {
            assert_claims(&exchange.request.assertion, &sent["client_assertion"]);
        }
    }
}

/// The assertion has the header and claims of the example.
fn assert_claims(example: &Value, assertion: &str) {
    use base64::Engine as _;
    let part = |number: usize| -> Value {
        let text = assertion.split('.').nth(number).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let (header, claims) = (part(0), part(1));
    assert_eq!(names(&header), names(&example["header"]));
    assert_eq!((&header["alg"], &header["typ"]), (&example["header"]["alg"], &example["header"]["typ"]));
    assert_eq!(names(&claims), names(&example["claims"]));
    for name in ["aud", "iss", "sub"] {
        assert_eq!(claims[name], example["claims"][name]);
    }
}

/// The simulator's side: it gives the same client a token, or the same refusal.
pub async fn simulator(read: impl Fn(&str) -> Exchange) {
    let now = clock().now();
    let keys = Keys::new(now);
    for (example, expected) in EXAMPLES {
        let name = format!("platform-token-{example}");
        let exchange = read(&name);
        let simulator = Arc::new(Simulator::new(settings(&keys)));
        if example == "error-federation" {
            // For some minutes after a federated credential is made, it is not known everywhere.
            simulator.add_fault("token:aadsts-70021".parse().unwrap(), now);
        }
        let inside = Arc::clone(&simulator);
        let transport = wire(move |request| inside.handle(request, now));
        let client_id = if example == "imds-400" { "00000000-0000-0000-0000-000000000001" } else { CLIENT };
        let understood = ask(keys.credential(example, now), client_id, &transport).await;
        if expected != TOKEN {
            assert_eq!(understood, expected, "{name}");
        }
        let seen = transport.seen.lock().unwrap();
        let (_, answer) = &seen[0];
        assert_eq!(answer.status().as_u16(), exchange.response.status, "{name}: {understood}");
        for header in exchange.response.headers.keys() {
            assert!(answer.headers().contains_key(header), "{name}: no {header}");
        }
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        compare(&name, &body, &exchange.response.body);
    }
}

/// Members are the same; tokens, times, ids and sentences are the simulator's own.
fn compare(name: &str, actual: &Value, expected: &Value) {
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(actual), names(expected), "{name}");
    for member in [
        "token_type",
        "expires_in",
        "ext_expires_in",
        "refresh_in",
        "scope",
        "resource",
        "error",
        "error_codes",
        "client_id",
    ] {
        assert_eq!(actual.get(member), expected.get(member), "{name}: {member}");
    }
    let sentence = |value: &Value| {
        let text = value.get("error_description").and_then(Value::as_str).unwrap_or_default().to_owned();
        text.split(" Trace ID").next().unwrap_or_default().to_owned()
    };
    assert_eq!(sentence(actual), sentence(expected), "{name}");
}

fn settings(keys: &Keys) -> Settings {
    Settings {
        tenant: TENANT.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: "example-secret".to_owned(),
        client_certificates: vec![
            graph_simulator::ClientCertificate::from_pem(&keys.certificate_pem).unwrap(),
        ],
        federated_credentials: vec![FederatedCredential::new(
            ISSUER,
            SUBJECT,
            IssuerKeys::from_text(&keys.public_pem).unwrap(),
        )],
        managed_identities: vec![CLIENT.parse::<ManagedIdentity>().unwrap()],
        ..Settings::default()
    }
}
