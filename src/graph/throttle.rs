//! Retry-After: how it is read, and the gate that every call of a tenant and application goes through.
//!
//! Requests that are sent while throttled count against the limit (Graph docs, "throttling"), so
//! one answer of 429 holds for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::{Budget, BudgetSettings, Urgency};
use crate::clock::{Clock, passed};

/// The longest wait that is taken from an answer. A longer one is cut: it would look like a stop.
const LONGEST: Duration = Duration::from_hours(1);

/// The shortest: whoever asks to come again at once must not be asked in a loop.
const SHORTEST: Duration = Duration::from_secs(1);

/// So long a call waits for another one that tries whether Graph lets calls through again. Whoever waits holds a
/// place in which others could have their turn.
const FOR_THE_TRIAL: Duration = Duration::from_secs(1);

/// Reads `Retry-After`: seconds, possibly with a fraction, a list of them, or an HTTP date. A date is compared with that of
/// the answer; `wall_now` is for one without.
#[must_use]
pub fn retry_after(headers: &HeaderMap, wall_now: Timestamp) -> Option<Duration> {
    asked_for(headers, wall_now).map(|wait| wait.clamp(SHORTEST, LONGEST))
}

fn asked_for(headers: &HeaderMap, wall_now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let value = text(http::header::RETRY_AFTER)?;
    if let Ok(date) = rfc2822::parse(value) {
        let answered = text(http::header::DATE).and_then(|date| rfc2822::parse(date).ok());
        let answered = answered.map_or(wall_now, |date| date.timestamp());
        return Some(passed(answered, date.timestamp()));
    }
    let longest = value
        .split(',')
        .filter_map(|part| part.trim().parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .fold(None, |longest: Option<f64>, seconds| Some(longest.map_or(seconds, |l| l.max(seconds))))?;
    Some(Duration::from_secs_f64(longest.min(LONGEST.as_secs_f64())))
}

/// Every call of one tenant and application goes through it: it is closed while Graph asks to wait,
/// and lets no more calls through than the budget has.
///
/// When the time is over, one call goes first, and the others wait until it has ended: Graph may ask to wait once
/// more, and all that were sent together with it would count against the limit.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    /// For the one call that goes first.
    trial: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    closed_until: Option<Timestamp>,
    /// Has no call ended since that time, as far as it was not asked to wait?
    untried: bool,
    budget: Budget,
}

/// One call that may be made: it has been taken out of the budget. To be kept until the call has ended.
#[derive(Debug)]
#[must_use = "an admission is taken out of the budget, and may be the only one that there is"]
pub struct Admission(
    #[expect(dead_code, reason = "others wait until it is dropped")] Option<OwnedSemaphorePermit>,
);

impl Default for Gate {
    fn default() -> Self {
        Self::new(BudgetSettings::default())
    }
}

impl Gate {
    /// An open gate with a full budget.
    #[must_use]
    pub fn new(budget: BudgetSettings) -> Self {
        let state = State { closed_until: None, untried: false, budget: Budget::new(budget) };
        Self { state: Mutex::new(state), trial: Arc::new(Semaphore::new(1)) }
    }

