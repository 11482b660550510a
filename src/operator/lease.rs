//! Leadership by a Lease: what to do next is a pure function; the loop around it does it.
//!
//! The rules are those of client-go: a lease has run out when *we* have seen it unchanged for its
//! whole duration (clocks of other machines do not count), writes go against the version that was
//! read, and the leader believes in its lease for a shorter time than others respect it. What
//! remains: a process that is frozen between the check and the socket can still send one request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::graph::client::Permission;
use crate::reconcile::cluster::ClusterError;

/// Every Lease of an operator has this label, whatever its name and namespace.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/name", "edusync");
/// The namespaces that the operator watches, with commas between them; a Lease without it is of one that
/// watches all.
pub const WATCHES: &str = "edusync.dev/watches";

/// Which lease, and for how long.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// The namespaces that the operator watches; none: all.
    pub watches: Vec<String>,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are; unique for each start of the process.
    pub identity: String,
    /// Life of the lease.
    pub duration: Duration,
}

impl LeaseSettings {
    /// The leader stops to believe in its lease after this time without a renewal.
    fn renew_deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Time between two tries.
    fn retry_period(&self) -> Duration {
        self.duration / 5
    }
}

/// Until when this process may change Graph.
#[derive(Debug, Default)]
pub struct Leadership {
    until: Mutex<Option<Instant>>,
}

impl Leadership {
    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permission for Leadership {
    fn may_write(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }
}

/// What we have seen of the lease.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    holder: Option<String>,
    version: Option<String>,
    duration: Duration,
    since: Instant,
    acquired: Option<MicroTime>,
    transitions: i32,
}

impl Seen {
    fn is_of(&self, identity: &str) -> bool {
        self.holder.as_deref() == Some(identity)
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is no Lease object.
    Create,
    /// It is ours: renew it.
    Renew,
    /// Nobody holds it, or its holder has let it run out.
    Take,
    /// Somebody holds it.
    Respect,
}

fn next_step(seen: Option<&Seen>, identity: &str, now: Instant) -> Step {
    let Some(seen) = seen else { return Step::Create };
    let holder = seen.holder.as_deref().unwrap_or_default();
    // Also if it was deleted: whoever held it then may believe in it for as long.
    let is_others = !holder.is_empty() && holder != identity;
    if is_others && now < seen.since + seen.duration {
        Step::Respect
    } else if seen.version.is_none() {
        Step::Create
    } else if holder == identity {
        Step::Renew
    } else {
        Step::Take
    }
}

/// The port to the one Lease; in production kube over HTTP, in simulation tests memory.
pub trait LeasePort: Send + Sync + 'static {
    /// The Lease, if there is one.
    fn get(&self) -> impl Future<Output = Result<Option<Lease>, ClusterError>> + Send;

    /// Makes it. One that is there already is a conflict.
    fn create(&self, lease: &Lease) -> impl Future<Output = Result<Lease, ClusterError>> + Send;

    /// Replaces exactly the version that `lease` names.
    fn replace(&self, lease: &Lease) -> impl Future<Output = Result<Lease, ClusterError>> + Send;
}

/// Wants the lease, holds it, and gives it back.
pub struct Elector<P> {
    port: P,
    settings: LeaseSettings,
    clock: Clock,
    leadership: Arc<Leadership>,
    seen: Option<Seen>,
}

impl<P: LeasePort> Elector<P> {
    /// An elector that holds nothing yet.
    #[must_use]
    pub fn new(port: P, settings: LeaseSettings, clock: Clock, leadership: Arc<Leadership>) -> Self {
        Self { port, settings, clock, leadership, seen: None }
    }

    /// Returns when the lease is ours.
    pub async fn acquire(&mut self) {
        let mut told = None;
        let mut complained = None;
        loop {
            match self.try_once().await {
                Ok(Some(true)) => return,
                Ok(answer) => {
                    if answer.is_some() {
                        complained = None;
                    }
                    let holder = self.seen.as_ref().and_then(|seen| seen.holder.clone());
                    if holder != told {
                        tracing::info!(?holder, "standing by: another instance holds the lease");
                        told = holder;
                    }
                }
                // Said once, however often it is tried.
                Err(error) => {
                    if complained.as_ref() != Some(&error) {
                        tracing::warn!(%error, "cannot get the lease; trying again");
                    }
                    complained = Some(error);
                }
            }
            tokio::time::sleep(self.settings.retry_period()).await;
        }
    }

    /// Renews the lease; returns when it is lost.
    pub async fn hold(&mut self) {
        let mut is_answered = true;
        while self.leadership.may_write() {
            if is_answered {
                tokio::time::sleep(self.settings.retry_period()).await;
            }
            let tried = self.try_once().await;
            is_answered = !matches!(tried, Ok(None));
            match tried {
                // There has been time enough to wait.
                Ok(None | Some(true)) => {}
                Ok(Some(false)) => return,
                Err(error) => tracing::warn!(%error, "cannot renew the lease; trying again"),
            }
        }
    }

