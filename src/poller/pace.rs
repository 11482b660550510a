//! When is the next list due? Pure: the time is an argument.
//!
//! Fast while something is under way, slower while nothing changes, at the rest interval otherwise.
//! Failures never make it faster: retries must not cost more calls than health does.

use std::time::Duration;

use jiff::Timestamp;

use super::Intervals;
use crate::clock::passed;
use crate::graph::Certainty;

/// Asks that come within this time share a list.
const GATHER: Duration = Duration::from_millis(100);
/// So many lists there are in a fast interval at most, whoever asks and however often: two resources that will not
/// agree must not use up a tenant's calls.
const ASKED_LISTS: u32 = 5;

/// For so many fast intervals, a minute by default, lists stay fast without news: whoever has just changed something sees
/// what becomes of it within one interval. What takes longer is looked at ever slower.
const PATIENCE: u32 = 12;

/// What followers need lists for. The greatest need of all counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Nobody follows.
    Nothing,
    /// They hear whether Graph answers. A list that fails is asked for again; one that succeeds is enough.
    Health,
    /// They are at rest.
    Rest,
    /// Something is under way.
    Fast,
}

/// Says when the next list is due.
#[derive(Debug)]
pub(super) struct Pace {
    intervals: Intervals,
    phase: Duration,
    need: Need,
    asked: Option<Timestamp>,
    /// Since when somebody follows who needs lists. None: nobody does.
    followed: Option<Timestamp>,
    last_began: Option<Timestamp>,
    /// When something last began, changed, or was asked for.
    news: Option<Timestamp>,
    failures: u32,
    not_before: Option<Duration>,
}

impl Pace {
    pub(super) fn new(intervals: Intervals, phase: u64) -> Self {
        let rest = u64::try_from(intervals.rest.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            intervals,
            phase: Duration::from_millis(phase % rest),
            need: Need::Nothing,
            asked: None,
            followed: None,
            last_began: None,
            news: None,
            failures: 0,
            not_before: None,
        }
    }

    /// The time between two lists at rest.
    pub(super) const fn rest(&self) -> Duration {
        self.intervals.rest
    }

    /// Since when lists are needed regularly. None: they are not.
    pub(super) const fn needed_since(&self) -> Option<Timestamp> {
        self.followed
    }

    /// Somebody wants a list that begins after now.
    pub(super) fn ask(&mut self, now: Timestamp) {
        self.asked.get_or_insert(now);
        self.news = Some(now);
    }

    pub(super) fn set(&mut self, need: Need, now: Timestamp) {
        if need >= Need::Rest {
            self.followed.get_or_insert(now);
        } else {
            self.followed = None;
        }
        if need == Need::Fast && !self.is_fast() {
            self.news = Some(now);
        }
        self.need = need;
    }

    fn is_fast(&self) -> bool {
        self.need == Need::Fast
    }

    pub(super) fn began(&mut self, now: Timestamp) {
        self.last_began = Some(now);
        self.asked = None;
    }

    pub(super) fn succeeded(&mut self, changed: bool) {
        self.failures = 0;
        self.not_before = None;
        if changed {
            self.news = self.last_began;
        }
    }

    /// `wait` is what Graph asks for.
    pub(super) fn failed(&mut self, certainty: Certainty, wait: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = match certainty {
            // A definite no is not worth asking again soon.
            Certainty::No => Some(self.intervals.rest),
            Certainty::Later(_) | Certainty::Unknown => wait,
        };
    }

