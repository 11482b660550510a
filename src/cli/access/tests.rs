//! What is refused before anything is sent.

use serde_json::json;

use super::*;

fn connection(spec: &serde_json::Value) -> GraphConnection {
    serde_json::from_value(json!({"metadata": {"name": "default", "namespace": "school"}, "spec": spec}))
        .unwrap()
}

const TENANT: &str = "11111111-1111-1111-1111-111111111111";

#[test]
fn the_operators_identity_stays_with_the_operator() {
    let alone =
        connection(&json!({"tenantId": TENANT, "application": {"clientId": TENANT, "workloadIdentity": {}}}));
    assert!(usable_here(alone).unwrap_err().to_string().contains("application.workloadIdentity"));
    let both = connection(&json!({"tenantId": TENANT,
        "application": {"clientId": TENANT, "managedIdentity": {}},
        "delegated": {"clientId": TENANT, "refreshTokenRef": {"name": "a", "key": "b"}}}));
    assert_eq!(usable_here(both).unwrap().spec.application, None);
}

#[test]
fn credentials_go_to_microsoft_or_to_named_hosts() {
    let spec = json!({"tenantId": TENANT, "graph": {"endpoint": "https://127.0.0.1:8443"}, "authority": "https://127.0.0.1:8443"});
    let elsewhere = connection(&spec);
    let refused = check_hosts(&elsewhere, &[]).unwrap_err().to_string();
    assert!(refused.contains("--allowed-host 127.0.0.1"), "{refused}");
    assert!(check_hosts(&elsewhere, &["127.0.0.1".to_owned()]).is_ok());
    assert!(check_hosts(&connection(&json!({"tenantId": TENANT})), &[]).is_ok());
}

#[test]
fn a_binding_must_be_of_this_object_and_of_this_tenant() {
    let connection = connection(&json!({"tenantId": TENANT}));
    let resource = |uid: &str, tenant: &str| -> EducationSyncProfile {
        serde_json::from_value(json!({"metadata": {"name": "contoso", "uid": "1"},
            "spec": {"displayName": "C", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}},
            "status": {"binding": {"uid": uid, "endpoint": "https://graph.microsoft.com", "tenantId": tenant,
                "profileId": "p", "displayName": "C"}}}))
        .unwrap()
    };
    assert_eq!(binding(&resource("1", TENANT), &connection).unwrap().profile_id, "p");
    assert!(binding(&resource("2", TENANT), &connection).is_err());
    assert!(binding(&resource("1", "other"), &connection).is_err());
}
