//! Guarded programs end with their parent, however that ends.

#![allow(clippy::unwrap_used, reason = "helper functions of tests fail the test")]

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use xtask::guard::{self, Guarded};
use xtask::timing::poll_until;

/// Names the file that the helper process writes its child's id to.
const ID_FILE: &str = "XTASK_TEST_ID_FILE";
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
const NO_ENVS: [(&str, &str); 0] = [];

fn is_alive(id: u32) -> bool {
    let status = Command::new("kill").args(["-0", &id.to_string()]).stderr(Stdio::null()).status().unwrap();
    status.success()
}

fn spawn_shell(script: &str, folder: &Path) -> Guarded {
    guard::spawn(Path::new("/bin/sh"), ["-c", script], &folder.join("log"), NO_ENVS).unwrap()
}

/// A helper process that goes when its test fails.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: the process that the tests below kill.
#[test]
#[ignore = "runs as a helper process of other tests"]
fn helper() {
    let id_file = env::var_os(ID_FILE).expect("only other tests start this");
    let folder = Path::new(&id_file).parent().unwrap();
    let program = guard::spawn(Path::new("sleep"), ["1000"], &folder.join("log"), NO_ENVS).unwrap();
    let unfinished = folder.join("unfinished");
    fs::write(&unfinished, program.id().to_string()).unwrap();
    fs::rename(unfinished, &id_file).unwrap();
    thread::sleep(Duration::from_secs(1000));
}

/// Starts the helper in a process group of its own and waits for the id of the program that it guards.
fn start_helper(folder: &Path) -> (Helper, u32) {
    let id_file = folder.join("id");
    // Whoever runs the tests in the background, by nohup say, may ignore interrupts, and what is started inherits that.
    let helper = Command::new("env")
        .arg("--default-signal=INT")
        .arg(env::current_exe().unwrap())
        .args(["--exact", "helper", "--ignored", "--nocapture"])
        .env(ID_FILE, &id_file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(Helper)
        .unwrap();
    assert!(poll_until(LIMIT, PAUSE, || id_file.exists()), "the helper has started no program");
    (helper, fs::read_to_string(id_file).unwrap().parse().unwrap())
}

#[test]
fn a_killed_parent_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut helper, program) = start_helper(folder.path());
    assert!(is_alive(program));
    helper.0.kill().unwrap();
    helper.0.wait().unwrap();
    assert!(poll_until(LIMIT, PAUSE, || !is_alive(program)), "sleep is still there");
}

#[test]
fn an_interrupted_process_group_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut helper, program) = start_helper(folder.path());
    let interrupt = format!("kill -s INT -- -{}", helper.0.id());
    assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
    helper.0.wait().unwrap();
    assert!(poll_until(LIMIT, PAUSE, || !is_alive(program)), "sleep is still there");
}

#[test]
fn terminate_lets_the_program_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = spawn_shell(
        "trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.1; done",
        folder.path(),
    );
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(poll_until(LIMIT, PAUSE, || log().contains("ready")));
    assert!(program.try_wait().unwrap().is_none());
    assert_eq!(program.terminate().unwrap().code(), Some(7));
    assert!(log().contains("cleaned"));
    assert!(!is_alive(program.id()));
}

#[test]
fn kill_gives_the_program_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = spawn_shell(
        "trap 'echo cleaned; exit 7' TERM; echo ready; while :; do sleep 0.1; done",
        folder.path(),
    );
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(poll_until(LIMIT, PAUSE, || log().contains("ready")));
    assert_eq!(program.kill().unwrap().code(), Some(128 + 9));
    assert!(!log().contains("cleaned"));
    assert!(!is_alive(program.id()));
}

#[test]
fn a_program_that_ends_by_itself_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let envs = [("GREETING", "hello")];
    let arguments = ["-c", "echo $GREETING; exit 3"];
    let mut program =
        guard::spawn(Path::new("/bin/sh"), arguments, &folder.path().join("log"), envs).unwrap();
    let mut status = None;
    assert!(poll_until(LIMIT, PAUSE, || {
        status = program.try_wait().unwrap();
        status.is_some()
    }));
    assert_eq!(status.unwrap().code(), Some(3));
    assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "hello\n");
}

#[test]
fn a_missing_program_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("etcd");
    let error = guard::spawn(&missing, [""; 0], &folder.path().join("log"), NO_ENVS).unwrap_err();
    assert!(error.to_string().contains("there is no program"), "{error}");
}
