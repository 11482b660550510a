//! Counts what the operator did, by what the servers have written down: calls by the simulator's log, requests to
//! Kubernetes by the API server's audit log. The operator is not asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use xtask::audit::{self, Entry};
use xtask::follow::Follow;
use xtask::numbers::count;

use crate::commands::parts::OPERATOR;
use crate::commands::portal;

/// Everything that is known by now, in the order in which it was answered.
pub(super) struct Meter {
    graph_log: Follow,
    audit_log: Follow,
    calls: Vec<Call>,
    requests: Vec<Entry>,
}

/// A call of the operator to Graph or to the token service.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Call {
    #[serde(rename = "timestamp")]
    pub(super) answered: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) operation: String,
    pub(super) tenant: Option<String>,
    /// How long the answer took, in milliseconds, rounded down.
    ms: u64,
    client_request_id: Option<String>,
}

impl Call {
    pub(super) fn is_token(&self) -> bool {
        self.operation == "token"
    }

    pub(super) fn is_list(&self) -> bool {
        self.operation == "list" || self.operation == "list.page"
    }

    /// When it came, to the millisecond; not earlier.
    pub(super) fn came(&self) -> Timestamp {
        let took = SignedDuration::from_millis(i64::try_from(self.ms).unwrap_or(i64::MAX));
        self.answered.checked_sub(took).unwrap_or(self.answered)
    }
}

/// What happened within a stretch of time.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// To Graph and to the token service.
    pub(super) calls: Vec<Call>,
    /// To Kubernetes, by the operator.
    pub(super) requests: Vec<Entry>,
    /// To Kubernetes, by everybody else.
    pub(super) others: Vec<Entry>,
}

