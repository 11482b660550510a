//! What is applied stays as it was applied: no example shows a difference once it is Ready, and the operator owns nothing
//! of an object but its status and its finalizers.
//!
//! Argo CD and Flux ask exactly this, with every look at the cluster.

use edusync::api::{EducationSyncProfile, GraphConnection};
use k8s_openapi::api::core::v1::Secret;
use kube::Resource as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::scene::{Scene, condition, foreign_body, quick};

/// The live object, and what applying its manifest once more would make of it; of one moment.
async fn applied_again(api: &Api<DynamicObject>, manager: &str, manifest: &Value) -> (Value, Value) {
    let name = manifest["metadata"]["name"].as_str().unwrap();
    loop {
        let live = api.get(name).await.unwrap();
        let parameters = PatchParams::apply(manager).dry_run();
        let again = api.patch(name, &parameters, &Patch::Apply(manifest)).await.unwrap();
        if api.get(name).await.unwrap().metadata.resource_version == live.metadata.resource_version {
            return (serde_json::to_value(live).unwrap(), serde_json::to_value(again).unwrap());
        }
    }
}

/// Nothing of the object, its version and its managed fields included, would be changed by applying it again, and
/// nobody but `manager`, who applied it, has written its spec, its labels or its annotations.
pub async fn nothing_is_changed(scene: &Scene, manager: &str, manifest: &Value) {
    let kind = match manifest["kind"].as_str().unwrap() {
        "GraphConnection" => ApiResource::erase::<GraphConnection>(&()),
        _ => ApiResource::erase::<EducationSyncProfile>(&()),
    };
    let api = Api::namespaced_with(scene.client.clone(), &scene.namespace, &kind);
    let (live, again) = applied_again(&api, manager, manifest).await;
    assert_eq!(live, again);
    assert_eq!(live["spec"], manifest["spec"], "stored as it was written");
    assert_eq!(live["metadata"]["labels"], manifest["metadata"]["labels"]);
    assert_eq!(live["metadata"]["annotations"], manifest["metadata"]["annotations"]);
    let mut owners = 0;
    for entry in live["metadata"]["managedFields"].as_array().unwrap() {
        if entry["manager"] == manager {
            continue;
        }
        owners += 1;
        let fields: Vec<&String> = entry["fieldsV1"].as_object().unwrap().keys().collect();
        if entry["subresource"] == "status" {
            assert_eq!(fields, ["f:status"], "{entry}");
        } else {
            assert_eq!(fields, ["f:metadata"], "{entry}");
            let metadata: Vec<&String> =
                entry["fieldsV1"]["f:metadata"].as_object().unwrap().keys().collect();
            assert_eq!(metadata, ["f:finalizers"], "{entry}");
        }
    }
    assert!(owners > 0, "the operator has written something: {live}");
}

