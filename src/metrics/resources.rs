//! How the resources stand, as samples. Pure: a resource and what is known of its connection in, samples out.
//!
//! Of each resource only the leader tells, and only while it is there: nothing has to be taken away.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use super::samples::Sample;
use super::table::{self, Metric};
use crate::api::conditions::{
    DRIFTED, DUPLICATE_PROFILE, EXPIRING_SOON, READY, RECONCILING, STALLED, SYNCHRONIZED, WRITABLE,
};
use crate::api::status::EducationSyncProfileStatus;
use crate::api::{EducationSyncProfile, GraphConnection};
use crate::clock::passed;

/// Conditions of these types are told. Whatever else stands in a status has not been written by the operator.
const TYPES: [&str; 8] =
    [READY, RECONCILING, STALLED, DRIFTED, DUPLICATE_PROFILE, SYNCHRONIZED, WRITABLE, EXPIRING_SOON];

/// What the process knows of a connection that it uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InUse {
    /// When the newest complete list came, or when lists began to be needed. None while nobody needs lists.
    pub last_list: Option<Timestamp>,
    /// Time between two lists at rest.
    pub rest: Duration,
    /// Calls that could be made at once.
    pub budget: f64,
    /// How long Graph asks to wait.
    pub wait: Duration,
}

/// Samples of one `EducationSyncProfile`, but for [`table::CREATIONS_OPEN`].
#[must_use]
pub fn of_profile(profile: &EducationSyncProfile) -> Vec<Sample> {
    let Some(status) = &profile.status else { return Vec::new() };
    let place = (profile.namespace().unwrap_or_default(), profile.name_any());
    let mut samples = conditions(&table::PROFILE_CONDITION, &place, &status.conditions);
    let mut add = |metric: &'static Metric, more: Option<&str>, value: f64| {
        let place = [place.0.as_str(), place.1.as_str()];
        samples.push(Sample::new(metric, place.into_iter().chain(more), value));
    };
    if let Some(state) = status.state {
        add(&table::PROFILE_STATE, Some(state.as_str()), 1.0);
    }
    if let Some(sync) = &status.sync {
        add(&table::SYNC_STATUS, Some(sync.status.as_str()), 1.0);
        if let Some(count) = sync.error_count {
            add(&table::SYNC_ERRORS, None, number(count));
        }
        if let Some(time) = &sync.last_synchronization {
            add(&table::LAST_SYNC, None, seconds(time.0));
        }
    }
    if let Some(end) = status.expiration_date.as_deref().and_then(end_of_day) {
        add(&table::PROFILE_EXPIRATION, None, seconds(end));
    }
    samples
}

/// How many attempts to create the resource has whose outcome is not known.
#[must_use]
pub fn open_creations<'a>(profiles: impl IntoIterator<Item = &'a EducationSyncProfile>) -> Sample {
    let open = |status: &EducationSyncProfileStatus| {
        u32::from(status.creation.is_some())
            .saturating_add(u32::try_from(status.earlier_creations.len()).unwrap_or(u32::MAX))
    };
    let all = profiles.into_iter().filter_map(|profile| profile.status.as_ref()).map(open);
    Sample::new(&table::CREATIONS_OPEN, [""; 0], f64::from(all.fold(0, u32::saturating_add)))
}

/// Samples of one `GraphConnection`.
#[must_use]
pub fn of_connection(connection: &GraphConnection, in_use: Option<&InUse>) -> Vec<Sample> {
    let place = (connection.namespace().unwrap_or_default(), connection.name_any());
    let status = connection.status.clone().unwrap_or_default();
    let mut samples = conditions(&table::CONNECTION_CONDITION, &place, &status.conditions);
    let mut add = |metric: &'static Metric, value: f64| {
        samples.push(Sample::new(metric, [place.0.as_str(), place.1.as_str()], value));
    };
    if let Some(count) = status.profiles {
        add(&table::CONNECTION_PROFILES, f64::from(count));
    }
    if let Some(end) = status.credentials.and_then(|credentials| credentials.certificate_not_after) {
        add(&table::CERTIFICATE_EXPIRATION, seconds(end.0));
    }
    if let Some(known) = in_use {
        add(&table::POLL_INTERVAL, known.rest.as_secs_f64());
        if let Some(time) = known.last_list {
            add(&table::LAST_LIST, seconds(time));
        }
        add(&table::BUDGET, known.budget);
        add(&table::RETRY_AFTER, known.wait.as_secs_f64());
    }
    samples
}

fn conditions(
    metric: &'static Metric,
    (namespace, name): &(String, String),
    all: &[Condition],
) -> Vec<Sample> {
    let told = all.iter().filter(|condition| TYPES.contains(&condition.type_.as_str()));
    told.map(|condition| {
        let labels = [namespace, name, &condition.type_, &condition.reason].map(String::as_str);
        Sample::new(metric, labels, if condition.status == "True" { 1.0 } else { 0.0 })
    })
    .collect()
}

