//! Values that look as in a cluster of ten thousand profiles at rest, for all benchmarks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use edusync::api::EducationSyncProfile;
use edusync::api::connection::Dialect;
use edusync::graph::RemoteProfile;
use edusync::poller::Snapshot;
use edusync::reconcile::claims::Tenant;
use edusync::reconcile::observation::{
    ConnectionFacts, ListFacts, Memory, Observation, Settings, SourceSecret,
};
use edusync::reconcile::trust::Trust;
use jiff::Timestamp;
use serde_json::{Value, json};

pub const PROFILES: usize = 10_000;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is a moment of our time")
}

pub fn tenant(number: usize) -> Tenant {
    Tenant::new("https://graph.microsoft.com", &number.to_string())
}

pub fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// As Graph lists it.
pub fn listed(number: usize, state: &str) -> Value {
    let part = json!({"optionalPropertiesToSync": ["State ID", "Middle Name"], "isSyncDeferred": false});
    json!({
        "id": id(number), "displayName": format!("School {number}"), "state": state, "profileStatus": null,
        "dataProvider": {
            "@odata.type": "#microsoft.graph.educationCsvDataProvider",
            "customizations": {"student": part, "teacher": part, "school": part, "section": part},
        },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}, {"appliesTo": "teacher", "name": "school.example"}],
        },
        "licensesToAssign": [{"appliesTo": "student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}],
        "handleSpecialCharacterConstraint": true, "expirationDate": "2027-06-30",
    })
}

/// A resource that is bound, and at rest.
pub fn resource(number: usize) -> EducationSyncProfile {
    serde_json::from_value(manifest(number)).expect("it is a manifest")
}

/// The same as JSON.
pub fn manifest(number: usize) -> Value {
    let student = json!({"optionalPropertiesToSync": ["State ID", "Middle Name"]});
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Provisioned", "message": "The profile is set up.",
        "observedGeneration": 1, "lastTransitionTime": "2026-11-22T00:00:00Z",
    });
    let binding = json!({
        "uid": "u", "endpoint": "https://graph.microsoft.com", "tenantId": "0", "profileId": id(number),
        "displayName": format!("School {number}"),
    });
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "namespace": "n", "uid": "u", "generation": 1, "finalizers": ["edusync.dev/profile"]},
        "spec": {
            "displayName": format!("School {number}"),
            "dataProvider": {"csv": {"customizations": {"student": student}}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": [
                {"appliesTo": "teacher", "name": "school.example"}, {"appliesTo": "student", "name": "school.example"},
            ]}},
            "handleSpecialCharacterConstraint": true, "expirationDate": "2027-06-30",
        },
        "status": {"observedGeneration": 1, "state": "provisioned", "binding": binding, "conditions": [ready]},
    })
}

pub fn remote(number: usize, state: &str) -> RemoteProfile {
    RemoteProfile::read(&listed(number, state)).expect("it is a profile")
}

pub fn look() -> Observation {
    Observation {
        now: at(10_000),
        settings: Settings {
            request_timeout: Duration::from_secs(30),
            settle_window: Duration::from_mins(2),
            lease_duration: Duration::from_secs(15),
            probe_interval: Duration::from_secs(5),
            most_deletions: 10,
            refusal_retry: Duration::from_hours(1),
        },
        resource: Arc::new(resource(1)),
        trust: Trust::Own,
        connection: Ok(ConnectionFacts {
            tenant: tenant(0),
            dialect: Dialect::Beta,
            fingerprint: "c/1/".to_owned(),
            delegated: true,
        }),
        connection_is_held: true,
        connection_is_going: false,
        list: ListFacts { began: Some(at(9_998)), ended: Some(at(9_999)), ..ListFacts::default() },
        name: None,
        namesakes: Vec::new(),
        bound: Some(remote(1, "provisioned")),
        bound_to_other: None,
        adoptee: None,
        source_secret: SourceSecret::NotNeeded,
        deletions: 0,
        memory: Memory::default(),
    }
}

pub fn snapshot(began: i64, changed: impl Fn(usize) -> bool) -> Snapshot {
    let profiles: BTreeMap<String, RemoteProfile> = (0..PROFILES)
        .map(|number| {
            let state = if changed(number) { "provisioning" } else { "provisioned" };
            (id(number), remote(number, state))
        })
        .collect();
    Snapshot::new(at(began), at(began + 1), profiles)
}
