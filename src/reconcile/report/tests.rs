//! Reports of what was done, on whatever the resource has become meanwhile.

mod life;
mod looks;
mod running;

use serde_json::{Value, json};

use super::*;
use crate::api::conditions::{READY, RECONCILING, STALLED};
use crate::graph::CallIds;
use crate::graph::RemoteProfile;
use crate::graph::difference::differences;
use crate::reconcile::decide::tests::connection;

fn resource(generation: i64, status: &Value) -> EducationSyncProfile {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "uid": "u", "generation": generation},
        "spec": {"displayName": "Contoso", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}},
        "status": status
    }))
    .unwrap()
}

fn attempt(id: &str) -> CreationAttempt {
    serde_json::from_value(json!({
        "attempt": id, "uid": "u", "endpoint": "https://graph.example", "tenantId": "t", "displayName": "Contoso",
        "dataProvider": "csv", "identitySynchronizationConfiguration": "creation", "notAfter": "2026-11-22T00:00:00Z"
    }))
    .unwrap()
}

fn decided() -> Decided {
    Decided { generation: 2, request: Some("now".to_owned()), ..Decided::default() }
}

fn bad_request() -> GraphError {
    GraphError::Refused { status: 400, code: None, ids: CallIds::default() }
}

/// The user corrected the spec while the answer was on its way: the correction was not refused.
#[test]
fn a_refusal_is_of_the_generation_that_was_sent() {
    let latest = resource(3, &json!({"creation": attempt("a")}));
    let Report { status, .. } = refused(
        &latest,
        &decided(),
        &Asked::Create(Box::new(attempt("a"))),
        &connection(),
        &bad_request(),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(status.refusal.unwrap().generation, 2);
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!(status.creation, None);
}

#[test]
fn a_refusal_answers_the_request_that_led_to_it() {
    let latest = resource(2, &json!({}));
    let report =
        refused(&latest, &decided(), &Asked::Delete, &connection(), &bad_request(), Timestamp::UNIX_EPOCH);
    assert_eq!(report.status.last_handled_reconcile_at.as_deref(), Some("now"));
}

/// A leader that was frozen wakes up late: what its successor has recorded stays.
#[test]
fn the_record_of_a_successor_stays() {
    let latest = resource(2, &json!({"creation": attempt("b")}));
    let open = |report: Report| report.status.creation.map(|attempt| attempt.attempt);
    let now = Timestamp::UNIX_EPOCH;
    let late = attempt("a");
    let report = refused(
        &latest,
        &decided(),
        &Asked::Create(Box::new(late.clone())),
        &connection(),
        &bad_request(),
        now,
    );
    assert_eq!(open(report).as_deref(), Some("b"));
    let error = GraphError::NotConnected(String::new());
    assert_eq!(open(not_sent(&latest, &decided(), &late, &error, now)).as_deref(), Some("b"));

    let bound = json!({"binding": {"uid": "u", "endpoint": "e", "tenantId": "t", "profileId": "theirs", "displayName": "Contoso"}});
    let ours = RemoteProfile::read(&json!({"id": "ours"})).unwrap();
    let report = created(&resource(2, &bound), &decided(), &late, &ours, now);
    assert_eq!(report.status.binding.unwrap().profile_id, "theirs");
    assert_eq!(report.notices.first().unwrap().reason, "DuplicateProfile");
}

#[test]
fn reconciling_and_stalled_are_there_only_while_true() {
    let mut status = EducationSyncProfileStatus::default();
    let kinds = |status: &EducationSyncProfileStatus| -> Vec<String> {
        status.conditions.iter().map(|condition| condition.type_.clone()).collect()
    };
    let now = Timestamp::UNIX_EPOCH;
    conditions(&mut status, &Standing::Waiting(Reason::Creating, String::new()), 1, now);
    assert_eq!(kinds(&status), [READY, RECONCILING]);
    conditions(&mut status, &Standing::Stalled(Reason::Rejected, String::new()), 1, now);
    assert_eq!(kinds(&status), [READY, STALLED]);
    conditions(&mut status, &Standing::Ready(Reason::Provisioned, String::new()), 2, now);
    assert_eq!(kinds(&status), [READY]);
    assert_eq!(status.observed_generation, Some(2));
}

/// What comes of it may come yet. More than a few cannot be kept, and the oldest is the least likely.
#[test]
fn an_attempt_that_is_given_up_is_kept_in_mind() {
    let mut status = EducationSyncProfileStatus::default();
    for number in 0..10 {
        status.creation = Some(attempt(&number.to_string()));
        let report = gave_up(status);
        assert_eq!(report.notices.first().unwrap().reason, "CreateRepeated");
        status = report.status;
        assert_eq!(status.creation, None);
    }
    let kept: Vec<&str> = status.earlier_creations.iter().map(|attempt| attempt.attempt.as_str()).collect();
    assert_eq!(kept, ["2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn what_has_been_said_is_no_event_again() {
    let mut status = EducationSyncProfileStatus::default();
    let mut events = |standing: &Standing| {
        let notices = conditions(&mut status, standing, 1, Timestamp::UNIX_EPOCH);
        notices.into_iter().map(|notice| notice.reason).collect::<Vec<_>>()
    };
    let ready = Standing::Ready(Reason::Provisioned, "It is there.".to_owned());
    let stalled = Standing::Stalled(Reason::Rejected, "Change it.".to_owned());
    assert_eq!(events(&ready), ["Provisioned"]);
    assert!(events(&ready).is_empty());
    assert_eq!(events(&stalled), ["Rejected"]);
    let again = Standing::Stalled(Reason::Rejected, "Change it, please.".to_owned());
    assert!(events(&stalled).is_empty() && events(&again).is_empty(), "the reason is the same");
    assert_eq!(events(&ready), ["Provisioned"], "it is news again");
}

/// Whoever may read events need not be allowed to read the spec, and nobody may read a secret.
#[test]
fn the_event_of_an_update_names_fields_and_never_values() {
    let mut latest = resource(2, &json!({}));
    latest.spec = serde_json::from_value(json!({
        "displayName": "canary-new",
        "dataProvider": {"powerSchool": {
            "connectionUrl": "https://canary-new.example", "clientId": "canary-new", "schoolYear": "2027",
            "schoolsIds": ["canary-new"], "clientSecretRef": {"name": "canary-name", "key": "canary-key"},
        }},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "canary-new.example"}
        ]}},
    }))
    .unwrap();
    latest.status = serde_json::from_value(json!({"binding": {
        "uid": "u", "endpoint": "e", "tenantId": "t", "profileId": "p", "displayName": "canary-old"
    }}))
    .unwrap();
    let mut actual = wanted(&latest.spec);
    actual["displayName"] = json!("canary-old");
    actual["dataProvider"]["connectionUrl"] = json!("https://canary-old.example");
    actual["dataProvider"]["schoolsIds"] = json!(["canary-old"]);
    let fields = differences(&wanted(&latest.spec), &actual);
    let cleared = vec!["expirationDate".to_owned()];
    let decided = Decided { secret_version: Some("7".to_owned()), ..decided() };
    let told = |fields: &[String], cleared: &[String]| {
        let report = updated(&latest, &decided, (fields, cleared), None, Timestamp::UNIX_EPOCH);
        let [notice] = report.notices.as_slice() else { panic!("{:?}", report.notices) };
        assert_eq!(notice.reason, "Updated");
        notice.note.clone()
    };
    let changed = "changed dataProvider.connectionUrl, dataProvider.schoolsIds, displayName";
    assert_eq!(told(&fields, &[]), format!("Updated the profile p: {changed}."));
    assert_eq!(told(&fields, &cleared), format!("Updated the profile p: {changed}; cleared expirationDate."));
    assert_eq!(told(&[], &cleared), "Updated the profile p: cleared expirationDate.");
    // A changed secret alone.
    assert_eq!(told(&[], &[]), "Updated the profile p: sent it again.");
}
