//! Reports of a synchronization.

use super::*;
use crate::api::conditions::{EXPIRING_SOON, SYNCHRONIZED};
use crate::api::status::{HandledTriggers, SyncStatus};
use crate::graph::client::Start;
use crate::graph::sync::{ProfileStatus, Severity, VerificationMessage};
use crate::personal::PersonalText;
use crate::reconcile::decide::Trigger;
use crate::reconcile::decide::tests::sync;
use crate::reconcile::report::running::{after_start, answer, expiry, not_triggered, show};

/// The reason that a status shows, and the event that was published.
fn shown(
    status: &mut EducationSyncProfileStatus,
    sync: Option<&ProfileStatus>,
) -> (Option<String>, Option<String>) {
    let event = show(status, sync, 1, Timestamp::UNIX_EPOCH);
    let condition = status.conditions.iter().find(|condition| condition.type_ == SYNCHRONIZED);
    (condition.map(|condition| condition.reason.clone()), event.map(|event| event.reason))
}

#[test]
fn a_run_that_ends_is_an_event_once_and_one_that_goes_on_is_none() {
    let mut status = EducationSyncProfileStatus::default();
    for (is, reason, event) in [
        (SyncStatus::InProgress, "SyncRunning", false),
        (SyncStatus::Success, "SyncSucceeded", true),
        (SyncStatus::Success, "SyncSucceeded", false),
        (SyncStatus::Error, "SyncFailed", true),
        (SyncStatus::ValidationError, "ValidationError", true),
        (SyncStatus::Quarantined, "Quarantined", true),
        (SyncStatus::Paused, "SyncPaused", false),
    ] {
        let told = shown(&mut status, Some(&sync(is, 0)));
        assert_eq!(told, (Some(reason.to_owned()), event.then(|| reason.to_owned())));
    }
    assert_eq!(shown(&mut status, None), (None, None), "nothing is known any more");
    assert_eq!(status.sync, None);
}

#[test]
fn errors_are_forgotten_when_there_are_none() {
    let counted = || -> EducationSyncProfileStatus {
        let errors = json!([{"entryType": "Student", "errorCode": "X", "count": 2}]);
        serde_json::from_value(json!({"errors": errors})).unwrap()
    };
    let left = |sync: Option<&ProfileStatus>| {
        let mut status = counted();
        shown(&mut status, sync);
        status.errors.len()
    };
    assert_eq!(left(Some(&sync(SyncStatus::Error, 2))), 1);
    assert_eq!(left(Some(&sync(SyncStatus::Success, 0))), 0);
    assert_eq!(left(None), 0);
}

#[test]
fn the_end_of_a_profile_is_told_sixty_days_ahead() {
    let told = |day: &str, now: &str| {
        let mut status =
            EducationSyncProfileStatus { expiration_date: Some(day.to_owned()), ..Default::default() };
        let notice = expiry(&mut status, 1, now.parse().unwrap());
        let is_shown = status.conditions.iter().any(|condition| condition.type_ == EXPIRING_SOON);
        assert_eq!(notice.is_some(), is_shown);
        is_shown
    };
    assert!(told("2027-03-02", "2027-01-01T00:00:00Z"));
    assert!(!told("2027-03-02", "2026-12-31T23:59:59Z"));
    assert!(told("2026-03-02", "2027-01-01T00:00:00Z"), "it is over");
    assert!(!told("some day", "2027-01-01T00:00:00Z"));
}

#[test]
fn a_call_that_was_not_made_leaves_its_trigger_open() {
    let mut status = EducationSyncProfileStatus::default();
    answer(&mut status, Trigger::Reset, "1");
    answer(&mut status, Trigger::Start, "2");
    let handled = |reset: Option<&str>, start: Option<&str>| {
        Some(HandledTriggers { reset: reset.map(str::to_owned), start: start.map(str::to_owned) })
    };
    assert_eq!(status.handled_triggers, handled(Some("1"), Some("2")));
    let latest = resource(1, &serde_json::to_value(&status).unwrap());
    let open = |trigger, value, before: Option<&String>| {
        not_triggered(&latest, trigger, value, before).status.handled_triggers
    };
    assert_eq!(open(Trigger::Reset, "1", Some(&"0".to_owned())), handled(Some("0"), Some("2")));
    assert_eq!(open(Trigger::Start, "2", None), handled(Some("1"), None));
    assert_eq!(
        open(Trigger::Start, "1", None),
        handled(Some("1"), Some("2")),
        "another one was answered since"
    );
}

#[test]
fn a_start_says_which_files_keep_it_from_starting() {
    let message = |severity, file: &str| VerificationMessage {
        severity,
        file_name: Some(file.to_owned()),
        description: PersonalText::new("Anna Example".to_owned()),
    };
    let messages = || {
        vec![
            message(Severity::Error, "student.csv"),
            message(Severity::Warning, "school.csv"),
            message(Severity::Error, "student.csv"),
        ]
    };
    let started = after_start(&Ok(Start { started: true, messages: messages() }));
    assert_eq!(started.reason, "Started");
    assert!(started.note.contains("(3 warnings)"), "{}", started.note);
    let refused = after_start(&Ok(Start { started: false, messages: messages() }));
    assert_eq!(refused.reason, "NotStarted");
    assert!(refused.note.contains("is synchronized: student.csv."), "{}", refused.note);
}
