//! What a run has found, as a picture and as JSON. Pure, but for the files that are written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use xtask::chart::{Band, Chart, Lane, Line, Panel};
use xtask::numbers::{count, number};

use super::faults::{self, Incident};
use super::judge::{self, Comparison, Rest, Sample};
use super::run::{Found, Phase};

/// Counts per minute are of so many seconds before.
const WINDOW: f64 = 10.0;
/// More points than this no line has: the picture is not wider.
const MOST_POINTS: usize = 1_500;

/// Everything that is told of a run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    /// What was run: a line for people.
    pub(super) title: String,
    pub(super) command: String,
    pub(super) seed: u64,
    /// Rules that did not hold.
    pub(super) broken: Vec<&'a str>,
    pub(super) settled_in_seconds: &'a [f64],
    pub(super) comparisons: &'a [Comparison],
    pub(super) done: &'a BTreeMap<&'static str, u64>,
    pub(super) phases: &'a [Phase],
    pub(super) incidents: &'a [Incident],
    pub(super) samples: &'a [Sample],
}

/// Writes `soak.svg` and `soak.json` into the folder; where the picture is.
pub(super) fn write(folder: &Path, report: &Report<'_>, found: &Found) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let (picture, json) = (folder.join("soak.svg"), folder.join("soak.json"));
    let text = serde_json::to_string_pretty(report).context("the samples cannot be written as JSON")?;
    for (path, text) in [(&json, text), (&picture, chart(report, found).svg())] {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(picture)
}

fn chart(report: &Report<'_>, found: &Found) -> Chart {
    let every = report.samples.len() / MOST_POINTS + 1;
    let samples: &[Sample] = &report.samples.iter().step_by(every).cloned().collect::<Vec<_>>();
    let at_rest = |of: fn(&Rest) -> f64, unit: &str| {
        let rests = report.phases.iter().filter_map(|phase| Some((phase, phase.rest.as_ref()?)));
        let value = |(phase, rest): (&Phase, &Rest)| {
            (f64::midpoint(phase.from, phase.to), format!("{:.1}{unit}", of(rest)))
        };
        rests.map(value).collect::<Vec<_>>()
    };
    let memory = Panel {
        title: "Memory of the operator, resident; after a gap it is another process".to_owned(),
        unit: "MiB".to_owned(),
        lines: vec![line("", samples, &|sample| number(sample.footprint.memory_kib) / 1024.0)],
        values: at_rest(|rest| rest.memory_mib, " MiB"),
    };
    let files = Panel {
        title: "Open files and threads".to_owned(),
        unit: "number".to_owned(),
        lines: vec![
            line("open files", samples, &|sample| count(sample.footprint.open_files)),
            line("threads", samples, &|sample| number(sample.footprint.threads)),
        ],
        values: at_rest(|rest| rest.open_files, " files"),
    };
    let rate = |title: &str, of: fn(&Sample) -> u64, at_rest: Vec<(f64, String)>| Panel {
        title: title.to_owned(),
        unit: "per minute".to_owned(),
        lines: vec![Line { name: String::new(), pieces: vec![judge::rates(samples, of, WINDOW)] }],
        values: at_rest,
    };
    let calls = at_rest(|rest| rest.graph_calls_per_minute, " a minute");
    let writes = at_rest(|rest| rest.kubernetes_writes_per_minute, " a minute");
    let resources = Panel {
        title: "Resources".to_owned(),
        unit: "number".to_owned(),
        lines: vec![
            line("there", samples, &|sample| count(sample.resources)),
            line("at rest", samples, &|sample| count(sample.ready)),
        ],
        values: Vec::new(),
    };
    Chart {
        title: report.title.clone(),
        notes: vec![report.command.clone(), verdict(report, found)],
        seconds: found.seconds,
        bands: report.phases.iter().map(band).collect(),
        panels: vec![
            memory,
            files,
            rate("Graph calls", |sample| sample.graph_calls, calls),
            rate("Kubernetes writes, but for the lease", |sample| sample.kubernetes_writes, writes),
            resources,
        ],
        lanes: faults::Lane::ALL.map(|(lane, title)| events(report.incidents, lane, title)).into(),
    }
}

fn verdict(report: &Report<'_>, found: &Found) -> String {
    let changes: u64 = report.done.values().sum();
    let broken = match report.broken.len() {
        0 => "no rule broken".to_owned(),
        1 => "ONE RULE BROKEN".to_owned(),
        count => format!("{count} RULES BROKEN"),
    };
    let slowest = report.settled_in_seconds.iter().copied().fold(0.0, f64::max);
    format!(
        "{changes} changes by people, {} faults, {} calls of Graph, {} writes to Kubernetes; {broken}; at rest {slowest:.0} s after trouble at the latest",
        report.incidents.len(),
        found.graph_calls,
        found.kubernetes_writes,
    )
}

fn band(phase: &Phase) -> Band {
    let shaded = phase.name.starts_with("rest");
    Band { from: phase.from, to: phase.to, label: phase.name.clone(), shaded }
}

fn events(incidents: &[Incident], lane: faults::Lane, title: &str) -> Lane {
    let own = incidents.iter().filter(|incident| incident.lane == lane);
    Lane {
        title: title.to_owned(),
        events: own.map(|incident| (incident.from, incident.to, incident.what.clone())).collect(),
    }
}

/// A line with a gap where another process begins.
fn line(name: &str, samples: &[Sample], of: &dyn Fn(&Sample) -> f64) -> Line {
    let pieces = samples.chunk_by(|one, other| one.process == other.process);
    let points = |piece: &[Sample]| piece.iter().map(|sample| (sample.seconds, of(sample))).collect();
    Line { name: name.to_owned(), pieces: pieces.map(points).collect() }
}

#[cfg(test)]
mod tests {
    use xtask::footprint::Footprint;

    use super::*;
    use crate::commands::soak::faults::Lane as Place;

    fn sample(seconds: f64, process: u32) -> Sample {
        Sample {
            seconds,
            process,
            footprint: Footprint {
                memory_kib: 40 * 1024,
                private_kib: 30 * 1024,
                open_files: 20,
                threads: 4,
                cpu_ms: 0,
            },
            graph_calls: 0,
            kubernetes_writes: 0,
            resources: 9,
            ready: 9,
        }
    }

    #[test]
    fn a_run_becomes_a_picture_with_gaps_rests_and_faults() {
        let samples = [sample(0.0, 1), sample(2.0, 1), sample(6.0, 2), sample(8.0, 2), sample(10.0, 2)];
        let rest = judge::rest(&samples[2..]);
        let found = Found {
            phases: vec![Phase { name: "rest 1".to_owned(), from: 6.0, to: 10.0, rest }],
            seconds: 10.0,
            ..Found::default()
        };
        let incident = Incident { lane: Place::Operator, from: 2.0, to: 2.0, what: "SIGKILL".to_owned() };
        let report = Report {
            title: "a soak".to_owned(),
            command: "cargo xtask soak".to_owned(),
            seed: 7,
            broken: vec!["an orphan"],
            settled_in_seconds: &[4.0],
            comparisons: &[],
            done: &BTreeMap::new(),
            phases: &found.phases,
            incidents: &[incident],
            samples: &samples,
        };
        let folder = tempfile::tempdir().unwrap();
        let picture = write(&folder.path().join("new"), &report, &found).unwrap();
        let svg = fs::read_to_string(picture).unwrap();
        // Two for each of memory, files, threads and the two counts of resources; one for each rate.
        assert_eq!(svg.matches("<polyline").count(), 2 * 5 + 2, "{svg}");
        for text in ["ONE RULE BROKEN", ">40.0 MiB<", ">rest 1<", "<title>SIGKILL</title>"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        let json = fs::read_to_string(folder.path().join("new/soak.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["samples"][0]["memoryKib"], 40 * 1024);
    }
}
