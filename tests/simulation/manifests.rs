//! What people write in a run: manifests of resources, and profiles in the portal. Values only.

use edusync::api::{EducationSyncProfile, GraphConnection};
use edusync::reconcile::cluster::Key;
use serde_json::{Value, json};

use crate::world::World;

pub const NAMESPACE: &str = "school";

/// Display names: the last two are one name, spelled differently.
pub const NAMES: [&str; 4] = ["Contoso", "Fabrikam", "Litware", " CONTOSO"];

pub fn key(resource: usize) -> Key {
    Key { namespace: NAMESPACE.to_owned(), name: format!("profile-{resource}") }
}

/// The manifest of a resource.
pub fn manifest(resource: usize, name: usize, variant: u64) -> EducationSyncProfile {
    let mut spec = json!({
        "displayName": NAMES[name % NAMES.len()],
        "dataProvider": {"csv": {}},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "school.example"}
        ]}},
    });
    if variant % 2 == 1 {
        spec["handleSpecialCharacterConstraint"] = json!(true);
    }
    if variant % 3 == 1 {
        spec["identitySynchronizationConfiguration"]["creation"]["userDomains"][0]["name"] =
            json!("other.example");
    }
    if variant % 7 == 3 {
        spec["deletionPolicy"] = json!("Retain");
    }
    if variant % 5 == 4 {
        spec["synchronization"] = json!("Paused");
    }
    object("EducationSyncProfile", &key(resource), &spec)
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, key: &Key, spec: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": kind,
        "metadata": {"namespace": key.namespace, "name": key.name},
        "spec": spec,
    }))
    .unwrap()
}

/// The connection `default`, with both credentials.
pub fn connection(world: &World) -> GraphConnection {
    let settings = world.simulator.settings();
    let key = Key { namespace: NAMESPACE.to_owned(), name: "default".to_owned() };
    let reference = |name: &str| json!({"name": "graph", "key": name});
    object(
        "GraphConnection",
        &key,
        &json!({
            "tenantId": settings.tenant,
            "application": {"clientId": settings.client_id, "clientSecretRef": reference("clientSecret")},
            "delegated": {
                "clientId": settings.client_id,
                "refreshTokenRef": reference("refreshToken"),
                "clientSecretRef": reference("clientSecret")
            }
        }),
    )
}

/// A profile that nobody can take for one of ours: it matches accounts instead of creating them.
pub fn foreign_body(name: &str) -> Value {
    json!({
        "displayName": name,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityMatchingConfiguration",
            "matchingOptions": [{
                "appliesTo": "student",
                "sourcePropertyName": "Username",
                "targetPropertyName": "userPrincipalName",
                "targetDomain": "school.example"
            }]
        }
    })
}

/// A profile that could be what [`manifest`] asks for under the first name.
pub fn twin_body() -> Value {
    json!({
        "displayName": NAMES[0],
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}]
        }
    })
}
