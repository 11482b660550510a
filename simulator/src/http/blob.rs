//! The blob host behind `uploadUrl`: Put Blob, Put Block, Put Block List under a shared access signature that can only
//! write. Who may write and what is kept is the model's business; the XML is in `blob_xml`.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use jiff::Timestamp;

use super::answer::Envelope;
use super::{Incoming, Payload, blob_xml, header};
use crate::content::Content;
use crate::model::Model;
use crate::model::uploads::{BadGrant, Grant, Shown, expiry};

/// Version of the signature in every URL, and the oldest `x-ms-version` that is taken (Azure: create a service SAS).
const SAS_VERSION: &str = "2015-07-08";
const MIB: u64 = 1024 * 1024;
/// A list of as many blocks as a blob may have, 50,000 of them (Azure: Put Block List), fits well.
const LARGEST_LIST: u64 = 16 * MIB;

/// What a blob request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The container; it is named after the profile.
    pub(crate) container: String,
    /// The blob; empty when the request is about the container.
    pub(crate) blob: String,
}

/// A refusal of the blob host (Azure: blob service error codes).
#[derive(Debug)]
pub(crate) struct BlobError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// An element after the message: its name and text.
    pub(crate) detail: Option<(&'static str, String)>,
}

impl BlobError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    fn with(self, element: &'static str, text: impl Into<String>) -> Self {
        Self { detail: Some((element, text.into())), ..self }
    }

    fn bad(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn missing_header(name: &str) -> Self {
        let message = "An HTTP header that's mandatory for this request is not specified.";
        Self::bad("MissingRequiredHeader", message).with("HeaderName", name)
    }

    fn header_value(name: &str) -> Self {
        let message = "The value for one of the HTTP headers is not in the correct format.";
        Self::bad("InvalidHeaderValue", message).with("HeaderName", name)
    }

    fn authentication(why: &str) -> Self {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
        Self::new(StatusCode::FORBIDDEN, "AuthenticationFailed", message)
            .with("AuthenticationErrorDetail", why)
    }
}

/// A write that may go ahead once its body is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Blob,
    Block(String),
    List,
}

/// The URL of a container with its shared access signature (Graph docs: educationSynchronizationProfile: uploadUrl).
pub(crate) fn container_url(authority: &str, container: &str, grant: &Grant) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!(
        "https://{authority}/_blobs/{container}?sv={SAS_VERSION}&sr=c&si={}&sig={}&se={}&sp=w",
        grant.policy,
        encoded(&grant.signature),
        encoded(&expiry(grant.expires))
    )
}

