//! Which connections share a poller: those that see the same list with the same right to it.

use std::time::Duration;

use super::secrets::Secrets;
use crate::api::GraphConnection;
use crate::api::connection::{ApplicationCredential, CertificateReference, Dialect, SecretKeyReference};
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
    credential: ReadBy,
    versions: String,
    rest: Duration,
}

/// What reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ReadBy {
    ClientSecret(SecretKeyReference),
    Certificate(CertificateReference),
    WorkloadIdentity,
    ManagedIdentity,
    /// A refresh token is renewed for one connection (its uid), so no other one reads by it.
    RefreshToken(String),
}

pub(super) fn poller_key(
    connection: &GraphConnection,
    secrets: &Secrets,
    facts: &ConnectionFacts,
    rest: Duration,
) -> PollerKey {
    let spec = &connection.spec;
    let application = spec.application.as_ref();
    let read_by =
        application.and_then(|application| Some((application.client_id.clone(), kind(application)?)));
    let (client_id, credential) = read_by.unwrap_or_else(|| {
        let delegated = spec.delegated.as_ref().map(|delegated| delegated.client_id.clone());
        let uid = connection.metadata.uid.clone().unwrap_or_default();
        (delegated.unwrap_or_default(), ReadBy::RefreshToken(uid))
    });
    PollerKey {
        namespace: connection.metadata.namespace.clone().unwrap_or_default(),
        tenant: facts.tenant.clone(),
        dialect: facts.dialect,
        authority: spec.authority().to_owned(),
        client_id,
        credential,
        versions: secrets.versions(),
        rest,
    }
}

fn kind(application: &ApplicationCredential) -> Option<ReadBy> {
    let secret = application.client_secret_ref.clone().map(ReadBy::ClientSecret);
    let certificate = || application.certificate_ref.clone().map(ReadBy::Certificate);
    let workload = || application.workload_identity.map(|_| ReadBy::WorkloadIdentity);
    let managed = || application.managed_identity.map(|_| ReadBy::ManagedIdentity);
    secret.or_else(certificate).or_else(workload).or_else(managed)
}