    /// How long until the next list; zero: now; None: nobody needs one.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let Some(last) = self.last_began else {
            return match (self.asked, self.followed) {
                (Some(asked), _) => Some(left(asked, GATHER, now)),
                (None, Some(followed)) if self.is_fast() => Some(left(followed, GATHER, now)),
                (None, Some(followed)) => Some(left(followed, self.until_phase(followed), now)),
                (None, None) => None,
            };
        };
        if self.failures > 0 {
            if self.asked.is_none() && !self.is_fast() {
                // Nobody waits for it: health is worth knowing at the slow pace, if there is anyone to know it.
                return (self.need > Need::Nothing).then(|| left(last, self.intervals.rest, now));
            }
            let wait = self.after_failures(self.failures).max(self.not_before.unwrap_or_default());
            return Some(left(last, wait, now));
        }
        if let Some(asked) = self.asked {
            return Some(left(asked, GATHER, now).max(left(last, self.intervals.fast / ASKED_LISTS, now)));
        }
        match self.need {
            Need::Nothing | Need::Health => None,
            Need::Rest => Some(left(last, self.to_next_phase(last), now)),
            Need::Fast => Some(left(last, self.after_quiet(last), now)),
        }
    }

    /// The fast interval while there was news of late; then half as long again each time, up to the rest interval. All that
    /// counts is how long there was none, and not how many lists have shown that.
    fn after_quiet(&self, last: Timestamp) -> Duration {
        let quiet = self.news.map_or(Duration::ZERO, |news| passed(news, last));
        let more = quiet.saturating_sub(self.intervals.fast * PATIENCE) / 2;
        (self.intervals.fast + more).min(self.intervals.rest)
    }

    /// The fast interval, half as long again for each failure after the first, up to the rest interval.
    fn after_failures(&self, failures: u32) -> Duration {
        let factor = 1.5_f64.powi(i32::try_from(failures.saturating_sub(1).min(64)).unwrap_or(64));
        let grown = self.intervals.fast.as_secs_f64() * factor;
        Duration::from_secs_f64(grown.min(self.intervals.rest.as_secs_f64()))
    }

    fn until_phase(&self, now: Timestamp) -> Duration {
        let rest = self.intervals.rest.as_millis().max(1);
        let since_epoch = u128::try_from(now.as_millisecond()).unwrap_or_default();
        let position = since_epoch % rest;
        let phase = self.phase.as_millis();
        let wait = (phase + rest - position) % rest;
        Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// From a list to the next moment of our phase that is at least half an interval away.
    fn to_next_phase(&self, last: Timestamp) -> Duration {
        let until = self.until_phase(last);
        if until < self.intervals.rest / 2 { until + self.intervals.rest } else { until }
    }
}

