//! What a correction waits for, and what goes on meanwhile.

use super::managing::following;
use super::*;

/// The same, by a list that is too old to be corrected by.
fn with_old_list(mut o: Observation) -> Observation {
    (o.list.began, o.list.ended) = (Some(at(NOW - 17)), Some(at(NOW - 16)));
    o
}

/// It is sent whole: what the manifest says nothing of is repeated as the list has it.
#[test]
fn a_correction_needs_a_list_of_this_moment() {
    let verdict = decide(&with_old_list(following()));
    assert_eq!((verdict.action, verdict.ask), (Action::Nothing, true));
}

/// Else a pipeline would go on, and the try that somebody asked for would count as made.
#[test]
fn before_a_further_try_nothing_is_said() {
    let of_status = |more: Value| {
        let mut status = bound();
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut o = look(status);
        (o.bound, o.list.empty, o.name) = (Some(remote("p", "provisioned")), false, None);
        with_old_list(o)
    };
    let refusal = |status: u16, time: i64| {
        json!({"refusal": {"generation": 1, "connection": Observation::refusal_key(&connection(), None), "status": status,
            "clientRequestId": "x", "time": at(time).to_string()}})
    };
    let mut failed = asked(of_status(json!({"state": "provisioningFailed"})));
    failed.bound = Some(as_wanted("p", "provisioningFailed"));
    let refused = asked(of_status(refusal(400, NOW - 60)));
    let hourly = of_status(refusal(403, NOW - 7_200));
    for o in [failed, refused, hourly] {
        let verdict = decide(&o);
        assert_eq!((verdict.action.clone(), verdict.ask), (Action::Nothing, true));
        assert_eq!(verdict.standing, Standing::Silent, "{:?}", o.status());
    }
    let drifted = of_status(json!({}));
    assert_eq!(reason(&decide(&drifted)), Some(("ready", Reason::Provisioned)), "nothing was refused");
}

/// Somebody has to stop it, whatever else has to wait.
#[test]
fn a_pause_waits_for_no_correction() {
    let paused = |o: Observation| with_spec(o, |spec| spec["synchronization"] = json!("Paused"));
    let old = paused(with_old_list(following()));
    assert_eq!(decide(&old).action, Action::Pause { id: "p".to_owned() });
    assert!(decide(&old).ask, "the correction is wanted as well");
    let mut unknown = old.clone();
    unknown.bound.as_mut().unwrap().is_expanded = false;
    let look = Action::LookAtSync { id: "p".to_owned() };
    assert_eq!(decide(&unknown).action, look, "it may be paused already, by a person");
    let mut taken = paused(with_spec(following(), |spec| spec["displayName"] = json!("Fabrikam")));
    taken.name = Some(NameClaim::TakenBy(other()));
    assert_eq!(decide(&taken).action, Action::Pause { id: "p".to_owned() });
    assert_eq!(reason(&decide(&taken)), Some(("stalled", Reason::AlreadyClaimed)));
    let set_back = Some(Retry { failed: 1, again: at(NOW + 5) });
    taken.memory.run_setback = set_back;
    assert_eq!(
        (decide(&taken).action, decide(&taken).recheck),
        (Action::Nothing, Some(Duration::from_secs(5)))
    );
    let mut correction = paused(following());
    correction.memory.setback = set_back;
    assert_eq!(decide(&correction).action, Action::Pause { id: "p".to_owned() });
}
