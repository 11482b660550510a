//! A profile is adopted, corrected, or only observed.

use super::*;
use crate::reconcile::cluster::SecretValue;

/// The resource with this added to its spec.
pub(in crate::reconcile) fn with_spec(mut o: Observation, change: impl FnOnce(&mut Value)) -> Observation {
    let mut value = serde_json::to_value(&*o.resource).unwrap();
    change(&mut value["spec"]);
    o.resource = Arc::new(serde_json::from_value(value).unwrap());
    o
}

pub(super) fn following() -> Observation {
    let mut o = look(bound());
    o.bound = Some(remote("p", "provisioned"));
    (o.list.empty, o.name) = (false, None);
    o
}

/// The remote profile is named CONTOSO, the manifest says Contoso: that differs.
fn update(fields: &[&str], cleared: &[&str]) -> Action {
    let owned = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
    Action::Update { fields: owned(fields), cleared: owned(cleared) }
}

fn outlook(o: &Observation) -> Option<Outlook> {
    decide(o).notices.drift.filter(|drift| !drift.fields.is_empty()).map(|drift| drift.outlook)
}

#[test]
fn a_difference_is_corrected() {
    let o = following();
    let verdict = decide(&o);
    assert_eq!(verdict.action, update(&["displayName"], &[]));
    assert!(matches!(verdict.interest, Some(Interest::Profile { .. })), "it is followed meanwhile");
    assert_eq!(outlook(&o), Some(Outlook::Corrected));
}

#[test]
fn a_profile_that_is_being_set_up_is_not_disturbed() {
    let mut o = following();
    o.bound = Some(remote("p", "provisioning"));
    assert_eq!((decide(&o).action, outlook(&o)), (Action::Nothing, Some(Outlook::Corrected)));
}

#[test]
fn observing_only_shows() {
    let o = with_spec(following(), |spec| spec["managementPolicy"] = json!("Observe"));
    assert_eq!((decide(&o).action, outlook(&o)), (Action::Nothing, Some(Outlook::Observed)));
    let mut none = with_spec(look(json!({})), |spec| spec["managementPolicy"] = json!("Observe"));
    assert_eq!(reason(&decide(&none)), Some(("stalled", Reason::WouldCreate)));
    none.resource = deleting(none.clone()).resource;
    assert_eq!(decide(&none).action, Action::LetGo(Farewell::NeverCreated));
    let gone = deleting(o);
    assert_eq!(decide(&gone).action, Action::LetGo(Farewell::Retained));
}

#[test]
fn what_was_taken_away_is_cleared() {
    let mut status = bound();
    status["appliedFields"] = json!(["displayName", "expirationDate", "handleSpecialCharacterConstraint"]);
    let mut o = look(status);
    o.list.empty = false;
    let mut value = json!({
        "id": "p", "displayName": "Contoso", "state": "provisioned", "profileStatus": null, "expirationDate": "2027-06-30",
        "handleSpecialCharacterConstraint": false,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "a.example"}]}
    });
    o.bound = RemoteProfile::read(&value);
    assert_eq!(decide(&o).action, update(&[], &["expirationDate"]), "false is as good as cleared");
    value["expirationDate"] = json!(null);
    o.bound = RemoteProfile::read(&value);
    assert_eq!(decide(&o).action, Action::Nothing);
}

#[test]
fn only_what_is_set_can_be_cleared() {
    for (value, is_set) in [
        (json!(null), false),
        (json!(false), false),
        (json!(true), true),
        (json!([]), false),
        (json!(["1"]), true),
        (json!("0001-01-01T00:00:00Z"), false),
        (json!("2027-06-30"), true),
        (json!({"csv": 1}), true),
    ] {
        let mut status = bound();
        status["appliedFields"] = json!(["displayName", "some.field"]);
        let mut o = look(status);
        let mut profile = as_wanted("p", "provisioned");
        let mut configuration: Value = serde_json::from_str(&profile.configuration).unwrap();
        configuration["some"] = json!({"field": value});
        profile.configuration = configuration.to_string().into();
        o.bound = Some(profile);
        let expected = if is_set { update(&[], &["some.field"]) } else { Action::Nothing };
        assert_eq!(decide(&o).action, expected, "{value}");
    }
}

#[test]
fn after_an_update_lists_may_be_behind() {
    let mut o = following();
    o.memory.updated_at = Some(at(NOW - 1));
    let verdict = decide(&o);
    assert_eq!(
        (verdict.action, verdict.standing, verdict.notices.state),
        (Action::Nothing, Standing::Silent, None)
    );
    assert_eq!((verdict.notices.expiration_date, verdict.notices.drift), (None, None));
    (o.memory.updated_at, o.memory.updated_generation) = (Some(at(NOW - 10)), 1);
    let waiting = decide(&o);
    assert_eq!(waiting.action, Action::Nothing, "the list is newer, and may be behind all the same");
    assert_eq!(waiting.recheck, Some(Duration::from_secs(110)));
    o.memory.updated_generation = 0;
    assert_eq!(decide(&o).action, update(&["displayName"], &[]), "what the user has changed since is sent");
    o.memory.updated_generation = 1;
    o.memory.updated_at = Some(at(NOW - 120));
    assert_eq!(decide(&o).action, update(&["displayName"], &[]));
}

