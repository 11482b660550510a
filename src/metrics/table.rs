//! The one table of metrics: what there is, with type, labels, unit and meaning. `docs/metrics.md` is made of it.
//!
//! Names follow the Prometheus conventions (base units, `_total` for counters, times as timestamps). A resource is
//! named by `resource_namespace` and `name`: a label `namespace` would collide with the one that Prometheus puts on
//! every target. No label may hold a name that people gave a profile in Graph, the id of a person, or a text of Graph.
//! What every process has is named as client libraries of Prometheus name it ("Writing client libraries": `process_`).

use std::fmt::Write as _;

/// One metric.
#[derive(Debug, PartialEq)]
pub struct Metric {
    /// Its whole name, as Prometheus shows it; of a histogram without `_bucket`, `_count` and `_sum`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What it says, as a sentence without the full stop.
    pub help: &'static str,
}

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many took how long; the upper bounds of the buckets, in seconds.
    Histogram(&'static [f64]),
}

/// A call over the network: from a hit in the neighbourhood to the longest deadline.
const CALL: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// A pass: most change nothing and call nobody; one that creates waits for tokens, lists and budget.
const PASS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Provisioning takes Graph minutes, sometimes hours.
const READY: &[f64] =
    &[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0];

const RESOURCE: &[&str] = &["resource_namespace", "name"];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// Is this instance the leader?
pub static LEADER: Metric = metric(
    "edusync_leader",
    Kind::Gauge,
    &[],
    "1 on the instance that holds the lease and is ready, as /readyz has it; 0 on one that stands by or cannot work",
);
/// What is running.
pub static BUILD_INFO: Metric = metric(
    "edusync_build_info",
    Kind::Gauge,
    &["version"],
    "Always 1; the label has the version of the program",
);
/// When it began.
pub static PROCESS_START: Metric = metric(
    "process_start_time_seconds",
    Kind::Gauge,
    &[],
    "When the process began, in seconds since 1970; another time in the same pod is a restart",
);
/// Passes.
pub static PASS_DURATION: Metric = metric(
    "edusync_reconcile_duration_seconds",
    Kind::Histogram(PASS),
    &["kind", "result"],
    "How long passes took, by kind of the resource and result: success (nothing more to do), requeue (something was changed, and it is looked at again at once), requeue_after (it is looked at again after a time), conflict (somebody else wrote first), not_found (the resource has gone), error (Kubernetes did not take a write), abandoned (broken off)",
);
/// Passes under way.
pub static PASSES_ACTIVE: Metric = metric(
    "edusync_reconcile_active",
    Kind::Gauge,
    &["kind"],
    "Passes that are under way, by kind of the resource",
);
/// Resources that wait.
pub static QUEUE_DEPTH: Metric = metric(
    "edusync_reconcile_queue_depth",
    Kind::Gauge,
    &["kind"],
    "Resources that something has happened to and that wait for their pass, by kind",
);
/// Calls to Graph.
pub static GRAPH_REQUESTS: Metric = metric(
    "edusync_graph_request_duration_seconds",
    Kind::Histogram(CALL),
    &["operation", "class"],
    "How long requests to Microsoft Graph took, by operation and class of the answer: success, throttled (429), refused (a definite no; also the 404 that proves that a profile is gone), unknown (the request may have been carried out), not_connected (nothing was sent), abandoned (broken off by edusync, as at its end; the request may have been carried out)",
);
/// Complete lists.
pub static LISTS: Metric = metric(
    "edusync_graph_lists_total",
    Kind::Counter,
    &["class"],
    "Lists of all profiles of a tenant, by class: success (every page came), or what kept it from coming; as of requests, and no_token, waiting (Microsoft Graph has asked to wait, and nothing was sent), retired (the API is gone)",
);
/// How long Graph asked to wait.
pub static THROTTLED: Metric = metric(
    "edusync_graph_throttled_seconds_total",
    Kind::Counter,
    &[],
    "Seconds for which Microsoft Graph asked to wait (Retry-After), added up over tenants and applications; times that overlap count once",
);
/// Requests for tokens.
pub static TOKEN_REQUESTS: Metric = metric(
    "edusync_token_request_duration_seconds",
    Kind::Histogram(CALL),
    &["class"],
    "How long requests for tokens took (Entra, or the node's metadata service), by class of the answer, as of requests to Microsoft Graph",
);
/// Requests to Kubernetes.
pub static KUBERNETES_REQUESTS: Metric = metric(
    "edusync_kubernetes_requests_total",
    Kind::Counter,
    &["verb", "resource", "code"],
    "Requests to the Kubernetes API server, by verb as RBAC has it, resource with subresource, and HTTP status (error: no answer; abandoned: broken off by edusync, at its deadline or its end)",
);
/// From apply to Ready.
pub static READY_DURATION: Metric = metric(
    "edusync_profile_ready_duration_seconds",
    Kind::Histogram(READY),
    &[],
    "How long EducationSyncProfiles took to become Ready: since they were said not to be Ready, which begins with the first look at a new one",
);
/// Conditions of profiles.
pub static PROFILE_CONDITION: Metric = metric(
    "edusync_profile_condition",
    Kind::Gauge,
    &["resource_namespace", "name", "type", "reason"],
    "The conditions of each EducationSyncProfile: 1 when True, 0 when not",
);
/// States of profiles.
pub static PROFILE_STATE: Metric = metric(
    "edusync_profile_state",
    Kind::Gauge,
    &["resource_namespace", "name", "state"],
    "Always 1; the label has the state of the profile in Microsoft Graph's word, such as provisioned",
);
/// States of synchronizations.
pub static SYNC_STATUS: Metric = metric(
    "edusync_profile_sync_status",
    Kind::Gauge,
    &["resource_namespace", "name", "status"],
    "Always 1; the label has the state of the synchronization in Microsoft Graph's word, such as success or quarantined",
);
/// Errors of synchronizations.
pub static SYNC_ERRORS: Metric = metric(
    "edusync_profile_sync_errors",
    Kind::Gauge,
    RESOURCE,
    "Errors that Microsoft Graph counts for the last synchronization of the profile",
);
/// Last synchronizations.
pub static LAST_SYNC: Metric = metric(
    "edusync_profile_last_sync_timestamp_seconds",
    Kind::Gauge,
    RESOURCE,
    "When the last synchronization of the profile was done, in seconds since 1970",
);
/// Ends of profiles.
pub static PROFILE_EXPIRATION: Metric = metric(
    "edusync_profile_expiration_timestamp_seconds",
    Kind::Gauge,
    RESOURCE,
    "End of the last day of the profile (UTC), in seconds since 1970",
);
/// Open intents.
pub static CREATIONS_OPEN: Metric = metric(
    "edusync_creations_open",
    Kind::Gauge,
    &[],
    "Attempts to create a profile whose outcome is not known, over all EducationSyncProfiles",
);
/// Conditions of connections.
pub static CONNECTION_CONDITION: Metric = metric(
    "edusync_connection_condition",
    Kind::Gauge,
    &["resource_namespace", "name", "type", "reason"],
    "The conditions of each GraphConnection: 1 when True, 0 when not",
);
/// Users of connections.
pub static CONNECTION_PROFILES: Metric = metric(
    "edusync_connection_profiles",
    Kind::Gauge,
    RESOURCE,
    "EducationSyncProfiles that have a profile through the GraphConnection",
);
/// Poll interval.
pub static POLL_INTERVAL: Metric = metric(
    "edusync_connection_poll_interval_seconds",
    Kind::Gauge,
    RESOURCE,
    "Time between two lists while everything is at rest",
);
/// Newest list.
pub static LAST_LIST: Metric = metric(
    "edusync_connection_last_list_timestamp_seconds",
    Kind::Gauge,
    RESOURCE,
    "When the newest complete list came, in seconds since 1970; before the first one, when lists began to be needed. Only while a profile needs lists",
);
/// Budget.
pub static BUDGET: Metric = metric(
    "edusync_connection_budget_requests",
    Kind::Gauge,
    RESOURCE,
    "Requests to Microsoft Graph that could be sent at once; of the application and the delegated credential the smaller. GraphConnections with the same tenant and application share it",
);
/// Retry-After.
pub static RETRY_AFTER: Metric = metric(
    "edusync_connection_retry_after_seconds",
    Kind::Gauge,
    RESOURCE,
    "How long Microsoft Graph still asks to wait; 0 when it does not",
);
/// Ends of certificates.
pub static CERTIFICATE_EXPIRATION: Metric = metric(
    "edusync_connection_certificate_expiration_timestamp_seconds",
    Kind::Gauge,
    RESOURCE,
    "When the application's certificate ends, in seconds since 1970; only with a certificateRef",
);

