//! The synchronization is looked at, paused, resumed, run anew.

use super::managing::with_spec;
use super::*;
use crate::api::status::SyncStatus;
use crate::graph::sync::ProfileStatus;

/// A synchronization in this state, with so many errors.
pub(in crate::reconcile) fn sync(status: SyncStatus, errors: u64) -> ProfileStatus {
    ProfileStatus {
        status,
        last_synchronization: None,
        last_activity: None,
        error_count: Some(errors),
        message: None,
    }
}

/// A profile whose list shows this synchronization.
fn shown(status: Value, sync: Option<ProfileStatus>) -> Observation {
    let mut o = look(status);
    let mut profile = as_wanted("p", "provisioned");
    (profile.is_expanded, profile.sync) = (true, sync);
    (o.list.empty, o.bound, o.name) = (false, Some(profile), None);
    o
}

fn with(mut status: Value, member: &str, value: Value) -> Value {
    status[member] = value;
    status
}

fn wants(o: Observation, synchronization: &str) -> Observation {
    with_spec(o, |spec| spec["synchronization"] = json!(synchronization))
}

fn id() -> String {
    "p".to_owned()
}

#[test]
fn where_lists_do_not_bring_it_the_status_is_asked_for_now_and_then() {
    let mut o = look(bound());
    let profile = RemoteProfile { is_expanded: false, ..as_wanted("p", "provisioned") };
    (o.list.empty, o.bound) = (false, Some(profile));
    assert_eq!(decide(&o).action, Action::LookAtSync { id: id() });
    (o.memory.sync_at, o.memory.sync) = (Some(at(NOW - 100)), Some(sync(SyncStatus::Success, 0)));
    let rest = decide(&o);
    assert_eq!((rest.action, rest.recheck), (Action::Nothing, Some(Duration::from_secs(800))));
    o.memory.sync = Some(sync(SyncStatus::InProgress, 0));
    assert_eq!(decide(&o).action, Action::LookAtSync { id: id() }, "something is under way");
    (o.memory.sync_at, o.memory.sync_retry) = (None, Some(Retry { failed: 1, again: at(NOW + 5) }));
    let failed = decide(&o);
    assert_eq!((failed.action, failed.recheck), (Action::Nothing, Some(Duration::from_secs(5))));
    assert_eq!(failed.notices.sync, None, "what was known before stays");
    o.memory.sync_retry = Some(Retry { failed: 1, again: at(NOW) });
    assert_eq!(decide(&o).action, Action::LookAtSync { id: id() });
    // Where lists bring it, no call is made at all.
    assert_eq!(decide(&shown(bound(), None)).action, Action::Nothing);
}

#[test]
fn only_what_edusync_has_paused_is_resumed() {
    let running = || Some(sync(SyncStatus::Success, 0));
    let paused = || Some(sync(SyncStatus::Paused, 0));
    let ours = || with(bound(), "pausedByManifest", json!(true));
    let resume = |is_paused| Action::Resume { id: id(), is_paused };
    for (o, action) in [
        (wants(shown(bound(), running()), "Paused"), Action::Pause { id: id() }),
        (wants(shown(bound(), None), "Paused"), Action::Pause { id: id() }),
        (wants(shown(bound(), paused()), "Paused"), Action::Nothing),
        (wants(shown(ours(), running()), "Paused"), Action::Pause { id: id() }),
        (wants(shown(bound(), paused()), "Running"), Action::Nothing),
        (wants(shown(ours(), paused()), "Running"), resume(true)),
        (wants(shown(ours(), running()), "Running"), resume(false)),
        (shown(ours(), paused()), Action::Nothing),
    ] {
        assert_eq!(decide(&o).action, action, "{:?}", o.resource.spec.synchronization);
    }
}

#[test]
fn a_list_that_is_behind_our_pause_makes_no_second_one() {
    let ours = with(bound(), "pausedByManifest", json!(true));
    let mut o = wants(shown(ours, Some(sync(SyncStatus::Success, 0))), "Paused");
    o.memory.run_at = Some(at(NOW - 10));
    let waiting = decide(&o);
    assert_eq!((waiting.action, waiting.recheck), (Action::Nothing, Some(Duration::from_secs(110))));
    o.memory.run_at = Some(at(NOW - 120));
    assert_eq!(decide(&o).action, Action::Pause { id: id() }, "somebody has resumed it");
}

