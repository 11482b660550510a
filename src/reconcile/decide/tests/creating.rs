//! Nothing is created without the name and a fresh list.

use super::*;

#[test]
fn with_the_name_and_a_fresh_list_it_is_created() {
    assert_eq!(decide(&look(json!({}))).action, Action::Create);
}

#[test]
fn nothing_begins_through_a_connection_that_is_being_deleted() {
    let mut o = look(json!({"earlierCreations": [attempt("a", "u")]}));
    o.connection_is_going = true;
    let verdict = decide(&o);
    assert_eq!((verdict.action.clone(), verdict.recheck), (Action::Nothing, None));
    assert_eq!(reason(&verdict), Some(("stalled", Reason::ConnectionNotFound)));
    o.namesakes = vec![unclaimed("p", "provisioned")];
    assert_eq!(
        decide(&o).action,
        Action::Bind { id: "p".to_owned() },
        "what was begun is brought to its end"
    );
}

#[test]
fn a_list_from_before_the_claim_is_not_enough() {
    let mut o = look(json!({}));
    o.name = Some(NameClaim::Ours(at(NOW - 1)));
    let verdict = decide(&o);
    assert_eq!((verdict.action.clone(), verdict.ask, reason(&verdict)), (Action::Nothing, true, None));
}

/// A refused resource tries again an hour later, by a list that another one asked for long ago:
/// what a person has made meanwhile is not in it.
#[test]
fn an_old_list_is_not_enough_even_if_it_is_from_after_the_claim() {
    let mut o = look(json!({}));
    o.name = Some(NameClaim::Ours(at(1)));
    o.list.began = Some(at(NOW - 1_000));
    o.list.ended = Some(at(NOW - 999));
    let verdict = decide(&o);
    assert_eq!((verdict.action, verdict.ask), (Action::Nothing, true));
}

#[test]
fn nothing_is_created_by_a_list_that_could_not_be_repeated() {
    let mut o = look(json!({}));
    o.list.failure = Some(GraphError::NotConnected("refused".to_owned()));
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing);
    assert_eq!(reason(&verdict), Some(("waiting", Reason::UpstreamUnavailable)));
}

#[test]
fn an_empty_list_while_profiles_are_alive_is_not_believed() {
    let mut o = look(json!({}));
    (o.list.alive, o.list.missing, o.list.lost) = (1, 1, true);
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing);
    assert_eq!(reason(&verdict), Some(("waiting", Reason::UpstreamEmpty)));
}

#[test]
fn a_name_that_is_taken_is_never_doubled() {
    let claimed = Namesake { profile: remote("p", "provisioned"), claimed_by: Some(other()) };
    for (namesakes, expected) in [
        (vec![unclaimed("p", "provisioned")], ("stalled", Reason::AlreadyExists)),
        (vec![unclaimed("p", "deletionFailed")], ("stalled", Reason::AlreadyExists)),
        (vec![unclaimed("p", "deleting")], ("waiting", Reason::NameBeingDeleted)),
        (vec![unclaimed("q", "deleting"), claimed], ("stalled", Reason::AlreadyClaimed)),
    ] {
        let mut o = look(json!({}));
        o.namesakes = namesakes;
        let verdict = decide(&o);
        assert_eq!(verdict.action, Action::Nothing);
        assert_eq!(reason(&verdict), Some(expected));
    }
    let mut o = look(json!({}));
    o.name = Some(NameClaim::TakenBy(other()));
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyClaimed)));
}

#[test]
fn a_refusal_stands_for_the_same_spec_and_connection() {
    let refusal = |generation: i64, connection: &str, status: u16, age: i64| {
        json!({"refusal": {"generation": generation, "connection": connection, "status": status,
            "clientRequestId": "x", "time": at(NOW - age).to_string()}})
    };
    for (status, creates) in [
        (refusal(1, "c/1/", 400, 9_000), false),
        (refusal(0, "c/1/", 400, 1), true),
        (refusal(1, "c/2/", 400, 1), true),
        (refusal(1, "c/1/", 403, 60), false),
        (refusal(1, "c/1/", 403, 3_600), true),
    ] {
        let verdict = decide(&look(status.clone()));
        assert_eq!(verdict.action == Action::Create, creates, "{status}");
    }
}

#[test]
fn a_status_of_another_object_is_not_trusted() {
    for status in [json!({"binding": binding("old")}), json!({"creation": attempt("a", "old")})] {
        let verdict = decide(&look(status));
        assert_eq!(verdict.action, Action::Nothing);
        assert_eq!(reason(&verdict), Some(("stalled", Reason::StatusNotTrusted)));
        assert!(verdict.recheck.is_some(), "the remedy wakes nobody");
    }
}

#[test]
fn a_status_that_names_another_profile_than_the_one_that_was_bound_is_not_trusted() {
    let mut o = look(bound());
    o.trust = Trust::Edited { bound: "q".to_owned() };
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing);
    let Standing::Stalled(Reason::StatusNotTrusted, message) = verdict.standing else { panic!() };
    assert!(
        message.contains("spec.adopt.profileId: q,") && message.contains("spec.adopt.profileId: p,"),
        "{message}"
    );
    assert_eq!(decide(&deleting(o)).action, Action::LetGo(Farewell::NotOurs));
}

#[test]
fn a_connection_to_another_tenant_makes_no_call() {
    for status in [bound(), json!({"creation": attempt("a", "u")})] {
        let verdict = decide(&elsewhere(look(status)));
        assert_eq!(verdict.action, Action::Nothing);
        assert_eq!(reason(&verdict), Some(("stalled", Reason::ConnectionChanged)));
    }
}

#[test]
fn what_graph_has_put_off_is_not_tried_before_its_time_whoever_wakes() {
    let mut o = look(json!({}));
    o.memory.setback = Some(Retry { failed: 1, again: at(NOW + 20) });
    let verdict = decide(&o);
    assert_eq!((verdict.action, verdict.recheck), (Action::Nothing, Some(Duration::from_secs(20))));
    o.memory.setback = Some(Retry { failed: 1, again: at(NOW) });
    assert_eq!(decide(&o).action, Action::Create);
}
