//! Wiring: the lease, the watches, the queue of passes, the probes, metrics, the end. No decision is made here.

pub mod events;
pub mod health;
pub mod kube_cluster;
mod lean;
pub mod lease;
pub mod mirror;
pub mod needs;
mod patience;
pub mod refresh_tokens;
mod shown;
pub mod telemetry;
pub mod traces;
mod transports;
pub mod watch;

pub mod passes;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::channel::mpsc;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::Reporter;
use kube::runtime::reflector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::layer::util::Stack;

use crate::clock::Clock;
use crate::graph::budget::BudgetSettings;
use crate::kubernetes::{self, sentence};
use crate::metrics::{self, CountRequests, Metrics};
use crate::poller::{Intervals, Woken};
use crate::reconcile::cached::Cached;
use crate::reconcile::cluster::Scope;
use crate::reconcile::observation::Settings;
use crate::reconcile::{self, Context};
use crate::upstream::{OperatorIdentity, UpstreamSettings, Upstreams};
use events::Recorder;
use health::{Health, Stage};
use kube_cluster::{KubeCluster, KubeLease};
use lease::{Elector, Leadership, LeasePort, LeaseSettings};
use needs::Place;
use needs::inspect::Inspector;
use needs::notice::{NoticeLayer, Suspicions};
use patience::PatienceLayer;
use refresh_tokens::KubeRefreshTokens;
use shown::{ShownLeadership, ShownResources, ShownStart};
pub(crate) use transports::HttpTransports;

/// How long passes may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(50);

/// Everything that can be set from outside.
#[derive(Clone, Debug)]
pub struct OperatorSettings {
    /// Only these namespaces are watched; none: all.
    pub namespaces: BTreeSet<String>,
    /// Where the probes are served.
    pub health_address: SocketAddr,
    /// Where the metrics are served, if they are.
    pub metrics_address: Option<SocketAddr>,
    /// The lease.
    pub lease: LeaseSettings,
    /// This instance, as people name it.
    pub instance: Instance,
    /// How often Graph is looked at.
    pub intervals: Intervals,
    /// Time spans of decisions.
    pub settings: Settings,
    /// Hosts that a connection may name.
    pub allowed_hosts: Vec<String>,
    /// The operator's own identity.
    pub operator_identity: OperatorIdentity,
    /// How many calls may be made, for each tenant and application.
    pub budget: BudgetSettings,
    /// How many passes may be under way at once.
    pub concurrency: u16,
}

/// What this process is called in Kubernetes.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Name; the pod's, if it runs in one.
    pub name: String,
    /// The pod's uid, if it runs in one.
    pub pod_uid: Option<String>,
}

/// Runs the operator until SIGTERM, Ctrl-C, or the loss of the lease.
///
/// # Errors
/// When it cannot start, or loses the lease: whoever started it starts it again.
pub async fn run(settings: OperatorSettings) -> anyhow::Result<()> {
    let clock = Clock::of_this_machine();
    let health = Health::default();
    let address = health::serve(settings.health_address, health.clone())
        .await
        .with_context(|| format!("cannot serve the probes at {}", settings.health_address))?;
    let leadership = Arc::new(Leadership::default());
    let metrics = Arc::new(Metrics::default());
    metrics.watch(Arc::new(ShownStart(clock.now())));
    metrics.watch(Arc::new(ShownLeadership(Arc::clone(&leadership), health.clone())));
    let metrics_address = serve_metrics(settings.metrics_address, &metrics).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %address,
        metrics_address = metrics_address.map(tracing::field::display),
        identity = settings.lease.identity,
        "starting"
    );
    let suspicions = Arc::new(Suspicions::new(Place {
        scopes: Scope::of(&settings.namespaces),
        home: settings.lease.namespace.clone(),
    }));
    let client = client(&metrics, &suspicions).await?;
    let recorder = recorder(&settings, &client, clock);
    let inspector = Inspector::new(client.clone(), suspicions, health.clone(), recorder, own(&settings));
    let inspecting = AbortOnDropHandle::new(tokio::spawn(inspector.run()));
    let stop = CancellationToken::new();
    let signals = tokio::spawn(stop_on_signal(stop.clone(), health.clone())?);

    let port = KubeLease::new(client.clone(), &settings.lease.namespace, &settings.lease.name);
    let mut elector = Elector::new(port, settings.lease.clone(), clock, Arc::clone(&leadership));
    health.set(Stage::Standby);
    tokio::select! {
        () = elector.acquire() => {}
        () = stop.cancelled() => {
            tracing::info!("stopped while standing by");
            return Ok(());
        }
    }
    tracing::info!(lease = settings.lease.name, "holding the lease");
    health.set(Stage::Reading);
    let instruments = (&health, metrics);
    let work = work(&settings, client, clock, leadership, instruments, stop.clone());
    let result = Box::pin(lead(work, &stop, &mut elector)).await;
    signals.abort();
    drop(inspecting);
    result
}

fn recorder(settings: &OperatorSettings, client: &Client, clock: Clock) -> Recorder {
    let instance = Some(settings.lease.identity.clone());
    Recorder::new(client.clone(), Reporter { controller: "edusync".to_owned(), instance }, clock)
}

