//! The little XML that the blob host speaks: error bodies, and block lists. No general reader: a block list is a fixed
//! form, anything else is refused.

use std::io::Read;

use super::answer::Envelope;
use super::blob::BlobError;
use crate::content::Content;

/// An error body (Azure: status and error codes).
pub(super) fn error(error: &BlobError, envelope: &Envelope) -> String {
    let detail = error.detail.as_ref();
    let detail = detail.map(|(name, text)| format!("<{name}>{}</{name}>", escaped(text))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}\nRequestId:{}\nTime:{}</Message>{detail}</Error>",
        error.code,
        escaped(&error.message),
        envelope.request_id,
        envelope.now.strftime("%Y-%m-%dT%H:%M:%S.%7fZ")
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The block ids of a block list, in order (Azure: Put Block List). `Committed` is read as the others are: blocks of a
/// blob that is complete are not kept, so such an id will not be found.
pub(super) fn block_list(content: &Content) -> Option<Vec<String>> {
    let mut text = String::new();
    content.open().ok()?.read_to_string(&mut text).ok()?;
    let body = text.trim_start_matches('\u{feff}').trim();
    let body = match body.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1.trim_start(),
        None => body,
    };
    let mut rest = body.strip_prefix("<BlockList>")?.strip_suffix("</BlockList>")?.trim();
    let mut ids = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('<')?.split_once('>')?;
        if !["Latest", "Uncommitted", "Committed"].contains(&name) {
            return None;
        }
        let (id, after) = after.split_once(&format!("</{name}>"))?;
        ids.push(id.trim().to_owned());
        rest = after.trim_start();
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn ids(text: &'static str) -> Option<Vec<String>> {
        block_list(&Content::Memory(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn block_lists_are_read_in_order() {
        let list = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n  <Latest>QQ==</Latest>\n\
            <Uncommitted> Qg== </Uncommitted></BlockList>\n";
        assert_eq!(ids(list), Some(vec!["QQ==".to_owned(), "Qg==".to_owned()]));
        assert_eq!(ids("<BlockList></BlockList>"), Some(Vec::new()));
        for wrong in
            ["", "<BlockList>", "<BlockList><Newest>QQ==</Newest></BlockList>", "<BlockList>x</BlockList>"]
        {
            assert_eq!(ids(wrong), None, "{wrong}");
        }
    }
}
