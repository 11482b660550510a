//! What it costs, counted exactly: calls to Graph, writes to Kubernetes, events.

use std::collections::BTreeMap;

use crate::scene::{COLLECTION, Scene, quick, spec};

/// Counts what happens from now on.
pub struct Meter {
    requests: usize,
    writes: usize,
    events: usize,
}

/// What has happened, but for lists and tokens.
#[derive(Debug, PartialEq, Eq)]
pub struct Costs {
    /// Calls to Graph: method and last part of the path.
    pub calls: Vec<String>,
    /// Writes of the operator to profiles.
    pub writes: Vec<String>,
    /// Reasons of the events on the profile.
    pub events: Vec<String>,
}

impl Meter {
    /// From now on, when so many writes and events have come and no more will.
    pub async fn begin(scene: &Scene, name: &str, writes: usize, events: usize) -> Self {
        let seen = writes_once_logged(scene, "educationsyncprofiles", writes).await;
        assert_eq!(seen.len(), writes, "{seen:?}");
        if writes > 0 {
            scene.lists_pass(1).await;
        }
        assert_eq!(scene.events(name).await.len(), events, "{:?}", scene.events(name).await);
        Self { requests: scene.simulator.requests().len(), writes, events }
    }

    /// What has happened since, once there are so many more writes, and three further lists.
    pub async fn end(self, scene: &Scene, name: &str, more_writes: usize) -> Costs {
        writes_once_logged(scene, "educationsyncprofiles", self.writes + more_writes).await;
        scene.lists_pass(3).await;
        let is_counted = |path: &str| path != COLLECTION && !path.contains("/oauth2/");
        let requests = scene.simulator.requests().split_off(self.requests);
        let calls = requests.iter().filter(|request| is_counted(&request.path));
        Costs {
            calls: calls
                .map(|r| {
                    let last = r.path.rsplit('/').next().unwrap();
                    let last = if last.len() == 36 { "profile" } else { last };
                    format!("{} {last}", r.method)
                })
                .collect(),
            writes: writes(scene, "educationsyncprofiles").split_off(self.writes),
            events: scene.events(name).await.split_off(self.events),
        }
    }
}

/// Writes of the operator about profiles, as "verb resource/subresource".
pub fn writes(scene: &Scene, resource: &str) -> Vec<String> {
    let writes = scene.world.operator_writes(&scene.namespace);
    let about = writes.iter().filter(|entry| entry.resource == resource);
    about
        .map(|entry| match &entry.subresource {
            Some(subresource) => format!("{} {}", entry.verb, subresource),
            None => entry.verb.clone(),
        })
        .collect()
}

/// Waits until the audit log, which is a moment behind, has so many writes, and returns all it has.
pub async fn writes_once_logged(scene: &Scene, resource: &str, at_least: usize) -> Vec<String> {
    scene.eventually("the writes are logged", |scene| writes(scene, resource).len() >= at_least).await;
    writes(scene, resource)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_apply_to_ready_two_calls_four_writes_two_events() {
    let scene = Scene::begin("cost").await;
    // The connection has shown that it works, and is left alone since.
    scene.until_connection_is("True", "Connected").await;
    let earlier = scene.simulator.requests().len();
    assert_eq!(scene.lists(), 1);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;

    let requests = scene.simulator.requests().split_off(earlier);
    let tokens = requests.iter().filter(|request| request.path.contains("/oauth2/")).count();
    assert_eq!(tokens, 0, "the one for reads and the one for writes are there already");
    let calls: Vec<(&str, &str)> = requests
        .iter()
        .filter(|request| !request.path.contains("/oauth2/"))
        .map(|request| (request.method.as_str(), request.path.as_str()))
        .collect();
    // A list that shows that the name is free, the POST, and then the shared polls.
    assert_eq!(calls.get(..2).unwrap(), [("GET", COLLECTION), ("POST", COLLECTION)]);
    assert!(calls[2..].iter().all(|call| *call == ("GET", COLLECTION)), "{calls:?}");

    assert_eq!(
        writes_once_logged(&scene, "educationsyncprofiles", 4).await,
        ["patch", "update status", "update status", "update status"],
        "finalizer, intent, id, ready"
    );
    // Once when the refresh token was redeemed, once more since the connection is held now.
    let stored = writes_once_logged(&scene, "secrets", 2).await;
    assert_eq!(stored, ["patch", "patch"], "the renewed refresh token, and its finalizer");
    scene.until_events_are("contoso", &["Created", "Provisioned"]).await;
    let events = writes_once_logged(&scene, "events", 3).await;
    assert_eq!(events.iter().filter(|verb| *verb == "create").count(), 3, "two, and one of the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_delete_to_gone_one_delete_two_proofs_two_writes() {
    let scene = Scene::begin("cost-delete").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let writes_before = writes_once_logged(&scene, "educationsyncprofiles", 4).await.len();
    let requests_before = scene.simulator.requests().len();
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let written = writes_once_logged(&scene, "educationsyncprofiles", writes_before + 2).await;
    let written = written.get(writes_before..).unwrap();
    assert_eq!(written, ["update status", "patch"], "deleting, and the finalizer");
    let requests = scene.simulator.requests().split_off(requests_before);
    let beside_lists: Vec<(&str, u16)> = requests
        .iter()
        .filter(|request| request.path != COLLECTION)
        .map(|request| (request.method.as_str(), request.status))
        .collect();
    assert_eq!(beside_lists, [("DELETE", 202), ("GET", 404), ("GET", 404)]);
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
    writes_once_logged(&scene, "educationsyncprofiles", 12).await;
    scene.until_connection("counted", |connection| connection.profiles == Some(3)).await;
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
