//! Builds the programs from the pinned Go modules in `tools` into a cache folder. A module's versions are read from its
//! go.mod, so that they stand in one place.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::version::Version;
use super::{Program, cache_root};
use crate::guard;
use crate::progress::Progress;
use crate::repository_root;

/// Environment of every call of Go: the installed toolchain and no C compiler.
const GO_ENVIRONMENT: [(&str, &str); 2] = [("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0")];

/// A Go module that pins programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    /// The control plane and its clients.
    Kube,
    /// Helm 3 alone.
    Helm3,
    /// What checks Prometheus rules.
    Prometheus,
}

impl Module {
    fn name(self) -> &'static str {
        match self {
            Self::Kube => "kube",
            Self::Helm3 => "helm3",
            Self::Prometheus => "prometheus",
        }
    }

    /// The flags that tell programs their versions; without them they report some that others cannot parse.
    fn linker_flags(self, go_mod: &str) -> Result<String> {
        match self {
            Self::Kube => kube_linker_flags(go_mod),
            Self::Helm3 => helm3_linker_flags(go_mod),
            Self::Prometheus => Ok("-s -w".to_owned()),
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Kube => "the test control plane",
            Self::Helm3 => "Helm 3",
            Self::Prometheus => "promtool",
        }
    }

    /// Build tags. promtool need not know all the clouds that Prometheus finds its targets in: without them it is built
    /// in a third of the time.
    fn tags(self) -> &'static str {
        match self {
            Self::Kube | Self::Helm3 => "",
            Self::Prometheus => "remove_all_sd",
        }
    }

    /// What makes a build unnecessary.
    fn instead(self) -> &'static str {
        match self {
            Self::Kube | Self::Helm3 => {
                "set KUBEBUILDER_ASSETS to a folder that holds etcd, kube-apiserver, kube-controller-manager, kubectl and helm"
            }
            Self::Prometheus => "put promtool 3 on the PATH (in Debian it comes with the package prometheus)",
        }
    }
}

/// Knows a Go module and the folder that its programs are kept in.
pub(super) struct Builder {
    of: Module,
    module: PathBuf,
    go_mod: String,
    linker_flags: String,
    folder: PathBuf,
}

