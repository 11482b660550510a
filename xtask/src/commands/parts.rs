//! What runs in a chore that shows the operator at work: the simulator, the chart, the operator with the rights that the
//! chart gives it. Each is started in one way here; when, and what is done with them, is for the chore.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask::control_plane::{ControlPlane, output_of};
use xtask::guard::{self, Guarded};
use xtask::repository_root;
use xtask::timing::poll_until;

use crate::commands::http::Client;

/// The operator's namespace.
pub(crate) const SYSTEM: &str = "edusync-system";
/// The name of the release, and with that of the service account and of the lease.
pub(crate) const RELEASE: &str = "edusync";
/// The user that the operator is.
pub(crate) const OPERATOR: &str = "system:serviceaccount:edusync-system:edusync";
/// How long each program may take to be ready.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(30);
/// Time between two looks at a program that is not ready yet.
pub(crate) const POLL: Duration = Duration::from_millis(100);
/// How much of a log is shown when something went wrong.
const TAIL_LINES: usize = 20;

/// A running simulator of Graph.
pub(crate) struct Simulator {
    process: Guarded,
    /// Where it listens: Graph and the token service.
    pub(crate) url: String,
    /// The file of its certificate authority.
    pub(crate) ca_file: PathBuf,
    /// What it prints.
    pub(crate) log: PathBuf,
}

impl Simulator {
    /// Starts the simulator on a free port and waits for the line in which it says where it listens.
    pub(crate) fn start(program: &Path, folder: &Path, flags: &[&str]) -> Result<Self> {
        let (log, ca_file) = (folder.join("simulator.log"), folder.join("graph-ca.pem"));
        let ca = ca_file.display().to_string();
        let own = ["--port", "0", "--ca-file", &ca];
        let mut process = guard::spawn(program, own.iter().chain(flags), &log, [("RUST_LOG", "info")])?;
        let mut url = None;
        let mut ended = None;
        poll_until(READY_LIMIT, POLL, || {
            url = fs::read_to_string(&log).ok().and_then(|text| ready_url(&text));
            ended = process.try_wait().unwrap_or_default();
            url.is_some() || ended.is_some()
        });
        let url = url.with_context(|| match ended {
            Some(status) => format!("the simulator has ended ({status})\n{}", tail(&log)),
            None => {
                format!("the simulator is not ready after {} s\n{}", READY_LIMIT.as_secs(), tail(&log))
            }
        })?;
        Ok(Self { process, url, ca_file, log })
    }

    /// A client that trusts it.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::new(&self.url, &self.ca_pem()?, None)
    }

    /// Its certificate authority.
    pub(crate) fn ca_pem(&self) -> Result<String> {
        fs::read_to_string(&self.ca_file).with_context(|| format!("cannot read {}", self.ca_file.display()))
    }

    /// Fails when it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the simulator has ended ({status})\n{}", tail(&self.log));
        }
        Ok(())
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.process.terminate().map(drop)
    }
}

/// Installs the chart, whose operator never runs here: there is no node. Waits until the resources can be used.
pub(crate) fn install_chart(control_plane: &ControlPlane) -> Result<()> {
    let mut helm = control_plane.helm([
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
    output_of(&mut control_plane.kubectl(established))
        .context("the resource definitions are not accepted")?;
    Ok(())
}

/// The environment that the operator has in its image.
const IMAGE: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Starts an operator as its image does, which may reach a simulator on this machine. `flags` are added to those that every chore needs.
pub(crate) fn spawn_operator(
    program: &Path,
    kubeconfig: &Path,
    log: &Path,
    flags: &[&str],
) -> Result<Guarded> {
    let common = ["run", "--allowed-host=127.0.0.1", "--log-format=text", "--lease-namespace", SYSTEM];
    let environment = [
        ("KUBECONFIG", kubeconfig.as_os_str()),
        // The simulator is on this machine, and no proxy leads there.
        ("NO_PROXY", "127.0.0.1".as_ref()),
        ("no_proxy", "127.0.0.1".as_ref()),
        ("HTTPS_PROXY", "".as_ref()),
        ("https_proxy", "".as_ref()),
    ];
    let image = IMAGE.map(|(name, value)| (name, value.as_ref()));
    guard::spawn(program, common.iter().chain(flags), log, environment.into_iter().chain(image))
}

/// A client of the API server that may do everything.
pub(crate) fn administrator(control_plane: &ControlPlane) -> Result<Client> {
    Client::new(control_plane.url(), control_plane.ca_pem(), Some(&token_in(control_plane.kubeconfig())?))
}

/// The token that a kubeconfig of the test control plane holds.
pub(crate) fn token_in(kubeconfig: &Path) -> Result<String> {
    let shown = kubeconfig.display();
    let text = fs::read_to_string(kubeconfig).with_context(|| format!("cannot read {shown}"))?;
    let content: Value = serde_json::from_str(&text).with_context(|| format!("{shown} is no JSON"))?;
    let token = content.pointer("/users/0/user/token").and_then(Value::as_str);
    token.map(str::to_owned).with_context(|| format!("{shown} holds no token"))
}

/// Whether an operator has the lease.
pub(crate) fn has_leader(control_plane: &ControlPlane) -> bool {
    let holder = [
        "get",
        "lease",
        RELEASE,
        "--namespace",
        SYSTEM,
        "--ignore-not-found",
        "--output=jsonpath={.spec.holderIdentity}",
    ];
    output_of(&mut control_plane.kubectl(holder)).is_ok_and(|identity| !identity.is_empty())
}

/// The address in the line `ready https://127.0.0.1:PORT`, once the line is whole.
fn ready_url(log: &str) -> Option<String> {
    let whole = log.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| line.strip_prefix("ready ")).map(str::to_owned)
}

/// The end of a log.
pub(crate) fn tail(log: &Path) -> String {
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
    fn the_environment_is_that_of_the_image() {
        let file = fs::read_to_string(xtask::repository_root().join("Dockerfile")).unwrap();
        let stage = file.split("\nFROM ").last().unwrap();
        let set = stage.lines().filter_map(|line| line.strip_prefix("ENV ")).collect::<Vec<_>>().join(" ");
        assert_eq!(set, IMAGE.map(|(name, value)| format!("{name}={value}")).join(" "));
    }

    #[test]
    fn the_address_is_read_once_its_line_is_whole() {
        let log = "2026-11-22 INFO listening\nready https://127.0.0.1:8443\n";
        assert_eq!(ready_url(log), Some("https://127.0.0.1:8443".to_owned()));
        assert_eq!(ready_url(log.trim_end()), None);
        assert_eq!(ready_url(""), None);
    }
}
