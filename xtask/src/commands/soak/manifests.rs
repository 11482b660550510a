//! What a soak applies to Kubernetes: namespaces, Secrets, connections, profiles. Pure.

use serde_json::{Value, json};

use super::stage::TENANTS;
use crate::commands::tenant;
pub(super) use crate::commands::tenant::{CLIENT_SECRET, Object, set};

/// The namespace of a tenant.
pub(super) fn namespace(tenant: usize) -> String {
    format!("school-{}", tenant + 1)
}

/// Path of the profiles of a tenant's namespace.
pub(super) fn profiles_path(tenant: usize) -> String {
    tenant::profiles_path(&namespace(tenant))
}

/// The namespaces with all that profiles need.
pub(super) fn surroundings(graph_url: &str, graph_ca: &str) -> Vec<Object> {
    (0..TENANTS.len())
        .flat_map(|tenant| {
            let name = namespace(tenant);
            [
                tenant::namespace(&name),
                tenant::authority(&name, graph_ca),
                credentials(tenant, CLIENT_SECRET),
                source_secret(tenant, "first"),
                connection(tenant, graph_url, "5s"),
            ]
        })
        .collect()
}

/// The credentials of the connection.
pub(super) fn credentials(tenant: usize, client_secret: &str) -> Object {
    tenant::credentials(&namespace(tenant), client_secret)
}

/// The secret of the PowerSchool sources.
pub(super) fn source_secret(tenant: usize, value: &str) -> Object {
    tenant::secret(&namespace(tenant), "source", &json!({"clientSecret": value}))
}

/// The connection of a tenant.
pub(super) fn connection(tenant: usize, graph_url: &str, poll_interval: &str) -> Object {
    let id = TENANTS.get(tenant).copied().unwrap_or_default();
    tenant::connection(&namespace(tenant), id, graph_url, Some(poll_interval))
}

/// The manifest of a profile with this spec.
pub(super) fn profile(tenant: usize, name: &str, requested_at: Option<u64>, spec: &Value) -> Value {
    let mut manifest = tenant::profile(&namespace(tenant), name, spec);
    if let Some(metadata) = manifest.get_mut("metadata")
        && let Some(time) = requested_at
    {
        set(metadata, "annotations", json!({"reconcile.edusync.dev/requestedAt": time.to_string()}));
    }
    manifest
}

/// The spec that a resource begins with. Every third source is PowerSchool, which synchronizes by itself.
pub(super) fn spec(number: usize, display_name: &str) -> Value {
    let mut spec = tenant::csv_spec(display_name);
    if number.is_multiple_of(3) {
        let provider = json!({"powerSchool": {
            "connectionUrl": "https://powerschool.school.example", "clientId": "soak",
            "clientSecretRef": {"name": "source", "key": "clientSecret"},
        }});
        set(&mut spec, "dataProvider", provider);
    }
    if number % 5 == 4 {
        set(&mut spec, "deletionPolicy", json!("Retain"));
    }
    spec
}