/// How long a profile has taken to become Ready, if this write says that it is: since it was said not to be Ready, which
/// begins with the first look at a new resource.
#[must_use]
pub fn ready_after(before: &EducationSyncProfile, after: &EducationSyncProfile) -> Option<Duration> {
    let ready = |profile: &EducationSyncProfile| {
        let conditions = &profile.status.as_ref()?.conditions;
        conditions.iter().find(|condition| condition.type_ == READY).cloned()
    };
    let now = ready(after).filter(|condition| condition.status == "True")?;
    let earlier = ready(before);
    if earlier.as_ref().is_some_and(|condition| condition.status == "True") {
        return None;
    }
    let since = match earlier {
        Some(condition) => condition.last_transition_time.0,
        None => after.metadata.creation_timestamp.as_ref()?.0,
    };
    Some(passed(since, now.last_transition_time.0))
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts errors beyond 2^53")]
const fn number(count: i64) -> f64 {
    count as f64
}

fn end_of_day(day: &str) -> Option<Timestamp> {
    let next = day.parse::<Date>().ok()?.tomorrow().ok()?;
    Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn condition(kind: &str, status: &str, reason: &str, at: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "Anna Example", "lastTransitionTime": at})
    }

    fn profile(status: &Value) -> EducationSyncProfile {
        serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
            "metadata": {"name": "contoso", "namespace": "school", "creationTimestamp": "2026-11-22T12:00:00Z"},
            "spec": {"displayName": "Anna Example", "dataProvider": {"csv": {}},
                "identitySynchronizationConfiguration": {"creation": {"userDomains": []}}},
            "status": status
        }))
        .unwrap()
    }

    fn told(samples: &[Sample]) -> Vec<(&str, Vec<&str>, f64)> {
        let all = samples.iter();
        all.map(|s| (s.metric.name, s.labels.iter().map(String::as_str).collect(), s.value)).collect()
    }

    #[test]
    fn a_profile_is_told_in_words_of_graph_and_conditions() {
        let status = json!({
            "state": "provisioned", "expirationDate": "2027-06-30",
            "sync": {"status": "quarantined", "errorCount": 7, "lastSynchronization": "2026-11-22T12:00:00Z"},
            "conditions": [
                condition("Ready", "False", "ProvisioningFailed", "2026-11-22T12:00:00Z"),
                condition("Stalled", "True", "ProvisioningFailed", "2026-11-22T12:00:00Z"),
                condition("OfSomebodyElse", "True", "Other", "2026-11-22T12:00:00Z")
            ]
        });
        let samples = of_profile(&profile(&status));
        let expected = [
            ("edusync_profile_condition", vec!["school", "contoso", "Ready", "ProvisioningFailed"], 0.0),
            ("edusync_profile_condition", vec!["school", "contoso", "Stalled", "ProvisioningFailed"], 1.0),
            ("edusync_profile_state", vec!["school", "contoso", "provisioned"], 1.0),
            ("edusync_profile_sync_status", vec!["school", "contoso", "quarantined"], 1.0),
            ("edusync_profile_sync_errors", vec!["school", "contoso"], 7.0),
            ("edusync_profile_last_sync_timestamp_seconds", vec!["school", "contoso"], 1_795_348_800.0),
            // The last second of the day is over at midnight.
            ("edusync_profile_expiration_timestamp_seconds", vec!["school", "contoso"], 1_814_400_000.0),
        ];
        assert_eq!(told(&samples), expected);
        assert!(samples.iter().all(|sample| sample.labels.len() == sample.metric.labels.len()));
    }

    #[test]
    fn ready_is_timed_from_the_creation_or_from_the_loss() {
        let ready = |status: &str, at: &str| condition("Ready", status, "Provisioned", at);
        let new = profile(&json!({"conditions": [ready("False", "2026-11-22T12:00:05Z")]}));
        let is_ready = profile(&json!({"conditions": [ready("True", "2026-11-22T12:03:00Z")]}));
        assert_eq!(ready_after(&profile(&json!({})), &is_ready), Some(Duration::from_mins(3)));
        assert_eq!(ready_after(&new, &is_ready), Some(Duration::from_secs(175)));
        assert_eq!(ready_after(&is_ready, &is_ready), None);
        assert_eq!(ready_after(&is_ready, &new), None);
        // Also of one that has never synchronized anything.
        let lost = json!({"conditions": [ready("False", "2026-11-22T12:02:00Z")]});
        assert_eq!(ready_after(&profile(&lost), &is_ready), Some(Duration::from_mins(1)));
    }

    #[test]
    fn no_age_of_a_list_is_told_where_no_list_is_needed() {
        let connection: GraphConnection = serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"name": "default", "namespace": "school"},
            "spec": {"tenantId": "tenant"}, "status": {"profiles": 1}
        }))
        .unwrap();
        let known =
            |last_list| InUse { last_list, rest: Duration::from_mins(1), budget: 7.0, wait: Duration::ZERO };
        let names = |last_list| {
            let samples = of_connection(&connection, Some(&known(last_list)));
            samples.iter().map(|sample| sample.metric.name).collect::<Vec<_>>()
        };
        let list = "edusync_connection_last_list_timestamp_seconds";
        assert!(names(Some(Timestamp::UNIX_EPOCH)).contains(&list));
        assert!(!names(None).contains(&list));
        assert!(names(None).contains(&"edusync_connection_profiles"));
    }

    #[test]
    fn attempts_are_counted_with_earlier_ones() {
        let attempt = json!({"attempt": "a", "uid": "u", "endpoint": "e", "tenantId": "t", "displayName": "d",
            "dataProvider": "csv", "identitySynchronizationConfiguration": "creation", "notAfter": "2026-11-22T12:00:00Z"});
        let open = profile(&json!({"creation": attempt, "earlierCreations": [attempt]}));
        let samples = [open_creations([&open, &profile(&json!({}))])];
        assert_eq!(told(&samples), [("edusync_creations_open", vec![], 2.0)]);
    }
}
