//! Answers with the headers and error bodies that Microsoft documents. No call is decided here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use jiff::Timestamp;

use crate::fault::http_date;
use crate::json::Json;
use crate::model::{Need, PrincipalKind, TokenRefusal};

const ODATA_JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
const PLAIN_JSON: &str = "application/json; charset=utf-8";
/// The preference of the status page (Graph docs: best practices, evolvable enumerations).
pub(crate) const UNKNOWN_MEMBERS: &str = "include-unknown-enum-members";
/// The challenge of Graph's 401 (Graph docs: resolve authorization errors).
const CHALLENGE: &str = "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"";

/// Which machine answered. There is none: the names are made up.
const DIAGNOSTIC: &str = r#"{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"graph-simulator"}}"#;

/// What an answer says about the request it belongs to.
#[derive(Clone)]
pub(crate) struct Envelope {
    pub(crate) now: Timestamp,
    pub(crate) request_id: String,
    /// Echo of `client-request-id`; the request id when the caller sent none.
    pub(crate) client_request_id: String,
}

/// A Graph error on its way out.
pub(crate) struct GraphError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// A more specific code inside `innerError` (Graph docs: error responses).
    pub(crate) inner_code: Option<&'static str>,
    /// 401 only: what a new token must fulfil (continuous access evaluation), as JSON.
    pub(crate) claims: Option<String>,
}

impl GraphError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), inner_code: None, claims: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// A query option that is not supported or not well-formed.
    pub(crate) fn query_option(message: impl Into<String>) -> Self {
        Self { inner_code: Some("invalidQueryOption"), ..Self::bad_request(message) }
    }

    /// 401 (status documented, code from practice).
    pub(crate) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    /// 405, for verbs that no document has.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "Specified HTTP method is not allowed for the request target.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// Status 403. A permission that is missing is said in the words of Graph docs: JSON batching. Other words say that no
    /// application permission exists for the call at all (inferred).
    pub(crate) fn forbidden(kind: PrincipalKind, need: Need) -> Self {
        let (code, message) = match (kind, need) {
            (PrincipalKind::App, Need::Change) => {
                ("Forbidden", "The caller does not have the permission this operation needs.")
            }
            _ => ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
        };
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404 (inferred: the shape is that of Graph docs: error responses).
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "No profile with this id exists in the tenant.")
    }

    /// The API after its retirement. Nothing is documented; these four forms are expected (inferred).
    pub(crate) fn retired(status: u16) -> Self {
        match status {
            404 => Self::new(StatusCode::NOT_FOUND, "NotFound", "The resource could not be found."),
            status => Self::unavailable(status),
        }
    }

    /// An answer of a service that is down or gone, by status. Codes and sentences: Graph docs, throttling and
    /// error responses; for 500 docs issue 7278.
    pub(crate) fn unavailable(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("BadRequest", "Resource not found for the segment 'synchronizationProfiles'."),
            404 => ("NotFound", "No profile with this id exists in the tenant."),
            413 => ("RequestEntityTooLarge", "The request body is larger than 4 MiB, or ended early."),
            410 => ("Gone", "This API is no longer available."),
            429 => ("TooManyRequests", "Please retry again later."),
            500 => ("InternalError", "Failed to fetch profiles"),
            501 => ("NotImplemented", "This API is not implemented."),
            502 => ("BadGateway", "The upstream service did not answer properly."),
            504 => ("GatewayTimeout", "The upstream service did not answer in time."),
            507 => ("InsufficientStorage", "The quota of the service is used up."),
            401 => ("InvalidAuthenticationToken", "Access token validation failure."),
            403 => ("Forbidden", "The caller does not have the permission this operation needs."),
            409 => ("Conflict", "The request conflicts with one that is still being worked on."),
            refused if refused < 500 => ("BadRequest", "The request was refused."),
            _ => ("ServiceUnavailable", "The service is temporarily unavailable. Try again later."),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let inner_code = (status == StatusCode::TOO_MANY_REQUESTS).then_some("429");
        Self { inner_code, ..Self::new(status, code, message) }
    }
}

impl Envelope {
    /// A Graph answer with a JSON body.
    pub(crate) fn graph(&self, status: StatusCode, body: &Json) -> Response<Bytes> {
        self.odata(status, Some(ODATA_JSON), body.to_bytes())
    }

    /// A `$count`: the number and nothing else.
    pub(crate) fn text(&self, text: String) -> Response<Bytes> {
        self.odata(StatusCode::OK, Some("text/plain"), text.into_bytes())
    }

    /// A Graph answer for which `Prefer: include-unknown-enum-members` was applied.
    pub(crate) fn preferred(&self, status: StatusCode, body: &Json) -> Response<Bytes> {
        let mut response = self.graph(status, body);
        set(&mut response, HeaderName::from_static("preference-applied"), UNKNOWN_MEMBERS);
        response
    }

    /// A Graph answer without a body.
    pub(crate) fn empty(&self, status: StatusCode) -> Response<Bytes> {
        self.odata(status, None, Vec::new())
    }

    /// What every answer of Graph has besides (Graph docs: response headers of the samples).
    fn odata(&self, status: StatusCode, content_type: Option<&str>, body: Vec<u8>) -> Response<Bytes> {
        let mut response = self.respond(status, content_type, body);
        set(&mut response, HeaderName::from_static("odata-version"), "4.0");
        set(&mut response, STRICT_TRANSPORT_SECURITY, "max-age=31536000");
        set(&mut response, HeaderName::from_static("x-ms-ags-diagnostic"), DIAGNOSTIC);
        response
    }

