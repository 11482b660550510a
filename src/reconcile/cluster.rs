//! The port to Kubernetes: every call that a pass makes there. What this process knows without a call is
//! in [`super::cached`].
//!
//! In production it is kube over HTTP; in simulation tests a cluster in memory. Nothing else in
//! [`crate::reconcile`] knows how Kubernetes is reached.

use std::collections::BTreeSet;
use std::future::Future;

use secrecy::SecretString;

use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::api::{EducationSyncProfile, GraphConnection};

/// Namespace and name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What of Kubernetes is looked into.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All namespaces.
    All,
    /// One namespace.
    Namespace(String),
}

impl Scope {
    /// Each of these namespaces; without any, all.
    #[must_use]
    pub fn of(namespaces: &BTreeSet<String>) -> Vec<Self> {
        if namespaces.is_empty() {
            return vec![Self::All];
        }
        namespaces.iter().cloned().map(Self::Namespace).collect()
    }

    /// Is this namespace looked into?
    #[must_use]
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(name) => name == namespace,
        }
    }
}

/// A call to Kubernetes that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Somebody else wrote first: look again.
    #[error("the resource was changed meanwhile")]
    Conflict,
    /// There is no such object.
    #[error("not found")]
    NotFound,
    /// A definite no, for example for want of a right.
    #[error("{0}")]
    Refused(String),
    /// It is there, and cannot be what it is needed for: a person has to change it.
    #[error("{0}")]
    Unusable(String),
    /// Anything else: it may be different in a moment.
    #[error("{0}")]
    Other(String),
}

/// A key of a Secret, with the version of the Secret.
#[derive(Clone, Debug)]
pub struct SecretValue {
    /// The value.
    pub value: SecretString,
    /// The Secret's resourceVersion.
    pub version: String,
}

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// All is well.
    Normal,
    /// A person should look.
    Warning,
}

/// An event on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Normal or Warning.
    pub kind: EventKind,
    /// One word.
    pub reason: String,
    /// What was done or tried, one word.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
}

/// Kubernetes, as far as a pass needs it.
pub trait Cluster: Send + Sync + 'static {
    /// Reads a resource from the server.
    fn fetch_profile(
        &self,
        key: &Key,
    ) -> impl Future<Output = Result<EducationSyncProfile, ClusterError>> + Send;

    /// Reads one Secret, by name.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> impl Future<Output = Result<SecretValue, ClusterError>> + Send;

    /// Writes the finalizers of exactly this version of a resource.
    fn write_finalizers(
        &self,
        resource: &EducationSyncProfile,
        finalizers: Vec<String>,
    ) -> impl Future<Output = Result<EducationSyncProfile, ClusterError>> + Send;

    /// Writes the finalizers of exactly this version of a connection.
    fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> impl Future<Output = Result<GraphConnection, ClusterError>> + Send;

    /// Writes the status of exactly this version of a resource.
    fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> impl Future<Output = Result<EducationSyncProfile, ClusterError>> + Send;

    /// Writes the status of exactly this version of a connection.
    fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> impl Future<Output = Result<GraphConnection, ClusterError>> + Send;

    /// Publishes an event on a resource. It is lost when the server does not take it.
    fn publish(&self, resource: &EducationSyncProfile, notice: Notice) -> impl Future<Output = ()> + Send;

    /// Publishes an event on a connection.
    fn publish_connection(
        &self,
        connection: &GraphConnection,
        notice: Notice,
    ) -> impl Future<Output = ()> + Send;
}

impl Key {
    /// Key of a resource.
    #[must_use]
    pub fn of<K: kube::Resource>(resource: &K) -> Self {
        Self::of_meta(resource.meta())
    }

    /// Key of the resource with this metadata.
    #[must_use]
    pub fn of_meta(meta: &kube::core::ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    /// Key of the connection that a profile names. Whether the profile may use it, the connection says.
    #[must_use]
    pub fn of_connection(profile: &EducationSyncProfile) -> Self {
        let own = profile.metadata.namespace.as_deref().unwrap_or_default();
        let namespace = profile.spec.connection_namespace().unwrap_or(own).to_owned();
        Self { namespace, name: profile.spec.connection_name().to_owned() }
    }
}
