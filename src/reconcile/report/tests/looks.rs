//! Reports of what a look shows.

use super::*;
use crate::api::status::Refusal;
use crate::reconcile::decide::tests::{asked, at, bound, look, remote, unclaimed, with_spec};
use crate::reconcile::decide::{Drift, Outlook};

fn ready() -> Standing {
    Standing::Ready(Reason::Provisioned, "It is there.".to_owned())
}

fn message(report: &Report) -> &str {
    let ready = report.status.conditions.iter().find(|condition| condition.type_ == READY);
    &ready.unwrap().message
}

fn refusal(generation: i64) -> Refusal {
    serde_json::from_value(json!({
        "generation": generation, "connection": "c/1/", "status": 400, "clientRequestId": "x", "time": at(1).to_string()
    }))
    .unwrap()
}

/// Which fields are the manifest's own is known once nothing differs; and it is nobody's where edusync only observes.
#[test]
fn what_is_as_wanted_is_remembered_as_the_manifests_own() {
    let mut status = bound();
    status["unaccepted"] = json!({"fields": ["displayName"], "generation": 1, "updates": 1});
    let managed = look(status);
    let observed = with_spec(managed.clone(), |spec| spec["managementPolicy"] = json!("Observe"));
    let waiting = Standing::Waiting(Reason::Provisioning, String::new());
    let shown = |o: &Observation, fields: &[&str], is: &Standing| {
        let fields = fields.iter().map(ToString::to_string).collect();
        let drift = Some(Drift { fields, outlook: Outlook::Corrected });
        standing(o, is, &Notices { drift, ..Notices::default() }).unwrap().status
    };
    let as_wanted = shown(&managed, &[], &ready());
    assert!(as_wanted.applied_fields.contains(&"displayName".to_owned()), "{:?}", as_wanted.applied_fields);
    assert_eq!(as_wanted.unaccepted, None);
    assert!(shown(&managed, &[], &waiting).unaccepted.is_some(), "it may change while it is set up");
    assert_eq!(shown(&managed, &["displayName"], &ready()).applied_fields, [""; 0]);
    assert_eq!(shown(&observed, &[], &ready()).applied_fields, [""; 0]);
}

#[test]
fn a_refusal_is_shown_until_the_spec_is_another() {
    for (generation, is_kept) in [(1, true), (2, false)] {
        let mut status = bound();
        status["refusal"] = serde_json::to_value(refusal(generation)).unwrap();
        let shown = standing(&look(status), &ready(), &Notices::default()).unwrap();
        assert_eq!(
            shown.status.refusal.is_some(),
            is_kept,
            "of generation {generation}, and the spec is of 1"
        );
    }
}

/// Somebody has put right what the manifest had to: what differs next is sent, though the manifest is the same.
#[test]
fn a_refusal_goes_with_the_difference_that_was_to_be_mended() {
    let mut status = bound();
    status["refusal"] = serde_json::to_value(refusal(1)).unwrap();
    let refused = look(status);
    let is_kept = |o: &Observation, fields: &[&str], is: &Standing| {
        let fields = fields.iter().map(ToString::to_string).collect();
        let drift = Some(Drift { fields, outlook: Outlook::Corrected });
        standing(o, is, &Notices { drift, ..Notices::default() }).unwrap().status.refusal.is_some()
    };
    let stalled = Standing::Stalled(Reason::ProvisioningFailed, String::new());
    assert!(!is_kept(&refused, &[], &ready()));
    assert!(is_kept(&refused, &["displayName"], &ready()));
    assert!(is_kept(&refused, &[], &stalled), "what was refused then was to mend this");
    for secret in [SourceSecret::Missing(String::new()), SourceSecret::Unreadable(String::new())] {
        let unknown = Observation { source_secret: secret, ..refused.clone() };
        assert!(is_kept(&unknown, &[], &ready()), "the Secret may be what was refused");
    }
}

/// The Secret of a shared connection is not the affair of those who may use the connection.
#[test]
fn what_is_wrong_with_a_shared_connection_is_told_to_those_who_keep_it() {
    let own = look(bound());
    let shared =
        with_spec(own.clone(), |spec| spec["connectionRef"] = json!({"name": "c", "namespace": "it"}));
    let shown = |o: &Observation, reason: Reason| {
        let words = Standing::Stalled(reason, "The Secret graph has no key.".to_owned());
        message(&standing(o, &words, &Notices::default()).unwrap()).contains("The Secret graph")
    };
    assert!(shown(&own, Reason::CredentialsInvalid));
    assert!(!shown(&shared, Reason::CredentialsInvalid));
    assert!(shown(&shared, Reason::Rejected), "that is about the profile");
}

