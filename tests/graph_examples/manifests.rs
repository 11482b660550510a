//! The manifests that the bodies of the examples come from.

use serde_json::{Value, json};

pub fn spec(name: &str, provider: Value, licensed: bool) -> Value {
    let mut spec = json!({
        "displayName": name,
        "dataProvider": provider,
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "students.fabrikam-isd.example"},
            {"appliesTo": "teacher", "name": "fabrikam-isd.example"}
        ]}}
    });
    if licensed {
        spec["licensesToAssign"] = json!([
            {"appliesTo": "teacher", "skuIds": ["a1f0c3d2-4b5e-4c6d-8e7f-1029384756aa"]},
            {"appliesTo": "student", "skuIds": ["b2e1d4c3-5a6f-4d7e-9f80-2130495867bb"]}
        ]);
    }
    spec
}

pub fn csv() -> Value {
    json!({"csv": {"customizations": {"student": {"optionalPropertiesToSync": ["Grade", "Middle Name"]}}}})
}

fn secret_ref() -> Value {
    json!({"name": "source", "key": "clientSecret"})
}

/// The manifest that an example's body comes from, and the client secret of its source.
pub fn manifest(name: &str) -> (Value, Option<&'static str>) {
    let one_roster = |settings: Value| json!({"connectionUrl": "https://sis.fabrikam-isd.example/ims/oneroster/v1p1", "connectionSettings": settings});
    match name {
        "education-profiles-create-csv-matching" => {
            let mut spec = spec("Fabrikam ISD match only", json!({"csv": {}}), false);
            spec["identitySynchronizationConfiguration"] = json!({"matching": {"matchingOptions": [
                {"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName", "targetDomain": "students.fabrikam-isd.example"},
                {"appliesTo": "teacher", "sourcePropertyName": "Secondary Email", "targetPropertyName": "mail"}
            ]}});
            spec["handleSpecialCharacterConstraint"] = json!(true);
            spec["expirationDate"] = json!("2025-07-31");
            (spec, None)
        }
        "education-profiles-create-oneroster-oauth1" => {
            let mut provider =
                one_roster(json!({"oauth1": {"clientId": "consumer-key", "clientSecretRef": secret_ref()}}));
            provider["schoolsIds"] = json!(["org-001"]);
            provider["termIds"] = json!(["term-2024-f"]);
            (spec("Fabrikam OneRoster OAuth1", json!({"oneRoster": provider}), true), Some("consumer-secret"))
        }
        "education-profiles-create-oneroster-oauth2" => {
            let mut provider = one_roster(json!({"oauth2ClientCredentials": {
                "clientId": "sds-client", "clientSecretRef": secret_ref(),
                "tokenUrl": "https://sis.fabrikam-isd.example/oauth2/token", "scope": "roster-core.readonly"
            }}));
            provider["providerName"] = json!("FabrikamSIS");
            provider["schoolsIds"] = json!(["org-001", "org-002"]);
            provider["termIds"] = json!(["term-2024-f", "term-2025-s"]);
            provider["customizations"] = json!({"section": {"optionalPropertiesToSync": ["Course Name", "Course Number"], "allowDisplayNameUpdate": true}});
            (spec("Fabrikam OneRoster OAuth2", json!({"oneRoster": provider}), true), Some("example-secret"))
        }
        "education-profiles-create-powerschool" => {
            let provider = json!({"powerSchool": {
                "connectionUrl": "https://powerschool.fabrikam-isd.example", "clientId": "8d1f3c55-plugin",
                "clientSecretRef": secret_ref(), "schoolsIds": ["55", "56"], "schoolYear": "2024",
                "allowTeachersInMultipleSchools": true
            }});
            (spec("Fabrikam PowerSchool", provider, true), Some("example-secret"))
        }
        _ => (spec("Fabrikam ISD roster", csv(), true), None),
    }
}
