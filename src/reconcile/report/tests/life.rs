//! Reports of a profile that is taken over or changed.

use super::*;
use crate::api::conditions::{DRIFTED, DUPLICATE_PROFILE};
use crate::api::status::HandledTriggers;
use crate::graph::RemoteProfile;
use crate::reconcile::decide::tests::{as_wanted, bound, look, remote, with_spec};
use crate::reconcile::decide::{Drift, Outlook};

#[test]
fn only_what_the_manifest_says_anyway_is_its_own_in_a_profile_that_is_taken_over() {
    let o = look(json!({}));
    let observed = with_spec(o.clone(), |spec| spec["managementPolicy"] = json!("Observe"));
    let own = |o: &Observation, profile: &RemoteProfile| {
        let status = adopted(o, &connection().tenant, profile).status;
        assert_eq!(status.binding.unwrap().profile_id, "p");
        !status.applied_fields.is_empty()
    };
    assert!(own(&o, &as_wanted("p", "provisioned")));
    assert!(!own(&o, &remote("p", "provisioned")), "it differs");
    assert!(!own(&observed, &as_wanted("p", "provisioned")));
}

/// The values that triggers have from the beginning ask for nothing.
#[test]
fn triggers_that_are_there_from_the_beginning_are_answered() {
    let answered = |spec: Value| {
        let o = with_spec(look(json!({})), |of| of["triggers"] = spec);
        adopted(&o, &connection().tenant, &as_wanted("p", "provisioned")).status.handled_triggers
    };
    assert_eq!(answered(json!({})), None);
    let reset = Some(HandledTriggers { reset: Some("1".to_owned()), start: None });
    assert_eq!(answered(json!({"reset": "1"})), reset);
}

/// An update of these fields, decided by generation 2 of the manifest.
fn update(status: &Value, fields: &[&str], cleared: &[&str]) -> EducationSyncProfileStatus {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (fields, cleared) = (owned(fields), owned(cleared));
    updated(&resource(2, status), &decided(), (&fields, &cleared), None, Timestamp::UNIX_EPOCH).status
}

#[test]
fn updates_that_change_nothing_are_counted() {
    let before = |generation: i64, fields: &[&str]| json!({"unaccepted": {"fields": fields, "generation": generation, "updates": 1}});
    let updates = |status: &Value, fields: &[&str]| update(status, fields, &[]).unaccepted.map(|u| u.updates);
    assert_eq!(updates(&json!({}), &["displayName"]), Some(1));
    assert_eq!(updates(&before(2, &["displayName"]), &["displayName"]), Some(2));
    assert_eq!(updates(&before(1, &["displayName"]), &["displayName"]), Some(1), "the manifest is another");
    assert_eq!(updates(&before(2, &["expirationDate"]), &["displayName"]), Some(1), "other fields differ");
    assert_eq!(updates(&before(2, &["displayName"]), &[]), None, "it is sent again, and nothing differs");
}

#[test]
fn a_manifest_that_was_just_changed_is_no_drift() {
    let drifted = |seen: i64, fields: &[&str], cleared: &[&str]| {
        let status = update(&json!({"observedGeneration": seen}), fields, cleared);
        status.conditions.iter().any(|condition| condition.type_ == DRIFTED)
    };
    assert!(drifted(2, &["displayName"], &[]));
    assert!(drifted(2, &[], &["expirationDate"]));
    assert!(!drifted(1, &["displayName"], &[]));
    assert!(!drifted(2, &[], &[]), "it is sent again, and nothing differs");
}

#[test]
fn what_differs_is_shown_for_as_long_as_it_does() {
    let o = look(bound());
    let is_shown = |fields: &[&str]| {
        let fields = fields.iter().map(ToString::to_string).collect();
        let notices =
            Notices { drift: Some(Drift { fields, outlook: Outlook::Corrected }), ..Notices::default() };
        let ready = Standing::Ready(Reason::Provisioned, String::new());
        let shown = standing(&o, &ready, &notices).unwrap();
        let is_event = shown.notices.iter().any(|notice| notice.reason == DRIFTED);
        (shown.status.conditions.iter().any(|condition| condition.type_ == DRIFTED), is_event)
    };
    assert_eq!(is_shown(&["displayName"]), (true, true));
    assert_eq!(is_shown(&[]), (false, false));
}

#[test]
fn further_profiles_of_the_name_are_shown_while_there_are_some() {
    let shown = |duplicates: &[&str]| {
        let ids = duplicates.iter().map(ToString::to_string).collect();
        let notices = Notices { duplicates: Some(ids), ..Notices::default() };
        let ready = Standing::Ready(Reason::Provisioned, String::new());
        let status = standing(&look(bound()), &ready, &notices).unwrap().status;
        let condition = status.conditions.into_iter().find(|condition| condition.type_ == DUPLICATE_PROFILE);
        condition.map(|condition| condition.message.contains("q, r"))
    };
    assert_eq!(shown(&["q", "r"]), Some(true));
    assert_eq!(shown(&[]), None);
}

/// Ordinary progress has events of its own; what keeps somebody waiting needs one.
#[test]
fn what_holds_things_up_is_an_event() {
    let events = |reason: Reason| {
        let mut status = EducationSyncProfileStatus::default();
        conditions(&mut status, &Standing::Waiting(reason, String::new()), 1, Timestamp::UNIX_EPOCH).len()
    };
    assert_eq!(events(Reason::Provisioning), 0);
    for reason in
        [Reason::CreateUnresolved, Reason::UpstreamUnavailable, Reason::UpstreamEmpty, Reason::Throttled]
    {
        assert_eq!(events(reason), 1, "{}", reason.as_str());
    }
}
