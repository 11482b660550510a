//! The project's chores on the command line, `cargo xtask …`: parses arguments and dispatches, nothing else.

mod commands;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// See the operator at work, on this machine alone: profiles from manifest to Graph and back
    Demo(commands::demo::Arguments),
    /// Run the operator under churn and faults for as long as you like, and draw what it took
    Soak(commands::soak::Arguments),
    /// Measure what the operator costs: calls, writes, memory, time
    Bench(commands::bench::Arguments),
    /// Run a Kubernetes control plane of your own: etcd, API server, controller manager
    ControlPlane(commands::control_plane::Arguments),
    /// Write all generated files anew: resource definitions (CRDs), reference, what the chart tells of itself
    Generate(commands::generate::Arguments),
    /// Let Helm check the chart
    LintChart,
    /// Build the images of the Dockerfile, where this machine has Docker, Podman or Buildah
    Image(commands::image::Arguments),
    /// Test the tests: put one deliberate defect after the other into a copy of the source, and see that they fail
    Defects(commands::defects::Arguments),
}

fn main() -> Result<ExitCode> {
    match Cli::parse().chore {
        Chore::Demo(arguments) => return commands::demo::run(&arguments),
        Chore::Soak(arguments) => return commands::soak::run(&arguments),
        Chore::Bench(arguments) => return commands::bench::run(&arguments),
        Chore::ControlPlane(arguments) => commands::control_plane::run(&arguments)?,
        Chore::Image(arguments) => commands::image::run(&arguments)?,
        Chore::Generate(arguments) => commands::generate::run(&arguments)?,
        Chore::Defects(arguments) => return commands::defects::run(&arguments),
        Chore::LintChart => commands::lint_chart::run()?,
    }
    Ok(ExitCode::SUCCESS)
}
