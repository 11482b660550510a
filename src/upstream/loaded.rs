//! What was made of each connection, how long that serves, and whose turn it is to make it anew.
//!
//! Nothing here waits, and no Secret is read here.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use super::Upstream;
use super::key::PollerKey;
use crate::api::connection::Dialect;
use crate::clock::passed;
use crate::graph::GraphError;
use crate::graph::learnt::Learnt;
use crate::graph::throttle::Gate;
use crate::poller::Poller;
use crate::reconcile::claims::Tenant;
use crate::reconcile::observation::ConnectionProblem;

/// Secrets are read again after this time, so that a changed one is noticed.
pub(super) const REREAD: Duration = Duration::from_mins(15);
/// The same while something is wrong that another Secret may mend: a credential, or a CA bundle.
const REREAD_WHILE_WRONG: Duration = Duration::from_mins(1);

/// All connections, and what several of them share.
#[derive(Debug, Default)]
pub(super) struct Inner {
    by_uid: HashMap<String, Entry>,
    /// In boxes, since a table has room for more keys than are in it.
    pub(super) pollers: HashMap<Box<PollerKey>, Weak<Poller>>,
    /// One for each tenant and application: Graph counts the calls of both together.
    pub(super) gates: HashMap<(Tenant, String), Arc<Gate>>,
    /// The same for each form of the API, since what one form takes says nothing of another.
    pub(super) learnt: HashMap<(Tenant, String, Dialect), Arc<Learnt>>,
}

/// One connection. In its turn alone somebody reads its Secrets, and replaces what was made of them.
#[derive(Debug, Default)]
struct Entry {
    turn: Turn,
    loaded: Option<Loaded>,
}

pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

/// What serves a pass.
pub(super) type Serving = Result<Arc<Upstream>, ConnectionProblem>;

/// What was made of a connection and its Secrets.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) generation: i64,
    /// When the Secrets were read.
    pub(super) at: Timestamp,
    pub(super) result: Result<Arc<Upstream>, ConnectionProblem>,
    /// The last upstream that could be used; it serves a connection that is being deleted.
    pub(super) last_good: Option<Arc<Upstream>>,
    /// The Secrets are to be read again soon; what is known stays in use meanwhile.
    pub(super) stale: bool,
}

impl Inner {
    /// Whose turn it is with a connection.
    pub(super) fn turn_of(&mut self, uid: &str) -> Turn {
        Arc::clone(&self.by_uid.entry(uid.to_owned()).or_default().turn)
    }

    /// The same, if the connection is known.
    pub(super) fn known_turn_of(&self, uid: &str) -> Option<Turn> {
        self.by_uid.get(uid).map(|entry| Arc::clone(&entry.turn))
    }

    /// What serves, or else what there was before. From now on whoever asks for another reading asks for one after this.
    pub(super) fn begin(
        &mut self,
        uid: &str,
        generation: i64,
        now: Timestamp,
    ) -> Result<Serving, Option<Loaded>> {
        let Some(loaded) = self.by_uid.get_mut(uid).and_then(|entry| entry.loaded.as_mut()) else {
            return Err(None);
        };
        if loaded.serves(generation, now) {
            return Ok(loaded.result.clone());
        }
        loaded.stale = false;
        Err(Some(loaded.clone()))
    }

    /// Keeps what was made of a connection in this turn. False: the connection has gone meanwhile.
    pub(super) fn keep(&mut self, uid: &str, turn: &Turn, loaded: Loaded) -> bool {
        let Some(entry) = self.by_uid.get_mut(uid).filter(|entry| Arc::ptr_eq(&entry.turn, turn)) else {
            return false;
        };
        let asked_again = entry.loaded.as_ref().is_some_and(|before| before.stale);
        entry.loaded = Some(Loaded { stale: loaded.stale || asked_again, ..loaded });
        true
    }

    /// Is there something of a newer generation?
    pub(super) fn has_newer(&self, uid: &str, generation: i64) -> bool {
        self.loaded(uid).is_some_and(|loaded| loaded.generation > generation)
    }

    /// What a connection is used by.
    pub(super) fn in_use(&self, uid: &str) -> Option<Arc<Upstream>> {
        self.loaded(uid)?.result.as_ref().ok().cloned()
    }

    pub(super) fn rereads_in(&self, uid: &str, now: Timestamp) -> Option<Duration> {
        let loaded = self.loaded(uid).filter(|loaded| loaded.result.is_ok())?;
        Some(loaded.good_for().saturating_sub(loaded.age(now)))
    }

    /// What was made of Secrets with this fingerprint serves for a moment only.
    pub(super) fn reread(&mut self, fingerprint: &str) {
        let is_it = |loaded: &&mut Loaded| {
            loaded.result.as_ref().is_ok_and(|upstream| upstream.facts.fingerprint == fingerprint)
        };
        if let Some(loaded) = self.by_uid.values_mut().filter_map(|entry| entry.loaded.as_mut()).find(is_it) {
            loaded.stale = true;
        }
    }

    /// Forgets a connection. Returns what it was used by.
    pub(super) fn forget(&mut self, uid: &str) -> Option<Arc<Upstream>> {
        self.by_uid.remove(uid)?.loaded?.result.ok()
    }

    /// Forgets what connections shared that are gone or lead elsewhere. What Graph asked for holds for whoever comes to
    /// that tenant next.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        self.gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.closed_until(now).is_some());
        self.learnt.retain(|_, learnt| Arc::strong_count(learnt) > 1);
    }

    fn loaded(&self, uid: &str) -> Option<&Loaded> {
        self.by_uid.get(uid)?.loaded.as_ref()
    }
}

impl Loaded {
    /// Is it what a pass needs that looks at this generation of the connection?
    fn serves(&self, generation: i64, now: Timestamp) -> bool {
        match self.generation.cmp(&generation) {
            Ordering::Less => false,
            Ordering::Equal => self.age(now) < self.good_for(),
            // The pass has waited, and looks at what the connection once was. Made of that, the upstream
            // would be the old one again, and its seed with it.
            Ordering::Greater => true,
        }
    }

    fn age(&self, now: Timestamp) -> Duration {
        passed(self.at, now)
    }

    fn good_for(&self) -> Duration {
        match &self.result {
            _ if self.stale => Duration::from_secs(10),
            Err(ConnectionProblem::HostNotAllowed(_) | ConnectionProblem::NamespaceNotAllowed(_)) => REREAD,
            // Short enough that a Secret applied together with the connection is found at once.
            Err(_) => Duration::from_secs(2),
            Ok(upstream) if upstream.writes.write_access.is_refused() => REREAD_WHILE_WRONG,
            Ok(upstream) => match upstream.poller.view().failure {
                None
                | Some(GraphError::Throttled { .. } | GraphError::Waiting(_) | GraphError::Retired { .. }) => {
                    REREAD
                }
                Some(_) => REREAD_WHILE_WRONG,
            },
        }
    }
}
