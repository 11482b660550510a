//! OneRoster and PowerSchool: their secrets by reference, and their way to Graph.

use edusync::api::EducationSyncProfile;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::scene::{Scene, condition};

const CANARY: &str = "canary-of-the-source";

async fn give_secret(scene: &Scene) {
    let secret: Secret = serde_json::from_value(
        json!({"metadata": {"name": "sis-credentials"}, "stringData": {"clientSecret": CANARY}}),
    )
    .unwrap();
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    api.create(&PostParams::default(), &secret).await.unwrap();
}

fn example(name: &str) -> Value {
    let file = xtask::repository_root().join(format!("examples/{name}.yaml"));
    serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_becomes_ready_and_its_secret_reaches_graph_alone() {
    let scene = Scene::begin("sources").await;
    give_secret(&scene).await;
    let mut oauth1 = example("oneroster");
    oauth1["metadata"]["name"] = json!("oauth1");
    oauth1["spec"]["displayName"] = json!("Contoso OAuth 1");
    oauth1["spec"]["dataProvider"]["oneRoster"]["connectionSettings"] = json!({"oauth1": {
        "clientId": "key", "clientSecretRef": {"name": "sis-credentials", "key": "clientSecret"}
    }});
    for manifest in [example("oneroster"), example("powerschool"), oauth1] {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
        let ready = scene.until_ready_is(&name, "True", "Provisioned").await;
        assert_eq!(condition(&ready, "Drifted"), None, "{name}");
        assert!(!serde_json::to_string(&ready).unwrap().contains(CANARY));
    }
    // The simulator knows the secret, and shows in its log that one came, but not which.
    let bodies: Vec<Value> = scene.requests("POST").into_iter().filter_map(|post| post.body).collect();
    assert_eq!(bodies.len(), 3);
    for body in &bodies {
        let text = body.to_string();
        assert!(text.contains("clientSecret") && !text.contains(CANARY), "{text}");
    }
    assert_eq!(
        bodies[0]["dataProvider"]["@odata.type"],
        "#microsoft.graph.educationOneRosterApiDataProvider"
    );
    assert_eq!(bodies[1]["dataProvider"]["@odata.type"], "#microsoft.graph.educationPowerSchoolDataProvider");
    assert_eq!(
        bodies[2]["dataProvider"]["connectionSettings"]["@odata.type"],
        "#microsoft.graph.educationSynchronizationOAuth1ConnectionSettings"
    );
    assert!(!scene.operator_log().contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_of_the_source_is_said_and_costs_no_post() {
    let scene = Scene::begin("nosecret").await;
    let mut manifest = example("powerschool");
    scene.apply::<EducationSyncProfile>(manifest.clone()).await.unwrap();
    let stalled = scene.until_ready_is("powerschool", "False", "CredentialsMissing").await;
    let (_, _, message) = condition(&stalled, "Ready").unwrap();
    assert!(message.contains("the key clientSecret of the Secret sis-credentials"), "{message}");
    assert!(scene.requests("POST").is_empty());
    give_secret(&scene).await;
    manifest["metadata"]["annotations"] = json!({"reconcile.edusync.dev/requestedAt": "now"});
    scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
    scene.until_ready_is("powerschool", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_of_the_source_is_sent_with_one_put() {
    let mut scene = Scene::begin("newsecret").await;
    give_secret(&scene).await;
    scene.apply::<EducationSyncProfile>(example("powerschool")).await.unwrap();
    let ready = scene.until_ready_is("powerschool", "True", "Provisioned").await;
    let before = applied_version(&ready);
    assert!(before.is_some());

    let changed = "another-canary-of-the-source";
    let patch = Patch::Merge(json!({"stringData": {"clientSecret": changed}}));
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let secret = api.patch("sis-credentials", &PatchParams::default(), &patch).await.unwrap();
    let version = secret.metadata.resource_version;
    assert_ne!(version, before);
    // A request reads no Secret; a new operator has read none yet.
    let mut manifest = example("powerschool");
    manifest["metadata"]["annotations"] = json!({"reconcile.edusync.dev/requestedAt": "now"});
    scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
    scene
        .until("powerschool", "looked at", |profile| {
            profile.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref())
                == Some("now")
        })
        .await;
    assert!(scene.requests("PUT").is_empty());
    scene.crash_operator().await;
    scene.start_operator();
    scene.until("powerschool", "with the new secret", |profile| applied_version(profile) == version).await;
    scene.until_ready_is("powerschool", "True", "Provisioned").await;
    scene.lists_pass(4).await;
    let puts = scene.requests("PUT");
    assert_eq!(puts.len(), 1, "sent once");
    let body = puts[0].body.as_ref().unwrap();
    let sent = body.pointer("/dataProvider/clientSecret").and_then(Value::as_str);
    assert_eq!(sent, Some("(redacted)"), "a secret came, and is not shown: {body}");

    // The next operator finds nothing to send.
    scene.crash_operator().await;
    scene.start_operator();
    scene.lists_pass(4).await;
    assert_eq!(scene.requests("PUT").len(), 1);
    assert!(!scene.operator_log().contains(changed));
}

fn applied_version(profile: &EducationSyncProfile) -> Option<String> {
    profile.status.as_ref()?.applied_secret_version.clone()
}

/// Whoever may write a profile, but read no Secret, must not have a credential sent to an address of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_a_connection_is_no_secret_of_a_source() {
    let scene = Scene::begin("thief").await;
    let mut manifest = example("powerschool");
    let reference = "/spec/dataProvider/powerSchool/clientSecretRef";
    *manifest.pointer_mut(reference).unwrap() = json!({"name": "graph", "key": "refreshToken"});
    scene.apply::<EducationSyncProfile>(manifest.clone()).await.unwrap();
    let stalled = scene.until_ready_is("powerschool", "False", "CredentialsMissing").await;
    let (_, _, message) = condition(&stalled, "Ready").unwrap();
    assert!(message.contains("is a credential of the GraphConnection default"), "{message}");
    assert!(scene.requests("POST").is_empty());
    *manifest.pointer_mut(reference).unwrap() =
        json!({"name": "edusync-refresh-tokens", "key": "default.refresh-token"});
    let refused = scene.apply::<EducationSyncProfile>(manifest).await.unwrap_err();
    assert!(refused.to_string().contains("is edusync's own and is named nowhere"), "{refused}");
}
