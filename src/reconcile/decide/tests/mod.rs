//! Tables of decisions: one look at the world, one verdict.

#![allow(clippy::needless_pass_by_value, reason = "json! values are handed on as they are made")]

mod correcting;
mod creating;
mod deletion;
mod following;
mod managing;
mod resolving;
mod saying;
mod showing;
mod synchronizing;
mod waking;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(in crate::reconcile) use managing::with_spec;
pub(in crate::reconcile) use synchronizing::sync;

use super::*;
use crate::api::EducationSyncProfile;
use crate::api::connection::Dialect;
use crate::graph::{CallIds, GraphError, RemoteProfile};
use crate::reconcile::claims::{NameClaim, Owner, Tenant};
use crate::reconcile::observation::{
    ListFacts, LookForErrors, Memory, Namesake, Retry, Settings, SourceSecret, is_own,
};

const NOW: i64 = 10_000;

pub(in crate::reconcile) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn settings() -> Settings {
    Settings {
        request_timeout: Duration::from_secs(30),
        settle_window: Duration::from_mins(2),
        lease_duration: Duration::from_secs(15),
        probe_interval: Duration::from_secs(5),
        most_deletions: 10,
        refusal_retry: Duration::from_hours(1),
    }
}

pub(in crate::reconcile) fn connection() -> ConnectionFacts {
    ConnectionFacts {
        tenant: Tenant::new("https://graph.example", "t"),
        dialect: Dialect::Beta,
        fingerprint: "c/1/".to_owned(),
        delegated: true,
    }
}

pub(in crate::reconcile) fn resource(status: Value) -> EducationSyncProfile {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "namespace": "n", "uid": "u", "generation": 1, "finalizers": ["edusync.dev/profile"]},
        "spec": {
            "displayName": "Contoso", "dataProvider": {"csv": {}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": [{"appliesTo": "student", "name": "a.example"}]}}
        },
        "status": status
    }))
    .unwrap()
}

/// A look at a resource with this status, a fresh and empty list, and nothing else.
pub(in crate::reconcile) fn look(status: Value) -> Observation {
    let own = serde_json::from_value(status.clone()).unwrap();
    Observation {
        now: at(NOW),
        settings: settings(),
        trust: if is_own(&own, "u") { Trust::Own } else { Trust::Foreign },
        resource: Arc::new(resource(status)),
        connection: Ok(connection()),
        connection_is_held: true,
        connection_is_going: false,
        list: ListFacts {
            began: Some(at(NOW - 2)),
            ended: Some(at(NOW - 1)),
            empty: true,
            ..ListFacts::default()
        },
        name: Some(NameClaim::Ours(at(NOW - 3))),
        namesakes: Vec::new(),
        bound: None,
        bound_to_other: None,
        memory: Memory::default(),
        adoptee: None,
        deletions: 1,
        source_secret: SourceSecret::NotNeeded,
    }
}

/// The same, for which somebody asks now.
pub(in crate::reconcile) fn asked(mut o: Observation) -> Observation {
    let mut resource = (*o.resource).clone();
    resource.metadata.annotations =
        Some([("reconcile.edusync.dev/requestedAt".to_owned(), "now".to_owned())].into());
    o.resource = Arc::new(resource);
    o
}

/// The same, through a connection that leads to another tenant.
fn elsewhere(mut o: Observation) -> Observation {
    let tenant = Tenant::new("https://graph.example", "elsewhere");
    o.connection = Ok(ConnectionFacts { tenant, ..connection() });
    o
}

fn deleting(mut o: Observation) -> Observation {
    let mut resource = (*o.resource).clone();
    resource.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(NOW - 1)));
    o.resource = Arc::new(resource);
    o
}

pub(in crate::reconcile) fn remote(id: &str, state: &str) -> RemoteProfile {
    RemoteProfile::read(&json!({
        "id": id, "displayName": "CONTOSO", "state": state, "profileStatus": null,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "a.example"}]}
    }))
    .unwrap()
}

/// As [`remote`], with exactly the name that the manifest has.
pub(in crate::reconcile) fn as_wanted(id: &str, state: &str) -> RemoteProfile {
    let mut profile = remote(id, state);
    profile.configuration = profile.configuration.replace("CONTOSO", "Contoso").into();
    profile
}

pub(in crate::reconcile) fn unclaimed(id: &str, state: &str) -> Namesake {
    Namesake { profile: remote(id, state), claimed_by: None }
}

fn other() -> Owner {
    Owner { uid: "other".into(), namespace: "n".into(), name: "fabrikam".into(), created: at(1) }
}

fn attempt(id: &str, uid: &str) -> Value {
    json!({
        "attempt": id, "uid": uid, "endpoint": "https://graph.example", "tenantId": "t", "displayName": "Contoso",
        "dataProvider": "csv", "identitySynchronizationConfiguration": "creation", "notAfter": at(NOW - 1_000).to_string()
    })
}

fn binding(uid: &str) -> Value {
    json!({"uid": uid, "endpoint": "https://graph.example", "tenantId": "t", "profileId": "p", "displayName": "Contoso"})
}

pub(in crate::reconcile) fn bound() -> Value {
    json!({"binding": binding("u"), "state": "provisioned", "observedGeneration": 1})
}

fn reason(verdict: &Verdict) -> Option<(&'static str, Reason)> {
    match &verdict.standing {
        Standing::Silent => None,
        Standing::Ready(reason, _) => Some(("ready", *reason)),
        Standing::Waiting(reason, _) => Some(("waiting", *reason)),
        Standing::Stalled(reason, _) => Some(("stalled", *reason)),
    }
}
