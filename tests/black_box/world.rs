//! The cluster that all tests share: a control plane with the chart installed.
//!
//! It is started by the first test that needs it and stopped by the last one that lets it go.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use xtask::audit;
use xtask::control_plane::{ControlPlane, output_of};
use xtask::progress::Progress;
use xtask::tools::Tools;

/// Namespace of the chart's release.
pub const RELEASE: &str = "edusync-system";
/// The user that the operator is.
pub const OPERATOR: &str = "system:serviceaccount:edusync-system:edusync";

/// The cluster.
pub struct World {
    control_plane: ControlPlane,
    operator_kubeconfig: PathBuf,
}

static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());

impl World {
    /// The cluster; started if nobody uses it.
    pub async fn get() -> Arc<Self> {
        tokio::task::spawn_blocking(|| {
            // A test that failed elsewhere must not fail all the others.
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(world) = shared.upgrade() {
                return world;
            }
            let world = Arc::new(Self::start());
            *shared = Arc::downgrade(&world);
            world
        })
        .await
        .unwrap()
    }

    /// A cluster that nobody else uses.
    pub async fn alone() -> Arc<Self> {
        tokio::task::spawn_blocking(|| Arc::new(Self::start())).await.unwrap()
    }

    fn start() -> Self {
        tell_failures_at_once();
        // The first TLS user of the process; an error would mean that another test was quicker.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tools = Tools::locate(&Progress::new()).unwrap();
        let control_plane = ControlPlane::start(&tools, None).unwrap();
        let chart = xtask::repository_root().join("charts/edusync");
        let chart = chart.to_str().unwrap();
        let mut install =
            control_plane.helm(["install", "edusync", chart, "--namespace", RELEASE, "--create-namespace"]);
        output_of(&mut install).unwrap();
        let operator_kubeconfig = control_plane.service_account_kubeconfig(RELEASE, "edusync").unwrap();
        Self { control_plane, operator_kubeconfig }
    }

    /// A client with all rights, for what a test does as a person.
    pub async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.control_plane.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// The kubeconfig with all rights.
    pub fn kubeconfig(&self) -> &std::path::Path {
        self.control_plane.kubeconfig()
    }

    /// The kubeconfig of a ServiceAccount, for what somebody with few rights does.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        self.control_plane.service_account_kubeconfig(namespace, name).unwrap()
    }

    /// The kubeconfig of the operator.
    pub fn operator_kubeconfig(&self) -> &std::path::Path {
        &self.operator_kubeconfig
    }

    /// Where the API server is, and what its certificate is signed by.
    pub fn api_server(&self) -> (&str, &str) {
        (self.control_plane.url(), self.control_plane.ca_pem())
    }

    /// A folder for logs; it goes with the cluster.
    pub fn folder(&self) -> &std::path::Path {
        self.control_plane.folder()
    }

    /// kubectl with all rights.
    pub fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.control_plane.kubectl(arguments)
    }

    /// Helm with all rights.
    pub fn helm<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.control_plane.helm(arguments)
    }

    /// What the operator wrote in a namespace, or about it, in order.
    pub fn operator_writes(&self, namespace: &str) -> Vec<audit::Entry> {
        self.operator_requests(namespace).into_iter().filter(audit::Entry::is_write).collect()
    }

    /// What the operator asked for in a namespace, or about it, in order.
    pub fn operator_requests(&self, namespace: &str) -> Vec<audit::Entry> {
        let is_here = |entry: &audit::Entry| entry.namespace.as_deref() == Some(namespace);
        self.requests_of(OPERATOR).into_iter().filter(is_here).collect()
    }

    /// What this user asked for, in order.
    pub fn requests_of(&self, user: &str) -> Vec<audit::Entry> {
        let entries = audit::read(self.control_plane.audit_log()).unwrap();
        entries.into_iter().filter(|entry| entry.user == user).collect()
    }
}

/// The longest failure that is told at once; some show a whole log.
const LONGEST_FAILURE: usize = 4_000;

/// The harness keeps what a failed test has said until all the others have run. Who watches them, and a log that is cut
/// off, have it when it happens.
fn tell_failures_at_once() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let keep = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |failure| {
            keep(failure);
            let name = std::thread::current().name().unwrap_or("a thread").to_owned();
            let text: String = format!("\n{name}: {failure}").chars().take(LONGEST_FAILURE).collect();
            // The macros would write where the harness keeps it.
            let _ = writeln!(std::io::stderr(), "{text}\n");
        }));
    });
}
