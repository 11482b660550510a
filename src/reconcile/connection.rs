//! The pass of a `GraphConnection`: resolve it, look whether Graph answers, say so.
//!
//! It changes nothing in Graph. Profiles do not wait for it: they resolve their connection themselves.

use std::time::Duration;

use jiff::Timestamp;

use super::cached::Cached;
use super::cluster::{Cluster, ClusterError, EventKind, Key, Notice};
use super::observation::{self, ConnectionProblem};
use super::{Context, Next};
use crate::api::conditions::{READY, RECONCILING, Reason, STALLED, Statement, set, set_while_true};
use crate::api::connection::GraphConnectionStatus;
use crate::api::{GraphConnection, IN_USE_FINALIZER};
use crate::auth::refresh::StoreError;
use crate::graph::GraphError;
use crate::poller::{Follower, FollowerKind, Interest, View};

/// A connection is looked at again after this time, so that a changed Secret is noticed.
const RECHECK: Duration = Duration::from_mins(15);
/// The same while something is wrong.
const RECHECK_WHILE_WRONG: Duration = Duration::from_mins(1);

/// Whatever is deleted together is gone after this time, and needs no words before.
const UNSAID: Duration = Duration::from_secs(5);
/// So many profiles are named that a connection stays for.
const MOST_NAMED: usize = 5;

/// One pass.
///
/// # Errors
/// When Kubernetes does not take the status.
pub async fn pass<C: Cluster>(context: &Context<C>, key: &Key) -> Result<Next, ClusterError> {
    let Some(connection) = context.cluster.connection(key) else {
        return Ok(Next::Wait);
    };
    if connection.metadata.deletion_timestamp.is_some() {
        return let_go(context, &connection, key).await;
    }
    let mut unsaved = None;
    let view = match context.upstreams.resolve(&context.cluster.port, &connection).await {
        Ok(upstream) => {
            unsaved = context.upstreams.tend(&connection, &upstream, has_finalizer(&connection)).await.err();
            let follower = Follower {
                kind: FollowerKind::Connection,
                namespace: key.namespace.clone(),
                name: key.name.clone(),
            };
            let view = upstream.poller.view();
            context.follow(follower, &upstream.poller, Interest::Health, &view);
            if view.snapshot.is_none() && view.failure.is_none() {
                // One list tells whether the credentials work; after it an unused connection is left
                // alone, and a restart does not ask for what the status says already.
                if !is_known_to_work(&connection) {
                    upstream.poller.ask();
                }
                return Ok(Next::In(if unsaved.is_some() { RECHECK_WHILE_WRONG } else { RECHECK }));
            }
            Ok(view)
        }
        Err(problem) => Err(problem),
    };
    let verdict = match (verdict(&view), unsaved) {
        (Health::Well(_), Some(error)) => Health::Well(Some(format!(
            "Graph answers with these credentials. The renewed refresh token is in memory alone, and would be lost with the operator: {error}."
        ))),
        (verdict, _) => verdict,
    };
    let wrong = verdict != Health::Well(None);
    report(context, &connection, &verdict).await?;
    Ok(Next::In(if wrong { RECHECK_WHILE_WRONG } else { RECHECK }))
}

/// A connection whose stored refresh token cannot be taken back, and its namespace with it.
fn held_back(error: &StoreError) -> Health {
    Health::Ailing(
        Reason::DeletionFailed,
        format!(
            "The connection cannot go before its stored refresh token is taken back, but {error}. edusync tries again by itself. If that does not help, take the finalizer {IN_USE_FINALIZER} off that Secret and off this connection by hand; then delete the Secret, unless another connection needs it."
        ),
    )
}

/// Does the status say of this very generation that Graph answers?
fn is_known_to_work(connection: &GraphConnection) -> bool {
    let conditions = connection.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| {
        condition.type_ == READY
            && condition.status == "True"
            && condition.observed_generation == connection.metadata.generation
    })
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
    let users = users(context, connection, key);
    if !users.is_empty() {
        let since = connection.metadata.deletion_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0);
        let waited = Duration::try_from(context.clock.now().duration_since(since)).unwrap_or_default();
        if waited < UNSAID {
            return Ok(Next::In(UNSAID.saturating_sub(waited)));
        }
        report(context, connection, &in_use(&users)).await?;
        // A profile may also let it go by naming another connection, which nobody tells.
        return Ok(Next::In(RECHECK_WHILE_WRONG));
    }
    if others.len() < finalizers.len() {
        // Before the finalizer, since nobody would come back for it.
        if let Err(error) = context.upstreams.let_go(connection).await {
            report(context, connection, &held_back(&error)).await?;
            return Err(ClusterError::Other(error.to_string()));
        }
        context.cluster.write_connection_finalizers(connection, others).await?;
    }
    Ok(Next::Wait)
}

/// The profiles that need a connection, of any namespace, in order. Those of a namespace that it does not
/// allow (any more) cannot use it, and do not hold it.
fn users<C: Cluster>(context: &Context<C>, connection: &GraphConnection, key: &Key) -> Vec<Key> {
    let profiles = context.cluster.profiles();
    let needing = profiles
        .iter()
        .filter(|profile| observation::has_finalizer(profile) && Key::of_connection(profile) == *key);
    let mut users: Vec<Key> = needing.map(|profile| Key::of(&**profile)).collect();
    users.retain(|user| connection.allows(&user.namespace));
    users.sort_unstable();
    users
}

/// A connection that is being deleted and stays for these profiles.
fn in_use(users: &[Key]) -> Health {
    let named = users.iter().take(MOST_NAMED).map(|user| format!("{}/{}", user.namespace, user.name));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match users.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Health::Ailing(
        Reason::InUse,
        format!(
            "The connection is being deleted, and stays while EducationSyncProfiles need it: {named}{more}. It goes when they are deleted, or name another connection."
        ),
    )
}

