//! The synchronization of a profile that is set up: look at it, pause and resume it, run it anew.
//!
//! A trigger acts at most once for each value: it is recorded before its call. What edusync has
//! paused, and nothing else, it resumes.

use std::time::Duration;

use super::{Action, Trigger, Verdict, until_again};
use crate::api::lifecycle::Synchronization;
use crate::api::status::{ProfileState, SyncStatus};
use crate::graph::RemoteProfile;
use crate::graph::sync::ProfileStatus;
use crate::reconcile::observation::Observation;

/// So often the status is asked for by a call of its own, where lists do not bring it.
pub(in crate::reconcile) const LOOK_AT_REST: Duration = Duration::from_mins(15);
/// The same while something is under way.
const UNDER_WAY: Duration = Duration::from_mins(1);

/// What may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permitted {
    /// Whatever the manifest says.
    All,
    /// The profile is not as it should be, and cannot be corrected yet. A synchronization that is to stop must stop all the
    /// same.
    Pause,
}

/// The next thing to do, or when to look again.
pub(super) fn decide(o: &Observation, profile: &RemoteProfile, permitted: Permitted) -> Verdict {
    if profile.state != ProfileState::Provisioned {
        return Verdict::nothing();
    }
    let until_look = if profile.is_expanded { None } else { Some(until_due(o)) };
    if until_look == Some(Duration::ZERO) {
        return Verdict::act(Action::LookAtSync { id: profile.id.clone() });
    }
    if !o.resource.spec.is_observed_only()
        && let Some(verdict) = change(o, profile, permitted)
    {
        let recheck = verdict.recheck.into_iter().chain(until_look).min();
        return Verdict { recheck, ..verdict };
    }
    let recheck = match o.memory.sync_of(profile).and_then(|sync| news_of_errors(o, sync)) {
        Some((count, None)) => return Verdict::act(Action::CountErrors { id: profile.id.clone(), count }),
        Some((_, wait)) => until_look.into_iter().chain(wait).min(),
        None => until_look,
    };
    Verdict { recheck, ..Verdict::nothing() }
}

fn when_settled(o: &Observation, profile: &RemoteProfile, action: Action) -> Verdict {
    match unsettled_for(o, profile) {
        Some(left) => Verdict { recheck: Some(left), ..Verdict::nothing() },
        None => unless_set_back(o, action),
    }
}

fn unless_set_back(o: &Observation, action: Action) -> Verdict {
    until_again(o, o.memory.run_setback).unwrap_or_else(|| Verdict::act(action))
}

fn until_due(o: &Observation) -> Duration {
    let until_retry = o.memory.sync_retry.map_or(Duration::ZERO, |retry| o.until(retry.again));
    let Some(at) = o.memory.sync_at else {
        return until_retry;
    };
    let is_under_way = o.memory.sync.as_ref().is_some_and(|sync| is_under_way(sync.status));
    let due = at.saturating_add(if is_under_way { UNDER_WAY } else { LOOK_AT_REST }).unwrap_or(at);
    o.until(due).max(until_retry)
}

/// Will it go on by itself?
pub(in crate::reconcile) const fn is_under_way(status: SyncStatus) -> bool {
    matches!(
        status,
        SyncStatus::Extracting
            | SyncStatus::Validating
            | SyncStatus::InProgress
            | SyncStatus::UnknownFutureValue
    )
}

fn change(o: &Observation, profile: &RemoteProfile, permitted: Permitted) -> Option<Verdict> {
    if permitted == Permitted::All
        && let Some(action) = trigger(o, profile)
    {
        return Some(unless_set_back(o, action));
    }
    let action = pause_or_resume(o, profile)?;
    let is_permitted = permitted == Permitted::All || matches!(action, Action::Pause { .. });
    is_permitted.then(|| when_settled(o, profile, action))
}

/// A trigger whose value has not been answered.
fn trigger(o: &Observation, profile: &RemoteProfile) -> Option<Action> {
    let handled = o.status().handled_triggers.as_ref();
    let spec = &o.resource.spec;
    let news = |value: Option<&str>, handled: Option<&String>| {
        value.filter(|value| handled.map(String::as_str) != Some(*value)).map(str::to_owned)
    };
    let reset = news(spec.reset_trigger(), handled.and_then(|handled| handled.reset.as_ref()))
        .map(|value| (Trigger::Reset, value));
    let start = news(spec.start_trigger(), handled.and_then(|handled| handled.start.as_ref()))
        .map(|value| (Trigger::Start, value));
    let (trigger, value) = reset.or(start)?;
    Some(Action::Trigger { id: profile.id.clone(), trigger, value })
}

fn pause_or_resume(o: &Observation, profile: &RemoteProfile) -> Option<Action> {
    let is_paused = is_paused(o, profile);
    let by_us = o.status().paused_by_manifest == Some(true);
    let id = profile.id.clone();
    match o.resource.spec.synchronization? {
        Synchronization::Paused if is_paused != Some(true) => Some(Action::Pause { id }),
        Synchronization::Running if by_us => {
            Some(Action::Resume { id, is_paused: is_paused.unwrap_or(true) })
        }
        _ => None,
    }
}

fn is_paused(o: &Observation, profile: &RemoteProfile) -> Option<bool> {
    o.memory.sync_of(profile).map(|sync| sync.status == SyncStatus::Paused)
}

/// After a call of ours what is known may be from before it, until it shows what we did or a settle
/// window is over.
fn unsettled_for(o: &Observation, profile: &RemoteProfile) -> Option<Duration> {
    let at = o.memory.run_at?;
    let shows_it = is_paused(o, profile) == Some(o.status().paused_by_manifest == Some(true));
    if shows_it && o.list_since(at) {
        return None;
    }
    let until = at.saturating_add(o.settings.settle_window).unwrap_or(at);
    Some(o.until(until)).filter(|left| !left.is_zero())
}

/// How many errors there are, if they are not those that the status tells of by kind, and how long to wait with that. A
/// run that goes on may find more.
fn news_of_errors(o: &Observation, sync: &ProfileStatus) -> Option<(u64, Option<Duration>)> {
    let count = sync.error_count.filter(|count| *count > 0 && !is_under_way(sync.status))?;
    let counted: i64 = o.status().errors.iter().map(|errors| errors.count).sum();
    if u64::try_from(counted).ok() == Some(count) {
        return None;
    }
    match o.memory.errors_looked_for.filter(|look| look.count == count) {
        None => Some((count, None)),
        Some(look) => Some((count, Some(o.until(look.retry?.again)).filter(|left| !left.is_zero()))),
    }
}
