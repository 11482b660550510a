//! One run: stretches of trouble, and rests between them. It lets people and faults do their part, looks, counts and
//! samples; what is wrong is `rules`' to say, and what a rest comes to `judge`'s.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use serde::Deserialize;
use xtask::audit;
use xtask::follow::Follow;
use xtask::progress::{Progress, Step};
use xtask::timing::Stopwatch;

use super::churn::{Churn, Hands};
use super::faults::{Faults, Lane, Severity};
use super::judge::{self, Rest, Sample};
use super::rules::{self, Deletions};
use super::stage::{Ended, Signal, Stage};
use super::world::{Standing, World};
use super::{SETTLE_LIMIT, manifests};
use crate::commands::interrupt::Interrupt;
use crate::commands::parts::OPERATOR;
use crate::commands::portal;

const TICK: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// Between two things that people do, and between two faults; in milliseconds.
const CHURN_EVERY: std::ops::Range<u64> = 150..900;
const FAULT_EVERY: std::ops::Range<u64> = 2_000..7_000;
/// How long all must have been as it should be before a rest is measured: polls have found their slow pace by then.
const CALM: Duration = Duration::from_secs(20);
/// A rest is not shorter, however short the run is: polls are five seconds apart.
const SHORTEST_REST: Duration = Duration::from_secs(30);

/// A stretch of the run. In seconds since the start.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) from: f64,
    pub(super) to: f64,
    /// What it came to, if it was a rest.
    pub(super) rest: Option<Rest>,
}

/// A run under way, and what it has found.
pub(super) struct Run<'a> {
    stage: Stage,
    world: World,
    churn: Churn,
    faults: Faults,
    deletions: Deletions,
    interrupt: &'a Interrupt,
    progress: &'a Progress,
    rng: Rng,
    clock: Stopwatch,
    next_churn: Duration,
    next_fault: Duration,
    next_look: Duration,
    next_sample: Duration,
    graph_log: Follow,
    audit_log: Follow,
    /// Whether an operator that ends by itself has done wrong.
    one_life: bool,
    calm_since: Option<Duration>,
    found: Found,
}

/// What a run has found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) broken: BTreeSet<String>,
    pub(super) samples: Vec<Sample>,
    pub(super) phases: Vec<Phase>,
    /// How long it took until all was as it should be, after each stretch of trouble; in seconds.
    pub(super) settled_in: Vec<f64>,
    pub(super) graph_calls: u64,
    pub(super) kubernetes_writes: u64,
    pub(super) seconds: f64,
    pub(super) was_interrupted: bool,
}

