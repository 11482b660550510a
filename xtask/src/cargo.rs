//! Builds programs and tests and tells where cargo has put them. Runs none of them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::{env, fs};

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
    /// Quick to build: what tests run. All programs are built together whichever are asked for, so that nobody has to
    /// build the libraries once more in another form.
    Debug,
    /// As they are shipped.
    Release,
}

/// The packages whose programs tests run.
const DEBUGGED: [&str; 2] = ["edusync", "graph-simulator"];

/// Builds the programs of these packages. Cargo shows its own progress on standard error.
///
/// As they are shipped each is built for itself: of what is built together, each gets also what the other one wants of a
/// library, and the operator is 0.9 MB larger.
///
/// # Errors
///
/// When cargo cannot be run or the build fails; cargo has said why.
pub fn build(packages: &[&str], how: Build) -> Result<Programs> {
    build_bins(packages, how, &[])
}

/// Builds a program as it is shipped, but with the names of its functions, and leaves it at `path`; where cargo puts
/// programs stands afterwards the one that is shipped.
///
/// # Errors
///
/// When cargo cannot be run or the build fails; cargo has said why. When the program cannot be copied.
pub fn build_with_names(package: &str, path: &Path) -> Result<()> {
    let programs = build_bins(&[package], Build::Release, &[("CARGO_PROFILE_RELEASE_STRIP", "false")])?;
    fs::copy(programs.path(package)?, path).with_context(|| format!("cannot write {}", path.display()))?;
    build(&[package], Build::Release).map(drop)
}

fn build_bins(packages: &[&str], how: Build, environment: &[(&str, &str)]) -> Result<Programs> {
    let (packages, together) =
        if how == Build::Release { (packages, 1) } else { (DEBUGGED.as_slice(), DEBUGGED.len()) };
    let mut by_name = BTreeMap::new();
    for packages in packages.chunks(together) {
        let mut command = command();
        command.args(["build", "--bins"]).current_dir(repository_root()).envs(environment.iter().copied());
        if how == Build::Release {
            command.arg("--release");
        }
        for package in packages {
            command.args(["--package", package]);
        }
        let (executables, status) = run(&mut command)?;
        ensure!(status.success(), "`cargo build` of {} failed ({status}): see above", packages.join(" and "));
        by_name.extend(executables.into_iter().map(|executable| (executable.target, executable.path)));
    }
    Ok(Programs(by_name))
}

/// Builds a benchmark of a package with the names of its functions, and so that few of them are merged into others.
///
/// # Errors
///
/// When cargo cannot be run or the build fails; cargo has said why.
pub fn build_benchmark(package: &str, name: &str) -> Result<PathBuf> {
    let mut command = command();
    command.args(["bench", "--no-run", "--package", package, "--bench", name]).current_dir(repository_root());
    let profile = [("OPT_LEVEL", "1"), ("STRIP", "false"), ("LTO", "false"), ("CODEGEN_UNITS", "16")];
    command.envs(profile.map(|(name, value)| (format!("CARGO_PROFILE_BENCH_{name}"), value)));
    let (executables, status) = run(&mut command)?;
    ensure!(status.success(), "`cargo bench --no-run` of {name} failed ({status}): see above");
    let built = executables.into_iter().find(|executable| executable.target == name);
    built.map(|executable| executable.path).with_context(|| format!("cargo has built no benchmark {name}"))
}

/// The cargo that runs us, or the one on the PATH.
pub(crate) fn command() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Something that can be run, and that cargo has built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// Name of the target: of a program, a test or a library.
    pub(crate) target: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Is it a program and not a test?
    pub(crate) is_program: bool,
}

/// Runs a command of cargo that builds, and tells what it has built and how it ended.
///
/// # Errors
///
/// When cargo cannot be run.
pub(crate) fn run(command: &mut Command) -> Result<(Vec<Executable>, ExitStatus)> {
    // Cargo shares our process group, so Ctrl-C ends it too; when we end in another way, it stops at the closed pipe.
    let mut child = command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo: is it on the PATH?")?;
    let stdout = child.stdout.take().context("cargo has no standard output")?;
    let mut executables = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what cargo says")?;
        executables.extend(executable_in(&line));
    }
    let status = child.wait().context("cannot wait for cargo")?;
    Ok((executables, status))
}

/// What a message of cargo announces, if it can be run.
fn executable_in(line: &str) -> Option<Executable> {
    let message: Message = serde_json::from_str(line).ok()?;
    let is_program = !message.profile.is_some_and(|profile| profile.test);
    Some(Executable { target: message.target?.name, path: message.executable?, is_program })
}

#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
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
        let program = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"edusync"},"executable":"/t/debug/edusync","profile":{"test":false},"fresh":true}"#;
        let expected = Executable {
            target: "edusync".to_owned(),
            path: PathBuf::from("/t/debug/edusync"),
            is_program: true,
        };
        assert_eq!(executable_in(program), Some(expected));
        let test = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"edusync"},"executable":"/t/debug/deps/edusync-1","profile":{"test":true}}"#;
        assert!(executable_in(test).is_some_and(|executable| !executable.is_program));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#;
        assert_eq!(executable_in(library), None);
        assert_eq!(executable_in(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable_in("warning: something"), None);
    }
}
