//! A `GraphConnection` and its Secrets into clients and a poller.
//!
//! The only reader of Secrets: one `get` by name when a connection is first used, and again from
//! time to time. A poller is shared by all connections that name the same endpoint, tenant and Secret.

mod allowed;
mod build;
mod care;
mod credentials;
mod in_use;
mod key;
mod loaded;
mod secrets;
#[cfg(test)]
pub(crate) mod tests;

pub use credentials::OperatorIdentity;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::Timestamp;

use crate::api::GraphConnection;
use crate::auth::refresh::{MemoryStore, RefreshTokenStore, RefreshTokens};
use crate::clock::Clock;
use crate::graph::GraphClient;
use crate::graph::budget::BudgetSettings;
use crate::graph::client::Permission;
use crate::graph::throttle::Gate;
use crate::graph::transport::Transport;
use crate::metrics::Metrics;
use crate::poller::{Follower, Intervals, Poller, Woken};
use crate::reconcile::claims::Tenant;
use crate::reconcile::cluster::Cluster;
use crate::reconcile::observation::{ConnectionFacts, ConnectionProblem};
use crate::trace::Cause;
use loaded::{Inner, Loaded};
use secrets::{LoadError, Secrets};

/// Makes transports; exchanged in simulation tests.
pub trait Transports: Send + Sync + std::fmt::Debug {
    /// A transport that trusts these certificate authorities (PEM) besides the system's.
    ///
    /// # Errors
    /// A sentence for the person who wrote the CA bundle.
    fn transport(&self, extra_ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, String>;

    /// A transport to the node's metadata service at `endpoint`, and to nothing else. A world in memory
    /// needs none of its own.
    ///
    /// # Errors
    /// A sentence.
    fn metadata_service(&self, endpoint: &str) -> Result<Arc<dyn Transport>, String> {
        let _ = endpoint;
        self.transport(None)
    }
}

/// What every upstream is made with.
#[derive(Debug)]
pub struct UpstreamSettings {
    /// Hosts that a connection may name, as `host` or `host:port`.
    pub allowed_hosts: Vec<String>,
    /// How often to look, where a connection says nothing else.
    pub intervals: Intervals,
    /// Deadline of a call to Graph.
    pub request_timeout: Duration,
    /// The operator's own identity.
    pub operator_identity: OperatorIdentity,
    /// How many calls may be made, for each tenant and application.
    pub budget: BudgetSettings,
}

/// One connection, ready to be used.
#[derive(Debug)]
pub struct Upstream {
    /// What decisions see of it.
    pub facts: ConnectionFacts,
    /// The client for changes: the delegated credential if there is one.
    pub writes: GraphClient,
    /// The client for reads: the application's credential if there is one.
    pub reads: GraphClient,
    /// Watches the tenant.
    pub poller: Arc<Poller>,
    /// When the application's certificate is over, if it has one.
    pub certificate_end: Option<Timestamp>,
}

impl Upstream {
    /// What lets its calls through; the two may be one.
    #[must_use]
    pub fn gates(&self) -> [&Arc<Gate>; 2] {
        [&self.reads.gate, &self.writes.gate]
    }
}

/// All connections that are in use.
#[derive(Debug)]
pub struct Upstreams {
    settings: UpstreamSettings,
    transports: Box<dyn Transports>,
    permission: Arc<dyn Permission>,
    clock: Clock,
    wake: UnboundedSender<Woken>,
    refresh_tokens: RefreshTokens,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

impl Upstreams {
    /// No connection yet.
    #[must_use]
    pub fn new(
        settings: UpstreamSettings,
        transports: Box<dyn Transports>,
        permission: Arc<dyn Permission>,
        clock: Clock,
        wake: UnboundedSender<Woken>,
    ) -> Self {
        let refresh_tokens = RefreshTokens::new(Arc::new(MemoryStore::default()));
        Self {
            settings,
            transports,
            permission,
            clock,
            wake,
            refresh_tokens,
            metrics: Arc::default(),
            inner: Mutex::default(),
        }
    }

    /// The same, with renewed refresh tokens kept in `store` and not in memory alone.
    #[must_use]
    pub fn keeping_tokens_in(self, store: Arc<dyn RefreshTokenStore>) -> Self {
        Self { refresh_tokens: RefreshTokens::new(store), ..self }
    }

