//! `cargo xtask lint-chart`: what Helm alone, without a cluster, can say of the chart.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use xtask::helm_chart;
use xtask::progress::Progress;
use xtask::tools::Tools;

/// Runs the subcommand.
pub(crate) fn run() -> Result<()> {
    let tools = Tools::locate(&Progress::new())?;
    let home = tempfile::tempdir().context("cannot create a temporary folder")?;
    let helm = |arguments: &[&str]| {
        let output = helm_chart::helm(&tools.helm, home.path()).args(arguments).output();
        let output = output.context("cannot run Helm")?;
        // Helm names what it finds on the one, and that it has found something on the other.
        ensure!(
            output.status.success(),
            "Helm finds fault with charts/edusync:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    };
    for values in helm_chart::value_sets()?.values() {
        let values = values.to_string_lossy();
        helm(&["lint", "--strict", "charts/edusync", "--values", &values])?;
    }
    writeln!(std::io::stdout(), "Helm finds no fault with charts/edusync.")
        .context("cannot write to standard output")
}
