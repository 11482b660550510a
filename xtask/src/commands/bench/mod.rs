//! `cargo xtask bench`: what the operator costs, measured. Here: arguments, order, how it ends, what is printed.

mod bare;
mod calm;
mod cpu;
mod create;
mod delete;
mod figures;
mod goals;
mod hands;
mod heap;
mod meter;
mod micro;
mod page;
mod picture;
mod reckon;
mod report;
mod round;
mod sampler;
mod scenario;
mod shape;
mod spent;
mod stage;
mod trouble;
mod watch;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
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
use report::Run;
use round::{Outcome, Round};
use scenario::Scenario;
use shape::Shape;
use stage::{Behaviour, Paths, Stage};

/// Measures what the operator costs: calls, writes, memory, time.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// How many profiles there are; several numbers are several rounds
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 100, 1000],
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    profiles: Vec<u32>,
    /// How many of them are in one tenant; several numbers are several rounds
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [3, 300],
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_tenant: Vec<u32>,
    /// What is measured; left out, all but no-expand, heap and cpu. Later scenarios need the profiles that create makes, which
    /// then runs too, and bare the delete before it, if there is one
    #[arg(long = "scenario", value_name = "NAME", num_args = 1.., value_enum)]
    scenarios: Vec<Scenario>,
    /// How long a rest is measured, in seconds. Whole minutes, or the lists at its edges count for too much
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(60..))]
    rest: u32,
    /// Run the micro-benchmarks (`cargo bench`) too
    #[arg(long)]
    micro: bool,
    /// Measure nothing: write page and pictures anew from the reports that are there
    #[arg(long, conflicts_with_all = ["profiles", "per_tenant", "scenarios", "micro"])]
    draw: bool,
    /// The folder of the reports, the page (README.md) and the pictures
    #[arg(long, value_name = "FOLDER", default_value = "docs/benchmarks")]
    output: PathBuf,
}

/// What a round needs.
const PROGRAMS: [&str; 3] = ["edusync", "graph-simulator", "xtask"];

const HELP: &str = "\
Real are the operator (a release build with the rights that its chart gives it, and its default flags but for the guard
against many deletions) and the Kubernetes API server; Microsoft Graph is played by graph-simulator, over TLS.
The operator is not asked: calls are counted by the simulator's log, writes by the API server's audit log, memory and
processor time by the kernel. Times depend on the machine, so each stands beside that of a bare client which did the
same writes or POSTs in the same run.

Each round is a cluster of its own. Its scenarios run one after the other, in the order above, and take about 25 minutes
with up to 1,000 profiles: most of that is waiting for polls that are a minute apart. Close everything else meanwhile.

Reports are kept in the folder as soon as a scenario has ended, one JSON file for each shape. A later run replaces what
it measures and leaves the rest; page and pictures are made of all of them. Ctrl-C ends everything; what was measured
stays.

