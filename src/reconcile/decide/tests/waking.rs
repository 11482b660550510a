//! Who does nothing says what wakes it, or it would sleep for ever; and no sooner than it must, or it would be a loop.

use super::*;

/// Every list, at the fast pace or at rest.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a verdict has")]
fn lists(fast: bool) -> Option<Interest> {
    Some(Interest::Every { fast })
}

#[test]
fn who_waits_for_the_secret_of_its_source_looks_again() {
    let mut o = look(json!({}));
    o.source_secret = SourceSecret::Missing("The Secret is gone.".to_owned());
    let verdict = decide(&o);
    assert_eq!(reason(&verdict), Some(("stalled", Reason::CredentialsMissing)));
    assert_eq!(verdict.recheck, Some(Duration::from_secs(30)), "nobody tells when it comes");
}

#[test]
fn what_came_of_an_attempt_is_asked_for_once_and_then_waited_for() {
    let mut o = look(json!({"creation": attempt("a", "u")}));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 1)));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.ask), (None, true), "the first list will tell");
    assert_eq!(verdict.interest, lists(true));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 2)));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.ask), (Some(("waiting", Reason::CreateUnresolved)), false));
    assert_eq!(verdict.interest, lists(true));
}

/// What only passes is not worth more words than the attempt itself; what a person must mend is.
#[test]
fn an_open_attempt_says_what_keeps_it_open() {
    let mut o = look(json!({"creation": attempt("a", "u")}));
    o.memory.resolving = Some(("a".to_owned(), at(NOW - 1)));
    let mut failing = |failure: GraphError| {
        o.list = ListFacts { failure: Some(failure), ..ListFacts::default() };
        let verdict = decide(&o);
        (reason(&verdict), verdict.ask)
    };
    let away = failing(GraphError::NotConnected(String::new()));
    assert_eq!(away, (Some(("waiting", Reason::CreateUnresolved)), true));
    let retired = failing(GraphError::Retired { status: 410, ids: CallIds::default() });
    assert_eq!(retired, (Some(("stalled", Reason::UpstreamRetired)), true));
}

#[test]
fn who_has_no_list_asks_for_one_and_not_hotly_where_a_person_must_act() {
    let mut o = look(json!({}));
    (o.list.began, o.list.ended) = (None, None);
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.interest, verdict.ask), (None, lists(true), true));
    o.list.failure = Some(GraphError::Retired { status: 410, ids: CallIds::default() });
    let verdict = decide(&o);
    assert_eq!((verdict.interest.clone(), verdict.ask), (lists(false), true));
    assert_eq!(reason(&verdict), Some(("stalled", Reason::UpstreamRetired)));
}

#[test]
fn what_nobody_tells_of_is_looked_at_again() {
    let minute = Some(Duration::from_mins(1));
    let mut o = look(bound());
    o.bound_to_other = Some(other());
    assert_eq!(reason(&decide(&o)), Some(("stalled", Reason::AlreadyClaimed)));
    assert_eq!(decide(&o).recheck, minute, "the other resource goes");
    // No list tells that, so none is made for it; the metrics then tell no age of a list.
    assert_eq!(decide(&o).interest, None);
    let mut o = look(bound());
    o.connection = Err(ConnectionProblem::CredentialsMissing("The Secret is gone.".to_owned()));
    assert_eq!(decide(&o).recheck, minute, "the Secret comes");
    let gone = decide(&deleting(o));
    assert_eq!((gone.recheck, gone.interest), (minute, lists(false)));
}

#[test]
fn a_refusal_that_may_pass_is_tried_again_after_its_time_or_when_somebody_asks() {
    let refused = |status: u16| {
        look(json!({"refusal": {"generation": 1, "connection": "c/1/", "status": status,
            "clientRequestId": "x", "time": at(NOW - 60).to_string()}}))
    };
    let left = Duration::from_hours(1).checked_sub(Duration::from_mins(1));
    for (status, reason_of, recheck) in
        [(401, Reason::Unauthorized, left), (403, Reason::Forbidden, left), (400, Reason::Rejected, None)]
    {
        let verdict = decide(&refused(status));
        assert_eq!(reason(&verdict), Some(("stalled", reason_of)), "{status}");
        assert_eq!((verdict.recheck, verdict.interest), (recheck, Some(Interest::Health)), "{status}");
        assert_eq!(decide(&asked(refused(status))).action, Action::Create, "{status}");
    }
    // Of a deletion all of them may pass: it is the only thing that is left to do.
    let mut status = bound();
    status["refusal"] = json!({"generation": 1, "connection": "c/1/", "status": 400, "clientRequestId": "x",
        "time": at(NOW - 60).to_string()});
    let mut o = deleting(look(status));
    o.bound = Some(remote("p", "provisioned"));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.recheck), (Some(("stalled", Reason::Rejected)), left));
    assert_eq!(verdict.interest, Some(Interest::Health));
}