/// All metrics, in the order of the page about them.
pub static ALL: [&Metric; 26] = [
    &LEADER,
    &BUILD_INFO,
    &PROCESS_START,
    &PASS_DURATION,
    &PASSES_ACTIVE,
    &QUEUE_DEPTH,
    &GRAPH_REQUESTS,
    &LISTS,
    &THROTTLED,
    &TOKEN_REQUESTS,
    &KUBERNETES_REQUESTS,
    &READY_DURATION,
    &PROFILE_CONDITION,
    &PROFILE_STATE,
    &SYNC_STATUS,
    &SYNC_ERRORS,
    &LAST_SYNC,
    &PROFILE_EXPIRATION,
    &CREATIONS_OPEN,
    &CONNECTION_CONDITION,
    &CONNECTION_PROFILES,
    &POLL_INTERVAL,
    &LAST_LIST,
    &BUDGET,
    &RETRY_AFTER,
    &CERTIFICATE_EXPIRATION,
];

/// The table in Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = "| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n".to_owned();
    for metric in ALL {
        let Metric { name, kind, labels, help } = metric;
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let (kind, unit) = (kind.as_str(), metric.unit().unwrap_or_default());
        // Writing to a text does not fail.
        let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {help}. |");
    }
    text
}

impl Metric {
    /// The unit that the name ends with, before `_total`.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        name.ends_with("_seconds").then_some("seconds")
    }

    /// The name without unit and `_total`, which the encoder puts on again.
    pub(super) fn stem(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        name.strip_suffix("_seconds").unwrap_or(name)
    }
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions_and_occur_once() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Metric { name, kind, labels, help } in ALL {
            assert!(name.starts_with("edusync_") || *name == PROCESS_START.name, "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(!help.ends_with('.') && !help.contains('\n'), "{name}: the encoder adds the full stop");
            let is_new: BTreeSet<_> = labels.iter().collect();
            assert_eq!(is_new.len(), labels.len(), "{name}");
            // Prometheus has these labels on every target, and `le` on every bucket.
            for taken in ["namespace", "pod", "job", "instance", "service", "container", "endpoint", "le"] {
                assert!(!labels.contains(&taken), "{name}: {taken}");
            }
        }
    }
}
