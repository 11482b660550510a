//! The world of these tests: Secrets in memory, and a tenant that nobody reaches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::*;
use crate::api::EducationSyncProfile;
use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::graph::transport::TransportError;
use crate::reconcile::cluster::{ClusterError, Key, Notice, SecretValue};

/// Secrets by name and key, all of one version.
#[derive(Debug, Default)]
pub(super) struct World {
    secrets: Mutex<HashMap<(String, String), String>>,
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
}

/// What these passes never ask for.
fn never<T>() -> Result<T, ClusterError> {
    Err(ClusterError::Other("there is no profile here".to_owned()))
}

impl Cluster for World {
    async fn fetch_profile(&self, _key: &Key) -> Result<EducationSyncProfile, ClusterError> {
        never()
    }

    async fn secret(&self, _namespace: &str, name: &str, key: &str) -> Result<SecretValue, ClusterError> {
        let value = locked(&self.secrets).get(&(name.to_owned(), key.to_owned())).cloned();
        let value = value.ok_or(ClusterError::NotFound)?;
        Ok(SecretValue { value: value.into(), version: "1".to_owned() })
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
        _resource: &EducationSyncProfile,
        _status: EducationSyncProfileStatus,
    ) -> Result<EducationSyncProfile, ClusterError> {
        never()
    }

    async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<GraphConnection, ClusterError> {
        Ok(GraphConnection { status: Some(status), ..newer(connection) })
    }

    async fn publish(&self, _resource: &EducationSyncProfile, _notice: Notice) {}

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

pub(super) fn upstreams(store: &Arc<MemoryStore>) -> Upstreams {
    let settings = UpstreamSettings {
        allowed_hosts: vec!["graph.microsoft.com".to_owned(), "login.microsoftonline.com".to_owned()],
        intervals: Intervals { rest: Duration::from_mins(1), fast: Duration::from_secs(5) },
        request_timeout: Duration::from_secs(30),
        operator_identity: OperatorIdentity::default(),
        budget: BudgetSettings::default(),
    };
    // Nobody listens to wakes here, which is what happens at the end of a process as well.
    let (wake, _) = mpsc::unbounded();
    Upstreams::new(settings, Box::new(Nowhere), Arc::new(Nowhere), clock(), wake)
        .keeping_tokens_in(Arc::clone(store) as _)
}

/// The connection `default`, with what else is in its spec.
pub(super) fn connection(generation: i64, more: &Value) -> GraphConnection {
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

pub(super) fn application() -> Value {
    json!({"application": {"clientId": "app", "clientSecretRef": key("secret")}})
}

pub(super) fn delegated(seed: &str) -> Value {
    json!({"delegated": {"clientId": "app", "refreshTokenRef": key(seed)}})
}

pub(super) fn world() -> World {
    World::with(&[
        ("graph", "secret", "example-secret"),
        ("graph", "other-secret", "another-secret"),
        ("graph", "dead", "dead-seed"),
        ("graph", "good", "good-seed"),
        ("graph", "ca", "certificates"),
        ("graph", "other-ca", "other certificates"),
    ])
}
