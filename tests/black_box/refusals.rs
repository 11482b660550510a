//! What a person must mend: said plainly, not retried hotly, and over once it is mended.

use edusync::api::GraphConnection;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use crate::scene::{Scene, condition, foreign_body, quick, spec};

#[tokio::test(flavor = "multi_thread")]
async fn a_definite_400_stops_until_the_spec_is_mended() {
    let scene = Scene::begin("rejected").await;
    let mut too_late = spec("Contoso SDS");
    // Graph takes a day at most 18 months ahead; a schema cannot know today.
    too_late["expirationDate"] = json!("2099-12-31");
    scene.create("contoso", too_late).await;
    let stalled = scene.until_ready_is("contoso", "False", "Rejected").await;
    assert!(condition(&stalled, "Reconciling").is_none());
    let status = stalled.status.unwrap();
    assert_eq!((status.creation, status.binding), (None, None));
    let refusal = status.refusal.unwrap();
    assert_eq!(refusal.status, 400);
    assert!(refusal.request_id.is_some());
    scene.lists_pass(0).await;
    // A pass for every reason that there is: a restart of the connection's watch, a request.
    scene
        .create("contoso", {
            let mut s = spec("Contoso SDS");
            s["expirationDate"] = json!("2099-12-31");
            s
        })
        .await;
    assert_eq!(scene.requests("POST").len(), 1, "no retry");
    scene.until_events_are("contoso", &["Rejected"]).await;

    scene.create("contoso", spec("Contoso SDS")).await;
    let mended = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("POST").len(), 2);
    assert_eq!(mended.status.unwrap().refusal, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_ask_for_another_try() {
    let scene = Scene::begin("again").await;
    let mut too_late = spec("Contoso SDS");
    too_late["expirationDate"] = json!("2099-12-31");
    scene.create("contoso", too_late.clone()).await;
    scene.until_ready_is("contoso", "False", "Rejected").await;
    let mut manifest = crate::scene::profile_manifest("contoso", too_late);
    manifest["metadata"]["annotations"] = json!({"reconcile.edusync.dev/requestedAt": "one"});
    scene.apply::<edusync::api::EducationSyncProfile>(manifest).await.unwrap();
    scene
        .until("contoso", "asked for", |profile| {
            let status = profile.status.as_ref().unwrap();
            status.last_handled_reconcile_at.as_deref() == Some("one") && status.refusal.is_some()
        })
        .await;
    assert_eq!(scene.requests("POST").len(), 2, "once for each request");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_delegated_credential_the_403_says_so() {
    let mut scene = Scene::without_operator("apponly", quick()).await;
    let mut app_only = scene.connection_manifest();
    app_only["spec"].as_object_mut().unwrap().remove("delegated");
    scene.apply::<GraphConnection>(app_only).await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let stalled = scene.until_ready_is("contoso", "False", "Forbidden").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains("spec.delegated"), "{message}");
    assert_eq!(scene.requests("POST").len(), 1);

    scene.apply::<GraphConnection>(scene.connection_manifest()).await.unwrap();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_the_same_name_is_never_doubled() {
    let scene = Scene::begin("exists").await;
    let theirs = scene.simulator.plant(foreign_body("CONTOSO sds")).unwrap();
    scene.create("contoso", spec("Contoso SDS")).await;
    let stalled = scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&theirs), "{message}");
    scene.lists_pass(3).await;
    assert_eq!(scene.requests("POST").len(), 0);

    assert!(scene.simulator.remove(&theirs));
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("POST").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioning_that_fails_is_stalled() {
    let scene = Scene::begin("failed").await;
    scene.simulator.fail_provisioning("Contoso SDS");
    scene.create("contoso", spec("Contoso SDS")).await;
    let stalled = scene.until_ready_is("contoso", "False", "ProvisioningFailed").await;
    assert_eq!(condition(&stalled, "Stalled").unwrap().0, "True");
    assert!(condition(&stalled, "Reconciling").is_none());
    scene.lists_pass(3).await;
    assert_eq!(scene.requests("POST").len(), 1);
    scene.until_events_are("contoso", &["Created", "ProvisioningFailed"]).await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_connection_is_named_and_found_when_it_comes() {
    let scene = Scene::begin("missing").await;
    let mut elsewhere = spec("Contoso SDS");
    elsewhere["connectionRef"] = json!({"name": "district"});
    scene.create("contoso", elsewhere).await;
    let stalled = scene.until_ready_is("contoso", "False", "ConnectionNotFound").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains("district"));
    let mut connection = scene.connection_manifest();
    connection["metadata"]["name"] = json!("district");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_and_missing_credentials_are_told_apart() {
    let mut scene = Scene::without_operator("credentials", quick()).await;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    secrets.delete("graph", &DeleteParams::default()).await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let stalled = scene.until_ready_is("contoso", "False", "CredentialsMissing").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains("graph"), "{message}");
    scene.until_connection_is("False", "CredentialsMissing").await;

    let wrong: Value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "graph"},
        "stringData": {"ca.crt": scene.simulator.ca_pem(), "clientSecret": "wrong", "refreshToken": "wrong"}
    });
    scene.apply::<Secret>(wrong).await.unwrap();
    // Touching the connection is how a person says: now.
    let mut connection = scene.connection_manifest();
    connection["spec"]["graph"]["pollInterval"] = json!("30s");
    scene.apply::<GraphConnection>(connection.clone()).await.unwrap();
    let stalled = scene.until_ready_is("contoso", "False", "CredentialsInvalid").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains("client secret is wrong"), "{message}");
    scene.until_connection_is("False", "CredentialsInvalid").await;
    assert_eq!(scene.requests("POST").len(), 0);

    let settings = scene.simulator.settings();
    let right: Value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "graph"},
        "stringData": {
            "ca.crt": scene.simulator.ca_pem(),
            "clientSecret": settings.client_secret,
            "refreshToken": settings.refresh_token,
        }
    });
    scene.apply::<Secret>(right).await.unwrap();
    connection["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_connection_is("True", "Connected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_allowed_gets_no_credential() {
    let mut scene =
        Scene::without_operator("host", quick()).await.with_flags(&["--allowed-host", "graph.example"]);
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let stalled = scene.until_ready_is("contoso", "False", "HostNotAllowed").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains("--allowed-host"));
    assert!(scene.simulator.requests().is_empty(), "nothing was sent");
}
