//! Good manifests in which every field of the schemas is set somewhere.
//!
//! They are what wrong manifests are made from (`mutate`), and what is followed to Graph (`fields`). A new field of the
//! schema has to be set here; `fields` says so.

use serde_json::{Value, json};

const ID: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";

/// Specs of profiles, by name.
pub fn profiles() -> Vec<(&'static str, Value)> {
    vec![
        ("csv", csv()),
        ("oauth1", one_roster(oauth1(), creation("oauth1"))),
        ("oauth2", one_roster(oauth2(), matching())),
        ("powerschool", power_school()),
    ]
}

/// Specs of connections, by the credential of the application.
pub fn connections() -> Vec<(&'static str, Value)> {
    vec![
        ("client-secret", connection("clientSecretRef", json!({"name": "graph", "key": "clientSecret"}))),
        ("certificate", connection("certificateRef", json!({"name": "tls"}))),
        ("workload-identity", connection("workloadIdentity", json!({}))),
        ("managed-identity", connection("managedIdentity", json!({}))),
    ]
}

fn csv() -> Value {
    json!({
        "connectionRef": {"name": "default", "namespace": "district"},
        "displayName": "Every field of csv",
        "dataProvider": {"csv": {"customizations": customizations()}},
        "identitySynchronizationConfiguration": creation("csv"),
        "licensesToAssign": [{"appliesTo": "student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}],
        "handleSpecialCharacterConstraint": true,
        "expirationDate": "2027-06-30",
        "deletionPolicy": "Retain",
        "managementPolicy": "Manage",
        "synchronization": "Running",
        "adopt": {"profileId": ID},
        "triggers": {"reset": "2026-11-01", "start": "2026-11-02"}
    })
}

fn one_roster(settings: Value, identity: Value) -> Value {
    let kind = settings.as_object().unwrap().keys().next().unwrap().clone();
    json!({
        "displayName": format!("Every field of {kind}"),
        "dataProvider": {"oneRoster": {
            "connectionUrl": format!("https://{}.school.example/ims/oneroster/v1p1", kind.to_lowercase()),
            "connectionSettings": settings,
            "providerName": "Contoso SIS",
            "schoolsIds": ["org-001", "org-002"],
            "termIds": ["term-2027-fall"],
            "customizations": customizations()
        }},
        "identitySynchronizationConfiguration": identity,
        "deletionPolicy": "Retain",
        "adopt": {"byDisplayName": true}
    })
}

fn oauth1() -> Value {
    json!({"oauth1": {"clientId": "consumer", "clientSecretRef": secret_ref()}})
}

fn oauth2() -> Value {
    json!({"oauth2ClientCredentials": {
        "clientId": "client", "clientSecretRef": secret_ref(),
        "tokenUrl": "https://sis.school.example/oauth2/token", "scope": "roster-core.readonly"
    }})
}

fn power_school() -> Value {
    json!({
        "displayName": "Every field of powerSchool",
        "dataProvider": {"powerSchool": {
            "connectionUrl": "https://powerschool.school.example",
            "clientId": "plugin", "clientSecretRef": secret_ref(),
            "schoolsIds": ["55", "56"], "schoolYear": "2027", "allowTeachersInMultipleSchools": true,
            "customizations": customizations()
        }},
        "identitySynchronizationConfiguration": matching()
    })
}

fn secret_ref() -> Value {
    json!({"name": "sis-credentials", "key": "clientSecret"})
}

fn customizations() -> Value {
    let entity = |heading: &str| json!({"optionalPropertiesToSync": [heading], "isSyncDeferred": true, "allowDisplayNameUpdate": true});
    json!({
        "school": entity("School Number"), "section": entity("Course Name"),
        "student": entity("Grade"), "teacher": entity("Title"),
        "studentEnrollment": {
            "synchronizationStartDate": "2027-08-15T00:00:00Z", "isSyncDeferred": true, "allowDisplayNameUpdate": true
        },
        "teacherRoster": {"isSyncDeferred": true, "allowDisplayNameUpdate": true}
    })
}

fn creation(of: &str) -> Value {
    json!({"creation": {"userDomains": [{"appliesTo": "student", "name": format!("{of}.school.example")}]}})
}

fn matching() -> Value {
    json!({"matching": {"matchingOptions": [{
        "appliesTo": "teacher", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName",
        "targetDomain": "matched.school.example"
    }]}})
}

fn connection(kind: &str, credential: Value) -> Value {
    json!({
        "tenantId": ID,
        "graph": {"endpoint": "https://graph.microsoft.com", "dialect": "Beta", "pollInterval": "60s"},
        "authority": "https://login.microsoftonline.com",
        "caBundleRef": {"name": "graph", "key": "ca.crt"},
        "allowedNamespaces": ["school", "school-9"],
        "application": {"clientId": ID, kind: credential},
        "delegated": {
            "clientId": ID,
            "refreshTokenRef": {"name": "graph", "key": "refreshToken"},
            "clientSecretRef": {"name": "graph", "key": "clientSecret"}
        }
    })
}
