//! Create bodies that Microsoft documents.

use serde_json::{Value, json};

use super::profile;

/// A `OneRoster` profile with everything, signing in with OAuth 2, that matches accounts.
pub fn one_roster() -> Value {
    let mut body = matching();
    body["dataProvider"] = json!({
        "@odata.type": "#microsoft.graph.educationOneRosterApiDataProvider",
        "connectionUrl": "https://sis.fabrikam.example/ims/oneroster/v1p1",
        "providerName": "FabrikamSIS",
        "schoolsIds": ["org-001"],
        "termIds": ["term-2024-f"],
        "connectionSettings": {
            "@odata.type": "#microsoft.graph.educationSynchronizationOAuth2ClientCredentialsConnectionSettings",
            "clientId": "sds-client", "clientSecret": "example-secret",
            "tokenUrl": "https://sis.fabrikam.example/oauth2/token", "scope": "roster-core.readonly"
        },
        "customizations": { "section": { "optionalPropertiesToSync": ["Course Name"], "allowDisplayNameUpdate": true } }
    });
    body
}

/// The same with OAuth 1.0.
pub fn oauth1() -> Value {
    let mut body = one_roster();
    body["dataProvider"]["connectionSettings"] = json!({
        "@odata.type": "#microsoft.graph.educationSynchronizationOAuth1ConnectionSettings",
        "clientId": "consumer-key", "clientSecret": "consumer-secret"
    });
    body
}

/// A `PowerSchool` profile with everything.
pub fn power_school() -> Value {
    let mut body = profile("PowerSchool");
    body["dataProvider"] = json!({
        "@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
        "connectionUrl": "https://powerschool.fabrikam.example", "clientId": "plugin", "clientSecret": "example-secret",
        "schoolsIds": ["55"], "schoolYear": "2024", "allowTeachersInMultipleSchools": true, "customizations": null
    });
    body
}

/// A CSV profile that matches accounts.
pub fn matching() -> Value {
    let mut body = profile("Matching");
    body["identitySynchronizationConfiguration"] = json!({
        "@odata.type": "#microsoft.graph.educationIdentityMatchingConfiguration",
        "matchingOptions": [
            { "appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName",
              "targetDomain": "students.fabrikam.example" },
            { "appliesTo": "teacher", "sourcePropertyName": "Secondary Email", "targetPropertyName": "mail",
              "targetDomain": null }
        ]
    });
    body
}

/// A CSV profile with everything, also what the service sets itself.
pub fn full() -> Value {
    let mut body = profile("Full");
    body["dataProvider"]["customizations"] = json!({
        "@odata.type": "#microsoft.graph.educationSynchronizationCustomizations",
        "studentEnrollment": { "synchronizationStartDate": "2024-10-01T02:00:00+02:00", "isSyncDeferred": true }
    });
    body["licensesToAssign"] = json!([{
        "@odata.type": "microsoft.graph.educationSynchronizationLicenseAssignment",
        "appliesTo": "faculty", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]
    }]);
    body["handleSpecialCharacterConstraint"] = json!(true);
    body["expirationDate"] = json!("2026-03-02");
    body["@odata.context"] = json!("https://graph.microsoft.com/beta/$metadata#x");
    body["errors@odata.context"] = json!("x");
    body["profileStatus"] = json!({ "status": "success" });
    body["errors"] = json!([]);
    body
}
