//! How healthy a resource is, as Argo CD, Flux and Helm see it: the files of `examples/gitops` are asked, by a Lua and a
//! CEL of their own, and must say the same as kstatus of every status that a resource can have.

use std::fs;
use std::path::Path;
use std::process::Output;

use cel::{Context, Program};
use edusync::api::conditions::{RECONCILING, Reason, STALLED, Statement, set_ready};
use jiff::Timestamp;
use mlua::serde::SerializeOptions;
use mlua::{Lua, LuaOptions, LuaSerdeExt as _, StdLib};
use serde_json::{Value, json};

use crate::scene::{Scene, profile_manifest, quick, spec};

const KINDS: [&str; 2] = ["EducationSyncProfile", "GraphConnection"];

/// A file of the examples.
fn example(path: &str) -> Vec<Value> {
    let path = xtask::repository_root().join("examples/gitops").join(path);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What Argo CD shows: status and message.
pub fn argo(resource: &Value) -> (String, String) {
    let config = example("argocd/argocd-cm.yaml").remove(0);
    let key = format!("resource.customizations.health.edusync.dev_{}", resource["kind"].as_str().unwrap());
    // As util/lua/lua.go of Argo CD has it: Lua 5.1, the libraries base, package and table, and null is nil.
    let lua = Lua::new_with(StdLib::PACKAGE | StdLib::TABLE, LuaOptions::default()).unwrap();
    let options = SerializeOptions::new().serialize_unit_to_null(false).serialize_none_to_null(false);
    lua.globals().set("obj", lua.to_value_with(resource, options).unwrap()).unwrap();
    let health: mlua::Table = lua.load(config["data"][&key].as_str().unwrap()).eval().unwrap();
    (health.get("status").unwrap(), health.get("message").unwrap())
}

/// How far kstatus, Flux and Helm 4 take a resource to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Current,
    InProgress,
    Failed,
    Terminating,
}

/// The rules of kstatus for resources that it does not know (pkg/kstatus/status/generic.go of kubernetes-sigs/cli-utils).
fn kstatus(resource: &Value) -> Verdict {
    if !resource["metadata"]["deletionTimestamp"].is_null() {
        return Verdict::Terminating;
    }
    if resource["status"]["observedGeneration"] != resource["metadata"]["generation"] {
        return Verdict::InProgress;
    }
    let conditions = resource["status"]["conditions"].as_array().into_iter().flatten();
    for condition in conditions.clone() {
        match (condition["type"].as_str().unwrap(), condition["status"].as_str().unwrap()) {
            ("Reconciling", "True") => return Verdict::InProgress,
            ("Stalled", "True") => return Verdict::Failed,
            _ => {}
        }
    }
    let is_ready =
        conditions.clone().all(|condition| condition["type"] != "Ready" || condition["status"] == "True");
    if is_ready { Verdict::Current } else { Verdict::InProgress }
}

/// What the expressions of our Kustomization for Flux say, in the order in which it asks them.
fn flux(resource: &Value) -> Verdict {
    let expressions = example("flux/schools.yaml")
        .into_iter()
        .flat_map(|manifest| manifest["spec"]["healthCheckExprs"].as_array().cloned().unwrap_or_default())
        .find(|expressions| {
            expressions["apiVersion"] == resource["apiVersion"] && expressions["kind"] == resource["kind"]
        })
        .unwrap();
    let holds = |expression: &str| {
        let mut context = Context::default();
        for (name, member) in resource.as_object().unwrap() {
            context.add_variable(name.as_str(), member.clone()).unwrap();
        }
        let program = Program::compile(expressions[expression].as_str().unwrap()).unwrap();
        program.execute(&context).unwrap() == cel::Value::Bool(true)
    };
    let stages =
        [("inProgress", Verdict::InProgress), ("failed", Verdict::Failed), ("current", Verdict::Current)];
    stages.into_iter().find(|(name, _)| holds(name)).map_or(Verdict::InProgress, |(_, stage)| stage)
}

/// A resource as the API server shows it: a status is filled in from the beginning.
fn resource(kind: &str, status: &Value) -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "contoso", "namespace": "school", "generation": 2},
        "spec": {}, "status": status
    })
}

/// Every shape of status that the operator can write, with the message of Ready.
fn statuses() -> Vec<Value> {
    let mut all = vec![json!({"observedGeneration": -1})];
    let stands = [(true, None), (false, None), (false, Some(RECONCILING)), (false, Some(STALLED))];
    for (holds, beside) in stands {
        for generation in [1, 2] {
            let ready = Statement { holds, reason: Reason::Provisioning, message: "Why.".to_owned() };
            let mut conditions = Vec::new();
            set_ready(&mut conditions, &ready, beside, generation, Timestamp::UNIX_EPOCH);
            let status = json!({"observedGeneration": generation, "conditions": conditions});
            for sync in ["paused", "inProgress", "success", "quarantined"] {
                let mut synchronized = status.clone();
                synchronized["sync"] = json!({"status": sync});
                all.push(synchronized);
            }
            all.push(status);
        }
    }
    all
}

