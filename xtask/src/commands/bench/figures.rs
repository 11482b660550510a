//! What each figure means, in the order in which they are shown. Pure.

use super::scenario::Scenario;

/// A figure of a scenario.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    /// Digits behind the point.
    pub(super) digits: usize,
}

const fn figure(name: &'static str, title: &'static str, unit: &'static str, digits: usize) -> Figure {
    Figure { name, title, unit, digits }
}

/// Everything that is shown of a scenario, under its title.
pub(super) fn shown(scenario: Scenario) -> (&'static str, &'static [Figure]) {
    match scenario {
        Scenario::Idle => ("No profiles", IDLE),
        Scenario::Create => ("All profiles are applied at once", CREATE),
        Scenario::Bare => ("The limit: a bare client", BARE),
        Scenario::Rest => ("Rest", REST),
        Scenario::NoExpand => ("Rest, where lists take no `$expand`", NO_EXPAND),
        Scenario::Secrets => ("10,000 foreign Secrets", SECRETS),
        Scenario::Drift => ("Somebody changes profiles in Graph", DRIFT),
        Scenario::Throttle => ("90 s of 429, Retry-After 20 s, while changes are wanted", THROTTLE),
        Scenario::Away => ("90 s of 503", AWAY),
        Scenario::Restart => ("Restart after SIGTERM", RESTART),
        Scenario::Delete => ("All profiles are deleted at once", DELETE),
        Scenario::Heap => ("What is alive at rest", HEAP),
        Scenario::Cpu => ("Processor time, looked at with `perf`", CPU),
        Scenario::Follow => ("Graph takes 5 to 55 s to set a profile up", FOLLOW),
    }
}

/// The order on the page.
pub(super) const ORDER: [Scenario; 14] = [
    Scenario::Idle,
    Scenario::Create,
    Scenario::Bare,
    Scenario::Follow,
    Scenario::Rest,
    Scenario::NoExpand,
    Scenario::Restart,
    Scenario::Drift,
    Scenario::Delete,
    Scenario::Throttle,
    Scenario::Away,
    Scenario::Secrets,
    Scenario::Heap,
    Scenario::Cpu,
];

const HEAP: &[Figure] = &[
    figure("heap.alive_mib", "Memory that is alive", "MiB", 1),
    figure(
        "heap.bytes_per_profile",
        "For each profile, tenants and what is there without any included",
        "bytes",
        0,
    ),
    figure("heap.blocks", "In so many pieces", "", 0),
];

const CPU: &[Figure] = &[
    figure("cpu.burst_seconds", "All are applied at once: processor time", "s", 1),
    figure("cpu.burst_looks", "Looks in the burst", "", 0),
    figure("cpu.rest_percent", "At rest: processor time", "% of a core", 2),
    figure("cpu.rest_looks", "Looks at rest", "", 0),
];

const PRIVATE: &str =
    "Of that its own (heap, stacks, tables of the loader); the rest is pages of the program";

const IDLE: &[Figure] = &[
    figure("idle.empty_memory_mib", "Memory in an empty cluster", "MiB", 1),
    figure("idle.empty_private_mib", PRIVATE, "MiB", 1),
    figure("idle.memory_mib", "Memory with the connections", "MiB", 1),
    figure("idle.cpu_percent", "Processor time", "% of a core", 2),
];

