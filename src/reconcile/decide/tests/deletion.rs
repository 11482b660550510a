//! The profile goes first, and its going is proven.

use super::*;

fn listed(state: &str) -> Observation {
    let mut o = deleting(look(bound()));
    o.bound = Some(remote("p", state));
    o.memory.seen = true;
    o
}

#[test]
fn what_was_never_created_goes_without_a_call() {
    assert_eq!(decide(&deleting(look(json!({})))).action, Action::LetGo(Farewell::NeverCreated));
}

#[test]
fn one_delete_then_waiting() {
    assert_eq!(decide(&listed("provisioned")).action, Action::Delete { id: "p".to_owned() });
    assert_eq!(decide(&listed("deleting")).action, Action::Nothing);
    let mut going = listed("deleting");
    going.memory.delete_sent = Some(at(NOW - 60));
    assert_eq!(
        decide(&going).notices.state,
        Some(Some(ProfileState::Deleting)),
        "the list shows what was asked for"
    );
    let mut o = listed("provisioned");
    o.memory.delete_sent = Some(at(NOW - 60));
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing, "the list may be behind");
    assert_eq!(verdict.notices.state, None, "and does not take the status back");
    o.memory.delete_sent = Some(at(NOW - 125));
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    // Nobody has listed since: that the profile was there then says nothing.
    (o.list.began, o.list.ended) = (Some(at(NOW - 126)), Some(at(NOW - 126)));
    assert_eq!(decide(&o).action, Action::Nothing, "the list is from before the DELETE");
}

#[test]
fn a_delete_that_failed_is_repeated_slowly() {
    let mut o = listed("deletionFailed");
    o.memory.delete_sent = Some(at(NOW - 600));
    let verdict = decide(&o);
    assert_eq!(
        (verdict.action.clone(), reason(&verdict)),
        (Action::Nothing, Some(("stalled", Reason::DeletionFailed)))
    );
    o.memory.delete_sent = Some(at(NOW - 3_600));
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    (o.list.began, o.list.ended) = (Some(at(NOW - 3_601)), Some(at(NOW - 3_601)));
    assert_eq!(decide(&o).action, Action::Nothing, "an older list does not tell what came of it");
    o.memory.delete_sent = Some(at(NOW - 1));
    let verdict = decide(&o);
    let waits = Some(("waiting", Reason::Deleting));
    assert_eq!((verdict.action.clone(), reason(&verdict)), (Action::Nothing, waits), "it was asked for anew");
    assert_eq!(verdict.notices.state, None, "nor does the state go back");
}

fn absent(absences: u32) -> Observation {
    let mut o = deleting(look(bound()));
    o.memory = Memory {
        seen: true,
        bound_at: Some(at(1)),
        delete_sent: Some(at(NOW - 60)),
        absences,
        last_absence: (absences > 0).then(|| at(NOW - 10)),
        ..Memory::default()
    };
    o
}

#[test]
fn it_goes_when_the_profile_is_proven_gone() {
    assert_eq!(decide(&absent(0)).action, Action::Probe { id: "p".to_owned() });
    assert_eq!(decide(&absent(1)).action, Action::Probe { id: "p".to_owned() });
    assert_eq!(decide(&absent(2)).action, Action::LetGo(Farewell::Deleted));
}

/// Two resources whose profiles somebody removed must not wait for each other: each is probed,
/// although the list lacks the other's profile as well.
#[test]
fn a_list_that_lacks_others_still_gets_its_probe_but_proves_nothing() {
    let mut o = absent(0);
    (o.list.alive, o.list.missing) = (1, 1);
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
    o.memory.absences = 2;
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::UpstreamEmpty)));
    assert!(matches!(&verdict.standing, Standing::Stalled(_, message) if message.contains("Retain")));
}

/// After a restart nothing is remembered; a profile that is not visible yet would be orphaned.
#[test]
fn what_no_list_has_shown_yet_is_asked_to_go_all_the_same() {
    let mut o = deleting(look(bound()));
    o.memory.bound_at = Some(at(NOW));
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    o.memory = Memory { seen: true, present: true, bound_at: Some(at(1)), ..Memory::default() };
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() }, "its own URL shows it");
}

#[test]
fn an_api_that_is_gone_or_silent_proves_nothing() {
    for (failure, expected) in [
        (GraphError::Retired { status: 410, ids: CallIds::default() }, ("stalled", Reason::UpstreamRetired)),
        (GraphError::NotConnected(String::new()), ("waiting", Reason::UpstreamUnavailable)),
    ] {
        let mut o = absent(2);
        o.list.failure = Some(failure);
        let verdict = decide(&o);
        assert_eq!((verdict.action.clone(), reason(&verdict)), (Action::Nothing, Some(expected)));
    }
}

