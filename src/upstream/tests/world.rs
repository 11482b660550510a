//! The world of these tests: Secrets in memory, and a tenant that nobody reaches, or one without profiles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::super::*;
use crate::api::EducationSyncProfile;
use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::graph::transport::TransportError;
use crate::reconcile::Context;
use crate::reconcile::cached::Cached;
use crate::reconcile::cluster::{ClusterError, Key, Notice, SecretValue};
use crate::reconcile::observation::Settings;

/// Secrets by name and key, with one version for all.
#[derive(Debug, Default)]
pub(crate) struct World {
    secrets: Mutex<HashMap<(String, String), String>>,
    version: Mutex<u32>,
    /// The one resource, if there is one.
    pub(crate) resource: Mutex<Option<EducationSyncProfile>>,
    /// Every status of a resource is refused.
    pub(crate) refuses: AtomicBool,
    /// How often one was to be written.
    pub(crate) status_writes: AtomicUsize,
    /// Secrets for which Kubernetes gives no answer within the time that a call has.
    pub(super) late: Mutex<HashSet<String>>,
    /// The names of the Secrets that were read, in order.
    pub(super) reads: Mutex<Vec<String>>,
    pub(super) notices: Mutex<Vec<Notice>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    pub(super) fn with(secrets: &[(&str, &str, &str)]) -> Self {
        let world = Self::default();
        for (name, key, value) in secrets {
            let place = ((*name).to_owned(), (*key).to_owned());
            locked(&world.secrets).insert(place, (*value).to_owned());
        }
        world
    }

    /// What was told so far, by events.
    pub(crate) fn told(&self) -> Vec<Notice> {
        locked(&self.notices).clone()
    }

    /// Changes a Secret, or makes it; None takes it away.
    pub(super) fn put(&self, name: &str, key: &str, value: Option<&str>) {
        let place = (name.to_owned(), key.to_owned());
        *locked(&self.version) += 1;
        match value {
            Some(value) => locked(&self.secrets).insert(place, value.to_owned()),
            None => locked(&self.secrets).remove(&place),
        };
    }
}

/// What these passes never ask for.
fn never<T>() -> Result<T, ClusterError> {
    Err(ClusterError::Other("there is no profile here".to_owned()))
}

impl Cluster for World {
    async fn fetch_profile(&self, _key: &Key) -> Result<EducationSyncProfile, ClusterError> {
        match locked(&self.resource).clone() {
            Some(resource) => Ok(resource),
            None => never(),
        }
    }

    async fn secret(&self, _namespace: &str, name: &str, key: &str) -> Result<SecretValue, ClusterError> {
        locked(&self.reads).push(name.to_owned());
        let is_late = locked(&self.late).contains(name);
        if is_late {
            tokio::time::sleep(Duration::from_secs(15)).await;
            return Err(ClusterError::Other("no answer".to_owned()));
        }
        let value = locked(&self.secrets).get(&(name.to_owned(), key.to_owned())).cloned();
        let value = value.ok_or(ClusterError::NotFound)?;
        Ok(SecretValue { value: value.into(), version: locked(&self.version).to_string() })
    }

    async fn write_finalizers(
        &self,
        _resource: &EducationSyncProfile,
        _finalizers: Vec<String>,
    ) -> Result<EducationSyncProfile, ClusterError> {
        never()
    }

    async fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> Result<GraphConnection, ClusterError> {
        let mut connection = newer(connection);
        connection.metadata.finalizers = Some(finalizers);
        Ok(connection)
    }

    async fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> Result<EducationSyncProfile, ClusterError> {
        self.status_writes.fetch_add(1, Ordering::Relaxed);
        if self.refuses.load(Ordering::Relaxed) {
            return Err(ClusterError::Refused("by a policy".to_owned()));
        }
        let mut stored = locked(&self.resource);
        let Some(stored) = stored.as_mut() else { return never() };
        if stored.metadata.resource_version != resource.metadata.resource_version {
            return Err(ClusterError::Conflict);
        }
        let version: u64 = stored.metadata.resource_version.as_ref().unwrap().parse().unwrap();
        stored.metadata.resource_version = Some((version + 1).to_string());
        stored.status = Some(status);
        Ok(stored.clone())
    }

    async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<GraphConnection, ClusterError> {
        Ok(GraphConnection { status: Some(status), ..newer(connection) })
    }

    async fn publish(&self, _resource: &EducationSyncProfile, notice: Notice) {
        locked(&self.notices).push(notice);
    }

    async fn publish_connection(&self, _connection: &GraphConnection, notice: Notice) {
        locked(&self.notices).push(notice);
    }
}

/// The next version of it.
fn newer(connection: &GraphConnection) -> GraphConnection {
    let mut newer = connection.clone();
    let version: u64 = connection.metadata.resource_version.as_ref().unwrap().parse().unwrap();
    newer.metadata.resource_version = Some((version + 1).to_string());
    newer
}

