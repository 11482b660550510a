//! The one clock. Everything else gets the time as an argument, or asks this.
//!
//! It begins at a wall time and then moves with tokio's monotonic clock: it never jumps, so that
//! orderings within the process hold, and a test that pauses tokio's time pauses this as well.
//!
//! What is shown to others who look at their own clock (the times in a signed assertion, of an event) is the one
//! exception: the machine may have been corrected, or have slept, since this process began.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    began: Instant,
    /// Asks the machine. None: there is no machine, and the wall time is this clock's.
    wall: Option<fn() -> Timestamp>,
}

impl Clock {
    /// A clock that shows `start` now. Its wall time is its own time.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, began: Instant::now(), wall: None }
    }

    /// A clock that shows the time of this machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn of_this_machine() -> Self {
        Self::starting_at(Timestamp::now()).with_wall(Timestamp::now)
    }

    /// The same clock beside a wall clock that may jump.
    #[must_use]
    pub const fn with_wall(self, wall: fn() -> Timestamp) -> Self {
        Self { wall: Some(wall), ..self }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.start.saturating_add(self.began.elapsed()).unwrap_or(self.start)
    }

    /// What the machine takes the time for at this moment. It may jump, so nothing in the process is
    /// put into an order by it: it is for what others compare with their own clocks.
    #[must_use]
    pub fn wall_now(&self) -> Timestamp {
        self.wall.map_or_else(|| self.now(), |wall| wall())
    }
}

/// How much time has passed from one moment to the other; none if the second is not the later one.
#[must_use]
pub fn passed(since: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_moves_with_tokio_alone() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now(), start);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), Timestamp::from_second(1_060).unwrap());
        assert_eq!(clock.wall_now(), clock.now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_time_is_asked_for_at_that_moment_and_moves_nothing_else() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::starting_at(start).with_wall(|| Timestamp::from_second(9_000).unwrap());
        assert_eq!(clock.now(), start);
        assert_eq!(clock.wall_now(), Timestamp::from_second(9_000).unwrap());
        let ours = Clock::of_this_machine();
        tokio::time::advance(Duration::from_hours(24)).await;
        assert!(ours.wall_now() < ours.now(), "the machine has not waited");
    }
}
