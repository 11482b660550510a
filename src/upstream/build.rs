//! Clients and a poller of a connection, from what its Secrets hold. No Secret is read here.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::credentials::{self, Identity};
use super::secrets::Secrets;
use super::{Upstream, Upstreams, tenant_of};
use crate::api::GraphConnection;
use crate::api::connection::Dialect;
use crate::auth::{Credential, TokenSource};
use crate::graph::GraphClient;
use crate::graph::learnt::Learnt;
use crate::graph::throttle::Gate;
use crate::graph::transport::Transport;
use crate::metrics::CountedTransport;
use crate::reconcile::claims::Tenant;
use crate::reconcile::observation::{ConnectionFacts, ConnectionProblem};

impl Upstreams {
    /// An upstream. Nothing waits here.
    pub(super) fn build(
        &self,
        connection: &GraphConnection,
        secrets: &Secrets,
        delegated: Option<Identity>,
        fingerprint: String,
    ) -> Result<Arc<Upstream>, ConnectionProblem> {
        let extra_ca = secrets.ca.as_ref().map(|ca| ca.value.expose_secret().as_bytes());
        let transport = self.transports.transport(extra_ca).map_err(|what| {
            let name = connection.metadata.name.as_deref().unwrap_or_default();
            ConnectionProblem::CredentialsMissing(format!(
                "The GraphConnection {name} cannot use the certificates of its caBundleRef: {what}."
            ))
        })?;
        let operator = &self.settings.operator_identity;
        let application = credentials::application(connection, secrets, operator, self.clock.wall_now())?;
        let certificate_end = application.as_ref().and_then(Identity::certificate_end);
        let client = |identity| self.client(connection, identity, &transport);
        let application = application.map(client).transpose()?;
        let delegated = delegated.map(client).transpose()?;
        let (Some(reads), Some(writes)) =
            (application.clone().or_else(|| delegated.clone()), delegated.clone().or(application))
        else {
            return Err(ConnectionProblem::CredentialsMissing(without_credential(connection)));
        };
        let facts = ConnectionFacts {
            tenant: tenant_of(connection),
            dialect: connection.spec.dialect(),
            fingerprint,
            delegated: delegated.is_some(),
        };
        let poller = self.poller(connection, secrets, &facts, &reads);
        Ok(Arc::new(Upstream { facts, writes, reads, poller, certificate_end }))
    }

    fn client(
        &self,
        connection: &GraphConnection,
        Identity { client_id, credential }: Identity,
        transport: &Arc<dyn Transport>,
    ) -> Result<GraphClient, ConnectionProblem> {
        let tenant = tenant_of(connection);
        let to_tokens = match &credential {
            Credential::ManagedIdentity { endpoint } => {
                self.transports.metadata_service(endpoint).map_err(|what| {
                    ConnectionProblem::CredentialsMissing(format!(
                        "The node's metadata service cannot be used: {what}."
                    ))
                })?
            }
            _ => Arc::clone(transport),
        };
        let to_tokens = Arc::new(CountedTransport { inner: to_tokens, metrics: Arc::clone(&self.metrics) });
        let place = (connection.spec.authority(), &*tenant.tenant_id, &*tenant.endpoint);
        let tokens = TokenSource::new(place, &client_id, credential, to_tokens, self.clock);
        let dialect = connection.spec.dialect();
        let (gate, learnt) = self.shared(&tenant, &client_id, dialect);
        Ok(GraphClient {
            endpoint: tenant.endpoint,
            dialect,
            tokens: Arc::new(tokens),
            gate,
            learnt,
            write_access: Arc::default(),
            transport: Arc::clone(transport),
            permission: Arc::clone(&self.permission),
            clock: self.clock,
            request_timeout: self.settings.request_timeout,
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// What all connections of a tenant and an application have in common.
    fn shared(&self, tenant: &Tenant, client_id: &str, dialect: Dialect) -> (Arc<Gate>, Arc<Learnt>) {
        // Two spellings of one id must not be two applications.
        let client_id = client_id.to_ascii_lowercase();
        let mut inner = self.lock();
        inner.tidy(self.clock.now());
        let gate = || Arc::new(Gate::new(self.settings.budget));
        let gate = inner.gates.entry((tenant.clone(), client_id.clone())).or_insert_with(gate);
        let gate = Arc::clone(gate);
        let learnt = inner.learnt.entry((tenant.clone(), client_id, dialect)).or_default();
        (gate, Arc::clone(learnt))
    }
}

/// A connection that has no credential at all is not admitted, so its Secrets have gone before it.
fn without_credential(connection: &GraphConnection) -> String {
    let name = connection.metadata.name.as_deref().unwrap_or_default();
    format!(
        "The GraphConnection {name} is being deleted, and the Secrets with its credentials are gone. Create them again, or let the profiles go."
    )
}
