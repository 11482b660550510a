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
}

impl Clock {
    /// The simulator's time.
    pub(crate) fn at(&self, real: Timestamp) -> Timestamp {
        self.stopped_at.unwrap_or_else(|| later(real, self.ahead_by))
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
        self.ahead_by = moment.duration_since(real);
        self.stopped_at = self.stopped_at.map(|_| moment);
    }

    /// Stops, or goes on from where it stands.
    pub(crate) fn stop(&mut self, stop: bool, real: Timestamp) {
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
}
