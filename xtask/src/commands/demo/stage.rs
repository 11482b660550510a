//! Everything that runs during the demo: the control plane, the simulator, the operator. Starts, looks after, and ends
//! them; what is done with them is `story`'s.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask::cargo::Programs;
use xtask::control_plane::ControlPlane;
use xtask::guard::Guarded;
use xtask::progress::Progress;
use xtask::repository_root;
use xtask::timing::poll_until;
use xtask::tools::Tools;

use crate::commands::interrupt::Interrupt;
use crate::commands::parts::{self, POLL, READY_LIMIT, RELEASE, SYSTEM, Simulator, tail};

/// The running programs. They end in the order of the fields when this is dropped.
pub(super) struct Stage {
    operator: Option<Guarded>,
    pub(super) simulator: Simulator,
    pub(super) control_plane: ControlPlane,
    folder: PathBuf,
}

impl Stage {
    /// Starts all, each when the one before is ready.
    pub(super) fn start(
        tools: &Tools,
        programs: &Programs,
        folder: &Path,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Self> {
        let step = progress.step("Starting Kubernetes: etcd, API server, controller manager");
        let control_plane = ControlPlane::start(tools, Some(&folder.join("control-plane")))?;
        step.done();
        interrupt.check()?;

        let step = progress.step("Starting graph-simulator, which stands in for Microsoft Graph");
        let simulator = Simulator::start(programs.path("graph-simulator")?, folder, &["--log-bodies"])?;
        step.done();
        interrupt.check()?;

        let mut stage = Self { operator: None, simulator, control_plane, folder: folder.to_path_buf() };
        let step = progress.step("Installing the chart with Helm");
        parts::install_chart(&stage.control_plane)?;
        step.done();
        interrupt.check()?;

        let step = progress.step("Starting the operator with the rights that the chart gives it");
        stage.start_operator(programs.path("edusync")?)?;
        step.done();
        Ok(stage)
    }

    /// kubectl in the folder of the workspace, so that examples have short names.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = self.control_plane.kubectl(arguments);
        command.current_dir(repository_root());
        command
    }

    /// Everything that is written during the demo is in this folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fails when one of the programs has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        self.control_plane.check()?;
        self.simulator.check()?;
        if let Some(operator) = &mut self.operator
            && let Some(status) = operator.try_wait()?
        {
            bail!("the operator has ended ({status})");
        }
        Ok(())
    }

    /// Ends all, the one that needs the others first.
    pub(super) fn stop(mut self) -> Result<()> {
        if let Some(mut operator) = self.operator.take() {
            operator.terminate()?;
        }
        self.simulator.stop()?;
        self.control_plane.stop()
    }

    pub(super) fn operator_log(&self) -> PathBuf {
        self.folder.join("operator.log")
    }

    fn start_operator(&mut self, program: &Path) -> Result<()> {
        let kubeconfig = self.control_plane.service_account_kubeconfig(SYSTEM, RELEASE)?;
        let own = [
            "--fast-poll-interval=1s",
            "--health-address=127.0.0.1:0",
            "--metrics-address=127.0.0.1:0",
            "--log-level=info",
        ];
        self.operator = Some(parts::spawn_operator(program, &kubeconfig, &self.operator_log(), &own)?);
        let mut outcome = Ok(());
        let ready = poll_until(READY_LIMIT, POLL, || {
            outcome = self.check();
            outcome.is_err() || parts::has_leader(&self.control_plane)
        });
        outcome = outcome.and_then(|()| {
            if ready {
                return Ok(());
            }
            bail!("the operator holds no lease after {} s", READY_LIMIT.as_secs())
        });
        outcome.with_context(|| format!("the operator does not start\n{}", tail(&self.operator_log())))
    }
}