const CREATE: &[Figure] = &[
    figure("create.seconds", "First apply to last Ready", "s", 1),
    figure("create.written_seconds", "First apply to last write, events included", "s", 1),
    figure("create.applied_seconds", "All are applied after", "s", 1),
    figure("create.first_post_seconds", "First POST after", "s", 2),
    figure("create.posts_seconds", "First POST to last POST", "s", 1),
    figure("create.ready_p50_seconds", "Apply to Ready, one profile, median", "s", 2),
    figure("create.ready_p99_seconds", "Apply to Ready, one profile, p99", "s", 2),
    figure("create.posts_per_profile", "POSTs per profile", "", 2),
    figure("create.lists_per_tenant", "LIST calls per tenant, pages counted", "", 2),
    figure("create.other_calls_per_profile", "Other Graph calls per profile", "", 2),
    figure("create.tokens", "Token requests (the first were made when the connections came)", "", 0),
    figure("create.writes_per_profile", "Writes to the resource, mean", "", 2),
    figure("create.most_writes_of_a_profile", "Writes to the resource, most", "", 0),
    figure("create.events_per_profile", "Events per profile", "", 2),
    figure("create.connection_writes", "Writes to connections, all", "", 0),
    figure("create.secret_writes", "Writes to Secrets (where refresh tokens are kept), all", "", 0),
    figure("create.writes", "Writes to Kubernetes, all", "", 0),
    figure("create.conflicts", "Conflicts", "", 0),
    figure("create.cpu_seconds", "Processor time of the operator", "s", 1),
    figure("create.peak_memory_mib", "Memory, highest", "MiB", 1),
];

const BARE: &[Figure] = &[
    figure("bare.seconds", "The same applies and writes", "s", 1),
    figure("bare.writes_per_profile", "Writes per profile, events and connections included", "", 2),
    figure("bare.create_seconds", "edusync's time in the same run", "s", 1),
    figure("bare.create_ratio", "edusync's time, compared with it", "times", 2),
    figure("bare.posts_seconds", "The same POSTs", "s", 1),
];

const REST: &[Figure] = &[
    figure("rest.seconds", "Measured for", "s", 0),
    figure("rest.graph_calls_per_profile_hour", "Graph calls per profile-hour", "", 2),
    figure("rest.lists_per_tenant_hour", "Lists per tenant-hour", "", 1),
    figure("rest.writes_per_profile_hour", "Kubernetes writes per profile-hour", "", 2),
    figure("rest.tokens", "Token requests meanwhile", "", 0),
    figure("rest.kubernetes_reads", "Reads of Kubernetes meanwhile", "", 0),
    figure("rest.memory_mib", "Memory", "MiB", 1),
    figure("rest.private_mib", PRIVATE, "MiB", 1),
    figure("rest.open_files", "Open files", "", 0),
    figure("rest.cpu_percent", "Processor time", "% of a core", 2),
];

const NO_EXPAND: &[Figure] = &[
    figure("noExpand.graph_calls_per_profile_hour", "Graph calls per profile-hour", "", 2),
    figure("noExpand.lists_per_tenant_hour", "Lists per tenant-hour", "", 1),
    figure("noExpand.writes_per_profile_hour", "Kubernetes writes per profile-hour", "", 2),
];

const SECRETS: &[Figure] = &[
    figure("secrets.memory_before_mib", "Memory before", "MiB", 1),
    figure("secrets.memory_after_mib", "Memory after", "MiB", 1),
    figure("secrets.requests_for_them", "Requests for them, or for all Secrets", "", 0),
];

const DRIFT: &[Figure] = &[
    figure("drift.changed", "Profiles changed", "", 0),
    figure("drift.corrected_p50_seconds", "Corrected after, median", "s", 1),
    figure("drift.corrected_max_seconds", "Corrected after, longest", "s", 1),
    figure("drift.updates_per_change", "PUTs per change", "", 2),
    figure("drift.writes_per_change", "Writes to the resource per change", "", 2),
    figure("drift.events_per_change", "Events per change", "", 2),
];

const THROTTLE: &[Figure] = &[
    figure("throttle.calls_despite_retry_after", "Calls to a tenant during its Retry-After", "", 0),
    figure("throttle.calls_on_their_way", "Further ones, on their way when it began (50 ms)", "", 0),
    figure("throttle.refused", "Calls that were answered 429", "", 0),
    figure("throttle.calls_per_tenant_minute", "Calls per tenant-minute", "", 2),
    figure("throttle.writes_meanwhile", "Kubernetes writes meanwhile", "", 0),
    figure("throttle.changes", "Changes wanted", "", 0),
    figure("throttle.done_after_seconds", "All made so long after the end", "s", 1),
    figure("throttle.updates_per_change", "Accepted PUTs per change", "", 2),
];

