//! A Kubernetes control plane of one's own: etcd, API server and controller manager as child processes, with kubectl and
//! Helm prepared for it. There is no kubelet: a Deployment is accepted and its pods never run. Nothing of edusync is
//! installed here; that is for the caller.

mod certificates;
mod kubeconfig;
mod servers;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::tools::Tools;
use servers::{Servers, StartError};

/// How often the start is tried with other ports when somebody took one in between.
const START_ATTEMPTS: usize = 5;

/// A running control plane. It ends with [`ControlPlane::stop`], when it is dropped, and with this process.
#[derive(Debug)]
pub struct ControlPlane {
    // The order matters: the servers end before their folder goes.
    servers: Servers,
    folder: PathBuf,
    temporary: Option<TempDir>,
    tools: Tools,
    url: String,
    ca_pem: String,
    admin: PathBuf,
    audit_log: PathBuf,
}

impl ControlPlane {
    /// Starts a control plane and waits until it answers. Everything it writes is in `dir`, which must be empty or
    /// not exist yet and stays afterwards; with `None` in a temporary folder.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, or a server does not start: the error shows the end of that server's log.
    pub fn start(tools: &Tools, dir: Option<&Path>) -> Result<Self> {
        let (folder, temporary) = prepare_folder(dir)?;
        let authority = certificates::write(&folder)?;
        let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        write_private(&folder.join("tokens.csv"), &format!("{token},admin,admin,system:masters\n"))?;
        let admin = folder.join("admin.kubeconfig");
        for _ in 0..START_ATTEMPTS {
            let ports = servers::Ports::free()?;
            let url = format!("https://127.0.0.1:{}", ports.api_server);
            let content = kubeconfig::text(&url, &authority, "admin", &token, "default");
            write_private(&admin, &content)?;
            let kubectl = || prepared(&tools.kubectl, &folder, &admin);
            match Servers::start(tools, &folder, ports, &admin, &kubectl) {
                Ok(servers) => {
                    let tools = tools.clone();
                    return Ok(Self {
                        servers,
                        audit_log: folder.join(servers::AUDIT_LOG),
                        folder,
                        temporary,
                        tools,
                        url,
                        ca_pem: authority,
                        admin,
                    });
                }
                Err(StartError::PortTaken) => {}
                Err(StartError::Other(error)) => {
                    return Err(error.context("the test control plane did not start"));
                }
            }
        }
        bail!(
            "the test control plane found its ports taken {START_ATTEMPTS} times: is something taking every free port?"
        )
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Where the API server listens, `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority that the API server's certificate is signed by.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The folder that holds everything this control plane writes, logs included (`NAME.log`).
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every request that the API server has answered, for [`crate::audit::read`].
    #[must_use]
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// The process ids of the servers.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.servers.process_ids()
    }

    /// A kubectl call as administrator, ready to run. It reads and writes no file of the user.
    pub fn kubectl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = prepared(&self.tools.kubectl, &self.folder, &self.admin);
        command.args(args);
        command
    }

    /// A Helm call as administrator, ready to run. It reads and writes no file of the user.
    pub fn helm<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.client(&self.tools.helm, args)
    }

    /// The same with another client program.
    pub fn client<A: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = prepared(program, &self.folder, &self.admin);
        command.args(args);
        command
    }

    /// Writes a kubeconfig that holds nothing but a token of this `ServiceAccount`, good for eight hours: whoever uses it
    /// may do what the account may do, and no more.
    ///
    /// # Errors
    ///
    /// When there is no such account, or the file cannot be written.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = output_of(&mut self.kubectl([
            "create",
            "token",
            name,
            "--namespace",
            namespace,
            "--duration=8h",
        ]))
        .with_context(|| {
            format!("there is no token for the service account {namespace}/{name}: does it exist?")
        })?;
        let path = self.folder.join(format!("{namespace}.{name}.kubeconfig"));
        write_private(&path, &kubeconfig::text(&self.url, &self.ca_pem, name, token.trim(), namespace))?;
        Ok(path)
    }

    /// Kills the API server with SIGKILL and starts it anew, at the same address and with the same data. It answers again
    /// after some seconds; nobody waits for that here.
    ///
    /// # Errors
    ///
    /// When the process cannot be ended or started.
    pub fn crash_api_server(&mut self) -> Result<()> {
        self.servers.crash_api_server(&self.tools, &self.folder)
    }

    /// Fails when one of the servers has ended, with the end of its log.
    ///
    /// # Errors
    ///
    /// When a server is gone.
    pub fn check(&mut self) -> Result<()> {
        self.servers.check()
    }

    /// Stops the servers in the right order and removes the folder if it is a temporary one.
    ///
    /// # Errors
    ///
    /// When a server cannot be waited for or the folder cannot be removed.
    pub fn stop(mut self) -> Result<()> {
        self.servers.stop()?;
        if let Some(temporary) = self.temporary.take() {
            temporary.close().context("cannot remove the folder of the test control plane")?;
        }
        Ok(())
    }
}

/// Runs a command to its end and gives its standard output.
///
/// # Errors
///
/// When it cannot be started or fails: the error holds what it wrote to standard error.
pub fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("{program} wrote something that is not UTF-8"))
}

/// A client program that talks to this control plane only and keeps its files in the folder.
fn prepared(program: &Path, folder: &Path, kubeconfig: &Path) -> Command {
    let home = folder.join("home");
    let mut command = Command::new(program);
    // Settings of the user, a namespace or another cluster, must not reach a test.
    let foreign = env::vars_os().map(|(name, _)| name).filter(|name| {
        name.to_str().is_some_and(|name| name.starts_with("HELM_") || name.starts_with("KUBE"))
    });
    for name in foreign {
        command.env_remove(name);
    }
    command
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECACHEDIR", home.join("kube-cache"))
        .env("HELM_CACHE_HOME", home.join("helm-cache"))
        .env("HELM_CONFIG_HOME", home.join("helm-config"))
        .env("HELM_DATA_HOME", home.join("helm-data"))
        .env("HOME", home);
    command
}

fn prepare_folder(dir: Option<&Path>) -> Result<(PathBuf, Option<TempDir>)> {
    let Some(dir) = dir else {
        let temporary =
            TempDir::with_prefix("edusync-control-plane-").context("cannot create a temporary folder")?;
        return Ok((temporary.path().to_path_buf(), Some(temporary)));
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // Absolute, as kubectl and Helm may be run from anywhere.
    let dir = dir.canonicalize().with_context(|| format!("cannot resolve {}", dir.display()))?;
    let mut entries = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    ensure!(
        entries.next().is_none(),
        "{} is not empty: a control plane starts from nothing; name another folder or empty this one",
        dir.display()
    );
    Ok((dir, None))
}

/// Writes a file that only this user may read.
fn write_private(path: &Path, content: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
