//! Everything that runs during a soak, and the wires between: the control plane, the simulator, one or more operators.
//! Starts, looks after and ends them; when something is ended or cut is decided elsewhere.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::cargo::Programs;
use xtask::control_plane::{ControlPlane, output_of};
use xtask::footprint::{self, Footprint};
use xtask::guard::Guarded;
use xtask::progress::Progress;
use xtask::timing::{Stopwatch, poll_until};
use xtask::tools::Tools;
use xtask::wire::Wire;

use crate::commands::http::Client;
use crate::commands::interrupt::Interrupt;
use crate::commands::parts::{self, POLL, READY_LIMIT, RELEASE, SYSTEM, Simulator};

/// The tenants, one for each namespace.
pub(super) const TENANTS: [&str; 3] = [
    "11111111-1111-1111-1111-111111111111",
    "44444444-4444-4444-4444-444444444444",
    "55555555-5555-5555-5555-555555555555",
];

/// The operator's flags that differ from its defaults, so that minutes show what would take hours. The guard against many
/// deletions is a person's affair, and a soak deletes all the time.
const OPERATOR_FLAGS: [&str; 9] = [
    "--fast-poll-interval=1s",
    "--poll-interval=5s",
    "--settle-window=10s",
    "--request-timeout=5s",
    "--most-deletions=1000000",
    "--health-address=127.0.0.1:0",
    "--metrics-address=127.0.0.1:0",
    "--log-level=info,edusync=debug",
    "--instance=soak",
];
const SIMULATOR_FLAGS: [&str; 12] = [
    "--log-format",
    "json",
    "--provisioning-time",
    "2s",
    "--delete-time",
    "4s",
    "--sync-time",
    "20s",
    "--extra-tenant",
    TENANTS[1],
    "--extra-tenant",
    TENANTS[2],
];

/// How long an operator that has ended by itself stays away, as Kubernetes would let it.
const BACK_OFF: Duration = Duration::from_secs(2);

/// The running programs. They end in the order of the fields when this is dropped.
pub(super) struct Stage {
    replicas: Vec<Replica>,
    simulator: Simulator,
    control_plane: ControlPlane,
    /// The operator's way to Graph.
    pub(super) graph_wire: Wire,
    /// The operator's way to Kubernetes.
    pub(super) kubernetes_wire: Wire,
    /// Ways of our own, which nothing cuts.
    pub(super) kubernetes: Client,
    pub(super) graph: Client,
    pub(super) graph_ca: String,
    kubeconfig: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    started: u32,
    /// How many operators there are to be.
    wanted: usize,
    /// Since an operator ended without being asked to.
    resting: Option<Stopwatch>,
}

struct Replica {
    process: Guarded,
    /// Whether somebody asked it to end.
    ending: bool,
}

/// An operator that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) process: u32,
    pub(super) code: Option<i32>,
    pub(super) was_asked: bool,
}

/// A signal that ends a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Kill,
    Terminate,
}

