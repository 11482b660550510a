//! The operator dies, or the answer does, while a profile is being created: exactly one profile all the same.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::scene::{Scene, condition, profile_id, spec};

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_post_and_status_it_takes_its_profile_over() {
    let mut scene = Scene::begin("killed").await;
    scene.simulator.hold_create_answers(true);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.eventually("the profile is in Graph", |scene| scene.simulator.profiles().len() == 1).await;
    scene.crash_operator().await;
    scene.simulator.hold_create_answers(false);
    let open = scene.until("contoso", "with an open attempt", |profile| {
        profile.status.as_ref().is_some_and(|status| status.creation.is_some())
    });
    assert!(open.await.status.unwrap().binding.is_none(), "the id was not stored");

    scene.start_operator();
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.simulator.profiles().len(), 1);
    assert_eq!(scene.simulator.profiles()[0]["id"], profile_id(&profile));
    assert_eq!(scene.requests("POST").len(), 1);
    assert_eq!(profile.status.unwrap().creation, None);
    scene.until_events_are("contoso", &["Recovered", "Provisioned"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_without_a_second_post() {
    let scene = Scene::begin("lost").await;
    scene.simulator.hold_create_answers(true);
    scene.create("contoso", spec("Contoso SDS")).await;
    // The answer never comes; the request times out, and the list shows the profile.
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.simulator.hold_create_answers(false);
    assert_eq!(scene.requests("POST").len(), 1);
    assert_eq!(scene.simulator.profiles()[0]["id"], profile_id(&profile));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_came_to_nothing_is_repeated_once() {
    let mut scene = Scene::begin("nothing").await;
    scene.simulator.hold_create_answers(true);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.eventually("the profile is in Graph", |scene| scene.simulator.profiles().len() == 1).await;
    scene.crash_operator().await;
    // As if the request had never arrived.
    let id = scene.simulator.profiles()[0]["id"].as_str().unwrap().to_owned();
    assert!(scene.simulator.remove(&id));
    scene.simulator.hold_create_answers(false);

    scene.start_operator();
    let unresolved = scene.until_ready_is("contoso", "False", "CreateUnresolved").await;
    assert!(condition(&unresolved, "Reconciling").is_some());
    assert!(condition(&unresolved, "Stalled").is_none());
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_ne!(profile_id(&profile), id);
    assert_eq!(scene.requests("POST").len(), 2);
    assert_eq!(scene.simulator.profiles().len(), 1);
    assert!(profile.status.unwrap().earlier_creations.is_empty());
    let events = ["CreateUnresolved", "CreateRepeated", "Created", "Provisioned"];
    scene.until_events_are("contoso", &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_candidates_are_a_question_for_a_person() {
    let mut scene = Scene::begin("two").await;
    scene.simulator.hold_create_answers(true);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.eventually("the profile is in Graph", |scene| scene.simulator.profiles().len() == 1).await;
    scene.crash_operator().await;
    scene.simulator.hold_create_answers(false);
    let ours = scene.simulator.profiles()[0]["id"].as_str().unwrap().to_owned();
    let theirs = scene.simulator.plant(crate::scene::foreign_body("Contoso SDS")).unwrap();

    scene.start_operator();
    let stalled = scene.until_ready_is("contoso", "False", "AmbiguousCreate").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&ours) && message.contains(&theirs), "{message}");
    assert!(scene.simulator.remove(&theirs));
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&profile), ours);
    assert_eq!(scene.requests("POST").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_cleanly_and_a_successor_goes_on() {
    let mut scene = Scene::begin("sigterm").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let status = scene.terminate_operator();
    assert!(status.success(), "{status}\n{}", scene.operator_log());
    assert!(scene.operator_log().contains("stopped"));
    scene.start_operator();
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    assert_eq!(scene.simulator.profiles().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_was_taken_back_makes_no_twin() {
    let scene = Scene::begin("wiped").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let profile = scene.until_ready_is("contoso", "True", "Provisioned").await;
    // As a restore of the cluster's store would do it, under the eyes of the same process.
    let wiped = Patch::Merge(json!({"status": {"binding": null, "state": null, "conditions": null}}));
    scene.profiles().patch_status("contoso", &PatchParams::default(), &wiped).await.unwrap();
    let stalled = scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains(&profile_id(&profile)));
    assert_eq!(scene.requests("POST").len(), 1);
}
