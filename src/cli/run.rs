//! `edusync run`: flags into the operator's settings.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::graph::budget::BudgetSettings;
use crate::metrics::table::page;
use crate::operator::lease::LeaseSettings;
use crate::operator::telemetry::{self, LogFormat};
use crate::operator::traces::Traces;
use crate::operator::{self, Instance, OperatorSettings};
use crate::poller::Intervals;
use crate::reconcile::observation::Settings;
use crate::upstream::OperatorIdentity;

/// Run the operator.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Watch this namespace alone. Can be repeated; without it all namespaces are watched. A connection
    /// in a namespace that is not watched cannot be used.
    #[arg(long = "namespace", env = "EDUSYNC_NAMESPACE", value_delimiter = ',', value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// How often profiles at rest are looked at: one LIST for all profiles of a tenant.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    poll_interval: Duration,

    /// How often at most, while something is under way. When nothing has happened for twelve of them, it grows to the
    /// poll interval.
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "DURATION")]
    fast_poll_interval: Duration,

    /// How long Graph may take to show what it has accepted. Only after it an attempt to create,
    /// whose answer was lost, is taken for failed.
    #[arg(long, default_value = "2m", value_parser = duration, value_name = "DURATION")]
    settle_window: Duration,

    /// Deadline of one call to Graph.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    request_timeout: Duration,

    /// How many calls a second are sent to Graph at most, for each tenant and application. After a
    /// rest four times as many may be sent at once; changes go before polls.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=2000), value_name = "NUMBER")]
    graph_requests_per_second: u32,

    /// How many profiles may be deleted within ten minutes. More are held until somebody confirms each
    /// by the annotation edusync.dev/confirm-deletion=true.
    #[arg(long, default_value_t = 10, value_name = "NUMBER")]
    most_deletions: usize,

    /// Life of the lease; so long a successor waits after a leader that died.
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    lease_duration: Duration,

    /// Namespace of the Lease. In the chart: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default", value_name = "NAMESPACE")]
    lease_namespace: String,

    /// Name of the Lease.
    #[arg(long, default_value = "edusync", value_name = "NAME")]
    lease_name: String,

    /// Name of this instance, in the Lease and in events. In the chart: the pod's name.
    #[arg(long, env = "POD_NAME", default_value = "edusync", value_name = "NAME")]
    instance: String,

    /// The pod's uid: what the cluster lacks is said by events on the pod. In the chart: the pod's.
    /// Without it they are on the Lease.
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pod_uid: Option<String>,

    /// A host that connections may name besides Microsoft's, as host or host:port. Can be repeated.
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,

    /// A namespace whose connections may use the operator's own identity (workloadIdentity,
    /// managedIdentity), also for the namespaces that such a connection allows. Can be repeated; without
    /// it none may.
    #[arg(long = "operator-identity-namespace", value_name = "NAMESPACE")]
    operator_identity_namespaces: Vec<String>,

    /// The file with the token that Kubernetes gives this pod for Entra. The webhook of Azure
    /// Workload Identity sets the variable.
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    federated_token_file: Option<PathBuf>,

    /// Where the node's metadata service is, which gives tokens for managed identities.
    #[arg(long, env = "AZURE_POD_IDENTITY_AUTHORITY_HOST", default_value = "http://169.254.169.254", value_parser = address, value_name = "URL")]
    managed_identity_endpoint: String,

    /// How many resources are worked on at once.
    #[arg(long, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// Where /livez and /readyz are served.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    health_address: SocketAddr,

    /// Where /metrics is served, for Prometheus; off, 0 or nothing: nowhere.
    #[arg(long, default_value = "127.0.0.1:8081", value_parser = place, value_name = "ADDRESS")]
    metrics_address: Place,

    /// Print what the metrics are, with type, labels and meaning, and end.
    #[arg(long)]
    list_metrics: bool,

    /// Where traces are sent: the address of a collector that takes OTLP over HTTP, without /v1/traces. The
    /// variables of OpenTelemetry hold as well; without either none are sent.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// Form of the log.
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogFormat,

    /// Level of the log (error, warn, info, debug, trace), or a filter of the `tracing` crate.
    #[arg(long, env = "EDUSYNC_LOG", default_value = "info", value_name = "LEVEL")]
    log_level: String,
}

/// How long the process waits for what cannot be broken off.
const END: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  Against the cluster of the current kubeconfig, with a log to read:
    edusync run --log-format text
  With a simulator of Graph on this machine:
    edusync run --allowed-host 127.0.0.1 --fast-poll-interval 1s";

