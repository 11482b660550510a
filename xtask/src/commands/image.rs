//! `cargo xtask image`: builds the images of the Dockerfile with what this machine has for it, and looks at what came of it.
//! Nothing is pushed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use xtask::control_plane::output_of;
use xtask::repository_root;

/// The user that the chart runs both as, and no other.
const USER: &str = "65532:65532";
/// Targets of the Dockerfile, and the programs in them.
const TARGETS: [(&str, &str); 2] = [("operator", "edusync"), ("simulator", "graph-simulator")];

/// Builds the images of the operator and of the simulator, and says how large they are.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Tag of both
    #[arg(long, default_value = "dev")]
    tag: String,
    /// A base image or the version, as the Dockerfile names its arguments: `RUST_IMAGE=…`, `RUNTIME_IMAGE=…`; repeatable
    #[arg(long = "build-arg", value_name = "NAME=VALUE")]
    build_args: Vec<String>,
}

/// A program that builds images.
#[derive(Debug, Clone, Copy)]
enum Builder {
    Docker,
    Podman,
    Buildah,
}

impl Builder {
    /// The first one that works here: a client of Docker without its daemon does not.
    fn find() -> Result<Self> {
        let works = |builder: &Self| {
            let mut ask = builder.command();
            ask.arg(if matches!(builder, Self::Buildah) { "version" } else { "info" });
            let asked = ask.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        let found = [Self::Docker, Self::Podman, Self::Buildah].into_iter().find(works);
        found.context("no image can be built here: there is no Docker that answers, no Podman and no Buildah; install one of them")
    }

    fn command(self) -> Command {
        Command::new(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        })
    }

    fn build(self, target: &str, name: &str, build_args: &[String]) -> Result<()> {
        let mut build = self.command();
        // Within a container there are often no rights for more.
        build.args(if matches!(self, Self::Buildah) {
            &["build", "--isolation", "chroot"][..]
        } else {
            &["build"]
        });
        build.args(["--target", target, "--tag", name]);
        build.args(build_args.iter().flat_map(|argument| ["--build-arg", argument])).arg(".");
        let status = build.current_dir(repository_root()).stdin(Stdio::null()).status()?;
        ensure!(status.success(), "the image {name} cannot be built ({status}): see above");
        Ok(())
    }

    /// The configuration of an image as the Open Container Initiative has it, and its size in bytes.
    fn inspect(self, name: &str) -> Result<(Value, u64)> {
        let said = output_of(self.command().args(["inspect", "--type", "image", name]))?;
        let said: Value = serde_json::from_str(&said).context("what is told of the image is no JSON")?;
        if matches!(self, Self::Buildah) {
            let size = output_of(self.command().args(["images", "--json", name]))?;
            let size: Value = serde_json::from_str(&size).context("what is told of the image is no JSON")?;
            let size = size.pointer("/0/size").and_then(Value::as_str).unwrap_or_default();
            return Ok((said.pointer("/OCIv1/config").cloned().unwrap_or_default(), bytes(size)));
        }
        let image = said.get(0).unwrap_or(&said);
        let size = image.get("Size").and_then(Value::as_u64).unwrap_or_default();
        Ok((image.get("Config").cloned().unwrap_or_default(), size))
    }
}

/// Buildah says "24.1 MB".
fn bytes(size: &str) -> u64 {
    let (number, unit) = size.split_once(' ').unwrap_or((size, ""));
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let factor = match unit.to_ascii_uppercase().as_str() {
        "GB" => 1_000_000_000,
        "MB" => 1_000_000,
        "KB" => 1_000,
        _ => 1,
    };
    let digits: u64 = tenth.chars().next().and_then(|digit| digit.to_digit(10)).unwrap_or_default().into();
    whole.parse::<u64>().unwrap_or_default() * factor + digits * factor / 10
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let builder = Builder::find()?;
    let mut report = String::new();
    for (target, program) in TARGETS {
        let name = format!("{program}:{}", arguments.tag);
        builder.build(target, &name, &arguments.build_args)?;
        let (config, size) = builder.inspect(&name)?;
        check(&config, program).with_context(|| format!("the image {name} is not as it should be"))?;
        let (whole, tenth) = (size / 1_000_000, size % 1_000_000 / 100_000);
        writeln!(report, "{name}: {whole}.{tenth} MB, user {USER}")?;
    }
    write!(std::io::stdout(), "{report}").context("cannot write to standard output")
}

fn check(config: &Value, program: &str) -> Result<()> {
    let entry = format!("/usr/local/bin/{program}");
    ensure!(config.get("User").and_then(Value::as_str) == Some(USER), "its user is not {USER}");
    ensure!(
        config.pointer("/Entrypoint/0").and_then(Value::as_str) == Some(&entry),
        "it does not start {entry}"
    );
    for label in ["title", "version", "licenses"] {
        let label = format!("org.opencontainers.image.{label}");
        if config.get("Labels").and_then(|labels| labels.get(&label)).is_none() {
            bail!("it has no label {label}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_root_user_and_a_missing_label_are_found() {
        let mut config = json!({
            "User": USER, "Entrypoint": ["/usr/local/bin/edusync"],
            "Labels": {
                "org.opencontainers.image.title": "edusync", "org.opencontainers.image.version": "0.1.0",
                "org.opencontainers.image.licenses": "Apache-2.0"
            }
        });
        check(&config, "edusync").unwrap();
        assert!(check(&config, "graph-simulator").is_err());
        config["User"] = json!("");
        assert!(check(&config, "edusync").unwrap_err().to_string().contains("user"));
        config["User"] = json!(USER);
        config["Labels"] = json!({});
        assert!(check(&config, "edusync").unwrap_err().to_string().contains("label"));
    }

    /// The instructions of the Dockerfile's first stage that lay out the dependencies' workspace, as commands of a shell:
    /// what is copied, and what is made. Where they would build, cargo only reads.
    fn layer_of_dependencies() -> String {
        let file =
            std::fs::read_to_string(repository_root().join("Dockerfile")).unwrap().replace("\\\n", " ");
        let stage = file.split("\nFROM ").nth(1).expect("there is a first stage");
        let mut script = String::from("set -e\n");
        for instruction in stage.lines() {
            if let Some(copied) = instruction.strip_prefix("COPY ") {
                let (sources, folder) = copied.rsplit_once(' ').unwrap();
                writeln!(script, "mkdir -p {folder}; (cd \"$FROM\"; cp {sources} \"$TO\"/{folder})").unwrap();
            }
            if let Some((made, _)) = instruction.split_once("&& cargo build") {
                script.push_str(made.strip_prefix("RUN ").unwrap());
            }
        }
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        script + "\ncargo fetch --offline --locked --target " + &target
    }

    /// A target that a manifest names and the layer does not make would end the build before it begins.
    #[test]
    fn cargo_reads_the_workspace_that_the_image_is_built_from() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &layer_of_dependencies()]).current_dir(folder.path());
        shell.env("FROM", repository_root()).env("TO", folder.path());
        let said = output_of(&mut shell);
        assert!(said.is_ok(), "{said:?}");
        assert!(folder.path().join("src/main.rs").exists(), "the layer is read: {}", layer_of_dependencies());
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("24.1 MB"), 24_100_000);
        assert_eq!(bytes("5.63 KB"), 5_600);
        assert_eq!(bytes("12 B"), 12);
    }
}
