//! Everything that runs during a round: the control plane, the simulator, one operator, and who measures them. Starts and
//! ends them; what is done meanwhile is the scenarios'.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xtask::cargo::Programs;
use xtask::control_plane::ControlPlane;
use xtask::guard::Guarded;
use xtask::timing::poll_until;
use xtask::tools::Tools;

use super::meter::Meter;
use super::sampler::Sampler;
use super::shape::{self, Shape};
use super::watch::Watch;
use crate::commands::http::Client;
use crate::commands::interrupt::Interrupt;
use crate::commands::parts::{self, POLL, READY_LIMIT, RELEASE, SYSTEM, Simulator};

/// The operator's flags that are not its defaults. The guard against many deletions is a person's affair, and one scenario
/// deletes all; the addresses are free ports.
pub(super) const OPERATOR_FLAGS: [&str; 3] =
    ["--most-deletions=1000000", "--health-address=127.0.0.1:0", "--metrics-address=127.0.0.1:0"];
/// People who apply and delete at once.
pub(super) const HANDS: usize = 8;
/// How long one answer may take while everything is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the simulator behaves in a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behaviour {
    /// How long a profile is set up, in seconds.
    pub(super) provisioning: u32,
    /// Up to so much longer it takes, for each another time, in seconds.
    pub(super) spread: u32,
    /// Whether a list takes `$expand`.
    pub(super) expand: bool,
}

impl Behaviour {
    /// Everything is done at once, and everything is taken.
    pub(super) const PROMPT: Self = Self { provisioning: 0, spread: 0, expand: true };
}

/// The running programs. They end in the order of the fields when this is dropped.
pub(super) struct Stage {
    operator: Option<Guarded>,
    pub(super) simulator: Simulator,
    pub(super) control_plane: ControlPlane,
    /// One for each hand.
    pub(super) hands: Vec<Client>,
    /// Past the operator.
    pub(super) graph: Client,
    pub(super) graph_ca: String,
    pub(super) sampler: Sampler,
    pub(super) meter: Meter,
    pub(super) profiles: Watch,
    pub(super) connections: Watch,
    pub(super) programs: Paths,
    kubeconfig: PathBuf,
    folder: PathBuf,
    started: u32,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) operator: PathBuf,
    pub(super) simulator: PathBuf,
}

impl Paths {
    pub(super) fn of(programs: &Programs) -> Result<Self> {
        let path = |name| programs.path(name).map(Path::to_path_buf);
        Ok(Self { operator: path("edusync")?, simulator: path("graph-simulator")? })
    }
}

impl Stage {
    /// Starts all but the operator, in this folder.
    pub(super) fn start(
        tools: &Tools,
        programs: &Paths,
        folder: &Path,
        shape: &Shape,
        behaviour: Behaviour,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let control_plane = ControlPlane::start(tools, Some(&folder.join("control-plane")))?;
        interrupt.check()?;
        let simulator = start_simulator(programs, folder, shape, behaviour)?;
        parts::install_chart(&control_plane)?;
        interrupt.check()?;
        let kubeconfig = control_plane.service_account_kubeconfig(SYSTEM, RELEASE)?;
        let administrator = parts::token_in(control_plane.kubeconfig())?;
        let hands = clients(&control_plane, &administrator, HANDS)?;
        let watch = |kind: &str| {
            let client = parts::administrator(&control_plane)?;
            Watch::start(&client, &format!("/apis/edusync.dev/v1alpha1/{kind}"))
        };
        Ok(Self {
            operator: None,
            graph: Client::waiting(&simulator.url, &simulator.ca_pem()?, None, PATIENCE)?,
            graph_ca: simulator.ca_pem()?,
            meter: Meter::new(simulator.log.clone(), control_plane.audit_log().to_path_buf()),
            profiles: watch("educationsyncprofiles")?,
            connections: watch("graphconnections")?,
            sampler: Sampler::start(),
            simulator,
            control_plane,
            hands,
            programs: programs.clone(),
            kubeconfig,
            folder: folder.to_path_buf(),
            started: 0,
        })
    }