Examples:
  cargo xtask bench
  cargo xtask bench --profiles 1000 --per-tenant 3 --scenario create rest bare
  cargo xtask bench --profiles 10000
  cargo xtask bench --profiles 1000 --per-tenant 3 --scenario heap      # who keeps what memory
  cargo xtask bench --profiles 1000 --per-tenant 3 --scenario cpu       # on what processor time is spent; needs perf
  cargo xtask bench --draw
  CARGO_PROFILE_RELEASE_LTO=false cargo xtask bench --profiles 10 --output target/bench   # quick to build; the report says so";

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.draw {
        return draw(arguments);
    }
    if cfg!(debug_assertions) {
        return as_release();
    }
    let interrupt = Interrupt::install()?;
    let folder = TempDir::with_prefix("edusync-bench-").context("cannot create a temporary folder")?;
    match perform(arguments, &folder, &interrupt) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<interrupt::Interrupted>() => Ok(ExitCode::from(interrupt::EXIT_CODE)),
        Err(error) => {
            screen::heading("The benchmark has failed");
            screen::sentence(&format!("{error:#}"));
            screen::sentence(&format!("All logs are in {}", folder.keep().display()));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Becomes the optimized build of this program: a bare client that is slow itself would be no limit.
fn as_release() -> Result<ExitCode> {
    let programs = cargo::build(&PROGRAMS, Build::Release)?;
    let error = Command::new(programs.path("xtask")?).args(std::env::args_os().skip(1)).exec();
    Err(error).context("cannot run the release build of xtask")
}

fn perform(arguments: &Arguments, folder: &TempDir, interrupt: &Interrupt) -> Result<()> {
    let progress = Progress::new();
    let programs = Paths::of(&cargo::build(&PROGRAMS, Build::Release)?)?;
    let tools = Tools::locate(&progress)?;
    if arguments.scenarios.contains(&Scenario::Cpu) {
        cpu::check_tool()?;
    }
    interrupt.defer();
    let output = repository_root().join(&arguments.output);
    let mut wanted = arguments.scenarios.clone();
    if wanted.is_empty() {
        wanted = Scenario::usual();
    }
    for (number, shape) in (1..).zip(shapes(arguments)) {
        let begin = |name: &str, programs: &Paths, behaviour: Behaviour| {
            let folder = folder.path().join(format!("{number}-{name}"));
            std::fs::create_dir_all(&folder).context("cannot create a folder")?;
            let step = progress.step("Starting Kubernetes and graph-simulator");
            let stage = Stage::start(&tools, programs, &folder, &shape, behaviour, interrupt)?;
            step.done();
            let rest = Duration::from_secs(arguments.rest.into());
            anyhow::Ok(Round::new(stage, shape, rest, interrupt, &progress))
        };
        screen::heading(&shape.title());
        let run = Run { busy_before_percent: report::busy(), ..Run::now(&programs.operator)? };
        let mut tell = |outcome: Outcome| {
            show(&outcome);
            let build = [Some(run.build.as_str()), outcome.scenario.build()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", ");
            report::keep(&output, &shape, &Run { build, ..run.clone() }, outcome).map(drop)
        };
        let together: Vec<Scenario> = wanted.iter().copied().filter(|one| !one.is_apart()).collect();
        if !together.is_empty() {
            let mut round = begin("round", &programs, Behaviour::PROMPT)?;
            round.perform(&together, &mut tell)?;
            round.stage.stop()?;
        }
        for scenario in wanted.iter().copied().filter(|one| one.is_apart()) {
            let behaviour = match scenario {
                Scenario::Follow => Behaviour {
                    provisioning: create::SET_UP,
                    spread: create::SET_UP_SPREAD,
                    ..Behaviour::PROMPT
                },
                Scenario::NoExpand => Behaviour { expand: false, ..Behaviour::PROMPT },
                _ => Behaviour::PROMPT,
            };
            let mut programs = programs.clone();
            match scenario {
                Scenario::Heap => programs.operator = cargo::build_benchmark("edusync", "heap")?,
                Scenario::Cpu => {
                    programs.operator = folder.path().join("edusync-with-names");
                    cargo::build_with_names("edusync", &programs.operator)?;
                }
                _ => {}
            }
            let name = format!("{scenario:?}").to_lowercase();
            let mut round = begin(&name, &programs, behaviour)?;
            tell(round.perform_apart(scenario)?)?;
            round.stage.stop()?;
        }
    }
    if arguments.micro {
        micro::run(&output, Run::now(&programs.operator)?)?;
    }
    draw(arguments).map(drop)
}

/// Writes the page and the pictures.
fn draw(arguments: &Arguments) -> Result<ExitCode> {
    let page = page::write(&repository_root().join(&arguments.output))?;
    screen::line("");
    screen::sentence(&format!("The page: {}", page.display()));
    Ok(ExitCode::SUCCESS)
}

/// All combinations; those that come to the same are one.
fn shapes(arguments: &Arguments) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let size = |number: &u32| usize::try_from(*number).unwrap_or(usize::MAX);
    for profiles in arguments.profiles.iter().map(size) {
        for per_tenant in arguments.per_tenant.iter().map(size) {
            let shape = Shape { profiles, per_tenant };
            let is_same =
                |other: &Shape| other.profiles == profiles && other.tenants() == 1 && shape.tenants() == 1;
            if !shapes.iter().any(is_same) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

fn show(outcome: &Outcome) {
    let (title, figures) = figures::shown(outcome.scenario);
    screen::line("");
    screen::sentence(title);
    for figure in figures {
        if let Some(value) = outcome.figures.get(figure.name) {
            let shown = figures::number(*value, figure.digits);
            screen::answer(&format!("{:<58} {shown:>10} {}", figure.title, figure.unit));
        }
    }
    screen::line("");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn one_tenant_is_measured_once() {
        let line = Line::parse_from(["bench", "--profiles", "1", "100"]);
        let shapes: Vec<_> =
            shapes(&line.arguments).iter().map(|shape| (shape.profiles, shape.tenants())).collect();
        assert_eq!(shapes, [(1, 1), (100, 34), (100, 1)]);
    }
}
