//! `cargo xtask soak`: the operator under churn and faults for as long as one likes. Here: arguments, order, how it ends,
//! what is printed.

mod churn;
mod draw;
mod faults;
mod judge;
mod manifests;
mod picture;
mod rules;
mod run;
mod stage;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;
use xtask::cargo::{self, Build};
use xtask::progress::Progress;
use xtask::repository_root;
use xtask::tools::Tools;

use crate::commands::interrupt::{self, Interrupt};
use crate::commands::screen;
use judge::{Comparison, Rest};
use picture::Report;
use run::{Found, Run};
use stage::{Stage, TENANTS};

/// How long after trouble has ended all must be as it should be. A create whose answer was lost is waited for longest: its
/// deadline, a lease and the settle window, some 30 s here, and a connection whose Secret was wrong is read again within a
/// minute. The rest is for a slow machine.
const SETTLE_LIMIT: Duration = Duration::from_mins(3);

/// Runs the operator under churn and faults, checks that nothing goes wrong for good and that nothing grows, and draws
/// what it took.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// How long, about. Building comes on top, and settling after each stretch of trouble, some minutes in all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// How many profiles there are when all are there. They are shared out among three namespaces, each with a connection
    /// to a tenant of its own
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(3..=2000))]
    profiles: u16,
    /// Decides what people do and what goes wrong. When exactly it happens is also a matter of the machine. Left out, it
    /// is drawn and printed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Measure the operator as it is shipped, and not as tests build it
    #[arg(long)]
    release: bool,
    /// The folder for soak.svg (the picture) and soak.json (the samples) [default: target/soak/SEED]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

const HELP: &str = "\
Real are the operator, with the rights that its chart gives it, and the Kubernetes API server; Microsoft Graph is
played by graph-simulator, over TLS. A run is made of

  crashes   people create, change, rename, pause, delete and re-create profiles, also in the portal; Graph and the
            network fail; the operator is killed, replaced and cut off, the API server killed
  warm-up   the same without crashes, for a fresh operator that lives to the end
  rest 1    no faults, all profiles, nobody changes anything: this is measured
  churn 1, rest 2, churn 2, rest 3

It fails, with a sentence, when
  - a spec is changed, a profile is there twice or belongs to nobody, a DELETE was sent that nobody asked for
  - three minutes after trouble has ended a resource is not as its manifest says, or needs a person
  - the operator ends by itself (but while Kubernetes is away for longer than its lease), or panics
  - memory in rest 3 is more than 15 % above that of rest 1; open files more than 16, threads more than 2 above; calls
    of Graph or writes to Kubernetes a minute more than 10 % and 6 above

Ctrl-C ends the trouble; what was found so far is evaluated. A second Ctrl-C ends all at once.

Examples:
  cargo xtask soak --minutes 10
  cargo xtask soak --minutes 480 --profiles 200 --release
  cargo xtask soak --seed 7 --output target/soak/again";

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let folder = TempDir::with_prefix("edusync-soak-").context("cannot create a temporary folder")?;
    match perform(arguments, &folder, &interrupt) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<interrupt::Interrupted>() => Ok(ExitCode::from(interrupt::EXIT_CODE)),
        outcome => {
            screen::heading("The soak has failed");
            if let Err(error) = outcome {
                screen::sentence(&format!("{error:#}"));
            }
            screen::sentence(&format!("All logs are in {}", folder.keep().display()));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Whether no rule is broken.
fn perform(arguments: &Arguments, folder: &TempDir, interrupt: &Interrupt) -> Result<bool> {
    let progress = Progress::new();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let how = if arguments.release { Build::Release } else { Build::Debug };
    let programs = cargo::build(&["edusync", "graph-simulator"], how)?;
    let tools = Tools::locate(&progress)?;
    interrupt.defer();
    screen::heading(&title(arguments));
    screen::sentence(&format!("Again: {}", command(arguments, seed)));
    screen::sentence(&format!("Logs while it runs: {}", folder.path().display()));
    screen::line("");
    let stage = Stage::start(&tools, &programs, folder.path(), interrupt, &progress)?;
    let mut run = Run::new(stage, arguments.profiles.into(), seed, interrupt, &progress);
    run.perform(Duration::from_mins(arguments.minutes.into()))?;
    let step = progress.step("Stopping everything");
    let (mut found, churn, faults) = run.end()?;
    step.done();
    let comparisons = compare(&mut found);
    let report = Report {
        title: title(arguments),
        command: command(arguments, seed),
        seed,
        broken: found.broken.iter().map(String::as_str).collect(),
        settled_in_seconds: &found.settled_in,
        comparisons: &comparisons,
        done: &churn.done,
        phases: &found.phases,
        incidents: &faults.incidents,
        samples: &found.samples,
    };
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| repository_root().join("target/soak").join(seed.to_string()));
    let picture = picture::write(&output, &report, &found)?;
    show(&report, &found);
    screen::sentence(&format!("The picture: {}", picture.display()));
    Ok(found.broken.is_empty())
}

