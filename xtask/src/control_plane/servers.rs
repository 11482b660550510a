//! The three servers: their flags, the order of start and stop, and when they count as ready. Files that they read are
//! written elsewhere.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::write_private;
use crate::guard::{self, Guarded};
use crate::timing::poll_until;
use crate::tools::Tools;

/// How long the servers together may take until they are ready. They need some seconds; a machine that builds at the same
/// time needs more.
const READY_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);
/// The API server's record of who asked for what, in the folder.
pub(super) const AUDIT_LOG: &str = "audit.log";
/// What is recorded; no bodies, as they may hold secrets.
const AUDIT_POLICY: &str = "audit-policy.yaml";
const AUDIT_POLICY_TEXT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  # The server talking to itself.
  - { level: None, users: ['system:apiserver'] }
  - { level: Metadata }
";
/// How much of a log an error shows.
const TAIL_LINES: usize = 25;

/// Why the servers are not running.
#[derive(Debug)]
pub(super) enum StartError {
    /// Somebody took a port between our looking for a free one and the server's listening.
    PortTaken,
    Other(Error),
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Ports of 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) api_server: u16,
    etcd_clients: u16,
    etcd_peers: u16,
}

impl Ports {
    /// Three ports that nobody listens on right now.
    pub(super) fn free() -> Result<Self> {
        let listen = || TcpListener::bind(("127.0.0.1", 0)).context("there is no free port on 127.0.0.1");
        // All three are held until all are known, so that they differ.
        let listeners = (listen()?, listen()?, listen()?);
        let port = |listener: &TcpListener| {
            listener.local_addr().map(|address| address.port()).context("a listening socket has no address")
        };
        Ok(Self {
            api_server: port(&listeners.0)?,
            etcd_clients: port(&listeners.1)?,
            etcd_peers: port(&listeners.2)?,
        })
    }
}

/// The running servers. Fields are dropped, and with that stopped, in the order in which they stand: the API server would
/// wait a minute for an etcd that is gone.
#[derive(Debug)]
pub(super) struct Servers {
    controller_manager: Option<Server>,
    api_server: Server,
    etcd: Server,
    ports: Ports,
}

#[derive(Debug)]
struct Server {
    name: &'static str,
    process: Guarded,
    log: PathBuf,
}

impl Servers {
    /// Starts the servers and waits until each answers. `kubectl` gives a command prepared for this API server.
    pub(super) fn start(
        tools: &Tools,
        folder: &Path,
        ports: Ports,
        kubeconfig: &Path,
        kubectl: &dyn Fn() -> Command,
    ) -> Result<Self, StartError> {
        // Of an attempt that lost a port race.
        let data = folder.join("etcd");
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
        write_private(&folder.join(AUDIT_POLICY), AUDIT_POLICY_TEXT)?;
        let etcd = Server::start("etcd", &tools.etcd, etcd_flags(&data, ports), folder)?;
        let flags = api_server_flags(folder, ports);
        let api_server = Server::start("kube-apiserver", &tools.kube_apiserver, flags, folder)?;
        let mut servers = Self { controller_manager: None, api_server, etcd, ports };
        servers.wait("the API server", || {
            // Cheaper than kubectl while there is nothing to talk to.
            TcpStream::connect(("127.0.0.1", ports.api_server)).is_ok()
                && succeeds(kubectl().args(["get", "--raw", "/readyz"]))
        })?;
        servers.controller_manager = Some(Server::start(
            "kube-controller-manager",
            &tools.kube_controller_manager,
            controller_manager_flags(folder, kubeconfig),
            folder,
        )?);
        // The controller manager's work; it also means that the namespace is there.
        servers.wait("the controller manager", || {
            succeeds(kubectl().args(["get", "serviceaccount", "default", "--namespace", "default"]))
        })?;
        Ok(servers)
    }

    /// Kills the API server as a crash would, and starts it anew at the same port. Does not wait until it answers.
    pub(super) fn crash_api_server(&mut self, tools: &Tools, folder: &Path) -> Result<()> {
        self.api_server.process.kill()?;
        let flags = api_server_flags(folder, self.ports);
        // Its log goes on in the same file.
        self.api_server.process = spawn(&tools.kube_apiserver, flags, &self.api_server.log, folder)?;
        Ok(())
    }

    pub(super) fn process_ids(&self) -> Vec<u32> {
        self.all().map(|server| server.process.id()).collect()
    }

    pub(super) fn check(&mut self) -> Result<()> {
        for server in [&mut self.api_server, &mut self.etcd].into_iter().chain(&mut self.controller_manager) {
            server.check()?;
        }
        Ok(())
    }

