//! The port to Kubernetes over HTTP: kube's client. It decides nothing and keeps nothing.

use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType};
use kube::{Client, Resource, ResourceExt};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::events::Recorder;
use super::lean::lean;
use super::lease::LeasePort;
use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::kubernetes::sentence;
use crate::reconcile::cluster::{Cluster, ClusterError, EventKind, Key, Notice, SecretValue};
use crate::trace::{self, Span};

/// Deadline of a call to Kubernetes.
const DEADLINE: Duration = Duration::from_secs(15);

/// Kubernetes over HTTP.
pub struct KubeCluster {
    client: Client,
    recorder: Recorder,
}

impl KubeCluster {
    /// A cluster behind this client.
    #[must_use]
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { client, recorder }
    }

    fn profile_api(&self, namespace: &str) -> Api<EducationSyncProfile> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn connection_api(&self, connection: &GraphConnection) -> Api<GraphConnection> {
        Api::namespaced(self.client.clone(), &connection.namespace().unwrap_or_default())
    }

    async fn publish_on<K>(&self, resource: &K, notice: Notice)
    where
        K: Resource<DynamicType = ()>,
    {
        // Events are gone after an hour; what they say is what an administrator looks for in the log.
        let type_ = match notice.kind {
            EventKind::Normal => {
                tracing::info!(reason = notice.reason, "{}", notice.note);
                EventType::Normal
            }
            EventKind::Warning => {
                tracing::warn!(reason = notice.reason, "{}", notice.note);
                EventType::Warning
            }
        };
        let event = Event {
            type_,
            reason: notice.reason,
            note: Some(notice.note),
            action: notice.action.to_owned(),
            secondary: None,
        };
        let about = resource.object_ref(&());
        let namespace = about.namespace.clone().unwrap_or_default();
        match traced("create events", &namespace, self.recorder.publish(&event, &about)).await {
            Ok(()) => {}
            // Nothing can be made in a namespace that is going; nobody will look there for events.
            Err(ClusterError::Refused(what)) if what.contains("is being terminated") => {}
            Err(error) => tracing::warn!(%error, reason = event.reason, "could not publish an event"),
        }
    }
}

impl Cluster for KubeCluster {
    async fn fetch_profile(&self, key: &Key) -> Result<EducationSyncProfile, ClusterError> {
        let api = self.profile_api(&key.namespace);
        traced("get educationsyncprofiles", &key.namespace, api.get(&key.name)).await.map(lean)
    }

    async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<SecretValue, ClusterError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let mut secret = traced("get secrets", namespace, api.get(name)).await?;
        let bytes = secret.data.as_mut().and_then(|data| data.remove(key)).ok_or(ClusterError::NotFound)?;
        let text = String::from_utf8(bytes.0)
            .map_err(|_| ClusterError::Unusable("its value is not UTF-8 text".to_owned()))?;
        // A line break at the end comes from an editor or from echo, never from Entra.
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(ClusterError::Unusable("its value is empty".to_owned()));
        }
        let value = SecretString::from(text);
        Ok(SecretValue { value, version: secret.resource_version().unwrap_or_default() })
    }

    async fn write_finalizers(
        &self,
        resource: &EducationSyncProfile,
        finalizers: Vec<String>,
    ) -> Result<EducationSyncProfile, ClusterError> {
        let namespace = resource.namespace().unwrap_or_default();
        let api = self.profile_api(&namespace);
        let patch = Patch::Merge(finalizer_patch(resource, &finalizers));
        let (name, params) = (resource.name_any(), PatchParams::default());
        traced("patch educationsyncprofiles", &namespace, api.patch(&name, &params, &patch)).await.map(lean)
    }

    async fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> Result<GraphConnection, ClusterError> {
        let api = self.connection_api(connection);
        let patch = Patch::Merge(finalizer_patch(connection, &finalizers));
        let (name, params) = (connection.name_any(), PatchParams::default());
        let namespace = connection.namespace().unwrap_or_default();
        traced("patch graphconnections", &namespace, api.patch(&name, &params, &patch)).await.map(lean)
    }

    async fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> Result<EducationSyncProfile, ClusterError> {
        let namespace = resource.namespace().unwrap_or_default();
        let api = self.profile_api(&namespace);
        let wanted = EducationSyncProfile { status: Some(status), ..resource.clone() };
        let (name, params) = (resource.name_any(), PostParams::default());
        let call = api.replace_status(&name, &params, &wanted);
        traced("update educationsyncprofiles/status", &namespace, call).await.map(lean)
    }

    async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<GraphConnection, ClusterError> {
        let api = self.connection_api(connection);
        let wanted = GraphConnection { status: Some(status), ..connection.clone() };
        let (name, params) = (connection.name_any(), PostParams::default());
        let namespace = connection.namespace().unwrap_or_default();
        let call = api.replace_status(&name, &params, &wanted);
        traced("update graphconnections/status", &namespace, call).await.map(lean)
    }

    async fn publish(&self, resource: &EducationSyncProfile, notice: Notice) {
        self.publish_on(resource, notice).await;
    }

    async fn publish_connection(&self, connection: &GraphConnection, notice: Notice) {
        self.publish_on(connection, notice).await;
    }
}

/// The Lease over HTTP.
pub struct KubeLease {
    api: Api<Lease>,
    name: String,
}

impl KubeLease {
    /// The Lease of this name.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned() }
    }
}

impl LeasePort for KubeLease {
    async fn get(&self) -> Result<Option<Lease>, ClusterError> {
        within(self.api.get_opt(&self.name)).await
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        within(self.api.create(&PostParams::default(), lease)).await
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        within(self.api.replace(&self.name, &PostParams::default(), lease)).await
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

/// The same within a span. `what` is the verb and the resource.
pub(super) async fn traced<T>(
    what: &'static str,
    namespace: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    let span = Span::request(what);
    span.set("k8s.namespace.name", namespace.to_owned());
    let result = span.around(within(call)).await;
    if let Err(error) = &result {
        span.fail(trace::variant(error));
    }
    result
}

/// Runs a call within the deadline, and sorts what can go wrong.
pub(super) async fn within<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
            Err(ClusterError::Conflict)
        }
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(ClusterError::NotFound),
        Ok(Err(kube::Error::Api(status))) => {
            let what = format!("Kubernetes refused (HTTP {}): {}", status.code, status.message);
            // 408 and 429 ask to come again.
            let is_definite = (400..500).contains(&status.code) && !matches!(status.code, 408 | 429);
            Err(if is_definite { ClusterError::Refused(what) } else { ClusterError::Other(what) })
        }
        Ok(Err(error)) => Err(ClusterError::Other(sentence(&error))),
        Err(_) => {
            Err(ClusterError::Other(format!("no answer from Kubernetes within {} s", DEADLINE.as_secs())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or a write that comes late would take off what others have put on meanwhile, or hold a namesake.
    #[test]
    fn finalizers_are_written_on_one_version_of_one_object() {
        let connection: GraphConnection = serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"name": "default", "uid": "u", "resourceVersion": "7", "finalizers": ["example.org/a"]},
            "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        }))
        .unwrap();
        let patch =
            finalizer_patch(&connection, &["example.org/a".to_owned(), "edusync.dev/in-use".to_owned()]);
        let finalizers = ["example.org/a", "edusync.dev/in-use"];
        let expected = json!({"metadata": {"finalizers": finalizers, "resourceVersion": "7", "uid": "u"}});
        assert_eq!(patch, expected);
    }
}
