//! What it costs, counted exactly: calls to Graph, writes to Kubernetes, events.

use std::collections::BTreeMap;

use crate::scene::{COLLECTION, Scene, quick, spec};

/// Writes of the operator about profiles, as "verb resource/subresource".
fn writes(scene: &Scene, resource: &str) -> Vec<String> {
    let writes = scene.world.operator_writes(&scene.namespace);
    let about = writes.iter().filter(|entry| entry.resource == resource);
    about
        .map(|entry| match &entry.subresource {
            Some(subresource) => format!("{} {}", entry.verb, subresource),
            None => entry.verb.clone(),
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_apply_to_ready_two_calls_four_writes_two_events() {
    let scene = Scene::begin("cost").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;

    let requests = scene.simulator.requests();
    let graph: Vec<_> = requests.iter().filter(|request| !request.path.contains("/oauth2/")).collect();
    let post = graph.iter().position(|request| request.method == "POST").unwrap();
    // One list before the POST tells the connection's health and that the name is free; what
    // follows are the shared polls.
    let before: Vec<_> = graph[..post].iter().map(|r| (r.method.as_str(), r.path.as_str())).collect();
    assert!(!before.is_empty() && before.len() <= 2, "{before:?}");
    assert!(before.iter().all(|call| *call == ("GET", COLLECTION)), "{before:?}");
    assert!(graph[post + 1..].iter().all(|r| r.method == "GET" && r.path == COLLECTION));
    let tokens = requests.iter().filter(|request| request.path.contains("/oauth2/")).count();
    assert_eq!(tokens, 2, "one for reads, one for writes");

    assert_eq!(
        writes(&scene, "educationsyncprofiles"),
        ["patch", "update status", "update status", "update status"],
        "finalizer, intent, id, ready"
    );
    scene.until_events_are("contoso", &["Created", "Provisioned"]).await;
    let events = writes(&scene, "events");
    assert_eq!(events.iter().filter(|verb| *verb == "create").count(), 3, "two, and one of the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_idle_lists_cost_no_write() {
    let scene = Scene::begin("idle").await;
    for number in 0..3 {
        scene.create(&format!("profile-{number}"), spec(&format!("Profile {number}"))).await;
    }
    for number in 0..3 {
        scene.until_ready_is(&format!("profile-{number}"), "True", "Provisioned").await;
    }
    scene.lists_pass(1).await;
    let writes_before = scene.world.operator_writes(&scene.namespace).len();
    let calls_before = scene.requests("GET").len();
    let lists_before = scene.lists();
    scene.lists_pass(10).await;
    // Three profiles at rest, and each of the calls is the one list that they share.
    assert_eq!(scene.requests("GET").len() - calls_before, scene.lists() - lists_before);
    assert_eq!(scene.world.operator_writes(&scene.namespace).len(), writes_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_shares_its_list() {
    // Without fast polls each list is one that somebody asked for.
    let mut scene = Scene::without_operator("burst", quick()).await.with_flags(&[
        "--fast-poll-interval",
        "30s",
        "--poll-interval",
        "30s",
    ]);
    for number in 0..20 {
        scene.create(&format!("profile-{number}"), spec(&format!("Profile {number}"))).await;
    }
    scene.start_operator();
    scene.eventually("twenty profiles", |scene| scene.requests("POST").len() == 20).await;
    assert!(scene.lists() <= 3, "{} lists for twenty profiles", scene.lists());
    let mut names = BTreeMap::<String, u32>::new();
    for profile in scene.simulator.profiles() {
        *names.entry(profile["displayName"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(names.len(), 20);
    assert!(names.values().all(|count| *count == 1), "{names:?}");
}