    /// The same, with every call counted there.
    #[must_use]
    pub fn counting_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// The upstream of a connection.
    ///
    /// # Errors
    /// Why the connection cannot be used.
    pub async fn resolve<C: Cluster>(
        &self,
        cluster: &C,
        connection: &GraphConnection,
    ) -> Result<Arc<Upstream>, ConnectionProblem> {
        let uid = connection.metadata.uid.clone().unwrap_or_default();
        let generation = connection.metadata.generation.unwrap_or_default();
        let turn = self.lock().turn_of(&uid);
        // Whoever waits for the same Secrets shares what is read. Nobody else does: one that does not come must not stop
        // other tenants.
        let _turn = turn.lock().await;
        let began = self.clock.now();
        let before = match self.lock().begin(&uid, generation, began) {
            Ok(serving) => return serving,
            Err(before) => before,
        };
        let before = before.as_ref();
        let (result, stale) = match self.load(cluster, connection, before).await {
            Ok(upstream) => (Ok(upstream), false),
            Err(LoadError::Problem(problem) | LoadError::Unreadable(problem)) if is_going(connection) => {
                // With the namespace its Secrets go; what is in memory lets the profiles go after them.
                match before.and_then(|before| before.last_good.clone()) {
                    Some(known) => (Ok(known), true),
                    None => (Err(problem), false),
                }
            }
            Err(LoadError::Problem(problem)) => (Err(problem), false),
            // Kubernetes not answering once is no reason to stop working.
            Err(LoadError::Unreadable(problem)) => match before {
                Some(Loaded { generation: known, result: Ok(upstream), .. }) if *known == generation => {
                    (Ok(Arc::clone(upstream)), true)
                }
                _ => (Err(problem), false),
            },
        };
        let good_before = || before.and_then(|before| before.last_good.as_ref());
        let last_good = result.as_ref().ok().or_else(good_before).cloned();
        // What was read is from before the answer; that nothing came is known from now on, also by those who have waited.
        let at = if stale || result.is_err() { self.clock.now() } else { began };
        let loaded = Loaded { generation, at, result: result.clone(), last_good, stale };
        let is_kept = self.lock().keep(&uid, &turn, loaded);
        if !is_kept && self.refresh_tokens.knows(&uid) {
            // It has gone meanwhile, and its token has been opened after that.
            self.refresh_tokens.gone(credentials::token_owner(connection));
        }
        self.tell_followers(before, &result);
        result
    }

    /// How long until the Secrets of a connection in use are due to be read again. None: it is not in use.
    #[must_use]
    pub fn rereads_in(&self, connection: &GraphConnection) -> Option<Duration> {
        self.lock().rereads_in(connection.metadata.uid.as_deref()?, self.clock.now())
    }

    /// Reads the Secrets of a connection again soon, since its credentials were refused.
    pub fn reread(&self, connection: &ConnectionFacts) {
        self.lock().reread(&connection.fingerprint);
    }

    /// Asks for a pass of somebody.
    pub fn wake(&self, follower: Follower) {
        // The receiver is gone only while the process ends.
        let _ = self.wake.unbounded_send(Woken { follower, cause: Cause::default() });
    }

    /// Whoever follows a poller that is given up is woken, to follow its successor.
    fn tell_followers(&self, old: Option<&Loaded>, new: &Result<Arc<Upstream>, ConnectionProblem>) {
        let Some(Loaded { result: Ok(old), .. }) = old else {
            return;
        };
        if !new.as_ref().is_ok_and(|new| Arc::ptr_eq(&new.poller, &old.poller)) {
            self.wake_all(&old.poller);
        }
    }

    fn wake_all(&self, poller: &Poller) {
        for follower in poller.followers() {
            self.wake(follower);
        }
    }

    async fn load<C: Cluster>(
        &self,
        cluster: &C,
        connection: &GraphConnection,
        before: Option<&Loaded>,
    ) -> Result<Arc<Upstream>, LoadError> {
        allowed::check(&self.settings, connection)?;
        // With the namespace the users' Secrets go first. After a restart the stored refresh token is
        // what may be left to let the profiles go after them.
        let in_memory = before.is_some_and(|before| before.last_good.is_some());
        let some_will_do = is_going(connection) && !in_memory;
        let secrets = Secrets::read(cluster, connection, some_will_do).await?;
        let fingerprint = secrets.fingerprint(connection);
        let known = before.and_then(|before| before.result.as_ref().ok());
        if let Some(known) = known.filter(|known| known.facts.fingerprint == fingerprint) {
            return Ok(Arc::clone(known));
        }
        let delegated = credentials::delegated(connection, &secrets, &self.refresh_tokens).await?;
        Ok(self.build(connection, &secrets, delegated, fingerprint)?)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is the connection being deleted?
const fn is_going(connection: &GraphConnection) -> bool {
    connection.metadata.deletion_timestamp.is_some()
}

/// Where a connection leads.
#[must_use]
pub fn tenant_of(connection: &GraphConnection) -> Tenant {
    // Two spellings of one address must not be two places.
    let address = connection.spec.endpoint();
    let origin = url::Url::parse(address).map(|url| url.origin().ascii_serialization());
    Tenant::new(origin.as_deref().unwrap_or(address), &connection.spec.tenant_id.to_ascii_lowercase())
}
