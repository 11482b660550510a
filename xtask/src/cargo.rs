//! Builds programs of this workspace and tells where cargo has put them. Runs none of them.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::repository_root;

/// Programs that have been built.
#[derive(Debug)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Where the program is.
    ///
    /// # Errors
    ///
    /// When none of the packages has a program of this name.
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.0
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("cargo has built no program named {name}"))
    }
}

/// How programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Quick to build: what tests run.
    Debug,
    /// As they are shipped.
    Release,
}

/// Builds the programs of these packages. Cargo shows its own progress on standard error.
///
/// # Errors
///
/// When cargo cannot be run or the build fails; cargo has said why.
pub fn build(packages: &[&str], how: Build) -> Result<Programs> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    if how == Build::Release {
        command.arg("--release");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    // Cargo shares our process group, so Ctrl-C ends it too; when we end in another way, it stops at the closed pipe.
    let mut child = command
        .current_dir(repository_root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo: is it on the PATH?")?;
    let stdout = child.stdout.take().context("cargo has no standard output")?;
    let mut programs = BTreeMap::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what cargo says")?;
        programs.extend(program_in(&line));
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "`cargo build` of {} failed ({status}): see above", packages.join(" and "));
    Ok(Programs(programs))
}

/// The program that a message of cargo announces, if it does.
fn program_in(line: &str) -> Option<(String, PathBuf)> {
    let message: Message = serde_json::from_str(line).ok()?;
    Some((message.target?.name, message.executable?))
}

#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_libraries_and_other_messages() {
        let program = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"edusync"},"executable":"/t/debug/edusync","fresh":true}"#;
        assert_eq!(program_in(program), Some(("edusync".to_owned(), PathBuf::from("/t/debug/edusync"))));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#;
        assert_eq!(program_in(library), None);
        assert_eq!(program_in(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(program_in("warning: something"), None);
    }
}
