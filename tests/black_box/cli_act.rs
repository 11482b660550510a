//! Commands that change something in Kubernetes: `edusync login` and `edusync release`; and the plugin's name.

use std::path::PathBuf;
use std::time::Duration;

use edusync::api::GraphConnection;
use graph_simulator::Settings;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;

use crate::cli::{edusync, run_as};
use crate::scene::{Scene, profile_id, quick, spec};
use crate::world::RELEASE;

const HOST: [&str; 2] = ["--allowed-host", "127.0.0.1"];

fn secrets(scene: &Scene) -> Api<Secret> {
    Api::namespaced(scene.client.clone(), &scene.namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_signs_in_and_the_connection_works() {
    let settings = Settings {
        device_code_approval: Some(Duration::from_millis(100)),
        device_code_interval: Duration::from_secs(1),
        ..quick()
    };
    let scene = Scene::without_operator("cli-login", settings).await;
    let mut connection = scene.connection_manifest();
    connection["metadata"]["name"] = json!("signed-in");
    connection["spec"].as_object_mut().unwrap().remove("application");
    connection["spec"]["delegated"] = json!({
        "clientId": scene.simulator.settings().public_client_id,
        "refreshTokenRef": {"name": "administrator", "key": "refreshToken"}
    });
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let login =
        || async { edusync(&scene, &[&["login", "--connection", "signed-in"], &HOST[..]].concat()).await };
    let run = login().await.ended_with(0);
    assert!(run.err.contains("under the key refreshToken of the Secret administrator"), "{}", run.err);
    assert!(run.err.contains("enter  ") && run.err.contains("stored: "), "{}", run.err);
    let token = async || {
        let data = secrets(&scene).get("administrator").await.unwrap().data.unwrap();
        String::from_utf8(data["refreshToken"].0.clone()).unwrap()
    };
    let first = token().await;
    assert!(!format!("{run:?}").contains(&first), "the token is printed");

    // A second time the Secret is there, and its other keys stay.
    let other = json!({"stringData": {"other": "stays"}});
    secrets(&scene)
        .patch("administrator", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(other))
        .await
        .unwrap();
    login().await.ended_with(0);
    assert_ne!(token().await, first);
    assert!(secrets(&scene).get("administrator").await.unwrap().data.unwrap().contains_key("other"));

    // It is good for work, and the renewed one is kept where the operator keeps it.
    let orphans = edusync(&scene, &[&["orphans", "--connection", "signed-in"], &HOST[..]].concat()).await;
    assert!(orphans.ended_with(0).err.is_empty());
    let kept = secrets(&scene).get("edusync-refresh-tokens").await.unwrap().data.unwrap();
    assert!(kept.contains_key("signed-in.refresh-token"));

    let none =
        edusync(&scene, &[&["login", "--connection", "nobody"], &HOST[..]].concat()).await.ended_with(1);
    assert!(none.err.contains("there is no GraphConnection nobody"), "{}", none.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_client_signs_in_with_its_secret() {
    let settings = Settings {
        device_code_approval: Some(Duration::from_millis(100)),
        device_code_interval: Duration::from_secs(1),
        ..quick()
    };
    let scene = Scene::without_operator("cli-login-secret", settings).await;
    let mut connection = scene.connection_manifest();
    connection["spec"]["delegated"]["refreshTokenRef"]["name"] = json!("administrator");
    let secret = connection["spec"]["delegated"].as_object_mut().unwrap().remove("clientSecretRef").unwrap();
    scene.apply::<GraphConnection>(connection.clone()).await.unwrap();
    let login = async || edusync(&scene, &[&["login"], &HOST[..]].concat()).await;
    let refused = login().await.ended_with(1);
    assert!(!refused.err.contains("enter  "), "nobody signs in for nothing: {}", refused.err);
    connection["spec"]["delegated"]["clientSecretRef"] = secret;
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let run = login().await.ended_with(0);
    assert!(run.err.contains("stored: "), "{}", run.err);
    assert!(!format!("{run:?}").contains(&scene.simulator.settings().client_secret));
    assert!(secrets(&scene).get("administrator").await.unwrap().data.unwrap().contains_key("refreshToken"));
    edusync(&scene, &[&["orphans"], &HOST[..]].concat()).await.ended_with(0);
}

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader }
rules:
  - { apiGroups: [edusync.dev], resources: [educationsyncprofiles, graphconnections], verbs: [get, list] }
  - { apiGroups: [\"\"], resources: [secrets], verbs: [get] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader }
subjects: [ { kind: ServiceAccount, name: reader } ]
";

/// The kubeconfig of somebody who may read what is in the namespace of the scene, and nothing else.
pub fn reader(scene: &Scene) -> PathBuf {
    let file = scene.world.folder().join(format!("reader-{}.yaml", scene.namespace));
    std::fs::write(&file, READER).unwrap();
    let mut apply =
        scene.world.kubectl(["apply", "--namespace", &scene.namespace, "--filename", file.to_str().unwrap()]);
    xtask::control_plane::output_of(&mut apply).unwrap();
    scene.world.service_account_kubeconfig(&scene.namespace, "reader")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_keep_a_renewed_token_or_see_all_namespaces_is_told() {
    let scene = Scene::without_operator("cli-reader", quick()).await;
    let mut connection = scene.connection_manifest();
    connection["spec"].as_object_mut().unwrap().remove("application");
    connection["metadata"]["name"] = json!("delegated");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    let kubeconfig = reader(&scene);
    let run = run_as(&kubeconfig, &[&["orphans", "--connection", "delegated"], &HOST[..]].concat(), "").await;
    let run = run.ended_with(0);
    assert!(run.err.contains(&format!("only the namespace {} is looked at", scene.namespace)), "{}", run.err);
    assert!(run.err.contains("the renewed refresh token is not kept"), "{}", run.err);
    let refused =
        run_as(&kubeconfig, &[&["login", "--connection", "delegated"], &HOST[..]].concat(), "").await;
    let refused = refused.ended_with(1);
    assert!(
        refused.err.contains("the Secret graph of the namespace"),
        "nobody signs in for nothing: {}",
        refused.err
    );
    assert!(!refused.err.contains("enter  "), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_let_go_only_when_the_operator_is_gone() {
    let mut scene = Scene::begin("cli-release").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    // The Lease is found, whatever its name is, and those of other namespaces' operators do not count.
    let release = async |scene: &Scene, more: &[&str]| edusync(scene, &[&["release"], more].concat()).await;
    let refused = release(&scene, &["contoso", "--yes"]).await.ended_with(1);
    assert!(refused.err.contains("the operator runs"), "{}", refused.err);
    assert!(refused.err.contains(&format!("Lease {RELEASE}/{}", scene.namespace)), "{}", refused.err);
    let named = release(&scene, &["contoso", "--yes", "--lease-name", &scene.namespace]).await.ended_with(1);
    assert!(named.err.contains("the operator runs"), "{}", named.err);
    let forced = release(&scene, &["contoso", "--force"]).await.ended_with(1);
    assert!(forced.err.contains("add --yes"), "the operator is no reason any more: {}", forced.err);
    assert!(forced.out.contains(&profile_id(&ready)), "{}", forced.out);
    assert!(!scene.profiles().get("contoso").await.unwrap().finalizers().is_empty(), "nothing is changed");
    scene.crash_operator().await;
    let unasked = release(&scene, &["--all"]).await.ended_with(1);
    assert!(unasked.err.contains("add --yes"), "{}", unasked.err);
    let done = release(&scene, &["--all", "--yes"]).await.ended_with(0);
    let left = format!(
        "the profile {} \"Contoso SDS\" stays in the tenant {}",
        profile_id(&ready),
        scene.simulator.settings().tenant
    );
    assert!(done.out.contains(&left), "{}", done.out);
    assert!(scene.profiles().get("contoso").await.unwrap().finalizers().is_empty());
    let connections: Api<GraphConnection> = Api::namespaced(scene.client.clone(), &scene.namespace);
    assert!(connections.get("default").await.unwrap().finalizers().is_empty());
    assert!(secrets(&scene).get("edusync-refresh-tokens").await.unwrap().finalizers().is_empty());
    assert!(scene.requests("DELETE").is_empty(), "Graph keeps what it has");
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let nothing = release(&scene, &["contoso", "--yes"]).await.ended_with(1);
    assert!(nothing.err.contains("there is no EducationSyncProfile contoso"), "{}", nothing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_the_plugins_name() {
    let scene = Scene::without_operator("cli-names", quick()).await;
    let bash = run_as(scene.world.kubeconfig(), &["completion", "bash"], "").await.ended_with(0);
    assert!(bash.out.contains("complete -F _edusync"), "{}", bash.out);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run_as(scene.world.kubeconfig(), &["completion", shell], "").await.ended_with(0);
        for word in ["edusync", "orphans", "completion", "check-only"] {
            assert!(script.out.contains(word), "{shell} completes no {word}");
        }
        assert_eq!(script.err, "", "{shell}");
    }
    run_as(scene.world.kubeconfig(), &["completion", "cmd"], "").await.ended_with(2);
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-edusync");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_edusync"), &plugin).unwrap();
    let help = std::process::Command::new(&plugin).args(["upload", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("Usage: kubectl edusync upload"), "{help}");
    assert!(help.contains("    kubectl edusync upload ./csv --check-only"), "{help}");
}
