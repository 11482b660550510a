//! Other hands: what somebody changes in School Data Sync, or in records that are the operator's own.
//!
//! docs/moves.md has the tables. Nothing is ever deleted that was not the resource's own.

use edusync::api::EducationSyncProfile;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::cli::edusync;
use crate::manage::{by_hand, remote};
use crate::moves::adopting;
use crate::scene::{Scene, condition, foreign_body, profile_id, quick, spec};

fn rename(scene: &Scene, id: &str, name: &str) {
    by_hand(scene, "PATCH", &format!("/{id}"), &json!({"displayName": name}));
}

fn names(scene: &Scene) -> Vec<String> {
    let profiles = scene.simulator.profiles();
    let mut names: Vec<String> =
        profiles.iter().map(|profile| profile["displayName"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn patch_status(scene: &Scene, name: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    scene.profiles().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn take_finalizer_off(scene: &Scene, name: &str) {
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.profiles().patch(name, &PatchParams::default(), &none).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_rename_to_a_name_that_another_resource_wants_is_put_back_first() {
    let scene = Scene::begin("portal-wanted").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    rename(&scene, &id, "Fabrikam SDS");
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    let other = profile_id(&scene.until_ready_is("fabrikam", "True", "Provisioned").await);
    scene.eventually("both have their names", |scene| names(scene) == ["Contoso SDS", "Fabrikam SDS"]).await;
    assert_ne!(id, other);
    assert_eq!(remote(&scene, &id)["displayName"], "Contoso SDS");
    assert!(scene.events("contoso").await.contains(&"Updated".to_owned()));
    assert_eq!((scene.requests("POST").len(), scene.requests("PUT").len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_observes_shows_a_portal_rename_and_keeps_its_profile() {
    let scene = Scene::begin("portal-observed").await;
    let id = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    let mut observed = adopting("Contoso SDS", &id);
    observed["managementPolicy"] = json!("Observe");
    scene.create("contoso", observed).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    rename(&scene, &id, "Fabrikam SDS");
    let drifted = scene.until("contoso", "drifted", |profile| condition(profile, "Drifted").is_some()).await;
    let (_, _, message) = condition(&drifted, "Drifted").unwrap();
    assert!(message.contains("displayName") && message.contains("Observe"), "{message}");
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    let stalled = scene.until_ready_is("fabrikam", "False", "AlreadyClaimed").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains(&id));
    // Somebody deletes it: the one that observes says so, the one that wants the name gets it.
    assert!(scene.simulator.remove(&id));
    let gone = scene.until_ready_is("contoso", "False", "ProfileNotFound").await;
    assert_eq!(gone.status.as_ref().unwrap().state, None, "nothing is told of what is not there");
    assert_eq!(condition(&gone, "Drifted"), None);
    let changes = ["PUT", "PATCH", "DELETE"].map(|method| scene.requests(method).len());
    assert_eq!(changes, [0, 1, 0], "none but the rename");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_profile_that_vanishes_is_not_created_before_adopt_is_taken_out() {
    let scene = Scene::begin("portal-adopted").await;
    scene.create("other", spec("Fabrikam SDS")).await;
    scene.until_ready_is("other", "True", "Provisioned").await;
    let id = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    scene.create("contoso", adopting("Contoso SDS", &id)).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert!(scene.simulator.remove(&id));
    let failed = scene.until_ready_is("contoso", "False", "AdoptionFailed").await;
    assert!(condition(&failed, "Stalled").unwrap().2.contains("take spec.adopt out"));
    let events = scene.events("contoso").await;
    assert!(events.contains(&"ProfileVanished".to_owned()), "{events:?}");
    assert_eq!(scene.requests("POST").len(), 1);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.lists_pass(3).await;
    assert_eq!(scene.requests("POST").len(), 2, "once");
}

/// As the last write of a process that is dead may still arrive, when its successor has nothing to say.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_somebody_else_writes_is_put_right_without_a_call_of_its_own() {
    let mut scene =
        Scene::without_operator("otherstatus", quick()).await.with_flags(&["--poll-interval", "1h"]);
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let conditions = json!([{
        "type": "Ready", "status": "False", "reason": "CredentialsMissing", "message": "somebody else says so",
        "lastTransitionTime": "2026-11-22T08:00:00Z", "observedGeneration": 1
    }]);
    patch_status(&scene, "contoso", json!({"state": "deleting", "conditions": conditions})).await;
    let right = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&right), profile_id(&ready));
    assert_eq!(right.status.unwrap().state, ready.status.unwrap().state);
    assert_eq!((scene.requests("POST").len(), scene.requests("PUT").len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_status_makes_no_twin_and_deletes_nothing() {
    let scene = Scene::begin("emptied-status").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let id = profile_id(&ready);
    let empty = async || {
        let mut emptied = scene.profiles().get("contoso").await.unwrap();
        emptied.status = Some(serde_json::from_value(json!({})).unwrap());
        scene.profiles().replace_status("contoso", &PostParams::default(), &emptied).await.unwrap();
    };
    empty().await;
    let stalled = scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains(&id));
    scene.create("contoso", adopting("Contoso SDS", &id)).await;
    assert_eq!(profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await), id);
    // With adopt in the manifest it mends itself.
    empty().await;
    assert_eq!(profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await), id);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until("contoso", "seen", |p| observed(p) == p.metadata.generation).await;
    empty().await;
    scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(scene.requests("DELETE").len(), 0, "without its record nobody knows whose it is");
    assert_eq!(scene.requests("POST").len(), 1);
    assert_eq!(names(&scene), ["Contoso SDS"]);
}

fn observed(profile: &EducationSyncProfile) -> Option<i64> {
    profile.status.as_ref().and_then(|status| status.observed_generation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_is_taken_off_comes_back_and_without_it_the_profile_stays() {
    let mut scene = Scene::begin("finalizer").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    take_finalizer_off(&scene, "contoso").await;
    scene.until("contoso", "held again", |profile| !profile.finalizers().is_empty()).await;
    scene.terminate_operator();
    scene.delete("contoso").await;
    take_finalizer_off(&scene, "contoso").await;
    scene.until_gone("contoso").await;
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
    let orphans = edusync(&scene, &["orphans", "--allowed-host", "127.0.0.1"]).await;
    assert!(orphans.out.contains(&id), "{orphans:?}");
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    assert_eq!((scene.requests("POST").len(), scene.requests("DELETE").len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_somebody_points_at_another_profile_is_not_followed() {
    let scene = Scene::begin("pointed").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let theirs = scene.simulator.plant(foreign_body("Made in the portal")).unwrap();
    patch_status(&scene, "contoso", json!({"binding": {"profileId": theirs}})).await;
    let stalled = scene.until_ready_is("contoso", "False", "StatusNotTrusted").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&id) && message.contains(&theirs), "{message}");
    // Put back, it goes on.
    patch_status(&scene, "contoso", json!({"binding": {"profileId": id}})).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    patch_status(&scene, "contoso", json!({"binding": {"profileId": theirs}})).await;
    scene.until_ready_is("contoso", "False", "StatusNotTrusted").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    for method in ["PUT", "PATCH", "DELETE"] {
        assert!(scene.requests(method).is_empty(), "{method}");
    }
    assert_eq!(names(&scene), ["Contoso SDS", "Made in the portal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_points_at_the_profile_of_another_resource_harms_nobody() {
    let mut scene = Scene::begin("pointed-claimed").await;
    for (name, display_name) in [("contoso", "Contoso SDS"), ("fabrikam", "Fabrikam SDS")] {
        scene.create(name, spec(display_name)).await;
    }
    let ids = [
        profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await),
        profile_id(&scene.until_ready_is("fabrikam", "True", "Provisioned").await),
    ];
    patch_status(&scene, "fabrikam", json!({"binding": {"profileId": ids[0]}})).await;
    scene.until_ready_is("fabrikam", "False", "StatusNotTrusted").await;
    // One that starts later has only the records to go by, and believes the condition.
    scene.crash_operator().await;
    scene.start_operator();
    scene.lists_pass(3).await;
    scene.until_ready_is("fabrikam", "False", "StatusNotTrusted").await;
    scene.profiles().delete("fabrikam", &DeleteParams::default()).await.unwrap();
    scene.until_gone("fabrikam").await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert!(scene.requests("DELETE").is_empty() && scene.requests("PUT").is_empty());
    assert_eq!(names(&scene), ["Contoso SDS", "Fabrikam SDS"]);
}
