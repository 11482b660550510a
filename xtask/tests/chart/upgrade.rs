//! From the chart as it was to the chart as it is, and away again: what people have made stays.
//!
//! `before-network-policies.tgz` is a package of the chart before it had network policies, caBundle and the like.

use serde_json::{Value, json};
use xtask::control_plane::{ControlPlane, output_of};
use xtask::helm_chart;

use crate::installed::{apply, control_plane};

const BEFORE: &str = "xtask/tests/chart/before-network-policies.tgz";

fn helm(control_plane: &ControlPlane, command: &str, arguments: &[&str]) -> Result<String, String> {
    let mut helm = control_plane.helm([command, "edusync"]);
    helm.args(["--namespace", "edusync-system"]).args(arguments);
    output_of(helm.current_dir(xtask::repository_root())).map_err(|error| format!("{error:#}"))
}

fn get(control_plane: &ControlPlane, what: &str, namespace: &str) -> Value {
    let mut get = control_plane.kubectl(["get", what, "--namespace", namespace, "--output=json"]);
    serde_json::from_str(&output_of(&mut get).unwrap()).unwrap()
}

fn profile() -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "namespace": "default", "finalizers": ["edusync.dev/profile"]},
        "spec": {
            "displayName": "Contoso SDS", "dataProvider": {"csv": {}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": [
                {"appliesTo": "student", "name": "school.example"}
            ]}}
        }
    })
}

#[test]
fn an_upgrade_keeps_values_and_an_uninstallation_keeps_profiles() {
    let control_plane = control_plane();
    let chart = helm_chart::folder();
    let chart = chart.to_str().unwrap();
    let values = ["--create-namespace", "--set", "replicas=2,pollInterval=5m,podLabels.team=platform"];
    helm(&control_plane, "install", &[&[BEFORE], &values[..]].concat()).unwrap();
    output_of(&mut control_plane.kubectl([
        "wait",
        "--for=condition=Established",
        "customresourcedefinitions",
        "--all",
        "--timeout=30s",
    ]))
    .unwrap();
    apply(&control_plane, &profile(), &[]).unwrap();
    let before = get(&control_plane, "esp/contoso", "default");

    let refused = helm(&control_plane, "upgrade", &[chart, "--reuse-values"]).unwrap_err();
    assert!(refused.contains("upgrade with --reset-then-reuse-values"), "{refused}");
    helm(&control_plane, "upgrade", &[chart, "--reset-then-reuse-values"]).unwrap();
    let deployment = get(&control_plane, "deployment/edusync", "edusync-system");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let template = &deployment["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["team"], "platform");
    assert!(template["spec"]["containers"][0]["args"].to_string().contains("--poll-interval=5m"));
    // What is new is there, with its defaults.
    get(&control_plane, "poddisruptionbudget/edusync", "edusync-system");
    assert_eq!(get(&control_plane, "esp/contoso", "default"), before, "nothing of it is touched");

    helm(&control_plane, "uninstall", &["--no-hooks"]).unwrap();
    let gone = ["get", "deployment,serviceaccount,pdb", "--namespace", "edusync-system", "--output=name"];
    let left = output_of(&mut control_plane.kubectl(gone)).unwrap();
    assert_eq!(left.trim(), "serviceaccount/default");
    assert_eq!(get(&control_plane, "esp/contoso", "default"), before);
    // The definitions that have stayed are taken over by the next release.
    helm(&control_plane, "install", &[chart]).unwrap();
    assert_eq!(get(&control_plane, "esp/contoso", "default"), before);
    control_plane.stop().unwrap();
}
