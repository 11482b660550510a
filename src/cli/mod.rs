//! The command line. It parses and dispatches; what a command does stands in a file of its own.

mod crd;
mod run;

use clap::{Parser, Subcommand};

/// Keeps Microsoft Graph's education synchronization profiles as Kubernetes resources describe them.
#[derive(Debug, Parser)]
#[command(name = "edusync", version, about, long_about = None, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Run the operator against the cluster of the current kubeconfig:
    edusync run --log-format text
  Print the resource definitions and install them:
    edusync crd | kubectl apply --server-side -f -";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: watch the resources and keep Graph as they describe it.
    Run(Box<run::Arguments>),
    /// Print the resource definitions (CRDs) as YAML.
    Crd(crd::Arguments),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// A sentence for the person at the command line.
    pub fn execute(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(arguments) => arguments.execute(),
            Command::Crd(arguments) => arguments.execute(),
        }
    }
}
