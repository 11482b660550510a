//! The real command line, run as a person would: with a kubeconfig, in the namespace of a test.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::scene::Scene;

/// What came of a command.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, after a look at the exit code.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}

/// Runs `edusync` with these arguments, in the namespace of the scene.
pub async fn edusync(scene: &Scene, arguments: &[&str]) -> Run {
    edusync_with(scene, arguments, "").await
}

/// The same, with something on standard input.
pub async fn edusync_with(scene: &Scene, arguments: &[&str], input: &str) -> Run {
    let namespace = ["--namespace", &scene.namespace];
    run_as(scene.world.kubeconfig(), &[arguments, &namespace].concat(), input).await
}

/// Runs `edusync` with a kubeconfig.
pub async fn run_as(kubeconfig: &Path, arguments: &[&str], input: &str) -> Run {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_edusync"));
    finish(command.args(arguments).env("KUBECONFIG", kubeconfig), input).await
}

/// Runs a command to its end, with this on its standard input.
pub async fn finish(command: &mut tokio::process::Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be gone before.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}