/// What is to be said of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Health {
    /// Graph answers; and what else is to be said.
    Well(Option<String>),
    /// It will pass by itself.
    Ailing(Reason, String),
    /// A person must act.
    Broken(Reason, String),
}

fn verdict(view: &Result<View, ConnectionProblem>) -> Health {
    match view {
        Err(ConnectionProblem::NotFound(message)) => {
            Health::Broken(Reason::ConnectionNotFound, message.clone())
        }
        Err(ConnectionProblem::CredentialsMissing(message)) => {
            Health::Broken(Reason::CredentialsMissing, message.clone())
        }
        Err(ConnectionProblem::Unreadable(message)) => {
            Health::Ailing(Reason::CredentialsMissing, message.clone())
        }
        Err(ConnectionProblem::CredentialsInvalid(message)) => {
            Health::Broken(Reason::CredentialsInvalid, message.clone())
        }
        Err(ConnectionProblem::HostNotAllowed(message)) => {
            Health::Broken(Reason::HostNotAllowed, message.clone())
        }
        Err(ConnectionProblem::NamespaceNotAllowed(message)) => {
            Health::Broken(Reason::NamespaceNotAllowed, message.clone())
        }
        Ok(View { failure: None, .. }) => Health::Well(None),
        Ok(View { failure: Some(error), .. }) => failure(error),
    }
}

fn failure(error: &GraphError) -> Health {
    match error {
        GraphError::NoToken(error) if error.is_refusal() => {
            Health::Broken(Reason::CredentialsInvalid, format!("{error}. What to do: {}.", error.remedy()))
        }
        GraphError::NoToken(error) => Health::Ailing(Reason::UpstreamUnavailable, format!("{error}.")),
        GraphError::Retired { status, .. } => Health::Broken(
            Reason::UpstreamRetired,
            format!("Graph has no education/synchronizationProfiles at this endpoint (HTTP {status}): Microsoft retired the API on 2024-12-31."),
        ),
        GraphError::Refused { status: 401, .. } => Health::Broken(
            Reason::Unauthorized,
            "Graph does not accept the token (HTTP 401): check that tenantId, endpoint and authority belong to one cloud.".to_owned(),
        ),
        GraphError::Refused { status: 403, .. } => Health::Broken(
            Reason::Forbidden,
            "Graph does not permit the credential to list profiles (HTTP 403): an administrator has to grant EduAdministration.Read.All (application) or EduAdministration.Read (delegated).".to_owned(),
        ),
        GraphError::Throttled { .. } | GraphError::Waiting(_) => {
            Health::Ailing(Reason::Throttled, "Graph asked to wait; edusync goes on by itself.".to_owned())
        }
        GraphError::Refused { status, .. } => Health::Ailing(
            Reason::UpstreamUnavailable,
            format!("Graph refuses to list the profiles (HTTP {status}); edusync tries again by itself."),
        ),
        GraphError::NotConnected(what) => {
            Health::Ailing(Reason::UpstreamUnavailable, format!("Graph cannot be reached: {what}."))
        }
        GraphError::Unknown { what, .. } => Health::Ailing(
            Reason::UpstreamUnavailable,
            format!("Graph does not answer as it should ({what}); edusync tries again by itself."),
        ),
    }
}

async fn report<C: Cluster>(
    context: &Context<C>,
    connection: &GraphConnection,
    health: &Health,
) -> Result<(), ClusterError> {
    let old = connection.status.clone().unwrap_or_default();
    let generation = connection.metadata.generation.unwrap_or_default();
    let new = status(old.clone(), health, generation, context.clock.now());
    if new == old {
        return Ok(());
    }
    context.cluster.write_connection_status(connection, new.clone()).await?;
    if let Some(notice) = notice(&old, &new, health) {
        context.cluster.publish_connection(connection, notice).await;
    }
    Ok(())
}

fn status(
    mut status: GraphConnectionStatus,
    health: &Health,
    generation: i64,
    now: Timestamp,
) -> GraphConnectionStatus {
    let (holds, reason, message) = match health {
        Health::Well(remark) => {
            (true, Reason::Connected, remark.as_deref().unwrap_or("Graph answers with these credentials."))
        }
        Health::Ailing(reason, message) | Health::Broken(reason, message) => {
            (false, *reason, message.as_str())
        }
    };
    let ready = Statement { holds, reason, message: message.to_owned() };
    let wrong = Statement { holds: true, ..ready.clone() };
    let ailing = matches!(health, Health::Ailing(..)).then_some(&wrong);
    let broken = matches!(health, Health::Broken(..)).then_some(&wrong);
    status.observed_generation = Some(generation);
    set(&mut status.conditions, READY, &ready, generation, now);
    set_while_true(&mut status.conditions, RECONCILING, ailing, generation, now);
    set_while_true(&mut status.conditions, STALLED, broken, generation, now);
    status
}

/// An event when the reason changes.
fn notice(old: &GraphConnectionStatus, new: &GraphConnectionStatus, health: &Health) -> Option<Notice> {
    let ready = |status: &GraphConnectionStatus| {
        status.conditions.iter().find(|condition| condition.type_ == READY).cloned()
    };
    let (before, after) = (ready(old), ready(new)?);
    if before.is_some_and(|before| before.reason == after.reason) {
        return None;
    }
    let kind = if matches!(health, Health::Well(_)) { EventKind::Normal } else { EventKind::Warning };
    Some(Notice { kind, reason: after.reason, action: "Connect", note: after.message })
}
