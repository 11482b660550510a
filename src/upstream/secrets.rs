//! The Secrets of a connection: one `get` by name for each, and nothing else of Kubernetes.
//!
//! The values stay in types that cannot be printed. What they are used for is not decided here.

use crate::api::GraphConnection;
use crate::api::connection::SecretKeyReference;
use crate::reconcile::cluster::{Cluster, ClusterError, SecretValue};
use crate::reconcile::observation::ConnectionProblem;

/// What the connection refers to.
pub(super) struct Secrets {
    pub(super) ca: Option<SecretValue>,
    pub(super) application: Option<SecretValue>,
    pub(super) refresh_token: Option<SecretValue>,
    pub(super) delegated_client: Option<SecretValue>,
}

/// Why a connection could not be loaded.
#[derive(Debug)]
pub(super) enum LoadError {
    /// So it is.
    Problem(ConnectionProblem),
    /// So it seems: Kubernetes did not answer as it should.
    Unreadable(ConnectionProblem),
}

impl From<ConnectionProblem> for LoadError {
    fn from(problem: ConnectionProblem) -> Self {
        Self::Problem(problem)
    }
}

impl Secrets {
    pub(super) async fn read<C: Cluster>(
        cluster: &C,
        connection: &GraphConnection,
    ) -> Result<Self, LoadError> {
        let spec = &connection.spec;
        let delegated = spec.delegated.as_ref();
        let application =
            spec.application.as_ref().and_then(|application| application.client_secret_ref.as_ref());
        Ok(Self {
            ca: read(cluster, connection, spec.ca_bundle_ref.as_ref()).await?,
            application: read(cluster, connection, application).await?,
            refresh_token: read(cluster, connection, delegated.map(|d| &d.refresh_token_ref)).await?,
            delegated_client: read(cluster, connection, delegated.and_then(|d| d.client_secret_ref.as_ref()))
                .await?,
        })
    }

    pub(super) fn versions(&self) -> String {
        [&self.ca, &self.application, &self.refresh_token, &self.delegated_client]
            .map(|secret| secret.as_ref().map_or("", |secret| secret.version.as_str()))
            .join(".")
    }

    pub(super) fn fingerprint(&self, connection: &GraphConnection) -> String {
        let meta = &connection.metadata;
        let (uid, generation) =
            (meta.uid.as_deref().unwrap_or_default(), meta.generation.unwrap_or_default());
        format!("{uid}/{generation}/{}", self.versions())
    }
}

async fn read<C: Cluster>(
    cluster: &C,
    connection: &GraphConnection,
    reference: Option<&SecretKeyReference>,
) -> Result<Option<SecretValue>, LoadError> {
    let Some(SecretKeyReference { name, key }) = reference else {
        return Ok(None);
    };
    let namespace = connection.metadata.namespace.as_deref().unwrap_or_default();
    let problem = |what: String| {
        let connection = connection.metadata.name.as_deref().unwrap_or_default();
        ConnectionProblem::CredentialsMissing(format!(
            "The GraphConnection {connection} needs the key {key} of the Secret {name}, but {what}."
        ))
    };
    match cluster.secret(namespace, name, key).await {
        Ok(value) => Ok(Some(value)),
        Err(ClusterError::NotFound) => {
            let what = format!("the namespace {namespace} has no such Secret, or the Secret no such key");
            Err(LoadError::Problem(problem(what)))
        }
        Err(error) => Err(LoadError::Unreadable(problem(format!("the Secret cannot be read: {error}")))),
    }
}
