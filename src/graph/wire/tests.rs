//! Every field of the spec reaches the body, in the documented spelling.

use super::*;

/// The manifest of the page "Create a synchronizationProfile" (October 2017), value for value.
fn second_document() -> EducationSyncProfileSpec {
    serde_json::from_value(json!({
        "displayName": "Test Profile",
        "dataProvider": {"csv": {"customizations": {"student": {"optionalPropertiesToSync": ["State ID", "Middle Name"]}}}},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [
            {"appliesTo": "student", "name": "testschool.edu"},
            {"appliesTo": "teacher", "name": "testschool.edu"}
        ]}},
        "licensesToAssign": [
            {"appliesTo": "teacher", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]},
            {"appliesTo": "student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}
        ]
    }))
    .unwrap()
}

fn request_of_the_document() -> Value {
    json!({
        "displayName": "Test Profile",
        "dataProvider": {
            "@odata.type": "#microsoft.graph.csvDataProvider",
            "customizations": {"student": {"optionalPropertiesToSync": ["State ID", "Middle Name"]}}
        },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.identityCreationConfiguration",
            "userDomains": [
                {"appliesTo": "student", "name": "testschool.edu"},
                {"appliesTo": "teacher", "name": "testschool.edu"}
            ]
        },
        "licensesToAssign": [
            {"appliesTo": "teacher", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]},
            {"appliesTo": "student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}
        ]
    })
}

#[test]
fn the_second_document_is_written_property_by_property() {
    assert_eq!(body(&second_document(), Dialect::TestEduApi, None), request_of_the_document());
}

#[test]
fn beta_differs_in_the_type_names_alone() {
    let mut expected = request_of_the_document();
    expected["dataProvider"]["@odata.type"] = json!("#microsoft.graph.educationCsvDataProvider");
    expected["identitySynchronizationConfiguration"]["@odata.type"] =
        json!("#microsoft.graph.educationIdentityCreationConfiguration");
    assert_eq!(body(&second_document(), Dialect::Beta, None), expected);
    assert_eq!(body(&second_document(), Dialect::BetaRef, None), expected);
}

#[test]
fn every_field_of_the_spec_reaches_the_body() {
    let spec: EducationSyncProfileSpec = serde_json::from_value(json!({
        "displayName": "All",
        "dataProvider": {"csv": {"customizations": {
            "school": {"optionalPropertiesToSync": [], "isSyncDeferred": true, "allowDisplayNameUpdate": false},
            "section": {"allowDisplayNameUpdate": true},
            "student": {"optionalPropertiesToSync": ["Grade"]},
            "teacher": {"isSyncDeferred": false},
            "studentEnrollment": {"synchronizationStartDate": "2027-08-15T00:00:00Z", "isSyncDeferred": true},
            "teacherRoster": {"allowDisplayNameUpdate": true}
        }}},
        "identitySynchronizationConfiguration": {"matching": {"matchingOptions": [
            {"appliesTo": "faculty", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName", "targetDomain": "school.example"}
        ]}},
        "handleSpecialCharacterConstraint": true,
        "expirationDate": "2027-06-30"
    }))
    .unwrap();
    let body = wanted(&spec);
    let expected = json!({
        "displayName": "All",
        "dataProvider": {
            "@odata.type": "#microsoft.graph.educationCsvDataProvider",
            "customizations": {
                "school": {"optionalPropertiesToSync": [], "isSyncDeferred": true, "allowDisplayNameUpdate": false},
                "section": {"allowDisplayNameUpdate": true},
                "student": {"optionalPropertiesToSync": ["Grade"]},
                "teacher": {"isSyncDeferred": false},
                "studentEnrollment": {"synchronizationStartDate": "2027-08-15T00:00:00Z", "isSyncDeferred": true},
                "teacherRoster": {"allowDisplayNameUpdate": true}
            }
        },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityMatchingConfiguration",
            "matchingOptions": [
                {"appliesTo": "faculty", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName", "targetDomain": "school.example"}
            ]
        },
        "handleSpecialCharacterConstraint": true,
        "expirationDate": "2027-06-30"
    });
    assert_eq!(body, expected);
}

/// Else pupils would be matched with it for ever.
#[test]
fn a_domain_that_is_taken_out_of_the_manifest_is_a_difference() {
    let mut spec = second_document();
    let with = |domain: serde_json::Value| {
        json!({"matching": {"matchingOptions": [
            {"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "mail", "targetDomain": domain}
        ]}})
    };
    spec.identity_synchronization_configuration =
        serde_json::from_value(with(json!("school.example"))).unwrap();
    let graph_has = wanted(&spec);
    spec.identity_synchronization_configuration = serde_json::from_value(with(json!(null))).unwrap();
    let differs = crate::graph::difference::differences(&wanted(&spec), &graph_has);
    assert_eq!(differs, ["identitySynchronizationConfiguration.matchingOptions"]);
}
