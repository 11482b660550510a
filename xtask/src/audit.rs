//! What the API server did for whom: its audit log, read into values. This counts requests exactly where a log of the
//! client's own would only say what the client meant to do. Starts and configures nothing: that is `control_plane`'s.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;

/// The verbs that change something.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// One answered request for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who asked, for instance `system:serviceaccount:edusync-system:edusync`.
    pub user: String,
    /// The verb as RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// The plural name of the resource, without its API group: `educationsyncprofiles`.
    pub resource: String,
    /// For instance `status`.
    pub subresource: Option<String>,
    /// The namespace, for a resource that has one.
    pub namespace: Option<String>,
    /// The name; a list, and an object that the server names itself, have none.
    pub name: Option<String>,
    /// Status of the answer.
    pub code: u16,
    /// When the request arrived.
    pub time: Timestamp,
}

impl Entry {
    /// Whether the request was one that changes something. It may have been refused all the same: see `code`.
    #[must_use]
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.verb.as_str())
    }
}

/// Reads the log of a running or a stopped API server: every answered request for a resource, oldest answer first. A
/// watch is answered when it ends. Requests that are for no resource, such as `/readyz`, are left out.
///
/// # Errors
///
/// When the file cannot be read, or holds something else than an audit log.
pub fn read(path: &Path) -> Result<Vec<Entry>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read the audit log {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no audit log of Kubernetes", path.display()))
}

/// Reads a part of the log that begins with a line, for whoever follows it while it grows.
///
/// # Errors
///
/// When it holds something else than lines of an audit log.
pub fn parse(text: &str) -> Result<Vec<Entry>> {
    // The server may be in the middle of a line: what follows the last line break is not there yet.
    let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(whole.lines()) {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("line {number} is no event"))?;
        entries.extend(event.into_entry());
    }
    Ok(entries)
}

/// The part of `audit.k8s.io/v1` that is of use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<ObjectReference>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct ObjectReference {
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    code: Option<u16>,
}

impl Event {
    fn into_entry(self) -> Option<Entry> {
        let object = self.object_ref.filter(|_| self.stage == "ResponseComplete")?;
        Some(Entry {
            user: self.user.username,
            verb: self.verb,
            resource: object.resource?,
            subresource: object.subresource,
            namespace: object.namespace,
            name: object.name,
            code: self.response_status.and_then(|status| status.code)?,
            time: self.request_received_timestamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"b","stage":"ResponseComplete","requestURI":"/apis/edusync.dev/v1alpha1/namespaces/school/educationsyncprofiles/a/status","verb":"patch","user":{"username":"system:serviceaccount:edusync-system:edusync","groups":["system:authenticated"]},"objectRef":{"resource":"educationsyncprofiles","namespace":"school","name":"a","apiGroup":"edusync.dev","apiVersion":"v1alpha1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-22T03:00:00.123456Z","stageTimestamp":"2026-11-22T03:00:00.130000Z"}"#;

    #[test]
    fn an_answered_request_becomes_an_entry() {
        let entries = parse(&format!("{PATCH}\n")).unwrap();
        let expected = Entry {
            user: "system:serviceaccount:edusync-system:edusync".to_owned(),
            verb: "patch".to_owned(),
            resource: "educationsyncprofiles".to_owned(),
            subresource: Some("status".to_owned()),
            namespace: Some("school".to_owned()),
            name: Some("a".to_owned()),
            code: 200,
            time: "2026-11-22T03:00:00.123456Z".parse().unwrap(),
        };
        assert_eq!(entries, [expected]);
        assert!(entries[0].is_write());
    }

    #[test]
    fn other_stages_other_paths_and_half_a_line_are_left_out() {
        let received = PATCH.replace("ResponseComplete", "RequestReceived");
        let ready = r#"{"stage":"ResponseComplete","verb":"get","user":{"username":"admin"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-11-22T03:00:00Z"}"#;
        let half = PATCH.get(..40).unwrap();
        assert_eq!(parse(&format!("{received}\n{ready}\n{half}")).unwrap(), []);
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn something_else_is_refused() {
        let error = parse("W1122 a line of the server's log\n").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error:#}");
    }
}
