//! What a soak applies to Kubernetes: namespaces, Secrets, connections, profiles. Pure.

use serde_json::{Value, json};

use super::stage::TENANTS;

/// The simulator's built-in application.
pub(super) const CLIENT_ID: &str = "22222222-2222-2222-2222-222222222222";
pub(super) const CLIENT_SECRET: &str = "example-client-secret";
pub(super) const REFRESH_TOKEN: &str = "0.example-refresh-token";

/// An object and where it is applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    pub(super) path: String,
    pub(super) manifest: Value,
}

/// The namespace of a tenant.
pub(super) fn namespace(tenant: usize) -> String {
    format!("school-{}", tenant + 1)
}

/// Path of the profiles of a namespace.
pub(super) fn profiles_path(tenant: usize) -> String {
    format!("/apis/edusync.dev/v1alpha1/namespaces/{}/educationsyncprofiles", namespace(tenant))
}

/// The namespaces with all that profiles need.
pub(super) fn surroundings(graph_url: &str, graph_ca: &str) -> Vec<Object> {
    (0..TENANTS.len())
        .flat_map(|tenant| {
            let name = namespace(tenant);
            let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            [
                Object { path: format!("/api/v1/namespaces/{name}"), manifest: made },
                secret(tenant, "graph-ca", &json!({"ca.crt": graph_ca})),
                credentials(tenant, CLIENT_SECRET),
                source_secret(tenant, "first"),
                connection(tenant, graph_url, "5s"),
            ]
        })
        .collect()
}

/// The credentials of the connection.
pub(super) fn credentials(tenant: usize, client_secret: &str) -> Object {
    secret(tenant, "graph", &json!({"clientSecret": client_secret, "refreshToken": REFRESH_TOKEN}))
}

/// The secret of the PowerSchool sources.
pub(super) fn source_secret(tenant: usize, value: &str) -> Object {
    secret(tenant, "source", &json!({"clientSecret": value}))
}

fn secret(tenant: usize, name: &str, values: &Value) -> Object {
    let namespace = namespace(tenant);
    Object {
        path: format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        manifest: json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace}, "stringData": values,
        }),
    }
}

/// The connection of a tenant.
pub(super) fn connection(tenant: usize, graph_url: &str, poll_interval: &str) -> Object {
    let namespace = namespace(tenant);
    let client_secret = json!({"name": "graph", "key": "clientSecret"});
    Object {
        path: format!("/apis/edusync.dev/v1alpha1/namespaces/{namespace}/graphconnections/default"),
        manifest: json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"name": "default", "namespace": namespace},
            "spec": {
                "tenantId": TENANTS.get(tenant),
                "graph": {"endpoint": graph_url, "pollInterval": poll_interval},
                "authority": graph_url,
                "caBundleRef": {"name": "graph-ca", "key": "ca.crt"},
                "application": {"clientId": CLIENT_ID, "clientSecretRef": client_secret},
                "delegated": {
                    "clientId": CLIENT_ID,
                    "refreshTokenRef": {"name": "graph", "key": "refreshToken"},
                    "clientSecretRef": client_secret,
                },
            },
        }),
    }
}

/// The manifest of a profile with this spec.
pub(super) fn profile(tenant: usize, name: &str, requested_at: Option<u64>, spec: &Value) -> Value {
    let mut metadata = json!({"name": name, "namespace": namespace(tenant)});
    if let Some(time) = requested_at {
        let annotation = json!({"reconcile.edusync.dev/requestedAt": time.to_string()});
        metadata.as_object_mut().map(|metadata| metadata.insert("annotations".to_owned(), annotation));
    }
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile", "metadata": metadata, "spec": spec,
    })
}

/// The spec that a resource begins with. Every third source is PowerSchool, which synchronizes by itself.
pub(super) fn spec(number: usize, display_name: &str) -> Value {
    let provider = if number.is_multiple_of(3) {
        json!({"powerSchool": {
            "connectionUrl": "https://powerschool.school.example", "clientId": "soak",
            "clientSecretRef": {"name": "source", "key": "clientSecret"},
        }})
    } else {
        json!({"csv": {}})
    };
    let mut spec = json!({
        "displayName": display_name,
        "dataProvider": provider,
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "students.school.example"},
        ]}},
    });
    if number % 5 == 4 {
        set(&mut spec, "deletionPolicy", json!("Retain"));
    }
    spec
}

/// Sets a member of an object, or takes it out if it is null.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    let Some(members) = object.as_object_mut() else { return };
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}

/// What somebody else makes in the portal.
pub(super) fn foreign(number: u64) -> Value {
    json!({
        "displayName": format!("Portal {number}"),
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}],
        },
    })
}
