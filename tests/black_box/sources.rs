//! OneRoster and PowerSchool: their secrets by reference, and their way to Graph.

use edusync::api::EducationSyncProfile;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
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
