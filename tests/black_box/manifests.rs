//! What tests apply to Kubernetes, or send to Graph.

use serde_json::{Value, json};

/// A manifest.
pub fn profile_manifest(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1",
        "kind": "EducationSyncProfile",
        "metadata": {"name": name},
        "spec": spec
    })
}

/// A small spec.
pub fn spec(display_name: &str) -> Value {
    json!({
        "displayName": display_name,
        "dataProvider": {"csv": {}},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "school.example"}
        ]}}
    })
}

/// What somebody else would send to Graph for a profile of this name.
pub fn foreign_body(display_name: &str) -> Value {
    json!({
        "displayName": display_name,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}]
        }
    })
}
