//! What metrics show of the connections that are in use. It is read while others work, so nothing here waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use jiff::Timestamp;

use super::{Upstream, Upstreams};
use crate::metrics::resources::InUse;

/// The newest upstream of each connection, by uid.
pub(super) type NewestByUid = Mutex<HashMap<String, Weak<Upstream>>>;

impl Upstreams {
    /// What is known of a connection that is in use, without any waiting.
    #[must_use]
    pub fn in_use(&self, uid: &str) -> Option<InUse> {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let upstream = in_use.get(uid)?.upgrade()?;
        drop(in_use);
        let now = self.clock.now();
        let gates = upstream.gates();
        // Who reads it compares it with a clock of their own.
        let by_wall = |at: Timestamp| {
            let wall = self.clock.wall_now();
            wall.checked_sub(now.duration_since(at)).unwrap_or(wall)
        };
        Some(InUse {
            last_list: upstream.poller.last_list().map(by_wall),
            rest: upstream.poller.rest_interval(),
            budget: gates.iter().map(|gate| gate.budget_left(now)).fold(f64::INFINITY, f64::min),
            wait: gates.iter().filter_map(|gate| gate.closed_for(now)).max().unwrap_or_default(),
        })
    }

    pub(super) fn note_in_use(&self, uid: &str, upstream: Option<&Arc<Upstream>>) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        match upstream {
            Some(upstream) => drop(in_use.insert(uid.to_owned(), Arc::downgrade(upstream))),
            None => drop(in_use.remove(uid)),
        }
    }
}