const AWAY: &[Figure] = &[
    figure("away.calls_per_tenant_minute", "Calls per tenant-minute", "", 2),
    figure("away.writes_meanwhile", "Kubernetes writes meanwhile", "", 0),
    figure("away.profile_writes", "Writes to profiles, then and after", "", 0),
    figure("away.tenants_back", "Tenants with a good list after", "", 0),
    figure("away.all_back_after_seconds", "A good list of each tenant after", "s", 1),
    figure("away.calls_ratio_after", "Lists in the first minute back, compared with the second", "times", 2),
];

const RESTART: &[Figure] = &[
    figure("restart.stop_seconds", "To end", "s", 1),
    figure("restart.lease_seconds", "Start to lease", "s", 2),
    figure("restart.first_call_seconds", "Start to first Graph call", "s", 2),
    figure("restart.all_listed_seconds", "Start to the first good list of the last tenant", "s", 1),
    figure("restart.calls_first_minute", "Graph calls in the first minute", "", 0),
    figure("restart.calls_steady_minute", "Graph calls in the second minute", "", 0),
    figure("restart.calls_ratio", "First minute, compared with the second", "times", 2),
    figure("restart.tokens_first_minute", "Token requests until the end of the first minute", "", 0),
    figure("restart.writes", "Kubernetes writes", "", 0),
    figure("restart.memory_mib", "Memory", "MiB", 1),
    figure("restart.peak_memory_mib", "Memory, highest", "MiB", 1),
];

const DELETE: &[Figure] = &[
    figure("delete.seconds", "First DELETE to last resource gone", "s", 1),
    figure("delete.deletes_per_profile", "DELETEs per profile", "", 2),
    figure("delete.looks_per_profile", "GETs per profile (proof that it is gone)", "", 2),
    figure("delete.lists_per_tenant", "Lists per tenant", "", 1),
    figure("delete.writes_per_profile", "Writes to the resource", "", 2),
    figure("delete.events_per_profile", "Events per profile", "", 2),
    figure("delete.conflicts", "Conflicts", "", 0),
    figure("delete.peak_memory_mib", "Memory, highest", "MiB", 1),
];

const FOLLOW: &[Figure] = &[
    figure("follow.profiles", "Profiles applied, five a second", "", 0),
    figure("follow.status_p50_seconds", "Set up in Graph to Ready, median", "s", 2),
    figure("follow.status_p99_seconds", "Set up in Graph to Ready, p99", "s", 2),
    figure("follow.status_max_seconds", "Set up in Graph to Ready, longest", "s", 2),
    figure("follow.writes_per_profile", "Writes to the resource, mean", "", 2),
    figure("follow.most_writes_of_a_profile", "Writes to the resource, most", "", 0),
    figure("follow.events_per_profile", "Events per profile", "", 2),
    figure("follow.posts_per_profile", "POSTs per profile", "", 2),
    figure("follow.other_calls_per_profile", "Other Graph calls per profile, but for lists", "", 2),
];

/// A number as it is shown: with so many digits behind the point, thousands set apart.
pub(super) fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    if rest.is_empty() { format!("{sign}{apart}") } else { format!("{sign}{apart}.{rest}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_scenario_is_shown_once_and_its_figures_have_its_name() {
        let all: BTreeSet<_> = ORDER.into_iter().collect();
        assert_eq!(all.len(), Scenario::value_variants().len());
        for scenario in ORDER {
            let prefixes: BTreeSet<_> =
                shown(scenario).1.iter().filter_map(|figure| figure.name.split('.').next()).collect();
            assert_eq!(prefixes.len(), 1, "{scenario:?}: {prefixes:?}");
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(10_000.0, 0), "10,000");
        assert_eq!(number(999.96, 1), "1,000.0");
        assert_eq!(number(-0.25, 2), "-0.25");
    }
}
