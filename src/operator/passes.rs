//! The queue of passes: who is to be looked at, one pass at a time for each, a bounded number at once.
//!
//! kube's scheduler holds the queue; this only says which resource, and when again.

use std::fmt::Debug;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::mirror::{Change, Mirror};
use super::watch::{Readable, Told};
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::kubernetes::sentence;
use crate::metrics::{Metrics, ResourceKind};
use crate::poller::{Follower, FollowerKind, Woken};
use crate::reconcile::cluster::{Cluster, ClusterError, Key, Scope};
use crate::reconcile::connection::follower_of as follower_of_connection;
use crate::reconcile::{Context, Next, connection_pass_in_span, follower_of, pass_in_span};
use crate::trace::{Cause, Wakes};

type Shared<C> = Arc<Context<C>>;

/// No resource needs more passes than this in a row.
const MOST_AT_ONCE: usize = 8;

/// Time between a pass that did not end and the next one.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// Where keys wait for their pass.
#[derive(Clone, Debug)]
pub struct Queues {
    /// Profiles.
    pub profiles: UnboundedSender<Key>,
    /// Connections.
    pub connections: UnboundedSender<Key>,
    /// Counts who waits.
    pub metrics: Arc<Metrics>,
}

impl Queues {
    fn profile(&self, key: Key) {
        self.metrics.queued(ResourceKind::Profile, &key);
        // The receiver is gone only while the process ends.
        let _ = self.profiles.unbounded_send(key);
    }

    fn connection(&self, key: Key) {
        self.metrics.queued(ResourceKind::Connection, &key);
        let _ = self.connections.unbounded_send(key);
    }
}

/// Sorts what pollers wake.
pub async fn dispatch(mut woken: impl Stream<Item = Woken> + Unpin, queues: Queues, wakes: &Wakes) {
    while let Some(Woken { follower, cause }) = woken.next().await {
        wakes.note(follower.clone(), "poll", cause);
        let Follower { kind, namespace, name } = follower;
        let key = Key { namespace, name };
        match kind {
            FollowerKind::Profile => queues.profile(key),
            FollowerKind::Connection => queues.connection(key),
        }
    }
}

/// Keeps the store of profiles, and queues those that changed.
pub async fn watch_profiles<C: Cluster>(
    events: impl Stream<Item = Told<EducationSyncProfile>>,
    scopes: &[Scope],
    store: Writer<EducationSyncProfile>,
    context: Shared<C>,
    queues: Queues,
) {
    let mut events = pin!(events);
    let describe = |profile: &EducationSyncProfile| (Key::of(profile), Key::of_connection(profile));
    let mut mirror = Mirror::new(scopes, store, describe, |one, other| one.status == other.status);
    let wake = |key: Key| {
        context.wakes.note(follower_of(&key), "watch", Cause::default());
        queues.profile(key);
    };
    while let Some((scope, event)) = events.next().await {
        let Some(event) = told(event, &scope, "EducationSyncProfiles") else { continue };
        let present = key_of(&event);
        for change in mirror.take(&scope, event, |profile| context.cluster.has_written_profile(profile)) {
            match change {
                Change::Moved((key, connection)) => {
                    context.cluster.index.remove(&connection, &key);
                    // As below.
                    queues.connection(connection);
                }
                Change::Changed((key, connection)) => {
                    context.cluster.index.add(connection, key.clone());
                    if context.cluster.profile(&key).is_some_and(|p| p.metadata.deletion_timestamp.is_some())
                    {
                        context.deletions.began(key.clone());
                    }
                    wake(key);
                }
                Change::Rewritten((key, _)) => wake(key),
                Change::Gone(uid, (key, connection)) => {
                    context.cluster.index.remove(&connection, &key);
                    context.forget(&uid);
                    context.leave(&follower_of(&key));
                    // A connection that is being deleted may wait for this.
                    queues.connection(connection);
                }
            }
        }
        if let Some(key) = &present {
            context.cluster.told_profile(key);
        }
    }
}

