//! No field is dropped on its way: each path of the schemas either reaches Graph, in the create and in the update, or
//! steers the operator in a test that shows it.
//!
//! A new field belongs into one of the tables here, and into `complete`.

use std::collections::{BTreeMap, BTreeSet};

use edusync::api::EducationSyncProfile;
use edusync::api::profile::EducationSyncProfileSpec;
use edusync::graph::difference::differences;
use edusync::graph::wire::wanted;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::complete;
use crate::scene::{Scene, condition, profile_manifest, quick};
use crate::schema::{at, at_mut, leaves, spec_schema};

const REFUSED: &str = "hundreds_of_wrong_profiles_are_refused_with_place_and_sentence";
const SHARED: &str = "namespaces_that_are_allowed_share_the_connection_and_its_list";
const STOPS: &str = "what_no_schema_can_see_stops_once_with_a_reason";
const SOURCES: &str = "every_source_becomes_ready_and_its_secret_reaches_graph_alone";
const REACHES: &str = "what_is_set_reaches_graph_and_so_does_what_is_changed";

/// Fields of a profile that Graph gets.
const SENT: [&str; 20] = [
    "displayName",
    "dataProvider.oneRoster.connectionUrl",
    "dataProvider.oneRoster.connectionSettings.oauth1.clientId",
    "dataProvider.oneRoster.connectionSettings.oauth2ClientCredentials.clientId",
    "dataProvider.oneRoster.connectionSettings.oauth2ClientCredentials.tokenUrl",
    "dataProvider.oneRoster.connectionSettings.oauth2ClientCredentials.scope",
    "dataProvider.oneRoster.providerName",
    "dataProvider.oneRoster.schoolsIds",
    "dataProvider.oneRoster.termIds",
    "dataProvider.powerSchool.connectionUrl",
    "dataProvider.powerSchool.clientId",
    "dataProvider.powerSchool.schoolsIds",
    "dataProvider.powerSchool.schoolYear",
    "dataProvider.powerSchool.allowTeachersInMultipleSchools",
    "identitySynchronizationConfiguration.creation.userDomains[].appliesTo",
    "identitySynchronizationConfiguration.creation.userDomains[].name",
    "licensesToAssign[].appliesTo",
    "licensesToAssign[].skuIds",
    "handleSpecialCharacterConstraint",
    "expirationDate",
];

/// The same of `matchingOptions`.
const MATCHING: [&str; 4] = ["appliesTo", "sourcePropertyName", "targetPropertyName", "targetDomain"];

/// The same of `customizations`, which each provider has.
const CUSTOMIZATIONS: [&str; 17] = [
    "school.optionalPropertiesToSync",
    "school.isSyncDeferred",
    "school.allowDisplayNameUpdate",
    "section.optionalPropertiesToSync",
    "section.isSyncDeferred",
    "section.allowDisplayNameUpdate",
    "student.optionalPropertiesToSync",
    "student.isSyncDeferred",
    "student.allowDisplayNameUpdate",
    "teacher.optionalPropertiesToSync",
    "teacher.isSyncDeferred",
    "teacher.allowDisplayNameUpdate",
    "studentEnrollment.synchronizationStartDate",
    "studentEnrollment.isSyncDeferred",
    "studentEnrollment.allowDisplayNameUpdate",
    "teacherRoster.isSyncDeferred",
    "teacherRoster.allowDisplayNameUpdate",
];

const PROVIDERS: [&str; 3] = ["csv", "oneRoster", "powerSchool"];

/// Members of which a manifest names one; in Graph's body the type says which.
const UNIONS: [&str; 7] =
    ["csv", "oneRoster", "powerSchool", "oauth1", "oauth2ClientCredentials", "creation", "matching"];

/// Fields of a profile that Graph gets: their place in the spec, and in Graph's body.
fn sent() -> BTreeMap<String, String> {
    let option =
        |name: &str| format!("identitySynchronizationConfiguration.matching.matchingOptions[].{name}");
    let customization =
        |name: &str| PROVIDERS.map(|kind| format!("dataProvider.{kind}.customizations.{name}"));
    let paths = SENT.iter().map(ToString::to_string).chain(MATCHING.iter().map(|name| option(name)));
    let paths = paths.chain(CUSTOMIZATIONS.iter().flat_map(|name| customization(name)));
    let in_body = |path: &str| {
        let steps: Vec<&str> = path.split('.').filter(|step| !UNIONS.contains(step)).collect();
        steps.join(".")
    };
    paths.map(|path| (path.clone(), in_body(&path))).collect()
}

