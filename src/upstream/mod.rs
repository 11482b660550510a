//! A `GraphConnection` and its Secrets into clients and a poller.
//!
//! The only reader of Secrets: one `get` by name when a connection is first used, and again from
//! time to time. A poller is shared by all connections that name the same endpoint, tenant and Secret.

mod allowed;
mod care;
mod credentials;
mod in_use;
mod key;
mod secrets;
#[cfg(test)]
pub(crate) mod tests;

pub use credentials::OperatorIdentity;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::api::GraphConnection;
use crate::api::connection::Dialect;
use crate::auth::refresh::{MemoryStore, RefreshTokenStore, RefreshTokens};
use crate::auth::{Credential, TokenSource};
use crate::clock::Clock;
use crate::graph::budget::BudgetSettings;
use crate::graph::client::Permission;
use crate::graph::learnt::Learnt;
use crate::graph::throttle::Gate;
use crate::graph::transport::Transport;
use crate::graph::{GraphClient, GraphError};
use crate::metrics::{CountedTransport, Metrics};
use crate::poller::{Follower, Intervals, Poller, Woken};
use crate::reconcile::claims::Tenant;
use crate::reconcile::cluster::Cluster;
use crate::reconcile::observation::{ConnectionFacts, ConnectionProblem};
use crate::trace::Cause;
use credentials::Identity;
use key::PollerKey;
use secrets::{LoadError, Secrets};

/// Secrets are read again after this time, so that a changed one is noticed.
const REREAD: Duration = Duration::from_mins(15);
/// The same while something is wrong that another Secret may mend: a credential, or a CA bundle.
const REREAD_WHILE_WRONG: Duration = Duration::from_mins(1);

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
    /// The newest upstream of each connection, by uid, for whoever must not wait.
    in_use: in_use::NewestByUid,
}

#[derive(Debug, Default)]
struct Inner {
    by_uid: HashMap<String, Loaded>,
    /// In boxes, since a table has room for more keys than are in it.
    pollers: HashMap<Box<PollerKey>, Weak<Poller>>,
    /// One for each tenant and application: Graph counts the calls of both together.
    gates: HashMap<(Tenant, String), Arc<Gate>>,
    /// The same for each form of the API, since what one form takes says nothing of another.
    learnt: HashMap<(Tenant, String, Dialect), Arc<Learnt>>,
}

