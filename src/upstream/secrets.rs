//! The Secrets of a connection: one `get` by name for each, and nothing else of Kubernetes.
//!
//! The values stay in types that cannot be printed. What they are used for is not decided here.

use crate::api::GraphConnection;
use crate::api::connection::{CertificateReference, SecretKeyReference};
use crate::misplaced::hidden;
use crate::reconcile::cluster::{Cluster, ClusterError, SecretValue};
use crate::reconcile::observation::ConnectionProblem;

/// What the connection refers to.
pub(super) struct Secrets {
    pub(super) ca: Option<SecretValue>,
    /// The application's client secret.
    pub(super) application: Option<SecretValue>,
    /// The application's certificate, and its key.
    pub(super) certificate: Option<(SecretValue, SecretValue)>,
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
    /// Reads them all. With `some_will_do` the proofs of identity may be missing: another one may be left.
    pub(super) async fn read<C: Cluster>(
        cluster: &C,
        connection: &GraphConnection,
        some_will_do: bool,
    ) -> Result<Self, LoadError> {
        let spec = &connection.spec;
        let if_there = |read: Result<Option<SecretValue>, LoadError>| match read {
            Err(LoadError::Problem(_)) if some_will_do => Ok(None),
            read => read,
        };
        let delegated = spec.delegated.as_ref();
        let seed = delegated.map(|d| &d.refresh_token_ref);
        let application = spec.application.as_ref().and_then(|a| a.client_secret_ref.as_ref());
        Ok(Self {
            ca: read(cluster, connection, spec.ca_bundle_ref.as_ref()).await?,
            application: if_there(read(cluster, connection, application).await)?,
            certificate: read_certificate(cluster, connection, some_will_do).await?,
            refresh_token: if_there(read(cluster, connection, seed).await)?,
            delegated_client: read(cluster, connection, delegated.and_then(|d| d.client_secret_ref.as_ref()))
                .await?,
        })
    }

    pub(super) fn versions(&self) -> String {
        let (certificate, key) =
            self.certificate.as_ref().map(|(certificate, key)| (certificate, key)).unzip();
        [
            self.ca.as_ref(),
            self.application.as_ref(),
            certificate,
            key,
            self.refresh_token.as_ref(),
            self.delegated_client.as_ref(),
        ]
        .map(|secret| secret.map_or("", |secret| secret.version.as_str()))
        .join(".")
    }

    pub(super) fn fingerprint(&self, connection: &GraphConnection) -> String {
        let meta = &connection.metadata;
        let (uid, generation) =
            (meta.uid.as_deref().unwrap_or_default(), meta.generation.unwrap_or_default());
        format!("{uid}/{generation}/{}", self.versions())
    }
}

/// Certificate and key of one version of the Secret: while it is renewed, the two may not be a pair.
async fn read_certificate<C: Cluster>(
    cluster: &C,
    connection: &GraphConnection,
    some_will_do: bool,
) -> Result<Option<(SecretValue, SecretValue)>, LoadError> {
    let reference = connection.spec.application.as_ref().and_then(|a| a.certificate_ref.as_ref());
    let Some(CertificateReference { name }) = reference else {
        return Ok(None);
    };
    let reference = |key: &str| SecretKeyReference { name: name.clone(), key: key.to_owned() };
    let (certificate, key) = (reference("tls.crt"), reference("tls.key"));
    for _ in 0..3 {
        let pair = async {
            let certificate = read(cluster, connection, Some(&certificate)).await?;
            Ok((certificate, read(cluster, connection, Some(&key)).await?))
        };
        match pair.await {
            Err(LoadError::Problem(_)) if some_will_do => return Ok(None),
            Err(error) => return Err(error),
            Ok((Some(certificate), Some(key))) if certificate.version == key.version => {
                return Ok(Some((certificate, key)));
            }
            Ok(_) => {}
        }
    }
    Err(LoadError::Unreadable(ConnectionProblem::Unreadable(format!(
        "The Secret {name} changes while it is read; it is read again soon."
    ))))
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
        let message =
            format!("The GraphConnection {connection} needs the key {key} of the Secret {name}, but {what}.");
        ConnectionProblem::CredentialsMissing(hidden(message, [name, key]))
    };
    match cluster.secret(namespace, name, key).await {
        Ok(value) => Ok(Some(value)),
        Err(ClusterError::NotFound) => {
            let what = format!("the namespace {namespace} has no such Secret, or the Secret no such key");
            Err(LoadError::Problem(problem(what)))
        }
        Err(ClusterError::Refused(what)) => {
            Err(LoadError::Problem(problem(format!("the Secret cannot be read: {what}"))))
        }
        Err(ClusterError::Unusable(what)) => Err(LoadError::Problem(problem(what))),
        Err(error) => {
            let connection = connection.metadata.name.as_deref().unwrap_or_default();
            let message = format!(
                "The Secret {name}, which the GraphConnection {connection} needs, cannot be read: {error}. edusync tries again by itself."
            );
            Err(LoadError::Unreadable(ConnectionProblem::Unreadable(hidden(message, [name, key]))))
        }
    }
}
