//! The kinds of credential, and what each of them puts into a token request.
//!
//! No request is sent from here and nothing is kept: that is `source`. A kind that needs more than a
//! few form fields has a module of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::certificate::ClientCertificate;
use super::error::{AuthError, Unusable};
use super::refresh::RefreshToken;

/// What an assertion is, in the words of RFC 7523.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// No federated token is longer than this; a larger file is something else.
const LONGEST_ASSERTION: usize = 64 * 1024;

/// What is shown to the token service.
#[derive(Clone)]
pub enum Credential {
    /// The application itself, with a client secret.
    ClientSecret(SecretString),
    /// The application itself, with a certificate and its key.
    Certificate(Arc<ClientCertificate>),
    /// The application itself, with the token that Kubernetes gives the operator's pod.
    WorkloadIdentity {
        /// The file that the kubelet keeps fresh; None: the operator was told of none.
        token_file: Option<PathBuf>,
    },
    /// A managed identity of the node.
    ManagedIdentity {
        /// Address of the metadata service, without a path.
        endpoint: String,
    },
    /// An administrator who signed in once.
    RefreshToken {
        /// The newest refresh token that is known.
        token: RefreshToken,
        /// Client secret of a confidential client.
        client_secret: Option<SecretString>,
    },
}

impl Credential {
    pub(super) fn scope(&self, graph: &str) -> String {
        match self {
            // The metadata service asks for a resource, which has no permissions behind it.
            Self::ManagedIdentity { .. } => graph.to_owned(),
            Self::RefreshToken { .. } => delegated_scope(graph),
            _ => format!("{graph}/.default"),
        }
    }

    /// The form fields that an application shows itself with. None: this kind sends another request.
    pub(super) async fn application_fields(
        &self,
        client_id: &str,
        token_url: &str,
        now: Timestamp,
    ) -> Result<Vec<(&'static str, SecretString)>, AuthError> {
        let assertion = match self {
            Self::ClientSecret(secret) => {
                return Ok(vec![grant("client_credentials"), ("client_secret", secret.clone())]);
            }
            Self::Certificate(certificate) => certificate.assertion(client_id, token_url, now)?,
            Self::WorkloadIdentity { token_file } => read_token(token_file.as_deref()).await?,
            Self::ManagedIdentity { .. } | Self::RefreshToken { .. } => return Ok(Vec::new()),
        };
        Ok(vec![
            grant("client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE.into()),
            ("client_assertion", assertion),
        ])
    }
}

/// What an administrator is asked to consent to.
pub(super) fn delegated_scope(graph: &str) -> String {
    format!("{graph}/EduAdministration.ReadWrite offline_access")
}

fn grant(kind: &str) -> (&'static str, SecretString) {
    ("grant_type", kind.into())
}

/// The form fields of a redemption.
pub(super) fn redemption(
    token: SecretString,
    client_secret: Option<&SecretString>,
) -> Vec<(&'static str, SecretString)> {
    let mut fields = vec![grant("refresh_token"), ("refresh_token", token)];
    fields.extend(client_secret.map(|secret| ("client_secret", secret.clone())));
    fields
}

/// Writes a form. What is in it must go nowhere but into a request.
pub(super) fn form(fields: &[(&'static str, SecretString)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        form.append_pair(name, value.expose_secret());
    }
    form.finish()
}

/// The federated token, read for each request: the kubelet replaces the file before the token ends.
async fn read_token(path: Option<&Path>) -> Result<SecretString, AuthError> {
    let path = path.ok_or_else(|| AuthError::unusable(Unusable::NoTokenFile))?;
    let wrong = |why: &str| {
        AuthError::unusable(Unusable::TokenFile { path: path.display().to_string(), why: why.to_owned() })
    };
    // The kind only: an error's text could one day hold what was read.
    let text = tokio::fs::read_to_string(path).await.map_err(|error| wrong(&error.kind().to_string()))?;
    let token = text.trim();
    if token.is_empty() || token.len() > LONGEST_ASSERTION {
        return Err(wrong("it holds no token"));
    }
    Ok(token.into())
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClientSecret(_) => "ClientSecret",
            Self::Certificate(_) => "Certificate",
            Self::WorkloadIdentity { .. } => "WorkloadIdentity",
            Self::ManagedIdentity { .. } => "ManagedIdentity",
            Self::RefreshToken { .. } => "RefreshToken",
        })
    }
}