/// Keeps the store of connections, and queues them and the profiles that name them.
pub async fn watch_connections<C: Cluster>(
    events: impl Stream<Item = Told<GraphConnection>>,
    scopes: &[Scope],
    store: Writer<GraphConnection>,
    context: Shared<C>,
    queues: Queues,
) {
    let mut events = pin!(events);
    let mut mirror = Mirror::new(scopes, store, Key::of, |one, other| one.status == other.status);
    while let Some((scope, event)) = events.next().await {
        let Some(event) = told(event, &scope, "GraphConnections") else { continue };
        let present = key_of(&event);
        let is_ours = |connection: &GraphConnection| context.cluster.has_written_connection(connection);
        for change in mirror.take(&scope, event, is_ours) {
            match change {
                Change::Changed(key) => {
                    queue_users(&context, &queues, &key);
                    queues.connection(key);
                }
                // A connection is known by its own name alone.
                Change::Moved(_) => {}
                // No profile depends on what a connection's status says.
                Change::Rewritten(key) => queues.connection(key),
                Change::Gone(uid, key) => {
                    context.forget_connection(&uid, &key);
                    queue_users(&context, &queues, &key);
                }
            }
        }
        if let Some(key) = &present {
            context.cluster.told_connection(key);
        }
    }
}

fn queue_users<C: Cluster>(context: &Shared<C>, queues: &Queues, connection: &Key) {
    for key in context.cluster.index.users_of(connection) {
        context.wakes.note(follower_of(&key), "connection", Cause::default());
        queues.profile(key);
    }
}

/// The object that is there, by what the watch tells.
fn key_of<K: Resource>(event: &Event<Readable<K>>) -> Option<Key> {
    match event {
        Event::Apply(Ok(object)) | Event::InitApply(Ok(object)) => Some(Key::of(object)),
        Event::Apply(Err(_))
        | Event::InitApply(Err(_))
        | Event::Delete(_)
        | Event::Init
        | Event::InitDone => None,
    }
}

fn told<E>(event: Result<E, watcher::Error>, scope: &Scope, kind: &str) -> Option<E> {
    event
        .map_err(|error| match error {
            // The server keeps old versions for some minutes only; the watch begins anew.
            watcher::Error::WatchError(status) if status.code == 410 => {
                tracing::debug!(kind, ?scope, "the watch begins anew");
            }
            // What is missing is said by `needs`, once and with what to do.
            error if is_for_want(&error) => tracing::debug!(kind, ?scope, "the watch cannot begin"),
            error => tracing::warn!(
                kind,
                ?scope,
                error = sentence(&error),
                "the watch was interrupted; it goes on"
            ),
        })
        .ok()
}

/// Was it refused for want of a definition or a permission?
fn is_for_want(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => matches!(status.code, 403 | 404),
        _ => false,
    }
}

/// Runs the passes of profiles until `stop`, then lets those under way end.
pub async fn run_profiles<C: Cluster>(
    keys: UnboundedReceiver<Key>,
    store: Store<EducationSyncProfile>,
    context: Shared<C>,
    limit: u16,
    stop: CancellationToken,
) {
    let passes = Arc::clone(&context);
    let stopped = stop.clone();
    controller(keys, store, limit, stop)
        .run(
            move |profile, context| look(profile, context, stopped.clone()),
            |profile, error, _| action(after_error(&Key::of(&*profile), error)),
            context,
        )
        .for_each(|result| passed_over(&passes, ResourceKind::Profile, result))
        .await;
}

/// Runs the passes of connections until `stop`.
pub async fn run_connections<C: Cluster>(
    keys: UnboundedReceiver<Key>,
    store: Store<GraphConnection>,
    context: Shared<C>,
    stop: CancellationToken,
) {
    let passes = Arc::clone(&context);
    controller(keys, store, 4, stop)
        .run(
            look_at_connection,
            |connection, error, _| action(after_error(&Key::of(&*connection), error)),
            context,
        )
        .for_each(|result| passed_over(&passes, ResourceKind::Connection, result))
        .await;
}

/// Whoever is not there gets no pass, and does not wait for one any more.
fn passed_over<C, T, E, Q>(
    context: &Context<C>,
    kind: ResourceKind,
    result: Result<T, controller::Error<E, Q>>,
) -> Ready<()>
where
    E: std::error::Error + 'static,
    Q: std::error::Error + 'static,
{
    if let Err(controller::Error::ObjectNotFound(absent)) = result {
        let key = Key { namespace: absent.namespace.unwrap_or_default(), name: absent.name };
        context.metrics.unqueued(kind, &key);
        context.wakes.forget(&match kind {
            ResourceKind::Profile => follower_of(&key),
            ResourceKind::Connection => follower_of_connection(&key),
        });
    }
    ready(())
}

