//! From what was measured to what was not: how memory and processor time grow, and what a larger fleet would take. Pure.

use xtask::numbers::count;

use super::report::Report;
use super::shape::Shape;

/// What one more of each takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Memory of an operator that has nothing to do, in MiB.
    pub(super) base_mib: f64,
    /// Processor time of the same, in percent of a core.
    pub(super) base_cpu_percent: f64,
    pub(super) kib_per_profile: f64,
    /// A tenant, with its connection.
    pub(super) kib_per_tenant: f64,
    /// Processor time of a list, however long it is, in milliseconds.
    pub(super) ms_per_list: f64,
    /// And of each profile on it, in microseconds.
    pub(super) us_per_profile: f64,
}

/// One operator's part of a fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) memory_mib: f64,
    pub(super) cpu_percent: f64,
    pub(super) calls_per_second: f64,
}

/// Fewer profiles say nothing of a hundred thousand: what they take is less than what differs between two runs.
const LEAST: usize = 1_000;

/// Profiles on one page of a list, as the simulator has it.
const PAGE: usize = 100;

/// Calls for one list of so many profiles.
pub(super) fn pages(per_tenant: usize) -> usize {
    per_tenant.div_ceil(PAGE).max(1)
}

/// From the largest shapes with small and with large tenants, and the smallest of all. None while they are not there.
pub(super) fn growth(reports: &[Report]) -> Option<Growth> {
    let base_cpu_percent = reports
        .iter()
        .filter_map(|one| one.figure("idle.cpu_percent"))
        .min_by(f64::total_cmp)
        .unwrap_or_default();
    let measured: Vec<(Shape, f64, f64)> = reports
        .iter()
        .filter_map(|one| {
            let cpu = one.figure("rest.cpu_percent")? - base_cpu_percent;
            Some((one.shape, one.figure("rest.memory_mib")?, cpu))
        })
        .collect();
    let large_of = |small: &(Shape, f64, f64)| {
        let same = measured.iter().filter(|one| one.0.per_tenant > 3 && one.0.profiles == small.0.profiles);
        same.max_by_key(|one| one.0.per_tenant).copied()
    };
    let is_large = |one: &&(Shape, f64, f64)| one.0.per_tenant == 3 && one.0.profiles >= LEAST;
    let both = measured.iter().filter(is_large);
    let both = both.filter_map(|small| Some((*small, large_of(small)?)));
    let (small, large) = &both.max_by_key(|(small, _)| small.0.profiles)?;
    let least =
        measured.iter().filter(|one| one.0.profiles < large.0.profiles).min_by_key(|one| one.0.profiles)?;
    let tenants = |one: &(Shape, f64, f64)| count(one.0.tenants());
    let profiles = |one: &(Shape, f64, f64)| count(one.0.profiles);
    let per_tenant = (small.1 - large.1) / (tenants(small) - tenants(large));
    let more = large.1 - least.1 - per_tenant * (tenants(large) - tenants(least));
    let per_profile = more / (profiles(large) - profiles(least));
    // Each is listed once a minute: percent of a core over a minute is 600 ms.
    let ms = |one: &(Shape, f64, f64)| one.2 * 600.0;
    let per_list = (ms(small) - ms(large)) / (tenants(small) - tenants(large));
    let per_listed = (ms(large) - per_list * tenants(large)) / profiles(large);
    let growth = Growth {
        base_cpu_percent,
        base_mib: least.1 - per_tenant * tenants(least) - per_profile * profiles(least),
        kib_per_profile: per_profile * 1024.0,
        kib_per_tenant: per_tenant * 1024.0,
        ms_per_list: per_list,
        us_per_profile: per_listed * 1000.0,
    };
    growth.base_mib.is_finite().then_some(growth)
}