/// A request in the simulator's log.
#[derive(Deserialize)]
struct Call {
    method: String,
    path: String,
    client_request_id: Option<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        stage: Stage,
        resources: usize,
        seed: u64,
        interrupt: &'a Interrupt,
        progress: &'a Progress,
    ) -> Self {
        let graph_url = format!("https://{}", stage.graph_wire.address());
        let mut world = World::new(resources);
        for object in manifests::surroundings(&graph_url, &stage.graph_ca) {
            world.wish(object);
        }
        Self {
            graph_log: Follow::new(stage.simulator_log()),
            audit_log: Follow::new(stage.audit_log()),
            stage,
            world,
            churn: Churn::new(seed, &graph_url),
            faults: Faults::new(seed.wrapping_add(1)),
            deletions: Deletions::default(),
            interrupt,
            progress,
            rng: Rng::with_seed(seed.wrapping_add(2)),
            clock: Stopwatch::start(),
            next_churn: Duration::ZERO,
            next_fault: Duration::ZERO,
            next_look: Duration::ZERO,
            next_sample: Duration::ZERO,
            one_life: false,
            calm_since: None,
            found: Found::default(),
        }
    }

    /// Everything, in its order. `length` is shared out among the stretches; what it takes to settle comes on top.
    ///
    /// # Errors
    ///
    /// When one of the programs around the operator fails: then nothing is proven.
    pub(super) fn perform(&mut self, length: Duration) -> Result<()> {
        self.settle("All resources are created")?;
        self.trouble("crashes", length.mul_f64(0.20), Severity::Storm)?;
        self.settle("Settling after the crashes")?;
        self.change_operator()?;
        self.trouble("warm-up", length.mul_f64(0.15), Severity::Network)?;
        self.rest("rest 1", length.mul_f64(0.09))?;
        self.trouble("churn 1", length.mul_f64(0.19), Severity::Network)?;
        self.rest("rest 2", length.mul_f64(0.09))?;
        self.trouble("churn 2", length.mul_f64(0.19), Severity::Network)?;
        self.rest("rest 3", length.mul_f64(0.09))?;
        if self.interrupt.asked() {
            self.settle("Stopped early: settling before the evaluation")?;
        }
        self.found.broken.extend(self.deletions.judge(true));
        self.found.seconds = self.clock.elapsed().as_secs_f64();
        self.found.was_interrupted = self.interrupt.asked();
        Ok(())
    }

    /// Ends all programs: what was found, what people did, what went wrong.
    pub(super) fn end(self) -> Result<(Found, Churn, Faults)> {
        self.stage.stop()?;
        Ok((self.found, self.churn, self.faults))
    }

    /// People are busy, and things go wrong.
    fn trouble(&mut self, name: &str, length: Duration, severity: Severity) -> Result<()> {
        if self.interrupt.asked() {
            return Ok(());
        }
        let step = self.progress.step(format!("{name}: churn and faults for {} s", length.as_secs()));
        let begin = self.clock.elapsed();
        self.ticks(length, &step, Some(severity))?;
        self.faults.end_all(&mut self.stage)?;
        self.note_phase(name, begin, None);
        step.done();
        Ok(())
    }

    /// No faults, all resources, and nobody changes anything: waits until all is as it should be.
    fn settle(&mut self, what: &str) -> Result<()> {
        let step = self.progress.step(what);
        let begin = self.clock.elapsed();
        self.calm_since = None;
        while self.calm_since.is_none() && self.clock.elapsed() < begin + SETTLE_LIMIT {
            self.churn.level(&mut hands(&mut self.world, &self.stage, &mut self.deletions, begin));
            self.tick(&step, None)?;
        }
        if self.calm_since.is_none() {
            let late = rules::at_rest(&self.world);
            let limit = SETTLE_LIMIT.as_secs();
            self.found
                .broken
                .extend(late.into_iter().map(|it| format!("{limit} s after trouble ended: {it}")));
        }
        self.found.settled_in.push(self.clock.elapsed().saturating_sub(begin).as_secs_f64());
        step.done();
        Ok(())
    }

    /// A fresh operator takes over, and lives to the end.
    fn change_operator(&mut self) -> Result<()> {
        if self.interrupt.asked() {
            return Ok(());
        }
        self.stage.signal_oldest(Signal::Terminate)?;
        self.faults.note(Lane::Operator, self.clock.elapsed(), 0, "SIGTERM: a fresh one lives to the end");
        let step = self.progress.step("A fresh operator takes over");
        let begin = self.clock.elapsed();
        while self.clock.elapsed() < begin + CALM {
            self.tick(&step, None)?;
        }
        step.done();
        self.one_life = true;
        Ok(())
    }

    /// Nothing is done but measured.
    fn rest(&mut self, name: &str, length: Duration) -> Result<()> {
        if self.interrupt.asked() {
            return Ok(());
        }
        self.settle(&format!("Settling before {name}"))?;
        let length = length.max(SHORTEST_REST);
        let step = self.progress.step(format!("{name}: nobody changes anything for {} s", length.as_secs()));
        self.ticks(CALM, &step, None)?;
        let begin = self.clock.elapsed();
        let first = self.found.samples.len();
        self.ticks(length, &step, None)?;
        if !self.interrupt.asked() {
            self.found.broken.extend(rules::at_rest(&self.world));
            let rest = self.found.samples.get(first..).and_then(judge::rest);
            self.note_phase(name, begin, rest);
        }
        step.done();
        Ok(())
    }

    fn note_phase(&mut self, name: &str, begin: Duration, rest: Option<Rest>) {
        let (from, to) = (begin.as_secs_f64(), self.clock.elapsed().as_secs_f64());
        self.found.phases.push(Phase { name: name.to_owned(), from, to, rest });
    }

    /// For so long, unless somebody asks for an end.
    fn ticks(&mut self, length: Duration, step: &Step, severity: Option<Severity>) -> Result<()> {
        let end = self.clock.elapsed() + length;
        while self.clock.elapsed() < end && !self.interrupt.asked() {
            self.tick(step, severity)?;
        }
        Ok(())
    }

    /// Everything that is due now.
    fn tick(&mut self, step: &Step, severity: Option<Severity>) -> Result<()> {
        let now = self.clock.elapsed();
        if let Some(severity) = severity {
            if now >= self.next_churn {
                self.churn.step(&mut hands(&mut self.world, &self.stage, &mut self.deletions, now));
                self.next_churn = now + Duration::from_millis(self.rng.u64(CHURN_EVERY));
            }
            if now >= self.next_fault {
                self.faults.step(&mut self.stage, severity, now)?;
                self.next_fault = now + Duration::from_millis(self.rng.u64(FAULT_EVERY));
            }
        }
        self.faults.end_what_is_over(&mut self.stage, now)?;
        self.world.deliver(&self.stage)?;
        for ended in self.stage.look_after()? {
            self.judge_end(&ended, now);
        }
        if now >= self.next_look {
            self.next_look = now + LOOK_EVERY;
            self.look(now)?;
        }
        if now >= self.next_sample {
            self.next_sample = now + SAMPLE_EVERY;
            self.sample(now)?;
            step.tell(&self.standing());
        }
        thread::sleep(TICK);
        Ok(())
    }

    fn look(&mut self, now: Duration) -> Result<()> {
        if !self.world.look(&self.stage)? {
            self.calm_since = None;
            return Ok(());
        }
        self.deletions.saw(&self.world.profiles);
        self.found.broken.extend(rules::always(&self.world));
        self.found.broken.extend(self.deletions.judge(false));
        let is_full = self.world.slots.iter().all(|slot| slot.wish.is_some());
        let is_calm = is_full && self.world.is_delivered() && rules::at_rest(&self.world).is_empty();
        self.calm_since = if is_calm { self.calm_since.or(Some(now)) } else { None };
        Ok(())
    }

    fn sample(&mut self, now: Duration) -> Result<()> {
        self.count()?;
        // Between the end of one operator and the start of the next there is nothing to measure.
        if let Some((process, footprint)) = self.stage.footprint() {
            let resources = self.world.resources.values();
            self.found.samples.push(Sample {
                seconds: now.as_secs_f64(),
                process,
                footprint,
                graph_calls: self.found.graph_calls,
                kubernetes_writes: self.found.kubernetes_writes,
                resources: self.world.resources.len(),
                ready: resources.filter(|resource| resource.is_at_rest()).count(),
            });
        }
        Ok(())
    }

    /// Reads what both servers have written down.
    fn count(&mut self) -> Result<()> {
        for line in self.graph_log.news()?.lines() {
            // Other lines tell of the simulator itself.
            let Ok(call) = serde_json::from_str::<Call>(line) else { continue };
            if call.client_request_id.as_deref() == Some(portal::MARK) {
                continue;
            }
            self.found.graph_calls += 1;
            if call.method == "DELETE"
                && let Some((_, id)) = call.path.rsplit_once('/')
            {
                self.deletions.sent(id.to_owned());
            }
        }
        let entries = audit::parse(&self.audit_log.news()?)?;
        let is_own =
            |entry: &&audit::Entry| entry.user == OPERATOR && entry.is_write() && entry.resource != "leases";
        self.found.kubernetes_writes += u64::try_from(entries.iter().filter(is_own).count())?;
        Ok(())
    }

    fn judge_end(&mut self, ended: &Ended, now: Duration) {
        let code = ended.code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        if !ended.was_asked {
            self.faults.note(Lane::Operator, now, 0, &format!("ended by itself, {code}"));
        }
        let has_panicked = ended.code == Some(101);
        if has_panicked || (self.one_life && !ended.was_asked) {
            self.found.broken.insert(format!(
                "the operator (process {}) ended by itself with {code}, {} s after the start",
                ended.process,
                now.as_secs()
            ));
        }
    }

    fn standing(&self) -> String {
        let there = self.world.slots.iter().filter(|slot| slot.standing == Standing::There).count();
        let ready = self.found.samples.last().map_or(0, |sample| sample.ready);
        let changes: u64 = self.churn.done.values().sum();
        format!(
            "{ready} of {there} resources at rest, {changes} changes, {} faults, {} rules broken",
            self.faults.incidents.len(),
            self.found.broken.len()
        )
    }
}

/// Both hands of people, without what else a run has.
fn hands<'a>(
    world: &'a mut World,
    stage: &'a Stage,
    deletions: &'a mut Deletions,
    now: Duration,
) -> Hands<'a> {
    Hands { world, stage, deletions, now }
}
