//! What was asked for, and whether it was reached: judged by the reports, never by hand. Pure.

use std::collections::BTreeSet;

use xtask::numbers::count;

use super::figures::number;
use super::micro::Micro;
use super::report::Report;
use super::shape::Shape;

/// Where, and how much.
type Measured = Vec<(String, f64)>;

/// A goal, and where it is measured.
struct Goal {
    title: &'static str,
    limit: f64,
    unit: &'static str,
    digits: usize,
    /// The worst value counts.
    measured: fn(&[Report], &Micro) -> Measured,
}

/// A goal with what was measured.
pub(super) struct Judged {
    pub(super) title: &'static str,
    pub(super) asked: String,
    /// Worst first.
    pub(super) measured: Vec<(String, String)>,
    /// None: not measured.
    pub(super) is_met: Option<bool>,
}

/// The figure in all reports whose shape fits.
fn figure(reports: &[Report], name: &str, fits: impl Fn(&Shape) -> bool) -> Vec<(String, f64)> {
    let fitting = reports.iter().filter(|report| fits(&report.shape));
    fitting.filter_map(|report| Some((report.shape.short(), report.figure(name)?))).collect()
}

/// Calls for each profile and hour if the last tenant had its three as well: a list costs the same with fewer in it.
fn three_a_tenant(reports: &[Report], scenario: &str) -> Vec<(String, f64)> {
    let fitting = reports.iter().filter(|report| report.shape.per_tenant == 3 && report.shape.profiles >= 3);
    let measured = fitting.filter_map(|report| {
        let figure = |what: &str| report.figure(&format!("{scenario}.{what}"));
        let (calls, lists) = (figure("graph_calls_per_profile_hour")?, figure("lists_per_tenant_hour")?);
        let lists_each = lists * count(report.shape.tenants()) / count(report.shape.profiles);
        Some((report.shape.short(), lists / 3.0 + calls - lists_each))
    });
    measured.collect()
}

/// The program of every run of the one that is shipped.
fn binaries(reports: &[Report]) -> Vec<(String, f64)> {
    let records = reports.iter().flat_map(|report| &report.scenarios);
    let shipped = records.filter(|(scenario, _)| scenario.build().is_none());
    shipped.map(|(_, record)| (record.run.build.clone(), record.run.binary_mib)).collect()
}

