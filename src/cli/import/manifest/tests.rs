//! Out of a manifest, into Graph, and back: the manifest's own fields come back.

use std::path::Path;

use super::*;
use crate::cli::connection_name::ConnectionName;
use crate::graph::wire::wanted;

/// A connection as the command line names it in the namespace of the school.
fn connection(text: &str) -> Key {
    text.parse::<ConnectionName>().unwrap().from("school")
}

fn place(connection: &Key) -> Place<'_> {
    Place { namespace: "school", name: "contoso", connection }
}

fn remote(spec: &EducationSyncProfileSpec) -> RemoteProfile {
    let mut body = wanted(spec);
    body["id"] = json!("3f0b1c52");
    body["state"] = json!("provisioned");
    RemoteProfile::read(&body).unwrap()
}

fn spec_of(value: Value) -> EducationSyncProfileSpec {
    serde_json::from_value(value).unwrap()
}

/// Every example of the repository, read, sent, and imported again.
#[test]
fn what_a_manifest_says_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for name in ["all-customizations", "create-accounts", "match-accounts", "oneroster", "powerschool"] {
        let text = std::fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
        let manifest_of: Value = serde_saphyr::from_str(&text).unwrap();
        let mut expected = spec_of(manifest_of["spec"].clone());
        let imported = manifest(&remote(&expected), place(&connection("default"))).unwrap();
        // What the import says of its own; references are where the import puts them.
        expected.adopt = imported.spec.adopt.clone();
        expected.deletion_policy = imported.spec.deletion_policy;
        expected.connection_ref = None;
        let expected = json!(expected).to_string().replace("sis-credentials", "contoso-source");
        assert_eq!(json!(imported.spec).to_string(), expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_manifest_is_written_with_what_is_to_be_done() {
    let profile = RemoteProfile::read(&json!({
        "id": "3f0b1c52", "displayName": "Contoso\nSIS", "state": "provisioned",
        "expirationDate": "2027-06-30T00:00:00Z", "licensesToAssign": [], "handleSpecialCharacterConstraint": null,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
            "connectionUrl": "https://sis.example", "clientId": "c", "clientSecret": "canary", "schoolYear": "",
            "schoolsIds": [], "customizations": {"student": {"optionalPropertiesToSync": [], "isSyncDeferred": null},
                "studentEnrollment": {"optionalPropertiesToSync": [], "synchronizationStartDate": "0001-01-01T00:00:00Z"}}},
        "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityMatchingConfiguration",
            "matchingOptions": [{"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName", "targetDomain": null}]}
    }))
    .unwrap();
    let manifest = manifest(&profile, place(&connection("other"))).unwrap();
    let yaml = manifest.to_yaml(&profile, "11111111").unwrap();
    assert!(!yaml.contains("canary"));
    assert!(
        yaml.starts_with(
            "---\n\
             # The profile \"Contoso SIS\" (3f0b1c52) of the tenant 11111111.\n\
             # Applying it takes the profile over; deleting the resource leaves the profile there.\n\
             # TO DO: Graph does not give the client secret away. Make the Secret contoso-source first:\n\
             #   kubectl -n school create secret generic contoso-source --from-file=clientSecret=FILE\n\
             apiVersion: edusync.dev/v1alpha1\n"
        ),
        "{yaml}"
    );
    let read: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(
        read["spec"],
        json!({
            "connectionRef": {"name": "other"}, "displayName": "Contoso\nSIS", "expirationDate": "2027-06-30",
            "adopt": {"profileId": "3f0b1c52"}, "deletionPolicy": "Retain",
            "dataProvider": {"powerSchool": {"connectionUrl": "https://sis.example", "clientId": "c",
                "clientSecretRef": {"name": "contoso-source", "key": "clientSecret"},
                "customizations": {"student": {"optionalPropertiesToSync": []}}}},
            "identitySynchronizationConfiguration": {"matching": {"matchingOptions": [
                {"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName"}]}}
        })
    );
}

#[test]
fn a_connection_is_named_with_its_namespace_where_that_is_another() {
    let profile = remote(&spec_of(json!({"displayName": "Contoso", "dataProvider": {"csv": {}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": []}}})));
    let reference_to = |text: &str| {
        let manifest = manifest(&profile, place(&connection(text))).unwrap();
        json!(manifest.spec.connection_ref)
    };
    assert_eq!(reference_to("school/default"), json!(null));
    assert_eq!(reference_to("other"), json!({"name": "other"}));
    assert_eq!(reference_to("district/default"), json!({"name": "default", "namespace": "district"}));
}

#[test]
fn what_no_manifest_can_say_is_refused() {
    let profile = RemoteProfile::read(
        &json!({"id": "1", "dataProvider": {"@odata.type": "#microsoft.graph.somethingNew"}}),
    )
    .unwrap();
    assert!(
        manifest(&profile, place(&connection("default"))).unwrap_err().to_string().contains("dataProvider")
    );
}

#[test]
fn names_of_resources_are_names() {
    let none = |_: &str| false;
    assert_eq!(resource_name("Contoso SDS (2027)", "3f0b-1c52", &none), "contoso-sds-2027");
    assert_eq!(resource_name("Школа", "3f0b-1c52", &none), "profile");
    let taken = |name: &str| name == "contoso";
    assert_eq!(resource_name("Contoso", "3f0b-1c52-8a5e", &taken), "contoso-3f0b1c52");
    let all = |name: &str| !name.ends_with("-3");
    assert_eq!(resource_name("Contoso", "3f0b-1c52-8a5e", &all), "contoso-3f0b1c52-3");
}
