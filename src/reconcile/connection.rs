//! The pass of a `GraphConnection`: resolve it, look whether Graph answers, say so.
//!
//! It changes nothing in Graph. Profiles do not wait for it: they resolve their connection themselves.

mod health;
mod status;
#[cfg(test)]
mod tests;
mod users;

use std::time::Duration;

use jiff::Timestamp;

use super::cached::Cached;
use super::cluster::{Cluster, ClusterError, Key};
use super::{Context, Next, observe};
use crate::api::conditions::READY;
use crate::api::{GraphConnection, IN_USE_FINALIZER};
use crate::clock::passed;
use crate::poller::{Follower, FollowerKind, Interest, View};
use crate::upstream::Upstream;
use health::{Health, Sight};
use status::{Credentials, Facts, Said};
pub(super) use users::{Users, tell, tell_of_use};

/// A connection is looked at again after this time, so that a changed Secret is noticed.
const RECHECK: Duration = Duration::from_mins(15);
/// The same while something is wrong.
const RECHECK_WHILE_WRONG: Duration = Duration::from_mins(1);

/// Whatever is deleted together is gone after this time, and needs no words before.
const UNSAID: Duration = Duration::from_secs(5);

/// One pass.
///
/// # Errors
/// When Kubernetes does not take the status.
pub async fn pass<C: Cluster>(context: &Context<C>, key: &Key) -> Result<Next, ClusterError> {
    let Some(connection) = context.cluster.connection(key) else {
        return Ok(Next::Wait);
    };
    let done = pass_of(context, &connection, key).await;
    let newest = context.cluster.connection(key);
    if newest.is_none_or(|newest| newest.metadata.uid != connection.metadata.uid) {
        // It has gone during the pass, and must leave nothing behind.
        context.forget_after_pass(connection.metadata.uid.as_deref().unwrap_or_default(), key);
        return Ok(Next::Wait);
    }
    done
}

async fn pass_of<C: Cluster>(
    context: &Context<C>,
    connection: &GraphConnection,
    key: &Key,
) -> Result<Next, ClusterError> {
    if connection.metadata.deletion_timestamp.is_some() {
        return let_go(context, connection, key).await;
    }
    let look = match context.upstreams.resolve(&context.cluster.port, connection).await {
        Ok(upstream) => look(context, connection, &upstream).await,
        Err(problem) => {
            // What the connection once led to is not asked on its behalf any more.
            context.unfollow(&follower_of(key));
            Look { health: Some(health::of_problem(&problem)), ..Look::default() }
        }
    };
    if look.health.is_none() && !look.credentials.as_ref().is_some_and(|used| is_known(connection, used)) {
        // The first list tells; so long nothing is said.
        return Ok(Next::In(RECHECK_WHILE_WRONG));
    }
    let is_well = look.health.as_ref().is_none_or(|health| *health == Health::Well(None));
    let facts = Facts {
        health: look.health,
        credentials: look.credentials,
        profiles: users::count(context, connection),
        now: context.clock.now(),
        wall_now: context.clock.wall_now(),
    };
    let said = status::status(connection, &facts);
    let at_rest = is_well && !look.unsettled && status::is_writable(&said.status);
    let recheck = if at_rest { RECHECK } else { RECHECK_WHILE_WRONG };
    // Passes come for many reasons, and one that comes a moment too early must not put the reading off.
    let due = context.upstreams.rereads_in(connection);
    let recheck = due.map_or(recheck, |due| recheck.min(due).max(Duration::from_secs(1)));
    say(context, connection, said, recheck).await
}

/// What a look at a connection has brought.
#[derive(Default)]
struct Look {
    /// None: nothing is known yet, or nothing that is worth a change of what was said.
    health: Option<Health>,
    credentials: Option<Credentials>,
    /// Something is wrong that may not be worth saying.
    unsettled: bool,
}

/// Looks after the connection, and at what is known of it.
async fn look<C: Cluster>(context: &Context<C>, connection: &GraphConnection, upstream: &Upstream) -> Look {
    let doubted = connection.status.as_ref().is_some_and(status::is_without_token);
    if doubted && upstream.writes.write_access.shown().is_none() {
        // So it was before a restart, or with other Secrets.
        let _ = upstream.writes.check_token().await;
    }
    let unsaved = context.upstreams.tend(connection, upstream, has_finalizer(connection)).await.err();
    let view = upstream.poller.view();
    context.follow(follower_of(&Key::of(connection)), &upstream.poller, Interest::Presence, &view);
    let credentials = Credentials::in_use(upstream, &view);
    let is_known = is_known(connection, &credentials);
    if view.snapshot.is_none() && view.failure.is_none() && !is_known {
        // One list tells whether the credentials work; after it an unused connection is left alone, and a
        // restart does not ask for what the status says already.
        upstream.poller.ask();
    }
    let unsettled = unsaved.is_some() || view.failure.is_some();
    let health = match (health::of(&sight(context, upstream, view)), unsaved) {
        (Some(Health::Well(_)), Some(error)) => Some(health::unsaved(&error)),
        (None, Some(error)) if is_known => Some(health::unsaved(&error)),
        (health, _) => health,
    };
    Look { health, credentials: Some(credentials), unsettled }
}

