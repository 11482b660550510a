//! Commands that only look: `edusync errors`, `edusync status`, `edusync orphans`.

use edusync::api::GraphConnection;
use serde_json::json;

use crate::cli::{edusync, run_as};
use crate::scene::{Scene, foreign_body, profile_id, quick, spec};

const HOST: [&str; 2] = ["--allowed-host", "127.0.0.1"];

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_shown_in_detail_page_by_page() {
    let mut settings = quick();
    settings.page_size = 3;
    let mut scene = Scene::without_operator("cli-errors", settings).await;
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let none =
        edusync(&scene, &[&["errors", "--profile", "contoso"], &HOST[..]].concat()).await.ended_with(0);
    assert!(none.out.is_empty() && none.err.contains("has no errors"), "{none:?}");
    assert_eq!(scene.simulator.plant_errors("Contoso SDS", 8), 1);
    let run = async |more: &[&str]| {
        edusync(&scene, &[&["errors", "--profile", "contoso"], &HOST[..], more].concat()).await.ended_with(0)
    };
    let all = run(&["-o", "json"]).await;
    assert_eq!(all.json().as_array().unwrap().len(), 8);
    assert!(!all.json()[0]["errorMessage"].as_str().unwrap().is_empty());
    assert!(all.err.contains("names pupils and teachers"), "{}", all.err);
    let some = run(&["--limit", "4"]).await;
    assert_eq!(some.out.lines().filter(|line| !line.starts_with("RECORDED")).count(), 4, "{}", some.out);
    assert!(some.err.contains("more than these 4"), "{}", some.err);
    let csv = run(&["-o", "csv"]).await.out;
    assert_eq!(csv.lines().count(), 9, "{csv}");
    assert!(csv.starts_with("recordedDateTime,entryType,errorCode,"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_for_whoever_is_on_call() {
    let scene = Scene::begin("cli-status").await;
    let empty = Scene::without_operator("cli-status-none", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_connection_is("True", "Connected").await;
    let well = edusync(&scene, &["status"]).await.ended_with(0);
    assert!(well.out.contains("contoso  ") && well.out.contains("nothing needs attention"), "{}", well.out);
    assert!(!well.out.contains('\u{1b}'), "no colours in a pipe");
    scene.create("twin", spec("contoso sds")).await;
    scene.until_ready_is("twin", "False", "AlreadyClaimed").await;
    let troubled = edusync(&scene, &["status"]).await.ended_with(2);
    assert!(troubled.out.contains("1 resource to look at:"), "{}", troubled.out);
    assert!(troubled.out.contains("AlreadyClaimed: "), "{}", troubled.out);
    let json = edusync(&scene, &["status", "-o", "json"]).await.ended_with(2).json();
    let standings: Vec<_> =
        json.as_array().unwrap().iter().map(|line| line["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["Well", "Well", "NeedsAttention"]);
    // All namespaces of the cluster, those of other tests among them.
    let everywhere = run_as(scene.world.kubeconfig(), &["status", "-A"], "").await;
    assert!(everywhere.out.contains(&empty.namespace) && everywhere.out.contains(&scene.namespace));
    assert!(scene.requests("GET").iter().all(|request| request.path.starts_with("/beta/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_of_both_kinds_are_found() {
    let scene = Scene::begin("cli-orphans").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let run = async || edusync(&scene, &[&["orphans", "--connection", "default"], &HOST[..]].concat()).await;
    let none = run().await.ended_with(0);
    assert!(none.out.starts_with("no orphans"), "{}", none.out);
    let foreign = scene.simulator.plant(foreign_body("Made by hand")).unwrap();
    // From another namespace: with its connection, and resources of all namespaces.
    let neighbour = scene.stranger("cli-orphans-other").await;
    let far = async |connection: &str| {
        edusync(&neighbour, &[&["orphans", "--connection", connection, "-o", "json"], &HOST[..]].concat())
            .await
    };
    let there = far(&format!("{}/default", scene.namespace)).await.ended_with(2).json();
    assert_eq!(there["unclaimed"][0]["profileId"], foreign, "{there}");
    assert_eq!(there["unclaimed"].as_array().unwrap().len(), 1, "{there}");
    assert_eq!(there["gone"], json!([]), "the resource of that namespace is known: {there}");
    let here = far("default").await.ended_with(1).err;
    assert!(
        here.contains(&format!("no GraphConnection default in the namespace {}", neighbour.namespace)),
        "{here}"
    );
    let nowhere = far("/default").await.ended_with(2).err;
    assert!(nowhere.contains("a connection is named NAME, or NAMESPACE/NAME"), "{nowhere}");

    scene.simulator.remove(&profile_id(&ready));
    let some = run().await.ended_with(2);
    assert!(some.out.contains(&format!("{foreign}  Made by hand")), "{}", some.out);
    assert!(some.out.contains(&format!("contoso   {}", profile_id(&ready))), "{}", some.out);
    let mut elsewhere = scene.connection_manifest();
    elsewhere["metadata"]["name"] = json!("operators-own");
    elsewhere["spec"].as_object_mut().unwrap().remove("delegated");
    elsewhere["spec"]["application"] =
        json!({"clientId": scene.simulator.settings().client_id, "workloadIdentity": {}});
    scene.apply::<GraphConnection>(elsewhere).await.unwrap();
    let refused = edusync(&scene, &[&["orphans", "--connection", "operators-own"], &HOST[..]].concat()).await;
    assert!(refused.ended_with(1).err.contains("works only inside the operator"));
}
