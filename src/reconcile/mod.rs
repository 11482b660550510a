//! The pass: observe, decide, act, report.
//!
//! A pass looks at one resource, makes one decision, carries out at most one change to Graph, and
//! says so in the status. Watches and pollers only ask for a pass; nothing else in the program
//! changes Graph or a status. **Decisions are made in [`decide`]**; `act` alone changes Graph.

pub mod act;
pub mod cached;
pub mod claims;
pub mod cluster;
pub mod connection;
pub mod decide;
pub mod deletions;
pub mod foresee;
pub mod index;
pub mod observation;
pub mod observe;
pub mod overlay;
pub mod report;
pub mod store;
pub mod trust;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::api::GraphConnection;
use crate::api::connection::SecretKeyReference;
use crate::clock::{Clock, passed};
use crate::metrics::Metrics;
use crate::poller::{Follower, FollowerKind, Interest, Poller, View};
use crate::trace::{self, Span, Wakes};
use crate::upstream::Upstreams;
use cached::Cached;
use claims::Claims;
use cluster::{Cluster, ClusterError, Key, SecretValue};
use deletions::Deletions;
use jiff::Timestamp;
use observation::{Memory, Observation, Settings, SourceSecret};
use tracing::Instrument as _;

/// The client secret of a source is read again after this time, so that a changed one is noticed.
const SECRET_REREAD: Duration = Duration::from_mins(15);

/// What every pass works with.
#[derive(Debug)]
pub struct Context<C> {
    /// Kubernetes.
    pub cluster: Cached<C>,
    /// The connections in use.
    pub upstreams: Upstreams,
    /// Who has which name and profile.
    pub claims: Claims,
    /// The clock.
    pub clock: Clock,
    /// Time spans.
    pub settings: Settings,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// By uid. In boxes, since a table has room for more than is in it.
    memories: Mutex<HashMap<String, Box<Memory>>>,
    claims_built: OnceLock<()>,
    following: Mutex<HashMap<Follower, Weak<Poller>>>,
    /// Connections that we have put our finalizer on, until the store shows it.
    held_connections: Mutex<HashSet<String>>,
    /// How many deletions there are at once.
    pub deletions: Deletions,
    /// Client secrets of sources, by the uid of the resource: when they were read, and by which reference.
    secrets: Mutex<HashMap<String, (Timestamp, SecretKeyReference, SecretValue)>>,
    /// What was done to Graph and cannot be stored.
    owed: store::Owed,
    /// Who uses which connection.
    users: connection::Users,
    /// Why resources wait for their pass.
    pub wakes: Wakes,
    /// One write of a connection's finalizer at a time.
    holding: tokio::sync::Mutex<()>,
}

/// When to look at the resource again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When something happens.
    Wait,
    /// After this time, if nothing happens before.
    In(Duration),
    /// At once: the world has just been changed.
    Again,
}

impl<C: Cluster> Context<C> {
    /// A context that remembers nothing.
    #[must_use]
    pub fn new(cluster: Cached<C>, upstreams: Upstreams, clock: Clock, settings: Settings) -> Self {
        Self {
            cluster,
            upstreams,
            claims: Claims::default(),
            clock,
            settings,
            metrics: Arc::default(),
            memories: Mutex::default(),
            claims_built: OnceLock::new(),
            following: Mutex::default(),
            held_connections: Mutex::default(),
            secrets: Mutex::default(),
            deletions: Deletions::default(),
            owed: store::Owed::default(),
            users: connection::Users::default(),
            wakes: Wakes::default(),
            holding: tokio::sync::Mutex::default(),
        }
    }

    /// The same, and what happens is counted there.
    #[must_use]
    pub fn counting_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Changes what is remembered of a resource.
    pub fn remember<R>(&self, uid: &str, change: impl FnOnce(&mut Memory) -> R) -> R {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        change(memories.entry(uid.to_owned()).or_default())
    }

    /// Forgets a connection that is gone.
    pub fn forget_connection(&self, uid: &str, key: &Key) {
        self.leave_connection(uid, key);
        self.upstreams.forget(uid, key);
    }

    /// Forgets what its own pass has noted of a connection that went meanwhile.
    fn forget_after_pass(&self, uid: &str, key: &Key) {
        self.leave_connection(uid, key);
        self.upstreams.forget_late(uid, key);
    }

    fn leave_connection(&self, uid: &str, key: &Key) {
        self.users.forget(uid);
        self.held_connections.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.cluster.forget(uid);
        self.leave(&connection::follower_of(key));
    }

