//! A bound profile is followed: its states, its loss.

use super::*;
use crate::auth::{AuthError, AuthFailure};

#[test]
fn every_state_has_its_meaning() {
    for (state, expected) in [
        ("provisioning", ("waiting", Reason::Provisioning)),
        ("provisioned", ("ready", Reason::Provisioned)),
        ("provisioningFailed", ("stalled", Reason::ProvisioningFailed)),
        ("deleting", ("waiting", Reason::Deleting)),
        ("deletionFailed", ("stalled", Reason::DeletionFailed)),
        ("hibernating", ("waiting", Reason::Provisioning)),
    ] {
        let mut o = look(bound());
        o.bound = Some(as_wanted("p", state));
        let verdict = decide(&o);
        assert_eq!((verdict.action.clone(), reason(&verdict)), (Action::Nothing, Some(expected)), "{state}");
    }
}

#[test]
fn a_list_from_before_the_answer_to_the_create_takes_nothing_back() {
    let mut status = bound();
    status["state"] = json!("provisioned");
    let mut o = look(status);
    o.bound = Some(as_wanted("p", "provisioning"));
    let began = o.list.began.unwrap();
    o.memory.told_at = Some(began + Duration::from_millis(1));
    let verdict = decide(&o);
    assert_eq!((&verdict.standing, &verdict.notices.state), (&Standing::Silent, &None));
    assert_eq!(verdict.interest, Some(Interest::Every { fast: false }), "the next list may look the same");
    o.memory.told_at = Some(began);
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("waiting", Reason::Provisioning)), "what is newer is believed");
    assert!(matches!(verdict.interest, Some(Interest::Profile { fast: true, .. })));
}

#[test]
fn a_lost_finalizer_is_put_back() {
    let mut o = look(bound());
    o.bound = Some(remote("p", "provisioned"));
    let mut resource = (*o.resource).clone();
    resource.metadata.finalizers = None;
    o.resource = Arc::new(resource);
    assert_eq!(decide(&o).action, Action::Hold);
    // A connection that was named later, or made anew, has to be held as well.
    let mut o = look(bound());
    o.bound = Some(remote("p", "provisioned"));
    o.connection_is_held = false;
    assert_eq!(decide(&o).action, Action::Hold);
}

#[test]
fn graph_out_of_reach_changes_nothing() {
    let mut o = look(bound());
    o.list = ListFacts { failure: Some(GraphError::NotConnected(String::new())), ..ListFacts::default() };
    let verdict = decide(&o);
    assert_eq!((verdict.action, verdict.standing, verdict.ask), (Action::Nothing, Standing::Silent, false));
}

#[test]
fn a_connection_that_leads_to_the_profile_again_is_not_blamed_any_more() {
    let says = |reason: &str| {
        let mut status = bound();
        status["conditions"] = json!([{
            "type": "Ready", "status": "False", "reason": reason, "message": "",
            "lastTransitionTime": "2026-11-22T00:00:00Z"
        }]);
        look(status)
    };
    let refused = AuthError::new(AuthFailure::Refused { error: "invalid_client".to_owned() });
    let failed = ListFacts { failure: Some(GraphError::NoToken(refused)), ..ListFacts::default() };
    for reason in ["ConnectionChanged", "ConnectionNotFound", "CredentialsMissing", "NamespaceNotAllowed"] {
        let mut o = says(reason);
        o.list = ListFacts::default();
        assert_eq!(decide(&o).standing, Standing::Silent, "{reason}: a list will tell");
        o.list = failed.clone();
        let told = super::reason(&decide(&o));
        assert_eq!(told, Some(("stalled", Reason::CredentialsInvalid)), "{reason}");
    }
    let mut o = says("Provisioned");
    o.list = failed;
    assert_eq!(decide(&o).standing, Standing::Silent, "what is said of the profile stays");
}

#[test]
fn what_has_just_been_created_may_not_be_visible_yet() {
    let mut o = look(bound());
    o.memory.bound_at = Some(at(NOW - 10));
    let verdict = decide(&o);
    assert_eq!((verdict.action, verdict.standing), (Action::Nothing, Standing::Silent));
}

#[test]
fn after_a_restart_a_profile_that_an_older_list_lacks_is_looked_for_in_the_next_one() {
    let mut o = look(bound());
    o.memory.bound_at = Some(at(NOW));
    assert_eq!(
        decide(&o).interest,
        Some(Interest::Every { fast: false }),
        "the next list may change nothing"
    );
    o.list = ListFacts::default();
    let of_the_profile = |interest| matches!(interest, Some(Interest::Profile { fast: false, .. }));
    assert!(of_the_profile(decide(&o).interest), "a first list tells everybody");
}

#[test]
fn gone_needs_two_proofs_apart() {
    let mut o = look(bound());
    (o.memory.seen, o.memory.bound_at) = (true, Some(at(1)));
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
    (o.memory.absences, o.memory.last_absence) = (1, Some(at(NOW - 1)));
    let early = decide(&o);
    assert_eq!((early.action, early.recheck), (Action::Nothing, Some(Duration::from_secs(4))));
    o.memory.last_absence = Some(at(NOW - 5));
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
    o.memory.absences = 2;
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::UpstreamEmpty)), "the tenant is suddenly empty");
    o.list.empty = false;
    assert_eq!(decide(&o).action, Action::Forget);
    o.list.lost = true;
    let lost = Some(("stalled", Reason::UpstreamEmpty));
    assert_eq!(reason(&decide(&o)), lost, "the last one that is missed proves nothing of itself");
    o.list.lost = false;
    o.list.missing = 1;
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::UpstreamEmpty)), "others are missing as well");
    let mut resource = (*o.resource).clone();
    resource.metadata.annotations =
        Some([("edusync.dev/confirm-gone".to_owned(), "p".to_owned())].into_iter().collect());
    o.resource = Arc::new(resource);
    assert_eq!(decide(&o).action, Action::Forget, "a person has confirmed it");
}

#[test]
fn a_secret_that_cannot_be_read_for_a_moment_changes_nothing_that_was_said() {
    let away = || Err(ConnectionProblem::Unreadable("The Secret graph cannot be read.".to_owned()));
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Provisioned", "message": "",
        "lastTransitionTime": "2026-11-22T00:00:00Z"
    });
    let mut status = bound();
    status["conditions"] = json!([condition]);
    let mut o = look(status);
    o.connection = away();
    assert_eq!(decide(&o).standing, Standing::Silent);
    assert!(decide(&o).recheck.is_some_and(|wait| wait < Duration::from_mins(1)));
    let mut new = look(json!({}));
    new.connection = away();
    assert_eq!(reason(&decide(&new)), Some(("waiting", Reason::CredentialsMissing)), "nobody has to act");
}
