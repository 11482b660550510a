//! How many resources use a connection, and how their number comes into its status.
//!
//! The number moves with every resource, as do sentences that name resources, and a status write is dear. So
//! they are written at once when they move after a rest, and from then on every few seconds at most.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::connection::GraphConnectionStatus;
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::clock::passed;
use crate::reconcile::Context;
use crate::reconcile::cluster::{Cluster, Key};
use crate::reconcile::observation::{has_finalizer, is_own};
use crate::upstream::{Upstream, tenant_of};

/// Time between a write and the next one that is for numbers and names alone.
const PAUSE: Duration = Duration::from_secs(5);

/// Who uses what, as far as this process has looked.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Users {
    /// The connection that a resource has its profile through, by the uid of the resource.
    connections: Mutex<HashMap<String, Key>>,
    /// When a status was last written, by the uid of the connection.
    written: Mutex<HashMap<String, Timestamp>>,
}

impl Users {
    /// Notes which connection a resource uses; those that have one user more or less.
    fn note(&self, uid: &str, connection: Option<Key>) -> Vec<Key> {
        let mut connections = locked(&self.connections);
        let before = match &connection {
            Some(key) => connections.insert(uid.to_owned(), key.clone()),
            None => connections.remove(uid),
        };
        if before == connection {
            return Vec::new();
        }
        before.into_iter().chain(connection).collect()
    }

    /// How long to wait, if nothing but numbers and names is new and others were written a moment ago.
    pub(super) fn pause(
        &self,
        connection: &GraphConnection,
        new: &GraphConnectionStatus,
        now: Timestamp,
    ) -> Option<Duration> {
        let old = connection.status.as_ref()?;
        if new == old || without_numbers(new) != without_numbers(old) {
            return None;
        }
        let last = *locked(&self.written).get(uid_of(connection))?;
        let since = passed(last, now);
        PAUSE.checked_sub(since).filter(|left| !left.is_zero())
    }

    /// Notes that a status has been written.
    pub(super) fn written(&self, connection: &GraphConnection, new: &GraphConnectionStatus, now: Timestamp) {
        if connection.status.as_ref() != Some(new) {
            locked(&self.written).insert(uid_of(connection).to_owned(), now);
        }
    }

    /// Forgets a connection that is gone.
    pub(in crate::reconcile) fn forget(&self, uid: &str) {
        locked(&self.written).remove(uid);
    }
}

/// What stays the same while numbers and names move: sentences of the same reason have others of them.
fn without_numbers(status: &GraphConnectionStatus) -> GraphConnectionStatus {
    let mut status = GraphConnectionStatus { profiles: None, ..status.clone() };
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

/// How many resources have a profile through this connection.
pub(super) fn count<C: Cluster>(context: &Context<C>, connection: &GraphConnection) -> i32 {
    let (key, tenant) = (Key::of(connection), tenant_of(connection));
    let uses = |profile: &EducationSyncProfile| {
        let binding = profile.status.as_ref().and_then(|status| status.binding.as_ref());
        binding.is_some_and(|binding| tenant.is(&binding.endpoint, &binding.tenant_id))
            && used_by(profile).as_ref() == Some(&key)
            && connection.allows(&Key::of(profile).namespace)
    };
    let count = context.cluster.users_of(&key).filter(|profile| uses(profile)).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The profiles that need a connection, of any namespace, in order. Those of a namespace that it does not
/// allow (any more) cannot use it, and do not hold it.
pub(super) fn holders<C: Cluster>(context: &Context<C>, connection: &GraphConnection, key: &Key) -> Vec<Key> {
    let profiles = context.cluster.users_of(key);
    let needing = profiles.filter(|profile| has_finalizer(profile) && Key::of_connection(profile) == *key);
    needing.map(|profile| Key::of(&*profile)).filter(|holder| connection.allows(&holder.namespace)).collect()
}

/// The connection that a resource has its profile through.
fn used_by(profile: &EducationSyncProfile) -> Option<Key> {
    let status = profile.status.as_ref().filter(|status| status.binding.is_some())?;
    let uid = profile.metadata.uid.as_deref().unwrap_or_default();
    is_own(status, uid).then(|| Key::of_connection(profile))
}

/// Lets connections hear of what the pass of a resource has changed for them: how many use them, and what
/// their credentials were seen to be permitted.
pub(in crate::reconcile) fn tell<C: Cluster>(
    context: &Context<C>,
    looked_at: &EducationSyncProfile,
    upstream: Option<&Upstream>,
) {
    let uid = looked_at.metadata.uid.as_deref().unwrap_or_default();
    let newest = context.cluster.profile(&Key::of(looked_at));
    let newest = newest.filter(|newest| newest.metadata.uid.as_deref() == Some(uid));
    tell_of_use(context, uid, newest.and_then(|newest| used_by(&newest)));
    let is_news = upstream.is_some_and(|upstream| {
        let now = context.clock.now();
        let next_list = now.saturating_add(upstream.poller.rest_interval()).unwrap_or(now);
        let is_held_back = upstream.writes.gate.closed_until(now).is_some_and(|until| until > next_list);
        upstream.writes.write_access.take_news() || is_held_back
    });
    if is_news {
        context.upstreams.wake(super::follower_of(&Key::of_connection(looked_at)));
    }
}

/// Lets connections hear that a resource uses this one, or none.
pub(in crate::reconcile) fn tell_of_use<C>(context: &Context<C>, uid: &str, connection: Option<Key>) {
    for key in context.users.note(uid, connection) {
        context.upstreams.wake(super::follower_of(&key));
    }
}

fn uid_of(connection: &GraphConnection) -> &str {
    connection.metadata.uid.as_deref().unwrap_or_default()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