impl Builder {
    pub(super) fn new(of: Module) -> Result<Self> {
        let module = repository_root().join("tools").join(of.name());
        let read = |name: &str| {
            let path = module.join(name);
            fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}: is the checkout complete?", path.display()))
        };
        let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
        let linker_flags = of.linker_flags(&go_mod)?;
        // What a change of which makes another program names the folder. The hash need not be the same for ever: with
        // another one the programs are built again.
        let mut hasher = DefaultHasher::new();
        (&go_mod, &go_sum, &linker_flags, GO_ENVIRONMENT, env::consts::OS, env::consts::ARCH)
            .hash(&mut hasher);
        // Without tags nothing is added: what is built stays good.
        if !of.tags().is_empty() {
            of.tags().hash(&mut hasher);
        }
        let folder = cache_root()?.join("tools").join(format!("{:016x}", hasher.finish()));
        Ok(Self { of, module, go_mod, linker_flags, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the program is once it is built.
    pub(super) fn path_of(&self, program: Program) -> PathBuf {
        self.folder.join(program.name())
    }

    /// Builds those of `programs` that the cache does not hold.
    pub(super) fn build_missing(&self, programs: &[Program], progress: &Progress) -> Result<()> {
        if self.to_build(programs).is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).with_context(|| {
            format!(
                "cannot create {}; set EDUSYNC_CACHE_DIR to a folder that is yours",
                self.folder.display()
            )
        })?;
        self.check_go()?;
        let _lock = self.lock(progress)?;
        // Another process may have built them while this one waited.
        let missing = self.to_build(programs);
        for (number, program) in (1..).zip(&missing) {
            self.build(*program, &format!("{number}/{}", missing.len()), progress)?;
        }
        Ok(())
    }

    fn to_build(&self, programs: &[Program]) -> Vec<Program> {
        programs.iter().copied().filter(|program| !self.path_of(*program).is_file()).collect()
    }

    /// Keeps other processes from building the same. The lock ends with the file's handle.
    fn lock(&self, progress: &Progress) -> Result<File> {
        let path = self.folder.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if file.try_lock().is_err() {
            let step =
                progress.step(format!("Waiting for another process that builds {}", self.of.purpose()));
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
            step.done();
        }
        Ok(file)
    }

    fn check_go(&self) -> Result<()> {
        let wanted = self
            .go_mod
            .lines()
            .find_map(|line| line.strip_prefix("go "))
            .and_then(Version::find)
            .with_context(|| format!("tools/{}/go.mod has no line `go VERSION`", self.of.name()))?;
        let Version(major, minor, patch) = wanted;
        let output = Command::new("go").arg("version").envs(GO_ENVIRONMENT).stdin(Stdio::null()).output().with_context(|| {
            format!(
                "{} is built with Go and there is no `go` on the PATH: install Go {major}.{minor}.{patch} or later, or {}",
                self.of.purpose(),
                self.of.instead()
            )
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        if Version::find(&said).is_none_or(|version| version < wanted) {
            bail!(
                "{} needs Go {major}.{minor}.{patch} or later, but `go version` says {:?}: install a newer Go",
                self.of.purpose(),
                said.trim()
            );
        }
        Ok(())
    }

    /// Builds into a temporary folder beside the target and renames: nobody ever sees half a program.
    fn build(&self, program: Program, position: &str, progress: &Progress) -> Result<()> {
        let workshop = TempDir::with_prefix_in("build-", &self.folder)
            .with_context(|| format!("cannot create a folder in {}", self.folder.display()))?;
        let built = workshop.path().join(program.name());
        let log = workshop.path().join("log");
        let step = progress.step(format!("Building {} ({position})", program.name()));
        let arguments: [&std::ffi::OsStr; 11] = [
            "-C".as_ref(),
            self.module.as_ref(),
            "build".as_ref(),
            "-trimpath".as_ref(),
            "-tags".as_ref(),
            self.of.tags().as_ref(),
            "-ldflags".as_ref(),
            self.linker_flags.as_ref(),
            "-o".as_ref(),
            built.as_ref(),
            program.package().as_ref(),
        ];
        // Guarded, or an interrupted run would leave the compiler at work for minutes.
        let mut go = guard::spawn(Path::new("go"), arguments, &log, GO_ENVIRONMENT)?;
        let status = loop {
            match go.try_wait()? {
                Some(status) => break status,
                None => thread::sleep(Duration::from_millis(100)),
            }
        };
        if !status.success() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("`go build {}` failed; what it said:\n{}", program.package(), said.trim_end());
        }
        fs::rename(&built, self.path_of(program))
            .with_context(|| format!("cannot put {} into {}", program.name(), self.folder.display()))?;
        step.done();
        Ok(())
    }
}

/// For Kubernetes and Helm 4.
fn kube_linker_flags(go_mod: &str) -> Result<String> {
    let kubernetes = required_version(go_mod, "k8s.io/kubernetes")?;
    let helm = required_version(go_mod, "helm.sh/helm/v4")?;
    let Version(major, minor, _) = Version::find(kubernetes).with_context(|| {
        format!("tools/kube/go.mod requires Kubernetes {kubernetes}, which is no version")
    })?;
    let kubernetes_flags = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].map(|package| {
        format!(
            "-X {package}.gitVersion={kubernetes} -X {package}.gitMajor={major} \
             -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
        )
    });
    let helm_flag = format!("-X helm.sh/helm/v4/internal/version.version={helm}");
    Ok(format!("-s -w {} {helm_flag}", kubernetes_flags.join(" ")))
}

/// For Helm 3: its own version, and that of the Kubernetes that it renders for when there is none. Release builds of Helm
/// say the same; left out, it is 1.20.
fn helm3_linker_flags(go_mod: &str) -> Result<String> {
    let helm = required_version(go_mod, "helm.sh/helm/v3")?;
    let library = required_version(go_mod, "k8s.io/client-go")?;
    let Version(_, minor, _) = Version::find(library)
        .with_context(|| format!("tools/helm3/go.mod requires client-go {library}, which is no version"))?;
    let package = "helm.sh/helm/v3/pkg/chartutil";
    Ok(format!(
        "-s -w -X helm.sh/helm/v3/internal/version.version={helm} -X {package}.k8sVersionMajor=1 \
         -X {package}.k8sVersionMinor={minor}"
    ))
}

/// The version in the line `MODULE VERSION` of a go.mod.
fn required_version<'a>(go_mod: &'a str, module: &str) -> Result<&'a str> {
    go_mod
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("require ").split_once(' '))
        .find(|(name, _)| *name == module)
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .with_context(|| format!("go.mod does not require {module}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_go_mod() {
        let go_mod = "module m\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v1.40.2 // indirect\nrequire (\n\thelm.sh/helm/v4 v4.9.0\n)\n";
        let flags = kube_linker_flags(go_mod).unwrap();
        assert!(flags.contains("-X k8s.io/client-go/pkg/version.gitVersion=v1.40.2"), "{flags}");
        assert!(flags.contains("-X k8s.io/component-base/version.gitMinor=40"), "{flags}");
        assert!(flags.ends_with("-X helm.sh/helm/v4/internal/version.version=v4.9.0"), "{flags}");
    }

    #[test]
    fn helm_3_renders_for_the_kubernetes_of_its_library() {
        let go_mod =
            "require (\n\thelm.sh/helm/v3 v3.22.0 // indirect\n\tk8s.io/client-go v0.37.1 // indirect\n)\n";
        let flags = helm3_linker_flags(go_mod).unwrap();
        assert!(flags.contains("version.version=v3.22.0"), "{flags}");
        assert!(
            flags.ends_with(".k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37"),
            "{flags}"
        );
    }

    #[test]
    fn a_go_mod_without_kubernetes_is_refused() {
        assert!(kube_linker_flags("module m\n").unwrap_err().to_string().contains("k8s.io/kubernetes"));
    }
}
