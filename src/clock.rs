//! The one clock. Everything else gets the time as an argument, or asks this.
//!
//! It begins at a wall time and then moves with tokio's monotonic clock: it never jumps, so that
//! orderings within the process hold, and a test that pauses tokio's time pauses this as well.

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    began: Instant,
}

impl Clock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, began: Instant::now() }
    }

    /// A clock that shows the time of this machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn of_this_machine() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.start.saturating_add(self.began.elapsed()).unwrap_or(self.start)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_moves_with_tokio_alone() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now(), start);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), Timestamp::from_second(1_060).unwrap());
    }
}