#[test]
fn a_profile_at_rest_wakes_its_resource_by_its_own_changes_alone() {
    let interest = |state: &str, updated: Option<i64>| {
        let mut o = look(bound());
        o.bound = Some(as_wanted("p", state));
        o.memory.updated_at = updated.map(at);
        let verdict = decide(&o);
        match verdict.interest {
            Some(Interest::Profile { id, name, fast }) => {
                assert_eq!((id.as_str(), name), ("p", NameKey::of("Contoso")));
                fast
            }
            other => panic!("{state}: {other:?}"),
        }
    };
    for (state, fast) in [
        ("provisioned", false),
        ("provisioningFailed", false),
        ("deletionFailed", false),
        ("provisioning", true),
        ("deleting", true),
    ] {
        assert_eq!(interest(state, None), fast, "{state}");
    }
    assert!(interest("provisioned", Some(NOW - 119)), "it may be set up anew");
    assert!(!interest("provisioned", Some(NOW - 120)));
}

#[test]
fn somebody_looks_at_the_calendar_although_nothing_happens() {
    let mut o = look(bound());
    let mut profile = as_wanted("p", "provisioned");
    profile.is_expanded = true;
    o.bound = Some(profile);
    assert_eq!(decide(&o).recheck, Some(Duration::from_hours(12)));
}

#[test]
fn a_restart_makes_no_burst_for_what_is_at_rest() {
    let of_generation = |observed: i64, state: &str| {
        let status = json!({"binding": binding("u"), "state": state, "observedGeneration": observed});
        let mut o = look(status);
        o.list = ListFacts::default();
        decide(&o).interest
    };
    let without_list = |state: &str| of_generation(1, state);
    let at_rest = Interest::Profile { id: "p".to_owned(), name: NameKey::of("Contoso"), fast: false };
    assert_eq!(without_list("provisioned"), Some(at_rest.clone()));
    assert_eq!(without_list("provisioningFailed"), Some(at_rest));
    assert_eq!(without_list("provisioning"), lists(true));
    assert_eq!(of_generation(0, "provisioned"), lists(true), "the manifest was changed meanwhile");
    // A list from before the profile was bound is as good as none.
    let mut o = look(json!({"binding": binding("u"), "state": "provisioning"}));
    (o.memory.seen, o.memory.bound_at) = (true, Some(at(NOW - 1)));
    assert_eq!((decide(&o).action, decide(&o).interest), (Action::Nothing, lists(true)));
    o.memory.bound_at = Some(at(NOW - 2));
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
}

#[test]
fn what_is_not_visible_yet_is_waited_for_through_the_settle_window() {
    let mut o = look(bound());
    o.memory.bound_at = Some(at(NOW - 119));
    assert_eq!((decide(&o).action, decide(&o).interest), (Action::Nothing, lists(true)));
    o.memory.bound_at = Some(at(NOW - 120));
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() });
    assert_eq!(decide(&o).interest, lists(true), "the list may show it");
    o.list.failure = Some(GraphError::NotConnected(String::new()));
    assert_eq!((decide(&o).action, decide(&o).interest), (Action::Nothing, lists(true)), "nothing is proven");
    o.list.failure = Some(GraphError::Waiting(Duration::from_secs(9)));
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() }, "the list is still good");
}

#[test]
fn a_deletion_is_woken_by_what_it_waits_for() {
    let mut o = deleting(look(bound()));
    o.memory.seen = true;
    o.bound = Some(remote("p", "deleting"));
    let verdict = decide(&o);
    assert_eq!((verdict.interest, verdict.notices.state), (lists(true), Some(Some(ProfileState::Deleting))));
    o.bound = Some(remote("p", "deletionFailed"));
    o.memory.delete_sent = Some(at(NOW - 600));
    let verdict = decide(&o);
    assert_eq!((verdict.recheck, verdict.interest), (Some(Duration::from_hours(1)), lists(false)));
    o.bound = Some(remote("p", "provisioned"));
    o.deletions = 11;
    assert_eq!(decide(&o).action, Action::Delete { id: "p".to_owned() }, "it was allowed once");
    assert_eq!(decide(&o).interest, None, "another pass follows");
    o.list = ListFacts::default();
    assert_eq!((decide(&o).action, decide(&o).ask), (Action::Nothing, true));
}

#[test]
fn a_profile_that_no_list_has_is_probed_in_its_time() {
    let mut o = deleting(look(bound()));
    o.memory = Memory {
        seen: true,
        bound_at: Some(at(1)),
        delete_sent: Some(at(NOW - 1)),
        absences: 1,
        last_absence: Some(at(NOW - 1)),
        ..Memory::default()
    };
    let deleting = Some(("waiting", Reason::Deleting));
    let verdict = decide(&o);
    assert_eq!((reason(&verdict), verdict.recheck, verdict.interest), (deleting, None, lists(true)));
    o.memory.delete_sent = Some(at(NOW - 2));
    let verdict = decide(&o);
    assert_eq!(verdict.action, Action::Nothing, "the second proof is apart from the first");
    assert_eq!((reason(&verdict), verdict.recheck), (deleting, Some(Duration::from_secs(4))));
    (o.memory.absences, o.memory.last_absence, o.memory.present) = (0, None, true);
    assert_eq!(decide(&o).action, Action::Probe { id: "p".to_owned() }, "it was asked to go a moment ago");
}
