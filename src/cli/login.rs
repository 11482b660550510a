//! `edusync login`: an administrator signs in with a device code, and the refresh token goes where the connection looks.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams, PostParams};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::access::{ClusterFlags, GraphFlags, Kube, check_hosts};
use super::block_on;
use super::output::{note, printable};
use crate::api::GraphConnection;
use crate::api::connection::{DelegatedCredential, SecretKeyReference};
use crate::auth::device_code::{DeviceLogin, Poll, Prompt};
use crate::clock::Clock;
use crate::graph::transport::{HttpTransport, Transport};
use crate::kubernetes::{QUOTED, quotes, sentence};
use crate::upstream::tenant_of;

/// Sign in as an administrator, and store the refresh token where the connection looks for it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The GraphConnection. It must have delegated.clientId and delegated.refreshTokenRef.
    #[arg(long, default_value = "default", value_name = "NAME")]
    connection: String,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    graph: GraphFlags,
}

const EXAMPLES: &str = "\
Examples:
  Sign in for the connection \"default\" of a namespace:
    edusync login --connection default --namespace school

The app registration must allow public client flows, or be a confidential client whose secret the connection names in
delegated.clientSecretRef. The operator notices the new token within minutes.
Exit codes: 0 signed in, and stored; 1 anything else.";

/// Who writes the Secret.
const MANAGER: &str = "edusync-login";

impl Arguments {
    /// Signs in.
    ///
    /// # Errors
    /// When nobody signs in, or the token cannot be stored.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let kube = self.cluster.connect().await?;
            let connection: GraphConnection = kube.get(&self.connection).await?;
            check_hosts(&connection, self.graph.allowed_hosts())?;
            let delegated = connection.spec.delegated.as_ref().with_context(|| {
                format!("the GraphConnection {} has no delegated credential: add delegated with clientId and refreshTokenRef first", self.connection)
            })?;
            let place = &delegated.refresh_token_ref;
            // An administrator should not sign in for nothing.
            store(&kube, place, None).await?;
            note(&format!(
                "the refresh token will be stored under the key {} of the Secret {} in the namespace {}",
                place.key, place.name, kube.namespace
            ));
            let token = sign_in(&kube, &connection, delegated).await?;
            store(&kube, place, Some(&token)).await?;
            note(&format!("stored: the GraphConnection {} can change profiles now", connection.name_any()));
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn sign_in(
    kube: &Kube,
    connection: &GraphConnection,
    delegated: &DelegatedCredential,
) -> anyhow::Result<SecretString> {
    let ca = value_of(kube, connection.spec.ca_bundle_ref.as_ref(), "caBundleRef").await?;
    let secret = value_of(kube, delegated.client_secret_ref.as_ref(), "delegated.clientSecretRef").await?;
    let secret = secret.map(client_secret).transpose()?;
    let transport = HttpTransport::new(ca.as_deref())
        .map_err(|what| anyhow!("the certificates of caBundleRef cannot be used: {what}"))?;
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let tenant = tenant_of(connection);
    let place = (connection.spec.authority(), &*tenant.tenant_id, &*tenant.endpoint);
    let refused = |error: crate::auth::AuthError| anyhow!("{error}; {}", error.remedy());
    let mut login =
        DeviceLogin::begin(place, (&delegated.client_id, secret), transport, Clock::of_this_machine())
            .await
            .map_err(refused)?;
    note(&shown(login.prompt()));
    match login.finish(async |wait: Duration| tokio::time::sleep(wait).await).await.map_err(refused)? {
        Poll::Done(token) => Ok(token),
        Poll::Declined => bail!("the administrator declined"),
        Poll::Expired | Poll::Pending => bail!("nobody has signed in in time: begin again"),
    }
}

fn shown(prompt: &Prompt) -> String {
    format!(
        "\n  open   {}\n  enter  {}\n\nwaiting for an administrator to sign in, until {} ...",
        printable(&prompt.verification_uri),
        printable(&prompt.user_code),
        prompt.expires_at.strftime("%H:%M:%S UTC")
    )
}

/// What a reference of the connection leads to.
async fn value_of(
    kube: &Kube,
    reference: Option<&SecretKeyReference>,
    field: &str,
) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(SecretKeyReference { name, key }) = reference else {
        return Ok(None);
    };
    let mut secret: Secret = kube.get(name).await?;
    let found = secret.data.as_mut().and_then(|data| data.remove(key));
    let found = found.with_context(|| format!("the Secret {name} has no key {key} ({field})"))?;
    Ok(Some(found.0))
}

/// As the operator reads it: a line break at its end is none of it.
fn client_secret(bytes: Vec<u8>) -> anyhow::Result<SecretString> {
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("delegated.clientSecretRef leads to no text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

/// Writes the one key, and nothing else of the Secret. Without a token it is only asked whether that may be done.
async fn store(kube: &Kube, place: &SecretKeyReference, token: Option<&SecretString>) -> anyhow::Result<()> {
    let SecretKeyReference { name, key } = place;
    let api: Api<Secret> = kube.api();
    let dry_run = token.is_none();
    let patch = body(key, token);
    let parameters =
        PatchParams { dry_run, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let result = match api.patch(name, &parameters, &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            let mut secret = patch;
            if let Some(members) = secret.as_object_mut() {
                members.insert("metadata".to_owned(), json!({"name": name}));
            }
            let secret: Secret = serde_json::from_value(secret).context("the Secret cannot be written")?;
            let parameters = PostParams { dry_run, field_manager: Some(MANAGER.to_owned()) };
            api.create(&parameters, &secret).await
        }
        result => result,
    };
    result.map(drop).map_err(|error| {
        let said = sentence(&error);
        let said = if token.is_some_and(|token| quotes(&said, token)) { QUOTED } else { &said };
        anyhow!("the Secret {name} of the namespace {} cannot be written: {said}", kube.namespace)
    })
}

/// Of data alone, and nothing else of the Secret.
fn body(key: &str, token: Option<&SecretString>) -> Value {
    match token {
        Some(token) => json!({"data": {key: STANDARD.encode(token.expose_secret())}}),
        None => json!({"data": {}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_key_is_written() {
        assert_eq!(body("token", Some(&"abc".to_owned().into())), json!({"data": {"token": "YWJj"}}));
        assert_eq!(body("token", None), json!({"data": {}}));
    }

    #[test]
    fn the_prompt_cannot_steer_a_terminal() {
        let prompt = Prompt {
            user_code: "ABCD\u{1b}[2J".to_owned(),
            verification_uri: "https://login.example/device".to_owned(),
            message: String::new(),
            expires_at: "2027-01-02T03:04:05Z".parse().unwrap(),
        };
        let shown = shown(&prompt);
        assert!(
            shown.contains("open   https://login.example/device") && !shown.contains('\u{1b}'),
            "{shown}"
        );
        assert!(shown.contains("until 03:04:05 UTC"), "{shown}");
    }
}
