//! From a manifest to a profile that is ready, and what is sent for it.

use std::time::Duration;

use edusync::api::GraphConnection;
use graph_simulator::{CreateStatus, Settings};
use serde_json::{Value, json};

use crate::manage::by_hand;
use crate::scene::{COLLECTION, Scene, condition, foreign_body, profile_id, quick, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_becomes_a_profile() {
    let scene = Scene::begin("create").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;

    assert_eq!(condition(&profile, "Reconciling"), None);
    assert_eq!(condition(&profile, "Stalled"), None);
    let status = profile.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, profile.metadata.generation);
    assert_eq!(status.creation, None);
    let there = scene.simulator.profiles();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["id"], profile_id(&profile));
    assert_eq!(there[0]["displayName"], "Contoso SDS");

    // kubectl, Helm and Flux wait by this.
    let namespace = scene.namespace.clone();
    let mut wait = scene.world.kubectl([
        "wait",
        "--for=condition=Ready",
        "educationsyncprofile/contoso",
        "--namespace",
        &namespace,
        "--timeout=10s",
    ]);
    assert!(wait.output().unwrap().status.success());
    let mut get = scene.world.kubectl(["get", "esp", "--namespace", &namespace]);
    let table = String::from_utf8(get.output().unwrap().stdout).unwrap();
    let columns: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAME", "STATE", "SYNC", "READY", "REASON", "AGE"], "{table}");
    assert!(table.contains("provisioned") && table.contains("True"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_operator_has_looked_it_counts_as_in_progress() {
    let scene = Scene::without_operator("unseen", quick()).await;
    let profile = scene.create("contoso", spec("Contoso SDS")).await;
    assert_eq!(profile.status.unwrap().observed_generation, Some(-1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_whose_profile_is_still_being_deleted_is_waited_for() {
    let delete_time = Duration::from_mins(10);
    let mut scene = Scene::without_operator("beingdeleted", Settings { delete_time, ..quick() }).await;
    let before = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    by_hand(&scene, "DELETE", &format!("/{before}"), &json!({}));
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let waiting = scene.until_ready_is("contoso", "False", "NameBeingDeleted").await;
    let message = condition(&waiting, "Ready").unwrap().2;
    assert!(message.contains(&before), "{message}");
    assert_eq!(condition(&waiting, "Stalled"), None, "nobody has to do anything");
    scene.lists_pass(3).await;
    assert!(scene.requests("POST").is_empty());
    scene.simulator.advance(delete_time);
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_ne!(profile_id(&ready), before);
    assert_eq!(scene.requests("POST").len(), 1);
}

/// Creates the profile of the second document through a dialect, and returns what was sent.
async fn sent_through(name: &str, dialect: &str, settings: Settings) -> (String, Value) {
    let mut scene = Scene::without_operator(name, settings).await;
    let mut connection = scene.connection_manifest();
    connection["metadata"]["name"] = json!("other");
    connection["spec"]["graph"]["dialect"] = json!(dialect);
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let example =
        std::fs::read_to_string(xtask::repository_root().join("examples/create-accounts.yaml")).unwrap();
    let mut manifest: Value = serde_saphyr::from_str(&example).unwrap();
    manifest["spec"]["connectionRef"] = json!({"name": "other"});
    scene.apply::<edusync::api::EducationSyncProfile>(manifest).await.unwrap();
    scene.start_operator();
    scene.until_ready_is("create-accounts", "True", "Provisioned").await;
    let posts = scene.requests("POST");
    assert_eq!(posts.len(), 1);
    (posts[0].path.clone(), posts[0].body.clone().unwrap())
}

/// The request of Microsoft's page "Create a synchronizationProfile" (October 2017).
fn request_of_the_second_document() -> Value {
    serde_json::from_str(include_str!("data/create-synchronization-profile.request.json")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_document_reaches_graph_property_by_property() {
    // Its prose says 202, its example 201: either is taken.
    let settings = Settings { create_status: CreateStatus::Accepted, ..quick() };
    let (path, body) = sent_through("testeduapi", "TestEduApi", settings).await;
    assert_eq!(path, "/testEduApi/education/synchronizationProfiles");
    assert_eq!(body, request_of_the_second_document());
}

#[tokio::test(flavor = "multi_thread")]
async fn through_beta_the_type_names_alone_differ() {
    let settings = Settings { create_status: CreateStatus::Created, ..quick() };
    let (path, body) = sent_through("beta", "Beta", settings).await;
    let mut expected = request_of_the_second_document();
    expected["dataProvider"]["@odata.type"] = json!("#microsoft.graph.educationCsvDataProvider");
    expected["identitySynchronizationConfiguration"]["@odata.type"] =
        json!("#microsoft.graph.educationIdentityCreationConfiguration");
    assert_eq!(path, COLLECTION);
    assert_eq!(body, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_the_first_document_is_a_dialect() {
    let settings = Settings { accept_ref_post: true, ..quick() };
    let (path, _) = sent_through("betaref", "BetaRef", settings).await;
    assert_eq!(path, format!("{COLLECTION}/$ref"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resources_with_one_name_the_older_one_gets_it() {
    let mut scene = Scene::without_operator("twins", quick()).await;
    scene.create("first", spec("Contoso SDS")).await;
    // Where both are of the same second, the name decides.
    scene.create("second", spec("  contoso sds".trim())).await;
    scene.start_operator();
    scene.until_ready_is("first", "True", "Provisioned").await;
    let second = scene.until_ready_is("second", "False", "AlreadyClaimed").await;
    let message = condition(&second, "Stalled").unwrap().2;
    assert!(message.contains(&format!("{}/first", scene.namespace)), "{message}");
    assert_eq!(scene.requests("POST").len(), 1);

    scene.delete("first").await;
    scene.until_gone("first").await;
    scene.until_ready_is("second", "True", "Provisioned").await;
    assert_eq!(scene.simulator.profiles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_or_stored() {
    let scene = Scene::begin("canary").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let settings = scene.simulator.settings();
    let log = scene.operator_log();
    assert!(log.contains("created the profile"), "the log is read");
    for secret in [&settings.client_secret, &settings.refresh_token] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
    assert!(!log.contains("Bearer"), "{log}");
    let events = scene.events("contoso").await.join(" ");
    assert!(!events.contains(settings.client_secret.as_str()));
}
