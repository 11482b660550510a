//! Credentials: which ones are refused with which sentence, and what becomes of a renewed refresh token.

use std::collections::BTreeMap;

use edusync::api::GraphConnection;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::scene::{Scene, condition, quick, spec};

const STORE: &str = "edusync-refresh-tokens";

fn secrets(scene: &Scene) -> Api<Secret> {
    Api::namespaced(scene.client.clone(), &scene.namespace)
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.clone().unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).unwrap())).collect()
}

/// Waits until the Secret with the renewed tokens is as it should be.
async fn until_stored(scene: &Scene, what: &str, holds: impl Fn(&Secret) -> bool + Send + Sync) -> Secret {
    let condition = |secret: Option<&Secret>| secret.is_some_and(&holds);
    let waited = await_condition(secrets(scene), STORE, condition);
    let found = tokio::time::timeout(std::time::Duration::from_mins(1), waited).await;
    assert!(found.is_ok(), "the stored token is never {what}\n{}", scene.operator_log());
    found.unwrap().unwrap().unwrap()
}

/// Waits until the connection "default" is Stalled with this reason; the message.
async fn until_stalled(scene: &Scene, reason: &str) -> String {
    scene.until_connection_is("False", reason).await;
    let connection = scene.connections().get("default").await.unwrap();
    let conditions = connection.status.unwrap().conditions;
    let stalled = conditions.into_iter().find(|condition| condition.type_ == "Stalled").unwrap();
    assert_eq!(stalled.reason, reason);
    stalled.message
}

