//! The command line. It parses and dispatches; what a command does stands in a file of its own.

mod access;
mod claims;
mod completion;
mod connection_name;
mod crd;
mod errors;
mod held;
mod import;
mod login;
mod orphans;
mod output;
mod plan;
mod release;
mod run;
mod status;
mod upload;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
  Is all well?
    edusync status -A
  Upload the CSV files of a profile, and wait until they are synchronized:
    edusync upload ./csv --profile contoso --namespace school --wait

Under the name kubectl-edusync on the PATH it is a plugin: kubectl edusync status -A.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator: watch the resources and keep Graph as they describe it.
    Run(Box<run::Arguments>),
    /// Print the resource definitions (CRDs) as YAML.
    Crd(crd::Arguments),
    /// Show how all profiles and connections stand, and what needs attention.
    Status(status::Arguments),
    /// Show what manifests would change in Microsoft Graph.
    Plan(plan::Arguments),
    /// Check, upload and synchronize the CSV files of a profile.
    Upload(Box<upload::Arguments>),
    /// Show the errors of a profile's synchronization in detail.
    Errors(errors::Arguments),
    /// List profiles that no resource claims, and resources whose profile is gone.
    Orphans(orphans::Arguments),
    /// Write manifests for profiles that exist already.
    Import(import::Arguments),
    /// Sign in as an administrator, and store the refresh token where a connection looks for it.
    Login(login::Arguments),
    /// Show what could not be deleted without the operator.
    Held(held::Arguments),
    /// Take the finalizers off resources whose operator is gone.
    Release(release::Arguments),
    /// Print a script that completes commands in a shell.
    Completion(completion::Arguments),
}

impl Cli {
    /// Reads the command line. Ends the process with a sentence when it makes no sense, or help is asked for.
    #[must_use]
    pub fn read() -> Self {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let name = arguments.first().map(Path::new).and_then(Path::file_stem);
        let is_plugin = name.is_some_and(|name| name == "kubectl-edusync");
        let mut command = Self::command();
        if is_plugin {
            command = as_plugin(command);
        }
        let matches = command.get_matches_from(arguments);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// Does what the command line asks for.
    ///
    /// # Errors
    /// A sentence for the person at the command line.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => arguments.execute().map(|()| ExitCode::SUCCESS),
            Command::Crd(arguments) => arguments.execute().map(|()| ExitCode::SUCCESS),
            Command::Status(arguments) => arguments.execute(),
            Command::Plan(arguments) => arguments.execute(),
            Command::Upload(arguments) => arguments.execute(),
            Command::Errors(arguments) => arguments.execute(),
            Command::Orphans(arguments) => arguments.execute(),
            Command::Import(arguments) => arguments.execute(),
            Command::Login(arguments) => arguments.execute(),
            Command::Held(arguments) => arguments.execute(),
            Command::Release(arguments) => arguments.execute(),
            Command::Completion(arguments) => arguments.execute(Self::command(), "edusync"),
        }
    }
}

/// The same commands, as a person calls them through kubectl: names, usage and examples.
fn as_plugin(command: clap::Command) -> clap::Command {
    let command = command.name("kubectl edusync").bin_name("kubectl edusync");
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = renamed(command);
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, renamed))
}

/// Examples that call the plugin.
fn renamed(command: clap::Command) -> clap::Command {
    let Some(help) = command.get_after_help().map(ToString::to_string) else {
        return command;
    };
    command.after_help(
        help.replace("    edusync ", "    kubectl edusync ").replace("| edusync ", "| kubectl edusync "),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        as_plugin(Cli::command()).debug_assert();
    }

    #[test]
    fn every_command_has_examples_but_those_that_need_none() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains("    edusync ") || help.contains("| edusync "),
                "{}: {help}",
                command.get_name()
            );
        }
    }

    #[test]
    fn a_plugin_speaks_of_kubectl() {
        let mut command = as_plugin(Cli::command());
        let help = command.render_help().to_string();
        assert!(
            help.contains("Usage: kubectl edusync") && help.contains("    kubectl edusync status -A"),
            "{help}"
        );
        let status = command.find_subcommand("status").unwrap().get_after_help().unwrap().to_string();
        assert!(status.contains("    kubectl edusync status -A"), "{status}");
    }
}