    /// Forgets a resource that is gone: its claims are free.
    pub fn forget(&self, uid: &str) {
        self.cluster.forget(uid);
        self.owed.forget(uid);
        connection::tell_of_use(self, uid, None);
        self.claims.release(uid);
        self.deletions.ended(uid, self.clock.now());
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

impl<C> Context<C> {
    /// Does our finalizer hold this connection?
    fn is_holding(&self, connection: &GraphConnection) -> bool {
        let uid = connection.metadata.uid.as_deref().unwrap_or_default();
        let mut held = self.held_connections.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = connection::has_finalizer(connection);
        if shown {
            held.remove(uid);
        }
        shown || held.contains(uid)
    }

    /// Remembers that our finalizer holds a connection, although the store may not show it yet.
    fn remember_held(&self, connection: &GraphConnection) {
        let uid = connection.metadata.uid.clone().unwrap_or_default();
        self.held_connections.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    /// The client secret of a source, if it was read a short while ago.
    fn known_secret(&self, uid: &str, reference: &SecretKeyReference, at_rest: bool) -> Option<SecretValue> {
        let longest = if at_rest { SECRET_REREAD } else { Duration::from_secs(1) };
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, known, secret) = secrets.get(uid)?;
        let age = passed(*read_at, self.clock.now());
        (known == reference && age < longest).then(|| secret.clone())
    }

    fn know_secret(&self, uid: &str, reference: &SecretKeyReference, secret: SecretValue) {
        let entry = (self.clock.now(), reference.clone(), secret);
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), entry);
    }

    /// When the client secret of the source is to be read again. Lists tell nothing of it.
    fn secret_due(&self, o: &Observation) -> Option<Duration> {
        if matches!(o.source_secret, SourceSecret::NotNeeded) {
            return None;
        }
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        // One that could not be read is tried for as long after this look.
        let read_at = secrets.get(o.uid()).filter(|_| o.source_secret.value().is_some());
        let read_at = read_at.map_or_else(|| self.clock.now(), |(at, ..)| *at);
        let age = passed(read_at, self.clock.now());
        Some(SECRET_REREAD.saturating_sub(age))
    }

    /// Lets a follower hear of one poller, and of no other.
    pub fn follow(&self, follower: Follower, poller: &Arc<Poller>, interest: Interest, seen: &View) {
        let newest = Arc::downgrade(poller);
        // Held to the end: an unfollow that comes at the same time comes before or after, not between.
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let before = following.insert(follower.clone(), Weak::clone(&newest));
        if let Some(before) =
            before.filter(|before| !before.ptr_eq(&newest)).and_then(|before| before.upgrade())
        {
            before.unfollow(&follower);
        }
        poller.follow(follower, interest, seen);
    }

    /// Lets a follower that is gone hear of nothing any more, and forgets why it was to be looked at.
    pub fn leave(&self, follower: &Follower) {
        self.unfollow(follower);
        self.wakes.forget(follower);
    }

    /// Lets a follower hear of nothing any more.
    pub fn unfollow(&self, follower: &Follower) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let before = following.remove(follower);
        if let Some(before) = before.and_then(|before| before.upgrade()) {
            before.unfollow(follower);
        }
    }
}

/// Ends what has begun, and must not be lost with the process. It returns when all is stored.
pub async fn finish<C: Cluster>(context: &Context<C>) {
    // The old refresh token may be worth nothing when the answer is there: it must be stored before the end.
    futures::future::join(store::pay_all(context), context.upstreams.finish()).await;
}

/// One pass.
///
/// # Errors
/// When Kubernetes does not take a write. A conflict only means that the resource has to be looked
/// at again.
pub async fn pass<C: Cluster>(context: &Context<C>, key: &Key) -> Result<Next, ClusterError> {
    if let Some(resource) = context.cluster.profile(key) {
        store::pay(context, &resource).await?;
    }
    let Some((observation, sight)) = observe::observe(context, key).await else {
        return Ok(Next::Wait);
    };
    let done = pass_of(context, key, &observation, sight.as_ref()).await;
    let newest = context.cluster.profile(key);
    if newest.as_ref().is_none_or(|newest| newest.metadata.uid.as_deref() != Some(observation.uid())) {
        // It has gone during the pass, and must leave nothing behind.
        context.forget(observation.uid());
    }
    if newest.is_none() {
        context.leave(&follower_of(key));
        return Ok(Next::Wait);
    }
    done
}

