//! The budget of one tenant and application: how many calls we allow ourselves.
//!
//! Microsoft publishes no limit for this API, and asks to stay far below those of its neighbours
//! (Graph docs, "throttling limits": education rostering has 35,000 calls in ten seconds). Pure: the
//! time is an argument, and who waits is the business of [`super::throttle`].

use std::time::Duration;

use jiff::Timestamp;

/// How urgent a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// A change, or a look that a change waits for.
    Change,
    /// A look at what is at rest.
    Poll,
}

/// How many calls may be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetSettings {
    /// Calls a second, in the long run.
    pub per_second: f64,
    /// Calls at once, after a rest.
    pub burst: f64,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { per_second: 50.0, burst: 200.0 }
    }
}

/// A token bucket. Polls leave a quarter of it to changes, so that a change never waits for polls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    settings: BudgetSettings,
    left: f64,
    at: Option<Timestamp>,
}

impl Budget {
    pub(super) const fn new(settings: BudgetSettings) -> Self {
        Self { settings, left: settings.burst, at: None }
    }

    /// Takes one call out of the budget, or says how long to wait before asking again.
    pub(super) fn take(&mut self, urgency: Urgency, now: Timestamp) -> Result<(), Duration> {
        self.refill(now);
        let needed = match urgency {
            Urgency::Change => 1.0,
            Urgency::Poll => 1.0 + self.settings.burst / 4.0,
        }
        .min(self.settings.burst);
        if self.left >= needed {
            self.left -= 1.0;
            return Ok(());
        }
        let wait = (needed - self.left) / self.settings.per_second;
        // Never zero: rounding must not make the caller spin.
        Err(Duration::from_secs_f64(wait.clamp(0.001, 60.0)))
    }

    /// How many calls it has.
    pub(super) fn left_at(&mut self, now: Timestamp) -> f64 {
        self.refill(now);
        self.left
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64()).max(0.0);
        self.left = passed.mul_add(self.settings.per_second, self.left).min(self.settings.burst);
        self.at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap()
    }

    fn taken(budget: &mut Budget, urgency: Urgency, now: Timestamp) -> u32 {
        (0..1_000).take_while(|_| budget.take(urgency, now).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::new(BudgetSettings { per_second: 10.0, burst: 20.0 });
        assert_eq!(taken(&mut budget, Urgency::Change, at(0)), 20);
        assert_eq!(budget.take(Urgency::Change, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(taken(&mut budget, Urgency::Change, at(1_000)), 10);
        assert_eq!(taken(&mut budget, Urgency::Change, at(3_600_000)), 20);
    }

    #[test]
    fn polls_leave_a_quarter_to_changes() {
        let mut budget = Budget::new(BudgetSettings { per_second: 10.0, burst: 20.0 });
        assert_eq!(taken(&mut budget, Urgency::Poll, at(0)), 15);
        assert_eq!(taken(&mut budget, Urgency::Change, at(0)), 5);
    }

    #[test]
    fn a_clock_that_stands_or_a_tiny_budget_harms_nothing() {
        let mut budget = Budget::new(BudgetSettings { per_second: 0.5, burst: 1.0 });
        assert!(budget.take(Urgency::Poll, at(0)).is_ok());
        assert!(budget.take(Urgency::Poll, at(-5_000)).is_err());
        assert!(budget.take(Urgency::Poll, at(2_000)).is_ok());
    }
}