#[test]
fn a_list_from_while_a_pause_was_made_is_not_the_last_that_is_looked_at() {
    let ours = with(bound(), "pausedByManifest", json!(true));
    let mut o = wants(shown(ours, Some(sync(SyncStatus::Paused, 0))), "Paused");
    o.memory.run_at = Some(at(NOW - 1));
    let verdict = decide(&o);
    assert_eq!((verdict.action, verdict.notices.sync), (Action::Nothing, None));
    assert_eq!(
        verdict.interest,
        Some(Interest::Every { fast: true }),
        "the next list is the same, and shows it"
    );
    o.memory.run_at = Some(at(NOW - 3));
    let verdict = decide(&o);
    assert!(verdict.notices.sync.is_some() && matches!(verdict.interest, Some(Interest::Profile { .. })));
}

#[test]
fn a_trigger_acts_once_for_each_value() {
    let trigger = |trigger, value: &str| Action::Trigger { id: id(), trigger, value: value.to_owned() };
    let asking =
        |status: Value, triggers: Value| with_spec(shown(status, None), |spec| spec["triggers"] = triggers);
    let handled = with(bound(), "handledTriggers", json!({"reset": "1", "start": "1"}));
    for (o, action) in [
        (asking(bound(), json!({"reset": "1"})), trigger(Trigger::Reset, "1")),
        (asking(bound(), json!({"start": "1"})), trigger(Trigger::Start, "1")),
        (asking(bound(), json!({"start": "", "reset": ""})), Action::Nothing),
        (asking(handled.clone(), json!({"reset": "1", "start": "1"})), Action::Nothing),
        (asking(handled.clone(), json!({"reset": "2", "start": "2"})), trigger(Trigger::Reset, "2")),
        (asking(handled, json!({"start": "2"})), trigger(Trigger::Start, "2")),
    ] {
        assert_eq!(decide(&o).action, action, "{:?}", o.resource.spec.triggers);
    }
    let mut setting_up = asking(bound(), json!({"reset": "1"}));
    setting_up.bound = Some(as_wanted("p", "provisioning"));
    assert_eq!(decide(&setting_up).action, Action::Nothing);
    let observed =
        with_spec(asking(bound(), json!({"reset": "1"})), |spec| spec["managementPolicy"] = json!("Observe"));
    assert_eq!(decide(&observed).action, Action::Nothing);
}

#[test]
fn errors_are_counted_once_they_are_all_there() {
    let count = |count| Action::CountErrors { id: id(), count };
    assert_eq!(decide(&shown(bound(), Some(sync(SyncStatus::InProgress, 3)))).action, Action::Nothing);
    let mut o = shown(bound(), Some(sync(SyncStatus::Error, 3)));
    assert_eq!(decide(&o).action, count(3));
    let looked = |count, again: Option<i64>| {
        Some(LookForErrors { count, retry: again.map(|again| Retry { failed: 1, again: at(again) }) })
    };
    o.memory.errors_looked_for = looked(3, None);
    assert_eq!(decide(&o).action, Action::Nothing, "it was refused");
    o.memory.errors_looked_for = looked(3, Some(NOW + 60));
    let waiting = decide(&o);
    assert_eq!((waiting.action, waiting.recheck), (Action::Nothing, Some(Duration::from_mins(1))));
    for look in [looked(3, Some(NOW)), looked(2, None)] {
        o.memory.errors_looked_for = look;
        assert_eq!(decide(&o).action, count(3), "{look:?}");
    }
    let errors = json!([{"entryType": "Student", "errorCode": "X", "count": 2}, {"entryType": "Teacher", "errorCode": "X", "count": 1}]);
    let counted = with(bound(), "errors", errors);
    assert_eq!(decide(&shown(counted.clone(), Some(sync(SyncStatus::Error, 3)))).action, Action::Nothing);
    assert_eq!(decide(&shown(counted.clone(), Some(sync(SyncStatus::Error, 4)))).action, count(4));
    assert_eq!(
        decide(&shown(counted, Some(sync(SyncStatus::Success, 0)))).action,
        Action::Nothing,
        "none is left"
    );
}
