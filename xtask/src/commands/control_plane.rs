//! `cargo xtask control-plane`: a control plane in the foreground, for trying things by hand.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use xtask::control_plane::ControlPlane;
use xtask::progress::Progress;
use xtask::tools::Tools;

/// How often the servers are looked after.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts etcd, kube-apiserver and kube-controller-manager and runs them until Ctrl-C.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only build the programs into the cache, for instance in a step of CI that is cached
    #[arg(long, conflicts_with = "dir")]
    build_only: bool,
    /// Keep everything in this folder, which must be empty, instead of a temporary one
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let progress = Progress::new();
    if arguments.build_only {
        let folder = Tools::build_all(&progress)?;
        return say(&format!("The programs of the test control plane are in {}", folder.display()));
    }
    let tools = Tools::locate(&progress)?;
    let step = progress.step("Starting the control plane");
    let mut control_plane = ControlPlane::start(&tools, arguments.dir.as_deref())?;
    step.done();

    let (sender, receiver) = mpsc::channel();
    ctrlc::set_handler(move || {
        // A second signal finds nobody listening any more, which is fine.
        let _ = sender.send(());
    })
    .context("cannot wait for Ctrl-C")?;
    say(&instructions(&control_plane, &tools))?;
    while receiver.recv_timeout(CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        control_plane.check()?;
    }
    let step = progress.step("Stopping the control plane");
    control_plane.stop()?;
    step.done();
    Ok(())
}

fn instructions(control_plane: &ControlPlane, tools: &Tools) -> String {
    format!(
        "\nKubernetes answers at {url}. In another terminal:\n\n    \
         export KUBECONFIG='{kubeconfig}'\n    \
         export PATH='{path}':\"$PATH\"\n    \
         kubectl get namespaces\n\n\
         Logs are in {folder}. There is no kubelet: pods are accepted and never run.\n\
         Ctrl-C stops everything.\n",
        url = control_plane.url(),
        path = tools.client_path(),
        kubeconfig = control_plane.kubeconfig().display(),
        folder = Path::display(control_plane.folder()),
    )
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")
}
