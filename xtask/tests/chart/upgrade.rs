//! From the chart as it was to the chart as it is, and away again: what people have made stays.
//!
//! `before-network-policies.tgz` is a package of the chart before it had network policies, caBundle and the like.

use std::path::Path;

use serde_json::{Value, json};
use xtask::control_plane::{ControlPlane, output_of};
use xtask::helm_chart;

use crate::installed::{apply, control_plane};
use crate::{helm_program, helm3_program};

const BEFORE: &str = "xtask/tests/chart/before-network-policies.tgz";

fn helm(
    control_plane: &ControlPlane,
    program: &Path,
    command: &str,
    arguments: &[&str],
) -> Result<String, String> {
    let mut helm = control_plane.client(program, [command, "edusync"]);
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
    upgrade_and_uninstall(&helm_program());
}

#[test]
fn so_they_do_with_helm_3() {
    upgrade_and_uninstall(&helm3_program());
}

fn upgrade_and_uninstall(program: &Path) {
    let control_plane = control_plane();
    let helm = |control_plane: &ControlPlane, command: &str, arguments: &[&str]| {
        helm(control_plane, program, command, arguments)
    };
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

/// The definitions come with the same release as the connection and the profile that need them, and what an upgrade makes
/// anew must not shut out those who know the old: the certificate authority of the simulator stays.
#[test]
fn the_simulator_comes_with_a_connection_and_a_profile() {
    for program in [helm_program(), helm3_program()] {
        let control_plane = control_plane();
        let chart = helm_chart::folder();
        let chart = chart.to_str().unwrap();
        let with = ["--set", "simulator.enabled=true,networkPolicy.enabled=true"];
        let told =
            helm(&control_plane, &program, "install", &[&[chart, "--create-namespace"], &with[..]].concat());
        let told = told.unwrap();
        for words in ["for trying alone", "wait --for=condition=Ready educationsyncprofile/sample"] {
            assert!(told.contains(words), "{told}");
        }
        assert!(!told.contains("tell it how to reach your tenant"), "one way at a time: {told}");
        let namespace = "edusync-system";
        let before =
            ["gc/simulator", "esp/sample", "secret/edusync-simulator", "secret/edusync-simulator-connection"]
                .map(|what| get(&control_plane, what, namespace));
        assert_eq!(before[0]["spec"]["graph"]["endpoint"], "https://edusync-simulator.edusync-system.svc");
        assert_eq!(before[2]["data"]["ca.crt"], before[3]["data"]["ca.crt"]);
        for what in
            ["service/edusync-simulator", "deployment/edusync-simulator", "networkpolicy/edusync-simulator"]
        {
            get(&control_plane, what, namespace);
        }
        // Off and on again, as one who finds it later: what is there stays as it is.
        helm(&control_plane, &program, "upgrade", &[&[chart], &with[..]].concat()).unwrap();
        let after =
            ["gc/simulator", "esp/sample", "secret/edusync-simulator", "secret/edusync-simulator-connection"]
                .map(|what| get(&control_plane, what, namespace));
        for (before, after) in before.iter().zip(&after) {
            for member in ["/metadata/uid", "/spec", "/data"] {
                assert_eq!(before.pointer(member), after.pointer(member), "{}", before["kind"]);
            }
        }
        control_plane.stop().unwrap();
    }
}