/// kube's controller holds the queue: each key once, one pass at a time for each, so many at once.
/// It is fed by our own watches alone, since one store serves two kinds of passes.
fn controller<K>(
    keys: UnboundedReceiver<Key>,
    store: Store<K>,
    limit: u16,
    stop: CancellationToken,
) -> Controller<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    Controller::for_stream(futures::stream::pending(), store)
        .reconcile_on(keys.map(|key| ObjectRef::new(&key.name).within(&key.namespace)))
        .with_config(Config::default().concurrency(limit))
        .graceful_shutdown_on(stop.cancelled_owned())
}

async fn look<C: Cluster>(
    profile: Arc<EducationSyncProfile>,
    context: Shared<C>,
    stopped: CancellationToken,
) -> Result<Action, ClusterError> {
    passes_of_profile(context, Key::of(&*profile), || stopped.is_cancelled()).await.map(action)
}

async fn look_at_connection<C: Cluster>(
    connection: Arc<GraphConnection>,
    context: Shared<C>,
) -> Result<Action, ClusterError> {
    let key = Key::of(&*connection);
    let passing = context.metrics.passing(ResourceKind::Connection, &key);
    let outcome = connection_pass_in_span(Arc::clone(&context), key).await;
    passing.end(&outcome);
    outcome.map(action)
}

/// Passes of one profile, until there is nothing to be done at once. Once `is_stopped`, no other one begins: what is left
/// to be done is for the next process.
///
/// # Errors
/// As [`crate::reconcile::pass`].
pub async fn passes_of_profile<C: Cluster>(
    context: Shared<C>,
    key: Key,
    is_stopped: impl Fn() -> bool,
) -> Result<Next, ClusterError> {
    let pass = || async {
        let passing = context.metrics.passing(ResourceKind::Profile, &key);
        let outcome = Box::pin(pass_in_span(Arc::clone(&context), key.clone())).await;
        passing.end(&outcome);
        outcome
    };
    until_rest(pass, is_stopped).await
}

async fn until_rest<F>(
    mut pass: impl FnMut() -> F,
    is_stopped: impl Fn() -> bool,
) -> Result<Next, ClusterError>
where
    F: Future<Output = Result<Next, ClusterError>>,
{
    for _ in 0..MOST_AT_ONCE {
        match pass().await {
            Ok(Next::Again) if is_stopped() => return Ok(Next::Wait),
            Ok(Next::Again) => {}
            ended => return ended,
        }
    }
    // No defect of a decision may become a loop without a pause.
    Ok(Next::In(AFTER_ERROR))
}

/// When to look again after a pass that did not end.
#[must_use]
pub fn after_error(key: &Key, error: &ClusterError) -> Next {
    match error {
        ClusterError::Conflict => Next::In(Duration::from_millis(300)),
        // Deleted meanwhile: the watch tells.
        ClusterError::NotFound => Next::Wait,
        ClusterError::Refused(_) | ClusterError::Unusable(_) | ClusterError::Other(_) => {
            tracing::warn!(namespace = key.namespace, resource = key.name, %error, "the pass did not end; it is repeated");
            Next::In(AFTER_ERROR)
        }
    }
}

fn action(next: Next) -> Action {
    match next {
        Next::Again => Action::requeue(Duration::ZERO),
        Next::Wait => Action::await_change(),
        Next::In(wait) => Action::requeue(wait),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many passes there are, and what is asked for in the end, when the process is stopped during this pass.
    async fn passes(stopped_in: usize) -> (usize, Next) {
        let made = Cell::new(0);
        let pass = || {
            made.set(made.get() + 1);
            ready(Ok(Next::Again))
        };
        let next = until_rest(pass, || made.get() >= stopped_in).await.unwrap();
        (made.get(), next)
    }

    #[tokio::test]
    async fn no_pass_begins_after_the_stop_and_none_makes_a_loop() {
        assert_eq!(passes(usize::MAX).await, (MOST_AT_ONCE, Next::In(AFTER_ERROR)));
        assert_eq!(passes(1).await, (1, Next::Wait));
        assert_eq!(passes(3).await, (3, Next::Wait));
    }
}
