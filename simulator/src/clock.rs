//! The simulator's own time: real time, moved or stopped. It reads no clock; real time is an argument.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How the simulator's time follows from real time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Clock {
    ahead_by: SignedDuration,
    /// While it stands: where.
    stopped_at: Option<Timestamp>,
    /// The latest real time that was told.
    #[serde(skip)]
    latest: Option<Timestamp>,
}

/// By how much a request may be late: it takes its time when it arrives, and others may be served before it, many while
/// large files are verified. More is no lateness but a clock of the machine that was set back.
const LATENESS: SignedDuration = SignedDuration::from_mins(5);

impl Clock {
    /// The simulator's time. It does not go back for a request that was overtaken: what one has been told, such as that
    /// a profile is provisioned, holds for all that are served after it.
    pub(crate) fn at(&mut self, real: Timestamp) -> Timestamp {
        let real = self.in_order(real);
        self.stopped_at.unwrap_or_else(|| later(real, self.ahead_by))
    }

    fn in_order(&mut self, real: Timestamp) -> Timestamp {
        let overtaken =
            self.latest.filter(|latest| *latest > real && latest.duration_since(real) <= LATENESS);
        let real = overtaken.unwrap_or(real);
        self.latest = Some(real);
        real
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped_at.is_some()
    }

    pub(crate) fn ahead_by(&self) -> SignedDuration {
        self.ahead_by
    }

    /// Lets time pass at once.
    pub(crate) fn advance(&mut self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.ahead_by = self.ahead_by.saturating_add(by);
        self.stopped_at = self.stopped_at.map(|moment| later(moment, by));
    }

    /// Goes to a moment, and on from there.
    pub(crate) fn set(&mut self, moment: Timestamp, real: Timestamp) {
        let real = self.in_order(real);
        self.ahead_by = moment.duration_since(real);
        self.stopped_at = self.stopped_at.map(|_| moment);
    }

    /// Stops, or goes on from where it stands.
    pub(crate) fn stop(&mut self, stop: bool, real: Timestamp) {
        let real = self.in_order(real);
        let now = self.at(real);
        self.ahead_by = now.duration_since(real);
        self.stopped_at = stop.then_some(now);
    }
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    let limit = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    moment.checked_add(by).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_stops_and_goes_on() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let mut clock = Clock::default();
        assert_eq!(clock.at(second(10)), second(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.at(second(10)), second(15));
        clock.stop(true, second(10));
        assert_eq!(clock.at(second(99)), second(15));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.at(second(99)), second(16));
        clock.stop(false, second(99));
        assert_eq!(clock.at(second(100)), second(17));
        clock.set(second(1000), second(100));
        assert_eq!(clock.at(second(101)), second(1001));
        clock.advance(Duration::MAX);
        assert_eq!(clock.at(second(101)), Timestamp::MAX);
    }

    #[test]
    fn what_was_told_holds_for_a_request_that_was_overtaken() {
        let milli = |milli| Timestamp::from_millisecond(milli).unwrap();
        let mut clock = Clock::default();
        assert_eq!(clock.at(milli(920_500)), milli(920_500));
        assert_eq!(clock.at(milli(920_400)), milli(920_500), "it arrived first and is served second");
        clock.advance(Duration::from_millis(7));
        assert_eq!(clock.at(milli(700_450)), milli(920_507));
        clock.stop(true, milli(920_300));
        clock.stop(false, milli(920_300));
        assert_eq!(clock.at(milli(920_501)), milli(920_508));
        assert_eq!(clock.at(milli(10_000)), milli(10_007), "somebody has set the machine's clock back");
        assert_eq!(clock.at(milli(10_001)), milli(10_008));
    }
}
