//! What a round has found, as it is kept: one JSON file for each shape, a record for each scenario. A run of some scenarios
//! replaces their records and leaves the others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use xtask::control_plane::output_of;
use xtask::numbers::number;
use xtask::timing;

use super::cpu::Spender;
use super::heap::Keeper;
use super::round::Outcome;
use super::sampler::Sample;
use super::scenario::Scenario;
use super::shape::Shape;

/// How long the processors are looked at before a round.
const LOOK: Duration = Duration::from_secs(3);

/// Numbers by name; what they mean is in `figures`.
pub(super) type Figures = BTreeMap<&'static str, f64>;

/// All that is known of one shape.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) shape: Shape,
    pub(super) scenarios: BTreeMap<Scenario, Record>,
}

/// What one scenario has found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) run: Run,
    pub(super) figures: BTreeMap<String, f64>,
    pub(super) seconds: f64,
    pub(super) samples: Vec<Sample>,
    pub(super) calls_per_second: Vec<u32>,
    pub(super) writes_per_second: Vec<u32>,
    /// Who keeps what memory, most first, where that was counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) keepers: Vec<Keeper>,
    /// On what processor time was spent, most first, where that was counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) spenders: Vec<Spender>,
}

/// When, of what and on what it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) date: String,
    pub(super) commit: String,
    pub(super) build: String,
    pub(super) binary_mib: f64,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    /// What all processors together did in the seconds before, in percent of what they can. Older reports do not know.
    #[serde(default)]
    pub(super) busy_before_percent: Option<f64>,
}

impl Run {
    /// As it is now, with this operator.
    pub(super) fn now(operator: &Path) -> Result<Self> {
        let size = fs::metadata(operator).with_context(|| format!("cannot read {}", operator.display()))?;
        let cpu = read("/proc/cpuinfo");
        let of_cpu = |name: &str| cpu.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
        let memory = read("/proc/meminfo");
        let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        Ok(Self {
            date: timing::now().strftime("%Y-%m-%d").to_string(),
            commit: commit(),
            build: build(),
            binary_mib: rounded(number(size.len()) / 1_048_576.0),
            processor: of_cpu("model name").map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: rounded(number(kib) / 1_048_576.0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            busy_before_percent: None,
        })
    }
}

/// What all processors do now, looked at for a while, in percent of what they can.
pub(super) fn busy() -> Option<f64> {
    let before = spent(&read("/proc/stat"))?;
    thread::sleep(LOOK);
    let after = spent(&read("/proc/stat"))?;
    let all = after.0.saturating_sub(before.0);
    (all > 0).then(|| rounded(100.0 - number(after.1.saturating_sub(before.1)) / number(all) * 100.0))
}

/// All time of all processors since the start of the machine, and what of it was idle or waited for a disk, in ticks: the
/// first line of `/proc/stat`.
fn spent(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // Behind the first eight stands what is in them already.
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((ticks.iter().sum(), idle))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The commit that is checked out, and whether more was changed than what a benchmark writes.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        output_of(command.args(arguments).current_dir(xtask::repository_root()))
    };
    let Ok(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain", "--", ":!docs/benchmarks"]).unwrap_or_default();
    let more = if changed.trim().is_empty() { "" } else { ", with changes" };
    format!("{}{more}", commit.trim())
}

/// How the operator was built: the release profile, unless the environment says something else.
fn build() -> String {
    match std::env::var("CARGO_PROFILE_RELEASE_LTO") {
        Ok(lto) => format!("release, lto={lto}"),
        Err(_) => "release".to_owned(),
    }
}

/// Three decimals: a file that people compare should not differ in noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Adds an outcome to the report of its shape.
pub(super) fn keep(folder: &Path, shape: &Shape, run: &Run, outcome: Outcome) -> Result<Report> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join(shape.file("json"));
    let mut report =
        if path.exists() { load(&path)? } else { Report { shape: *shape, scenarios: BTreeMap::new() } };
    let figures = outcome.figures.iter().map(|(name, value)| ((*name).to_owned(), rounded(*value)));
    let samples = outcome.samples.iter().map(|sample| Sample {
        seconds: rounded(sample.seconds),
        memory_mib: rounded(sample.memory_mib),
        private_mib: rounded(sample.private_mib),
        ..*sample
    });
    let record = Record {
        run: run.clone(),
        figures: figures.collect(),
        seconds: rounded(outcome.seconds),
        samples: samples.collect(),
        calls_per_second: outcome.calls,
        writes_per_second: outcome.writes,
        keepers: outcome.keepers,
        spenders: outcome.spenders,
    };
    if outcome.scenario == Scenario::Create {
        // It is compared with a create of its own run.
        report.scenarios.remove(&Scenario::Bare);
    }
    report.scenarios.insert(outcome.scenario, record);
    let text = serde_json::to_string(&report).context("a report cannot be written as JSON")?;
    fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(report)
}