impl Meter {
    pub(super) fn new(graph_log: PathBuf, audit_log: PathBuf) -> Self {
        Self {
            graph_log: Follow::new(graph_log),
            audit_log: Follow::new(audit_log),
            calls: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Reads what is new in both logs.
    fn read(&mut self) -> Result<()> {
        for line in self.graph_log.news()?.lines() {
            // Other lines tell of the simulator itself.
            let Ok(call) = serde_json::from_str::<Call>(line) else { continue };
            if call.client_request_id.as_deref() != Some(portal::MARK) {
                self.calls.push(call);
            }
        }
        self.requests.extend(audit::parse(&self.audit_log.news()?)?);
        Ok(())
    }

    /// When the operator wrote last, but for its lease.
    pub(super) fn last_write(&mut self) -> Result<Option<Timestamp>> {
        self.read()?;
        let is_own = |entry: &&Entry| entry.user == OPERATOR && is_counted(entry);
        Ok(self.requests.iter().rev().find(is_own).map(|entry| entry.time))
    }

    /// How many lists have begun since this moment; their further pages are not counted.
    pub(super) fn lists_since(&mut self, from: Timestamp) -> Result<f64> {
        self.read()?;
        let new = self.calls.iter().rev().take_while(|call| call.answered >= from);
        Ok(count(new.filter(|call| call.operation == "list").count()))
    }

    /// Forgets what came before this moment.
    pub(super) fn forget_before(&mut self, from: Timestamp) -> Result<()> {
        self.read()?;
        self.calls.retain(|call| call.answered >= from);
        self.requests.retain(|entry| entry.time >= from);
        Ok(())
    }

    /// What has happened since this moment.
    pub(super) fn since(&mut self, from: Timestamp) -> Result<Account> {
        self.read()?;
        let requests = self.requests.iter().filter(|entry| entry.time >= from).cloned();
        let (own, others) = requests.partition(|entry| entry.user == OPERATOR);
        let calls = self.calls.iter().filter(|call| call.answered >= from).cloned();
        Ok(Account { calls: calls.collect(), requests: own, others })
    }
}

impl Account {
    /// Only what came within `length` from `from` on.
    pub(super) fn within(&self, from: Timestamp, length: Duration) -> Self {
        let until = from.checked_add(length).unwrap_or(Timestamp::MAX);
        let holds = |time: Timestamp| time >= from && time < until;
        let entries = |all: &[Entry]| all.iter().filter(|entry| holds(entry.time)).cloned().collect();
        Self {
            calls: self.calls.iter().filter(|call| holds(call.came())).cloned().collect(),
            requests: entries(&self.requests),
            others: entries(&self.others),
        }
    }

    /// Calls to Graph, without tokens.
    pub(super) fn graph(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| !call.is_token())
    }

    /// How many calls to Graph, without tokens, satisfy this.
    pub(super) fn calls(&self, holds: impl Fn(&Call) -> bool) -> f64 {
        count(self.graph().filter(|call| holds(call)).count())
    }

    /// Requests for tokens.
    pub(super) fn tokens(&self) -> f64 {
        count(self.calls.iter().filter(|call| call.is_token()).count())
    }

    /// Writes that were carried out or refused, but for renewals of the lease.
    pub(super) fn writes(&self) -> impl Iterator<Item = &Entry> {
        self.requests.iter().filter(|entry| is_counted(entry))
    }

    /// Writes to resources of this kind: `educationsyncprofiles`.
    pub(super) fn writes_to(&self, resource: &str) -> f64 {
        count(self.writes().filter(|entry| entry.resource == resource).count())
    }

    /// What was written to each profile, in order: `patch`, `update status`.
    pub(super) fn writes_by_profile(&self) -> BTreeMap<String, Vec<String>> {
        let mut by_profile = BTreeMap::<String, Vec<String>>::new();
        for entry in self.writes().filter(|entry| entry.resource == "educationsyncprofiles") {
            let (Some(namespace), Some(name)) = (&entry.namespace, &entry.name) else { continue };
            let what = match &entry.subresource {
                Some(part) => format!("{} {part}", entry.verb),
                None => entry.verb.clone(),
            };
            by_profile.entry(format!("{namespace}/{name}")).or_default().push(what);
        }
        by_profile
    }

    /// When people's writes to profiles were taken, by namespace and name: the first one of each.
    pub(super) fn applied(&self) -> BTreeMap<String, Timestamp> {
        let mut applied = BTreeMap::new();
        let theirs = self.others.iter().filter(|entry| entry.is_write() && entry.code < 300);
        for entry in theirs.filter(|entry| entry.resource == "educationsyncprofiles") {
            if let (Some(namespace), Some(name)) = (&entry.namespace, &entry.name) {
                applied.entry(format!("{namespace}/{name}")).or_insert(entry.time);
            }
        }
        applied
    }

    /// How many requests were answered with this status.
    pub(super) fn answered_with(&self, code: u16) -> f64 {
        count(self.requests.iter().filter(|entry| entry.code == code).count())
    }
}

/// Is it a write that somebody else can see? A question about one's own rights is sent as one, and leaves nothing; the lease
/// is renewed all the time, whatever there is to do.
fn is_counted(entry: &Entry) -> bool {
    entry.is_write() && entry.resource != "leases" && entry.resource != "selfsubjectaccessreviews"
}

/// What comes so soon after an answer was sent by one who had not read that yet.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_millis(50);

/// Calls to a tenant that came while an earlier answer had asked it to wait for so long; and those of them that were on
/// their way when it was given, which are not among the first.
pub(super) fn calls_despite_retry_after(calls: &[Call], wait: Duration) -> (usize, usize) {
    let mut closed = BTreeMap::<&str, (Timestamp, Timestamp)>::new();
    let (mut despite, mut on_their_way) = (0, 0);
    for call in calls.iter().filter(|call| !call.is_token()) {
        let tenant = call.tenant.as_deref().unwrap_or_default();
        // The first answer of a wait is what the caller knows it by.
        let waits_since = closed.get(tenant).filter(|(_, until)| call.came() < *until).map(|(from, _)| *from);
        if let Some(from) = waits_since.filter(|from| call.came() > *from) {
            let is_on_its_way = call.came().duration_since(from) <= ON_ITS_WAY;
            *(if is_on_its_way { &mut on_their_way } else { &mut despite }) += 1;
        }
        if call.status == 429 {
            let until = call.answered.checked_add(wait).unwrap_or(call.answered);
            closed.insert(tenant, (waits_since.unwrap_or(call.answered), until));
        }
    }
    (despite, on_their_way)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(answered: &str, tenant: &str, status: u16, ms: u64) -> Call {
        Call {
            answered: answered.parse().unwrap(),
            method: "GET".to_owned(),
            path: "/beta".to_owned(),
            status,
            operation: "list".to_owned(),
            tenant: Some(tenant.to_owned()),
            ms,
            client_request_id: None,
        }
    }

    #[test]
    fn a_call_that_comes_too_early_is_found_and_one_under_way_is_not() {
        let calls = [
            call("2026-11-22T00:00:00.100Z", "a", 429, 1),
            call("2026-11-22T00:00:00.150Z", "a", 429, 80),
            call("2026-11-22T00:00:05Z", "b", 200, 1),
            call("2026-11-22T00:00:10.2Z", "a", 200, 1),
        ];
        assert_eq!(calls_despite_retry_after(&calls, Duration::from_secs(10)), (0, 0));
        let mut early = calls.to_vec();
        early.push(call("2026-11-22T00:00:10.1Z", "b", 429, 1));
        early.push(call("2026-11-22T00:00:12Z", "b", 200, 1));
        early.push(call("2026-11-22T00:00:12.040Z", "b", 429, 1));
        early.push(call("2026-11-22T00:00:12.140Z", "b", 429, 1));
        assert_eq!(
            calls_despite_retry_after(&early, Duration::from_secs(10)),
            (3, 0),
            "it is known for long"
        );
        let mut at_once = calls.to_vec();
        at_once.push(call("2026-11-22T00:00:10.1Z", "b", 429, 1));
        at_once.push(call("2026-11-22T00:00:10.140Z", "b", 429, 1));
        at_once.push(call("2026-11-22T00:00:10.190Z", "b", 429, 1));
        assert_eq!(calls_despite_retry_after(&at_once, Duration::from_secs(10)), (1, 1));
    }

    #[test]
    fn a_line_of_the_simulator_is_a_call() {
        let line = r#"{"timestamp":"2026-11-22T18:00:00.5Z","level":"INFO","message":"answered","number":7,"method":"GET","path":"/beta/education/synchronizationProfiles","status":200,"operation":"list","tenant":"t","ms":3,"request_id":"x","target":"graph_simulator"}"#;
        let call: Call = serde_json::from_str(line).unwrap();
        assert!(call.is_list() && !call.is_token());
        assert_eq!(call.came().to_string(), "2026-11-22T18:00:00.497Z");
    }
}