impl Stage {
    /// Starts all, and waits until an operator is the leader.
    pub(super) fn start(
        tools: &Tools,
        programs: &Programs,
        folder: &Path,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Self> {
        let step = progress.step("Starting Kubernetes, graph-simulator and the operator");
        let control_plane = ControlPlane::start(tools, Some(&folder.join("control-plane")))?;
        interrupt.check()?;
        let simulator = Simulator::start(programs.path("graph-simulator")?, folder, &SIMULATOR_FLAGS)?;
        parts::install_chart(&control_plane)?;
        interrupt.check()?;
        let graph_wire = Wire::to(address_in(&simulator.url)?)?;
        let kubernetes_wire = Wire::to(address_in(control_plane.url())?)?;
        let kubeconfig = detour(&control_plane, &kubernetes_wire, folder)?;
        let mut stage = Self {
            replicas: Vec::new(),
            kubernetes: parts::administrator(&control_plane)?,
            graph: simulator.client()?,
            graph_ca: simulator.ca_pem()?,
            simulator,
            control_plane,
            graph_wire,
            kubernetes_wire,
            kubeconfig,
            program: programs.path("edusync")?.to_path_buf(),
            folder: folder.to_path_buf(),
            started: 0,
            wanted: 1,
            resting: None,
        };
        stage.look_after()?;
        let ready = poll_until(READY_LIMIT, POLL, || parts::has_leader(&stage.control_plane));
        ensure!(
            ready,
            "no operator has the lease after {} s\n{}",
            READY_LIMIT.as_secs(),
            parts::tail(&stage.operator_log(1))
        );
        step.done();
        Ok(stage)
    }

    /// Fails when a server has ended. Operators that have ended are told, and others are started, as a Deployment would.
    pub(super) fn look_after(&mut self) -> Result<Vec<Ended>> {
        self.simulator.check()?;
        self.control_plane.check()?;
        let mut ended = Vec::new();
        let mut living = Vec::new();
        for mut replica in std::mem::take(&mut self.replicas) {
            match replica.process.try_wait()? {
                Some(status) => ended.push(Ended {
                    process: replica.process.id(),
                    code: status.code(),
                    was_asked: replica.ending,
                }),
                None => living.push(replica),
            }
        }
        self.replicas = living;
        if ended.iter().any(|one| !one.was_asked) {
            self.resting = Some(Stopwatch::start());
        }
        if self.resting.is_some_and(|since| since.elapsed() < BACK_OFF) {
            return Ok(ended);
        }
        while self.replicas.iter().filter(|replica| !replica.ending).count() < self.wanted {
            self.start_operator()?;
        }
        Ok(ended)
    }

    /// Changes how many operators there are to be.
    pub(super) fn want(&mut self, replicas: usize) {
        self.wanted = replicas;
    }

    /// Sends a signal to the oldest operator that nobody has asked to end.
    pub(super) fn signal_oldest(&mut self, signal: Signal) -> Result<()> {
        let Some(replica) = self.replicas.iter_mut().find(|replica| !replica.ending) else {
            return Ok(());
        };
        replica.ending = true;
        let name = match signal {
            Signal::Kill => "-KILL",
            Signal::Terminate => "-TERM",
        };
        output_of(Command::new("kill").args([name, &replica.process.id().to_string()])).map(drop)
    }

    /// The oldest operator, and what it takes.
    pub(super) fn footprint(&self) -> Option<(u32, Footprint)> {
        let process = self.replicas.iter().find(|replica| !replica.ending)?.process.id();
        Some((process, footprint::of(process).ok()?))
    }

    pub(super) fn crash_api_server(&mut self) -> Result<()> {
        self.control_plane.crash_api_server()
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.control_plane.audit_log().to_path_buf()
    }

    pub(super) fn simulator_log(&self) -> PathBuf {
        self.simulator.log.clone()
    }

    /// Ends all, the one that needs the others first.
    pub(super) fn stop(mut self) -> Result<()> {
        for mut replica in std::mem::take(&mut self.replicas) {
            replica.process.terminate()?;
        }
        self.simulator.stop()?;
        self.control_plane.stop()
    }

    fn operator_log(&self, number: u32) -> PathBuf {
        self.folder.join(format!("operator-{number}.log"))
    }

    fn start_operator(&mut self) -> Result<()> {
        self.started += 1;
        let log = self.operator_log(self.started);
        let process = parts::spawn_operator(&self.program, &self.kubeconfig, &log, &OPERATOR_FLAGS)?;
        self.replicas.push(Replica { process, ending: false });
        Ok(())
    }
}

fn address_in(url: &str) -> Result<SocketAddr> {
    let address = url.strip_prefix("https://").unwrap_or(url);
    address.parse().with_context(|| format!("{url} is no https://ADDRESS:PORT"))
}

/// The kubeconfig of the chart's service account, with a way through the wire. The certificate holds for it too: it names
/// the address and not the port.
fn detour(control_plane: &ControlPlane, wire: &Wire, folder: &Path) -> Result<PathBuf> {
    let direct = control_plane.service_account_kubeconfig(SYSTEM, RELEASE)?;
    let text = fs::read_to_string(&direct).with_context(|| format!("cannot read {}", direct.display()))?;
    let path = folder.join("operator.kubeconfig");
    let through = text.replace(control_plane.url(), &format!("https://{}", wire.address()));
    fs::write(&path, through).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
