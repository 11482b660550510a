//! A request as the calls look at it: what it says, and where its body is. Nothing is decided about it here.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method};

use super::answer::UNKNOWN_MEMBERS;
use crate::content::Content;

/// One request, as far as the calls look at it.
pub(crate) struct Incoming<'a> {
    pub(super) method: &'a Method,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Host and port the caller used; links in answers start with it.
    pub(super) authority: String,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(parts: &'a http::request::Parts, body: &'a [u8]) -> Self {
        Incoming {
            method: &parts.method,
            query: parts.uri.query(),
            headers: &parts.headers,
            body,
            authority: authority(parts),
        }
    }

    /// Whether the caller asks for members of enumerations that it may not know.
    pub(super) fn unknown_members(&self) -> bool {
        let lines = self.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        lines
            .flat_map(|line| line.split([',', ';']))
            .any(|one| one.trim().eq_ignore_ascii_case(UNKNOWN_MEMBERS))
    }
}

/// The body of a request.
pub(crate) enum Payload {
    Memory(Bytes),
    /// An upload.
    Spooled(Content),
    /// An upload that was refused before it was read.
    Unread,
}

/// What to do with the body of a request that has not been read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Read it into memory.
    Memory,
    /// It is an upload, perhaps of gigabytes, and will be taken.
    Spool,
    /// It is an upload that will be refused.
    Skip,
}

/// A header that is there and not empty.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The media type of the body in lower case, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|essence| essence.trim().to_ascii_lowercase())
}

/// Host and port the caller used. It ends up in links, so anything that is no authority is not repeated.
fn authority(parts: &http::request::Parts) -> String {
    let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let parsed = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let found = parts.uri.authority().cloned().or(parsed);
    found.map_or_else(|| "localhost".to_owned(), |authority| authority.to_string())
}