async fn pass_of<C: Cluster>(
    context: &Context<C>,
    key: &Key,
    observation: &Observation,
    sight: Option<&observe::Sight>,
) -> Result<Next, ClusterError> {
    let verdict = decide::decide(observation);
    trace::set("edusync.action", trace::variant(&verdict.action));
    tracing::debug!(action = ?verdict.action, standing = ?verdict.standing, "decided");
    let upstream = sight.map(|sight| &*sight.upstream);
    let done = act::act(context, observation, upstream, &verdict).await;
    // Also if Kubernetes did not take a write: what Graph said is known.
    connection::tell(context, &observation.resource, upstream);
    let done = done?;
    if context.cluster.profile(key).is_none() {
        return Ok(Next::Wait);
    }
    match sight {
        Some(sight) => follow(context, observation, sight, &verdict, key),
        // Nothing is asked on behalf of a resource that may not use its connection (any more).
        None => context.unfollow(&follower_of(key)),
    }
    let next = match done {
        act::Done::Nothing { standing, recheck } => {
            report_standing(context, observation, &verdict, standing).await?;
            recheck.into_iter().chain(context.secret_due(observation)).min().map_or(Next::Wait, Next::In)
        }
        act::Done::LookAgain(next) => next,
    };
    Ok(next)
}

async fn report_standing<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    verdict: &decide::Verdict,
    standing: decide::Standing,
) -> Result<(), ClusterError> {
    if let Some(report) = report::standing(o, &standing, &verdict.notices) {
        store::view(context, o, report).await?;
    }
    Ok(())
}

fn follow<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    sight: &observe::Sight,
    verdict: &decide::Verdict,
    key: &Key,
) {
    let follower = follower_of(key);
    let poller = &sight.upstream.poller;
    match (&verdict.interest, &verdict.action) {
        (Some(interest), _) => context.follow(follower, poller, interest.clone(), &sight.view),
        (None, decide::Action::Nothing | decide::Action::LetGo(_)) => context.unfollow(&follower),
        // Another action is followed by another pass, which knows better what to wait for.
        (None, _) => {}
    }
    // A request is worth one list, even if its answer takes longer.
    let requested = o.request().filter(|request| o.memory.asked_for.as_deref() != Some(*request));
    if let Some(request) = requested {
        context.remember(o.uid(), |memory| memory.asked_for = Some(request.to_owned()));
    }
    if verdict.ask || requested.is_some() {
        poller.ask();
    }
}

/// A profile as a follower.
#[must_use]
pub fn follower_of(key: &Key) -> Follower {
    Follower { kind: FollowerKind::Profile, namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Runs a pass within a span that names the resource.
///
/// # Errors
/// As [`pass`].
pub async fn pass_in_span<C: Cluster>(context: Arc<Context<C>>, key: Key) -> Result<Next, ClusterError> {
    let span = tracing::info_span!("pass", namespace = key.namespace, resource = key.name);
    let who = follower_of(&key);
    let trace = context.wakes.begin("EducationSyncProfile", &who);
    let outcome = trace.around(pass(&context, &key).instrument(span)).await;
    end_of_pass(&trace, &outcome);
    if matches!(outcome, Ok(Next::Again)) {
        context.wakes.note(who, "again", trace.cause());
    }
    outcome
}

/// Runs a pass of a connection within a span that names it.
///
/// # Errors
/// As [`connection::pass`].
pub async fn connection_pass_in_span<C: Cluster>(
    context: Arc<Context<C>>,
    key: Key,
) -> Result<Next, ClusterError> {
    let span = tracing::info_span!("pass", namespace = key.namespace, connection = key.name);
    let trace = context.wakes.begin("GraphConnection", &connection::follower_of(&key));
    let outcome = trace.around(connection::pass(&context, &key).instrument(span)).await;
    end_of_pass(&trace, &outcome);
    outcome
}

fn end_of_pass(trace: &Span, outcome: &Result<Next, ClusterError>) {
    match outcome {
        Ok(next) => trace.set("edusync.outcome", trace::variant(next).to_lowercase()),
        // Somebody else wrote first: that is no failure.
        Err(ClusterError::Conflict) => trace.set("edusync.outcome", "conflict"),
        Err(error) => {
            trace.set("edusync.outcome", "error");
            trace.fail(trace::variant(error));
        }
    }
}
