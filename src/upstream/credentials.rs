//! A connection's spec and its Secrets into credentials for the token service. No request is sent here.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::secrets::{LoadError, Secrets};
use crate::api::GraphConnection;
use crate::auth::refresh::{RefreshTokens, TokenOwner};
use crate::auth::{ClientCertificate, Credential};
use crate::reconcile::observation::ConnectionProblem;

/// The operator's own identity: who may use it, and where it comes from.
#[derive(Clone, Debug)]
pub struct OperatorIdentity {
    /// Namespaces whose connections may use it.
    pub namespaces: Vec<String>,
    /// The file with the token of the pod's ServiceAccount for Entra.
    pub federated_token_file: Option<PathBuf>,
    /// Address of the node's metadata service, without a path.
    pub managed_identity_endpoint: String,
}

impl Default for OperatorIdentity {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            federated_token_file: None,
            managed_identity_endpoint: "http://169.254.169.254".to_owned(),
        }
    }
}

/// A credential, and the client that it belongs to.
pub(super) struct Identity {
    pub(super) client_id: String,
    pub(super) credential: Credential,
}

/// The application's credential. None: the connection has none, or is going and its Secret has gone before.
pub(super) fn application(
    connection: &GraphConnection,
    secrets: &Secrets,
    operator: &OperatorIdentity,
    now: Timestamp,
) -> Result<Option<Identity>, ConnectionProblem> {
    let Some(spec) = connection.spec.application.as_ref() else {
        return Ok(None);
    };
    let credential = if let Some((chain, key)) = &secrets.certificate {
        let certificate = ClientCertificate::from_pem(&chain.value, &key.value, now).map_err(|error| {
            let secret = spec.certificate_ref.as_ref().map_or("", |reference| &reference.name);
            let connection = connection.metadata.name.as_deref().unwrap_or_default();
            ConnectionProblem::CredentialsInvalid(format!(
                "The GraphConnection {connection} cannot use the certificate of the Secret {secret}: {error}."
            ))
        })?;
        Credential::Certificate(Arc::new(certificate))
    } else if let Some(secret) = &secrets.application {
        Credential::ClientSecret(secret.value.clone())
    } else if spec.workload_identity.is_some() {
        Credential::WorkloadIdentity { token_file: operator.federated_token_file.clone() }
    } else if spec.managed_identity.is_some() {
        Credential::ManagedIdentity { endpoint: operator.managed_identity_endpoint.clone() }
    } else {
        return Ok(None);
    };
    Ok(Some(Identity { client_id: spec.client_id.clone(), credential }))
}

/// The administrator's credential, with the newest refresh token that there is.
pub(super) async fn delegated(
    connection: &GraphConnection,
    secrets: &Secrets,
    tokens: &RefreshTokens,
) -> Result<Option<Identity>, LoadError> {
    let Some(spec) = connection.spec.delegated.as_ref() else {
        return Ok(None);
    };
    let seed = secrets.refresh_token.as_ref().map(|seed| &seed.value);
    let token = tokens.open(token_owner(connection), seed).await.map_err(|error| {
        let connection = connection.metadata.name.as_deref().unwrap_or_default();
        LoadError::Unreadable(ConnectionProblem::Unreadable(format!(
            "The renewed refresh token of the GraphConnection {connection} cannot be read: {error}. edusync tries again by itself."
        )))
    })?;
    Ok(token.map(|token| Identity {
        client_id: spec.client_id.clone(),
        credential: Credential::RefreshToken {
            token,
            client_secret: secrets.delegated_client.as_ref().map(|secret| secret.value.clone()),
        },
    }))
}

/// Whose refresh token is kept.
pub(super) fn token_owner(connection: &GraphConnection) -> TokenOwner {
    let meta = &connection.metadata;
    TokenOwner {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
    }
}

impl Identity {
    /// When the certificate is over, if it is one.
    pub(super) fn certificate_end(&self) -> Option<Timestamp> {
        match &self.credential {
            Credential::Certificate(certificate) => Some(certificate.not_after()),
            _ => None,
        }
    }
}
