//! Who has lost the lease changes nothing more in Graph, and ends; a new operator goes on.

use edusync::api::EducationSyncProfile;
use edusync::clock::Clock;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;
use xtask::guard::Guarded;

use crate::operator::signal;
use crate::proxy::{Deed, Wanted};
use crate::scene::{Scene, quick, spec};
use crate::world::RELEASE;

/// These tests wait until it has run out.
const SHORT_LEASE: &[&str] = &["--lease-duration", "2s"];

/// Waits until an operator has ended by itself, which must not look like a success: a Deployment starts it anew then.
async fn until_it_ends(scene: &Scene, operator: &mut Guarded) {
    scene.eventually("the operator ends", |_| operator.try_wait().unwrap().is_some()).await;
    assert!(!operator.try_wait().unwrap().unwrap().success());
    assert!(scene.operator_log().contains("the lease is lost"));
}

fn changes(scene: &Scene) -> [usize; 4] {
    ["POST", "PUT", "PATCH", "DELETE"].map(|method| scene.requests(method).len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_frozen_past_its_lease_changes_nothing_when_it_wakes() {
    let scene = Scene::without_operator("frozen", quick()).await;
    let mut scene = scene.with_flags(SHORT_LEASE);
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let mut old = scene.take_operator();
    scene.start_operator();
    scene.eventually("a standby", |scene| scene.operator_log().contains("standing by")).await;
    signal("STOP", &old);
    // Both are told to the frozen one as well: it finds them when it wakes, not done yet as far as it knows.
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.create("contoso", spec("Contoso renamed")).await;
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    scene.eventually("renamed", |scene| changes(scene) == [2, 1, 0, 0]).await;

    signal("CONT", &old);
    until_it_ends(&scene, &mut old).await;
    scene.lists_pass(2).await;
    assert_eq!(changes(&scene), [2, 1, 0, 0], "{}", scene.operator_log());
    let names: Vec<_> = scene.simulator.profiles().iter().map(|p| p["displayName"].clone()).collect();
    assert_eq!(json!(names), json!(["Contoso renamed", "Fabrikam SDS"]));
}

/// The one request that no lease can hold back is on its way already.
#[tokio::test(flavor = "multi_thread")]
async fn the_late_create_of_a_frozen_leader_is_taken_over() {
    let mut scene = Scene::behind_proxies("frozenpost", quick()).await.with_flags(SHORT_LEASE);
    let gate = scene.gate();
    let (name, deed) = ("Graph POST synchronizationProfiles".to_owned(), Deed::Hold);
    gate.count(Some(Wanted { name, before: 0, deed }));
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    assert_eq!(gate.struck().await, Deed::Hold);
    let mut old = scene.take_operator();
    signal("STOP", &old);
    scene.start_operator();
    scene.until_ready_is("contoso", "False", "CreateUnresolved").await;
    assert_eq!(changes(&scene), [0; 4], "the successor does not create while the attempt is open");

    gate.release();
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    signal("CONT", &old);
    until_it_ends(&scene, &mut old).await;
    scene.lists_pass(2).await;
    assert_eq!(changes(&scene), [1, 0, 0, 0]);
    assert_eq!(scene.simulator.profiles()[0]["id"], crate::scene::profile_id(&ready));
    scene.until_events_are("contoso", &["CreateUnresolved", "Recovered", "Provisioned"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kubernetes_for_longer_than_its_lease_it_ends_and_a_new_one_goes_on() {
    let mut scene = Scene::behind_proxies("apiaway", quick()).await.with_flags(SHORT_LEASE);
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let gate = scene.gate();
    gate.refuse_kubernetes(true);
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    let mut old = scene.take_operator();
    until_it_ends(&scene, &mut old).await;
    assert_eq!(changes(&scene), [1, 0, 0, 0]);

    gate.refuse_kubernetes(false);
    scene.start_operator();
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(changes(&scene), [2, 0, 0, 0]);
}

/// What was asked about the lease of this scene since then.
fn asked(scene: &Scene, since: Timestamp) -> Vec<String> {
    let mut requests = scene.world.operator_requests(RELEASE);
    requests.retain(|entry| entry.time > since && entry.name.as_deref() == Some(scene.lease()));
    requests.sort_by_key(|entry| entry.time);
    requests.iter().map(|entry| format!("{} {}", entry.verb, entry.resource)).collect()
}

/// A rolling update: the new pod stands by, is ready, and the old one gets SIGTERM.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_at_its_next_look_and_does_nothing_twice() {
    let mut scene = Scene::begin("handover").await;
    for name in ["contoso", "fabrikam", "litware"] {
        scene.create(name, spec(name)).await;
    }
    for name in ["contoso", "fabrikam", "litware"] {
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    // What the old one still had to say is said.
    scene.until_connection("counting three", |status| status.profiles == Some(3)).await;
    let mut old = scene.take_operator();
    scene.start_operator();
    scene.eventually("a standby", |scene| scene.operator_log().contains("standing by")).await;
    // Ready, or a rolling update would wait for ever; that it lacks nothing has been looked at.
    scene.until_readyz((200, "ok: standing by, another instance holds the lease\n")).await;

    let told = Clock::of_this_machine().wall_now();
    let status = tokio::task::spawn_blocking(move || old.terminate()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    let ended = Clock::of_this_machine().wall_now();
    let resources = scene.profiles().list(&ListParams::default()).await.unwrap().items;
    scene.until_readyz((200, "ok: working\n")).await;
    scene.lists_pass(3).await;

    // The first look after the lease was given back takes it; it may have come while the old one still ended.
    let taken = asked(&scene, ended);
    let gets = taken.iter().take_while(|asked| *asked == "get leases").count();
    assert!(gets <= 1 && taken[gets] == "update leases", "{taken:?}");
    // A new leader reads what there is, each once, and writes nothing.
    let requests = scene.world.operator_requests(&scene.namespace);
    let mut reads: Vec<_> = requests
        .iter()
        .filter(|entry| entry.time > told && entry.verb != "watch")
        .map(|entry| {
            [&entry.verb, entry.resource.as_str(), entry.name.as_deref().unwrap_or_default()].join(" ")
        })
        .collect();
    reads.sort();
    assert_eq!(
        reads,
        [
            // The four keys that the connection names, and what is stored of its refresh token.
            "get secrets edusync-refresh-tokens",
            "get secrets edusync-refresh-tokens",
            "get secrets edusync-refresh-tokens",
            "get secrets edusync-refresh-tokens",
            "get secrets graph",
            "get secrets graph",
            "get secrets graph",
            "get secrets graph",
            "list educationsyncprofiles ",
            "list graphconnections ",
        ]
    );
    assert_eq!(changes(&scene), [3, 0, 0, 0]);
    let now = scene.profiles().list(&ListParams::default()).await.unwrap().items;
    let versions = |resources: &[EducationSyncProfile]| -> Vec<_> {
        resources.iter().map(ResourceExt::resource_version).collect()
    };
    assert_eq!(versions(&now), versions(&resources));
}

/// The old leader is in the middle of a create when it is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_under_way_ends_before_the_lease_is_given_back() {
    let mut scene = Scene::behind_proxies("handoverpost", quick()).await;
    let gate = scene.gate();
    let (name, deed) = ("Graph POST synchronizationProfiles".to_owned(), Deed::Hold);
    gate.count(Some(Wanted { name, before: 0, deed }));
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    assert_eq!(gate.struck().await, Deed::Hold);
    let mut old = scene.take_operator();
    scene.start_operator();
    scene.eventually("a standby", |scene| scene.operator_log().contains("standing by")).await;
    signal("TERM", &old);
    scene.eventually("told to end", |scene| scene.operator_log().contains("stopping")).await;
    assert!(old.try_wait().unwrap().is_none(), "it waits for the answer");

    gate.release();
    scene.eventually("the old one ends", |_| old.try_wait().unwrap().is_some()).await;
    assert!(old.try_wait().unwrap().unwrap().success());
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.lists_pass(2).await;
    assert_eq!(changes(&scene), [1, 0, 0, 0]);
    let reasons = scene.events("contoso").await;
    assert!(!reasons.contains(&"CreateUnresolved".to_owned()), "its answer was stored: {reasons:?}");
}
