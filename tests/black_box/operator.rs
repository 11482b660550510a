//! The operator's process in a scene: started, killed, ended; and what it has printed.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use xtask::guard::{self, Guarded};

use crate::scene::Scene;
use crate::world::RELEASE;

/// Lines of the log that a failed test shows.
const LAST_LINES: usize = 40;

impl Scene {
    /// Starts an operator for this namespace and its neighbours, or for all.
    pub fn start_operator(&mut self) {
        let number = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.log_file(number);
        let mut arguments: Vec<String> = [
            "run",
            "--lease-namespace",
            RELEASE,
            "--lease-name",
            &self.operator_name,
            // Long enough for a machine that stands still for some seconds: who loses the lease ends, and here is
            // nobody to start it anew.
            "--lease-duration",
            "15s",
            "--fast-poll-interval",
            "200ms",
            "--poll-interval",
            "1s",
            "--settle-window",
            "1s",
            "--request-timeout",
            "3s",
            "--health-address",
            "127.0.0.1:0",
            "--metrics-address",
            "127.0.0.1:0",
            "--allowed-host",
            "127.0.0.1",
            "--log-format",
            "text",
            "--log-level",
            "info,edusync=debug",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let watched = (!self.everywhere).then_some(&self.namespace);
        for namespace in watched.into_iter().chain(&self.neighbours) {
            arguments.extend(["--namespace".to_owned(), namespace.clone()]);
        }
        for pair in self.flags.chunks(2) {
            match arguments.iter().position(|argument| *argument == pair[0]) {
                Some(place) => arguments[place + 1].clone_from(&pair[1]),
                None => arguments.extend_from_slice(pair),
            }
        }
        let direct = self.world.operator_kubeconfig();
        let kubeconfig = self.detour.as_ref().map_or(direct, |detour| &detour.kubeconfig);
        let mut environment = vec![("KUBECONFIG".to_owned(), kubeconfig.as_os_str().to_owned())];
        environment.extend(self.environment.iter().map(|(name, value)| (name.clone(), value.into())));
        let program = PathBuf::from(env!("CARGO_BIN_EXE_edusync"));
        self.operator = Some(guard::spawn(&program, arguments, &log, environment).unwrap());
    }

    fn log_file(&self, number: u32) -> PathBuf {
        self.world.folder().join(format!("operator-{}-{number}.log", self.operator_name))
    }

    /// The operator becomes somebody else's: the next start does not end it.
    pub fn take_operator(&mut self) -> Guarded {
        self.operator.take().unwrap()
    }

    /// Name of the operator's lease.
    pub fn lease(&self) -> &str {
        &self.operator_name
    }

    /// Everything that the operators of this test have printed.
    pub fn operator_log(&self) -> String {
        let numbers = 1..=self.starts.load(Ordering::Relaxed);
        numbers.map(|number| std::fs::read_to_string(self.log_file(number)).unwrap_or_default()).collect()
    }

    /// SIGKILL.
    pub fn kill_operator(&mut self) {
        self.operator.take().unwrap().kill().unwrap();
    }

    /// SIGKILL, and the lease has run out: waiting for that is not what most tests of a crash are for.
    pub async fn crash_operator(&mut self) {
        self.kill_operator();
        let leases = Api::<Lease>::namespaced(self.client.clone(), RELEASE);
        leases.delete(self.lease(), &DeleteParams::default()).await.unwrap();
    }

    /// What a person looks at first who must find out why something did not happen: the end of the log.
    pub fn operator_says(&self) -> String {
        let log = self.operator_log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        format!("the operator's last words:\n{last}")
    }

    /// SIGTERM; the exit status.
    pub fn terminate_operator(&mut self) -> std::process::ExitStatus {
        self.operator.take().unwrap().terminate().unwrap()
    }
}

/// Sends a signal, such as STOP.
pub fn signal(name: &str, operator: &Guarded) {
    let sent = Command::new("kill").args([format!("-{name}"), operator.id().to_string()]).status().unwrap();
    assert!(sent.success(), "{name}: {sent}");
}
