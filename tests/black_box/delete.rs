//! A resource goes when its profile is gone from Graph, and not before.

use edusync::api::GraphConnection;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::page::Page;
use crate::scene::{Scene, condition, foreign_body, profile_id, quick, spec};

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_goes_first_with_one_delete() {
    let scene = Scene::begin("delete").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
    assert_eq!(scene.requests("DELETE").len(), 1);
    // Gone means 404 on its own URL, twice.
    let own = format!("{}/{}", crate::scene::COLLECTION, profile_id(&profile));
    let probes: Vec<u16> = scene
        .requests("GET")
        .iter()
        .filter(|request| request.path == own)
        .map(|request| request.status)
        .collect();
    assert_eq!(probes, [404, 404]);
    scene.until_events_are("contoso", &["Created", "Provisioned", "Deleting", "Deleted"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retain_makes_no_call() {
    let scene = Scene::begin("retain").await;
    let mut retained = spec("Contoso SDS");
    retained["deletionPolicy"] = json!("Retain");
    scene.create("contoso", retained).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(scene.simulator.profiles().len(), 1);
    assert_eq!(scene.requests("DELETE").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_created_goes_without_a_call() {
    let scene = Scene::begin("never").await;
    scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(scene.simulator.profiles().len(), 1, "it was somebody else's");
    assert_eq!(scene.requests("DELETE").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_attempt_is_resolved_before_the_resource_goes() {
    let mut scene = Scene::begin("open").await;
    scene.simulator.hold_create_answers(true);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.eventually("the profile is in Graph", |scene| scene.simulator.profiles().len() == 1).await;
    scene.crash_operator().await;
    scene.simulator.hold_create_answers(false);
    scene.delete("contoso").await;
    scene.start_operator();
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty(), "no orphan");
    assert_eq!(scene.requests("POST").len(), 1);
    assert_eq!(scene.requests("DELETE").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_profile_that_somebody_deleted_is_missed_and_lets_its_resource_go() {
    let scene = Scene::begin("vanished").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert!(scene.simulator.remove(&profile_id(&profile)));
    let stalled = scene.until_ready_is("contoso", "False", "UpstreamEmpty").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains(&profile_id(&profile)));
    assert_eq!(scene.requests("POST").len(), 1, "it is not created again behind anybody's back");
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(scene.requests("DELETE").len(), 0);
}

fn connections(scene: &Scene) -> Api<GraphConnection> {
    Api::namespaced(scene.client.clone(), &scene.namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_stays_until_its_last_profile_is_gone() {
    let scene = Scene::begin("inuse").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    connections(&scene).delete("default", &DeleteParams::default()).await.unwrap();
    scene.until_connection_is("False", "InUse").await;
    scene.create("late", spec("Fabrikam SDS")).await;
    let late = scene.until_ready_is("late", "False", "ConnectionNotFound").await;
    assert!(condition(&late, "Stalled").unwrap().2.contains("being deleted"));
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
    let gone = kube::runtime::wait::await_condition(
        connections(&scene),
        "default",
        |c: Option<&GraphConnection>| c.is_none(),
    );
    tokio::time::timeout(std::time::Duration::from_secs(30), gone)
        .await
        .expect("the connection goes")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_connection_it_says_how_to_let_go() {
    let scene = Scene::begin("stuck").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    connections(&scene).delete("default", &DeleteParams::default()).await.unwrap();
    // Somebody takes the connection away by force.
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    connections(&scene).patch("default", &PatchParams::default(), &none).await.unwrap();
    scene.delete("contoso").await;
    let says_the_way_out = |profile: &_| {
        condition(profile, "Stalled")
            .is_some_and(|(_, reason, message)| reason == "ConnectionNotFound" && message.contains("Retain"))
    };
    scene.until("contoso", "stalled, with the way out", says_the_way_out).await;
    let_go(&scene, "contoso", "Contoso SDS").await;
}

/// Sets `deletionPolicy: Retain`, and waits until the resource is gone and its profile is not.
async fn let_go(scene: &Scene, name: &str, display_name: &str) {
    let mut retained = spec(display_name);
    retained["deletionPolicy"] = json!("Retain");
    scene.create(name, retained).await;
    scene.until_gone(name).await;
    assert_eq!(scene.simulator.profiles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_it_says_how_to_let_go() {
    let mut scene = Scene::begin("stuck-secret").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    // An operator that runs has the credentials in memory; one that starts does not.
    scene.crash_operator().await;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    secrets.delete("graph", &DeleteParams::default()).await.unwrap();
    scene.start_operator();
    scene.delete("contoso").await;
    let says_the_way_out = |profile: &_| {
        condition(profile, "Stalled")
            .is_some_and(|(_, reason, message)| reason == "CredentialsMissing" && message.contains("Retain"))
    };
    let stalled = scene.until("contoso", "stalled, with the way out", says_the_way_out).await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains("graph"), "the Secret is named: {message}");
    let_go(&scene, "contoso", "Contoso SDS").await;
    assert!(scene.requests("DELETE").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_graph_fails_is_asked_for_once_and_can_be_let_go() {
    let scene = Scene::begin("deletionfailed").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.simulator.fault("delete:deletion-failed").unwrap();
    scene.delete("contoso").await;
    let failed = scene.until_ready_is("contoso", "False", "DeletionFailed").await;
    let (status, reason, message) = condition(&failed, "Stalled").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "DeletionFailed"));
    assert!(message.contains("Retain"), "{message}");
    // A second DELETE would succeed, and the resource would be gone.
    scene.lists_pass(5).await;
    assert_eq!(scene.requests("DELETE").len(), 1);
    let_go(&scene, "contoso", "Contoso SDS").await;
    assert_eq!(scene.requests("DELETE").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_can_be_deleted() {
    let scene = Scene::begin("namespace").await;
    let mut retained = spec("Contoso SDS");
    retained["deletionPolicy"] = json!("Retain");
    scene.create("contoso", spec("Fabrikam SDS")).await;
    scene.create("retained", retained).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_ready_is("retained", "True", "Provisioned").await;
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    namespaces.delete(&scene.namespace, &DeleteParams::default()).await.unwrap();
    scene.until_gone("retained").await;
    scene.until_gone("contoso").await;
    let names: Vec<_> = scene.simulator.profiles().iter().map(|p| p["displayName"].clone()).collect();
    assert_eq!(names, ["Contoso SDS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_whose_profiles_are_all_gone_do_not_wait_for_each_other() {
    let scene = Scene::begin("knot").await;
    for name in ["contoso", "fabrikam"] {
        scene.create(name, spec(name)).await;
    }
    for name in ["contoso", "fabrikam"] {
        let profile = scene.until_ready_is(name, "True", "Provisioned").await;
        assert!(scene.simulator.remove(&profile_id(&profile)));
        scene.delete(name).await;
    }
    scene.until_gone("contoso").await;
    scene.until_gone("fabrikam").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_graph_forbids_is_asked_for_once_and_once_more_on_request() {
    let scene = Scene::begin("forbidden").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let mut app_only = scene.connection_manifest();
    app_only["spec"].as_object_mut().unwrap().remove("delegated");
    scene.apply::<GraphConnection>(app_only).await.unwrap();
    scene.delete("contoso").await;
    let stalled = scene.until_ready_is("contoso", "False", "Forbidden").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains("spec.delegated") && message.contains("Retain"), "{message}");
    assert_eq!(scene.requests("DELETE").len(), 1);

    let request = json!({"metadata": {"annotations": {"reconcile.edusync.dev/requestedAt": "one"}}});
    scene.profiles().patch("contoso", &PatchParams::default(), &Patch::Merge(request)).await.unwrap();
    let answered = |profile: &edusync::api::EducationSyncProfile| {
        profile
            .status
            .as_ref()
            .is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some("one"))
    };
    scene.until("contoso", "answered", answered).await;
    assert_eq!(scene.requests("DELETE").len(), 2, "one more, and no loop");

    scene.apply::<GraphConnection>(scene.connection_manifest()).await.unwrap();
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_deletions_wait_for_a_confirmation() {
    let mut scene = Scene::without_operator("many", quick()).await.with_flags(&["--most-deletions", "2"]);
    scene.start_operator();
    let names = ["one", "two", "three", "four"];
    for name in names.into_iter().chain(["stays"]) {
        scene.create(name, spec(name)).await;
    }
    for name in names.into_iter().chain(["stays"]) {
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    scene.crash_operator().await;
    for name in names {
        scene.delete(name).await;
    }
    scene.start_operator();
    for name in names {
        scene.until_ready_is(name, "False", "DeletionHeld").await;
    }
    assert!(scene.requests("DELETE").is_empty());
    let page = Page::read("troubleshooting.md").with("-n school ", &format!("-n {} ", scene.namespace));
    let printed = page.run(&scene, "DeletionHeld", 0);
    assert_eq!(printed.lines().count(), names.len(), "{printed}");
    for name in names {
        scene.until_gone(name).await;
    }
    assert_eq!(scene.requests("DELETE").len(), names.len());
    let stays = scene.until_ready_is("stays", "True", "Provisioned").await;
    assert!(
        !stays.annotations().contains_key("edusync.dev/confirm-deletion"),
        "the guard still holds for it"
    );
}
