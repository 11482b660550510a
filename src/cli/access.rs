//! From a namespace and the name of a connection to Microsoft Graph, with the rights of whoever runs the command.
//!
//! Credentials are read by the code that the operator reads them with; only what must differ on a
//! person's own machine is here: no lease, no identity of the operator's own, other sentences.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use futures::channel::mpsc;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::claims::is_in;
use super::output::note;
use super::run::{MICROSOFT, duration};
use crate::api::status::Binding;
use crate::api::{EducationSyncProfile, GraphConnection, IN_USE_FINALIZER};
use crate::clock::Clock;
use crate::graph::client::Always;
use crate::kubernetes::{self, sentence};
use crate::operator::HttpTransports;
use crate::operator::events::Recorder;
use crate::operator::kube_cluster::KubeCluster;
use crate::operator::refresh_tokens::KubeRefreshTokens;
use crate::poller::Intervals;
use crate::reconcile::cluster::Key;
use crate::reconcile::observation::ConnectionProblem;
use crate::upstream::{OperatorIdentity, Upstream, UpstreamSettings, Upstreams, tenant_of};

/// Objects that are asked for in one page of a list.
const PAGE: u32 = 500;

/// Which cluster, and where in it: what kubectl takes by the same flags.
#[derive(Clone, Debug, clap::Args)]
pub struct ClusterFlags {
    /// Namespace of the resources. Left out: that of the kubeconfig's context, or the pod's own.
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig. Left out: the current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The kubeconfig. Left out: KUBECONFIG, ~/.kube/config, or the ServiceAccount of the pod.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// How Microsoft Graph is reached.
#[derive(Clone, Debug, clap::Args)]
pub struct GraphFlags {
    /// A host that the connection may name besides Microsoft's, as host or host:port. Can be repeated.
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Deadline of one call to Graph.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    request_timeout: Duration,
}

/// Kubernetes, as whoever runs the command.
#[derive(Clone)]
pub struct Kube {
    /// The client.
    pub client: Client,
    /// The namespace in force.
    pub namespace: String,
}

/// One tenant, ready to be called.
pub struct Reached {
    /// The connection as it is in Kubernetes.
    pub connection: GraphConnection,
    /// The clients.
    pub upstream: Arc<Upstream>,
}

impl ClusterFlags {
    /// Connects to Kubernetes.
    ///
    /// # Errors
    /// When there is no kubeconfig, or it cannot be used.
    pub async fn connect(&self) -> anyhow::Result<Kube> {
        let config = if self.context.is_some() || self.kubeconfig.is_some() {
            let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
            match &self.kubeconfig {
                Some(file) => {
                    let kubeconfig = Kubeconfig::read_from(file).map_err(|error| {
                        anyhow!("cannot read the kubeconfig {}: {}", file.display(), sentence(&error))
                    })?;
                    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await
                }
                None => kube::Config::from_kubeconfig(&options).await,
            }
            .map_err(|error| anyhow!("the kubeconfig cannot be used: {}", sentence(&error)))?
        } else {
            kube::Config::infer().await.map_err(|error| anyhow!(
                "no way to Kubernetes: neither is there a kubeconfig (KUBECONFIG) that can be used, nor is this inside a cluster: {}", sentence(&error)
            ))?
        };
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = kubernetes::client(config)?;
        Ok(Kube { client, namespace })
    }
}

impl Kube {
    /// The resources of this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One resource of this namespace.
    ///
    /// # Errors
    /// When it is not there, or may not be read.
    pub async fn get<K>(&self, name: &str) -> anyhow::Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let found = self
            .api::<K>()
            .get_opt(name)
            .await
            .map_err(|error| anyhow!("cannot read the {} {name}: {}", K::kind(&()), sentence(&error)))?;
        found.with_context(|| {
            format!("there is no {} {name} in the namespace {}", K::kind(&()), self.namespace)
        })
    }

    /// All resources of a kind, page by page: of this namespace, or of all.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn list<K>(&self, everywhere: bool) -> Result<Vec<K>, kube::Error>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = if everywhere { Api::all(self.client.clone()) } else { self.api::<K>() };
        let mut parameters = ListParams::default().limit(PAGE);
        let mut items = Vec::new();
        loop {
            let page = api.list(&parameters).await?;
            items.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(items),
            }
        }
    }

    /// The profile that belongs to a resource, and the tenant that it is in.
    ///
    /// # Errors
    /// When the resource has no profile, or its connection cannot be used.
    pub async fn reach_profile(
        &self,
        name: &str,
        flags: &GraphFlags,
    ) -> anyhow::Result<(EducationSyncProfile, Binding, Reached)> {
        let resource: EducationSyncProfile = self.get(name).await?;
        let reached = self.reach(&Key::of_connection(&resource), flags).await?;
        ensure!(
            reached.connection.allows(&self.namespace),
            not_allowed(&reached.connection, &self.namespace)
        );
        let binding = binding(&resource, &reached.connection)?.clone();
        Ok((resource, binding, reached))
    }

    /// The tenant that a connection leads to.
    ///
    /// # Errors
    /// When the connection, or a Secret of it, cannot be used by this person.
    pub async fn reach(&self, connection: &Key, flags: &GraphFlags) -> anyhow::Result<Reached> {
        let there = Self { client: self.client.clone(), namespace: connection.namespace.clone() };
        let connection: GraphConnection = there.get(&connection.name).await?;
        let usable = usable_here(connection.clone())?;
        check_hosts(&connection, &flags.allowed_hosts)?;
        let clock = Clock::of_this_machine();
        let recorder = Recorder::new(self.client.clone(), "edusync".into(), clock);
        let cluster = KubeCluster::new(self.client.clone(), recorder);
        let settings = UpstreamSettings {
            allowed_hosts: allowed(&flags.allowed_hosts),
            intervals: Intervals { rest: Duration::from_mins(1), fast: Duration::from_secs(5) },
            request_timeout: flags.request_timeout,
            operator_identity: OperatorIdentity::default(),
            budget: crate::graph::budget::BudgetSettings::default(),
        };
        // Nobody follows: nothing is polled, and nobody is woken.
        let (wake, _) = mpsc::unbounded();
        let upstreams =
            Upstreams::new(settings, Box::<HttpTransports>::default(), Arc::new(Always), clock, wake)
                .keeping_tokens_in(Arc::new(KubeRefreshTokens::new(self.client.clone())));
        let upstream =
            upstreams.resolve(&cluster, &usable).await.map_err(|problem| problem_sentence(&problem))?;
        Ok(Reached { connection, upstream })
    }
}

