//! Graph out of reach: nothing is lost, nothing is doubled, and a profile that was ready stays ready.

use crate::scene::{Scene, condition, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_waits_for_graph_and_is_created_once() {
    let scene = Scene::begin("down").await;
    scene.until_connection_is("True", "Connected").await;
    scene.simulator.close().await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let waiting = scene.until_ready_is("contoso", "False", "UpstreamUnavailable").await;
    assert!(condition(&waiting, "Reconciling").is_some());
    assert!(condition(&waiting, "Stalled").is_none());
    scene.until_connection_is("False", "UpstreamUnavailable").await;
    scene.simulator.reopen().await.unwrap();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("POST").len(), 1);
    scene.until_connection_is("True", "Connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ready_stays_ready_while_graph_is_away() {
    let scene = Scene::begin("away").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let before = scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.simulator.set_unavailable(Some(503));
    scene.until_connection_is("False", "UpstreamUnavailable").await;
    let during = scene.profiles().get("contoso").await.unwrap();
    assert_eq!(during.metadata.resource_version, before.metadata.resource_version, "not one write");
    scene.simulator.set_unavailable(None);
    scene.until_connection_is("True", "Connected").await;
    let after = scene.profiles().get("contoso").await.unwrap();
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_api_is_said_plainly() {
    let scene = Scene::begin("retired").await;
    scene.create("ready", spec("Contoso SDS")).await;
    scene.until_ready_is("ready", "True", "Provisioned").await;
    scene.simulator.set_unavailable(Some(410));
    scene.until_connection_is("False", "UpstreamRetired").await;
    scene.create("late", spec("Fabrikam SDS")).await;
    let late = scene.until_ready_is("late", "False", "UpstreamRetired").await;
    assert!(condition(&late, "Stalled").unwrap().2.contains("2024-12-31"));
    let ready = scene.profiles().get("ready").await.unwrap();
    assert_eq!(condition(&ready, "Ready").unwrap().0, "True", "an API that is gone proves nothing");
    // Nothing proves that the profile is gone, so its resource stays, and says how to let it go.
    scene.delete("ready").await;
    let stuck = scene.until_ready_is("ready", "False", "UpstreamRetired").await;
    assert!(condition(&stuck, "Stalled").unwrap().2.contains("Retain"));
    scene.simulator.set_unavailable(None);
    scene.until_gone("ready").await;
    scene.until_ready_is("late", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_for() {
    let scene = Scene::begin("throttled").await;
    scene.until_connection_is("True", "Connected").await;
    scene.simulator.set_unavailable(Some(429));
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "Throttled").await;
    scene.simulator.set_unavailable(None);
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("POST").len(), 1);
}
