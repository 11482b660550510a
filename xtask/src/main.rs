//! The project's chores on the command line, `cargo xtask …`: parses arguments and dispatches, nothing else.

mod commands;

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
    /// Run a Kubernetes control plane of your own: etcd, API server, controller manager
    ControlPlane(commands::control_plane::Arguments),
}

fn main() -> Result<()> {
    match Cli::parse().chore {
        Chore::ControlPlane(arguments) => commands::control_plane::run(&arguments),
    }
}
