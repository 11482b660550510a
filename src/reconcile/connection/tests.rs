//! What is said of a connection, as tables: the verdict, the status, and how often its number is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::health::{self, Health, Sight};
use super::status::{Credentials, Facts, Said, in_use, is_writable, status};
use super::users::Users;
use crate::api::GraphConnection;
use crate::api::conditions::{EXPIRING_SOON, READY, Reason, STALLED, WRITABLE};
use crate::api::connection::{Access, Dialect, GraphConnectionStatus};
use crate::auth::AuthError;
use crate::graph::access::Shown;
use crate::graph::{CallIds, GraphError, RemoteProfile};
use crate::poller::{Snapshot, View};
use crate::reconcile::claims::Tenant;
use crate::reconcile::cluster::Key;
use crate::reconcile::observation::ConnectionFacts;

const REST: Duration = Duration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

fn list(names: &[&str]) -> View {
    let profiles: BTreeMap<_, _> = names
        .iter()
        .map(|name| {
            let profile = json!({"id": name, "displayName": name, "state": "provisioned"});
            ((*name).to_owned(), RemoteProfile::read(&profile).unwrap())
        })
        .collect();
    let snapshot = Some(Arc::new(Snapshot::new(at(0), at(0), profiles)));
    View { snapshot, ..View::default() }
}

fn failed(error: GraphError, since: i64) -> View {
    View { failure: Some(error), failing_since: Some(at(since)), ..View::default() }
}

fn throttled() -> GraphError {
    GraphError::Throttled { retry_after: Some(Duration::from_secs(5)), ids: CallIds::default() }
}

fn seen(view: View) -> Sight {
    Sight { view, closed_until: None, rest: REST, alive: 0, missing: 0, lost: false, now: at(0) }
}

fn told(health: Option<&Health>) -> Option<(Reason, &str)> {
    match health? {
        Health::Well(_) => Some((Reason::Connected, "")),
        Health::Ailing(reason, message) | Health::Broken(reason, message) => Some((*reason, message)),
    }
}

fn reason(sight: &Sight) -> Option<Reason> {
    told(health::of(sight).as_ref()).map(|(reason, _)| reason)
}

#[test]
fn a_connection_stands_as_the_newest_list_says() {
    assert_eq!(reason(&seen(View::default())), None, "nothing is known yet");
    assert_eq!(health::of(&seen(list(&[]))), Some(Health::Well(None)));
    let retired = GraphError::Retired { status: 410, ids: CallIds::default() };
    assert_eq!(reason(&seen(failed(retired, 0))), Some(Reason::UpstreamRetired));
    let away = GraphError::NotConnected("nobody is there".to_owned());
    assert_eq!(reason(&seen(failed(away, 0))), Some(Reason::UpstreamUnavailable));
}

#[test]
fn a_list_that_lacks_what_is_known_to_be_alive_is_suspicious() {
    let of = |names: &[&str], alive, missing| {
        let sight = Sight { alive, missing, ..seen(list(names)) };
        health::of(&sight).unwrap()
    };
    assert_eq!(of(&["a", "b"], 2, 0), Health::Well(None));
    assert_eq!(of(&["a", "b"], 3, 1), Health::Well(None), "somebody may have deleted one");
    for (suspicious, what) in
        [(of(&[], 1, 1), "lists no profile at all, although 1 "), (of(&["a"], 3, 2), "lacks 2 of 3 profiles")]
    {
        let (reason, message) = told(Some(&suspicious)).unwrap();
        assert_eq!(reason, Reason::UpstreamEmpty);
        assert!(message.contains(what), "{message}");
        assert!(matches!(suspicious, Health::Broken(..)), "a person should look");
    }
}

#[test]
fn a_short_wait_is_not_worth_saying_and_a_long_one_has_its_end() {
    let sight = |closed: Option<i64>, since: i64, now: i64| Sight {
        closed_until: closed.map(at),
        now: at(now),
        ..seen(failed(throttled(), since))
    };
    assert_eq!(reason(&sight(Some(60), 0, 0)), None, "it is over by the next list");
    assert_eq!(reason(&sight(None, 0, 119)), None, "the next list is on its way");
    let again = health::of(&sight(Some(130), 0, 120));
    let (reason_of_it, message) = told(again.as_ref()).unwrap();
    assert_eq!(reason_of_it, Reason::Throttled);
    assert!(message.contains(&format!("again and again since {}", at(0))), "{message}");
    assert_eq!(again, health::of(&sight(None, 0, 500)), "it stays the same sentence");

    let long = health::of(&sight(Some(600), 0, 0));
    let (reason_of_it, message) = told(long.as_ref()).unwrap();
    assert_eq!(reason_of_it, Reason::Throttled);
    assert!(message.contains(&format!("until {}", at(600))), "{message}");
    assert_eq!(long, health::of(&sight(Some(600), 0, 300)), "it stays the same sentence");
    let well = Sight { closed_until: Some(at(600)), ..seen(list(&[])) };
    assert_eq!(reason(&well), Some(Reason::Throttled), "a change was told to wait, and no list was");
}

