//! Where the programs of the test control plane, and promtool, come from: a folder named by `KUBEBUILDER_ASSETS`, the
//! PATH, or a build of the pinned Go modules in `tools`. Nothing is downloaded as a binary and nothing is run here but
//! version checks.

mod build;
mod version;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::progress::Progress;
use build::Module;

/// The paths of the five programs.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The store behind the API server.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// Namespace deletion, default service accounts and garbage collection.
    pub kube_controller_manager: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
    /// Installs charts.
    pub helm: PathBuf,
}

impl Tools {
    /// Finds the programs, each in the first place that has it: the folder `KUBEBUILDER_ASSETS` (taken as it is), the
    /// PATH (when recent enough), the cache, a build into the cache, which takes minutes the first time.
    ///
    /// # Errors
    ///
    /// When a program must be built and cannot be: the error says what to install.
    pub fn locate(progress: &Progress) -> Result<Self> {
        let builder = build::Builder::new(Module::Kube)?;
        let found: Vec<(Program, Option<PathBuf>)> =
            Program::ALL.into_iter().map(|program| (program, ready_made(program))).collect();
        let missing: Vec<Program> =
            found.iter().filter(|(_, path)| path.is_none()).map(|(program, _)| *program).collect();
        builder.build_missing(&missing, progress)?;
        let path_of = |wanted: Program| {
            found
                .iter()
                .find_map(|(program, path)| path.clone().filter(|_| *program == wanted))
                .unwrap_or_else(|| builder.path_of(wanted))
        };
        Ok(Self {
            etcd: path_of(Program::Etcd),
            kube_apiserver: path_of(Program::KubeApiserver),
            kube_controller_manager: path_of(Program::KubeControllerManager),
            kubectl: path_of(Program::Kubectl),
            helm: path_of(Program::Helm),
        })
    }

    /// The folders of kubectl and Helm, for the PATH of somebody's shell.
    #[must_use]
    pub fn client_path(&self) -> String {
        let folders: BTreeSet<String> = [&self.kubectl, &self.helm]
            .into_iter()
            .filter_map(|program| program.parent())
            .map(|folder| folder.display().to_string())
            .collect();
        folders.into_iter().collect::<Vec<_>>().join(":")
    }

    /// Helm 3, found in the same way. Only the chart's tests need it.
    ///
    /// # Errors
    ///
    /// When it must be built and cannot be: the error says what to install.
    pub fn helm3(progress: &Progress) -> Result<PathBuf> {
        let program = Program::Helm3;
        if let Some(path) = ready_made(program) {
            return Ok(path);
        }
        let builder = build::Builder::new(Module::Helm3)?;
        builder.build_missing(&[program], progress)?;
        Ok(builder.path_of(program))
    }

    /// Builds every program into the cache, also those that [`Tools::locate`] would take from elsewhere, and gives the
    /// folder that holds those of the control plane.
    ///
    /// # Errors
    ///
    /// When a program cannot be built: the error says what to install.
    pub fn build_all(progress: &Progress) -> Result<PathBuf> {
        let builder = build::Builder::new(Module::Kube)?;
        builder.build_missing(&Program::ALL, progress)?;
        build::Builder::new(Module::Helm3)?.build_missing(&[Program::Helm3], progress)?;
        promtool(progress)?;
        Ok(builder.folder().to_path_buf())
    }
}

/// The program that checks and tests Prometheus rules: from the PATH, or built into the cache.
///
/// # Errors
///
/// When it must be built and cannot be: the error says what to install.
pub fn promtool(progress: &Progress) -> Result<PathBuf> {
    if let Some(path) = ready_made(Program::Promtool) {
        return Ok(path);
    }
    let builder = build::Builder::new(Module::Prometheus)?;
    builder.build_missing(&[Program::Promtool], progress)?;
    Ok(builder.path_of(Program::Promtool))
}

/// One of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    Kubectl,
    Helm,
    Helm3,
    /// It is no part of the control plane.
    Promtool,
}

impl Program {
    /// Those of the control plane.
    const ALL: [Self; 5] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::Kubectl, Self::Helm];

    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Helm3 => "helm3",
            Self::Promtool => "promtool",
        }
    }

    /// The Go package of the program's `main`.
    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::Helm3 => "helm.sh/helm/v3/cmd/helm",
            Self::Promtool => "github.com/prometheus/prometheus/cmd/promtool",
        }
    }
}

fn ready_made(program: Program) -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty());
    assets
        .map(|folder| Path::new(&folder).join(program.name()))
        .filter(|path| is_executable(path))
        .or_else(|| on_path(program.name()).filter(|path| version::is_recent_enough(program, path)))
}

/// The first program of this name on the PATH, as a shell would find it.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The folder below which built programs are kept.
fn cache_root() -> Result<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("EDUSYNC_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("edusync")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache").join("edusync")))
        .context("there is no place for built programs: set EDUSYNC_CACHE_DIR, XDG_CACHE_HOME or HOME")
}