/// How many times as much memory as at rest a burst has taken at most, where there are many profiles.
pub(super) fn peak(reports: &[Report]) -> Option<f64> {
    let peaks = reports.iter().filter(|one| one.shape.profiles >= 1_000).filter_map(|one| {
        let rest = one.figure("rest.memory_mib")?;
        let bursts = ["create.peak_memory_mib", "delete.peak_memory_mib", "restart.peak_memory_mib"];
        let highest = bursts.iter().filter_map(|name| one.figure(name)).max_by(f64::total_cmp)?;
        Some(highest / rest)
    });
    peaks.max_by(f64::total_cmp)
}

impl Growth {
    /// What one of `shards` operators takes, of so many tenants that are listed once in `interval` seconds.
    pub(super) fn part(&self, tenants: usize, per_tenant: usize, shards: usize, interval: f64) -> Part {
        let tenants = count(tenants) / count(shards.max(1));
        let profiles = tenants * count(per_tenant);
        let kib = self.kib_per_profile * profiles + self.kib_per_tenant * tenants;
        let lists = tenants / interval;
        let ms = self.ms_per_list * lists + self.us_per_profile / 1000.0 * profiles / interval;
        Part {
            memory_mib: self.base_mib + kib / 1024.0,
            cpu_percent: self.base_cpu_percent + ms / 10.0,
            calls_per_second: lists * count(pages(per_tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::commands::bench::report::{Record, Run};
    use crate::commands::bench::scenario::Scenario;

    /// 20 MiB, 1 KiB a profile and 10 KiB a tenant; 1 ms a list and 10 µs a profile on it.
    fn report(profiles: usize, per_tenant: usize) -> Report {
        let shape = Shape { profiles, per_tenant };
        let (tenants, profiles) = (count(shape.tenants()), count(profiles));
        let memory = 20.0 + (profiles + 10.0 * tenants) / 1024.0;
        let cpu = 0.5 + (tenants + profiles * 0.01) / 600.0;
        let figures = [("rest.memory_mib", memory), ("rest.cpu_percent", cpu), ("idle.cpu_percent", 0.5)]
            .map(|(name, value)| (name.to_owned(), value));
        let run = Run::now(&std::env::current_exe().unwrap()).unwrap();
        let record = Record {
            run,
            figures: BTreeMap::from(figures),
            seconds: 1.0,
            samples: Vec::new(),
            calls_per_second: Vec::new(),
            writes_per_second: Vec::new(),
            keepers: Vec::new(),
            spenders: Vec::new(),
        };
        Report { shape, scenarios: BTreeMap::from([(Scenario::Rest, record)]) }
    }

    #[test]
    fn what_one_more_takes_is_found_again() {
        let growth = growth(&[report(1, 3), report(1000, 3), report(1000, 300)]).unwrap();
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-6, "{growth:?}");
        close(growth.base_mib, 20.0);
        close(growth.kib_per_profile, 1.0);
        close(growth.kib_per_tenant, 10.0);
        close(growth.ms_per_list, 1.0);
        close(growth.us_per_profile, 10.0);
        let part = growth.part(1000, 100, 10, 60.0);
        close(part.memory_mib, 20.0 + 11_000.0 / 1024.0);
        close(part.calls_per_second, 100.0 / 60.0);
        // 100 lists of 100 profiles a minute: 2 ms each.
        close(part.cpu_percent, 0.5 + 200.0 / 600.0);
    }

    #[test]
    fn the_largest_size_that_was_measured_in_both_ways_counts() {
        let reports = [report(1, 3), report(1000, 3), report(1000, 300), report(10_000, 3)];
        let growth = growth(&reports).unwrap();
        assert!((growth.kib_per_tenant - 10.0).abs() < 1e-6, "{growth:?}");
    }

    #[test]
    fn one_shape_says_nothing_of_growth() {
        assert_eq!(growth(&[report(1000, 3)]), None);
        assert_eq!(growth(&[report(1, 3), report(100, 3), report(100, 300)]), None, "too few");
        assert_eq!(growth(&[report(1000, 3), report(1000, 300)]), None, "of one size");
    }
}
