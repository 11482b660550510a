//! One test, built and run in a copy of the source, and what its end means. A test that was not built, that was not
//! found or that did not end has shown nothing: only one that failed has caught a defect.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::copy::Copy;
use crate::timing::poll_until;
use crate::{cargo, guard};

/// A test that runs longer than this does not end: some defects make a program turn in a circle.
const LIMIT: Duration = Duration::from_mins(10);
const PAUSE: Duration = Duration::from_millis(50);
/// What the harness of Rust's tests ends with when a test failed.
const TEST_FAILED: i32 = 101;

/// A command that runs tests: `VARIABLE=value … cargo test -p edusync (--lib | --test TARGET) FILTER`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TestCommand {
    envs: Vec<(String, String)>,
    /// Name of the test target; None: the tests of the library.
    target: Option<String>,
    filter: String,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It held.
    Passed,
    /// It failed; this is what it said first.
    Failed(String),
    /// It cannot be built.
    NotBuilt,
    /// It did not end in time, or in another way than a test does.
    Other(String),
}

impl TestCommand {
    /// Does this line look like such a command?
    pub(super) fn is_one(line: &str) -> bool {
        line.split_whitespace().find(|word| !word.contains('=')) == Some("cargo")
    }

    /// Reads a command as it stands in the head of a patch.
    ///
    /// # Errors
    ///
    /// When it is not of the form above. One form for all, so that they can be compared, and built before they are run.
    pub(super) fn parse(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let envs = words.iter().map_while(|word| word.split_once('='));
        let envs: Vec<_> = envs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (target, filter) = match words.get(envs.len()..).unwrap_or_default() {
            ["cargo", "test", "-p", "edusync", "--lib", filter] => (None, filter),
            ["cargo", "test", "-p", "edusync", "--test", target, filter] => (Some(target), filter),
            _ => bail!("it must be `cargo test -p edusync (--lib | --test TARGET) FILTER`, but is `{line}`"),
        };
        let target = target.map(|target| (*target).to_owned());
        Ok(Self { envs, target, filter: (*filter).to_owned() })
    }

    /// Name of the test, without its modules.
    #[must_use]
    pub fn test_name(&self) -> &str {
        self.filter.rsplit("::").next().unwrap_or_default()
    }

    /// Builds the test and runs it; what both say is added to `log`.
    ///
    /// # Errors
    ///
    /// When cargo or the test cannot be started, or the filter finds no test: both say nothing of the source.
    pub fn run(&self, copy: &Copy, log: &Path) -> Result<Ending> {
        let Some(program) = self.build(copy, log)? else { return Ok(Ending::NotBuilt) };
        let said_before = fs::read_to_string(log).unwrap_or_default().len();
        // Cargo runs a test in the folder of its package, and so do we.
        let script = r#"cd "$1" && shift && exec "$@""#;
        let folder = copy.root().as_os_str().to_owned();
        let run: [OsString; 3] = [folder.clone(), program.into(), self.filter.clone().into()];
        let arguments = ["-c", script, "sh"].map(OsString::from).into_iter().chain(run);
        let envs = self.envs.iter().map(|(name, value)| (name.as_str(), OsStr::new(value)));
        let envs = envs.chain([("CARGO_MANIFEST_DIR", folder.as_os_str())]);
        let mut running = guard::spawn(Path::new("/bin/sh"), arguments, log, envs)?;
        let mut ended = None;
        poll_until(LIMIT, PAUSE, || {
            ended = running.try_wait().transpose();
            ended.is_some()
        });
        let Some(status) = ended.transpose()? else {
            running.kill()?;
            return Ok(Ending::Other(format!("did not end within {} minutes", LIMIT.as_secs() / 60)));
        };
        let said = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
        let said = String::from_utf8_lossy(said.get(said_before..).unwrap_or_default()).into_owned();
        self.judge(status, &said)
    }

    /// None: it does not compile.
    fn build(&self, copy: &Copy, log: &Path) -> Result<Option<PathBuf>> {
        let errors = OpenOptions::new().append(true).open(log);
        let mut command = cargo::command();
        command
            .args(["test", "--no-run", "--locked", "-p", "edusync"])
            .current_dir(copy.root())
            .env("CARGO_TARGET_DIR", copy.target())
            .stderr(errors.with_context(|| format!("cannot write {}", log.display()))?);
        match &self.target {
            Some(target) => command.args(["--test", target]),
            None => command.arg("--lib"),
        };
        let (executables, status) = cargo::run(&mut command)?;
        if !status.success() {
            return Ok(None);
        }
        let test = executables.into_iter().find(|executable| !executable.is_program);
        Ok(Some(test.with_context(|| format!("cargo has built no test for `{self}`"))?.path))
    }

    fn judge(&self, status: ExitStatus, said: &str) -> Result<Ending> {
        ensure!(
            !said.contains("\nrunning 0 tests\n"),
            "`{self}` finds no test: has it another name now? Mend what names it in tests/defects."
        );
        Ok(match status.code() {
            Some(0) => Ending::Passed,
            Some(TEST_FAILED) if said.contains("test result: FAILED.") => Ending::Failed(first_panic(said)),
            _ => Ending::Other(format!("ended with {status}")),
        })
    }
}

impl fmt::Display for TestCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.envs {
            write!(f, "{name}={value} ")?;
        }
        f.write_str("cargo test -p edusync ")?;
        match &self.target {
            Some(target) => write!(f, "--test {target} ")?,
            None => f.write_str("--lib ")?,
        }
        f.write_str(&self.filter)
    }
}

/// What the first assertion that did not hold said, in one line.
fn first_panic(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.contains(" panicked at ")).skip(1);
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (first, second) = (first.trim(), second.trim());
    // The two sides of a comparison stand on lines of their own.
    if second.starts_with("left:") {
        let third = lines.next().unwrap_or_default().trim();
        return format!("{first}; {second}; {third}");
    }
    first.to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn command() -> TestCommand {
        TestCommand::parse("A=1 cargo test -p edusync --test simulation run::many_runs").unwrap()
    }

    #[test]
    fn a_command_is_read_in_one_form_and_written_as_it_was() {
        assert_eq!(command().to_string(), "A=1 cargo test -p edusync --test simulation run::many_runs");
        assert_eq!(command().test_name(), "many_runs");
        for line in ["cargo test", "cargo test -p edusync", "cargo test -p xtask --lib x"] {
            assert!(TestCommand::is_one(line) && TestCommand::parse(line).is_err(), "{line}");
        }
        assert!(!TestCommand::is_one("These tests must fail:"));
    }

    #[test]
    fn only_a_test_that_failed_has_caught_something() {
        let judge = |code: i32, said: &str| command().judge(ExitStatus::from_raw(code << 8), said);
        let failed = "\nrunning 1 test\nthread 'a' (1) panicked at src/a.rs:1:1:\nassertion `left == right` failed\n  left: 1\n right: 2\n\ntest result: FAILED. 0 passed\n";
        let said = "assertion `left == right` failed; left: 1; right: 2".to_owned();
        assert_eq!(judge(101, failed).unwrap(), Ending::Failed(said));
        assert_eq!(judge(0, "\nrunning 1 test\ntest result: ok.").unwrap(), Ending::Passed);
        assert!(matches!(judge(101, "\nrunning 1 test\n").unwrap(), Ending::Other(_)), "no result");
        assert!(matches!(judge(134, failed).unwrap(), Ending::Other(_)), "an abort");
        assert!(judge(0, "\nrunning 0 tests\n\ntest result: ok.").is_err());
    }
}