fn left(since: Timestamp, wait: Duration, now: Timestamp) -> Duration {
    wait.saturating_sub(passed(since, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_mins(1);
    const FAST: Duration = Duration::from_secs(5);

    fn pace() -> Pace {
        Pace::new(Intervals { rest: REST, fast: FAST }, 20_000)
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(6_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn nobody_follows_nobody_asks() {
        assert_eq!(pace().next(at(0)), None);
    }

    #[test]
    fn asks_gather_and_share() {
        let mut pace = pace();
        pace.ask(at(0));
        pace.ask(at(50));
        assert_eq!(pace.next(at(60)), Some(Duration::from_millis(40)));
        assert_eq!(pace.next(at(200)), Some(Duration::ZERO));
        pace.began(at(200));
        pace.succeeded(true);
        assert_eq!(pace.next(at(201)), None);
    }

    #[test]
    fn who_asks_again_and_again_waits_a_fifth_of_the_fast_interval() {
        let mut pace = pace();
        pace.began(at(0));
        pace.succeeded(true);
        pace.ask(at(150));
        assert_eq!(pace.next(at(150)), Some(Duration::from_millis(850)));
        pace.began(at(1_000));
        pace.ask(at(2_500));
        assert_eq!(pace.next(at(2_500)), Some(GATHER));
    }

    #[test]
    fn after_a_restart_lists_fall_on_the_same_moments() {
        let mut pace = pace();
        pace.set(Need::Rest, at(0));
        assert_eq!(pace.next(at(0)), Some(Duration::from_secs(20)));
        assert_eq!(
            pace.next(at(20_001)),
            Some(Duration::ZERO),
            "a timer that is late is no reason to wait again"
        );
        pace.began(at(20_000));
        pace.succeeded(false);
        assert_eq!(pace.next(at(20_000)), Some(REST));
    }

    #[test]
    fn something_under_way_gets_its_first_list() {
        let mut pace = pace();
        pace.set(Need::Fast, at(0));
        assert_eq!(pace.next(at(0)), Some(GATHER));
        assert_eq!(pace.next(at(100)), Some(Duration::ZERO));
    }

    #[test]
    fn lists_are_needed_while_somebody_follows() {
        let mut pace = pace();
        assert_eq!(pace.needed_since(), None);
        pace.set(Need::Rest, at(10));
        pace.set(Need::Fast, at(20));
        assert_eq!(pace.needed_since(), Some(at(10)));
        pace.set(Need::Health, at(30));
        assert_eq!(pace.needed_since(), None);
    }

    #[test]
    fn the_next_list_at_rest_is_half_an_interval_away_at_least() {
        let mut pace = pace();
        pace.set(Need::Rest, at(0));
        for (last, wait) in [(-10_000, 30_000), (-9_999, 89_999), (30_000, 50_000)] {
            pace.began(at(last));
            assert_eq!(pace.next(at(last)), Some(Duration::from_millis(wait)), "{last}");
        }
    }

    /// The next so many waits, each list as soon as it is due and without news.
    fn waits(pace: &mut Pace, mut now: i64, number: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        for _ in 0..number {
            pace.began(at(now));
            pace.succeeded(false);
            let wait = pace.next(at(now)).unwrap();
            now += i64::try_from(wait.as_millis()).unwrap();
            waits.push(wait.as_secs());
        }
        waits
    }

    #[test]
    fn what_begins_is_looked_at_fast_and_what_goes_on_ever_slower() {
        let mut pace = pace();
        pace.set(Need::Rest, at(-600_000));
        pace.began(at(-10_000));
        pace.succeeded(false);
        pace.set(Need::Fast, at(0));
        assert_eq!(
            waits(&mut pace, 0, 15),
            [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 7, 11],
            "rest does not count"
        );
        pace.set(Need::Fast, at(90_000));
        assert_eq!(waits(&mut pace, 90_000, 1), [20], "it goes on, for somebody else as well");
    }

    #[test]
    fn whoever_asks_begins_a_fast_minute() {
        let mut pace = pace();
        pace.set(Need::Fast, at(0));
        assert_eq!(waits(&mut pace, 600_000, 1), [60], "nothing has happened for long");
        pace.ask(at(610_000));
        assert_eq!(waits(&mut pace, 610_100, 14), [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 7]);
    }

    #[test]
    fn lists_that_were_asked_for_do_not_use_up_the_patience() {
        let mut pace = pace();
        pace.set(Need::Fast, at(0));
        for second in 0..30 {
            pace.ask(at(second * 1_000));
            pace.began(at(second * 1_000));
            pace.succeeded(false);
        }
        assert_eq!(waits(&mut pace, 30_000, 3), [5, 5, 5]);
    }

    #[test]
    fn who_asks_after_a_failure_does_not_wait_for_rest() {
        let mut pace = pace();
        pace.set(Need::Rest, at(0));
        pace.began(at(0));
        pace.failed(Certainty::Unknown, None);
        pace.ask(at(1));
        assert_eq!(pace.next(at(0)), Some(FAST));
    }

    #[test]
    fn an_extra_list_does_not_bring_the_next_one_close() {
        let mut pace = pace();
        pace.set(Need::Rest, at(0));
        pace.began(at(15_000));
        pace.succeeded(true);
        assert_eq!(pace.next(at(15_000)), Some(Duration::from_secs(65)));
    }

    #[test]
    fn after_a_minute_fast_grows_to_rest_until_something_changes() {
        let mut pace = pace();
        pace.set(Need::Fast, at(0));
        let waits = waits(&mut pace, 0, 21);
        let (minute, later) = waits.split_at(12);
        assert_eq!(minute, [5; 12]);
        assert_eq!(later, [5, 7, 11, 16, 25, 37, 56, 60, 60]);
        pace.began(at(600_000));
        pace.succeeded(true);
        assert_eq!(pace.next(at(600_000)), Some(FAST));
    }

    #[test]
    fn a_failure_at_rest_is_asked_again_at_the_pace_of_rest() {
        let mut pace = pace();
        pace.set(Need::Rest, at(0));
        pace.began(at(0));
        pace.failed(Certainty::Unknown, None);
        assert_eq!(pace.next(at(0)), Some(REST));
    }

    #[test]
    fn a_failure_is_not_asked_faster_than_health() {
        let mut pace = pace();
        pace.set(Need::Fast, at(0));
        pace.began(at(0));
        pace.failed(Certainty::Unknown, None);
        pace.ask(at(1));
        assert_eq!(pace.next(at(0)), Some(FAST));
        let wait = Some(Duration::from_mins(5));
        pace.failed(Certainty::Later(wait), wait);
        assert_eq!(pace.next(at(0)), Some(Duration::from_mins(5)));
        pace.failed(Certainty::No, None);
        assert_eq!(pace.next(at(0)), Some(REST));
    }

    #[test]
    fn a_failure_that_nobody_hears_of_is_not_asked_again() {
        let mut pace = pace();
        pace.set(Need::Health, at(0));
        pace.began(at(0));
        pace.failed(Certainty::Unknown, None);
        assert_eq!(pace.next(at(0)), Some(REST));
        pace.set(Need::Nothing, at(1));
        assert_eq!(pace.next(at(1)), None);
        pace.ask(at(2));
        assert!(pace.next(at(2)).is_some(), "but for whoever asks");
    }
}
