//! The port to Kubernetes over HTTP: kube's client, and the stores that watches fill.
//!
//! It decides nothing. A read gives the newest version that this process knows, its own writes
//! included, even while the watch has not caught up with them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::overlay::Overlay;
use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::reconcile::cluster::{Cluster, ClusterError, EventKind, Key, Notice, SecretValue};

/// Deadline of a call to Kubernetes.
const DEADLINE: Duration = Duration::from_secs(15);
/// Longest note that the server takes is 1 kB.
const LONGEST_NOTE: usize = 1000;

/// Kubernetes over HTTP.
pub struct KubeCluster {
    client: Client,
    recorder: Recorder,
    profiles: Store<EducationSyncProfile>,
    connections: Store<GraphConnection>,
    written_profiles: Overlay<EducationSyncProfile>,
    written_connections: Overlay<GraphConnection>,
}

impl KubeCluster {
    /// A cluster that reads from these stores. `instance` names this process in events.
    #[must_use]
    pub fn new(
        client: Client,
        instance: String,
        profiles: Store<EducationSyncProfile>,
        connections: Store<GraphConnection>,
    ) -> Self {
        let reporter = Reporter { controller: "edusync".to_owned(), instance: Some(instance) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self {
            client,
            recorder,
            profiles,
            connections,
            written_profiles: Overlay::default(),
            written_connections: Overlay::default(),
        }
    }

    /// Forgets the writes to an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.written_profiles.forget(uid);
        self.written_connections.forget(uid);
    }

    fn profile_api(&self, namespace: &str) -> Api<EducationSyncProfile> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn connection_api(&self, connection: &GraphConnection) -> Api<GraphConnection> {
        Api::namespaced(self.client.clone(), &connection.namespace().unwrap_or_default())
    }

    /// Remembers what came of a write, so that the next pass looks at the newest version. After a
    /// conflict that version is read, since the watch may be behind for a while.
    async fn settle(
        &self,
        before: &EducationSyncProfile,
        written: Result<EducationSyncProfile, ClusterError>,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        match written {
            Ok(written) => {
                let written = Arc::new(written);
                self.written_profiles.remember(before, &written);
                Ok(written)
            }
            Err(ClusterError::Conflict) => {
                if let Ok(newest) = self.fetch_profile(&Key::of(before)).await
                    && newest.metadata.uid == before.metadata.uid
                {
                    self.written_profiles.remember(before, &newest);
                }
                Err(ClusterError::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    async fn publish_on<K>(&self, resource: &K, notice: Notice)
    where
        K: Resource<DynamicType = ()>,
    {
        let event = Event {
            type_: match notice.kind {
                EventKind::Normal => EventType::Normal,
                EventKind::Warning => EventType::Warning,
            },
            reason: notice.reason,
            note: Some(notice.note.chars().take(LONGEST_NOTE).collect()),
            action: notice.action.to_owned(),
            secondary: None,
        };
        match within(self.recorder.publish(&event, &resource.object_ref(&()))).await {
            Ok(()) => {}
            // Nothing can be made in a namespace that is going; nobody will look there for events.
            Err(ClusterError::Other(what)) if what.contains("is being terminated") => {}
            Err(error) => tracing::warn!(%error, reason = event.reason, "could not publish an event"),
        }
    }
}

impl Cluster for KubeCluster {
    fn profile(&self, key: &Key) -> Option<Arc<EducationSyncProfile>> {
        let cached = self.profiles.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
        Some(self.written_profiles.newest(cached))
    }

    fn profiles(&self) -> Vec<Arc<EducationSyncProfile>> {
        self.profiles.state().into_iter().map(|cached| self.written_profiles.newest(cached)).collect()
    }

    fn connection(&self, key: &Key) -> Option<Arc<GraphConnection>> {
        let cached = self.connections.get(&ObjectRef::new(&key.name).within(&key.namespace))?;
        Some(self.written_connections.newest(cached))
    }

    fn connections(&self) -> Vec<Arc<GraphConnection>> {
        self.connections.state().into_iter().map(|cached| self.written_connections.newest(cached)).collect()
    }

    async fn fetch_profile(&self, key: &Key) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        let api = self.profile_api(&key.namespace);
        let fetched = Arc::new(within(api.get(&key.name)).await?);
        Ok(fetched)
    }

    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<SecretValue, ClusterError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut secret = within(api.get(name)).await?;
        let bytes = secret.data.as_mut().and_then(|data| data.remove(key)).ok_or(ClusterError::NotFound)?;
        let text = String::from_utf8(bytes.0)
            .map_err(|_| ClusterError::Other(format!("the value of {key} is not UTF-8 text")))?;
        // A line break at the end comes from an editor or from echo, never from Entra.
        let value = SecretString::from(text.trim_end_matches(['\r', '\n']));
        Ok(SecretValue { value, version: secret.resource_version().unwrap_or_default() })
    }

    async fn write_finalizers(
        &self,
        resource: &EducationSyncProfile,
        finalizers: Vec<String>,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        let api = self.profile_api(&resource.namespace().unwrap_or_default());
        let patch = finalizer_patch(resource, &finalizers);
        let name = resource.name_any();
        let written = within(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await;
        self.settle(resource, written).await
    }

    async fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> Result<(), ClusterError> {
        let api = self.connection_api(connection);
        let patch = finalizer_patch(connection, &finalizers);
        let name = connection.name_any();
        let written = within(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await?;
        self.written_connections.remember(connection, &Arc::new(written));
        Ok(())
    }

    async fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        let api = self.profile_api(&resource.namespace().unwrap_or_default());
        let wanted = EducationSyncProfile { status: Some(status), ..resource.clone() };
        let name = resource.name_any();
        let written = within(api.replace_status(&name, &PostParams::default(), &wanted)).await;
        self.settle(resource, written).await
    }

    async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<(), ClusterError> {
        let api = self.connection_api(connection);
        let wanted = GraphConnection { status: Some(status), ..connection.clone() };
        let name = connection.name_any();
        let written = within(api.replace_status(&name, &PostParams::default(), &wanted)).await?;
        self.written_connections.remember(connection, &Arc::new(written));
        Ok(())
    }

    async fn publish(&self, resource: &EducationSyncProfile, notice: Notice) {
        self.publish_on(resource, notice).await;
    }

    async fn publish_connection(&self, connection: &GraphConnection, notice: Notice) {
        self.publish_on(connection, notice).await;
    }
}

/// Exactly these finalizers, on exactly this version of this object.
fn finalizer_patch<K: Resource>(resource: &K, finalizers: &[String]) -> Value {
    json!({"metadata": {
        "finalizers": finalizers,
        "resourceVersion": resource.resource_version(),
        "uid": resource.uid(),
    }})
}

/// Runs a call within the deadline, and sorts what can go wrong.
pub(super) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(ClusterError::Conflict),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(ClusterError::NotFound),
        Ok(Err(kube::Error::Api(status))) => {
            Err(ClusterError::Other(format!("Kubernetes refused (HTTP {}): {}", status.code, status.message)))
        }
        Ok(Err(error)) => Err(ClusterError::Other(error.to_string())),
        Err(_) => {
            Err(ClusterError::Other(format!("no answer from Kubernetes within {} s", DEADLINE.as_secs())))
        }
    }
}
