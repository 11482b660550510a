//! The command line. It parses and dispatches; what a command does stands in a file of its own.

mod access;
mod claims;
mod crd;
mod errors;
mod import;
mod orphans;
mod output;
mod run;
mod status;
mod upload;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// The exit code when something needs the attention of a person, though nothing failed.
const ATTENTION: u8 = 2;

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
    edusync crd | kubectl apply --server-side -f -
  Upload the CSV files of a profile, and wait until they are synchronized:
    edusync upload ./csv --profile contoso --namespace school --wait";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: watch the resources and keep Graph as they describe it.
    Run(Box<run::Arguments>),
    /// Print the resource definitions (CRDs) as YAML.
    Crd(crd::Arguments),
    /// Check, upload and synchronize the CSV files of a profile.
    Upload(Box<upload::Arguments>),
    /// Show the errors of a profile's synchronization in detail.
    Errors(errors::Arguments),
    /// Show how all profiles and connections stand, and what needs attention.
    Status(status::Arguments),
    /// List profiles that no resource claims, and resources whose profile is gone.
    Orphans(orphans::Arguments),
    /// Write manifests for profiles that exist already.
    Import(import::Arguments),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// A sentence for the person at the command line.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => arguments.execute().map(|()| ExitCode::SUCCESS),
            Command::Crd(arguments) => arguments.execute().map(|()| ExitCode::SUCCESS),
            Command::Upload(arguments) => arguments.execute(),
            Command::Errors(arguments) => arguments.execute(),
            Command::Status(arguments) => arguments.execute(),
            Command::Orphans(arguments) => arguments.execute(),
            Command::Import(arguments) => arguments.execute(),
        }
    }
}

/// The exit code of a command that looked: 2 when a person should look as well.
fn attention_if(needed: bool) -> ExitCode {
    if needed { ExitCode::from(ATTENTION) } else { ExitCode::SUCCESS }
}

/// Runs a command that waits for the network.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(work)
}