/// Else it would be over before anything was tried, and what was refused would stay so.
#[test]
fn who_asks_for_a_further_try_is_answered_when_it_was_made() {
    let refused = || look(json!({"refusal": serde_json::to_value(refusal(1)).unwrap()}));
    let waiting = || Standing::Waiting(Reason::UpstreamUnavailable, String::new());
    let stalled = Standing::Stalled(Reason::CredentialsMissing, String::new());
    let failed = look(json!({"binding": bound()["binding"], "state": "provisioningFailed"}));
    let answered = |o: Observation, told: Standing| {
        let status = standing(&asked(o), &told, &Notices::default()).unwrap().status;
        status.last_handled_reconcile_at.is_some()
    };
    assert!(!answered(refused(), waiting()) && !answered(failed.clone(), waiting()));
    assert!(!answered(refused(), stalled), "a person must act before");
    let observed = with_spec(failed.clone(), |spec| spec["managementPolicy"] = json!("Observe"));
    assert!(answered(observed, waiting()), "nothing will be tried");
    assert!(answered(look(bound()), waiting()), "there is nothing to try");
}

#[test]
fn an_attempt_is_recorded_before_it_is_sent() {
    let o = asked(look(json!({"refusal": serde_json::to_value(refusal(1)).unwrap()})));
    let status = intent(&o, &attempt("a"));
    assert_eq!(status.creation.as_ref().unwrap().attempt, "a");
    assert_eq!(status.refusal, None);
    assert_eq!(status.last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(status.conditions.first().unwrap().reason, "Creating");
}

/// What was found is told by the attempt that it came of; and what else may have come of one is told once.
#[test]
fn what_is_found_is_of_the_attempt_with_its_name() {
    let mut renamed = attempt("b");
    renamed.display_name = "Fabrikam".to_owned();
    let mut o = look(json!({"creation": renamed, "earlierCreations": [attempt("a")]}));
    o.namesakes = vec![unclaimed("p", "provisioning"), unclaimed("q", "provisioning")];
    let report = found(&o, &remote("p", "provisioning"));
    assert_eq!(report.status.binding.as_ref().unwrap().profile_id, "p");
    let notes: Vec<(&str, &str)> =
        report.notices.iter().map(|notice| (&*notice.reason, &*notice.note)).collect();
    let recovered = notes.iter().find(|(reason, _)| *reason == "Recovered").unwrap();
    assert!(recovered.1.contains("client-request-id a,"), "{recovered:?}");
    let unclaimed: Vec<_> = notes.iter().filter(|(reason, _)| *reason == "UnclaimedProfile").collect();
    assert!(matches!(unclaimed[..], [(_, note)] if note.contains("profile q ")), "{unclaimed:?}");
}

/// The manifest may be another one when it is found: what is in Graph is what was sent.
#[test]
fn what_is_found_has_the_fields_that_were_sent() {
    let sent =
        |status: EducationSyncProfileStatus| found(&look(json!(status)), &remote("p", "provisioning")).status;
    let with_date = with_spec(look(json!({})), |spec| spec["expirationDate"] = json!("2027-06-30"));
    let fields = sent(intent(&with_date, &attempt("a"))).applied_fields;
    assert!(fields.contains(&"expirationDate".to_owned()), "{fields:?}");
    let rid = sent(intent(&look(json!({})), &attempt("a"))).applied_fields;
    assert!(!rid.contains(&"expirationDate".to_owned()), "{rid:?}");

    let mut twice = intent(&with_date, &attempt("a"));
    twice.applied_secret_version = Some("1".to_owned());
    twice = gave_up(twice).status;
    assert_eq!(sent(twice.clone()).applied_secret_version, None, "of an earlier one it is not known");
    let second = look(json!(twice));
    let fields = sent(intent(&second, &attempt("b"))).applied_fields;
    assert!(fields.contains(&"expirationDate".to_owned()), "either may be found: {fields:?}");
}

#[test]
fn who_goes_says_what_became_of_the_profile() {
    let o = look(bound());
    let said = |farewell_: Farewell| {
        farewell(&o, farewell_).map(|notice| (notice.reason.clone(), notice.note.contains("profile p ")))
    };
    assert_eq!(said(Farewell::NeverCreated), None);
    assert_eq!(said(Farewell::Deleted), Some(("Deleted".to_owned(), true)));
    assert_eq!(said(Farewell::Retained), Some(("Retained".to_owned(), true)));
    assert_eq!(said(Farewell::NotOurs), Some(("Retained".to_owned(), true)));
}

#[test]
fn a_refusal_ends_with_what_it_was_of() {
    let refused =
        json!({"refusal": serde_json::to_value(refusal(1)).unwrap(), "binding": bound()["binding"]});
    assert_eq!(vanished(&look(refused.clone())).status.refusal, None, "the next profile was not refused");
    let latest = resource(1, &refused);
    let sent = delete_sent(&latest, &Decided::default(), "p", at(1));
    assert_eq!(sent.status.refusal, None);
}

#[test]
fn who_asked_hears_that_the_outcome_is_not_known() {
    let error = GraphError::NotConnected(String::new());
    let told = |decided: &Decided| {
        let report = tried(&resource(2, &json!({})), decided, &error);
        (report.status.last_handled_reconcile_at.is_some(), report.notices.len())
    };
    assert_eq!((told(&decided()), told(&Decided::default())), ((true, 1), (false, 0)));
}
