//! Child processes that never outlive this one, even when it is killed with SIGKILL. Knows nothing of what it runs.
//!
//! A program is not started directly but under a small POSIX shell script (`guard.sh`) that holds a pipe of ours as its
//! standard input. The kernel closes our end however we die, and the script then ends the program. Our end is
//! close-on-exec (the standard library makes all pipes so), hence no other child keeps it open. The script has a process
//! group of its own: Ctrl-C in a terminal reaches us alone, and we end the programs in the right order.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow};

/// How long a program may take from SIGTERM until it gets SIGKILL, in seconds.
const GRACE_SECONDS: &str = "15";

/// A running program that ends when this value is dropped, or with this process.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    /// Our end of the pipe; closing it asks the program to end.
    control: Option<ChildStdin>,
    id: u32,
}

/// Starts `program` with no standard input. Its output, standard and error, is added to `log_file`; `envs` are set
/// beside the environment of this process.
///
/// # Errors
///
/// When the program does not exist, the log file cannot be opened or no process can be started.
pub fn spawn<A, K, V>(
    program: &Path,
    args: impl IntoIterator<Item = A>,
    log_file: &Path,
    envs: impl IntoIterator<Item = (K, V)>,
) -> Result<Guarded>
where
    A: AsRef<OsStr>,
    K: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    if program.components().count() > 1 && !program.is_file() {
        return Err(anyhow!("there is no program {}: build it first", program.display()));
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_file)
        .with_context(|| format!("cannot open {} for the output of a program", log_file.display()))?;
    let mut guard = Command::new("/bin/sh")
        .args(["-c", include_str!("guard.sh"), "guard", GRACE_SECONDS])
        .arg(program)
        .args(args)
        .envs(envs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start /bin/sh, under which every program runs")?;
    let control = guard.stdin.take();
    // From here on dropping `guarded` ends what was started.
    let mut guarded = Guarded { guard, control, id: 0 };
    guarded.id = guarded
        .told_id()
        .with_context(|| format!("{} did not start; see {}", program.display(), log_file.display()))?;
    Ok(guarded)
}

impl Guarded {
    fn told_id(&mut self) -> Result<u32> {
        let stdout = self.guard.stdout.take().context("the guard has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("cannot read from the guard")?;
        line.trim().parse().with_context(|| format!("the guard told no process id but {line:?}"))
    }

    /// The process id of the program itself, not of the shell that guards it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How the program ended, `None` while it runs. A program that a signal ended has the code 128 + signal.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.guard.try_wait().with_context(|| format!("cannot ask for the state of process {}", self.id))
    }

    /// Sends SIGTERM, after 15 seconds SIGKILL, and waits for the end.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell how the program ended.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.control = None;
        self.wait()
    }

    /// Ends the program with SIGKILL, as a crash would, and waits for the end.
    ///
    /// # Errors
    ///
    /// When the operating system does not tell how the program ended.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(control) = &mut self.control {
            // A guard that cannot be written to has ended already, and its program with it.
            let _ = control.write_all(b"kill\n");
        }
        // The pipe stays open until the end: closing it here would send a SIGTERM after the SIGKILL.
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        // `Child::wait` closes the `stdin` that it holds, but ours was taken out of it.
        self.guard.wait().with_context(|| format!("cannot wait for process {}", self.id))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // There is nobody to tell; the shell ends the program even when we cannot wait for it.
        let _ = self.terminate();
    }
}
