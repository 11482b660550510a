//! One round: a world with so many profiles, and the scenarios in it, one after the other. What is common to them is here:
//! waiting, looking after the programs, applying.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use xtask::numbers::count;
use xtask::progress::{Progress, Step};
use xtask::timing::{self, Stopwatch};

use super::bare::Pattern;
use super::cpu::Spender;
use super::heap::Keeper;
use super::meter::Account;
use super::report::Figures;
use super::sampler::Sample;
use super::scenario::Scenario;
use super::shape::Shape;
use super::stage::Stage;
use super::{bare, calm, cpu, create, delete, hands, heap, trouble};
use crate::commands::interrupt::Interrupt;

const TICK: Duration = Duration::from_millis(20);
/// Longer than the fast poll: how long nobody must have written before a scenario is over, or the next one begins.
const QUIET: Duration = Duration::from_secs(6);
/// How long the empty cluster is looked at.
const EMPTY: Duration = Duration::from_secs(8);
/// How long anything may take at most. Only a defect takes longer.
const LIMIT: Duration = Duration::from_mins(30);

/// A round under way.
pub(super) struct Round<'a> {
    pub(super) stage: Stage,
    pub(super) shape: Shape,
    pub(super) progress: &'a Progress,
    interrupt: &'a Interrupt,
    /// How long a rest is measured.
    pub(super) rest: Duration,
    /// What the operator wrote for one profile, for the bare writer.
    pub(super) pattern: Option<Pattern>,
    /// While there was nothing in the cluster that concerns the operator.
    pub(super) empty: Vec<Sample>,
    /// How long all of a create took, until all were Ready, in seconds.
    pub(super) created_in: f64,
    /// Who keeps what memory, for the outcome of the scenario that counts it.
    pub(super) keepers: Vec<Keeper>,
    /// The same of what processor time is spent on.
    pub(super) spenders: Vec<Spender>,
}

/// What a scenario has found.
pub(super) struct Outcome {
    pub(super) scenario: Scenario,
    pub(super) figures: Figures,
    /// While it ran.
    pub(super) samples: Vec<Sample>,
    /// Calls to Graph in each second of it.
    pub(super) calls: Vec<u32>,
    /// Writes to Kubernetes in each second of it.
    pub(super) writes: Vec<u32>,
    /// Who keeps what memory, if that was counted.
    pub(super) keepers: Vec<Keeper>,
    /// On what processor time was spent, if that was counted.
    pub(super) spenders: Vec<Spender>,
    pub(super) seconds: f64,
}

impl<'a> Round<'a> {
    pub(super) fn new(
        stage: Stage,
        shape: Shape,
        rest: Duration,
        interrupt: &'a Interrupt,
        progress: &'a Progress,
    ) -> Self {
        Self {
            stage,
            shape,
            progress,
            interrupt,
            rest,
            pattern: None,
            empty: Vec::new(),
            created_in: 0.0,
            keepers: Vec::new(),
            spenders: Vec::new(),
        }
    }

    /// The scenarios that are wanted, in their order; `tell` takes each outcome as soon as it is there.
    pub(super) fn perform(
        &mut self,
        wanted: &[Scenario],
        tell: &mut dyn FnMut(Outcome) -> Result<()>,
    ) -> Result<()> {
        self.surround()?;
        let last = wanted.iter().max().copied().unwrap_or(Scenario::Idle);
        for scenario in [
            Scenario::Idle,
            Scenario::Create,
            Scenario::Rest,
            Scenario::Secrets,
            Scenario::Drift,
            Scenario::Throttle,
            Scenario::Away,
            Scenario::Restart,
            Scenario::Delete,
            Scenario::Bare,
        ] {
            // Without profiles there is nothing to measure later.
            let is_needed = scenario == Scenario::Create && last > Scenario::Create;
            if scenario > last || !(wanted.contains(&scenario) || is_needed) {
                continue;
            }
            let outcome = self.measure(scenario)?;
            // A bare client is compared with the create of its own run.
            let is_told = wanted.contains(&scenario)
                || (scenario == Scenario::Create && wanted.contains(&Scenario::Bare));
            if is_told {
                tell(outcome)?;
            }
        }
        Ok(())
    }

    /// One scenario in a world of its own, with the creation before it.
    pub(super) fn perform_apart(&mut self, scenario: Scenario) -> Result<Outcome> {
        self.surround()?;
        self.measure(scenario)
    }

    fn measure(&mut self, scenario: Scenario) -> Result<Outcome> {
        let (from, begun) = (self.stage.sampler.now(), timing::now());
        self.stage.meter.forget_before(begun)?;
        let figures = match scenario {
            Scenario::Idle => calm::idle(self),
            Scenario::Create => create::run(self),
            Scenario::Rest => calm::rest(self),
            Scenario::Secrets => calm::secrets(self),
            Scenario::Drift => trouble::drift(self),
            Scenario::Throttle => trouble::throttle(self),
            Scenario::Away => trouble::away(self),
            Scenario::Restart => calm::restart(self),
            Scenario::Delete => delete::run(self),
            Scenario::Bare => bare::run(self),
            Scenario::Follow => create::follow(self),
            Scenario::NoExpand => calm::no_expand(self),
            Scenario::Heap => heap::run(self),
            Scenario::Cpu => cpu::run(self),
        }?;
        let account = self.stage.meter.since(begun)?;
        let samples = self.stage.sampler.since(from);
        let samples = samples.iter().map(|one| Sample { seconds: one.seconds - from, ..*one });
        Ok(Outcome {
            scenario,
            figures,
            samples: samples.collect(),
            calls: per_second(begun, account.calls.iter().map(|call| call.answered)),
            writes: per_second(begun, account.writes().map(|entry| entry.time)),
            keepers: std::mem::take(&mut self.keepers),
            spenders: std::mem::take(&mut self.spenders),
            seconds: self.stage.sampler.now() - from,
        })
    }

