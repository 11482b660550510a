//! What a change of something that is there costs, counted exactly.

use std::time::Duration;

use edusync::api::EducationSyncProfile;
use edusync::api::status::SyncStatus;
use graph_simulator::Settings;
use serde_json::{Value, json};

use crate::cost::Meter;
use crate::manage::by_hand;
use crate::moves::adopting;
use crate::scene::{Scene, foreign_body, power_school, profile_id, profile_manifest, quick, spec};
use crate::synchronize::endless;
use crate::synchronize::is;

/// A write of the status.
const STATUS: &str = "update status";

/// The connection has shown that it works, and is left alone since.
async fn begin(name: &str, settings: Settings) -> Scene {
    let mut scene = Scene::without_operator(name, settings).await;
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
    scene
}

async fn ready(name: &str) -> (Scene, String) {
    let scene = begin(name, quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    (scene, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_spec_costs_one_put_two_writes_one_event() {
    let (scene, _) = ready("cost-update").await;
    let meter = Meter::begin(&scene, "contoso", 4, 2).await;
    let mut wanted = spec("Contoso SDS");
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    wanted["expirationDate"] = json!("2027-06-30");
    scene.create("contoso", wanted).await;
    let costs = meter.end(&scene, "contoso", 2).await;
    assert_eq!(costs.calls, ["PUT profile"], "the list after it tells what came of it");
    assert_eq!(costs.writes, [STATUS, STATUS], "what was sent, and ready");
    assert_eq!(costs.events, ["Updated"], "and Provisioned once more, which Kubernetes counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_costs_one_put_two_writes_one_event() {
    // What somebody changes is not set up anew, so that nothing but the correction is to be seen.
    let scene = begin("cost-drift", Settings { provisioning_time: Duration::ZERO, ..quick() }).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let meter = Meter::begin(&scene, "contoso", 3, 2).await;
    by_hand(&scene, "PATCH", &format!("/{id}"), &json!({"displayName": "Other"}));
    let costs = meter.end(&scene, "contoso", 2).await;
    assert_eq!(costs.calls, ["PATCH profile", "PUT profile"], "the first one is somebody else's");
    assert_eq!(costs.writes, [STATUS, STATUS], "what was sent, and that it lasted");
    assert_eq!(costs.events, ["Updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_costs_no_call_and_two_writes_and_an_observer_one() {
    let by_name = json!({"byDisplayName": true});
    for (name, adopt, policy, writes) in [
        ("cost-adopt-id", None, "Manage", &["patch", STATUS][..]),
        ("cost-adopt-name", Some(by_name), "Manage", &["patch", STATUS]),
        ("cost-observe", None, "Observe", &[STATUS]),
    ] {
        let scene = begin(name, quick()).await;
        let id = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
        scene
            .eventually("it is set up", |scene| scene.simulator.profiles()[0]["state"] == "provisioned")
            .await;
        let meter = Meter::begin(&scene, "contoso", 0, 0).await;
        let mut wanted = adopting("Contoso SDS", &id);
        wanted["adopt"] = adopt.unwrap_or_else(|| wanted["adopt"].take());
        wanted["managementPolicy"] = json!(policy);
        scene.create("contoso", wanted).await;
        let costs = meter.end(&scene, "contoso", writes.len()).await;
        assert_eq!(costs.calls, [""; 0], "the list tells all");
        assert_eq!(costs.writes, writes, "{name}");
        assert_eq!(costs.events, ["Adopted", "Provisioned"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_failed_is_sent_again_with_one_put_and_two_writes() {
    let scene = begin("cost-again", quick()).await;
    scene.simulator.fail_provisioning("Contoso SDS");
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "ProvisioningFailed").await;
    let meter = Meter::begin(&scene, "contoso", 4, 2).await;
    let mut manifest = profile_manifest("contoso", spec("Contoso SDS"));
    manifest["metadata"]["annotations"] = json!({"reconcile.edusync.dev/requestedAt": "one"});
    scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
    let costs = meter.end(&scene, "contoso", 2).await;
    assert_eq!(costs.calls, ["PUT profile"]);
    assert_eq!(costs.writes, [STATUS, STATUS], "what was sent, and that it failed again");
    assert_eq!(costs.events, ["Updated"], "and ProvisioningFailed once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_a_resume_and_a_reset_cost_one_call_each() {
    let scene = begin("cost-run", endless()).await;
    let mut spec: Value = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    let is_running =
        |p: &EducationSyncProfile| !is(SyncStatus::Paused)(p) && p.status.as_ref().unwrap().sync.is_some();
    scene.until("contoso", "running", is_running).await;
    // Finalizer, intent, id, ready with the synchronization.
    let mut so_far = (4, 2);
    for (member, value, call, writes, event) in [
        ("synchronization", json!("Paused"), "POST pause", 2, "Paused"),
        ("synchronization", json!("Running"), "POST resume", 2, "Resumed"),
        ("triggers", json!({"reset": "today"}), "POST reset", 1, "Reset"),
    ] {
        let meter = Meter::begin(&scene, "contoso", so_far.0, so_far.1).await;
        spec[member] = value;
        scene.create("contoso", spec.clone()).await;
        let costs = meter.end(&scene, "contoso", writes).await;
        assert_eq!(costs.calls, [call]);
        assert_eq!(costs.writes, vec![STATUS; writes], "the record, and what the next list shows: {call}");
        assert_eq!(costs.events, [event]);
        so_far = (so_far.0 + writes, so_far.1 + 1);
    }
}
