//! What becomes of tokens on their way: used up, taken back, not given yet.

use graph_simulator::{RecordedRequest, RefreshTokenRotation, Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;

use crate::scene::{Scene, quick, spec};

/// All requests to the token service.
fn asked(scene: &Scene) -> Vec<RecordedRequest> {
    let all = scene.simulator.requests().into_iter();
    all.filter(|request| request.operation == "token").collect()
}

fn statuses(requests: &[RecordedRequest]) -> Vec<u16> {
    requests.iter().map(|request| request.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_used_refresh_token_is_dead_the_renewed_one_survives_a_crash() {
    let settings = Settings { refresh_token_rotation: RefreshTokenRotation::Revoke, ..quick() };
    let mut scene = Scene::without_operator("used-up", settings).await;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let users = secrets.get("graph").await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let first = asked(&scene).len();
    // Without warning: what is not stored by now is lost, and the seed in the user's Secret is dead.
    scene.crash_operator().await;

    scene.start_operator();
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
    let requests = asked(&scene);
    let again = requests.split_at(first).1;
    assert!(again.iter().any(|request| request.grant.as_deref() == Some("refresh_token")));
    assert!(statuses(&requests).iter().all(|status| *status == 200), "{:?}", statuses(&requests));
    let untouched = secrets.get("graph").await.unwrap();
    assert_eq!(untouched.resource_version(), users.resource_version(), "users' Secrets are never written");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_taken_back_are_replaced_and_nobody_is_bothered() {
    let scene = Scene::begin("taken-back").await;
    scene.until_connection_is("True", "Connected").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let tokens = asked(&scene).len();

    assert_eq!(scene.simulator.simulator().revoke_tokens(), 2);
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    let posts = statuses(&scene.requests("POST"));
    assert_eq!(posts, [201, 401, 201], "the refused one was not carried out");
    // All four by now: one is enough to be refused, and only those in use are noticed.
    assert_eq!(scene.simulator.simulator().revoke_tokens(), 4);
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(statuses(&scene.requests("DELETE")), [401, 202]);

    let lists = scene.requests("GET").into_iter().filter(|request| request.status == 401).count();
    assert_eq!(lists, 2, "each loss is noticed once");
    let requests = asked(&scene);
    assert_eq!(statuses(&requests), vec![200; tokens + 4], "a new one for each that was taken");
    scene.until_events_are("fabrikam", &["Created", "Provisioned"]).await;
    scene.until_events_are("default", &["Connected"]).await;
    assert_eq!(scene.simulator.profiles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_service_that_asks_to_wait_is_waited_for() {
    let mut scene = Scene::without_operator("token-wait", quick()).await;
    // One for the application, one for the administrator.
    scene.simulator.fault("token:429,retry-after=2,times=2").unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "UpstreamUnavailable").await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let requests = asked(&scene);
    assert_eq!(statuses(&requests), [429, 429, 200, 200]);
    for (refused, granted) in [(0, 2), (1, 3)] {
        let waited = requests[granted].time.duration_since(requests[refused].time);
        assert!(waited.as_millis() >= 2000, "asked again after {waited}");
    }
    assert_eq!(scene.requests("POST").len(), 1);
    scene.until_connection_is("True", "Connected").await;
    // Said once.
    scene.until_events_are("contoso", &["UpstreamUnavailable", "Created", "Provisioned"]).await;
}