    /// An operator, and namespaces with connections that it has seen.
    fn surround(&mut self) -> Result<()> {
        let [namespaces, inside] = self.shape.surroundings(&self.stage.simulator.url, &self.stage.graph_ca);
        let step = self.progress.step("The operator starts, in an empty cluster");
        self.stage.start_operator()?;
        let from = self.stage.sampler.now();
        self.pass(&step, EMPTY)?;
        self.empty = self.stage.sampler.since(from);
        step.done();
        let step = self.progress.step(format!("{} namespaces with connections", namespaces.len()));
        hands::apply(&self.stage.hands, &namespaces)?;
        hands::apply(&self.stage.hands, &inside)?;
        step.done();
        let step = self.progress.step("Every connection becomes Ready");
        let tenants = self.shape.tenants();
        self.until(&step, |round| {
            let ready = round.stage.connections.ready();
            (ready >= tenants, format!("{ready} of {tenants}"))
        })?;
        self.until_quiet(&step)?;
        step.done();
        Ok(())
    }

    /// Waits until this holds, and looks after the programs meanwhile.
    pub(super) fn until(
        &mut self,
        step: &Step,
        holds: impl FnMut(&mut Self) -> (bool, String),
    ) -> Result<()> {
        self.until_within(step, LIMIT, holds)
    }

    fn until_within(
        &mut self,
        step: &Step,
        limit: Duration,
        mut holds: impl FnMut(&mut Self) -> (bool, String),
    ) -> Result<()> {
        let watch = Stopwatch::start();
        let mut told = Stopwatch::start();
        loop {
            let (is_done, detail) = holds(self);
            if is_done {
                return Ok(());
            }
            if told.elapsed() > Duration::from_secs(1) {
                told = Stopwatch::start();
                step.tell(&detail);
                self.stage.check()?;
            }
            self.interrupt.check()?;
            if watch.elapsed() > limit {
                bail!("it does not end: {detail} after {} min", limit.as_secs() / 60);
            }
            thread::sleep(TICK);
        }
    }

    /// Waits so long.
    pub(super) fn pass(&mut self, step: &Step, length: Duration) -> Result<()> {
        let watch = Stopwatch::start();
        self.until_within(step, length + LIMIT, |_| {
            let left = length.saturating_sub(watch.elapsed());
            (left.is_zero(), format!("{} s left", left.as_secs() + 1))
        })
    }

    /// Waits until the operator has written nothing for a while.
    pub(super) fn until_quiet(&mut self, step: &Step) -> Result<()> {
        let begun = timing::now();
        let mut error = None;
        self.until(step, |round| {
            thread::sleep(QUIET / 3);
            match round.stage.meter.last_write() {
                Ok(last) => {
                    let since = last.unwrap_or(begun).max(begun);
                    let quiet = timing::now().duration_since(since).unsigned_abs();
                    (quiet >= QUIET, "until nobody writes".to_owned())
                }
                Err(failure) => {
                    error = Some(failure);
                    (true, String::new())
                }
            }
        })?;
        error.map_or(Ok(()), Err)
    }

    /// Waits until polls have found their slow pace: as many lists within a minute as there are tenants.
    pub(super) fn until_at_rest(&mut self, step: &Step) -> Result<()> {
        self.until_quiet(step)?;
        let begun = timing::now();
        let tenants = count(self.shape.tenants());
        let mut error = None;
        self.until(step, |round| {
            thread::sleep(Duration::from_secs(1));
            let minute = Duration::from_mins(1);
            let since = timing::now().checked_sub(minute).unwrap_or(begun);
            match round.stage.meter.lists_since(since) {
                Ok(lists) if since >= begun => {
                    (lists <= tenants * 1.05 + 1.0, format!("{lists} lists a minute"))
                }
                Ok(_) => (false, "a minute without changes".to_owned()),
                Err(failure) => {
                    error = Some(failure);
                    (true, String::new())
                }
            }
        })?;
        error.map_or(Ok(()), Err)
    }

    /// What has happened since this moment.
    pub(super) fn account(&mut self, from: Timestamp) -> Result<Account> {
        self.stage.meter.since(from)
    }
}

/// How many of these there are in each second since `begun`.
fn per_second(begun: Timestamp, times: impl Iterator<Item = Timestamp>) -> Vec<u32> {
    let mut by_second = BTreeMap::<usize, u32>::new();
    for time in times {
        let second = usize::try_from(time.duration_since(begun).as_secs()).unwrap_or_default();
        *by_second.entry(second).or_default() += 1;
    }
    let length = by_second.keys().last().map_or(0, |last| last + 1);
    (0..length).map(|second| by_second.get(&second).copied().unwrap_or_default()).collect()
}