/// Another refresh token of the simulator's administrator.
async fn sign_in_again(scene: &Scene) -> String {
    let settings = scene.simulator.settings();
    let ca = reqwest::Certificate::from_pem(scene.simulator.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", &settings.client_id)
        .append_pair("client_secret", &settings.client_secret)
        .append_pair("refresh_token", &settings.refresh_token)
        .finish();
    let url = format!("{}/{}/oauth2/v2.0/token", scene.simulator.url(), settings.tenant);
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_refresh_token_outlives_the_operator_until_there_is_a_new_seed() {
    let mut scene = Scene::begin("rotation").await;
    let users = secrets(&scene).get("graph").await.unwrap();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let seed = scene.simulator.settings().refresh_token.clone();
    let stored = until_stored(&scene, "held", |secret| !secret.finalizers().is_empty()).await;
    assert_eq!(stored.finalizers(), ["edusync.dev/in-use"]);
    assert_eq!(stored.labels()["app.kubernetes.io/managed-by"], "edusync");
    let owner = &stored.owner_references()[0];
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("GraphConnection", "default"));
    assert_eq!((owner.controller, owner.block_owner_deletion), (Some(false), Some(false)));
    let tokens = texts(&stored);
    assert_eq!(tokens.len(), 3, "{:?}", tokens.keys());
    assert_eq!(tokens["default.seed"], seed);
    assert_ne!(tokens["default.refresh-token"], seed);
    tokens["default.redeemed-at"].parse::<jiff::Timestamp>().unwrap();
    let untouched = secrets(&scene).get("graph").await.unwrap();
    assert_eq!(untouched.resource_version(), users.resource_version(), "users' Secrets are never written");

    // Which token does the next operator begin with? One that only the Secret can have told it.
    scene.terminate_operator();
    let spoilt = Patch::Merge(json!({"stringData": {"default.refresh-token": "spoilt"}}));
    secrets(&scene).patch(STORE, &PatchParams::default(), &spoilt).await.unwrap();
    scene.start_operator();
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    let stalled = scene.until_ready_is("fabrikam", "False", "CredentialsInvalid").await;
    assert!(condition(&stalled, "Stalled").unwrap().2.contains("sign in again"));

    // A new seed replaces what grew from the old one.
    let new_seed = sign_in_again(&scene).await;
    let replaced = Patch::Merge(json!({"stringData": {"refreshToken": new_seed}}));
    secrets(&scene).patch("graph", &PatchParams::default(), &replaced).await.unwrap();
    let mut connection = scene.connection_manifest();
    connection["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    let stored =
        until_stored(&scene, "of the new seed", |secret| texts(secret)["default.seed"] == new_seed).await;
    assert_ne!(texts(&stored)["default.refresh-token"], "spoilt");
    let log = scene.operator_log();
    for token in
        [&seed, &new_seed, &tokens["default.refresh-token"], &texts(&stored)["default.refresh-token"]]
    {
        assert!(!log.contains(token.as_str()), "a token is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_token_goes_with_its_connection_and_no_other_does() {
    let scene = Scene::begin("let-go").await;
    let mut other = scene.connection_manifest();
    other["metadata"]["name"] = json!("other");
    scene.apply::<GraphConnection>(other).await.unwrap();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    until_stored(&scene, "that of both", |secret| {
        texts(secret).len() == 6 && !secret.finalizers().is_empty() && secret.owner_references().len() == 2
    })
    .await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    scene.connections().delete("default", &DeleteParams::default()).await.unwrap();
    // The share of the connection that was in use is taken back; the other connection needs no finalizer.
    until_stored(&scene, "that of the other one", |secret| {
        let tokens = texts(secret);
        tokens.len() == 3 && tokens.contains_key("other.refresh-token") && secret.finalizers().is_empty()
    })
    .await;
    scene.connections().delete("other", &DeleteParams::default()).await.unwrap();
    let gone = await_condition(secrets(&scene), STORE, |secret: Option<&Secret>| secret.is_none());
    // Kubernetes' garbage collector looks for new kinds each half minute.
    let waited = tokio::time::timeout(std::time::Duration::from_mins(2), gone).await;
    assert!(waited.is_ok(), "the Secret has no owner any more, and stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_leaves_behind_is_taken_back_and_what_somebody_deletes_is_stored_again() {
    let scene = Scene::begin("left-behind").await;
    let mut other = scene.connection_manifest();
    other["metadata"]["name"] = json!("other");
    scene.apply::<GraphConnection>(other).await.unwrap();
    until_stored(&scene, "that of both", |secret| texts(secret).len() == 6).await;
    // No profile needs it, so no finalizer holds it: it is gone at once.
    scene.connections().delete("other", &DeleteParams::default()).await.unwrap();
    let stored = until_stored(&scene, "that of the one that stays", |secret| {
        let tokens = texts(secret);
        tokens.len() == 3 && tokens.contains_key("default.refresh-token")
    })
    .await;
    secrets(&scene).delete(STORE, &DeleteParams::default()).await.unwrap();
    let mut connection = scene.connection_manifest();
    connection["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let again = until_stored(&scene, "stored again", |secret| secret.uid() != stored.uid()).await;
    assert_eq!(texts(&again), texts(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_explained() {
    let mut scene = Scene::without_operator("certificate", quick()).await;
    let mut connection = scene.connection_manifest();
    let client_id = connection["spec"]["application"]["clientId"].clone();
    connection["spec"]["application"] = json!({"clientId": client_id, "certificateRef": {"name": "tls"}});
    scene.apply::<GraphConnection>(connection.clone()).await.unwrap();
    scene.start_operator();
    let message = until_stalled(&scene, "CredentialsMissing").await;
    assert!(message.contains("tls.crt") && message.contains("Secret tls"), "{message}");

    let not_pem = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"},
        "stringData": {"tls.crt": "canary in tls.crt", "tls.key": "canary in tls.key"}
    });
    scene.apply::<Secret>(not_pem).await.unwrap();
    connection["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let message = until_stalled(&scene, "CredentialsInvalid").await;
    assert!(message.contains("Secret tls") && message.contains("BEGIN CERTIFICATE"), "{message}");
    assert!(!message.contains("canary") && !scene.operator_log().contains("canary"));
    assert!(scene.simulator.requests().is_empty(), "nothing was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_identity_is_for_listed_namespaces_alone() {
    let mut scene = Scene::without_operator("identity", quick()).await;
    let mut connection = scene.connection_manifest();
    let client_id = connection["spec"]["application"]["clientId"].clone();
    connection["spec"]["application"] = json!({"clientId": client_id, "workloadIdentity": {}});
    connection["spec"].as_object_mut().unwrap().remove("delegated");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    let message = until_stalled(&scene, "NamespaceNotAllowed").await;
    for part in ["--operator-identity-namespace", "operatorIdentity.namespaces", &scene.namespace] {
        assert!(message.contains(part), "{message}");
    }
    scene.until_ready_is("contoso", "False", "NamespaceNotAllowed").await;
    assert!(scene.simulator.requests().is_empty(), "nothing was sent");

    scene.terminate_operator();
    let namespace = scene.namespace.clone();
    let missing = "no-such-folder/azure-identity-token";
    let mut scene =
        scene.with_flags(&["--operator-identity-namespace", &namespace, "--federated-token-file", missing]);
    scene.start_operator();
    let message = until_stalled(&scene, "CredentialsInvalid").await;
    assert!(message.contains(missing), "{message}");
    assert!(message.contains("azure.workload.identity/use"), "{message}");
    assert!(scene.simulator.requests().is_empty(), "there was nothing to send");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_while_nobody_is_there_is_let_go_with_the_stored_token() {
    let mut scene = Scene::without_operator("departure", quick()).await;
    let settings = scene.simulator.settings();
    let (public, token) = (settings.public_client_id.clone(), settings.refresh_token.clone());
    // Trust in the simulator has to outlive the namespace; Microsoft's certificates need none.
    let ca = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "ca", "finalizers": ["tests.example/keep"]},
        "stringData": {"ca.crt": scene.simulator.ca_pem()}
    });
    scene.apply::<Secret>(ca).await.unwrap();
    let seed = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "administrator"},
        "stringData": {"token": token}
    });
    scene.apply::<Secret>(seed).await.unwrap();
    let mut connection = scene.connection_manifest();
    let spec_of_it = connection["spec"].as_object_mut().unwrap();
    spec_of_it.remove("application");
    spec_of_it.insert("caBundleRef".to_owned(), json!({"name": "ca", "key": "ca.crt"}));
    let delegated = json!({"clientId": public, "refreshTokenRef": {"name": "administrator", "key": "token"}});
    spec_of_it.insert("delegated".to_owned(), delegated);
    scene.apply::<GraphConnection>(connection).await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    until_stored(&scene, "held", |secret| !secret.finalizers().is_empty()).await;

    scene.terminate_operator();
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    namespaces.delete(&scene.namespace, &DeleteParams::default()).await.unwrap();
    let gone = await_condition(secrets(&scene), "administrator", |secret: Option<&Secret>| secret.is_none());
    tokio::time::timeout(std::time::Duration::from_mins(1), gone).await.unwrap().unwrap();
    scene.start_operator();
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
    assert_eq!(scene.requests("DELETE").len(), 1);
    let released = await_condition(secrets(&scene), STORE, |secret: Option<&Secret>| secret.is_none());
    let released = tokio::time::timeout(std::time::Duration::from_mins(1), released).await;
    assert!(released.is_ok(), "the stored token stays\n{}", scene.operator_log());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    secrets(&scene).patch("ca", &PatchParams::default(), &free).await.unwrap();
    let gone =
        await_condition(namespaces, &scene.namespace, |namespace: Option<&Namespace>| namespace.is_none());
    let waited = tokio::time::timeout(std::time::Duration::from_mins(1), gone).await;
    assert!(waited.is_ok(), "the namespace stays\n{}", scene.operator_log());
}