    /// Gives the lease back, so that another instance need not wait.
    pub async fn release(&mut self) {
        self.leadership.set(None);
        let patience = self.settings.retry_period();
        let error = match tokio::time::timeout(patience, self.give_back()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "Kubernetes does not answer in time".to_owned(),
        };
        let seconds = self.settings.duration.as_secs();
        tracing::warn!(error, "cannot give the lease back: another instance takes it after {seconds} s");
    }

    async fn give_back(&mut self) -> Result<(), ClusterError> {
        let identity = self.settings.identity.clone();
        let is_ours = |seen: &Seen| seen.is_of(&identity) && seen.version.is_some();
        while self.seen.as_ref().is_some_and(is_ours) {
            match self.port.replace(&self.lease(String::new())).await {
                // A renewal of our own was broken off, and the server has carried it out all the same.
                Err(ClusterError::Conflict) => self.look(self.port.get().await?),
                result => return result.map(drop),
            }
        }
        Ok(())
    }

    /// One try; true when the lease is ours after it. None: no answer in time.
    async fn try_once(&mut self) -> Result<Option<bool>, ClusterError> {
        let began = Instant::now();
        // One answer that is lost must not cost the lease: there is time for a second try.
        let left = self.leadership.until().map(|until| until.saturating_duration_since(began));
        let patience = left.unwrap_or(Duration::MAX).min(self.settings.renew_deadline() / 2);
        let patience = patience.max(Duration::from_millis(100));
        if let Ok(result) = tokio::time::timeout(patience, self.step(began)).await {
            return result.map(Some);
        }
        tracing::warn!("Kubernetes does not answer in time about the lease");
        Ok(None)
    }

    async fn step(&mut self, began: Instant) -> Result<bool, ClusterError> {
        self.look(self.port.get().await?);
        let lease = match next_step(self.seen.as_ref(), &self.settings.identity, Instant::now()) {
            Step::Respect => {
                self.leadership.set(None);
                return Ok(false);
            }
            Step::Create => self.port.create(&self.lease(self.settings.identity.clone())).await,
            Step::Renew | Step::Take => self.port.replace(&self.lease(self.settings.identity.clone())).await,
        };
        match lease {
            Ok(lease) => {
                self.look(Some(lease));
                // Counted from before the request was sent: others count from when they see it.
                self.leadership.set(Some(began + self.settings.renew_deadline()));
                Ok(true)
            }
            // Somebody else wrote; the next look shows who. Until then our belief runs out by itself.
            Err(ClusterError::Conflict) => Ok(self.leadership.may_write()),
            Err(error) => Err(error),
        }
    }

    fn look(&mut self, lease: Option<Lease>) {
        let Some(lease) = lease else {
            if let Some(seen) = self.seen.as_mut().filter(|seen| seen.version.is_some()) {
                // It may have been renewed since it was seen.
                (seen.version, seen.since) = (None, Instant::now());
            }
            return;
        };
        let version = lease.resource_version();
        if self.seen.as_ref().is_some_and(|seen| seen.version == version) {
            return;
        }
        let spec = lease.spec.unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        self.seen = Some(Seen {
            holder: spec.holder_identity,
            version,
            duration: seconds.map_or(self.settings.duration, Duration::from_secs),
            since: Instant::now(),
            acquired: spec.acquire_time,
            transitions: spec.lease_transitions.unwrap_or_default(),
        });
    }

    /// The lease as it was seen last, with this holder.
    fn lease(&self, holder: String) -> Lease {
        // Others compare it with their own clocks.
        let now = MicroTime(self.clock.wall_now());
        let seen = self.seen.as_ref();
        let ours = seen.filter(|seen| seen.is_of(&self.settings.identity));
        let transitions = match (ours, seen) {
            (Some(ours), _) => ours.transitions,
            (None, Some(other)) => other.transitions.saturating_add(1),
            (None, None) => 0,
        };
        Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                namespace: Some(self.settings.namespace.clone()),
                resource_version: seen.and_then(|seen| seen.version.clone()),
                labels: Some(BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())])),
                annotations: (!self.settings.watches.is_empty())
                    .then(|| BTreeMap::from([(WATCHES.to_owned(), self.settings.watches.join(","))])),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder),
                // Rounded up: others must respect it for longer than we believe in it.
                lease_duration_seconds: i32::try_from(self.settings.duration.as_millis().div_ceil(1000)).ok(),
                acquire_time: ours.and_then(|ours| ours.acquired.clone()).or_else(|| Some(now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