const GOALS: [Goal; 16] = [
    Goal {
        title: "Graph calls per profile-hour at rest, three profiles a tenant",
        limit: 20.0,
        unit: "",
        digits: 1,
        measured: |reports, _| three_a_tenant(reports, "rest"),
    },
    Goal {
        title: "The same where lists take no `$expand`",
        limit: 24.0,
        unit: "",
        digits: 1,
        measured: |reports, _| three_a_tenant(reports, "noExpand"),
    },
    Goal {
        title: "Kubernetes writes per profile-hour at rest",
        limit: 0.0,
        unit: "",
        digits: 2,
        measured: |reports, _| figure(reports, "rest.writes_per_profile_hour", |_| true),
    },
    Goal {
        title: "Graph calls per create, without lists and tokens, most in any scenario",
        limit: 1.0,
        unit: "",
        digits: 2,
        measured: |reports, _| {
            let of = |scenario: &str| {
                let each = |what: &str| figure(reports, &format!("{scenario}.{what}"), |_| true);
                let (posts, rest) = (each("posts_per_profile"), each("other_calls_per_profile"));
                posts.into_iter().zip(rest).map(|((shape, post), (_, rest))| (shape, post + rest))
            };
            of("create").chain(of("follow")).collect()
        },
    },
    Goal {
        title: "Kubernetes writes to a resource from apply to Ready, most of any; events apart",
        limit: 4.0,
        unit: "",
        digits: 0,
        measured: |reports, _| {
            let one_by_one = figure(reports, "follow.most_writes_of_a_profile", |_| true);
            let all_at_once = figure(reports, "create.most_writes_of_a_profile", |_| true);
            one_by_one.into_iter().chain(all_at_once).collect()
        },
    },
    Goal {
        title: "1,000 applied to all Ready, compared with a bare client's same writes",
        limit: 1.5,
        unit: "times",
        digits: 2,
        measured: |reports, _| figure(reports, "bare.create_ratio", |shape| shape.profiles == 1_000),
    },
    Goal {
        title: "State change in Graph to status within the first minute, p99 of 200 profiles or fewer: one fast-poll interval",
        limit: 5.0,
        unit: "s",
        digits: 1,
        measured: |reports, _| figure(reports, "follow.status_p99_seconds", |_| true),
    },
    Goal {
        title: "Memory in an empty cluster",
        limit: 15.0,
        unit: "MiB",
        digits: 1,
        measured: |reports, _| figure(reports, "idle.empty_memory_mib", |_| true),
    },
    Goal {
        title: "Memory at rest with 1,000 profiles",
        limit: 25.0,
        unit: "MiB",
        digits: 1,
        measured: |reports, _| figure(reports, "rest.memory_mib", |shape| shape.profiles == 1_000),
    },
    Goal {
        title: "Memory at rest with 10,000 profiles",
        limit: 60.0,
        unit: "MiB",
        digits: 1,
        measured: |reports, _| figure(reports, "rest.memory_mib", |shape| shape.profiles == 10_000),
    },
    Goal {
        title: "Graph calls in the first minute after a restart, compared with the second",
        limit: 1.1,
        unit: "times",
        digits: 2,
        measured: |reports, _| figure(reports, "restart.calls_ratio", |_| true),
    },
    Goal {
        title: "Calls to a tenant during its Retry-After, but for those on their way when it began (50 ms)",
        limit: 0.0,
        unit: "",
        digits: 0,
        measured: |reports, _| figure(reports, "throttle.calls_despite_retry_after", |_| true),
    },
    Goal {
        title: "Processor time at rest with 1,000 profiles",
        limit: 1.0,
        unit: "% of a core",
        digits: 2,
        measured: |reports, _| figure(reports, "rest.cpu_percent", |shape| shape.profiles == 1_000),
    },
    Goal {
        title: "A list of 10,000 profiles: what changed, and who is told",
        limit: 20.0,
        unit: "ms",
        digits: 2,
        measured: |_, micro| {
            let own = micro.benchmarks.iter().filter(|one| one.name.starts_with("snapshot/"));
            own.map(|one| (one.name.clone(), one.nanoseconds / 1e6)).collect()
        },
    },
    Goal {
        title: "Foreign Secrets that the operator asks for",
        limit: 0.0,
        unit: "",
        digits: 0,
        measured: |reports, _| figure(reports, "secrets.requests_for_them", |_| true),
    },
    Goal {
        title: "The program, stripped",
        limit: 15.0,
        unit: "MiB",
        digits: 1,
        measured: |reports, _| binaries(reports),
    },
];

/// All goals.
pub(super) fn judge(reports: &[Report], micro: &Micro) -> Vec<Judged> {
    GOALS.iter().map(|goal| goal.judge((goal.measured)(reports, micro))).collect()
}

impl Goal {
    fn judge(&self, mut measured: Vec<(String, f64)>) -> Judged {
        measured.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let mut seen = BTreeSet::new();
        measured.retain(|(place, _)| seen.insert(place.clone()));
        // Judged is what is shown, or 20.0 might be more than 20.
        let shown = |value: f64| number(value, self.digits);
        let scale = 10_f64.powi(i32::try_from(self.digits).unwrap_or_default());
        let is_met = measured.first().map(|(_, worst)| (worst * scale).round() <= self.limit * scale);
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        let asked = if self.limit == 0.0 { "0".to_owned() } else { format!("at most {}{unit}", self.limit) };
        let measured = measured.into_iter().map(|(place, value)| (place, shown(value) + &unit)).collect();
        Judged { title: self.title, asked, measured, is_met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_value_decides_and_what_is_shown_is_judged() {
        let goal = || &GOALS[0];
        let of = |values: &[(&str, f64)]| {
            goal().judge(values.iter().map(|(place, value)| ((*place).to_owned(), *value)).collect())
        };
        assert_eq!(of(&[]).is_met, None);
        assert_eq!(of(&[("a", 20.04), ("b", 3.0)]).is_met, Some(true), "20.0 is shown");
        let missed = of(&[("a", 3.0), ("b", 20.06), ("a", 20.05), ("b", 2.0)]);
        assert_eq!(
            (missed.is_met, missed.measured.len()),
            (Some(false), 2),
            "each place once, with its worst"
        );
        assert_eq!(missed.measured[0], ("b".to_owned(), "20.1".to_owned()));
    }
}
