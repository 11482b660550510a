//! What the demo shows, in the order in which it shows it, and the checks that must hold. What runs, and how it looks, is
//! elsewhere.

use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use xtask::control_plane::output_of;
use xtask::repository_root;
use xtask::timing::poll_until;

use super::graph;
use super::stage::Stage;
use super::watch::{Client, Watch};
use crate::commands::interrupt::Interrupt;
use crate::commands::screen;

/// The namespace of the school.
pub(super) const SCHOOL: &str = "school";
/// The simulator's address as examples/simulator/connection.yaml has it.
const EXAMPLE_URL: &str = "https://127.0.0.1:8443";
/// The examples, and the names that their profiles have in Graph.
const GONE_WITH_THEIR_RESOURCE: [&str; 2] = ["Test Profile", "Contoso SDS"];
const RETAINED: &str = "Fabrikam roster";
/// How long a wait may take. It needs seconds; a machine that builds at the same time needs more.
const LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// Makes a namespace that leads to the simulator.
pub(super) fn connect(stage: &Stage) -> Result<()> {
    show(stage, &["create", "namespace", SCHOOL])?;
    let ca = format!("--from-file=ca.crt={}", stage.simulator.ca_file.display());
    show(stage, &["create", "secret", "generic", "graph-simulator-ca", "-n", SCHOOL, &ca])?;
    let example = repository_root().join("examples/simulator/connection.yaml");
    let text = fs::read_to_string(&example).with_context(|| format!("cannot read {}", example.display()))?;
    ensure!(
        text.contains(EXAMPLE_URL),
        "{} does not name {EXAMPLE_URL}: the demo would not reach its simulator",
        example.display()
    );
    let manifest = stage.folder().join("connection.yaml");
    fs::write(&manifest, text.replace(EXAMPLE_URL, &stage.simulator.url))
        .with_context(|| format!("cannot write {}", manifest.display()))?;
    screen::line("");
    screen::sentence(&format!(
        "examples/simulator/connection.yaml, with the address of this simulator, {}:",
        stage.simulator.url
    ));
    show(stage, &["apply", "-n", SCHOOL, "-f", &manifest.display().to_string()])
}

/// Applies three profiles and follows them until they are ready.
pub(super) fn create(stage: &mut Stage, interrupt: &Interrupt) -> Result<()> {
    let mut watch = watch(stage)?;
    show(
        stage,
        &[
            "apply",
            "-n",
            SCHOOL,
            "--filename=examples/create-accounts.yaml",
            "--filename=examples/match-accounts.yaml",
            "--filename=examples/all-customizations.yaml",
        ],
    )?;
    follow(
        stage,
        &mut watch,
        interrupt,
        &["wait", "-n", SCHOOL, "--for=condition=Ready", "educationsyncprofiles", "--all", "--timeout=60s"],
    )
}

/// Shows what Graph has of the first profile, and what the operator tells of it.
pub(super) fn inspect(stage: &Stage) -> Result<()> {
    let name = "Test Profile";
    let profile = graph::profile_named(stage, name)?
        .with_context(|| format!("Graph has no profile named {name:?}, although its resource is ready"))?;
    let standing = state_of(&profile);
    ensure!(
        standing == "provisioned",
        "the profile {name:?} is {standing} in Graph, although its resource is ready"
    );
    screen::line("");
    screen::sentence("The profile of create-accounts, as Microsoft Graph has it now:");
    screen::line("");
    let pretty = serde_json::to_string_pretty(&profile).context("the profile cannot be written as JSON")?;
    screen::answer(&pretty);
    show_events(stage)
}