fn connection(status: GraphConnectionStatus) -> GraphConnection {
    let mut connection: GraphConnection = serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
        "metadata": {"name": "default", "namespace": "school", "uid": "uid", "generation": 1},
        "spec": {
            "tenantId": "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a",
            "application": {"clientId": "app", "certificateRef": {"name": "tls"}}
        }
    }))
    .unwrap();
    connection.status = Some(status);
    connection
}

fn credentials(version: &str, write: Option<Shown>) -> Credentials {
    let tenant = Tenant::new("https://graph.example", "t");
    Credentials {
        facts: ConnectionFacts {
            tenant,
            dialect: Dialect::Beta,
            fingerprint: version.to_owned(),
            delegated: true,
        },
        certificate_end: None,
        read: Some(Access::Allowed),
        write,
    }
}

fn facts(credentials: Credentials) -> Facts {
    Facts {
        health: Some(Health::Well(None)),
        credentials: Some(credentials),
        profiles: 3,
        now: at(0),
        wall_now: at(0),
    }
}

fn after(before: GraphConnectionStatus, version: &str, write: Option<Shown>) -> Said {
    status(&connection(before), &facts(credentials(version, write)))
}

fn condition<'a>(status: &'a GraphConnectionStatus, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((&found.status, &found.reason, &found.message))
}

fn write_of(status: &GraphConnectionStatus) -> Access {
    status.permissions.unwrap().write
}

fn no_token() -> Shown {
    let body = br#"{"error":"invalid_grant","error_codes":[700082]}"#;
    Shown::NoToken(AuthError::from_answer(400, body, None))
}

fn refused(status: u16) -> Shown {
    Shown::Refused { status, code: Some("Authorization_RequestDenied".to_owned()) }
}

#[test]
fn nothing_is_written_at_rest() {
    for shown in [None, Some(Shown::Token), Some(Shown::Permitted), Some(no_token()), Some(refused(403))] {
        let first = after(GraphConnectionStatus::default(), "1", shown.clone()).status;
        let mut later = facts(credentials("1", shown));
        (later.now, later.wall_now) = (at(86_400), at(86_400));
        let again = status(&connection(first.clone()), &later);
        assert_eq!(again.status, first);
        assert!(again.notices.is_empty(), "{:?}", again.notices);
    }
}

#[test]
fn what_use_has_shown_outlives_the_process_but_not_the_credentials() {
    let unused = after(GraphConnectionStatus::default(), "1", None).status;
    assert_eq!(unused.permissions.unwrap().read, Access::Allowed);
    assert_eq!((write_of(&unused), condition(&unused, WRITABLE)), (Access::Unknown, None));
    let used = after(unused, "1", Some(Shown::Permitted));
    assert_eq!(write_of(&used.status), Access::Allowed);
    assert_eq!(condition(&used.status, WRITABLE).unwrap().0, "True");
    assert!(used.notices.is_empty(), "all is well");
    let restarted = after(used.status.clone(), "1", None).status;
    assert_eq!(restarted, used.status);
    let replaced = after(used.status, "2", None).status;
    assert_eq!((write_of(&replaced), condition(&replaced, WRITABLE)), (Access::Unknown, None));
    assert_eq!(replaced.credentials.unwrap().version, "2");
}

#[test]
fn a_list_that_fails_shows_what_it_shows() {
    let mut reads = credentials("1", None);
    let used = status(&connection(GraphConnectionStatus::default()), &facts(credentials("1", None))).status;
    reads.read = None;
    let away = status(&connection(used.clone()), &facts(reads)).status;
    assert_eq!(away.permissions.unwrap().read, Access::Allowed, "an outage takes no right away");
    let mut reads = credentials("1", None);
    reads.read = Some(Access::Forbidden);
    let forbidden = status(&connection(used), &facts(reads)).status;
    assert_eq!(forbidden.permissions.unwrap().read, Access::Forbidden);
}

#[test]
fn a_refused_administrator_shows_beside_a_ready_connection() {
    let said = after(GraphConnectionStatus::default(), "1", Some(no_token()));
    let (holds, reason, message) = condition(&said.status, WRITABLE).unwrap();
    assert_eq!((holds, reason), ("False", "CredentialsInvalid"));
    assert!(message.contains("AADSTS700082") && message.contains("sign in again"), "{message}");
    assert_eq!(condition(&said.status, READY).unwrap().0, "True", "reads work");
    assert_eq!(condition(&said.status, STALLED), None);
    assert_eq!(write_of(&said.status), Access::Unauthorized);
    assert!(!is_writable(&said.status));
    let reasons: Vec<_> = said.notices.iter().map(|notice| notice.reason.as_str()).collect();
    assert_eq!(reasons, ["Connected", "CredentialsInvalid"]);

    let mended = after(said.status, "1", Some(Shown::Token)).status;
    assert_eq!((write_of(&mended), condition(&mended, WRITABLE)), (Access::Unknown, None));
}

