//! `edusync completion`: a script that completes commands in a shell.

use std::process::ExitCode;

use clap_complete::Shell;

use super::output::print;

/// Print a script that completes edusync's commands and flags in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  For this session of bash:
    source <(edusync completion bash)
  For every session of zsh:
    edusync completion zsh > ~/.zfunc/_edusync
  For every session of fish:
    edusync completion fish > ~/.config/fish/completions/edusync.fish";

impl Arguments {
    /// Prints it, for a program of this name.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn execute(self, mut command: clap::Command, name: &str) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
