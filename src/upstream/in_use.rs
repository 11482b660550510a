//! What metrics show of the connections that are in use. It is read while others work, so nothing here waits.

use jiff::Timestamp;

use super::Upstreams;
use crate::metrics::resources::InUse;

impl Upstreams {
    /// What is known of a connection that is in use, without any waiting.
    #[must_use]
    pub fn in_use(&self, uid: &str) -> Option<InUse> {
        let upstream = self.lock().in_use(uid)?;
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
}
