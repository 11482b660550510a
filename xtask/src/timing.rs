//! Elapsed time and deadlines. The one place of this crate that asks a clock; no waiting loop keeps its own.

#![allow(
    clippy::disallowed_types,
    reason = "real child processes run on real time: there is no paused clock to obey here"
)]

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Measures from when it was made.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time on the wall, to compare with what other programs have written down.
#[must_use]
#[allow(
    clippy::disallowed_methods,
    reason = "other programs note the real time: a clock of our own would not match"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Asks `condition` again and again, `pause` apart, until it holds. False when it did not within `limit`.
pub fn poll_until(limit: Duration, pause: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let watch = Stopwatch::start();
    loop {
        if condition() {
            return true;
        }
        if watch.elapsed() >= limit {
            return false;
        }
        thread::sleep(pause);
    }
}
