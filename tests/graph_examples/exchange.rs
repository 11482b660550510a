//! One example: a request and the answer to it, read from its file. Nothing is decided here.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The profile that most examples are about.
pub const PROFILE: &str = "3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01";

#[derive(Deserialize)]
pub struct Exchange {
    pub request: Side,
    pub response: Side,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Side {
    pub method: String,
    pub url: String,
    pub status: u16,
    pub headers: Map<String, Value>,
    pub body: Value,
    pub raw_body: Option<String>,
    /// Fields of a form.
    pub form: Value,
    /// Header and claims of a signed assertion in the form.
    pub assertion: Value,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/graph-examples")
}

/// Names of all examples.
pub fn all() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

impl Exchange {
    pub fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The answer, as a transport hands it on.
    pub fn answer(&self) -> Response<Bytes> {
        let mut response = Response::builder().status(self.response.status);
        for (name, value) in &self.response.headers {
            response = response.header(name, value.as_str().unwrap());
        }
        let body = match &self.response.body {
            Value::Null => self.response.raw_body.clone().unwrap_or_default(),
            Value::String(text) => text.clone(),
            // `$count` is answered with a bare number.
            body => body.to_string(),
        };
        response.body(Bytes::from(body)).unwrap()
    }

    /// Is `sent` the request of the example? Its query options and headers named in `aside` are not compared.
    pub fn assert_sent(&self, name: &str, sent: &Request<Bytes>, aside: &[&str]) {
        assert_eq!(sent.method().as_str(), self.request.method, "{name}");
        let uri = sent.uri().to_string();
        let (expected, actual) = if aside.contains(&"url") {
            (String::new(), String::new())
        } else if aside.contains(&"query") {
            let bare = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
            (bare(&self.request.url), bare(&uri))
        } else {
            (self.request.url.clone(), uri)
        };
        assert_eq!(actual, expected, "{name}");
        for (header, value) in &self.request.headers {
            let header = header.to_ascii_lowercase();
            if aside.contains(&header.as_str()) {
                continue;
            }
            let actual = sent.headers().get(&header).unwrap_or_else(|| panic!("{name}: no {header}"));
            match header.as_str() {
                "authorization" => assert!(actual.to_str().unwrap().starts_with("Bearer "), "{name}"),
                "client-request-id" => assert!(!actual.is_empty(), "{name}"),
                _ => assert_eq!(actual.to_str().unwrap(), value.as_str().unwrap(), "{name}: {header}"),
            }
        }
        if aside.contains(&"body") {
            return;
        }
        match (&self.request.raw_body, &self.request.body) {
            (Some(text), _) => assert_eq!(sent.body(), text.as_bytes(), "{name}"),
            (None, Value::Null) => assert!(sent.body().is_empty(), "{name}"),
            (None, body) => {
                let actual: Value = serde_json::from_slice(sent.body()).unwrap();
                assert_eq!(without_nulls(&actual), without_nulls(body), "{name}");
            }
        }
    }
}

/// Absent and null are the same (OData JSON format).
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name.clone(), without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
