//! `cargo xtask defects`: are the tests able to fail? Each deliberate defect of `tests/defects` is put into a copy of the
//! source, and the tests that it names must fail.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use xtask::defects::copy::Copy;
use xtask::defects::trial::{Ending, TestCommand};
use xtask::defects::{Defect, listed};
use xtask::progress::Progress;
use xtask::repository_root;
use xtask::timing::Stopwatch;

use crate::commands::screen::line;

/// Puts one deliberate defect of tests/defects after the other into a copy of the source, and sees that tests fail.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the defect of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only say which defects there are, and which tests have to catch them
    #[arg(long)]
    list: bool,
}

/// What came of one test of one defect, and how long it took to build and to run it.
struct Trial {
    test: TestCommand,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    /// The test failed, and said this.
    Caught(String),
    /// It did not fail, or nothing can be said.
    NotCaught(String),
}

/// Runs the subcommand. The code of the end is not zero if a defect was not caught.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut defects = listed(&repository_root())?;
    for name in &arguments.only {
        let is_listed = defects.iter().any(|defect| defect.name == *name);
        ensure!(
            is_listed,
            "there is no tests/defects/{name}.patch; `cargo xtask defects --list` says what there is"
        );
    }
    defects.retain(|defect| arguments.only.is_empty() || arguments.only.contains(&defect.name));
    if arguments.list {
        for defect in &defects {
            list(defect);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Said before anything is built.
    defects.iter().try_for_each(|defect| defect.check(&repository_root()))?;
    let (progress, watch) = (Progress::new(), Stopwatch::start());
    let copy = Copy::of(&repository_root())?;
    without_defect(&progress, &copy, &defects)?;
    let mut results = Vec::new();
    for defect in &defects {
        results.push((defect, try_out(&progress, &copy, defect)?));
    }
    let caught = results.iter().filter(|(_, trials)| is_caught(trials)).count();
    line("");
    for (defect, trials) in &results {
        tell(defect, trials);
    }
    line(&format!("{caught} of {} defects were caught, in {} s.", defects.len(), watch.elapsed().as_secs()));
    Ok(if caught == defects.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Without a defect the tests have to hold, or their failures say nothing.
fn without_defect(progress: &Progress, copy: &Copy, defects: &[Defect]) -> Result<()> {
    let tests: BTreeSet<&TestCommand> = defects.iter().flat_map(|defect| &defect.tests).collect();
    let step = progress.step(format!("{} tests without a defect", tests.len()));
    let log = copy.log("without-a-defect")?;
    for test in tests {
        let ending = test.run(copy, &log)?;
        ensure!(
            ending == Ending::Passed,
            "without any defect, `{test}` {}: mend that first; see {}",
            said_of(&ending),
            log.display()
        );
    }
    step.done();
    Ok(())
}

fn try_out(progress: &Progress, copy: &Copy, defect: &Defect) -> Result<Vec<Trial>> {
    let step = progress.step(format!("defect {}", defect.name));
    let log = copy.log(&defect.name)?;
    let _defective = copy.with(defect)?;
    let mut trials = Vec::new();
    for test in &defect.tests {
        let watch = Stopwatch::start();
        let outcome = match test.run(copy, &log)? {
            Ending::Failed(said) => Outcome::Caught(said),
            ending => Outcome::NotCaught(format!("{}; see {}", said_of(&ending), log.display())),
        };
        trials.push(Trial { test: test.clone(), outcome, took: watch.elapsed() });
    }
    if is_caught(&trials) {
        step.done();
    }
    Ok(trials)
}

fn is_caught(trials: &[Trial]) -> bool {
    trials.iter().all(|trial| matches!(trial.outcome, Outcome::Caught(_)))
}

fn said_of(ending: &Ending) -> &str {
    match ending {
        Ending::Passed => "passes",
        Ending::Failed(_) => "fails",
        Ending::NotBuilt => "does not compile",
        Ending::Other(what) => what,
    }
}

fn list(defect: &Defect) {
    line(&format!("{}\n  {}", defect.name, defect.what));
    for test in &defect.tests {
        line(&format!("    {test}"));
    }
}

fn tell(defect: &Defect, trials: &[Trial]) {
    line(&format!("{}\n  {}", defect.name, defect.what));
    for Trial { test, outcome, took } in trials {
        let (mark, said) = match outcome {
            Outcome::Caught(said) => ('✓', said),
            Outcome::NotCaught(why) => ('✗', why),
        };
        // What an assertion says may be a whole story.
        let said: String = said.chars().take(MOST_SAID).collect();
        line(&format!("  {mark} {test} ({} s)\n      {said}", took.as_secs()));
    }
    line("");
}

/// So many characters of an assertion are shown.
const MOST_SAID: usize = 160;