#[test]
fn an_attempt_is_resolved_first() {
    let mut o = deleting(look(json!({"creation": attempt("a", "u")})));
    assert_eq!(decide(&o).action, Action::Nothing);
    o.namesakes = vec![unclaimed("p", "provisioned")];
    assert_eq!(decide(&o).action, Action::Bind { id: "p".to_owned() });
    let mut o = deleting(look(json!({"earlierCreations": [attempt("a", "u")]})));
    (o.list.alive, o.list.missing) = (1, 1);
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::UpstreamEmpty)));
    assert!(!verdict.ask, "an ask at each list would be a loop");
}

#[test]
fn what_is_not_ours_or_to_stay_is_let_alone() {
    let foreign = deleting(look(json!({"binding": binding("old")})));
    assert_eq!(decide(&foreign).action, Action::LetGo(Farewell::NotOurs));
    let mut claimed = deleting(look(bound()));
    claimed.bound_to_other = Some(other());
    assert_eq!(decide(&claimed).action, Action::LetGo(Farewell::NotOurs));
    let mut retained = retain(deleting(look(bound())));
    retained.connection = Err(ConnectionProblem::NotFound(String::new()));
    assert_eq!(decide(&retained).action, Action::LetGo(Farewell::Retained), "even without a connection");
}

#[test]
fn without_a_connection_it_says_how_to_let_go() {
    let mut o = deleting(look(bound()));
    o.connection = Err(ConnectionProblem::CredentialsMissing("The Secret is gone.".to_owned()));
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::CredentialsMissing)));
    assert!(matches!(&verdict.standing, Standing::Stalled(_, message) if message.contains("Retain")));
}

#[test]
fn nothing_is_deleted_through_a_connection_that_leads_elsewhere() {
    let verdict = decide(&elsewhere(listed("provisioned")));
    assert_eq!(verdict.action, Action::Nothing);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::ConnectionChanged)));
}

#[test]
fn very_many_deletions_are_held_until_somebody_confirms() {
    let mut o = deleting(look(bound()));
    (o.bound, o.list.empty, o.deletions) = (Some(remote("p", "provisioned")), false, 10);
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
    o.deletions = 11;
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::DeletionHeld)));
    let mut resource = (*o.resource).clone();
    resource.metadata.annotations =
        Some([("edusync.dev/confirm-deletion".to_owned(), "true".to_owned())].into_iter().collect());
    o.resource = Arc::new(resource);
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() });
}

fn retain(mut o: Observation) -> Observation {
    let mut resource = (*o.resource).clone();
    resource.spec.deletion_policy = Some(crate::api::lifecycle::DeletionPolicy::Retain);
    o.resource = Arc::new(resource);
    o
}

/// Otherwise its name would be free, and a second profile of that name could be made. (Simulation, seed 620869.)
#[test]
fn what_is_to_stay_and_may_yet_arrive_keeps_its_resource_for_so_long() {
    let open = |ago: i64| {
        let mut sent = attempt("a", "u");
        sent["notAfter"] = json!(at(NOW - ago).to_string());
        retain(deleting(look(json!({"creation": sent}))))
    };
    let problems = [None, Some(ConnectionProblem::NotFound(String::new()))];
    for problem in problems {
        let with_problem = |mut o: Observation| {
            o.connection = problem.clone().map_or(o.connection, Err);
            o
        };
        let verdict = decide(&with_problem(open(134)));
        assert_eq!(verdict.action, Action::Nothing, "{problem:?}");
        assert_eq!(reason(&verdict), Some(("waiting", Reason::CreateUnresolved)), "{problem:?}");
        assert_eq!(verdict.recheck, Some(std::time::Duration::from_secs(1)), "{problem:?}");
        let verdict = decide(&with_problem(open(135)));
        assert_eq!(verdict.action, Action::LetGo(Farewell::Retained), "{problem:?}");
    }
    let mut arrived = open(10);
    arrived.namesakes = vec![unclaimed("p", "provisioning")];
    let verdict = decide(&elsewhere(arrived.clone()));
    assert_eq!(verdict.action, Action::Nothing, "what is found elsewhere is another one");
    assert_eq!(reason(&verdict), Some(("waiting", Reason::CreateUnresolved)));
    assert_eq!(
        decide(&arrived).action,
        Action::Bind { id: "p".to_owned() },
        "which is then known, and stays"
    );
}
