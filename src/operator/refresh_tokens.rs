//! Renewed refresh tokens in a Secret that the operator owns: one for each namespace, always of the same name.
//!
//! Each connection writes its own keys by server-side apply, with a field manager of its own, so that
//! no connection touches what another one has, and the API server counts who still needs the Secret. It
//! is read by name; it is never listed, watched or deleted: Kubernetes collects it when its owners are gone.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::kube_cluster::within;
use crate::api::IN_USE_FINALIZER;
use crate::auth::refresh::{RefreshTokenStore, StoreError, StoredToken, TokenOwner};
use crate::kubernetes::{QUOTED, quotes};
use crate::reconcile::cluster::ClusterError;

/// Name of the Secret. The chart's rights are for this name alone.
pub const SECRET: &str = "edusync-refresh-tokens";
/// Longest key of a Secret's data.
const LONGEST_KEY: usize = 253;

/// Refresh tokens in Secrets.
pub struct KubeRefreshTokens {
    client: Client,
}

/// The three keys of a connection.
struct Keys {
    seed: String,
    newest: String,
    redeemed_at: String,
}

impl KubeRefreshTokens {
    /// A store in the cluster of `client`.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    fn api(&self, owner: &TokenOwner) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &owner.namespace)
    }

    async fn get(&self, owner: &TokenOwner) -> Result<Option<Secret>, StoreError> {
        match within(self.api(owner).get(SECRET)).await {
            Ok(secret) => Ok(Some(secret)),
            Err(ClusterError::NotFound) => Ok(None),
            Err(error) => Err(sentence("read", owner, &error)),
        }
    }

    async fn apply(&self, owner: &TokenOwner, secret: &Value) -> Result<(), StoreError> {
        // Another manager of our keys can only be an earlier connection of this name, or a person.
        let parameters = PatchParams::apply(&manager(owner)).force();
        match within(self.api(owner).patch(SECRET, &parameters, &Patch::Apply(secret))).await {
            Ok(_) => Ok(()),
            Err(error) => Err(sentence("written", owner, &error)),
        }
    }

    async fn store(&self, owner: &TokenOwner, token: &StoredToken, held: bool) -> Result<(), StoreError> {
        let keys = Keys::of(owner);
        let value = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = BTreeMap::from([
            (keys.seed, value(token.seed.expose_secret())),
            (keys.newest, value(token.newest.expose_secret())),
            (keys.redeemed_at, value(&token.redeemed_at.to_string())),
        ]);
        // The finalizer lets the deletion of the namespace leave the Secret until the connection is done.
        // From a connection that may go at any time nobody would take it off again.
        let finalizers: Vec<&str> = held.then_some(IN_USE_FINALIZER).into_iter().collect();
        let metadata = json!({
            "name": SECRET,
            "labels": {"app.kubernetes.io/managed-by": "edusync"},
            "ownerReferences": [owner_reference(owner)],
            "finalizers": finalizers,
        });
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
        let kept = self.apply(owner, &secret).await;
        kept.map_err(|error| {
            let is_quoted = [&token.seed, &token.newest].iter().any(|token| quotes(&error.0, token));
            let quoted = ClusterError::Refused(QUOTED.to_owned());
            if is_quoted { sentence("written", owner, &quoted) } else { error }
        })
    }

    async fn take_back(&self, owner: &TokenOwner) -> Result<(), StoreError> {
        let Some(secret) = self.get(owner).await? else {
            return Ok(());
        };
        if share(&secret, owner).is_none() {
            return Ok(());
        }
        // What is left out is taken back. The owner stays, since Kubernetes deletes the Secret by it. With
        // the uid this makes no new Secret, should the old one just have gone.
        let metadata = json!({
            "name": SECRET,
            "uid": secret.uid(),
            "ownerReferences": [owner_reference(owner)],
        });
        match self.apply(owner, &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).await {
            Err(_) if self.get(owner).await?.is_none_or(|now| now.uid() != secret.uid()) => Ok(()),
            result => result,
        }
    }
}

impl RefreshTokenStore for KubeRefreshTokens {
    fn read<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> BoxFuture<'a, Result<Option<(StoredToken, bool)>, StoreError>> {
        async move {
            let secret = self.get(owner).await?;
            Ok(secret.and_then(|secret| {
                let held = share(&secret, owner).unwrap_or_default();
                Some((stored(secret, &Keys::of(owner))?, held))
            }))
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        owner: &'a TokenOwner,
        token: &'a StoredToken,
        held: bool,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store(owner, token, held).boxed()
    }

