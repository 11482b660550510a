//! Which connections share a poller: those that see the same list with the same right to it.

use std::time::Duration;

use super::secrets::Secrets;
use crate::api::GraphConnection;
use crate::api::connection::{Dialect, SecretKeyReference};
use crate::reconcile::claims::Tenant;
use crate::reconcile::observation::ConnectionFacts;

/// Connections with equal keys see the same list with the same right to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PollerKey {
    pub(super) namespace: String,
    pub(super) tenant: Tenant,
    dialect: Dialect,
    authority: String,
    pub(super) client_id: String,
    secret: SecretKeyReference,
    versions: String,
    rest: Duration,
}

pub(super) fn poller_key(
    connection: &GraphConnection,
    secrets: &Secrets,
    facts: &ConnectionFacts,
    rest: Duration,
) -> PollerKey {
    let spec = &connection.spec;
    let application = spec.application.as_ref().and_then(|application| {
        Some((application.client_id.clone(), application.client_secret_ref.clone()?))
    });
    let delegated = spec.delegated.as_ref().map(|d| (d.client_id.clone(), d.refresh_token_ref.clone()));
    let (client_id, secret) = application
        .or(delegated)
        .unwrap_or_else(|| (String::new(), SecretKeyReference { name: String::new(), key: String::new() }));
    PollerKey {
        namespace: connection.metadata.namespace.clone().unwrap_or_default(),
        tenant: facts.tenant.clone(),
        dialect: facts.dialect,
        authority: spec.authority().to_owned(),
        client_id,
        secret,
        versions: secrets.versions(),
        rest,
    }
}