/// Deletes the resources and looks what becomes of the profiles.
pub(super) fn delete(stage: &mut Stage, interrupt: &Interrupt) -> Result<()> {
    let mut watch = watch(stage)?;
    follow(
        stage,
        &mut watch,
        interrupt,
        &["delete", "-n", SCHOOL, "educationsyncprofiles", "--all", "--timeout=60s"],
    )?;
    for name in GONE_WITH_THEIR_RESOURCE {
        let mut outcome = Ok(());
        let gone = poll_until(LIMIT, POLL, || {
            match step(stage, interrupt).and_then(|()| graph::profile_named(stage, name)) {
                Ok(found) => found.is_none(),
                Err(error) => {
                    outcome = Err(error);
                    true
                }
            }
        });
        outcome?;
        ensure!(
            gone,
            "Graph still has the profile {name:?} {} s after its resource is gone",
            LIMIT.as_secs()
        );
        screen::held(&format!("{name:?} is gone from Microsoft Graph"));
    }
    let kept = graph::profile_named(stage, RETAINED)?.with_context(|| {
        format!("Graph has lost the profile {RETAINED:?}, although its resource says deletionPolicy: Retain")
    })?;
    let standing = state_of(&kept);
    ensure!(standing == "provisioned", "the retained profile {RETAINED:?} is {standing}");
    screen::held(&format!(
        "{RETAINED:?} is still there, {standing}: its resource said deletionPolicy: Retain"
    ));
    Ok(())
}

fn state_of(profile: &Value) -> &str {
    profile.get("state").and_then(Value::as_str).unwrap_or("in no state")
}

fn watch(stage: &Stage) -> Result<Watch> {
    Watch::start(stage.kubectl(&[
        "get",
        "educationsyncprofiles",
        "--namespace",
        SCHOOL,
        "--watch",
        "--output-watch-events",
        "--output=json",
    ]))
}

/// Runs kubectl and shows both what it was asked and what it answered.
fn show(stage: &Stage, arguments: &[&str]) -> Result<()> {
    screen::command(&as_typed(arguments));
    screen::answer(&output_of(&mut stage.kubectl(arguments))?);
    Ok(())
}

/// Runs a kubectl that waits, and shows the profiles as they change meanwhile.
fn follow(stage: &mut Stage, watch: &mut Watch, interrupt: &Interrupt, arguments: &[&str]) -> Result<()> {
    screen::command(&as_typed(arguments));
    watch.begin();
    let mut command = stage.kubectl(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Client(command.spawn().context("cannot run kubectl")?);
    let mut outcome = Ok(None);
    // kubectl has a deadline of its own, and says more than we could: it ends first.
    poll_until(LIMIT * 2, POLL, || {
        watch.show_news();
        outcome =
            step(stage, interrupt).and_then(|()| client.0.try_wait().context("cannot wait for kubectl"));
        !matches!(outcome, Ok(None))
    });
    let status = outcome?.with_context(|| format!("`{}` does not end", as_typed(arguments)))?;
    watch.show_news();
    let mut said = String::new();
    if let Some(stdout) = &mut client.0.stdout {
        stdout.read_to_string(&mut said).context("cannot read what kubectl says")?;
    }
    screen::line("");
    screen::answer(&said);
    if !status.success() {
        let mut complaint = String::new();
        if let Some(stderr) = &mut client.0.stderr {
            stderr.read_to_string(&mut complaint).context("cannot read what kubectl says")?;
        }
        bail!("`{}` failed: {}", as_typed(arguments), complaint.trim());
    }
    Ok(())
}

/// What every turn of a wait begins with.
fn step(stage: &mut Stage, interrupt: &Interrupt) -> Result<()> {
    interrupt.check()?;
    stage.check()
}

#[derive(Deserialize)]
struct Events {
    items: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    #[serde(default)]
    note: String,
}

fn show_events(stage: &Stage) -> Result<()> {
    let text = output_of(&mut stage.kubectl(&[
        "get",
        "events.events.k8s.io",
        "--namespace",
        SCHOOL,
        "--field-selector=regarding.name=create-accounts",
        "--sort-by={.eventTime}",
        "--output=json",
    ]))?;
    let events: Events = serde_json::from_str(&text).context("the list of events cannot be read")?;
    ensure!(!events.items.is_empty(), "create-accounts is ready and has no event");
    screen::line("");
    screen::sentence("Its events, as `kubectl describe` shows them:");
    screen::line("");
    for event in events.items {
        screen::labelled(&format!("{:<8} {:<14} ", event.kind, event.reason), &event.note);
    }
    Ok(())
}

fn as_typed(arguments: &[&str]) -> String {
    format!("kubectl {}", arguments.join(" "))
}
