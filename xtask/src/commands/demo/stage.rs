//! Everything that runs during the demo: the control plane, the simulator, the operator. Starts, looks after, and ends
//! them; what is done with them is `story`'s.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask::cargo::Programs;
use xtask::control_plane::{ControlPlane, output_of};
use xtask::guard::{self, Guarded};
use xtask::progress::Progress;
use xtask::repository_root;
use xtask::timing::poll_until;
use xtask::tools::Tools;

use super::interrupt::Interrupt;

/// The operator's namespace.
pub(super) const SYSTEM: &str = "edusync-system";
/// The name of the release, and with that of the service account and of the lease.
pub(super) const RELEASE: &str = "edusync";
/// How long each program may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// How much of a log is shown when something went wrong.
const TAIL_LINES: usize = 20;

/// The running programs. They end in the order of the fields when this is dropped.
pub(super) struct Stage {
    operator: Option<Guarded>,
    simulator: Guarded,
    pub(super) control_plane: ControlPlane,
    /// Where the simulator listens: Graph and the token service.
    pub(super) graph_url: String,
    /// The certificate authority of the simulator.
    pub(super) ca_file: PathBuf,
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
        let ca_file = folder.join("graph-ca.pem");
        let (simulator, graph_url) = start_simulator(programs.path("graph-simulator")?, folder, &ca_file)?;
        step.done();
        interrupt.check()?;

        let mut stage = Self {
            operator: None,
            simulator,
            control_plane,
            graph_url,
            ca_file,
            folder: folder.to_path_buf(),
        };
        let step = progress.step("Installing the chart with Helm");
        stage.install_chart()?;
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
        if let Some(status) = self.simulator.try_wait()? {
            bail!("the simulator has ended ({status})\n{}", tail(&self.simulator_log()));
        }
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
        self.simulator.terminate()?;
        self.control_plane.stop()
    }

    pub(super) fn operator_log(&self) -> PathBuf {
        self.folder.join("operator.log")
    }

    fn simulator_log(&self) -> PathBuf {
        self.folder.join("simulator.log")
    }

    fn install_chart(&self) -> Result<()> {
        let mut helm = self.control_plane.helm([
            "install",
            RELEASE,
            "charts/edusync",
            "--namespace",
            SYSTEM,
            "--create-namespace",
        ]);
        output_of(helm.current_dir(repository_root())).context("Helm cannot install charts/edusync")?;
        let established =
            ["wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=30s"];
        output_of(&mut self.kubectl(&established)).context("the resource definitions are not accepted")?;
        Ok(())
    }

    fn start_operator(&mut self, program: &Path) -> Result<()> {
        let kubeconfig = self.control_plane.service_account_kubeconfig(SYSTEM, RELEASE)?;
        let arguments = [
            "run",
            "--allowed-host=127.0.0.1",
            "--fast-poll-interval=1s",
            "--health-address=127.0.0.1:0",
            "--log-format=text",
            "--log-level=info",
            "--lease-namespace",
            SYSTEM,
        ];
        let environment = [
            ("KUBECONFIG", kubeconfig.as_os_str()),
            // The simulator is on this machine, and no proxy leads there.
            ("NO_PROXY", "127.0.0.1".as_ref()),
            ("no_proxy", "127.0.0.1".as_ref()),
            ("HTTPS_PROXY", "".as_ref()),
            ("https_proxy", "".as_ref()),
        ];
        self.operator = Some(guard::spawn(program, arguments, &self.operator_log(), environment)?);
        let holder = [
            "get",
            "lease",
            RELEASE,
            "--namespace",
            SYSTEM,
            "--ignore-not-found",
            "--output=jsonpath={.spec.holderIdentity}",
        ];
        let mut outcome = Ok(());
        let ready = poll_until(READY_LIMIT, POLL, || {
            outcome = self.check();
            outcome.is_err()
                || output_of(&mut self.kubectl(&holder)).is_ok_and(|identity| !identity.is_empty())
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

/// Starts the simulator and waits for the line in which it says where it listens.
fn start_simulator(program: &Path, folder: &Path, ca_file: &Path) -> Result<(Guarded, String)> {
    let log = folder.join("simulator.log");
    let arguments =
        ["--port".as_ref(), "0".as_ref(), "--log-bodies".as_ref(), "--ca-file".as_ref(), ca_file.as_os_str()];
    let mut simulator = guard::spawn(program, arguments, &log, [("RUST_LOG", "info")])?;
    let mut url = None;
    let mut ended = None;
    poll_until(READY_LIMIT, POLL, || {
        url = fs::read_to_string(&log).ok().and_then(|text| ready_url(&text));
        ended = simulator.try_wait().unwrap_or_default();
        url.is_some() || ended.is_some()
    });
    let url = url.with_context(|| match ended {
        Some(status) => format!("the simulator has ended ({status})\n{}", tail(&log)),
        None => format!("the simulator is not ready after {} s\n{}", READY_LIMIT.as_secs(), tail(&log)),
    })?;
    Ok((simulator, url))
}

/// The address in the line `ready https://127.0.0.1:PORT`, once the line is whole.
fn ready_url(log: &str) -> Option<String> {
    let whole = log.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| line.strip_prefix("ready ")).map(str::to_owned)
}

/// The end of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(TAIL_LINES);
    let last = lines.get(first..).unwrap_or_default();
    format!("--- the end of {} ---\n{}", log.display(), last.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_once_its_line_is_whole() {
        let log = "2026-11-22 INFO listening\nready https://127.0.0.1:8443\n";
        assert_eq!(ready_url(log), Some("https://127.0.0.1:8443".to_owned()));
        assert_eq!(ready_url(log.trim_end()), None);
        assert_eq!(ready_url(""), None);
    }
}