/// Microsoft's hosts of Graph and of the token service (Graph docs, \"National cloud deployments\").
pub(super) const MICROSOFT: [&str; 7] = [
    "graph.microsoft.com",
    "login.microsoftonline.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "login.microsoftonline.us",
    "microsoftgraph.chinacloudapi.cn",
    "login.chinacloudapi.cn",
];

impl Arguments {
    /// Runs the operator until it is told to stop.
    ///
    /// # Errors
    /// When a flag makes no sense, or the operator cannot run.
    pub fn execute(self) -> anyhow::Result<()> {
        if self.list_metrics {
            return write!(std::io::stdout().lock(), "{}", page()).context("cannot write to standard output");
        }
        telemetry::begin(self.log_format, &self.log_level)?;
        ensure!(
            self.fast_poll_interval <= self.poll_interval,
            "--fast-poll-interval must not be longer than --poll-interval"
        );
        ensure!(self.lease_duration >= Duration::from_secs(1), "--lease-duration must be at least 1s");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let endpoint = self.otlp_endpoint.clone();
        let settings = self.settings();
        let traces = {
            let _within = runtime.enter();
            let namespace = &settings.lease.namespace;
            Traces::begin(endpoint.as_deref(), &settings.instance, namespace, runtime.handle())
        };
        let result = runtime.block_on(operator::run(settings));
        if let Some(traces) = traces {
            traces.end();
        }
        // A name that is being looked up cannot be broken off, and nobody waits for it any more.
        runtime.shutdown_timeout(END);
        result
    }

    fn settings(self) -> OperatorSettings {
        let allowed = MICROSOFT.iter().map(ToString::to_string).chain(self.allowed_hosts).collect();
        OperatorSettings {
            health_address: self.health_address,
            metrics_address: self.metrics_address.0,
            lease: LeaseSettings {
                watches: self.namespaces.clone(),
                namespace: self.lease_namespace,
                name: self.lease_name,
                // A pod that is restarted keeps its name, but not its memory.
                identity: format!("{}_{}", self.instance, uuid::Uuid::new_v4()),
                duration: self.lease_duration,
            },
            instance: Instance { name: self.instance, pod_uid: self.pod_uid },
            namespaces: self.namespaces.into_iter().collect(),
            intervals: Intervals { rest: self.poll_interval, fast: self.fast_poll_interval },
            settings: Settings {
                request_timeout: self.request_timeout,
                settle_window: self.settle_window,
                lease_duration: self.lease_duration,
                probe_interval: self.fast_poll_interval,
                most_deletions: self.most_deletions,
                refusal_retry: Duration::from_hours(1),
            },
            allowed_hosts: allowed,
            operator_identity: OperatorIdentity {
                namespaces: self.operator_identity_namespaces,
                federated_token_file: self.federated_token_file,
                managed_identity_endpoint: self.managed_identity_endpoint,
            },
            budget: BudgetSettings {
                per_second: f64::from(self.graph_requests_per_second),
                burst: 4.0 * f64::from(self.graph_requests_per_second),
            },
            concurrency: self.concurrency,
        }
    }
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(Option<SocketAddr>);

/// Reads an address such as 0.0.0.0:8081, or that there is none.
fn place(text: &str) -> Result<Place, String> {
    match text {
        "" | "0" | "off" => Ok(Place(None)),
        address => address
            .parse()
            .map(|address| Place(Some(address)))
            .map_err(|_| format!("{text} is neither an address such as 0.0.0.0:8081 nor off")),
    }
}

/// Reads the address of a host: http:// or https://, and no path.
fn address(text: &str) -> Result<String, String> {
    let wrong = || format!("{text} is not an address such as http://169.254.169.254");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.path() != "/" || url.query().is_some() {
        return Err(wrong());
    }
    Ok(url.origin().ascii_serialization())
}

/// Reads a duration such as 500ms, 90s, 5m or 1h30m.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a duration such as 500ms, 90s, 5m or 1h30m");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from(span).map_err(|_| wrong())?;
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_path() {
        assert_eq!(address("http://169.254.169.254/").as_deref(), Ok("http://169.254.169.254"));
        for wrong in ["169.254.169.254", "http://node/metadata", "ftp://node", "http://node/?a=b"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_can_be_none() {
        for none in ["", "0", "off"] {
            assert_eq!(place(none), Ok(Place(None)));
        }
        assert_eq!(place("[::]:1"), Ok(Place(Some("[::]:1".parse().unwrap()))));
        assert!(place("8081").is_err() && place("localhost:8081").is_err());
    }

    #[test]
    fn durations_are_read_as_kubernetes_users_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        for wrong in ["", "5", "-5s", "0s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