/// All the manifests of an example.
fn example(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(xtask::repository_root().join("examples").join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// The examples that are a profile; each file with the name in it.
fn profiles() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(xtask::repository_root().join("examples")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found = Vec::new();
    for file in files.filter(|file| file.contains('.')) {
        let profiles =
            example(&file).into_iter().filter(|manifest| manifest["kind"] == "EducationSyncProfile");
        found.extend(profiles.map(|manifest| (file.clone(), manifest)));
    }
    assert!(found.len() >= 6, "{found:?}");
    found
}

/// kubectl on a file of the examples, just as it is.
fn kubectl(scene: &Scene, command: &[&str], file: &str) {
    let path = xtask::repository_root().join("examples").join(file);
    let arguments = [command, &["--namespace", &scene.namespace, "-f", path.to_str().unwrap()]].concat();
    let output = scene.world.kubectl(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} {file}: {}", String::from_utf8_lossy(&told));
}

/// What the examples need beside themselves.
async fn furnish(scene: &Scene) {
    let secret: Secret = serde_json::from_value(
        json!({"metadata": {"name": "sis-credentials"}, "stringData": {"clientSecret": "of the source"}}),
    )
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

/// Each example of a profile, as the file has it, in a namespace with a connection.
async fn every_profile_stays_as_it_is(name: &str, how: &[&str]) {
    let scene = Scene::begin(name).await;
    furnish(&scene).await;
    let mut adopted = 0;
    for (file, manifest) in profiles() {
        let resource = manifest["metadata"]["name"].as_str().unwrap();
        let adopts = manifest["spec"].get("adopt").is_some();
        if adopts {
            // Two examples speak of Contoso SDS; the one that adopts finds a profile of that name.
            scene.simulator.plant(foreign_body(manifest["spec"]["displayName"].as_str().unwrap())).unwrap();
            adopted += 1;
        }
        kubectl(&scene, &[&["apply"], how].concat(), &file);
        scene.until_ready_is(resource, "True", "Provisioned").await;
        let settled = |profile: &EducationSyncProfile| {
            condition(profile, "Drifted").is_none()
                && profile.status.as_ref().is_some_and(|status| !status.applied_fields.is_empty())
        };
        scene.until(resource, "settled", settled).await;
        kubectl(&scene, &[&["diff"], how].concat(), &file);
        assert_eq!(scene.profiles().get(resource).await.unwrap().meta().generation, Some(1));
        if how.contains(&"--server-side") {
            nothing_is_changed(&scene, "kubectl", &manifest).await;
        }
        // The name is free for the next one.
        scene.delete(resource).await;
        scene.until_gone(resource).await;
        for profile in scene.simulator.profiles() {
            scene.simulator.remove(profile["id"].as_str().unwrap());
        }
    }
    assert_eq!(adopted, 1);
    only_finalizers_are_patched(&scene);
}

/// Of the objects themselves, beside their status, the operator has patched the finalizers: on and off, once each.
fn only_finalizers_are_patched(scene: &Scene) {
    let writes = scene.world.operator_writes(&scene.namespace);
    let of_objects: Vec<_> = writes
        .iter()
        .filter(|write| ["educationsyncprofiles", "graphconnections"].contains(&write.resource.as_str()))
        .filter(|write| write.subresource.as_deref() != Some("status"))
        .collect();
    assert!(!of_objects.is_empty());
    for write in &of_objects {
        assert_eq!((write.verb.as_str(), &write.subresource), ("patch", &None), "{write:?}");
        let same =
            of_objects.iter().filter(|other| other.name == write.name && other.resource == write.resource);
        assert!(same.count() <= 2 || write.resource == "graphconnections", "{of_objects:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_example_shows_a_difference_after_kubectl_apply() {
    every_profile_stays_as_it_is("applied", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_example_shows_a_difference_after_server_side_apply() {
    every_profile_stays_as_it_is("server-side", &["--server-side"]).await;
}

/// An example of a connection with the addresses and ids of the simulator, and its Secret with its secrets.
fn adapted(scene: &Scene, mut manifest: Value) -> Value {
    let settings = scene.simulator.settings();
    let url = scene.simulator.url();
    if manifest["kind"] == "Secret" {
        for (key, value) in manifest["stringData"].as_object_mut().unwrap() {
            let secrets = [&settings.client_secret, &settings.refresh_token];
            *value = json!(secrets[usize::from(key == "refreshToken")]);
        }
        return manifest;
    }
    let spec = &mut manifest["spec"];
    spec["tenantId"] = json!(settings.tenant);
    spec["graph"] = json!({"endpoint": url});
    spec["authority"] = json!(url);
    spec["caBundleRef"] = json!({"name": "graph", "key": "ca.crt"});
    for slot in ["application", "delegated"] {
        let Some(credential) = spec.get_mut(slot) else {
            continue;
        };
        let is_public = credential.get("clientSecretRef").is_none();
        let client = if is_public { &settings.public_client_id } else { &settings.client_id };
        credential["clientId"] = json!(client);
    }
    manifest
}

/// Those with a certificate or an identity are looked at in `kinds`, where they are Ready.
#[tokio::test(flavor = "multi_thread")]
async fn no_example_of_a_connection_is_changed() {
    for (name, file) in [
        ("tenant", "connection.yaml"),
        ("simulated", "simulator/connection.yaml"),
        ("administrator", "connections/delegated.yaml"),
    ] {
        let mut scene = Scene::without_operator(name, quick()).await;
        let connections: Api<GraphConnection> = Api::namespaced(scene.client.clone(), &scene.namespace);
        connections.delete("default", &DeleteParams::default()).await.unwrap();
        let manifests: Vec<Value> =
            example(file).into_iter().map(|manifest| adapted(&scene, manifest)).collect();
        let (connection, secret) = manifests.split_last().unwrap();
        scene.apply::<Secret>(secret[0].clone()).await.unwrap();
        scene.apply::<GraphConnection>(connection.clone()).await.unwrap();
        scene.start_operator();
        scene.until_connection_is("True", "Connected").await;
        // With a profile, so that the connection is held.
        scene.create("contoso", crate::scene::spec("Contoso SDS")).await;
        scene.until_ready_is("contoso", "True", "Provisioned").await;
        nothing_is_changed(&scene, "tests", connection).await;
        only_finalizers_are_patched(&scene);
    }
}