#[derive(Debug)]
struct Loaded {
    generation: i64,
    at: Timestamp,
    result: Result<Arc<Upstream>, ConnectionProblem>,
    /// The last upstream that could be used; it serves a connection that is being deleted.
    last_good: Option<Arc<Upstream>>,
    /// The Secrets are to be read again soon; what is known stays in use meanwhile.
    stale: bool,
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
            in_use: in_use::NewestByUid::default(),
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
        let mut inner = self.inner.lock().await;
        let now = self.clock.now();
        if let Some(loaded) = inner.by_uid.get(&uid).filter(|loaded| loaded.serves(generation, now)) {
            return loaded.result.clone();
        }
        let (result, stale) = match self.load(cluster, connection, &mut inner).await {
            Ok(upstream) => (Ok(upstream), false),
            Err(LoadError::Problem(problem) | LoadError::Unreadable(problem)) if is_going(connection) => {
                // With the namespace its Secrets go; what is in memory lets the profiles go after them.
                match inner.by_uid.get(&uid).and_then(|loaded| loaded.last_good.clone()) {
                    Some(known) => (Ok(known), true),
                    None => (Err(problem), false),
                }
            }
            Err(LoadError::Problem(problem)) => (Err(problem), false),
            // Kubernetes not answering once is no reason to stop working.
            Err(LoadError::Unreadable(problem)) => match inner.by_uid.get(&uid) {
                Some(Loaded { generation: known, result: Ok(upstream), .. }) if *known == generation => {
                    (Ok(Arc::clone(upstream)), true)
                }
                _ => (Err(problem), false),
            },
        };
        let before = inner.by_uid.get(&uid).and_then(|loaded| loaded.last_good.clone());
        let last_good = result.as_ref().ok().cloned().or(before);
        self.note_in_use(&uid, result.as_ref().ok());
        let loaded = Loaded { generation, at: now, result: result.clone(), last_good, stale };
        let old = inner.by_uid.insert(uid, loaded);
        self.tell_followers(old, &result);
        result
    }

    /// How long until the Secrets of a connection in use are due to be read again. None: it is not in use.
    pub async fn rereads_in(&self, connection: &GraphConnection) -> Option<Duration> {
        let inner = self.inner.lock().await;
        let loaded = inner.by_uid.get(connection.metadata.uid.as_deref()?)?;
        let is_used = loaded.result.is_ok();
        is_used.then(|| loaded.good_for().saturating_sub(loaded.age(self.clock.now())))
    }

    /// Reads the Secrets of a connection again soon, since its credentials were refused.
    pub async fn reread(&self, connection: &ConnectionFacts) {
        let mut inner = self.inner.lock().await;
        let is_it = |loaded: &&mut Loaded| {
            loaded.result.as_ref().is_ok_and(|upstream| upstream.facts.fingerprint == connection.fingerprint)
        };
        if let Some(loaded) = inner.by_uid.values_mut().find(is_it) {
            loaded.stale = true;
        }
    }

    /// Asks for a pass of somebody.
    pub fn wake(&self, follower: Follower) {
        // The receiver is gone only while the process ends.
        let _ = self.wake.unbounded_send(Woken { follower, cause: Cause::default() });
    }

    /// Whoever follows a poller that is given up is woken, to follow its successor.
    fn tell_followers(&self, old: Option<Loaded>, new: &Result<Arc<Upstream>, ConnectionProblem>) {
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
        inner: &mut Inner,
    ) -> Result<Arc<Upstream>, LoadError> {
        let uid = connection.metadata.uid.as_deref().unwrap_or_default();
        let known = inner.by_uid.get(uid).and_then(|loaded| loaded.result.as_ref().ok());
        allowed::check(&self.settings, connection)?;
        // With the namespace the users' Secrets go first. After a restart the stored refresh token is
        // what may be left to let the profiles go after them.
        let in_memory = inner.by_uid.get(uid).is_some_and(|loaded| loaded.last_good.is_some());
        let some_will_do = is_going(connection) && !in_memory;
        let secrets = Secrets::read(cluster, connection, some_will_do).await?;
        let fingerprint = secrets.fingerprint(connection);
        if let Some(known) = known.filter(|known| known.facts.fingerprint == fingerprint) {
            return Ok(Arc::clone(known));
        }
        let delegated = credentials::delegated(connection, &secrets, &self.refresh_tokens).await?;
        Ok(self.build(connection, &secrets, delegated, fingerprint, inner)?)
    }

    fn build(
        &self,
        connection: &GraphConnection,
        secrets: &Secrets,
        delegated: Option<Identity>,
        fingerprint: String,
        inner: &mut Inner,
    ) -> Result<Arc<Upstream>, ConnectionProblem> {
        use secrecy::ExposeSecret;
        let extra_ca = secrets.ca.as_ref().map(|ca| ca.value.expose_secret().as_bytes());
        let transport = self.transports.transport(extra_ca).map_err(|what| {
            let name = connection.metadata.name.as_deref().unwrap_or_default();
            ConnectionProblem::CredentialsMissing(format!(
                "The GraphConnection {name} cannot use the certificates of its caBundleRef: {what}."
            ))
        })?;
        let operator = &self.settings.operator_identity;
        let application = credentials::application(connection, secrets, operator, self.clock.wall_now())?;
        let certificate_end = application.as_ref().and_then(Identity::certificate_end);
        let mut client = |identity| self.client(connection, identity, &transport, inner);
        let application = application.map(&mut client).transpose()?;
        let delegated = delegated.map(&mut client).transpose()?;
        let (Some(reads), Some(writes)) =
            (application.clone().or_else(|| delegated.clone()), delegated.clone().or(application))
        else {
            return Err(ConnectionProblem::CredentialsMissing(without_credential(connection)));
        };
        let facts = ConnectionFacts {
            tenant: tenant_of(connection),
            dialect: connection.spec.dialect(),
            fingerprint,
            delegated: delegated.is_some(),
        };
        let poller = self.poller(connection, secrets, &facts, &reads, inner);
        Ok(Arc::new(Upstream { facts, writes, reads, poller, certificate_end }))
    }

    fn client(
        &self,
        connection: &GraphConnection,
        Identity { client_id, credential }: Identity,
        transport: &Arc<dyn Transport>,
        inner: &mut Inner,
    ) -> Result<GraphClient, ConnectionProblem> {
        let tenant = tenant_of(connection);
        let to_tokens = match &credential {
            Credential::ManagedIdentity { endpoint } => {
                self.transports.metadata_service(endpoint).map_err(|what| {
                    ConnectionProblem::CredentialsMissing(format!(
                        "The node's metadata service cannot be used: {what}."
                    ))
                })?
            }
            _ => Arc::clone(transport),
        };
        let to_tokens = Arc::new(CountedTransport { inner: to_tokens, metrics: Arc::clone(&self.metrics) });
        let place = (connection.spec.authority(), &*tenant.tenant_id, &*tenant.endpoint);
        let tokens = TokenSource::new(place, &client_id, credential, to_tokens, self.clock);
        let dialect = connection.spec.dialect();
        let gate = || Arc::new(Gate::new(self.settings.budget));
        let gate = inner.gates.entry((tenant.clone(), client_id.clone())).or_insert_with(gate);
        let learnt = inner.learnt.entry((tenant.clone(), client_id, dialect)).or_default();
        Ok(GraphClient {
            endpoint: tenant.endpoint,
            dialect,
            tokens: Arc::new(tokens),
            gate: Arc::clone(gate),
            learnt: Arc::clone(learnt),
            write_access: Arc::default(),
            transport: Arc::clone(transport),
            permission: Arc::clone(&self.permission),
            clock: self.clock,
            request_timeout: self.settings.request_timeout,
            metrics: Arc::clone(&self.metrics),
        })
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
        Duration::try_from(now.duration_since(self.at)).unwrap_or_default()
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

/// A connection that has no credential at all is not admitted, so its Secrets have gone before it.
fn without_credential(connection: &GraphConnection) -> String {
    let name = connection.metadata.name.as_deref().unwrap_or_default();
    format!(
        "The GraphConnection {name} is being deleted, and the Secrets with its credentials are gone. Create them again, or let the profiles go."
    )
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
