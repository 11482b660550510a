//! Manifests of what leads to a tenant of the simulator: namespace, Secret, connection, profile. Pure; which of them there
//! are, and what they are called, is for the chore.

use serde_json::{Value, json};

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

/// Path of the profiles of a namespace.
pub(super) fn profiles_path(namespace: &str) -> String {
    format!("/apis/edusync.dev/v1alpha1/namespaces/{namespace}/educationsyncprofiles")
}

/// Path of the connection of a namespace.
pub(super) fn connection_path(namespace: &str) -> String {
    format!("/apis/edusync.dev/v1alpha1/namespaces/{namespace}/graphconnections/default")
}

/// A namespace.
pub(super) fn namespace(name: &str) -> Object {
    Object {
        path: format!("/api/v1/namespaces/{name}"),
        manifest: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    }
}

/// A Secret.
pub(super) fn secret(namespace: &str, name: &str, values: &Value) -> Object {
    Object {
        path: format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        manifest: json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace}, "stringData": values,
        }),
    }
}

/// The credentials of a connection.
pub(super) fn credentials(namespace: &str, client_secret: &str) -> Object {
    secret(namespace, "graph", &json!({"clientSecret": client_secret, "refreshToken": REFRESH_TOKEN}))
}

/// The authority of the simulator's certificate.
pub(super) fn authority(namespace: &str, graph_ca: &str) -> Object {
    secret(namespace, "graph-ca", &json!({"ca.crt": graph_ca}))
}

/// The connection of a namespace, with the two Secrets above. Without an interval it has the operator's.
pub(super) fn connection(
    namespace: &str,
    tenant: &str,
    graph_url: &str,
    poll_interval: Option<&str>,
) -> Object {
    let client_secret = json!({"name": "graph", "key": "clientSecret"});
    let mut graph = json!({"endpoint": graph_url});
    set(&mut graph, "pollInterval", poll_interval.map_or(Value::Null, Value::from));
    Object {
        path: connection_path(namespace),
        manifest: json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"name": "default", "namespace": namespace},
            "spec": {
                "tenantId": tenant,
                "graph": graph,
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
pub(super) fn profile(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

/// A spec with a source of CSV files, which synchronizes nothing before somebody uploads them.
pub(super) fn csv_spec(display_name: &str) -> Value {
    json!({
        "displayName": display_name,
        "dataProvider": {"csv": {}},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "students.school.example"},
        ]}},
    })
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
