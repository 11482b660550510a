//! The request log: what is kept of a request, and what must never be. Redaction happens here, before anything is
//! kept or printed; tokens and secrets never enter a [`RecordedRequest`].

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Cut;
use crate::model::PrincipalKind;

const REDACTED: &str = "(redacted)";
/// Grant types that are shown; any other text in that field could be a secret in the wrong place.
const GRANTS: [&str; 3] =
    ["client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"];

/// One request as the log keeps it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Counts from 1, without gaps; requests to `/_simulator` are not counted.
    pub number: u64,
    /// When it was answered.
    pub time: Timestamp,
    /// The method.
    pub method: String,
    /// The path as it was sent, without query.
    pub path: String,
    /// The query as it was sent, with secrets replaced.
    pub query: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// How the connection ended before the answer was complete: the status may never have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// The call's name, as faults know it: `list`, `create`, `token`…
    pub operation: &'static str,
    /// The faults that struck it, as they are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Whom the token spoke for; `None` without a valid token. For a token request: whom the new token speaks for.
    pub principal: Option<PrincipalKind>,
    /// For a token request: its grant type.
    pub grant: Option<String>,
    /// The request id the simulator gave it.
    pub request_id: String,
    /// The `client-request-id` the caller sent.
    pub client_request_id: Option<String>,
    /// The body with secrets replaced, if bodies are on ([`crate::Settings::log_bodies`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl RecordedRequest {
    /// Writes the one log line of this request.
    pub(crate) fn log(&self, took: Duration) {
        let body = self.body.as_ref().map(ToString::to_string);
        tracing::info!(
            number = self.number,
            method = %self.method,
            path = %self.path,
            status = self.status,
            operation = self.operation,
            cut = self.cut.map(Cut::as_str),
            faults = (!self.faults.is_empty()).then(|| self.faults.join(" ")),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            request_id = %self.request_id,
            client_request_id = self.client_request_id.as_deref(),
            body,
            "answered"
        );
    }
}

/// The last requests, bounded.
pub(crate) struct RequestLog {
    entries: VecDeque<RecordedRequest>,
    capacity: usize,
    counted: u64,
}

impl RequestLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, counted: 0 }
    }

    /// Numbers the request and keeps it.
    pub(crate) fn keep(&mut self, mut request: RecordedRequest) -> RecordedRequest {
        self.counted += 1;
        request.number = self.counted;
        self.entries.push_back(request.clone());
        while self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
        request
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.entries.iter().cloned().collect()
    }
}

/// The query with the values of secret-looking options replaced, should somebody have put them there.
pub(crate) fn redact_query(query: &str) -> String {
    let option = |option: &str| match option.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
        _ => option.to_owned(),
    };
    query.split('&').map(option).collect::<Vec<_>>().join("&")
}

/// A JSON body with the values of secret-looking members replaced, at every level. A body that is no JSON is not kept:
/// nobody can tell where a secret is in it.
pub(crate) fn redact_json(body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return None;
    }
    let Ok(mut value) = serde_json::from_slice(body) else {
        return Some(Value::String(format!("(not JSON, {} bytes)", body.len())));
    };
    redact_value(&mut value);
    Some(value)
}

fn redact_value(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact_value),
        Value::Object(members) => {
            for (name, member) in members {
                if is_secret(name) && !member.is_null() {
                    *member = Value::String(REDACTED.to_owned());
                } else {
                    redact_value(member);
                }
            }
        }
        _ => {}
    }
}

/// The grant type, if it is one the endpoint knows, else `other`.
pub(crate) fn known_grant(grant: &str) -> &'static str {
    GRANTS.into_iter().find(|known| *known == grant).unwrap_or("other")
}

/// A form with every value replaced that is not known to be harmless.
pub(crate) fn redact_form(fields: &[(String, String)]) -> Value {
    let shown = |(name, value): &(String, String)| {
        let public = match name.as_str() {
            "grant_type" => GRANTS.contains(&value.as_str()),
            "client_id" => uuid::Uuid::try_parse(value).is_ok(),
            "scope" => true,
            _ => false,
        };
        let shown = if public { value.as_str() } else { REDACTED };
        (name.clone(), Value::from(shown))
    };
    Value::Object(fields.iter().map(shown).collect::<Map<_, _>>())
}

fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let parts = [
        "secret",
        "password",
        "assertion",
        "refreshtoken",
        "accesstoken",
        "authorization",
        "signature",
        "devicecode",
    ];
    // `sig` is the secret of a shared access signature.
    plain == "sig" || parts.iter().any(|part| plain.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RecordedRequest {
        RecordedRequest {
            number: 0,
            time: Timestamp::UNIX_EPOCH,
            method: String::new(),
            path: String::new(),
            query: None,
            status: 200,
            cut: None,
            operation: "",
            faults: Vec::new(),
            principal: None,
            grant: None,
            request_id: String::new(),
            client_request_id: None,
            body: None,
        }
    }

    #[test]
    fn the_log_is_bounded_and_keeps_counting() {
        let mut log = RequestLog::new(2);
        for _ in 0..5 {
            log.keep(request());
        }
        let numbers: Vec<u64> = log.all().iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, [4, 5]);
    }

    #[test]
    fn secrets_are_replaced_wherever_they_are() {
        let body = br#"{"a":[{"clientSecret":"canary","clientId":"me"}],"client_secret":{"x":"canary"},"tokenUrl":"u"}"#;
        let kept = redact_json(body).unwrap();
        assert!(!kept.to_string().contains("canary"), "{kept}");
        assert_eq!(kept["a"][0]["clientId"], "me");
        assert_eq!(kept["tokenUrl"], "u");
        assert!(!redact_json(b"canary").unwrap().to_string().contains("canary"));
        assert_eq!(redact_query("$top=2&client_secret=canary"), "$top=2&client_secret=(redacted)");
    }
}