/// The parameters of a query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Everything that can be decided before the body is read.
pub(crate) fn admit(
    model: &Model,
    target: &Target,
    incoming: &Incoming<'_>,
    now: Timestamp,
) -> Result<Write, BlobError> {
    if incoming.headers.contains_key(http::header::AUTHORIZATION) {
        // The URL is the credential; a bearer token for Graph has no business at a blob host.
        let message = "The authentication information was not provided in the correct format. Verify the value of Authorization header: a URL with a shared access signature needs none.";
        return Err(BlobError::bad("InvalidAuthenticationInfo", message));
    }
    let query = url::form_urlencoded::parse(incoming.query.unwrap_or("").as_bytes());
    let query = Query(query.into_owned().collect());
    check_signature(model, &target.container, &query, now)?;
    match *incoming.method {
        Method::PUT if !target.blob.is_empty() => {}
        Method::GET | Method::HEAD | Method::DELETE | Method::PUT => {
            let message = "This request is not authorized to perform this operation using this permission.";
            return Err(BlobError::new(StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch", message));
        }
        _ => {
            let message = "The resource doesn't support the specified HTTP verb.";
            return Err(BlobError::new(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", message));
        }
    }
    let write = operation(&query)?;
    check_headers(&write, incoming)?;
    let only_new = header(incoming.headers, "if-none-match") == Some("*");
    if only_new && !matches!(write, Write::Block(_)) && model.has_blob(&target.container, &target.blob) {
        let message = "The specified blob already exists.";
        return Err(BlobError::new(StatusCode::CONFLICT, "BlobAlreadyExists", message));
    }
    Ok(write)
}

/// A signature is good when every part of it is as it was issued, and not expired.
fn check_signature(model: &Model, container: &str, query: &Query, now: Timestamp) -> Result<(), BlobError> {
    let forged = || BlobError::authentication("Signature did not match. String to sign used was altered.");
    let fixed = [("sv", SAS_VERSION), ("sr", "c"), ("sp", "w")];
    if fixed.into_iter().any(|(name, value)| query.get(name) != Some(value)) {
        return Err(forged());
    }
    let shown = query.get("si").zip(query.get("sig")).zip(query.get("se"));
    let ((policy, signature), expires) = shown.ok_or_else(forged)?;
    model.check_grant(container, &Shown { policy, signature, expires }, now).map_err(|bad| match bad {
        BadGrant::Forged => forged(),
        BadGrant::Expired => BlobError::authentication(&format!(
            "Signature not valid in the specified time frame: Expiry [{expires}] - Current [{}]",
            expiry(now)
        )),
    })
}

fn operation(query: &Query) -> Result<Write, BlobError> {
    let wrong = |name: &str| {
        let message = "Value for one of the query parameters specified in the request URI is invalid.";
        Err(BlobError::bad("InvalidQueryParameterValue", message).with("QueryParameterName", name))
    };
    match query.get("comp") {
        None => Ok(Write::Blob),
        Some("blocklist") => Ok(Write::List),
        Some("block") => match query.get("blockid") {
            Some(id) if is_block_id(id) => Ok(Write::Block(id.to_owned())),
            _ => wrong("blockid"),
        },
        Some(_) => wrong("comp"),
    }
}

/// Base64 of at most 64 bytes (Azure: Put Block).
fn is_block_id(id: &str) -> bool {
    let plain = id.trim_end_matches('=');
    let letters = plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    !plain.is_empty()
        && id.len() <= 88
        && id.len().is_multiple_of(4)
        && id.len() - plain.len() <= 2
        && letters
}

/// Azure: Put Blob, Put Block, Put Block List, request headers.
fn check_headers(write: &Write, incoming: &Incoming<'_>) -> Result<(), BlobError> {
    let version = header(incoming.headers, "x-ms-version");
    let version = version.ok_or_else(|| BlobError::missing_header("x-ms-version"))?;
    let date = version.parse::<jiff::civil::Date>().ok().filter(|date| date.to_string() == version);
    // Dates of this form sort as texts do.
    if date.is_none() || version < SAS_VERSION {
        return Err(BlobError::header_value("x-ms-version"));
    }
    if *write == Write::Blob {
        match header(incoming.headers, "x-ms-blob-type") {
            None => return Err(BlobError::missing_header("x-ms-blob-type")),
            Some("BlockBlob") => {}
            Some(_) => return Err(BlobError::header_value("x-ms-blob-type")),
        }
    }
    let Some(length) = header(incoming.headers, "content-length") else {
        let message = "The content length header was not specified.";
        return Err(BlobError::new(StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader", message));
    };
    let length: u64 = length.parse().map_err(|_| BlobError::header_value("Content-Length"))?;
    let largest = largest(write, version);
    if length > largest {
        let message = "The request body is too large and exceeds the maximum permissible limit.";
        return Err(BlobError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", message)
            .with("MaxLimit", largest.to_string()));
    }
    Ok(())
}

/// Azure: scalability targets of Put Blob and Put Block, which grew with `x-ms-version`.
fn largest(write: &Write, version: &str) -> u64 {
    let sizes = match write {
        Write::Blob => [64, 256, 5000],
        Write::Block(_) => [4, 100, 4000],
        Write::List => return LARGEST_LIST,
    };
    let [old, middle, new] = sizes;
    let size = match () {
        () if version >= "2019-12-12" => new,
        () if version >= "2016-05-31" => middle,
        () => old,
    };
    size * MIB
}

/// Answers a blob request whose body has been read, or was not worth reading.
pub(crate) fn answer(
    model: &mut Model,
    target: &Target,
    incoming: &Incoming<'_>,
    payload: Payload,
    envelope: &Envelope,
) -> Response<Bytes> {
    let done =
        admit(model, target, incoming, envelope.now).and_then(|write| keep(model, target, write, payload));
    let version = header(incoming.headers, "x-ms-version").unwrap_or(SAS_VERSION);
    match done {
        Ok(()) => envelope.blob_written(version),
        Err(error) => {
            envelope.blob_error(error.status, error.code, version, blob_xml::error(&error, envelope))
        }
    }
}

/// An answer that a fault ordered, by status (Azure Storage: common and blob service error codes).
pub(super) fn ordered(status: u16, envelope: &Envelope) -> Response<Bytes> {
    let (code, message) = match status {
        401 => ("NoAuthenticationInformation", "Server failed to authenticate the request."),
        403 => ("AuthenticationFailed", "Server failed to authenticate the request."),
        404 => ("ContainerNotFound", "The specified container does not exist."),
        405 => ("UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb."),
        409 => ("ContainerBeingDeleted", "The specified container is being deleted."),
        411 => ("MissingContentLengthHeader", "The content length header was not specified."),
        412 => ("ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."),
        413 => (
            "RequestBodyTooLarge",
            "The request body is too large and exceeds the maximum permissible limit.",
        ),
        429 | 503 => ("ServerBusy", "The server is currently unable to receive requests."),
        504 => ("OperationTimedOut", "The operation could not be completed within the permitted time."),
        500.. => ("InternalError", "The server encountered an internal error. Please retry the request."),
        _ => ("InvalidInput", "One of the request inputs is not valid."),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let error = BlobError::new(status, code, message);
    envelope.blob_error(status, code, SAS_VERSION, blob_xml::error(&error, envelope))
}

fn keep(model: &mut Model, target: &Target, write: Write, payload: Payload) -> Result<(), BlobError> {
    let Target { container, blob } = target;
    let content = match payload {
        Payload::Memory(bytes) => Content::Memory(bytes),
        Payload::Spooled(content) => content,
        Payload::Unread => {
            let message = "The server is currently unable to receive requests. Please retry your request.";
            return Err(BlobError::new(StatusCode::SERVICE_UNAVAILABLE, "ServerBusy", message));
        }
    };
    match write {
        Write::Blob => model.put_blob(container, blob, content),
        Write::Block(id) => {
            if !model.put_block(container, blob, &id, content) {
                return Err(BlobError::bad(
                    "InvalidBlobOrBlock",
                    "The specified blob or block content is invalid.",
                ));
            }
        }
        Write::List => {
            let ids = blob_xml::block_list(&content).ok_or_else(|| {
                BlobError::bad("InvalidXmlDocument", "XML specified is not syntactically valid.")
            })?;
            if !model.commit_blocks(container, blob, &ids) {
                return Err(BlobError::bad("InvalidBlockList", "The specified block list is invalid."));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grew_with_the_version() {
        assert_eq!(largest(&Write::Blob, "2015-07-08"), 64 * MIB);
        assert_eq!(largest(&Write::Blob, "2018-11-09"), 256 * MIB);
        assert_eq!(largest(&Write::Blob, "2021-08-06"), 5000 * MIB);
        assert_eq!(largest(&Write::Block(String::new()), "2015-12-11"), 4 * MIB);
    }

    #[test]
    fn block_ids_are_base64() {
        assert!(is_block_id("AAAA") && is_block_id("YmxvY2stMQ=="));
        assert!(!is_block_id("AAA") && !is_block_id("A A=") && !is_block_id("====") && !is_block_id(""));
    }
}
