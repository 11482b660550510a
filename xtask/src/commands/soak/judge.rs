//! Samples, what a rest comes to, and whether the last rest is as cheap as the first. Pure.
//!
//! The two are of one process, in one run, with the same number of resources: what differs is what happened in between.
//! So a ratio can be judged on any machine, where an amount could not.

use serde::Serialize;
use xtask::footprint::Footprint;
use xtask::numbers::{median, number};

/// How things stood at one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// Since the start.
    pub(super) seconds: f64,
    /// The operator that was measured.
    pub(super) process: u32,
    #[serde(flatten)]
    pub(super) footprint: Footprint,
    /// Calls of Graph by the operators, tokens among them, since the start.
    pub(super) graph_calls: u64,
    /// Writes to Kubernetes by the operators since the start, but for renewals of the lease.
    pub(super) kubernetes_writes: u64,
    pub(super) resources: usize,
    pub(super) ready: usize,
}

/// What a rest comes to: medians, and calls and writes over all of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rest {
    pub(super) process: u32,
    pub(super) resources: usize,
    pub(super) memory_mib: f64,
    pub(super) open_files: f64,
    pub(super) threads: f64,
    pub(super) graph_calls_per_minute: f64,
    pub(super) kubernetes_writes_per_minute: f64,
    /// Of one core.
    pub(super) cpu_percent: f64,
}

/// One figure, in the first and the last rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Comparison {
    pub(super) figure: &'static str,
    pub(super) first: f64,
    pub(super) last: f64,
    /// The last may be this high.
    pub(super) limit: f64,
}

impl Comparison {
    pub(super) fn holds(&self) -> bool {
        self.last <= self.limit
    }
}

/// A figure of a rest, and what it may be in the last one: so many times the first, and so much beside.
struct Figure {
    name: &'static str,
    of: fn(&Rest) -> f64,
    times: f64,
    more: f64,
}

/// What is compared. An allocator keeps some of what it was given, and how much depends on the order of events. After a
/// burst as many connections as passes at once (16) are kept open for a minute or two, which is longer than a rest. The
/// pool of threads for files and names has one more or less. A poll of each of three tenants may fall into a rest or
/// beside it. A leak grows with the churn: one file for each of some hundred changes and faults is beyond that.
const FIGURES: [Figure; 5] = [
    Figure { name: "memory (MiB)", of: |rest| rest.memory_mib, times: 1.15, more: 0.0 },
    Figure { name: "open files", of: |rest| rest.open_files, times: 1.0, more: 16.0 },
    Figure { name: "threads", of: |rest| rest.threads, times: 1.0, more: 2.0 },
    Figure { name: "Graph calls per minute", of: |rest| rest.graph_calls_per_minute, times: 1.1, more: 6.0 },
    Figure {
        name: "Kubernetes writes per minute",
        of: |rest| rest.kubernetes_writes_per_minute,
        times: 1.1,
        more: 6.0,
    },
];

/// What these samples come to. `None` if there are fewer than three, or if they are of several processes.
pub(super) fn rest(samples: &[Sample]) -> Option<Rest> {
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 3 || samples.iter().any(|sample| sample.process != first.process) {
        return None;
    }
    let minutes = (last.seconds - first.seconds) / 60.0;
    let rate = |of: fn(&Sample) -> u64| number(of(last).saturating_sub(of(first))) / minutes;
    let middle = |of: &dyn Fn(&Footprint) -> u64| {
        median(samples.iter().map(|sample| number(of(&sample.footprint))).collect())
    };
    Some(Rest {
        process: first.process,
        resources: last.resources,
        memory_mib: middle(&|footprint| footprint.memory_kib) / 1024.0,
        open_files: middle(&|footprint| u64::try_from(footprint.open_files).unwrap_or_default()),
        threads: middle(&|footprint| footprint.threads),
        graph_calls_per_minute: rate(|sample| sample.graph_calls),
        kubernetes_writes_per_minute: rate(|sample| sample.kubernetes_writes),
        cpu_percent: rate(|sample| sample.footprint.cpu_ms) / 600.0,
    })
}

/// Compares two rests.
pub(super) fn compare(first: &Rest, last: &Rest) -> Vec<Comparison> {
    let compare = |figure: Figure| {
        let (before, after) = ((figure.of)(first), (figure.of)(last));
        let limit = before * figure.times + figure.more;
        Comparison { figure: figure.name, first: before, last: after, limit }
    };
    FIGURES.map(compare).into()
}

/// Counts per minute over the seconds before each sample.
pub(super) fn rates(samples: &[Sample], of: impl Fn(&Sample) -> u64, window: f64) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut from = 0;
    for (place, sample) in samples.iter().enumerate() {
        let is_too_old =
            |from: usize| samples.get(from + 1).is_some_and(|next| sample.seconds - next.seconds >= window);
        while is_too_old(from) {
            from += 1;
        }
        let Some(earlier) = samples.get(from).filter(|_| from < place) else { continue };
        let minutes = (sample.seconds - earlier.seconds) / 60.0;
        points.push((sample.seconds, number(of(sample).saturating_sub(of(earlier))) / minutes));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample each two seconds: `leak` KiB more each, 60 calls a minute.
    fn samples(process: u32, memory_kib: u64, leak: u64) -> Vec<Sample> {
        let sample = |step: u32| Sample {
            seconds: f64::from(step) * 2.0,
            process,
            footprint: Footprint {
                memory_kib: memory_kib + leak * u64::from(step),
                private_kib: memory_kib,
                open_files: 20,
                threads: 5,
                cpu_ms: u64::from(step) * 20,
            },
            graph_calls: u64::from(step) * 2,
            kubernetes_writes: 7,
            resources: 60,
            ready: 60,
        };
        (0..=10).map(sample).collect()
    }

    #[test]
    fn a_rest_is_medians_and_rates() {
        let rest = rest(&samples(1, 51_200, 0)).unwrap();
        let expected = Rest {
            process: 1,
            resources: 60,
            memory_mib: 50.0,
            open_files: 20.0,
            threads: 5.0,
            graph_calls_per_minute: 60.0,
            kubernetes_writes_per_minute: 0.0,
            cpu_percent: 1.0,
        };
        assert_eq!(rest, expected);
    }

    #[test]
    fn two_processes_are_no_rest() {
        let mut both = samples(1, 51_200, 0);
        both.extend(samples(2, 51_200, 0));
        assert_eq!(rest(&both), None);
        assert_eq!(rest(&[]), None);
    }

    #[test]
    fn a_leak_is_found_and_what_stays_is_not_one() {
        let first = rest(&samples(1, 51_200, 0)).unwrap();
        let same = compare(&first, &rest(&samples(1, 53_000, 0)).unwrap());
        assert!(same.iter().all(Comparison::holds), "{same:?}");
        let leaked = compare(&first, &rest(&samples(1, 51_200, 2_000)).unwrap());
        let broken: Vec<_> = leaked.iter().filter(|one| !one.holds()).map(|one| one.figure).collect();
        assert_eq!(broken, ["memory (MiB)"]);
    }

    #[test]
    fn rates_are_of_a_sliding_window() {
        let rates = rates(&samples(1, 51_200, 0), |sample| sample.graph_calls, 10.0);
        assert_eq!(rates.first(), Some(&(2.0, 60.0)));
        assert_eq!(rates.last(), Some(&(20.0, 60.0)));
        assert_eq!(rates.len(), 10);
    }
}
