//! The blob host behind an upload address: Put Blob, Put Block, Put Block List (Azure Blob REST API).
//!
//! The address carries its own credential, so it is held in a type that cannot be printed, and no
//! token is ever sent there. When to ask again is decided in [`super::upload`].

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::throttle::retry_after;
use super::transport::{Transport, TransportError};
use crate::clock::Clock;

/// First version of the protocol in which Put Block takes more than 4 MiB, which we do not use; the
/// documents ask for 2015-07-08 at least.
const VERSION: &str = "2019-12-12";

/// Hosts of Azure Blob Storage. Pupils' data is sent nowhere else.
const BLOB_HOST: &str = ".blob.core.windows.net";

/// Where the files of one profile can be put, with the right to do so.
#[derive(Clone)]
pub struct UploadUrl(SecretString);

impl std::fmt::Debug for UploadUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UploadUrl")
    }
}

impl UploadUrl {
    /// Takes an address if it is one of Azure Blob Storage or, for a simulator, of `endpoint` itself.
    #[must_use]
    pub fn parse(text: &str, endpoint: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.query().is_some())?;
        let host = url.host_str()?.to_ascii_lowercase();
        let at_home = Url::parse(endpoint).is_ok_and(|endpoint| endpoint.origin() == url.origin());
        let is_safe = url.username().is_empty() && url.password().is_none();
        (is_safe && (host.ends_with(BLOB_HOST) || at_home)).then(|| Self(text.to_owned().into()))
    }

    /// Address of one file: its name stands before the query (Graph docs, uploadUrl).
    fn file(&self, name: &str, more: &str) -> String {
        let text = self.0.expose_secret();
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        format!("{}/{name}?{query}{more}", path.trim_end_matches('/'))
    }
}

/// Tells one upload of a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadId(u32);

impl UploadId {
    /// One that no other upload has.
    #[must_use]
    pub fn unique() -> Self {
        Self(uuid::Uuid::new_v4().as_fields().0)
    }
}

/// A request to the blob host that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The address is not valid any more, or never was: a new one is needed.
    #[error("the blob host does not accept the address for uploads any more")]
    Expired,
    /// A definite no.
    #[error("the blob host refused: HTTP {status}{}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        /// HTTP status.
        status: u16,
        /// The host's code, when it has the form of one.
        code: Option<String>,
    },
    /// Busy or broken; the same request can be repeated, as it does not add to what is there.
    #[error("the blob host does not answer as it should: {what}")]
    Unavailable {
        /// What was seen.
        what: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
}

/// Sends to a blob host.
#[derive(Clone, Debug)]
pub struct BlobClient {
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// The clock.
    pub clock: Clock,
    /// Deadline of a request.
    pub deadline: Duration,
}

impl BlobClient {
    /// Puts a whole small file.
    ///
    /// # Errors
    /// When the host does not take it.
    pub async fn put_blob(&self, url: &UploadUrl, name: &str, content: Bytes) -> Result<(), BlobError> {
        self.put(url.file(name, ""), content, Some("text/csv")).await
    }

    /// Puts one block of a file. It becomes part of the file with [`Self::put_block_list`]. The upload
    /// tells its blocks from those of another one, perhaps of the same file, that runs at the same time
    /// or was broken off.
    ///
    /// # Errors
    /// When the host does not take it.
    pub async fn put_block(
        &self,
        url: &UploadUrl,
        name: &str,
        (upload, number): (UploadId, u32),
        content: Bytes,
    ) -> Result<(), BlobError> {
        let more = format!("&comp=block&blockid={}", block_id(upload, number));
        self.put(url.file(name, &more), content, None).await
    }

    /// Makes the file out of the blocks 0 to `blocks` of this upload.
    ///
    /// # Errors
    /// When the host does not take it.
    pub async fn put_block_list(
        &self,
        url: &UploadUrl,
        name: &str,
        upload: UploadId,
        blocks: u32,
    ) -> Result<(), BlobError> {
        let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for number in 0..blocks {
            body.push_str("<Latest>");
            body.push_str(&block_id(upload, number));
            body.push_str("</Latest>");
        }
        body.push_str("</BlockList>");
        self.put(url.file(name, "&comp=blocklist"), Bytes::from(body), Some("application/xml")).await
    }