/// A tenant without profiles. Its token service refuses some secrets, and takes all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    pub(super) refused: Arc<Mutex<HashSet<String>>>,
    /// Every list fails.
    pub(super) is_broken: Arc<AtomicBool>,
    /// How many lists were asked for, by tenant.
    pub(super) lists: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Service {
    fn answer(&self, request: &http::Request<Bytes>) -> (u16, Value) {
        let path = request.uri().path();
        if let Some(tenant) = path.strip_suffix("/oauth2/v2.0/token") {
            let form = String::from_utf8_lossy(request.body()).into_owned();
            return if locked(&self.refused).iter().any(|secret| form.contains(secret.as_str())) {
                (400, json!({"error": "invalid_grant", "error_codes": [700_082]}))
            } else {
                (200, json!({"access_token": tenant.trim_start_matches('/'), "expires_in": 3600}))
            };
        }
        let token = request.headers().get("authorization").unwrap().to_str().unwrap();
        let tenant = token.trim_start_matches("Bearer ").to_owned();
        *locked(&self.lists).entry(tenant).or_default() += 1;
        if self.is_broken.load(Ordering::Relaxed) { (503, json!({})) } else { (200, json!({"value": []})) }
    }
}

impl Transport for Service {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        let (status, body) = self.answer(&request);
        let answer = http::Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap();
        async { Ok(answer) }.boxed()
    }
}

impl Transports for Service {
    fn transport(&self, _extra_ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(self.clone()))
    }
}

#[derive(Debug)]
struct Nowhere;

impl Transport for Nowhere {
    fn send(
        &self,
        _request: http::Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        async { Err(TransportError::NotConnected("nobody is there".to_owned())) }.boxed()
    }
}

impl Transports for Nowhere {
    fn transport(&self, _extra_ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Self))
    }
}

impl Permission for Nowhere {
    fn may_write(&self) -> bool {
        false
    }
}

pub(super) fn clock() -> Clock {
    Clock::starting_at(Timestamp::from_second(1_725_264_000).unwrap())
}

pub(crate) fn upstreams(store: &Arc<MemoryStore>) -> Upstreams {
    upstreams_to(Nowhere, store)
}

pub(super) fn upstreams_to(transports: impl Transports + 'static, store: &Arc<MemoryStore>) -> Upstreams {
    let settings = UpstreamSettings {
        allowed_hosts: vec!["graph.microsoft.com".to_owned(), "login.microsoftonline.com".to_owned()],
        intervals: Intervals { rest: Duration::from_mins(1), fast: Duration::from_secs(5) },
        request_timeout: Duration::from_secs(30),
        operator_identity: OperatorIdentity::default(),
        budget: BudgetSettings::default(),
    };
    // Nobody listens to wakes here, which is what happens at the end of a process as well.
    let (wake, _) = mpsc::unbounded();
    Upstreams::new(settings, Box::new(transports), Arc::new(Nowhere), clock(), wake)
        .keeping_tokens_in(Arc::clone(store) as _)
}

/// What passes work with, when `connection` is what Kubernetes has.
pub(super) fn context(world: World, connection: GraphConnection, upstreams: Upstreams) -> Context<World> {
    context_with(world, connection, Vec::new(), upstreams)
}

/// The same with resources that use it.
pub(crate) fn context_with(
    world: World,
    connection: GraphConnection,
    resources: Vec<EducationSyncProfile>,
    upstreams: Upstreams,
) -> Context<World> {
    context_and_writer(world, connection, resources, upstreams).0
}

/// The same, and what changes the connection.
pub(super) fn context_and_writer(
    world: World,
    connection: GraphConnection,
    resources: Vec<EducationSyncProfile>,
    upstreams: Upstreams,
) -> (Context<World>, Writer<GraphConnection>) {
    let (connections, mut connection_writer) = reflector::store();
    connection_writer.apply_watcher_event(&Event::Apply(connection));
    let (profiles, mut writer) = reflector::store();
    let cluster = Cached::new(world, profiles, connections);
    for resource in resources {
        cluster.index.add(Key::of_connection(&resource), Key::of(&resource));
        writer.apply_watcher_event(&Event::Apply(resource));
    }
    let settings = Settings {
        request_timeout: Duration::from_secs(30),
        settle_window: Duration::from_mins(2),
        lease_duration: Duration::from_secs(15),
        probe_interval: Duration::from_secs(5),
        most_deletions: 10,
        refusal_retry: Duration::from_hours(1),
    };
    (Context::new(cluster, upstreams, clock(), settings), connection_writer)
}

/// The key of the connection `default`.
pub(super) fn place() -> Key {
    Key { namespace: "school".to_owned(), name: "default".to_owned() }
}

/// The connection `default`, with what else is in its spec.
pub(crate) fn connection(generation: i64, more: &Value) -> GraphConnection {
    let mut spec = json!({"tenantId": "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a"});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
        "metadata": {"name": "default", "namespace": "school", "uid": "uid", "generation": generation,
            "resourceVersion": "1"},
        "spec": spec
    }))
    .unwrap()
}

/// A reference to a key of the Secret `graph`.
pub(super) fn key(key: &str) -> Value {
    json!({"name": "graph", "key": key})
}

pub(crate) fn application() -> Value {
    json!({"application": {"clientId": "app", "clientSecretRef": key("secret")}})
}

pub(super) fn delegated(seed: &str) -> Value {
    json!({"delegated": {"clientId": "app", "refreshTokenRef": key(seed)}})
}

pub(crate) fn world() -> World {
    World::with(&[
        ("graph", "secret", "example-secret"),
        ("graph", "other-secret", "another-secret"),
        ("graph", "dead", "dead-seed"),
        ("graph", "good", "good-seed"),
        ("graph", "ca", "certificates"),
        ("graph", "other-ca", "other certificates"),
    ])
}