impl Reached {
    /// To be called when the work is done: a refresh token that was renewed is to be kept.
    pub async fn finish(&self) {
        let held = self.connection.finalizers().iter().any(|name| name == IN_USE_FINALIZER);
        for tokens in [&self.upstream.reads.tokens, &self.upstream.writes.tokens] {
            if let Err(error) = tokens.save(held).await {
                note(&format!(
                    "warning: the renewed refresh token is not kept: {error}. The old one stays in use; Entra takes it for a while."
                ));
                return;
            }
        }
    }
}

/// Why the operator does not use this connection for profiles of a namespace.
#[must_use]
pub fn not_allowed(connection: &GraphConnection, namespace: &str) -> String {
    format!(
        "the GraphConnection {} of the namespace {} does not allow the namespace {namespace}: list it in spec.allowedNamespaces",
        connection.name_any(),
        connection.namespace().unwrap_or_default()
    )
}

/// The binding of a resource, if it can be trusted and leads to where the connection leads.
fn binding<'a>(
    resource: &'a EducationSyncProfile,
    connection: &GraphConnection,
) -> anyhow::Result<&'a Binding> {
    let name = resource.name_any();
    let status = resource.status.as_ref();
    let binding = status.and_then(|status| status.binding.as_ref()).with_context(|| {
        format!("the EducationSyncProfile {name} has no profile in Microsoft Graph yet; kubectl describe esp {name} says why")
    })?;
    ensure!(
        resource.metadata.uid.as_deref() == Some(binding.uid.as_str()),
        "the status of the EducationSyncProfile {name} was written for another object (a copy, or a backup), so its profile is not touched"
    );
    let tenant = tenant_of(connection);
    ensure!(
        is_in(&tenant, &binding.endpoint, &binding.tenant_id),
        "the profile of {name} is in the tenant {} at {}, but the GraphConnection {} leads to the tenant {} at {}",
        binding.tenant_id,
        binding.endpoint,
        connection.name_any(),
        tenant.tenant_id,
        tenant.endpoint
    );
    Ok(binding)
}

/// The connection without an identity that only the operator has.
fn usable_here(mut connection: GraphConnection) -> anyhow::Result<GraphConnection> {
    let name = connection.name_any();
    let Some(application) = &connection.spec.application else {
        return Ok(connection);
    };
    let member = match application {
        application if application.workload_identity.is_some() => "workloadIdentity",
        application if application.managed_identity.is_some() => "managedIdentity",
        _ => return Ok(connection),
    };
    if connection.spec.delegated.is_none() {
        bail!(
            "the GraphConnection {name} has nothing but application.{member}, the operator's own identity, which works only inside the operator: use a connection with a client secret, a certificate or a delegated credential"
        );
    }
    connection.spec.application = None;
    Ok(connection)
}

fn allowed(more: &[String]) -> Vec<String> {
    MICROSOFT.iter().map(ToString::to_string).chain(more.iter().cloned()).collect()
}

/// Credentials are sent to Microsoft, and to whom the person at the command line names.
///
/// # Errors
/// When the connection leads elsewhere.
pub fn check_hosts(connection: &GraphConnection, more: &[String]) -> anyhow::Result<()> {
    for address in [connection.spec.endpoint(), connection.spec.authority()] {
        let host = address.trim_start_matches("https://");
        let name = host.split(':').next().unwrap_or_default();
        let is_allowed = allowed(more)
            .iter()
            .any(|entry| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(name));
        ensure!(
            is_allowed,
            "the GraphConnection {} leads to {host}, which is not Microsoft's: credentials are sent there only with --allowed-host {name}",
            connection.name_any()
        );
    }
    Ok(())
}

impl GraphFlags {
    /// Hosts besides Microsoft's.
    #[must_use]
    pub fn allowed_hosts(&self) -> &[String] {
        &self.allowed_hosts
    }
}

fn problem_sentence(problem: &ConnectionProblem) -> anyhow::Error {
    match problem {
        ConnectionProblem::NotFound(text)
        | ConnectionProblem::CredentialsMissing(text)
        | ConnectionProblem::Unreadable(text)
        | ConnectionProblem::CredentialsInvalid(text)
        | ConnectionProblem::HostNotAllowed(text)
        | ConnectionProblem::NamespaceNotAllowed(text) => anyhow!("{}", text.trim_end_matches('.')),
    }
}

/// A failed call to Graph, with what to do about it.
#[must_use]
pub fn graph_sentence(what: &str, error: &crate::graph::GraphError) -> anyhow::Error {
    use crate::graph::GraphError;
    match error {
        GraphError::Waiting(_) | GraphError::Throttled { .. } => anyhow!("{what}: {error}; try again later"),
        error => anyhow!("{what}: {error}; {}", error.remedy()),
    }
}

#[cfg(test)]
mod tests;
