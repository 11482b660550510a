//! The faults that are set, in order, and which of them strike a call. Counting happens here and nowhere else.

use jiff::Timestamp;
use serde::Serialize;

use super::kind::Moment;
use super::{Fault, Kind, Operation, Target};
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
    /// Whether it struck the last list; then it does so on every page of it.
    paging: bool,
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
        self.entries.push(Entry { number, fault, seen: 0, struck: 0, throttled_until: None, paging: false });
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
            active: entry.is_alive() || entry.is_throttling(now),
        };
        self.entries.iter().map(shown).collect()
    }

    /// Counts the call and answers what goes wrong with it.
    pub(crate) fn strike(&mut self, call: &Call<'_>, now: Timestamp) -> Strike {
        let mut strike = Strike::default();
        // What replaces the call or its answer is decided first: the rest is wasted on a call that does not happen.
        for replacing in [true, false] {
            for entry in &mut self.entries {
                let (kind, moment) = (entry.fault.kind, entry.fault.kind.moment());
                if moment.replaces() != replacing || !entry.fault.matches(call) {
                    continue;
                }
                let waits = if replacing {
                    // A call has one answer: what else would replace it waits for the next one.
                    strike.instead.is_some() || strike.lost.is_some()
                } else {
                    strike.instead.is_some() && kind.needs_the_call()
                };
                if entry.hits(call, waits, &mut self.dice, now) {
                    strike.take(moment, entry.fault.clone());
                }
            }
        }
        strike
    }

    /// Whether this call will certainly not be carried out. Nothing is counted.
    pub(crate) fn stops(&self, call: &Call<'_>, now: Timestamp) -> bool {
        let replacing = |entry: &&Entry| entry.fault.kind.moment().replaces() && entry.fault.matches(call);
        let first = self.entries.iter().filter(replacing).find(|entry| entry.is_due(now));
        first.is_some_and(|entry| {
            entry.fault.kind.moment() == Moment::Instead
                && (entry.fault.chance.is_none() || entry.is_throttling(now))
        })
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

impl Strike {
    fn take(&mut self, moment: Moment, fault: Fault) {
        match moment {
            Moment::Instead => self.instead = Some(fault),
            Moment::Before => self.before.push(fault),
            Moment::Lost => self.lost = Some(fault),
            Moment::After => self.after.push(fault),
        }
    }
}

impl Entry {
    fn is_alive(&self) -> bool {
        self.fault.times.is_none_or(|times| self.struck < times)
    }

    fn is_throttling(&self, now: Timestamp) -> bool {
        self.throttled_until.is_some_and(|end| now < end)
    }

    /// Whether the next matching call is struck, chance aside.
    fn is_due(&self, now: Timestamp) -> bool {
        self.is_throttling(now) || self.seen >= self.fault.after && self.is_alive()
    }

    /// Whether a matching call is struck. A later page belongs to its list, and is not counted.
    fn hits(&mut self, call: &Call<'_>, waits: bool, dice: &mut Ids, now: Timestamp) -> bool {
        if self.fault.follows_pages(call.operation) {
            return self.paging && !waits;
        }
        let hit = self.hit(waits, dice, now);
        if call.operation == Operation::List {
            self.paging = hit;
        }
        hit
    }

    /// Counts a matching call; whether it is struck. While it `waits`, a later call will be.
    fn hit(&mut self, waits: bool, dice: &mut Ids, now: Timestamp) -> bool {
        self.seen = self.seen.saturating_add(1);
        if waits {
            return false;
        }
        if !self.is_throttling(now) {
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
        (self.operation.covers(call.operation) || self.follows_pages(call.operation))
            && self.id.as_ref().is_none_or(|id| call.id.is_some_and(|other| other.eq_ignore_ascii_case(id)))
            && match &self.name {
                // Somebody must be named, by the call or by the fault.
                None => self.kind != Kind::DeletedByOther || call.id.is_some(),
                // Lists are about nobody in particular; there the name says who is deleted.
                Some(_) if self.kind == Kind::DeletedByOther && call.id.is_none() => true,
                Some(name) => call.names.contains(&name.as_str()),
            }
    }

    /// Whether this call is a later page of a list that it is for: what a list shows holds for all of its pages.
    fn follows_pages(&self, operation: Operation) -> bool {
        let shows_others = matches!(self.kind, Kind::Lag | Kind::Stale | Kind::EmptyList);
        shows_others && self.operation == Target::One(Operation::List) && operation == Operation::ListPage
    }

    /// Its duration: half a minute, or five seconds for a slow answer, unless it says otherwise.
    pub(crate) fn lasting(&self) -> std::time::Duration {
        let default = if self.kind == Kind::Slow { 5 } else { 30 };
        self.span.unwrap_or_else(|| std::time::Duration::from_secs(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_will_not_happen_is_known_before() {
        let now = Timestamp::UNIX_EPOCH;
        let call = Call { operation: Operation::Start, id: Some("1"), names: Vec::new() };
        let rows: [(&[&str], bool); 7] = [
            (&[], false),
            (&["start:503"], true),
            (&["start:slow", "any:retired-410"], true),
            (&["start:503,after=1"], false),
            (&["start:503,chance=50%"], false),
            (&["start:504-after-commit", "start:503"], false),
            (&["start:503,id=2"], false),
        ];
        for (specs, expected) in rows {
            let mut faults = FaultList::new(Some(1));
            for spec in specs {
                faults.add(spec.parse().unwrap());
            }
            assert_eq!(faults.stops(&call, now), expected, "{specs:?}");
            assert!(faults.all(now).iter().all(|fault| fault.seen == 0), "nothing is counted");
            if faults.strike(&call, now).instead.is_some() && expected {
                assert!(!faults.stops(&call, now), "once only");
            }
        }
    }
}