    fn release<'a>(&'a self, owner: &'a TokenOwner) -> BoxFuture<'a, Result<(), StoreError>> {
        self.take_back(owner).boxed()
    }
}

impl Keys {
    fn of(owner: &TokenOwner) -> Self {
        let (seed, newest, redeemed_at) = (".seed", ".refresh-token", ".redeemed-at");
        // A connection's name may be as long as a key; then its uid stands for it.
        let fits = owner.name.len() + newest.len() <= LONGEST_KEY;
        let whose = if fits { &owner.name } else { &owner.uid };
        let key = |what: &str| format!("{whose}{what}");
        Self { seed: key(seed), newest: key(newest), redeemed_at: key(redeemed_at) }
    }
}

fn stored(mut secret: Secret, keys: &Keys) -> Option<StoredToken> {
    let data = secret.data.as_mut()?;
    let mut text = |key: &str| String::from_utf8(data.remove(key)?.0).ok();
    let (seed, newest) = (text(&keys.seed)?, text(&keys.newest)?);
    // A time that cannot be read is long ago: then the token is redeemed soon.
    let redeemed_at = text(&keys.redeemed_at).and_then(|time| time.parse().ok());
    Some(StoredToken {
        seed: SecretString::from(seed),
        newest: SecretString::from(newest),
        redeemed_at: redeemed_at.unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

/// Has the connection a share in the Secret, and is the finalizer part of it?
fn share(secret: &Secret, owner: &TokenOwner) -> Option<bool> {
    let manager = manager(owner);
    let mut entries = secret.metadata.managed_fields.iter().flatten();
    let entry = entries.find(|entry| entry.manager.as_deref() == Some(manager.as_str()))?;
    let pointer = format!("/f:metadata/f:finalizers/v:\"{}\"", IN_USE_FINALIZER.replace('/', "~1"));
    Some(entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer(&pointer).is_some()))
}

fn manager(owner: &TokenOwner) -> String {
    format!("edusync-refresh-token-{}", owner.uid)
}

fn owner_reference(owner: &TokenOwner) -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1",
        "kind": "GraphConnection",
        "name": owner.name,
        "uid": owner.uid,
        "controller": false,
        "blockOwnerDeletion": false,
    })
}

fn sentence(done: &str, owner: &TokenOwner, error: &ClusterError) -> StoreError {
    StoreError(format!("the Secret {SECRET} of the namespace {} cannot be {done}: {error}", owner.namespace))
}

impl std::fmt::Debug for KubeRefreshTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KubeRefreshTokens")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> TokenOwner {
        TokenOwner { namespace: "school".to_owned(), name: name.to_owned(), uid: "uid".to_owned() }
    }

    #[test]
    fn keys_fit_whatever_the_connection_is_called() {
        assert_eq!(Keys::of(&owner("default")).newest, "default.refresh-token");
        let long = "a".repeat(253);
        assert_eq!(Keys::of(&owner(&long)).newest, "uid.refresh-token");
    }

    #[test]
    fn half_an_entry_is_none_and_a_broken_time_is_long_ago() {
        let with = |keys: &[(&str, &str)]| Secret {
            data: Some(
                keys.iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let keys = Keys::of(&owner("default"));
        assert!(stored(with(&[("default.seed", "a")]), &keys).is_none());
        assert!(stored(Secret::default(), &keys).is_none());
        let whole =
            with(&[("default.seed", "a"), ("default.refresh-token", "b"), ("default.redeemed-at", "?")]);
        let token = stored(whole, &keys).unwrap();
        assert_eq!(token.newest.expose_secret(), "b");
        assert_eq!(token.redeemed_at, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn the_share_of_a_connection_is_told_by_its_manager() {
        let secret: Secret = serde_json::from_value(json!({"metadata": {"managedFields": [{
            "manager": "edusync-refresh-token-uid", "operation": "Apply",
            "fieldsV1": {"f:metadata": {"f:finalizers": {"v:\"edusync.dev/in-use\"": {}}}}
        }]}}))
        .unwrap();
        assert_eq!(share(&secret, &owner("default")), Some(true));
        let other = TokenOwner { uid: "other".to_owned(), ..owner("default") };
        assert_eq!(share(&secret, &other), None);
    }
}