/// Fields of a profile that steer the operator: their place, and the test that shows what they do.
fn steering() -> BTreeMap<String, &'static str> {
    let mut table: BTreeMap<String, &'static str> = [
        ("connectionRef.name", "a_missing_connection_is_named_and_found_when_it_comes"),
        ("connectionRef.namespace", SHARED),
        ("deletionPolicy", "retain_makes_no_call"),
        ("managementPolicy", "observing_changes_nothing"),
        ("synchronization", "what_edusync_has_paused_it_resumes"),
        ("adopt.profileId", "a_profile_is_adopted_and_made_what_the_manifest_says"),
        ("adopt.byDisplayName", "the_example_adopts"),
        ("triggers.reset", "a_trigger_is_answered_once_and_not_at_the_first_sight"),
        ("triggers.start", "a_start_synchronizes_what_is_uploaded_once"),
    ]
    .map(|(path, test)| (path.to_owned(), test))
    .into();
    for holder in [
        "oneRoster.connectionSettings.oauth1",
        "oneRoster.connectionSettings.oauth2ClientCredentials",
        "powerSchool",
    ] {
        for member in ["name", "key"] {
            table.insert(format!("dataProvider.{holder}.clientSecretRef.{member}"), SOURCES);
        }
    }
    for kind in PROVIDERS {
        // Graph has no such property; the field is there to be refused with a sentence.
        for part in ["studentEnrollment", "teacherRoster"] {
            table.insert(
                format!("dataProvider.{kind}.customizations.{part}.optionalPropertiesToSync"),
                REFUSED,
            );
        }
    }
    table
}

/// Fields of a connection, and the test that shows what they do.
fn of_connections() -> BTreeMap<String, &'static str> {
    [
        ("tenantId", STOPS),
        ("graph.endpoint", STOPS),
        ("graph.dialect", "the_path_of_the_first_document_is_a_dialect"),
        ("graph.pollInterval", "the_interval_of_a_connection_goes_before_the_operators"),
        ("authority", STOPS),
        ("caBundleRef.name", STOPS),
        ("caBundleRef.key", STOPS),
        ("allowedNamespaces", SHARED),
        ("application.clientId", STOPS),
        ("application.clientSecretRef.name", STOPS),
        ("application.clientSecretRef.key", STOPS),
        ("application.certificateRef.name", "a_certificate_reads_and_the_administrator_writes"),
        ("application.workloadIdentity", "a_workload_identity_reads_and_the_administrator_writes"),
        ("application.managedIdentity", "a_managed_identity_reads_and_the_administrator_writes"),
        ("delegated.clientId", STOPS),
        ("delegated.refreshTokenRef.name", STOPS),
        ("delegated.refreshTokenRef.key", STOPS),
        ("delegated.clientSecretRef.name", STOPS),
        ("delegated.clientSecretRef.key", STOPS),
    ]
    .map(|(path, test)| (path.to_owned(), test))
    .into()
}

