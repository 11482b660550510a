//! What is written to Graph: the body of a create, in exactly the documented spelling of each dialect.
//!
//! Reading is the business of [`super::profile`], which is tolerant; this is strict.

use serde_json::{Map, Value, json};

use crate::api::connection::Dialect;
use crate::api::customizations::Customizations;
use crate::api::identity::IdentitySynchronizationConfiguration;
use crate::api::profile::{DataProvider, EducationSyncProfileSpec};
use crate::api::status::{IdentityKind, ProviderKind};

/// The body that creates the profile: only what the user set, and nothing that the service decides.
#[must_use]
pub fn create_body(spec: &EducationSyncProfileSpec, dialect: Dialect) -> Value {
    let mut body = Map::new();
    body.insert("displayName".into(), json!(spec.display_name));
    body.insert("dataProvider".into(), data_provider(&spec.data_provider, dialect));
    body.insert(
        "identitySynchronizationConfiguration".into(),
        identity(&spec.identity_synchronization_configuration, dialect),
    );
    insert_some(&mut body, "licensesToAssign", spec.licenses_to_assign.as_ref());
    insert_some(&mut body, "handleSpecialCharacterConstraint", spec.handle_special_character_constraint);
    insert_some(&mut body, "expirationDate", spec.expiration_date.as_ref());
    Value::Object(body)
}

/// Kind of the provider that the spec asks for.
#[must_use]
pub const fn provider_kind(_provider: &DataProvider) -> ProviderKind {
    ProviderKind::Csv
}

/// Kind of the identity configuration that the spec asks for.
#[must_use]
pub const fn identity_kind(configuration: &IdentitySynchronizationConfiguration) -> IdentityKind {
    if configuration.matching.is_some() { IdentityKind::Matching } else { IdentityKind::Creation }
}

fn data_provider(provider: &DataProvider, dialect: Dialect) -> Value {
    let mut object = typed(dialect, "CsvDataProvider");
    if let Some(customizations) = provider.csv.as_ref().and_then(|csv| csv.customizations.as_ref()) {
        object.insert("customizations".into(), customizations_object(customizations));
    }
    Value::Object(object)
}

fn customizations_object(customizations: &Customizations) -> Value {
    let mut object = Map::new();
    insert_some(&mut object, "school", customizations.school.as_ref());
    insert_some(&mut object, "section", customizations.section.as_ref());
    insert_some(&mut object, "student", customizations.student.as_ref());
    insert_some(&mut object, "teacher", customizations.teacher.as_ref());
    insert_some(&mut object, "studentEnrollment", customizations.student_enrollment.as_ref());
    insert_some(&mut object, "teacherRoster", customizations.teacher_roster.as_ref());
    Value::Object(object)
}

fn identity(configuration: &IdentitySynchronizationConfiguration, dialect: Dialect) -> Value {
    if let Some(matching) = &configuration.matching {
        let mut object = typed(dialect, "IdentityMatchingConfiguration");
        object.insert("matchingOptions".into(), json!(matching.matching_options));
        return Value::Object(object);
    }
    let mut object = typed(dialect, "IdentityCreationConfiguration");
    if let Some(creation) = &configuration.creation {
        object.insert("userDomains".into(), json!(creation.user_domains));
    }
    Value::Object(object)
}

/// An object that begins with its type, as Graph requires where the declared type is abstract
/// (Graph docs, resource pages of the data providers and identity configurations).
fn typed(dialect: Dialect, name: &str) -> Map<String, Value> {
    let full = match dialect {
        Dialect::Beta | Dialect::BetaRef => format!("#microsoft.graph.education{name}"),
        // The preview of October 2017 had no prefix, and began with a lower-case letter.
        Dialect::TestEduApi => {
            let (first, rest) = name.split_at(1);
            format!("#microsoft.graph.{}{rest}", first.to_ascii_lowercase())
        }
    };
    Map::from_iter([("@odata.type".to_owned(), Value::String(full))])
}

/// The members of the resource have Graph's own names, so serde's form of a value is Graph's form.
fn insert_some<T: serde::Serialize>(object: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(create_body(&second_document(), Dialect::TestEduApi), request_of_the_document());
    }

    #[test]
    fn beta_differs_in_the_type_names_alone() {
        let mut expected = request_of_the_document();
        expected["dataProvider"]["@odata.type"] = json!("#microsoft.graph.educationCsvDataProvider");
        expected["identitySynchronizationConfiguration"]["@odata.type"] =
            json!("#microsoft.graph.educationIdentityCreationConfiguration");
        assert_eq!(create_body(&second_document(), Dialect::Beta), expected);
        assert_eq!(create_body(&second_document(), Dialect::BetaRef), expected);
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
        let body = create_body(&spec, Dialect::Beta);
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
}