#[test]
fn a_forbidden_change_says_what_is_missing() {
    let said = after(GraphConnectionStatus::default(), "1", Some(refused(403))).status;
    assert_eq!(write_of(&said), Access::Forbidden);
    let (holds, reason, message) = condition(&said, WRITABLE).unwrap();
    assert_eq!((holds, reason), ("False", "Forbidden"));
    assert!(message.contains("EduAdministration.ReadWrite"), "{message}");
    assert_eq!(after(said.clone(), "1", Some(Shown::Token)).status, said, "a token is no right");

    let mut alone = credentials("1", Some(refused(403)));
    alone.facts.delegated = false;
    let said = status(&connection(GraphConnectionStatus::default()), &facts(alone)).status;
    assert!(condition(&said, WRITABLE).unwrap().2.contains("no spec.delegated credential"));
    let unauthorized = after(said, "1", Some(refused(401))).status;
    assert_eq!(write_of(&unauthorized), Access::Unauthorized);
}

#[test]
fn the_end_of_a_certificate_is_told_once_30_days_before() {
    const DAY: i64 = 86_400;
    let on_day = |before: GraphConnectionStatus, day: i64| {
        let mut facts = facts(credentials("1", None));
        facts.credentials.as_mut().unwrap().certificate_end = Some(at(100 * DAY));
        facts.wall_now = at(day * DAY);
        status(&connection(before), &facts)
    };
    let far = on_day(GraphConnectionStatus::default(), 69).status;
    assert_eq!(condition(&far, EXPIRING_SOON), None);
    assert_eq!(far.credentials.as_ref().unwrap().certificate_not_after.as_ref().unwrap().0, at(100 * DAY));
    let near = on_day(far, 71);
    let (holds, reason, message) = condition(&near.status, EXPIRING_SOON).unwrap();
    assert_eq!((holds, reason), ("True", "ExpirationNear"));
    assert!(message.contains("Secret tls") && message.contains(&at(100 * DAY).to_string()), "{message}");
    let reasons: Vec<_> = near.notices.iter().map(|notice| notice.reason.as_str()).collect();
    assert_eq!(reasons, ["ExpiringSoon"]);
    let next_day = on_day(near.status.clone(), 72);
    assert_eq!(next_day.status, near.status);
    assert!(next_day.notices.is_empty());
    assert_eq!(condition(&on_day(near.status, 100).status, EXPIRING_SOON), None, "it is over");
}

#[test]
fn what_cannot_be_used_takes_nothing_back_that_was_shown() {
    let used = after(GraphConnectionStatus::default(), "1", Some(Shown::Permitted)).status;
    let mut facts = facts(credentials("1", None));
    facts.credentials = None;
    facts.health = Some(Health::Broken(Reason::CredentialsMissing, "It is gone.".to_owned()));
    let missing = status(&connection(used.clone()), &facts).status;
    assert_eq!((missing.permissions, &missing.credentials), (used.permissions, &used.credentials));
    assert_eq!(condition(&missing, READY).unwrap().1, "CredentialsMissing");
    facts.health = None;
    assert_eq!(status(&connection(missing.clone()), &facts).status, missing, "nothing new is known");
}

#[test]
fn a_burst_of_300_creates_writes_the_number_every_few_seconds() {
    let users = Users::default();
    let (mut written, mut writes) = (GraphConnectionStatus::default(), 0);
    let mut due = None;
    // Ten creates a second, and half a minute more.
    for tick in 0..600 {
        let now = Timestamp::from_millisecond(tick * 100).unwrap();
        let is_woken = tick < 300 || due.is_some_and(|due| due <= now);
        let number = i32::try_from(tick.min(299) + 1).unwrap();
        let new = GraphConnectionStatus { profiles: Some(number), ..written.clone() };
        let before = connection(written.clone());
        if !is_woken || new == written {
            continue;
        }
        if let Some(pause) = users.pause(&before, &new, now) {
            due = now.checked_add(pause).ok();
            continue;
        }
        users.written(&before, &new, now);
        (written, due) = (new, None);
        writes += 1;
    }
    assert_eq!(written.profiles, Some(300), "the last one is written");
    assert_eq!(writes, 7, "at once, and every five seconds");
    let news = GraphConnectionStatus { observed_generation: Some(2), profiles: Some(301), ..written.clone() };
    let last = Timestamp::from_second(31).unwrap();
    assert_eq!(users.pause(&connection(written), &news, last), None, "what matters does not wait");
}

#[test]
fn a_connection_that_waits_to_go_names_whom_it_waits_for_every_few_seconds() {
    let holder = |name: &str| Key { namespace: "school".to_owned(), name: name.to_owned() };
    let first = in_use(&connection(GraphConnectionStatus::default()), &[holder("a"), holder("b")], 2, at(0));
    assert!(condition(&first.status, READY).unwrap().2.contains("school/a, school/b"));
    let users = Users::default();
    users.written(&connection(GraphConnectionStatus::default()), &first.status, at(0));
    let next = in_use(&connection(first.status.clone()), &[holder("b")], 1, at(1));
    assert_eq!(next.status.profiles, Some(1));
    assert!(next.notices.is_empty(), "no event for each that goes");
    let before = connection(first.status);
    assert_eq!(users.pause(&before, &next.status, at(1)), Some(Duration::from_secs(4)));
    assert_eq!(users.pause(&before, &next.status, at(5)), None);
}
