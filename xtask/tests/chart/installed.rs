//! What the API server makes of the chart.

use std::process::Command;

use serde_json::{Value, json};
use xtask::control_plane::{ControlPlane, output_of};
use xtask::helm_chart;
use xtask::progress::Progress;
use xtask::tools::Tools;

use crate::{of_kind, rendered};

pub(crate) fn control_plane() -> ControlPlane {
    ControlPlane::start(&Tools::locate(&Progress::new()).unwrap(), None).unwrap()
}

/// Sends a manifest through kubectl.
pub(crate) fn apply(control_plane: &ControlPlane, manifest: &Value, how: &[&str]) -> Result<String, String> {
    let file = control_plane.folder().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).map_err(|error| error.to_string())?;
    let mut command = control_plane.kubectl(["apply", "--server-side", "--validate=strict", "--filename"]);
    output_of(command.arg(file).args(how)).map_err(|error| format!("{error:#}"))
}

fn may(control_plane: &ControlPlane, user: &str, namespace: &str, verb: &str, resource: &str) -> bool {
    let user = format!("--as={user}");
    let mut ask: Command =
        control_plane.kubectl(["auth", "can-i", verb, resource, &user, "--namespace", namespace]);
    ask.output().unwrap().status.success()
}

/// Every value set at once is valid for the API server, the pods keep to `restricted`, and rights are where they should be.
#[test]
fn what_the_chart_makes_is_taken_by_the_api_server() {
    let control_plane = control_plane();
    for namespace in ["edusync-system", "school-north", "school-south", "other"] {
        output_of(&mut control_plane.kubectl(["create", "namespace", namespace])).unwrap();
    }
    let label = "pod-security.kubernetes.io/enforce=restricted";
    output_of(&mut control_plane.kubectl(["label", "namespace", "edusync-system", label])).unwrap();

    // Whose resources a cluster may have, and this chart makes.
    let definitions = xtask::repository_root().join("xtask/tests/chart/prometheus-operator");
    for name in ["servicemonitors", "prometheusrules"] {
        let file = definitions.join(format!("{name}.yaml"));
        output_of(control_plane.kubectl(["apply", "--server-side", "--filename"]).arg(file)).unwrap();
        let definition = format!("crd/{name}.monitoring.coreos.com");
        output_of(&mut control_plane.kubectl(["wait", "--for=condition=Established", &definition])).unwrap();
    }
    for (name, values) in helm_chart::value_sets().unwrap() {
        let values: Value = serde_saphyr::from_str(&std::fs::read_to_string(values).unwrap()).unwrap();
        // Theirs are definitions that are not there.
        let is_ours = |object: &Value| object["apiVersion"] == "edusync.dev/v1alpha1";
        let objects: Vec<Value> = rendered(values).into_iter().filter(|object| !is_ours(object)).collect();
        for object in &objects {
            apply(&control_plane, object, &["--dry-run=server", "--force-conflicts"])
                .unwrap_or_else(|error| panic!("{name}: {error}\n{object:#}"));
        }
        for owner in
            objects.iter().filter(|object| ["Deployment", "Job"].contains(&object["kind"].as_str().unwrap()))
        {
            let error = apply(&control_plane, &pod(owner), &["--dry-run=server"]).err();
            assert_eq!(error, None, "{name}: {}", owner["metadata"]["name"]);
        }
    }
    // The test can fail.
    let objects = rendered(json!({"securityContext": {"allowPrivilegeEscalation": true}}));
    let error = apply(&control_plane, &pod(of_kind(&objects, "Deployment").unwrap()), &["--dry-run=server"]);
    assert!(error.unwrap_err().contains("violates PodSecurity"));
    control_plane.stop().unwrap();
}

/// The pod that a Deployment or a Job would make.
fn pod(owner: &Value) -> Value {
    let mut pod = owner["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("pod");
    pod["metadata"]["namespace"] = json!("edusync-system");
    for container in pod["spec"]["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    }
    pod
}

#[test]
fn rights_are_where_they_should_be() {
    let control_plane = control_plane();
    for namespace in ["school-north", "school-south", "other"] {
        output_of(&mut control_plane.kubectl(["create", "namespace", namespace])).unwrap();
    }
    let chart = helm_chart::folder();
    let chart = chart.to_str().unwrap();
    let install = |release: &str, values: &[&str]| {
        let mut helm = control_plane.helm(["install", release, chart, "--namespace", release]);
        output_of(helm.arg("--create-namespace").args(values)).unwrap()
    };
    install("edusync", &[]);
    install("schools", &["--set", "crds.enabled=false,watchNamespaces={school-north,school-south}"]);

    let everywhere = "system:serviceaccount:edusync:edusync";
    let there = "system:serviceaccount:schools:schools-edusync";
    for (user, namespace, allowed) in [
        (everywhere, "other", true),
        (there, "school-north", true),
        (there, "school-south", true),
        (there, "other", false),
        (there, "schools", false),
    ] {
        for (verb, resource) in [("patch", "educationsyncprofiles.edusync.dev"), ("get", "secrets")] {
            let is = may(&control_plane, user, namespace, verb, resource);
            assert_eq!(is, allowed, "{user} {verb} {resource} in {namespace}");
        }
    }
    assert!(may(&control_plane, there, "schools", "update", "leases.coordination.k8s.io"));

    // The roles for people. Aggregation is the work of a controller that the test control plane does not run, so the
    // labels by which it works are looked at.
    for (role, roles) in [("view", vec!["view", "edit", "admin"]), ("edit", vec!["edit", "admin"])] {
        let name = format!("edusync:edusync:{role}");
        let found = output_of(&mut control_plane.kubectl(["get", "clusterrole", &name, "--output=json"]));
        let found: Value = serde_json::from_str(&found.unwrap()).unwrap();
        let labels = found["metadata"]["labels"].as_object().unwrap();
        for aggregate in ["view", "edit", "admin"] {
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{aggregate}");
            assert_eq!(labels.get(&label).is_some(), roles.contains(&aggregate), "{name}: {label}");
        }
        let verbs = found["rules"][0]["verbs"].as_array().unwrap();
        assert_eq!(verbs.contains(&json!("delete")), role == "edit");
        assert!(!found["rules"].to_string().contains("/status"), "nobody but the operator writes status");
    }
    control_plane.stop().unwrap();
}
