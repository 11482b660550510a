//! `cargo xtask lint-chart`: what Helm alone, without a cluster, can say of the chart.

use std::io::Write;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::progress::Progress;
use xtask::repository_root;
use xtask::tools::Tools;

/// Runs the subcommand.
pub(crate) fn run() -> Result<()> {
    let tools = Tools::locate(&Progress::new())?;
    // Helm keeps caches and reads settings; neither belong to a check.
    let home = tempfile::tempdir().context("cannot create a temporary folder")?;
    let helm = |arguments: &[&str]| {
        let mut command = Command::new(&tools.helm);
        command
            .args(arguments)
            .current_dir(repository_root())
            .env("HELM_CACHE_HOME", home.path())
            .env("HELM_CONFIG_HOME", home.path())
            .env("HELM_DATA_HOME", home.path());
        let output = command.output().context("cannot run Helm")?;
        // Helm names what it finds on the one, and that it has found something on the other.
        ensure!(
            output.status.success(),
            "Helm finds fault with charts/edusync:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    };
    helm(&["lint", "--strict", "charts/edusync"])?;
    helm(&["template", "edusync", "charts/edusync", "--namespace", "edusync-system"])?;
    writeln!(std::io::stdout(), "Helm finds no fault with charts/edusync.")
        .context("cannot write to standard output")
}