#[test]
fn argo_flux_and_kstatus_agree_on_every_status() {
    let mut seen = Vec::new();
    for (kind, status) in
        KINDS.iter().flat_map(|kind| statuses().into_iter().map(move |status| (kind, status)))
    {
        let resource = resource(kind, &status);
        let progress = kstatus(&resource);
        assert_eq!(flux(&resource), progress, "{resource:#}");
        let expected = match progress {
            Verdict::Current if status["sync"]["status"] == "paused" => "Suspended",
            Verdict::Current => "Healthy",
            Verdict::Failed => "Degraded",
            Verdict::InProgress | Verdict::Terminating => "Progressing",
        };
        let (health, message) = argo(&resource);
        assert_eq!(health, expected, "{resource:#}");
        let is_told = message == "Provisioning: Why."
            || message == "edusync has not looked at it yet"
            || message == "The synchronization is paused";
        assert!(is_told, "{message}");
        seen.push(expected);

        let mut deleted = resource;
        deleted["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:00:00Z");
        assert_eq!(kstatus(&deleted), Verdict::Terminating);
        assert_eq!(argo(&deleted).0, "Progressing", "{deleted:#}");
    }
    for health in ["Healthy", "Degraded", "Progressing", "Suspended"] {
        assert!(seen.contains(&health), "{health} has occurred");
    }
}

/// Argo CD may look at what a server without our definition's default shows, or at null.
#[test]
fn without_a_status_argo_waits() {
    for kind in KINDS {
        for status in [json!(null), json!({}), json!({"conditions": null}), json!({"conditions": []})] {
            assert_eq!(argo(&resource(kind, &status)).0, "Progressing", "{status}");
        }
        let mut bare = resource(kind, &json!(null));
        bare.as_object_mut().unwrap().remove("status");
        assert_eq!(argo(&bare).0, "Progressing");
    }
}

/// The resource as it is now.
async fn live(scene: &Scene, kind: &str, name: &str) -> Value {
    let mut object = match kind {
        "GraphConnection" => serde_json::to_value(scene.connections().get(name).await.unwrap()).unwrap(),
        _ => serde_json::to_value(scene.profiles().get(name).await.unwrap()).unwrap(),
    };
    object["kind"] = json!(kind);
    object
}

/// kubectl in the scene's namespace, in a thread of its own.
async fn kubectl(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = scene.world.kubectl(["--namespace", &scene.namespace]);
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_healthy_where_it_should_be() {
    let mut scene = Scene::without_operator("health", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let kinds = [("EducationSyncProfile", "contoso"), ("GraphConnection", "default")];
    for (kind, name) in kinds {
        let unseen = live(&scene, kind, name).await;
        assert_eq!((argo(&unseen).0.as_str(), flux(&unseen)), ("Progressing", Verdict::InProgress));
    }
    scene.start_operator();
    // The lines of docs/gitops.md.
    for (what, condition) in [("gc/default", "Ready"), ("esp/contoso", "Ready")] {
        let condition = format!("--for=condition={condition}");
        let waited = kubectl(&scene, &["wait", &condition, what, "--timeout=60s"]).await;
        assert!(waited.status.success(), "{what}: {waited:?}");
    }
    for (kind, name) in kinds {
        let ready = live(&scene, kind, name).await;
        assert_eq!((argo(&ready).0.as_str(), flux(&ready)), ("Healthy", Verdict::Current), "{ready:#}");
    }

    scene.create("twin", spec("Contoso SDS")).await;
    let waited = kubectl(&scene, &["wait", "--for=condition=Stalled", "esp/twin", "--timeout=60s"]).await;
    assert!(waited.status.success(), "{waited:?}");
    let stalled = live(&scene, "EducationSyncProfile", "twin").await;
    let (health, message) = argo(&stalled);
    assert_eq!((health.as_str(), flux(&stalled)), ("Degraded", Verdict::Failed), "{stalled:#}");
    assert!(message.starts_with("AlreadyClaimed: "), "{message}");
}

/// A chart of somebody's own, with these profiles.
fn chart(folder: &Path, profiles: &[(&str, &str)]) {
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: school\nversion: 0.1.0\n").unwrap();
    for (name, display_name) in profiles {
        let manifest = profile_manifest(name, spec(display_name)).to_string();
        fs::write(folder.join("templates").join(format!("{name}.yaml")), manifest).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_waits_until_a_profile_is_ready_and_fails_when_it_stands_still() {
    let scene = Scene::begin("helm-wait").await;
    let folder = tempfile::tempdir().unwrap();
    let helm = async |command: &'static str| {
        let mut helm = scene.world.helm([command, "school"]);
        helm.arg(folder.path()).args(["--namespace", &scene.namespace, "--wait", "--timeout", "60s"]);
        tokio::task::spawn_blocking(move || helm.output().unwrap()).await.unwrap()
    };
    chart(folder.path(), &[("contoso", "Contoso SDS")]);
    let installed = helm("install").await;
    assert!(installed.status.success(), "{installed:?}");
    let ready = live(&scene, "EducationSyncProfile", "contoso").await;
    assert_eq!(kstatus(&ready), Verdict::Current, "{ready:#}");

    chart(folder.path(), &[("twin", "Contoso SDS")]);
    let upgraded = helm("upgrade").await;
    assert!(!upgraded.status.success(), "{upgraded:?}");
    let said = String::from_utf8_lossy(&upgraded.stderr).into_owned();
    assert!(said.contains("twin"), "{said}");
    assert_eq!(kstatus(&live(&scene, "EducationSyncProfile", "contoso").await), Verdict::Current);
}
