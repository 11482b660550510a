//! `cargo xtask demo`: the operator at work, for somebody who has never seen it. Here: arguments, order, how it ends.
//! What is shown is in `story`, what runs in `stage`.

mod graph;
mod stage;
mod story;
mod summary;
mod watch;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;
use xtask::cargo::{self, Build};
use xtask::control_plane::output_of;
use xtask::progress::Progress;
use xtask::timing::Stopwatch;
use xtask::tools::Tools;

use crate::commands::interrupt::{self, Interrupt};
use crate::commands::{parts, screen};
use stage::Stage;
use story::SCHOOL;

/// How often the programs are looked after while they are kept running.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the operator against a simulated Microsoft Graph and a real Kubernetes API server, and shows what happens.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Delete nothing, and leave everything running until Ctrl-C, to look around
    #[arg(long)]
    keep: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let folder = TempDir::with_prefix("edusync-demo-").context("cannot create a temporary folder")?;
    match perform(arguments, &folder, &interrupt) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) if interrupt.asked() => {
            screen::heading("Stopped. Nothing is left running.");
            Ok(ExitCode::from(interrupt::EXIT_CODE))
        }
        Err(error) => {
            screen::heading("The demo has failed");
            screen::sentence(&format!("{error:#}"));
            screen::line("");
            screen::sentence(&format!(
                "Nothing is left running. All logs are in {}",
                folder.keep().display()
            ));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn perform(arguments: &Arguments, folder: &TempDir, interrupt: &Interrupt) -> Result<()> {
    let progress = Progress::new();
    let mut phases = Phases::start();
    introduce();

    screen::heading("1. Build");
    let watch = Stopwatch::start();
    let programs = cargo::build(&["edusync", "graph-simulator"], Build::Debug)?;
    let tools = Tools::locate(&progress)?;
    phases.end("to build", watch);

    screen::heading("2. Start");
    interrupt.defer();
    let watch = Stopwatch::start();
    let mut stage = Stage::start(&tools, &programs, folder.path(), interrupt, &progress)?;
    phases.end("to start", watch);

    if let Err(error) = play(&mut stage, arguments, interrupt, &mut phases) {
        if !interrupt.asked() {
            explain(&stage);
        }
        return Err(error);
    }
    if arguments.keep {
        keep(&mut stage, &tools, interrupt)?;
    }
    let step = progress.step("Stopping everything");
    stage.stop()?;
    step.done();
    Ok(())
}

/// How long the parts took.
struct Phases {
    times: Vec<(&'static str, Duration)>,
    total: Stopwatch,
}

impl Phases {
    fn start() -> Self {
        Self { times: Vec::new(), total: Stopwatch::start() }
    }

    fn end(&mut self, name: &'static str, watch: Stopwatch) {
        self.times.push((name, watch.elapsed()));
    }
}

fn introduce() {
    screen::heading("edusync: school sync profiles, from a manifest to Microsoft Graph and back");
    screen::sentence(
        "All of it happens on this machine. The Kubernetes API server is a real one, without nodes: the operator runs \
         as a process, with the rights that its chart gives it. Microsoft Graph is played by graph-simulator.",
    );
}

fn play(stage: &mut Stage, arguments: &Arguments, interrupt: &Interrupt, phases: &mut Phases) -> Result<()> {
    screen::heading("3. Connect a namespace to the tenant");
    story::connect(stage)?;
    interrupt.check()?;

    screen::heading("4. Create three profiles");
    let watch = Stopwatch::start();
    story::create(stage, interrupt)?;
    phases.end("from apply until three profiles are ready", watch);
    story::inspect(stage)?;
    interrupt.check()?;
    if arguments.keep {
        return Ok(());
    }

    screen::heading("5. Delete them");
    let watch = Stopwatch::start();
    story::delete(stage, interrupt)?;
    phases.end("from delete until two are gone from Graph", watch);

    screen::heading("6. What it took");
    summary::show(stage, &phases.times, phases.total.elapsed())?;
    screen::line("");
    screen::sentence("To look around in it yourself: cargo xtask demo --keep");
    screen::line("");
    Ok(())
}

/// Leaves all running until Ctrl-C.
fn keep(stage: &mut Stage, tools: &Tools, interrupt: &Interrupt) -> Result<()> {
    screen::heading("5. Look around");
    screen::sentence("Everything runs on until Ctrl-C. In another terminal:");
    screen::line("");
    let url = &stage.simulator.url;
    let ca = stage.simulator.ca_file.display();
    screen::answer(&format!(
        "  export KUBECONFIG='{kubeconfig}'\n  \
           export PATH='{path}':\"$PATH\"\n  \
           kubectl get educationsyncprofiles --namespace {SCHOOL} --output wide\n  \
           kubectl describe educationsyncprofile create-accounts --namespace {SCHOOL}\n  \
           kubectl describe graphconnection default --namespace {SCHOOL}\n  \
           kubectl delete educationsyncprofile create-accounts --namespace {SCHOOL}",
        kubeconfig = stage.control_plane.kubeconfig().display(),
        path = tools.client_path(),
    ));
    screen::line("");
    screen::sentence("What Microsoft Graph has, and what it was asked:");
    screen::line("");
    screen::answer(&format!(
        "  curl --cacert '{ca}' {url}/_simulator/profiles\n  curl --cacert '{ca}' {url}/_simulator/requests"
    ));
    screen::line("");
    screen::sentence(&format!("The operator's log: {}", stage.operator_log().display()));
    while !interrupt.asked() {
        stage.check()?;
        thread::sleep(CHECK_INTERVAL);
    }
    screen::line("");
    Ok(())
}

/// Shows what is known while it is still running.
fn explain(stage: &Stage) {
    screen::heading("Something went wrong. This is how things stand:");
    let resources = "graphconnections,educationsyncprofiles";
    let overview = ["get", "-n", SCHOOL, resources, "-o", "wide"];
    screen::command(&format!("kubectl {}", overview.join(" ")));
    match output_of(&mut stage.kubectl(&overview)) {
        Ok(text) => screen::answer(&text),
        Err(error) => screen::sentence(&format!("{error:#}")),
    }
    screen::line("");
    screen::line(&parts::tail(&stage.operator_log()));
}