    /// Fails when a program has ended that should not have.
    pub(super) fn check(&mut self) -> Result<()> {
        self.simulator.check()?;
        self.control_plane.check()?;
        self.profiles.check()?;
        self.connections.check()?;
        if let Some(operator) = &mut self.operator
            && let Some(status) = operator.try_wait()?
        {
            bail!("the operator has ended ({status})\n{}", parts::tail(&self.operator_log()));
        }
        Ok(())
    }

    /// Starts the operator, and waits until it is the leader.
    pub(super) fn start_operator(&mut self) -> Result<()> {
        self.started += 1;
        let log = self.operator_log();
        let operator =
            parts::spawn_operator(&self.programs.operator, &self.kubeconfig, &log, &OPERATOR_FLAGS)?;
        self.sampler.follow(operator.id());
        self.operator = Some(operator);
        let ready = poll_until(READY_LIMIT, POLL, || parts::has_leader(&self.control_plane));
        ensure!(ready, "no operator has the lease\n{}", parts::tail(&log));
        Ok(())
    }

    /// Asks the operator to end, and waits for that.
    pub(super) fn stop_operator(&mut self) -> Result<()> {
        self.sampler.rest();
        match self.operator.take() {
            Some(mut operator) => operator.terminate().map(drop),
            None => Ok(()),
        }
    }

    /// Clients that have the operator's rights, and its place in the API server's queues.
    pub(super) fn as_operator(&self, count: usize) -> Result<Vec<Client>> {
        clients(&self.control_plane, &parts::token_in(&self.kubeconfig)?, count)
    }

    /// Another simulator, whose counts do not mix with those of the first.
    pub(super) fn second_simulator(&self, shape: &Shape, behaviour: Behaviour) -> Result<Simulator> {
        let folder = self.folder.join("second");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        start_simulator(&self.programs, &folder, shape, behaviour)
    }

    /// Clients of a simulator.
    pub(super) fn clients_of(simulator: &Simulator, count: usize) -> Result<Vec<Client>> {
        let ca = simulator.ca_pem()?;
        (0..count).map(|_| Client::waiting(&simulator.url, &ca, None, PATIENCE)).collect()
    }

    /// Ends all, the one that needs the others first.
    pub(super) fn stop(mut self) -> Result<()> {
        self.stop_operator()?;
        self.simulator.stop()?;
        self.control_plane.stop()
    }

    /// The process id of the operator, while there is one.
    pub(super) fn operator_id(&self) -> Option<u32> {
        self.operator.as_ref().map(Guarded::id)
    }

    /// A file of this name beside the logs.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn operator_log(&self) -> PathBuf {
        self.folder.join(format!("operator-{}.log", self.started))
    }
}

fn start_simulator(
    programs: &Paths,
    folder: &Path,
    shape: &Shape,
    behaviour: Behaviour,
) -> Result<Simulator> {
    let [provisioning, spread] =
        [behaviour.provisioning, behaviour.spread].map(|seconds| format!("{seconds}s"));
    let expand = if behaviour.expand { "allow" } else { "refuse" };
    let mut flags = vec!["--log-format", "json", "--expand", expand];
    flags.extend(["--provisioning-time", &provisioning, "--provisioning-spread", &spread]);
    let tenants: Vec<String> = (0..shape.tenants()).map(shape::tenant_id).collect();
    for tenant in &tenants {
        flags.extend(["--extra-tenant", tenant]);
    }
    Simulator::start(&programs.simulator, folder, &flags)
}

fn clients(control_plane: &ControlPlane, token: &str, count: usize) -> Result<Vec<Client>> {
    let client = |_| Client::waiting(control_plane.url(), control_plane.ca_pem(), Some(token), PATIENCE);
    (0..count).map(client).collect()
}
