//! The synchronization of one profile as a function of time: runs, pauses, outcomes. Times come in as arguments;
//! which call does what to it is in `running`, how it is written in `http`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::errors::{Batch, SyncError};

/// Errors at which a profile is no longer processed (School Data Sync: limits). That this is what `quarantined` means
/// is inferred.
pub(crate) const QUARANTINE: usize = 15_000;

/// How a sync run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncOutcome {
    /// `success`.
    Success,
    /// `error`: the run failed.
    Error,
    /// `validationError`: it stops after validating, until somebody resumes it.
    ValidationError,
    /// `quarantined`: too many errors.
    Quarantined,
}

impl SyncOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Error, Self::ValidationError, Self::Quarantined];

    /// Reads the name of a status.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// The name of the status with which such a run ends.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::ValidationError => "validationError",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Member of `educationSynchronizationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Paused,
    Extracting,
    Validating,
    InProgress,
    Ended(SyncOutcome),
}

impl Status {
    /// The name in JSON. Members after `unknownFutureValue` are shown only to callers that ask for them
    /// (Graph docs: best practices, evolvable enumerations).
    pub(crate) fn name(self, unknown_members: bool) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Extracting if unknown_members => "extracting",
            Self::Validating if unknown_members => "validating",
            Self::Extracting | Self::Validating => "unknownFutureValue",
            Self::InProgress => "inProgress",
            Self::Ended(outcome) => outcome.name(),
        }
    }
}

/// What a run will come to, decided when it is begun, so that nothing depends on when somebody looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) outcome: SyncOutcome,
    pub(crate) errors: usize,
    /// For the ids of the errors.
    pub(crate) seed: u64,
}

/// One sync run, perhaps still to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    begins: Timestamp,
    /// How long it has been held up by pauses.
    held: Duration,
    plan: Plan,
}

/// Everything about the synchronization of one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sync {
    /// The current run, or the last one.
    run: Option<Run>,
    paused_since: Option<Timestamp>,
    /// Errors besides those of the run.
    recorded: Vec<Batch>,
    /// End of the last run before this one that ended well.
    last_success: Option<Timestamp>,
    /// When somebody last did something to it.
    touched: Timestamp,
}

/// `educationSynchronizationProfileStatus` at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// `None`: nothing has run yet.
    pub(crate) status: Option<Status>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_activity: Timestamp,
    pub(crate) error_count: usize,
    pub(crate) message: Option<String>,
}

impl Run {
    fn begun(&self, now: Timestamp) -> bool {
        now >= self.begins
    }

    /// After which working time it stops.
    fn stop(&self, total: Duration) -> Duration {
        if self.plan.outcome == SyncOutcome::ValidationError { validated(total) } else { total }
    }

    /// When it has worked for `work`, if it is not paused before.
    fn instant(&self, work: Duration) -> Timestamp {
        self.begins.saturating_add(self.held).and_then(|at| at.saturating_add(work)).unwrap_or(Timestamp::MAX)
    }
}

/// Working time after which the stages end: a tenth of the run extracts, the next tenth validates (decided: no
/// duration is documented).
fn extracted(total: Duration) -> Duration {
    total / 10
}

fn validated(total: Duration) -> Duration {
    total / 5
}

