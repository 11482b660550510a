//! Which versions of the programs will do, and how each is asked for its own. Only reads versions.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Program;

/// Major, minor and patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

impl Version {
    /// The first thing like `v1.37.1` or `1.26.0` in `text`; a pre-release or vendor suffix is left out.
    pub(super) fn find(text: &str) -> Option<Self> {
        text.split(|character: char| !character.is_ascii_digit() && character != '.').find_map(Self::parse)
    }

    fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split('.').map(str::parse::<u32>);
        let version = Self(parts.next()?.ok()?, parts.next()?.ok()?, parts.next().unwrap_or(Ok(0)).ok()?);
        parts.next().is_none().then_some(version)
    }
}

/// Whether the program says a version that the tests can rely on. One that says none is not taken.
pub(super) fn is_recent_enough(program: Program, path: &Path) -> bool {
    let arguments: &[&str] = match program {
        Program::Kubectl => &["version", "--client"],
        Program::Helm | Program::Helm3 => &["version", "--short"],
        Program::Etcd | Program::KubeApiserver | Program::KubeControllerManager | Program::Promtool => {
            &["--version"]
        }
    };
    let answer = Command::new(path).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    answer.is_ok_and(|output| {
        output.status.success() && accepts(program, &String::from_utf8_lossy(&output.stdout))
    })
}

fn accepts(program: Program, said: &str) -> bool {
    // A dispatcher runs some other kubectl, chosen by the server: its own version promises nothing.
    let is_real = !said.contains("dispatcher");
    let is_recent = Version::find(said).is_some_and(|version| match program {
        // Kubernetes 1.33 is the oldest that the chart supports.
        Program::KubeApiserver | Program::KubeControllerManager | Program::Kubectl => {
            version >= Version(1, 33, 0)
        }
        Program::Helm => version.0 == 4,
        Program::Helm3 | Program::Promtool => version.0 == 3,
        // Kubernetes refuses older ones from 1.34 on.
        Program::Etcd => version >= Version(3, 5, 21),
    });
    is_real && is_recent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_that_programs_print() {
        assert_eq!(Version::find("Kubernetes v1.37.1\n"), Some(Version(1, 37, 1)));
        assert_eq!(
            Version::find("etcd Version: 3.7.0\nGit SHA: Not provided\nGo Version: go1.26.8"),
            Some(Version(3, 7, 0))
        );
        assert_eq!(Version::find("go version go1.26 linux/amd64"), Some(Version(1, 26, 0)));
        assert_eq!(Version::find("v4.3.1+g0123456"), Some(Version(4, 3, 1)));
        assert_eq!(Version::find("built from main."), None);
    }

    #[test]
    fn takes_recent_programs_only() {
        let cases = [
            (Program::Kubectl, "Client Version: v1.33.0\nKustomize Version: v5.6.0", true),
            (Program::Kubectl, "Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", false),
            (Program::Kubectl, "Client Version: v1.34.1-dispatcher\nKustomize Version: v5.5.0", false),
            (Program::KubeApiserver, "Kubernetes v1.32.9", false),
            (Program::KubeControllerManager, "Kubernetes v0.0.0-master+$Format:%H$", false),
            (Program::Helm, "v3.17.2+gcc0bbbd", false),
            (Program::Helm, "v4.0.0", true),
            (Program::Etcd, "etcd Version: 3.5.20", false),
            (Program::Etcd, "etcd Version: 3.5.21", true),
            (Program::Etcd, "", false),
            (Program::Promtool, "promtool, version 3.13.0 (branch: HEAD, revision: 0123456)", true),
            (Program::Promtool, "promtool, version 2.53.3+ds1 (branch: debian/sid)", false),
        ];
        for (program, said, expected) in cases {
            assert_eq!(accepts(program, said), expected, "{program:?} that says {said:?}");
        }
    }
}
