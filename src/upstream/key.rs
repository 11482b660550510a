//! Which connections share a poller: those that see the same list with the same right to it. And the
//! poller itself, as long as one of them uses it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::SignedDuration;

use super::Upstreams;
use super::secrets::Secrets;
use crate::api::GraphConnection;
use crate::api::connection::{ApplicationCredential, CertificateReference, Dialect, SecretKeyReference};
use crate::graph::GraphClient;
use crate::poller::{Intervals, Poller};
use crate::reconcile::claims::Tenant;
use crate::reconcile::observation::ConnectionFacts;

/// Connections with equal keys see the same list with the same right to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PollerKey {
    namespace: String,
    tenant: Tenant,
    dialect: Dialect,
    authority: String,
    client_id: String,
    credential: ReadBy,
    /// Another key of one Secret comes with the same version.
    ca: Option<SecretKeyReference>,
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
    RefreshToken {
        /// A refresh token is renewed for one connection, so no other one reads by it.
        uid: String,
        seed: Option<SecretKeyReference>,
        client_secret: Option<SecretKeyReference>,
    },
}

fn poller_key(
    connection: &GraphConnection,
    secrets: &Secrets,
    facts: &ConnectionFacts,
    rest: Duration,
) -> PollerKey {
    let spec = &connection.spec;
    let application = spec.application.as_ref();
    let read_by =
        application.and_then(|application| Some((application.client_id.clone(), kind(application)?)));
    let (client_id, credential) = read_by.unwrap_or_else(|| by_refresh_token(connection));
    PollerKey {
        namespace: connection.metadata.namespace.clone().unwrap_or_default(),
        tenant: facts.tenant.clone(),
        dialect: facts.dialect,
        authority: spec.authority().to_owned(),
        client_id,
        credential,
        ca: spec.ca_bundle_ref.clone(),
        versions: secrets.versions(),
        rest,
    }
}

fn by_refresh_token(connection: &GraphConnection) -> (String, ReadBy) {
    let delegated = connection.spec.delegated.as_ref();
    let credential = ReadBy::RefreshToken {
        uid: connection.metadata.uid.clone().unwrap_or_default(),
        seed: delegated.map(|delegated| delegated.refresh_token_ref.clone()),
        client_secret: delegated.and_then(|delegated| delegated.client_secret_ref.clone()),
    };
    (delegated.map(|delegated| delegated.client_id.clone()).unwrap_or_default(), credential)
}

fn kind(application: &ApplicationCredential) -> Option<ReadBy> {
    let secret = application.client_secret_ref.clone().map(ReadBy::ClientSecret);
    let certificate = || application.certificate_ref.clone().map(ReadBy::Certificate);
    let workload = || application.workload_identity.map(|_| ReadBy::WorkloadIdentity);
    let managed = || application.managed_identity.map(|_| ReadBy::ManagedIdentity);
    secret.or_else(certificate).or_else(workload).or_else(managed)
}

impl Upstreams {
    pub(super) fn poller(
        &self,
        connection: &GraphConnection,
        secrets: &Secrets,
        facts: &ConnectionFacts,
        reads: &GraphClient,
    ) -> Arc<Poller> {
        let intervals =
            Intervals { rest: self.rest_interval(connection), fast: self.settings.intervals.fast };
        let key = Box::new(poller_key(connection, secrets, facts, intervals.rest));
        let mut inner = self.lock();
        inner.pollers.retain(|_, poller| poller.strong_count() > 0);
        if let Some(poller) = inner.pollers.get(&key).and_then(Weak::upgrade) {
            return poller;
        }
        let mut hasher = DefaultHasher::new();
        (&key.namespace, &key.tenant, &key.client_id).hash(&mut hasher);
        let poller =
            Arc::new(Poller::start(reads.clone(), intervals, hasher.finish(), self.clock, self.wake.clone()));
        inner.pollers.insert(key, Arc::downgrade(&poller));
        poller
    }

    fn rest_interval(&self, connection: &GraphConnection) -> Duration {
        let text = connection.spec.graph.as_ref().and_then(|graph| graph.poll_interval.as_deref());
        text.and_then(|text| text.parse::<SignedDuration>().ok())
            .and_then(|interval| Duration::try_from(interval).ok())
            .unwrap_or(self.settings.intervals.rest)
    }
}
