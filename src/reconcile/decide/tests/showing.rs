//! What a person is told: of a failure, of a namesake, of what is not corrected.

use super::managing::with_spec;
use super::*;
use crate::auth::{AuthError, AuthFailure};
use crate::reconcile::cluster::SecretValue;

fn following(status: Value) -> Observation {
    let mut o = look(status);
    (o.list.empty, o.bound) = (false, Some(remote("p", "provisioned")));
    o
}

#[test]
fn a_list_that_fails_says_who_must_act() {
    let refused = |status| GraphError::Refused { status, code: None, ids: CallIds::default() };
    let throttled = GraphError::Throttled { retry_after: None, ids: CallIds::default() };
    let no_token = |failure| GraphError::NoToken(AuthError::new(failure));
    for (failure, expected) in [
        (refused(401), ("stalled", Reason::Unauthorized)),
        (refused(403), ("stalled", Reason::Forbidden)),
        (refused(400), ("waiting", Reason::UpstreamUnavailable)),
        (throttled, ("waiting", Reason::Throttled)),
        (GraphError::Waiting(Duration::from_secs(1)), ("waiting", Reason::Throttled)),
        (no_token(AuthFailure::Unreachable(String::new())), ("waiting", Reason::UpstreamUnavailable)),
    ] {
        let mut o = look(json!({}));
        o.list.failure = Some(failure.clone());
        assert_eq!(reason(&decide(&o)), Some(expected), "{failure:?}");
    }
}

#[test]
fn a_forbidden_create_says_whether_an_administrator_is_missing() {
    let told = |delegated: bool| {
        let mut o = look(json!({"refusal": {"generation": 1, "connection": "c/1/", "status": 403,
            "clientRequestId": "x", "time": at(NOW - 60).to_string()}}));
        o.connection = Ok(ConnectionFacts { delegated, ..connection() });
        match decide(&o).standing {
            Standing::Stalled(Reason::Forbidden, message) => message,
            other => panic!("{other:?}"),
        }
    };
    assert!(told(false).contains("has no spec.delegated credential"));
    assert!(told(true).contains("EduAdministration.ReadWrite"));
}

#[test]
fn unclaimed_profiles_of_the_same_name_are_named() {
    let mut o = following(bound());
    let mut elsewhere = unclaimed("r", "provisioned");
    elsewhere.profile.name = NameKey::of("Fabrikam");
    let claimed = Namesake { claimed_by: Some(other()), ..unclaimed("s", "provisioned") };
    o.namesakes = vec![unclaimed("q", "provisioned"), elsewhere, claimed];
    assert_eq!(decide(&o).notices.duplicates, Some(vec!["q".to_owned()]));
}

#[test]
fn what_is_not_accepted_is_that_very_correction() {
    let unaccepted = json!({"fields": ["displayName"], "generation": 1, "updates": 2});
    let status = |member: &str, value: Value| {
        let mut status = bound();
        status["unaccepted"] = unaccepted.clone();
        status[member] = value;
        status
    };
    let is_sent = |o: &Observation| matches!(decide(o).action, Action::Update { .. });
    assert!(!is_sent(&following(status("state", json!("provisioned")))));
    let other_field = json!({"fields": ["expirationDate"], "generation": 1, "updates": 2});
    assert!(is_sent(&following(status("unaccepted", other_field))));
    let mut o =
        following(status("appliedFields", json!(["displayName", "handleSpecialCharacterConstraint"])));
    let profile = o.bound.as_mut().unwrap();
    let more = r#"{"handleSpecialCharacterConstraint":true,"#;
    profile.configuration = profile.configuration.replacen('{', more, 1).into();
    assert!(is_sent(&o), "something is to be cleared");
    o = following(status("appliedSecretVersion", json!("1")));
    o.source_secret = SourceSecret::Here(SecretValue { value: "s".into(), version: "2".to_owned() });
    assert!(is_sent(&o), "the secret is a new one");
    let drift = decide(&o).notices.drift.unwrap();
    assert_eq!(drift.fields, ["displayName", "the client secret of the source"]);
}

