//! The request log: what is kept of a request, and what must never be. Redaction happens here, before anything is
//! kept or printed; tokens and secrets never enter a [`RecordedRequest`].

use std::collections::VecDeque;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::Envelope;
use super::operation::Named;
use super::{Cut, header};
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
    /// The tenant that the token was issued for; `None` without a valid token.
    pub tenant: Option<String>,
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
    /// An entry with what is known of every request. It gets its number when it is kept.
    pub(super) fn of(parts: &Parts, status: StatusCode, named: &Named, envelope: Envelope) -> Self {
        Self {
            number: 0,
            time: envelope.now,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(redact_query),
            status: status.as_u16(),
            cut: None,
            operation: named.operation.as_str(),
            faults: Vec::new(),
            principal: None,
            tenant: None,
            grant: None,
            request_id: envelope.request_id,
            client_request_id: header(&parts.headers, "client-request-id").map(str::to_owned),
            body: None,
        }
    }

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
            tenant = self.tenant.as_deref(),
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

/// The query with the values of secret-looking options replaced, should somebody have put them there. However a name
/// is written, it is read as a server reads it.
pub(crate) fn redact_query(query: &str) -> String {
    let is_secret = |name: &str| {
        let decoded = url::form_urlencoded::parse(name.as_bytes()).next();
        let plain = plain(&decoded.map(|(name, _)| name).unwrap_or_default());
        is_secret(&plain) || ["token", "code", "idtoken", "key"].contains(&plain.as_str())
    };
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
                if is_secret(&plain(name)) && !member.is_null() {
                    *member = Value::String(REDACTED.to_owned());
                } else {
                    redact_value(member);
                }
            }
        }
        Value::String(text) => {
            if let Some(shown) = redact_url(text) {
                *text = shown;
            }
        }
        _ => {}
    }
}

/// A URL without what may be a secret in it: user, password, query (an upload URL is a credential), fragment. In a
/// relative one, as items of a batch have it, only secret-looking options are replaced. `None`: it may stay.
fn redact_url(text: &str) -> Option<String> {
    if text.starts_with('/') {
        let (path, query) = text.split_once('?')?;
        return Some(format!("{path}?{}", redact_query(query)));
    }
    let (scheme, rest) = text.split_once("://")?;
    let (place, query) = match rest.split_once(['?', '#']) {
        Some((place, _)) => (place, format!("?{REDACTED}")),
        None => (rest, String::new()),
    };
    // Somebody may have left a slash of a password as it is: all before the last '@' goes.
    let place =
        place.rsplit_once('@').map_or_else(|| place.to_owned(), |(_, host)| format!("{REDACTED}@{host}"));
    Some(format!("{scheme}://{place}{query}"))
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

/// A name as it is compared: letters and digits in lower case.
fn plain(name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.to_ascii_lowercase()
}

fn is_secret(plain: &str) -> bool {
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
            tenant: None,
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
        let queries = [
            "$top=2&client_secret=canary",
            "s%69g=canary",
            "token=canary",
            "code=canary",
            "id_token=canary",
            "Key=canary",
        ];
        for query in queries {
            let kept = redact_query(query);
            assert!(kept.ends_with("=(redacted)") && !kept.contains("canary"), "{kept}");
        }
        assert_eq!(redact_query("$filter=id eq 'a'&x"), "$filter=id eq 'a'&x");
    }

    #[test]
    fn urls_are_kept_without_their_secrets() {
        let rows = [
            (
                "https://me:canary@sis.example:443/v1?key=canary#canary",
                "https://(redacted)@sis.example:443/v1?(redacted)",
            ),
            ("https://sis.example/v1", "https://sis.example/v1"),
            ("https://canary@host", "https://(redacted)@host"),
            ("https://me:can/ary@host?x", "https://(redacted)@host?(redacted)"),
            ("/education/x?$top=2&s%69g=canary", "/education/x?$top=2&s%69g=(redacted)"),
            ("Fabrikam? Yes", "Fabrikam? Yes"),
        ];
        for (sent, kept) in rows {
            let body = serde_json::json!({ "a": [sent] }).to_string();
            assert_eq!(redact_json(body.as_bytes()).unwrap()["a"][0], kept);
        }
    }
}