/// What events about the operator itself are about: its pod, or outside of one its Lease.
fn own(settings: &OperatorSettings) -> ObjectReference {
    let namespace = Some(settings.lease.namespace.clone());
    let Some(uid) = settings.instance.pod_uid.clone() else {
        return ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            name: Some(settings.lease.name.clone()),
            namespace,
            ..ObjectReference::default()
        };
    };
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(settings.instance.name.clone()),
        namespace,
        // kubectl describe pod asks for events with it.
        uid: Some(uid),
        ..ObjectReference::default()
    }
}

/// Works while the lease is held. The lease is given back when all passes have ended, not before.
///
/// # Errors
/// When the lease is lost, or the work does not end in time after `stop`.
pub async fn lead<P: LeasePort>(
    work: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
    elector: &mut Elector<P>,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        result = work => {
            elector.release().await;
            tracing::info!("stopped");
            result
        }
        () = elector.hold() => Err(anyhow::anyhow!("the lease is lost: ending, so that only one instance changes Graph")),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => {
            elector.release().await;
            Err(anyhow::anyhow!("passes did not end within {} s after the signal", GRACE.as_secs()))
        }
    }
}

async fn work(
    settings: &OperatorSettings,
    client: Client,
    clock: Clock,
    leadership: Arc<Leadership>,
    (health, metrics): (&Health, Arc<Metrics>),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::unbounded::<Woken>();
    let profiles = reflector::store::<crate::api::EducationSyncProfile>();
    let connections = reflector::store::<crate::api::GraphConnection>();
    let scopes = Scope::of(&settings.namespaces);
    let port = KubeCluster::new(client.clone(), recorder(settings, &client, clock));
    let cluster = Cached::new(port, profiles.0.clone(), connections.0.clone()).looking_into(scopes.clone());
    let upstreams = Upstreams::new(
        UpstreamSettings {
            allowed_hosts: settings.allowed_hosts.clone(),
            intervals: settings.intervals,
            request_timeout: settings.settings.request_timeout,
            operator_identity: settings.operator_identity.clone(),
            budget: settings.budget,
        },
        Box::<HttpTransports>::default(),
        leadership,
        clock,
        wake.clone(),
    )
    .keeping_tokens_in(Arc::new(KubeRefreshTokens::new(client.clone())))
    .counting_in(Arc::clone(&metrics));
    let context = Context::new(cluster, upstreams, clock, settings.settings);
    let context = Arc::new(context.counting_in(Arc::clone(&metrics)));
    metrics.watch(Arc::new(ShownResources(Arc::clone(&context))));
    let (profile_queue, profile_keys) = mpsc::unbounded();
    let (connection_queue, connection_keys) = mpsc::unbounded();
    let queues = passes::Queues { profiles: profile_queue, connections: connection_queue, metrics };

    let watch_connections = passes::watch_connections(
        watch::objects(&client, &scopes),
        &scopes,
        connections.1,
        Arc::clone(&context),
        queues.clone(),
    );
    let watch_profiles = passes::watch_profiles(
        watch::objects(&client, &scopes),
        &scopes,
        profiles.1,
        Arc::clone(&context),
        queues.clone(),
    );
    let dispatch = passes::dispatch(woken, queues, &context.wakes);
    let ready = async {
        // Passes begin when both stores are whole: a connection that is not read yet is not missing.
        let read = futures::future::join(profiles.0.wait_until_ready(), connections.0.wait_until_ready());
        tokio::select! {
            _ = read => {}
            () = stop.cancelled() => return,
        }
        health.set(Stage::Working);
        tracing::info!("working");
        let profile_passes = passes::run_profiles(
            profile_keys,
            profiles.0.clone(),
            Arc::clone(&context),
            settings.concurrency,
            stop.clone(),
        );
        let connection_passes = passes::run_connections(
            connection_keys,
            connections.0.clone(),
            Arc::clone(&context),
            stop.clone(),
        );
        futures::future::join(profile_passes, connection_passes).await;
    };
    let result = tokio::select! {
        () = ready => Ok(()),
        () = watch_profiles => Err(anyhow::anyhow!("the watch of EducationSyncProfiles has ended")),
        () = watch_connections => Err(anyhow::anyhow!("the watch of GraphConnections has ended")),
        () = dispatch => Err(anyhow::anyhow!("the queue has ended")),
    };
    reconcile::finish(&context).await;
    result
}

async fn serve_metrics(
    address: Option<SocketAddr>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Option<String>> {
    let Some(address) = address else { return Ok(None) };
    let bound = metrics::serve(address, Arc::clone(metrics)).await.with_context(|| {
        format!("cannot serve the metrics at {address}; --metrics-address names another place, or off")
    })?;
    Ok(Some(bound.to_string()))
}

/// A client whose requests are counted, and whose refusals are looked into.
async fn client(metrics: &Arc<Metrics>, suspicions: &Arc<Suspicions>) -> anyhow::Result<Client> {
    let config = kube::Config::infer().await.map_err(|error| {
        anyhow::anyhow!(
            "no way to Kubernetes: neither inside a cluster, nor is there a kubeconfig (KUBECONFIG) that can be used: {}",
            sentence(&error)
        )
    })?;
    let counts = CountRequests(Arc::clone(metrics));
    let seen = Stack::new(counts, NoticeLayer(Arc::clone(suspicions)));
    // Around the one that counts: what is broken off here is no answer of the server's.
    kubernetes::client_through(config, &Stack::new(seen, PatienceLayer))
}

/// SIGTERM and Ctrl-C end the operator.
fn stop_on_signal(
    stop: CancellationToken,
    health: Health,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: passes under way are ended first");
        health.set(Stage::Stopping);
        stop.cancel();
    })
}
