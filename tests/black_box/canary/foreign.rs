//! What servers, proxies and gateways say that nobody should repeat: pupils' names, secrets of their own, and all
//! that they were sent, in every part of an answer.

use axum::body::Bytes;
use axum::response::Response;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::{Value, json};

use super::marker::{Kind, Marker};
use super::spy::Host;

/// A pupil.
pub const PUPIL: &str = "Anna Canary-Beispiel";
const PUPILS_MAIL: &str = "anna.canary@pupils-of-canaria.example";
const PUPILS_ID: &str = "PUPIL-0815-canary";
/// A secret that a server tells of itself.
const SECRET: &str = "canary-secret-of-a-server";
/// What the verification of uploaded files says.
pub const VERIFICATION: &str =
    "The pupil Anna Canary-Beispiel (anna.canary@pupils-of-canaria.example) is unknown";

/// What to look for.
pub fn markers() -> Vec<Marker> {
    let marker = |kind, text: &str| Marker { kind, text: text.to_owned() };
    vec![
        marker(Kind::Pupil, PUPIL),
        marker(Kind::Pupil, PUPILS_MAIL),
        marker(Kind::Pupil, PUPILS_ID),
        marker(Kind::Foreign, SECRET),
    ]
}

/// Which call it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Token,
    List,
    Create,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An error as it is documented, with everything in its free texts.
    Error,
    /// An error with everything where a code should be.
    Code,
    /// A page of a gateway.
    Page,
    /// Success, broken off.
    BrokenOff,
    /// Success, with texts in the place of other things.
    OtherTypes,
    /// A redirect with a secret in its query.
    Redirect,
    /// Everything in headers.
    Headers,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    pub at: At,
    pub form: Form,
}

impl Foreign {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let forms = [
            Form::Error,
            Form::Code,
            Form::Page,
            Form::BrokenOff,
            Form::OtherTypes,
            Form::Redirect,
            Form::Headers,
        ];
        let places = [At::Token, At::List, At::Create];
        places.into_iter().flat_map(|at| forms.map(|form| Self { at, form })).collect()
    }

    /// A name that Kubernetes takes.
    pub fn name(self) -> String {
        format!("{:?}-{:?}", self.at, self.form).to_lowercase()
    }

    pub fn is_of_entra(self) -> bool {
        self.at == At::Token
    }

    pub fn is_of_create(self) -> bool {
        self.at == At::Create
    }

    /// What is said to a request.
    pub fn answer(self, host: Host, (parts, body): (&Parts, &Bytes)) -> Response {
        let shown =
            parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let sent = String::from_utf8_lossy(body);
        let query = parts.uri.query().unwrap_or_default();
        let all = format!("{PUPIL} {PUPILS_MAIL} {PUPILS_ID} {SECRET} {shown} {query} {sent}");
        let with = |status: u16, text: String| Response::builder().status(status).body(text.into()).unwrap();
        match self.form {
            Form::Error if host == Host::Entra => with(401, refusal("invalid_client", &all).to_string()),
            Form::Error if host == Host::Blobs => with(
                400,
                format!("<?xml version=\"1.0\"?><Error><Code>{all}</Code><Message>{all}</Message></Error>"),
            ),
            Form::Error => with(400, error("BadRequest", &all).to_string()),
            Form::Code if host == Host::Entra => with(400, refusal(&all, &all).to_string()),
            Form::Code => with(400, error(&all, &all).to_string()),
            Form::Page => with(502, format!("<html><body>{all}</body></html>")),
            Form::BrokenOff => {
                let whole =
                    json!({"access_token": SECRET, "id": PUPIL, "value": [{"id": all, "displayName": all}]});
                let whole = whole.to_string();
                with(200, whole[..whole.len() - 8].to_owned())
            }
            Form::OtherTypes => {
                let wrong = json!({"access_token": [all], "expires_in": all, "device_code": [all], "id": [all],
                    "value": all, "displayName": {"a": all}, "state": [all]});
                with(200, wrong.to_string())
            }
            Form::Redirect => {
                let query: String = url::form_urlencoded::byte_serialize(all.as_bytes()).collect();
                let mut response = with(302, all);
                let place = format!("https://elsewhere.example/?code={query}");
                response.headers_mut().insert("location", place.parse().unwrap());
                response
            }
            Form::Headers => {
                let mut response = with(401, String::new());
                let header = |text: &str| HeaderValue::from_bytes(text.as_bytes()).unwrap();
                let short = format!("{PUPIL} {SECRET}");
                let challenge = format!("Bearer error=\"{short}\", claims=\"{SECRET}\"");
                for (name, text) in [
                    ("www-authenticate", challenge.as_str()),
                    ("request-id", &short),
                    ("retry-after", &short),
                    ("x-ms-error-code", &short),
                    ("set-cookie", &short),
                ] {
                    response.headers_mut().insert(name, header(text));
                }
                response
            }
        }
    }
}

fn error(code: &str, all: &str) -> Value {
    json!({"error": {"code": code, "message": all,
        "innerError": {"request-id": all, "code": all, "date": all}, "details": [{"message": all}]}})
}

fn refusal(word: &str, all: &str) -> Value {
    json!({"error": word, "error_description": all, "error_codes": [7_000_215], "correlation_id": all,
        "trace_id": all, "error_uri": all, "claims": all})
}

/// Errors of a synchronization that name pupils.
pub fn sync_errors() -> Value {
    json!({"value": [{
        "id": "1", "entryType": "Student", "errorCode": "UnsynchronizableChange",
        "recordedDateTime": "2027-01-02T03:04:05Z", "reportableIdentifier": PUPILS_ID,
        "joiningValue": PUPILS_MAIL, "errorMessage": format!("{PUPIL} has no account")
    }]})
}