    /// Waits for the budget, and a moment for the call that goes first.
    ///
    /// # Errors
    /// While Graph asks to wait, or has not answered that call: how long still. That is not waited for here, since it
    /// may be an hour.
    pub async fn admit(&self, urgency: Urgency, clock: Clock) -> Result<Admission, Duration> {
        let mut trial = None;
        loop {
            let now = clock.now();
            if let Some(left) = self.closed_for(now) {
                return Err(left);
            }
            if trial.is_none() && self.lock().untried {
                // Who had the turn before may have been let through: then all may go.
                trial = self.turn().await?.filter(|_| self.lock().untried);
                continue;
            }
            let taken = self.lock().budget.take(urgency, now);
            match taken {
                Ok(()) => return Ok(Admission(trial)),
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Waits until no other call tries whether Graph lets calls through.
    async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, Duration> {
        let turn = Arc::clone(&self.trial).acquire_owned();
        // It is never closed, so that there is always one.
        tokio::time::timeout(FOR_THE_TRIAL, turn).await.map(Result::ok).map_err(|_| SHORTEST)
    }

    /// A call that was sent at `sent` has ended without being asked to wait.
    pub fn ended(&self, sent: Timestamp) {
        let mut state = self.lock();
        if state.closed_until.is_none_or(|until| sent >= until) {
            state.untried = false;
        }
    }

    /// How long no call may be made, if at all.
    #[must_use]
    pub fn closed_for(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(self.closed_until(now)?.duration_since(now)).ok()
    }

    /// Until when no call may be made, if so.
    #[must_use]
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().closed_until.filter(|until| *until > now)
    }

    /// No call before `wait` is over. A shorter wait does not cut a longer one. By how much longer the gate
    /// is closed now.
    pub fn close(&self, wait: Duration, now: Timestamp) -> Duration {
        let until = now.saturating_add(wait).unwrap_or(now);
        let mut state = self.lock();
        let before = state.closed_until.map_or(now, |old| old.max(now));
        state.closed_until = Some(before.max(until));
        state.untried = true;
        passed(before, until)
    }

    /// How many calls could be made at once.
    #[must_use]
    pub fn budget_left(&self, now: Timestamp) -> f64 {
        let mut budget = self.lock().budget;
        budget.left_at(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, Timestamp::from_second(1_700_000_000).unwrap())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(read("5"), Some(Duration::from_secs(5)));
        assert_eq!(read("2.128"), Some(Duration::from_secs_f64(2.128)));
        assert_eq!(read("3,7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
        for at_once in ["Tue, 14 Nov 2023 22:13:10 GMT", "0", "0.2"] {
            assert_eq!(read(at_once), Some(SHORTEST), "{at_once}");
        }
        assert_eq!(read("1e300"), Some(LONGEST));
        for nonsense in ["soon", "", "-3", "NaN", "inf"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    /// Else every date would be in the past, or far away, for a machine whose clock is wrong.
    #[test]
    fn a_date_is_compared_with_that_of_the_answer() {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, "Tue, 14 Nov 2023 22:13:50 GMT".parse().unwrap());
        headers.insert(http::header::DATE, "Tue, 14 Nov 2023 22:13:10 GMT".parse().unwrap());
        for wrong in [0, 1_700_000_000, 4_000_000_000] {
            let wait = retry_after(&headers, Timestamp::from_second(wrong).unwrap());
            assert_eq!(wait, Some(Duration::from_secs(40)), "{wrong}");
        }
    }

    #[test]
    fn a_shorter_wait_does_not_open_the_gate() {
        let now = Timestamp::from_second(100).unwrap();
        let gate = Gate::default();
        assert_eq!(gate.closed_for(now), None);
        let seconds = Duration::from_secs;
        assert_eq!([30, 3, 31].map(|wait| gate.close(seconds(wait), now)), [30, 0, 1].map(seconds));
        assert_eq!(gate.closed_for(now), Some(Duration::from_secs(31)));
        assert_eq!(gate.closed_for(Timestamp::from_second(131).unwrap()), None);
        assert_eq!(gate.close(seconds(5), Timestamp::from_second(200).unwrap()), seconds(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_exceeds_the_budget_waits_for_it() {
        let clock = Clock::starting_at(Timestamp::from_second(1_000).unwrap());
        let gate = Gate::new(BudgetSettings { per_second: 2.0, burst: 4.0 });
        for _ in 0..10 {
            let _ = gate.admit(Urgency::Change, clock).await.unwrap();
        }
        let passed = clock.now().duration_since(Timestamp::from_second(1_000).unwrap());
        assert_eq!(passed.as_secs(), 3, "four at once, six more at two a second");
        gate.close(Duration::from_mins(1), clock.now());
        assert_eq!(gate.admit(Urgency::Change, clock).await.map(drop), Err(Duration::from_mins(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_wait_is_over_one_call_goes_first() {
        let clock = Clock::starting_at(Timestamp::from_second(1_000).unwrap());
        let gate = Gate::default();
        let admitted = || gate.admit(Urgency::Change, clock);
        gate.ended(clock.now());
        let sent_before = clock.now();
        let wait = Duration::from_secs(30);
        gate.close(wait, clock.now());
        tokio::time::advance(wait).await;
        let first = admitted().await.unwrap();
        gate.ended(sent_before);
        assert_eq!(admitted().await.map(drop), Err(SHORTEST), "the answer to an earlier call shows nothing");
        drop(first);
        let second = admitted().await.unwrap();
        gate.close(wait, clock.now());
        let third = async { (admitted().await.map(drop), drop(second)).0 };
        assert_eq!(third.await, Err(wait), "it is not asked twice");
        tokio::time::advance(wait).await;
        let fourth = admitted().await.unwrap();
        let (fifth, ()) = tokio::join!(admitted(), async {
            gate.ended(clock.now());
            drop(fourth);
        });
        let _all_go = (fifth.unwrap(), admitted().await.unwrap(), admitted().await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn when_one_was_let_through_all_go_at_once() {
        let clock = Clock::starting_at(Timestamp::from_second(1_000).unwrap());
        let gate = Gate::default();
        gate.close(Duration::from_secs(1), clock.now());
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = gate.admit(Urgency::Change, clock).await.unwrap();
        let call = async || {
            let admission = gate.admit(Urgency::Change, clock).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            admission.is_ok()
        };
        let began = clock.now();
        let calls = futures::future::join_all((0..9).map(|_| call()));
        let answer = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            gate.ended(clock.now());
            drop(first);
        };
        assert!(futures::join!(calls, answer).0.into_iter().all(|is_admitted| is_admitted));
        assert_eq!(clock.now().duration_since(began).as_millis(), 800);
    }
}
