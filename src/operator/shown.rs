//! What of the running operator is shown as metrics: read when Prometheus asks, without any waiting.

use std::sync::Arc;

use jiff::Timestamp;

use super::health::Health;
use super::lease::Leadership;
use crate::graph::client::Permission as _;
use crate::metrics::resources::{of_connection, of_profile, open_creations};
use crate::metrics::{Sample, Source, table};
use crate::reconcile::Context;
use crate::reconcile::cluster::Cluster;

/// Whether this instance is the leader, and able to work.
pub(super) struct ShownLeadership(pub(super) Arc<Leadership>, pub(super) Health);

/// When this process began.
pub(super) struct ShownStart(pub(super) Timestamp);

/// How the resources stand.
pub(super) struct ShownResources<C>(pub(super) Arc<Context<C>>);

impl Source for ShownLeadership {
    fn samples(&self) -> Vec<Sample> {
        let leads = if self.0.may_write() && self.1.is_ready() { 1.0 } else { 0.0 };
        vec![Sample::new(&table::LEADER, [""; 0], leads)]
    }
}

impl Source for ShownStart {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample::new(&table::PROCESS_START, [""; 0], self.0.as_duration().as_secs_f64())]
    }
}

impl<C: Cluster> Source for ShownResources<C> {
    fn samples(&self) -> Vec<Sample> {
        let cluster = &self.0.cluster;
        let profiles = cluster.profiles();
        let mut samples = vec![open_creations(profiles.iter().map(|profile| &**profile))];
        samples.extend(profiles.iter().flat_map(|profile| of_profile(profile)));
        for connection in cluster.connections() {
            let uid = connection.metadata.uid.as_deref().unwrap_or_default();
            samples.extend(of_connection(&connection, self.0.upstreams.in_use(uid).as_ref()));
        }
        samples
    }
}