    /// Stops all, the one that needs the others first.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(controller_manager) = &mut self.controller_manager {
            controller_manager.process.terminate()?;
        }
        self.api_server.process.terminate()?;
        self.etcd.process.terminate()?;
        Ok(())
    }

    /// Ends what has no data worth saving. Asked to end, an API server without etcd would take long.
    fn abandon(&mut self) {
        for server in [&mut self.api_server, &mut self.etcd].into_iter().chain(&mut self.controller_manager) {
            // The error of the failed start is the one to show.
            let _ = server.process.kill();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        [&self.api_server, &self.etcd].into_iter().chain(&self.controller_manager)
    }

    /// Waits until `ready` holds, or a server ends, or the time is over.
    fn wait(&mut self, what: &str, ready: impl Fn() -> bool) -> Result<(), StartError> {
        let mut is_ready = false;
        let mut ended = Ok(());
        poll_until(READY_LIMIT, POLL, || {
            ended = self.check();
            is_ready = ended.is_ok() && ready();
            is_ready || ended.is_err()
        });
        if is_ready {
            return Ok(());
        }
        self.abandon();
        if ended.is_err() && self.all().any(Server::found_its_port_taken) {
            return Err(StartError::PortTaken);
        }
        ended?;
        let logs: Vec<String> = self.all().map(Server::tail).collect();
        Err(anyhow!("{what} was not ready after {} s\n{}", READY_LIMIT.as_secs(), logs.join("\n")).into())
    }
}

impl Server {
    fn start(name: &'static str, program: &Path, flags: Vec<String>, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        // A log of an earlier attempt would tell of a port that was taken then.
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        let process = spawn(program, flags, &log, folder)?;
        Ok(Self { name, process, log })
    }

    fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("{} has ended ({status})\n{}", self.name, self.tail());
        }
        Ok(())
    }

    fn found_its_port_taken(&self) -> bool {
        self.log_text().contains("address already in use")
    }

    fn tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        let tail = lines.get(first..).unwrap_or_default();
        format!("--- the end of {} ---\n{}", self.log.display(), tail.join("\n"))
    }

    fn log_text(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

fn spawn(program: &Path, flags: Vec<String>, log: &Path, folder: &Path) -> Result<Guarded> {
    guard::spawn(program, flags, log, [("HOME", folder.join("home"))])
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn etcd_flags(data: &Path, ports: Ports) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{}", ports.etcd_clients);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peers);
    vec![
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        // Nothing of this outlives the run.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_server_flags(folder: &Path, ports: Ports) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd_clients),
        format!("--secure-port={}", ports.api_server),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // Kubernetes 1.37 refuses a loopback address to advertise with any other.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--cert-dir={}", file("apiserver")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        // No pod ever runs that could use the mounted token.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        format!("--audit-policy-file={}", file(AUDIT_POLICY)),
        format!("--audit-log-path={}", file(AUDIT_LOG)),
        // An entry is in the file before the client has its answer.
        "--audit-log-mode=blocking".to_owned(),
        // In megabytes, and more than any run writes: whoever counts needs all of it in one file.
        "--audit-log-maxsize=10000".to_owned(),
    ]
}

fn controller_manager_flags(folder: &Path, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", folder.join("service-accounts.key").display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--controllers=namespace-controller,serviceaccount-controller,garbage-collector-controller"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::certificates;
    use crate::progress::Progress;

    /// Starts servers on free ports, but for one that is taken. Whether that is what the error says.
    fn finds_port_taken(which: impl Fn(&mut Ports) -> &mut u16) -> bool {
        let tools = Tools::locate(&Progress::new()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        certificates::write(folder.path()).unwrap();
        write_private(&folder.path().join("tokens.csv"), "token,admin,admin,system:masters\n").unwrap();
        // Held before the others are looked for: between the two somebody else might take it.
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut ports = Ports::free().unwrap();
        *which(&mut ports) = taken.local_addr().unwrap().port();
        let kubeconfig = folder.path().join("admin.kubeconfig");
        let kubectl = || Command::new("false");
        let result = Servers::start(&tools, folder.path(), ports, &kubeconfig, &kubectl);
        matches!(result, Err(StartError::PortTaken))
    }

    #[test]
    fn a_port_that_etcd_lost_is_told_apart() {
        assert!(finds_port_taken(|ports| &mut ports.etcd_clients));
    }

    #[test]
    fn a_port_that_the_api_server_lost_is_told_apart() {
        assert!(finds_port_taken(|ports| &mut ports.api_server));
    }
}