#[test]
fn a_refusal_is_no_news_of_a_profile_that_is_as_it_should_be() {
    let mut status = bound();
    status["refusal"] = json!({"generation": 1, "connection": "c/1/", "status": 403, "clientRequestId": "x",
        "time": at(NOW - 60).to_string()});
    let mut o = following(status);
    let stalled = decide(&o);
    let hour = Duration::from_hours(1).checked_sub(Duration::from_mins(1));
    assert_eq!((reason(&stalled), stalled.recheck), (Some(("stalled", Reason::Forbidden)), hour));
    o.bound = Some(as_wanted("p", "provisioned"));
    assert_eq!(reason(&decide(&o)), Some(("ready", Reason::Provisioned)));
}

#[test]
fn a_correction_that_cannot_be_made_says_why() {
    let mut o = following(bound());
    o.source_secret = SourceSecret::Missing("The Secret is gone.".to_owned());
    let missing = decide(&o);
    assert_eq!(reason(&missing), Some(("stalled", Reason::CredentialsMissing)));
    assert_eq!(missing.recheck, Some(Duration::from_secs(30)));
    o.source_secret = SourceSecret::Unreadable("Kubernetes does not answer.".to_owned());
    let away = decide(&o);
    assert_eq!((away.action.clone(), away.recheck), (Action::Nothing, Some(Duration::from_secs(10))));
    o.source_secret = SourceSecret::NotNeeded;
    o.memory.setback = Some(Retry { failed: 1, again: at(NOW + 20) });
    let later = decide(&o);
    assert_eq!((later.action.clone(), later.recheck), (Action::Nothing, Some(Duration::from_secs(20))));
    assert_eq!(reason(&later), Some(("ready", Reason::Provisioned)), "what is there is said all the same");
    Arc::make_mut(&mut o.resource).metadata.generation = Some(2);
    assert_eq!(reason(&decide(&o)), None, "Ready would be said of a manifest that was not sent");
}

#[test]
fn a_profile_that_failed_is_corrected_too() {
    let mut o = following(bound());
    o.bound = Some(remote("p", "provisioningFailed"));
    assert!(matches!(decide(&o).action, Action::Update { .. }));
}

#[test]
fn a_new_name_is_waited_for_until_a_list_from_after_the_claim() {
    let mut o = with_spec(following(bound()), |spec| spec["displayName"] = json!("Fabrikam"));
    o.name = Some(NameClaim::Ours(at(NOW - 1)));
    let verdict = decide(&o);
    assert_eq!((verdict.action.clone(), verdict.ask), (Action::Nothing, true));
    assert_eq!(verdict.interest, Some(Interest::Every { fast: true }));
}

#[test]
fn who_only_observes_hears_that_its_profile_is_gone_and_holds_nothing() {
    let mut o = with_spec(look(bound()), |spec| spec["managementPolicy"] = json!("Observe"));
    let mut resource = (*o.resource).clone();
    resource.metadata.finalizers = None;
    o.resource = Arc::new(resource);
    (o.memory.seen, o.memory.bound_at, o.memory.absences) = (true, Some(at(1)), 2);
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::ProfileNotFound)));
    assert_eq!(decide(&o).interest, Some(Interest::Every { fast: false }));
    let told = decide(&o).notices;
    assert_eq!((told.state, told.expiration_date, told.sync), (Some(None), Some(None), Some(None)));
    assert_eq!((told.drift.map(|drift| drift.fields), told.duplicates), (Some(Vec::new()), Some(Vec::new())));
}

#[test]
fn the_name_that_an_adopted_profile_will_get_must_be_free() {
    let mut o = with_spec(look(json!({})), |spec| {
        spec["adopt"] = json!({"profileId": "p"});
        spec["deletionPolicy"] = json!("Retain");
    });
    let mut adoptee = unclaimed("p", "provisioned");
    adoptee.profile.name = NameKey::of("Fabrikam");
    (o.adoptee, o.list.empty) = (Some(adoptee), false);
    assert_eq!(decide(&o).action, Action::Adopt { id: "p".to_owned() });
    o.namesakes = vec![unclaimed("q", "provisioned")];
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyExists)));
    o.namesakes[0].profile.name = NameKey::of("Fabrikam");
    assert_eq!(decide(&o).action, Action::Adopt { id: "p".to_owned() }, "it is not the name that is wanted");
}