#[test]
fn a_service_that_knows_better_gets_no_third_update() {
    for (updates, generation, action) in [
        (1, 1, update(&["displayName"], &[])),
        (2, 1, Action::Nothing),
        (2, 0, update(&["displayName"], &[])),
    ] {
        let mut status = bound();
        status["unaccepted"] =
            json!({"fields": ["displayName"], "generation": generation, "updates": updates});
        let mut o = look(status);
        (o.list.empty, o.bound) = (false, Some(remote("p", "provisioned")));
        assert_eq!(decide(&o).action, action, "{updates} {generation}");
        if action == Action::Nothing {
            assert_eq!(outlook(&o), Some(Outlook::NotAccepted));
        }
    }
}

#[test]
fn a_changed_secret_is_sent_again() {
    let mut status = bound();
    status["appliedSecretVersion"] = json!("1");
    let mut o = look(status);
    (o.list.empty, o.bound) = (false, Some(as_wanted("p", "provisioned")));
    let secret =
        |version: &str| SourceSecret::Here(SecretValue { value: "s".into(), version: version.to_owned() });
    o.source_secret = secret("1");
    assert_eq!(decide(&o).action, Action::Nothing);
    o.source_secret = secret("2");
    assert_eq!(decide(&o).action, update(&[], &[]));
}

#[test]
fn a_failed_profile_is_sent_again_when_somebody_asks() {
    let mut o = following();
    o.bound = Some(as_wanted("p", "provisioningFailed"));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::ProvisioningFailed)));
    assert_eq!(decide(&asked(o)).action, update(&[], &[]));
}

#[test]
fn a_new_name_must_be_free() {
    let renamed = || with_spec(following(), |spec| spec["displayName"] = json!("Fabrikam"));
    let mut o = renamed();
    assert!(decide(&o).ask, "the name has to be ours first, and a list from after that");
    o.name = Some(NameClaim::Ours(at(NOW - 3)));
    assert_eq!(decide(&o).action, update(&["displayName"], &[]));
    o.name = Some(NameClaim::TakenBy(other()));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyClaimed)));
    o.name = Some(NameClaim::Ours(at(NOW - 3)));
    let mut namesake = unclaimed("q", "provisioned");
    namesake.profile.name = NameKey::of("fabrikam");
    o.namesakes = vec![namesake];
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyExists)));
    o.namesakes = vec![unclaimed("q", "provisioned")];
    assert_eq!(
        decide(&o).action,
        update(&["displayName"], &[]),
        "one that has the old name is in nobody's way"
    );
}

/// Somebody has renamed the profile in Graph: the name that it is to have again was never free.
#[test]
fn the_name_that_it_had_need_not_be_asked_for() {
    let mut o = following();
    let renamed = o.bound.take().map(|mut profile| {
        profile.name = NameKey::of("renamed");
        profile.configuration = profile.configuration.replace("CONTOSO", "Renamed").into();
        profile
    });
    o.bound = renamed;
    assert_eq!(decide(&o).action, update(&["displayName"], &[]));
    let as_it_is = with_spec(o, |spec| spec["displayName"] = json!("renamed"));
    assert_eq!(decide(&as_it_is).action, update(&["displayName"], &[]), "nor that which it has");
}

#[test]
fn nothing_is_to_be_corrected_where_nothing_differs() {
    let o = following();
    assert!(correct::is_as_wanted(&o, &as_wanted("p", "provisioned")));
    assert!(!correct::is_as_wanted(&o, &remote("p", "provisioned")));
}

#[test]
fn a_refused_update_stands_until_something_changes() {
    let refusal = |generation: i64| json!({"generation": generation, "connection": "c/1/", "status": 400, "clientRequestId": "x", "time": at(1).to_string()});
    let mut status = bound();
    status["refusal"] = refusal(1);
    let mut o = look(status);
    (o.list.empty, o.bound) = (false, Some(remote("p", "provisioned")));
    assert_eq!(
        (decide(&o).action, reason(&decide(&o))),
        (Action::Nothing, Some(("stalled", Reason::Rejected)))
    );
    let mut status = bound();
    status["refusal"] = refusal(0);
    o.resource = Arc::new(resource(status));
    assert_eq!(decide(&o).action, update(&["displayName"], &[]));
}

fn adopting(adopt: Value) -> Observation {
    let o = with_spec(look(json!({})), |spec| {
        spec["adopt"] = adopt;
        spec["deletionPolicy"] = json!("Retain");
    });
    Observation { list: ListFacts { empty: false, ..o.list.clone() }, ..o }
}