impl Sync {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { run: None, paused_since: None, recorded: Vec::new(), last_success: None, touched: now }
    }

    /// Working time of the run at `now`.
    fn worked(&self, run: &Run, now: Timestamp) -> Duration {
        let until = self.paused_since.map_or(now, |since| since.min(now));
        between(run.begins, until).saturating_sub(run.held)
    }

    /// Whether the run has come to its end at `now`.
    fn stopped(&self, run: &Run, now: Timestamp, total: Duration) -> bool {
        let paused_before = self.paused_since.is_some_and(|since| since < run.begins);
        run.begun(now) && !paused_before && self.worked(run, now) >= run.stop(total)
    }

    /// Begins a new run at `at`, which may lie ahead. Errors belong to one run: those of the last are gone.
    pub(crate) fn begin(&mut self, at: Timestamp, plan: Plan, now: Timestamp, total: Duration) {
        self.last_success = self.last_success(now, total);
        self.recorded.clear();
        self.run = Some(Run { begins: at, held: Duration::ZERO, plan });
        self.touched = now;
    }

    /// Whether a run has begun, or will.
    pub(crate) fn has_run(&self) -> bool {
        self.run.is_some()
    }

    /// Whether a run has begun before `now`.
    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.run.as_ref().is_some_and(|run| run.begun(now))
    }

    /// Takes back a run that has not begun.
    pub(crate) fn unschedule(&mut self, now: Timestamp) {
        self.run.take_if(|run| !run.begun(now));
    }

    /// Takes back the run, even if its time has come.
    pub(crate) fn cancel(&mut self) {
        self.run = None;
    }

    /// Idempotent.
    pub(crate) fn pause(&mut self, now: Timestamp) {
        if self.paused_since.is_none() {
            self.paused_since = Some(now);
            self.touched = now;
        }
    }

    /// Goes on where it was paused. A run that stopped with `validationError` goes on regardless of its errors.
    pub(crate) fn resume(&mut self, now: Timestamp, total: Duration) {
        let Some(mut run) = self.run.take() else {
            self.paused_since = None;
            return;
        };
        let stopped = self.stopped(&run, now, total);
        let worked = self.worked(&run, now);
        if stopped && run.plan.outcome == SyncOutcome::ValidationError {
            let recorded = run.instant(validated(total));
            self.recorded.extend(batch(&run.plan, recorded));
            run.plan = Plan { outcome: SyncOutcome::Success, errors: 0, seed: run.plan.seed };
            run.held = between(run.begins, now).saturating_sub(validated(total));
            self.touched = now;
        } else if self.paused_since.is_some() {
            if !stopped {
                run.held = between(run.begins, now).saturating_sub(worked);
            }
            self.touched = now;
        }
        self.paused_since = None;
        self.run = Some(run);
    }

    /// Deletes the recorded errors.
    pub(crate) fn clear_errors(&mut self, now: Timestamp) {
        self.recorded.clear();
        self.touched = now;
    }

    /// Records errors at once.
    pub(crate) fn plant(&mut self, count: usize, seed: u64, now: Timestamp) {
        self.recorded.push(Batch { seed, count, recorded: now });
        self.touched = now;
    }

    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.touched = now;
    }

    /// Every error recorded until `now`, in the order of their recording, and no more than there can be.
    pub(crate) fn errors(&self, now: Timestamp, total: Duration) -> Vec<SyncError> {
        let mut found = Vec::new();
        for batch in self.batches(now, total) {
            let from = found.len();
            found.extend(batch.errors(from).take(QUARANTINE.saturating_sub(from)));
        }
        found
    }

    fn batches(&self, now: Timestamp, total: Duration) -> Vec<Batch> {
        let run = self.run.as_ref().filter(|run| self.stopped(run, now, total));
        let last = run.and_then(|run| batch(&run.plan, run.instant(run.stop(total))));
        self.recorded.iter().cloned().chain(last).collect()
    }

    fn error_count(&self, now: Timestamp, total: Duration) -> usize {
        let counts = self.batches(now, total).into_iter().map(|batch| batch.count);
        counts.fold(0, usize::saturating_add).min(QUARANTINE)
    }

    fn last_success(&self, now: Timestamp, total: Duration) -> Option<Timestamp> {
        let run = self.run.as_ref().filter(|run| self.stopped(run, now, total));
        let run = run.filter(|run| run.plan.outcome == SyncOutcome::Success);
        run.map(|run| run.instant(total)).or(self.last_success)
    }

    fn status(&self, now: Timestamp, total: Duration) -> Option<Status> {
        if self.paused_since.is_some() {
            return Some(Status::Paused);
        }
        if self.error_count(now, total) >= QUARANTINE {
            return Some(Status::Ended(SyncOutcome::Quarantined));
        }
        let run = self.run.as_ref().filter(|run| run.begun(now))?;
        let worked = self.worked(run, now);
        Some(match () {
            () if worked >= run.stop(total) => Status::Ended(run.plan.outcome),
            () if worked < extracted(total) => Status::Extracting,
            () if worked < validated(total) => Status::Validating,
            () => Status::InProgress,
        })
    }

    /// The status entity at `now`.
    pub(crate) fn report(&self, now: Timestamp, total: Duration) -> Report {
        let status = self.status(now, total);
        let run = self.run.as_ref().filter(|run| run.begun(now));
        let stages = run.into_iter().flat_map(|run| {
            [Duration::ZERO, extracted(total), validated(total), run.stop(total)]
                .map(|work| run.instant(work))
        });
        let until = self.paused_since.map_or(now, |since| since.min(now));
        let last_activity = stages.filter(|at| *at <= until).fold(self.touched, Timestamp::max);
        let message = (status == Some(Status::InProgress)).then(|| {
            let seconds = run.map_or(0, |run| self.worked(run, now).as_secs());
            format!("Processed {} in the last hour.\r\nUpdated {} in the last hour.", seconds * 25, seconds)
        });
        Report {
            status,
            last_success: self.last_success(now, total),
            last_activity,
            error_count: self.error_count(now, total),
            message,
        }
    }
}

fn batch(plan: &Plan, recorded: Timestamp) -> Option<Batch> {
    (plan.errors > 0).then_some(Batch { seed: plan.seed, count: plan.errors, recorded })
}

/// The time from `start` to `end`, or none when it is negative.
fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(start)).unwrap_or_default()
}
