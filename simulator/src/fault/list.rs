//! The faults that are set, in order, and which of them strike a call. Counting happens here and nowhere else.

use jiff::Timestamp;
use serde::Serialize;

use super::kind::Moment;
use super::{Fault, Kind, Operation};
use crate::model::profile::has_passed;
use crate::model::{Ids, Snapshot};

/// A fault that is set, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ActiveFault {
    /// Names it, for removing.
    pub number: u64,
    /// As it is written.
    pub spec: String,
    /// How many matching calls there were.
    pub seen: u32,
    /// How many of them it has struck.
    pub struck: u32,
    /// False when it will strike no more.
    pub active: bool,
}

/// A call, as far as faults can choose it.
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) id: Option<&'a str>,
    /// Display names it is about: of its body, of its profile.
    pub(crate) names: Vec<&'a str>,
}

/// The faults that strike one call, by the moment of their effect.
#[derive(Default)]
pub(crate) struct Strike {
    /// In place of the call; at most one.
    pub(crate) instead: Option<Fault>,
    pub(crate) before: Vec<Fault>,
    /// In place of the answer; at most one, and none when the call does not happen.
    pub(crate) lost: Option<Fault>,
    pub(crate) after: Vec<Fault>,
}

struct Entry {
    number: u64,
    fault: Fault,
    seen: u32,
    struck: u32,
    /// End of the throttle window.
    throttled_until: Option<Timestamp>,
}

/// All faults, and what they need to remember.
pub(crate) struct FaultList {
    /// For faults that strike by chance; a seed repeats it.
    dice: Ids,
    entries: Vec<Entry>,
    numbered: u64,
    /// Ids that cannot be read yet, and until when.
    hidden: Vec<(String, Timestamp)>,
    /// All profiles at earlier moments, oldest first; kept only while a fault looks back.
    past: Vec<(Timestamp, Snapshot)>,
}

impl FaultList {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self { dice: Ids::new(seed), entries: Vec::new(), numbered: 0, hidden: Vec::new(), past: Vec::new() }
    }

    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.numbered += 1;
        let number = self.numbered;
        self.entries.push(Entry { number, fault, seen: 0, struck: 0, throttled_until: None });
        number
    }

    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.number != number);
        self.entries.len() < before
    }

    /// Removes all faults, and what they have done to reading.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.hidden.clear();
        self.past.clear();
    }

    pub(crate) fn all(&self, now: Timestamp) -> Vec<ActiveFault> {
        let shown = |entry: &Entry| ActiveFault {
            number: entry.number,
            spec: entry.fault.to_string(),
            seen: entry.seen,
            struck: entry.struck,
            active: entry.is_alive() || entry.throttled_until.is_some_and(|end| now < end),
        };
        self.entries.iter().map(shown).collect()
    }

    /// Counts the call and answers what goes wrong with it.
    pub(crate) fn strike(&mut self, call: &Call<'_>, now: Timestamp) -> Strike {
        let mut strike = Strike::default();
        for entry in &mut self.entries {
            if !entry.fault.matches(call) {
                continue;
            }
            let moment = entry.fault.kind.moment();
            // A call has one answer: what else would replace it waits for the next one.
            let taken = strike.instead.is_some() || strike.lost.is_some();
            let waits = taken && matches!(moment, Moment::Instead | Moment::Lost);
            if !entry.hit(waits, &mut self.dice, now) {
                continue;
            }
            let fault = entry.fault.clone();
            match moment {
                Moment::Instead => strike.instead = Some(fault),
                Moment::Before => strike.before.push(fault),
                Moment::Lost => strike.lost = Some(fault),
                Moment::After => strike.after.push(fault),
            }
        }
        strike
    }

    pub(crate) fn hide(&mut self, id: String, until: Timestamp) {
        self.hidden.push((id, until));
    }

    pub(crate) fn is_hidden(&mut self, id: &str, now: Timestamp) -> bool {
        self.hidden.retain(|(_, until)| now < *until);
        self.hidden.iter().any(|(hidden, _)| hidden.eq_ignore_ascii_case(id))
    }

    /// Whether some fault needs earlier moments.
    pub(crate) fn looks_back(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.fault.kind, Kind::Lag | Kind::Stale))
    }

    /// Remembers this moment, and forgets those no fault looks back to.
    pub(crate) fn remember(&mut self, snapshot: Snapshot, now: Timestamp) {
        let spans = self.entries.iter().filter_map(Entry::looks_back_by);
        let Some(furthest) = spans.max() else { return self.past.clear() };
        let old = self.past.iter().take_while(|(time, _)| has_passed(*time, furthest, now)).count();
        // The newest of the old ones is how things were until the next one.
        self.past.drain(..old.saturating_sub(1));
        self.past.push((now, snapshot));
    }

    /// Forgets every earlier moment, as if there had been none.
    pub(crate) fn forget_past(&mut self) {
        self.past.clear();
    }

    /// How things were at a moment; the oldest there is, when it lies before them all.
    pub(crate) fn past(&self, moment: Timestamp) -> Option<(Timestamp, Snapshot)> {
        let at = self.past.iter().rev().find(|(time, _)| *time <= moment);
        at.map(|(_, snapshot)| (moment, snapshot.clone())).or_else(|| self.past.first().cloned())
    }
}

impl Entry {
    fn is_alive(&self) -> bool {
        self.fault.times.is_none_or(|times| self.struck < times)
    }

    /// Counts a matching call; whether it is struck. While it `waits`, a later call will be.
    fn hit(&mut self, waits: bool, dice: &mut Ids, now: Timestamp) -> bool {
        self.seen = self.seen.saturating_add(1);
        if waits {
            return false;
        }
        let inside = self.throttled_until.is_some_and(|end| now < end);
        if !inside {
            if self.seen <= self.fault.after || !self.is_alive() {
                return false;
            }
            if self.fault.chance.is_some_and(|chance| dice.percent() >= chance) {
                return false;
            }
            self.struck = self.struck.saturating_add(1);
        }
        // A call inside the window restarts it.
        self.throttled_until = self.fault.window.and_then(|window| now.checked_add(window).ok());
        true
    }

    fn looks_back_by(&self) -> Option<std::time::Duration> {
        matches!(self.fault.kind, Kind::Lag | Kind::Stale).then(|| self.fault.lasting())
    }
}

impl Fault {
    fn matches(&self, call: &Call<'_>) -> bool {
        self.operation.covers(call.operation)
            && self.id.as_ref().is_none_or(|id| call.id.is_some_and(|other| other.eq_ignore_ascii_case(id)))
            && self.name.as_ref().is_none_or(|name| {
                // Lists are about nobody in particular; there the name says who is deleted.
                self.kind == Kind::DeletedByOther && call.id.is_none() || call.names.contains(&name.as_str())
            })
    }

    /// Its duration: half a minute, or five seconds for a slow answer, unless it says otherwise.
    pub(crate) fn lasting(&self) -> std::time::Duration {
        let default = if self.kind == Kind::Slow { 5 } else { 30 };
        self.span.unwrap_or_else(|| std::time::Duration::from_secs(default))
    }
}