#[test]
fn a_profile_is_adopted_by_its_id() {
    let mut o = adopting(json!({"profileId": "p"}));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AdoptionFailed)), "there is none");
    o.adoptee = Some(unclaimed("p", "provisioned"));
    assert_eq!(decide(&o).action, Action::Adopt { id: "p".to_owned() });
    o.adoptee = Some(Namesake { claimed_by: Some(other()), ..unclaimed("p", "provisioned") });
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyClaimed)));
    o.adoptee = Some(unclaimed("p", "deleting"));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AdoptionFailed)), "none will be created");
    let mut other_kind = unclaimed("p", "provisioned");
    other_kind.profile.data_provider = None;
    o.adoptee = Some(other_kind);
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AdoptionFailed)), "a kind cannot be changed");
}

#[test]
fn who_adopts_what_another_one_has_is_told_of_the_profile_and_not_of_its_name() {
    let mut o = adopting(json!({"profileId": "p"}));
    o.name = Some(NameClaim::TakenBy(other()));
    o.adoptee = Some(Namesake { claimed_by: Some(other()), ..unclaimed("p", "provisioned") });
    let Standing::Stalled(Reason::AlreadyClaimed, message) = decide(&o).standing else { panic!() };
    assert!(message.contains("(p) belongs to the EducationSyncProfile"), "{message}");
}

#[test]
fn a_profile_is_adopted_by_its_name_if_it_is_the_only_one() {
    let mut o = adopting(json!({"byDisplayName": true}));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AdoptionFailed)));
    let mut of_another_name = unclaimed("r", "provisioned");
    of_another_name.profile.name = NameKey::of("Fabrikam");
    o.namesakes = vec![unclaimed("p", "provisioned"), of_another_name];
    assert_eq!(decide(&o).action, Action::Adopt { id: "p".to_owned() });
    o.namesakes.push(unclaimed("q", "provisioned"));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AdoptionFailed)));
    o.namesakes.truncate(1);
    o.namesakes.push(unclaimed("q", "deleting"));
    assert_eq!(reason(&decide(&o)), Some(("waiting", Reason::NameBeingDeleted)), "the name is not free yet");
}

#[test]
fn a_corrected_secret_of_the_source_lifts_a_refusal() {
    let refusal = json!({"generation": 1, "connection": "c/1/ source 1", "status": 400, "clientRequestId": "x", "time": at(1).to_string()});
    let mut o = look(json!({"refusal": refusal}));
    let secret =
        |version: &str| SourceSecret::Here(SecretValue { value: "s".into(), version: version.to_owned() });
    o.source_secret = secret("1");
    let stalled = decide(&o);
    assert_eq!(
        (reason(&stalled), stalled.recheck),
        (Some(("stalled", Reason::Rejected)), Some(Duration::from_mins(1)))
    );
    o.source_secret = secret("2");
    assert_eq!(decide(&o).action, Action::Create);
}

#[test]
fn a_rename_whose_answer_was_lost_frees_the_old_name() {
    let mut status = bound();
    status["binding"]["displayName"] = json!("Fabrikam");
    let mut o = look(status);
    o.bound = Some(as_wanted("p", "provisioned"));
    let verdict = decide(&o);
    let report = crate::reconcile::report::standing(&o, &verdict.standing, &verdict.notices).unwrap();
    assert_eq!(report.status.binding.unwrap().display_name, "Contoso");
    o.bound.as_mut().unwrap().name = NameKey::of("Somebody else's");
    let report = crate::reconcile::report::standing(&o, &verdict.standing, &verdict.notices).unwrap();
    assert_eq!(report.status.binding.unwrap().display_name, "Fabrikam", "a name that nobody asked for");
}

#[test]
fn after_a_change_every_list_is_looked_at_until_one_can_show_what_came_of_it() {
    let mut o = look(bound());
    o.bound = Some(as_wanted("p", "provisioned"));
    o.memory.updated_at = Some(at(NOW - 1));
    let verdict = decide(&o);
    assert_eq!(
        verdict.interest,
        Some(Interest::Every { fast: true }),
        "a list without news wakes nobody else"
    );
    o.memory.updated_at = Some(at(NOW - 3));
    assert!(matches!(decide(&o).interest, Some(Interest::Profile { .. })));
}

#[test]
fn a_correction_is_named_in_a_condition_until_a_list_shows_that_it_lasts() {
    use crate::reconcile::report::{Decided, standing, updated};
    let mut status = bound();
    status["observedGeneration"] = json!(1);
    let o = look(status);
    let fields = ["displayName".to_owned()];
    let report = updated(&o.resource, &Decided::by(&o), (&fields, &[]), None, at(NOW));
    let drifted = |status: &crate::api::status::EducationSyncProfileStatus| {
        status.conditions.iter().find(|condition| condition.type_ == "Drifted").map(|c| c.message.clone())
    };
    assert!(drifted(&report.status).is_some_and(|message| message.contains("displayName")));
    let mut resource = (*o.resource).clone();
    resource.status = Some(report.status);
    let mut o = Observation { resource: Arc::new(resource), ..o };
    o.bound = Some(as_wanted("p", "provisioned"));
    let verdict = decide(&o);
    let after = standing(&o, &verdict.standing, &verdict.notices).unwrap();
    assert_eq!(drifted(&after.status), None);
}