fn title(arguments: &Arguments) -> String {
    format!(
        "edusync soak: {} profiles, {} tenants, {} min, {} build",
        arguments.profiles,
        TENANTS.len(),
        arguments.minutes,
        if arguments.release { "release" } else { "debug" }
    )
}

fn command(arguments: &Arguments, seed: u64) -> String {
    let release = if arguments.release { " --release" } else { "" };
    let (minutes, profiles) = (arguments.minutes, arguments.profiles);
    format!("cargo xtask soak --minutes {minutes} --profiles {profiles} --seed {seed}{release}")
}

/// Compares the last rest with the first; what has grown is a broken rule, and so is a run without two rests.
fn compare(found: &mut Found) -> Vec<Comparison> {
    let rests: Vec<Rest> = found.phases.iter().filter_map(|phase| phase.rest.clone()).collect();
    let (Some(first), Some(last)) = (rests.first(), rests.last()) else {
        if !found.was_interrupted {
            found.broken.insert("no rest could be measured: the operator changed during it".to_owned());
        }
        return Vec::new();
    };
    let comparisons = judge::compare(first, last);
    if first.process != last.process {
        found
            .broken
            .insert("the first and the last rest are of two processes: no leak would show".to_owned());
    }
    for one in comparisons.iter().filter(|one| !one.holds()) {
        found.broken.insert(format!(
            "{} at rest has grown from {:.1} to {:.1}; {:.1} are tolerated",
            one.figure, one.first, one.last, one.limit
        ));
    }
    comparisons
}

fn show(report: &Report<'_>, found: &Found) {
    screen::heading("What happened");
    for (name, count) in report.done {
        screen::answer(&format!("{count:>7}  {name}"));
    }
    screen::answer(&format!("{:>7}  faults", report.incidents.len()));
    screen::answer(&format!("{:>7}  calls of Graph by the operator", found.graph_calls));
    screen::answer(&format!("{:>7}  writes to Kubernetes by the operator", found.kubernetes_writes));
    let settled = found.settled_in.iter().map(|seconds| format!("{seconds:.0} s")).collect::<Vec<_>>();
    screen::line("");
    screen::sentence(&format!(
        "All was as it should be, each time trouble had ended, after {}",
        settled.join(", ")
    ));
    screen::heading("At rest");
    screen::answer(&format!("{:<32} {:>8} {:>8} {:>10}", "", "first", "last", "tolerated"));
    for one in report.comparisons {
        screen::answer(&format!(
            "{:<32} {:>8.1} {:>8.1} {:>10.1}",
            one.figure, one.first, one.last, one.limit
        ));
    }
    if report.comparisons.is_empty() {
        screen::sentence("Stopped before a rest: nothing is said of leaks.");
    }
    screen::heading("Rules");
    if report.broken.is_empty() {
        screen::held("no rule is broken");
    }
    for sentence in &report.broken {
        screen::labelled("✗ ", sentence);
    }
    screen::line("");
}