/// The text of all black-box tests.
fn sources() -> String {
    let folder = xtask::repository_root().join("tests/black_box");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn every_field_is_listed<'a>(
    kind: &str,
    listed: impl Iterator<Item = (&'a String, &'static str)>,
    complete: &[(&'static str, Value)],
) {
    let schema: BTreeSet<String> = leaves(&spec_schema(kind)).into_iter().collect();
    let listed: BTreeMap<&String, &str> = listed.collect();
    let sources = sources();
    for path in &schema {
        assert!(listed.contains_key(path), "{kind}: {path} is in no table of fields.rs");
    }
    for (path, test) in listed {
        assert!(schema.contains(path), "{kind}: the schema has no {path}");
        assert!(sources.contains(&format!("async fn {test}()")), "{path}: there is no test {test}");
        let is_set = complete.iter().any(|(_, spec)| at(spec, path).is_some());
        assert!(is_set || test == REFUSED, "{kind}: {path} is set nowhere in complete.rs");
    }
}

#[test]
fn every_field_of_the_schemas_is_accounted_for() {
    let (sent, steering) = (sent(), steering());
    let listed =
        steering.iter().map(|(path, test)| (path, *test)).chain(sent.keys().map(|path| (path, REACHES)));
    every_field_is_listed("EducationSyncProfile", listed, &complete::profiles());
    let of_connections = of_connections();
    let listed = of_connections.iter().map(|(path, test)| (path, *test));
    every_field_is_listed("GraphConnection", listed, &complete::connections());
    assert!(sent.keys().all(|path| !steering.contains_key(path)), "a field is in one table");
}

/// The complete specs without what steers the operator.
fn followed() -> Vec<(&'static str, Value)> {
    let mut specs = complete::profiles();
    for (_, spec) in &mut specs {
        let steered: Vec<String> =
            steering().keys().map(|path| path.split('.').next().unwrap().to_owned()).collect();
        spec.as_object_mut().unwrap().retain(|name, _| name == "dataProvider" || !steered.contains(name));
    }
    specs
}

/// Another value that is as good.
fn another(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!(!flag),
        Value::Array(items) => json!(items.iter().map(another).collect::<Vec<_>>()),
        Value::String(text) if ["student", "teacher"].contains(&text.as_str()) => json!("faculty"),
        // Years, days and GUIDs have their digits changed, and stay what they are.
        Value::String(text) if text.contains('7') => json!(text.replace('7', "6")),
        Value::String(text) if text.starts_with("https:") => json!(format!("{text}/2")),
        Value::String(text) if text.ends_with(".example") => json!(format!("other.{text}")),
        Value::String(text) => json!(format!("{text}2")),
        other => panic!("no other value for {other}"),
    }
}

/// The fields of this spec that Graph gets, with the value that each has.
fn values(spec: &Value) -> Vec<(String, String, Value)> {
    let set = sent().into_iter().filter_map(|(path, wire)| {
        let value = at(spec, &path)?.clone();
        Some((path, wire, value))
    });
    set.collect()
}

fn typed(spec: &Value) -> EducationSyncProfileSpec {
    serde_json::from_value(spec.clone()).unwrap()
}

#[test]
fn a_change_of_any_single_field_is_a_difference() {
    for (name, spec) in followed() {
        for (path, wire, value) in values(&spec) {
            let mut changed = spec.clone();
            *at_mut(&mut changed, &path).unwrap() = another(&value);
            let found = differences(&wanted(&typed(&changed)), &wanted(&typed(&spec)));
            // A list of objects counts as one field.
            let field = wire.split("[]").next().unwrap();
            assert_eq!(found, [field], "{name}: {path}");
        }
    }
}

fn assert_sent(body: &Value, spec: &Value, name: &str, verb: &str) {
    for (path, wire, value) in values(spec) {
        assert_eq!(at(body, &wire), Some(&value), "{verb} of {name}: {path} is not at {wire} of {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_reaches_graph_and_so_does_what_is_changed() {
    let scene = Scene::begin("fields").await;
    let secret: Secret = serde_json::from_value(
        json!({"metadata": {"name": "sis-credentials"}, "stringData": {"clientSecret": "of the source"}}),
    )
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    for (name, mut spec) in followed() {
        scene.create(name, spec.clone()).await;
        scene.until_ready_is(name, "True", "Provisioned").await;
        let posts = scene.requests("POST");
        assert_sent(posts.last().unwrap().body.as_ref().unwrap(), &spec, name, "POST");

        let before = scene.requests("PUT").len();
        for (path, _, value) in values(&spec) {
            *at_mut(&mut spec, &path).unwrap() = another(&value);
        }
        scene.apply::<EducationSyncProfile>(profile_manifest(name, spec.clone())).await.unwrap();
        scene.eventually("it is sent", |scene| scene.requests("PUT").len() > before).await;
        let puts = scene.requests("PUT");
        assert_eq!(puts.len(), before + 1, "one update for all of them");
        assert_sent(puts.last().unwrap().body.as_ref().unwrap(), &spec, name, "PUT");
        let in_sync = |profile: &EducationSyncProfile| {
            profile.metadata.generation
                == profile.status.as_ref().and_then(|status| status.observed_generation)
                && condition(profile, "Ready").is_some_and(|ready| ready.0 == "True")
                && condition(profile, "Drifted").is_none()
        };
        scene.until(name, "in sync", in_sync).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_of_a_connection_goes_before_the_operators() {
    let flags = ["--poll-interval", "10m", "--fast-poll-interval", "10m"];
    let mut scene = Scene::without_operator("interval", quick()).await.with_flags(&flags);
    let mut connection = scene.connection_manifest();
    connection["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<edusync::api::GraphConnection>(connection).await.unwrap();
    scene.create("contoso", crate::scene::spec("Contoso SDS")).await;
    scene.start_operator();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.lists_pass(2).await;
}