fn load(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut report: Report = serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of a benchmark", path.display()))?;
    let run_of = |scenario| Some(&report.scenarios.get(&scenario)?.run);
    if run_of(Scenario::Bare) != run_of(Scenario::Create) {
        report.scenarios.remove(&Scenario::Bare);
    }
    Ok(report)
}

/// All reports in a folder, smallest shape first.
pub(super) fn all(folder: &Path) -> Result<Vec<Report>> {
    let context = || format!("cannot read the folder {}", folder.display());
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_shape = name.starts_with(|first: char| first.is_ascii_digit());
        if is_shape && path.extension().is_some_and(|extension| extension == "json") {
            reports.push(load(&path)?);
        }
    }
    reports.sort_by_key(|report| (report.shape.profiles, report.shape.per_tenant));
    Ok(reports)
}

impl Report {
    /// A figure, if it was measured.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        self.scenarios.values().find_map(|record| record.figures.get(name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(scenario: Scenario, value: f64) -> Outcome {
        let figures = Figures::from([("rest.cpu_percent", value)]);
        let (samples, calls, writes, keepers) = (Vec::new(), vec![1], vec![2], Vec::new());
        Outcome { scenario, figures, samples, calls, writes, keepers, spenders: Vec::new(), seconds: 1.0 }
    }

    #[test]
    fn what_processors_do_is_read() {
        let stat = "cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(spent(stat), Some((1000, 850)));
        assert_eq!(spent(""), None);
    }

    #[test]
    fn a_second_run_replaces_what_it_measured_and_leaves_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { profiles: 100, per_tenant: 3 };
        let run = Run::now(&std::env::current_exe().unwrap()).unwrap();
        assert!(run.cores > 0 && run.binary_mib > 0.0 && run.memory_gib > 0.0, "{run:?}");
        for one in
            [outcome(Scenario::Create, 1.0), outcome(Scenario::Rest, 2.0), outcome(Scenario::Rest, 3.0)]
        {
            keep(folder.path(), &shape, &run, one).unwrap();
        }
        let reports = all(folder.path()).unwrap();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].scenarios.len(), 2);
        let rest = &reports[0].scenarios[&Scenario::Rest];
        assert!((rest.figures["rest.cpu_percent"] - 3.0).abs() < 1e-9);
        assert_eq!(reports[0].shape, shape);
    }

    #[test]
    fn a_bare_client_is_compared_with_a_create_of_its_own_run() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { profiles: 100, per_tenant: 3 };
        let run = Run::now(&std::env::current_exe().unwrap()).unwrap();
        let keep = |scenario, run: &Run| {
            let report = keep(folder.path(), &shape, run, outcome(scenario, 1.0)).unwrap();
            report.scenarios.contains_key(&Scenario::Bare)
        };
        keep(Scenario::Create, &run);
        assert!(keep(Scenario::Bare, &run));
        assert!(keep(Scenario::Rest, &run));
        assert!(!keep(Scenario::Create, &run), "another create");
        let other = Run { commit: "another".to_owned(), ..run };
        keep(Scenario::Bare, &other);
        assert!(!all(folder.path()).unwrap()[0].scenarios.contains_key(&Scenario::Bare));
    }
}