fn sight<C: Cluster>(context: &Context<C>, upstream: &Upstream, view: View) -> Sight {
    let now = context.clock.now();
    let (alive, missing) = view.snapshot.as_ref().map_or((0, 0), |list| {
        observe::build_claims_once(context, now);
        context.claims.alive(&upstream.facts.tenant, list.began, |id| list.profiles.contains_key(id))
    });
    let closed_until = upstream.gates().iter().filter_map(|gate| gate.closed_until(now)).max();
    let rest = upstream.poller.rest_interval();
    let lost = context.claims.has_lost(&upstream.facts.tenant);
    Sight { view, closed_until, rest, alive, missing, lost, now }
}

/// Does the status say of these very credentials that Graph answers?
fn is_known(connection: &GraphConnection, credentials: &Credentials) -> bool {
    connection.status.as_ref().is_some_and(|status| {
        let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
        credentials.are_those_of(status) && ready.is_some_and(|ready| ready.status == "True")
    })
}

/// A connection as a follower.
#[must_use]
pub fn follower_of(key: &Key) -> Follower {
    Follower { kind: FollowerKind::Connection, namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Makes sure that the connection stays while a profile needs it.
///
/// # Errors
/// When Kubernetes does not take the finalizer.
pub async fn hold<C: Cluster>(cluster: &Cached<C>, connection: &GraphConnection) -> Result<(), ClusterError> {
    let mut finalizers = connection.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(IN_USE_FINALIZER.to_owned());
    cluster.write_connection_finalizers(connection, finalizers).await
}

/// Does our finalizer hold this connection?
#[must_use]
pub fn has_finalizer(connection: &GraphConnection) -> bool {
    connection.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == IN_USE_FINALIZER)
}

/// Lets a connection go that is being deleted, once no profile needs it any more.
async fn let_go<C: Cluster>(
    context: &Context<C>,
    connection: &GraphConnection,
    key: &Key,
) -> Result<Next, ClusterError> {
    let finalizers = connection.metadata.finalizers.clone().unwrap_or_default();
    let others: Vec<_> =
        finalizers.iter().filter(|finalizer| *finalizer != IN_USE_FINALIZER).cloned().collect();
    let holders = users::holders(context, connection, key);
    if !holders.is_empty() {
        let since = connection.metadata.deletion_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0);
        let waited = passed(since, context.clock.now());
        if waited < UNSAID {
            return Ok(Next::In(UNSAID.saturating_sub(waited)));
        }
        let profiles = users::count(context, connection);
        let said = status::in_use(connection, &holders, profiles, context.clock.now());
        return say(context, connection, said, RECHECK_WHILE_WRONG).await;
    }
    if others.len() < finalizers.len() {
        // Before the finalizer, since nobody would come back for it.
        if let Err(error) = context.upstreams.let_go(connection).await {
            let said = status::held_back(connection, &error, context.clock.now());
            store(context, connection, said).await?;
            return Err(ClusterError::Other(error.to_string()));
        }
        context.cluster.write_connection_finalizers(connection, others).await?;
    }
    Ok(Next::Wait)
}

/// Stores what is to be said, unless only numbers have moved and have to wait; and when to look again.
async fn say<C: Cluster>(
    context: &Context<C>,
    connection: &GraphConnection,
    said: Said,
    recheck: Duration,
) -> Result<Next, ClusterError> {
    if let Some(pause) = context.users.pause(connection, &said.status, context.clock.now()) {
        return Ok(Next::In(pause));
    }
    store(context, connection, said).await?;
    Ok(Next::In(recheck))
}

/// The one place that writes the status of a connection. At rest nothing is written.
async fn store<C: Cluster>(
    context: &Context<C>,
    connection: &GraphConnection,
    said: Said,
) -> Result<(), ClusterError> {
    if connection.status.as_ref() == Some(&said.status) {
        return Ok(());
    }
    context.cluster.write_connection_status(connection, said.status.clone()).await?;
    context.users.written(connection, &said.status, context.clock.now());
    for notice in said.notices {
        context.cluster.publish_connection(connection, notice).await;
    }
    Ok(())
}
