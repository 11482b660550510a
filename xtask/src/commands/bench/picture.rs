//! A round as a picture: what the operator took and did, second by second, scenario after scenario. Pure.

use std::collections::BTreeSet;

use xtask::chart::{Band, Chart, Line, Panel};

use super::report::{Record, Report};
use super::scenario::Scenario;

/// Rates are of so many seconds.
const WINDOW: usize = 5;

/// The picture of a shape.
pub(super) fn draw(report: &Report) -> Chart {
    // In the order in which they ran; what ran apart has a clock of its own, and comes last.
    let mut begin = 0.0;
    let (mut bands, mut memory, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let (mut calls, mut writes) = (Vec::new(), Vec::new());
    for (scenario, record) in shown(report) {
        let place = |seconds: f64| begin + seconds;
        bands.push(Band {
            from: begin,
            to: place(record.seconds),
            label: scenario.letter().to_string(),
            shaded: scenario == Scenario::Rest,
        });
        let pieces = record.samples.chunk_by(|one, other| one.process == other.process);
        for piece in pieces {
            memory.push(piece.iter().map(|sample| (place(sample.seconds), sample.memory_mib)).collect());
            cpu.push(cpu_line(piece, begin));
        }
        calls.push(rate(&record.calls_per_second, record.seconds, begin));
        writes.push(rate(&record.writes_per_second, record.seconds, begin));
        begin += record.seconds;
    }
    let panel = |title: &str, unit: &str, pieces: Vec<Vec<(f64, f64)>>| Panel {
        title: title.to_owned(),
        unit: unit.to_owned(),
        lines: vec![Line { name: String::new(), pieces }],
        values: Vec::new(),
    };
    let runs: BTreeSet<String> = shown(report).map(|(_, record)| super::page::machine(&record.run)).collect();
    Chart {
        title: format!("edusync: {}", report.shape.title()),
        notes: runs.into_iter().collect(),
        seconds: begin,
        bands,
        panels: vec![
            panel("Memory of the operator, resident", "MiB", memory),
            panel("Processor time of the operator", "% of a core", cpu),
            panel("Calls of Graph and of the token service", "per second", calls),
            panel("Kubernetes writes, but for the lease", "per second", writes),
        ],
        lanes: Vec::new(),
    }
}

/// What is in the picture: another build of the operator is another program.
pub(super) fn shown(report: &Report) -> impl Iterator<Item = (Scenario, &Record)> {
    let all = report.scenarios.iter().map(|(scenario, record)| (*scenario, record));
    all.filter(|(scenario, _)| scenario.build().is_none())
}

fn cpu_line(piece: &[super::sampler::Sample], begin: f64) -> Vec<(f64, f64)> {
    let windows = piece.windows(WINDOW + 1);
    let share = |window: &[super::sampler::Sample]| {
        Some((begin + window.last()?.seconds, super::sampler::cpu_percent(window)))
    };
    windows.filter_map(share).collect()
}

/// The mean of some seconds, to the end of the scenario.
fn rate(per_second: &[u32], seconds: f64, begin: f64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut second = 0_usize;
    while xtask::numbers::count(second) < seconds {
        let first = second.saturating_sub(WINDOW - 1);
        let window = (first..=second).map(|at| per_second.get(at).copied().unwrap_or_default());
        let sum: u32 = window.sum();
        let at = begin + xtask::numbers::count(second);
        points.push((at, f64::from(sum) / xtask::numbers::count(second - first + 1)));
        second += 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_means_and_reach_the_end() {
        let points = rate(&[10, 0, 5], 8.0, 100.0);
        assert_eq!(points.len(), 8);
        assert_eq!(points[0], (100.0, 10.0));
        assert_eq!(points[4], (104.0, 3.0), "15 in five seconds");
        assert_eq!(points[7], (107.0, 0.0));
    }
}
