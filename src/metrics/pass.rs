//! Passes under way, and resources that wait for one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::samples::{Sample, Source};
use super::under_way::ABANDONED;
use super::{Metrics, table};
use crate::reconcile::Next;
use crate::reconcile::cluster::{ClusterError, Key};

/// Kind of the resource that a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// An `EducationSyncProfile`.
    Profile,
    /// A `GraphConnection`.
    Connection,
}

/// A pass that is under way. Dropped without an end, it counts as abandoned.
#[derive(Debug)]
pub struct Passing {
    metrics: Arc<Metrics>,
    kind: ResourceKind,
    began: Instant,
    result: &'static str,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<BTreeMap<ResourceKind, State>>);

#[derive(Debug, Default)]
struct State {
    waiting: HashSet<Key>,
    active: u32,
}

impl ResourceKind {
    const ALL: [Self; 2] = [Self::Profile, Self::Connection];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "EducationSyncProfile",
            Self::Connection => "GraphConnection",
        }
    }
}

impl Metrics {
    /// Something has happened to a resource: it waits for its pass.
    pub fn queued(&self, kind: ResourceKind, key: &Key) {
        self.work.lock().entry(kind).or_default().waiting.insert(key.clone());
    }

    /// A resource does not wait any more: there is none of that name.
    pub fn unqueued(&self, kind: ResourceKind, key: &Key) {
        self.work.lock().entry(kind).or_default().waiting.remove(key);
    }

    /// Counts a pass from now on.
    #[must_use]
    pub fn passing(self: &Arc<Self>, kind: ResourceKind, key: &Key) -> Passing {
        let mut work = self.work.lock();
        let state = work.entry(kind).or_default();
        state.waiting.remove(key);
        state.active += 1;
        drop(work);
        Passing { metrics: Arc::clone(self), kind, began: Instant::now(), result: ABANDONED }
    }
}

impl Passing {
    /// The pass has ended so.
    pub fn end(mut self, outcome: &Result<Next, ClusterError>) {
        self.result = match outcome {
            Ok(Next::Wait) => "success",
            Ok(Next::In(_)) => "requeue_after",
            Ok(Next::Again) => "requeue",
            Err(ClusterError::Conflict) => "conflict",
            Err(ClusterError::NotFound) => "not_found",
            Err(ClusterError::Refused(_) | ClusterError::Unusable(_) | ClusterError::Other(_)) => "error",
        };
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let mut work = self.metrics.work.lock();
        let state = work.entry(self.kind).or_default();
        state.active = state.active.saturating_sub(1);
        drop(work);
        let took = self.began.elapsed().as_secs_f64();
        self.metrics.passes.observe([self.kind.as_str(), self.result], took);
    }
}

impl Work {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResourceKind, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Work {
    fn samples(&self) -> Vec<Sample> {
        let work = self.lock();
        let of_kind = |kind: ResourceKind| {
            let (active, waiting) =
                work.get(&kind).map_or((0, 0), |state| (state.active, state.waiting.len()));
            let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
            [
                Sample::new(&table::PASSES_ACTIVE, [kind.as_str()], f64::from(active)),
                Sample::new(&table::QUEUE_DEPTH, [kind.as_str()], f64::from(waiting)),
            ]
        };
        ResourceKind::ALL.into_iter().flat_map(of_kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn value(metrics: &Metrics, series: &str) -> Option<f64> {
        let text = metrics.text().unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_counted_once_however_it_ends() {
        let metrics = Arc::new(Metrics::default());
        let key = Key { namespace: "school".to_owned(), name: "contoso".to_owned() };
        let depth = "edusync_reconcile_queue_depth{kind=\"EducationSyncProfile\"}";
        let active = "edusync_reconcile_active{kind=\"EducationSyncProfile\"}";
        let count = |result: &str| {
            let series = format!(
                "edusync_reconcile_duration_seconds_count{{kind=\"EducationSyncProfile\",result=\"{result}\"}}"
            );
            value(&metrics, &series)
        };
        metrics.queued(ResourceKind::Profile, &key);
        metrics.queued(ResourceKind::Profile, &key);
        assert_eq!(value(&metrics, depth), Some(1.0), "one resource waits for one pass");
        let pass = metrics.passing(ResourceKind::Profile, &key);
        assert_eq!((value(&metrics, depth), value(&metrics, active)), (Some(0.0), Some(1.0)));
        tokio::time::advance(Duration::from_secs(3)).await;
        pass.end(&Ok(Next::Again));
        assert_eq!((count("requeue"), value(&metrics, active)), (Some(1.0), Some(0.0)));
        let sum = "edusync_reconcile_duration_seconds_sum{kind=\"EducationSyncProfile\",result=\"requeue\"}";
        assert_eq!(value(&metrics, sum), Some(3.0));
        drop(metrics.passing(ResourceKind::Profile, &key));
        assert_eq!((count("abandoned"), count("requeue")), (Some(1.0), Some(1.0)));
        metrics.passing(ResourceKind::Profile, &key).end(&Err(ClusterError::Conflict));
        assert_eq!((count("conflict"), count("error")), (Some(1.0), None));
    }
}