    /// A Graph error (Graph docs: error responses). The SDKs bind `innerError` in this spelling only.
    pub(crate) fn error(&self, error: GraphError) -> Response<Bytes> {
        let code = error.inner_code.map(|code| ("code", Json::from(code)));
        // The throttling page has more in it than other errors (Graph docs: throttling, sample response).
        let throttled = (error.status == StatusCode::TOO_MANY_REQUESTS)
            .then(|| [("message", Json::from("Please retry after")), ("status", Json::from("429"))]);
        let inner = code.into_iter().chain(throttled.into_iter().flatten()).chain([
            ("date", Json::from(self.now.strftime("%Y-%m-%dT%H:%M:%S").to_string())),
            ("request-id", Json::from(self.request_id.as_str())),
            ("client-request-id", Json::from(self.client_request_id.as_str())),
        ]);
        let body = Json::Object(vec![
            ("code", Json::from(error.code)),
            ("message", Json::from(error.message)),
            ("innerError", Json::Object(inner.collect())),
        ]);
        let mut response = self.graph(error.status, &Json::Object(vec![("error", body)]));
        if error.status == StatusCode::UNAUTHORIZED {
            let claims = error.claims.map(|claims| STANDARD.encode(claims));
            let claims = claims.map(|claims| format!(", error=\"insufficient_claims\", claims=\"{claims}\""));
            set(&mut response, WWW_AUTHENTICATE, &format!("{CHALLENGE}{}", claims.unwrap_or_default()));
        }
        response
    }

    /// An answer of the token endpoint.
    pub(crate) fn token(&self, status: StatusCode, body: &Json) -> Response<Bytes> {
        let mut response = self.respond(status, Some(PLAIN_JSON), body.to_bytes());
        set(&mut response, CACHE_CONTROL, "no-store, no-cache");
        set(&mut response, HeaderName::from_static("x-ms-request-id"), &self.request_id);
        response
    }

    /// A token error (Microsoft Entra authentication and authorization error codes).
    pub(crate) fn token_error(&self, refusal: &TokenRefusal) -> Response<Bytes> {
        let timestamp = self.now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let number = if refusal.code == 0 { String::new() } else { format!("AADSTS{}: ", refusal.code) };
        let description = format!(
            "{number}{} Trace ID: {} Correlation ID: {} Timestamp: {timestamp}",
            refusal.sentence, self.request_id, self.client_request_id
        );
        let codes = (refusal.code != 0).then_some(Json::Number(u64::from(refusal.code)));
        let uri = format!("https://login.microsoftonline.com/error?code={}", refusal.code);
        let body = Json::Object(vec![
            ("error", Json::from(refusal.error)),
            ("error_description", Json::from(description)),
            ("error_codes", Json::List(codes.into_iter().collect())),
            ("timestamp", Json::from(timestamp)),
            ("trace_id", Json::from(self.request_id.as_str())),
            ("correlation_id", Json::from(self.client_request_id.as_str())),
            ("error_uri", Json::from(uri)),
        ]);
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        self.token(status, &body)
    }

    /// An error of the managed identity endpoint (Azure docs: it has `error` and `error_description` only).
    pub(crate) fn identity_error(&self, status: u16, error: &str, description: &str) -> Response<Bytes> {
        let body =
            Json::Object(vec![("error", Json::from(error)), ("error_description", Json::from(description))]);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        self.respond(status, Some(PLAIN_JSON), body.to_bytes())
    }

    /// The blob host's answer to a write (Azure: Put Blob, response headers).
    pub(crate) fn blob_written(&self, version: &str) -> Response<Bytes> {
        let mut response = self.blob(StatusCode::CREATED, version, Vec::new());
        let letters: String = self.request_id.chars().filter(char::is_ascii_hexdigit).take(14).collect();
        set(&mut response, ETAG, &format!("\"0x8{}\"", letters.to_ascii_uppercase()));
        set(&mut response, LAST_MODIFIED, &self.http_date());
        response
    }

    /// An error of the blob host.
    pub(crate) fn blob_error(
        &self,
        status: StatusCode,
        code: &str,
        version: &str,
        body: String,
    ) -> Response<Bytes> {
        let mut response = self.blob(status, version, body.into_bytes());
        set(&mut response, CONTENT_TYPE, "application/xml");
        set(&mut response, HeaderName::from_static("x-ms-error-code"), code);
        response
    }

    fn blob(&self, status: StatusCode, version: &str, body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        set(&mut response, DATE, &self.http_date());
        set(&mut response, HeaderName::from_static("x-ms-request-id"), &self.request_id);
        set(&mut response, HeaderName::from_static("x-ms-version"), version);
        response
    }

    fn http_date(&self) -> String {
        self.now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// A page of the simulator itself.
    pub(crate) fn own(&self, status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
        self.respond(status, Some(PLAIN_JSON), body)
    }

    /// The headers every answer has (Graph docs: response headers of the samples).
    fn respond(&self, status: StatusCode, content_type: Option<&str>, body: Vec<u8>) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        if let Some(content_type) = content_type {
            set(&mut response, CONTENT_TYPE, content_type);
        }
        set(&mut response, CACHE_CONTROL, "no-store");
        set(&mut response, DATE, &http_date(self.now));
        set(&mut response, HeaderName::from_static("request-id"), &self.request_id);
        set(&mut response, HeaderName::from_static("client-request-id"), &self.client_request_id);
        response
    }
}

/// Adds `Retry-After` in seconds, rounded up.
pub(crate) fn retry_after(response: &mut Response<Bytes>, wait: std::time::Duration) {
    let seconds = wait.as_millis().div_ceil(1000);
    set(response, RETRY_AFTER, &seconds.to_string());
}

/// Sets a header. A value that is no header value cannot come up here; it would be left out.
fn set(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