    async fn put(&self, address: String, content: Bytes, kind: Option<&str>) -> Result<(), BlobError> {
        let mut request = http::Request::put(address)
            .header("x-ms-version", VERSION)
            .header("x-ms-client-request-id", uuid::Uuid::new_v4().to_string())
            .header(http::header::CONTENT_LENGTH, content.len());
        if let Some(kind) = kind {
            request = request.header(http::header::CONTENT_TYPE, kind);
        }
        if kind == Some("text/csv") {
            request = request.header("x-ms-blob-type", "BlockBlob");
        }
        let request = request.body(content).map_err(|_| BlobError::Refused { status: 0, code: None })?;
        let response = self.transport.send(request, self.deadline).await.map_err(|error| {
            let (TransportError::NotConnected(what) | TransportError::NoAnswer(what)) = error;
            BlobError::Unavailable { what, retry_after: None }
        })?;
        if response.status() == StatusCode::CREATED {
            return Ok(());
        }
        Err(self.refusal(&response))
    }

    fn refusal(&self, response: &http::Response<Bytes>) -> BlobError {
        let status = response.status().as_u16();
        match status {
            403 => BlobError::Expired,
            408 | 429 | 500.. => BlobError::Unavailable {
                what: format!("HTTP {status}"),
                retry_after: retry_after(response.headers(), self.clock.wall_now()),
            },
            _ => BlobError::Refused { status, code: error_code(response) },
        }
    }
}

/// All ids of a blob must have one length (Azure Blob REST API, Put Block): the upload and seven
/// digits in base64, which then needs neither padding nor escapes.
fn block_id(upload: UploadId, number: u32) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{:08x}{number:07}", upload.0))
}

/// The host's code, from its header or from the XML of the answer, if it is a word.
fn error_code(response: &http::Response<Bytes>) -> Option<String> {
    let header = response.headers().get("x-ms-error-code").and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(response.body());
    let in_body = || {
        let (_, rest) = body.split_once("<Code>")?;
        Some(rest.split_once("</Code>")?.0)
    };
    let code = header.or_else(in_body)?;
    let is_word = !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAS: &str =
        "https://sdsexample.blob.core.windows.net/3f0b1c52?sv=2015-07-08&sr=c&sig=canary%3D&sp=w";

    #[test]
    fn the_name_of_a_file_stands_before_the_query() {
        let url = UploadUrl::parse(SAS, "https://graph.microsoft.com").unwrap();
        assert_eq!(
            url.file("student.csv", ""),
            "https://sdsexample.blob.core.windows.net/3f0b1c52/student.csv?sv=2015-07-08&sr=c&sig=canary%3D&sp=w"
        );
        assert!(!format!("{url:?}").contains("canary"));
    }

    #[test]
    fn pupils_data_goes_to_blob_hosts_alone() {
        let take = |text: &str| UploadUrl::parse(text, "https://127.0.0.1:8443").is_some();
        assert!(take(SAS));
        assert!(take("https://127.0.0.1:8443/_blobs/1?sig=x"));
        for wrong in [
            "http://sdsexample.blob.core.windows.net/1?sig=x",
            "https://blob.core.windows.net.evil.example/1?sig=x",
            "https://sdsexample.blob.core.windows.net.evil.example/1?sig=x",
            "https://evil.example/1?sig=x",
            "https://127.0.0.1:8444/1?sig=x",
            "https://user@sdsexample.blob.core.windows.net/1?sig=x",
            "https://sdsexample.blob.core.windows.net/1",
            "nonsense",
        ] {
            assert!(!take(wrong), "{wrong}");
        }
    }

    #[test]
    fn block_ids_have_one_length_and_no_padding() {
        assert_eq!(block_id(UploadId(255), 0), "MDAwMDAwZmYwMDAwMDAw");
        assert_eq!(block_id(UploadId(255), 49_999), "MDAwMDAwZmYwMDQ5OTk5");
        assert_ne!(block_id(UploadId::unique(), 0), block_id(UploadId::unique(), 0));
    }

    #[test]
    fn a_code_is_found_in_header_or_body() {
        let body =
            "<?xml version=\"1.0\"?><Error><Code>InvalidBlobType</Code><Message>Anna</Message></Error>";
        let mut response = http::Response::new(Bytes::from(body));
        assert_eq!(error_code(&response).as_deref(), Some("InvalidBlobType"));
        response.headers_mut().insert("x-ms-error-code", http::HeaderValue::from_static("ServerBusy"));
        assert_eq!(error_code(&response).as_deref(), Some("ServerBusy"));
        assert_eq!(error_code(&http::Response::new(Bytes::from("<Code>An na</Code>"))), None);
    }
}
