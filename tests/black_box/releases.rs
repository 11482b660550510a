//! Further releases of the chart beside the one that all tests share: what their settings are good for, and what is asked
//! before one is uninstalled. The test plays the kubelet: pods do not run here, so it does what a Job's pod would do.

use std::os::unix::fs::symlink;
use std::process::Output;

use edusync::api::GraphConnection;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::cli::{Run, run_as};
use crate::scene::{Scene, quick, spec};

/// Name of a release here; its account has the chart's name too.
const RELEASE: &str = "small";
const ACCOUNT: &str = "small-edusync";
const GUARD: &str = "small-edusync-uninstall-guard";

/// Helm on the release of this scene, beside the test.
fn helm(scene: &Scene, command: &'static str, arguments: &[&str]) -> JoinHandle<Output> {
    let mut helm = scene.world.helm([command, RELEASE, "--namespace", &scene.namespace]);
    helm.args(arguments);
    tokio::task::spawn_blocking(move || helm.output().unwrap())
}

/// Installs the chart for the scene's namespace alone, and makes its account the one of the scene's operator.
async fn install(scene: &mut Scene) {
    let chart = xtask::helm_chart::folder();
    let values = format!("crds.enabled=false,rbac.aggregate=false,watchNamespaces={{{}}}", scene.namespace);
    let installed = helm(scene, "install", &[chart.to_str().unwrap(), "--set", &values]).await.unwrap();
    assert!(installed.status.success(), "{installed:?}");
    let kubeconfig = scene.world.service_account_kubeconfig(&scene.namespace, ACCOUNT);
    scene.environment.push(("KUBECONFIG".to_owned(), kubeconfig.to_str().unwrap().to_owned()));
    scene.flags = vec!["--lease-namespace".to_owned(), scene.namespace.clone()];
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_of_some_namespaces_needs_rights_in_these_alone() {
    let mut scene = Scene::without_operator("namespaced", quick()).await;
    install(&mut scene).await;
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let log = scene.operator_log();
    assert!(!log.contains("forbidden"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_of_a_further_folder_are_trusted_as_those_of_the_system() {
    let mut scene = Scene::without_operator("authorities", quick()).await;
    let mut connection = scene.connection_manifest();
    connection["spec"].as_object_mut().unwrap().remove("caBundleRef");
    scene.apply::<GraphConnection>(connection).await.unwrap();
    // As the kubelet mounts a ConfigMap, and as the chart names the folders.
    let folder = tempfile::tempdir().unwrap();
    let mounted = folder.path().join("ca");
    std::fs::create_dir_all(mounted.join("..2026_11_22")).unwrap();
    std::fs::write(mounted.join("..2026_11_22/corporate.pem"), scene.simulator.ca_pem()).unwrap();
    symlink("..2026_11_22", mounted.join("..data")).unwrap();
    symlink("..data/corporate.pem", mounted.join("corporate.pem")).unwrap();
    scene.environment.push(("SSL_CERT_DIR".to_owned(), format!("/etc/ssl/certs:{}", mounted.display())));
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
}

/// Waits for the Job that asks, does what its pod would do, and tells Kubernetes how it ended.
async fn answer_for_the_kubelet(scene: &Scene) -> Run {
    let jobs: Api<Job> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let unanswered = |job: Option<&Job>| {
        job.is_some_and(|job| job.status.as_ref().is_none_or(|status| status.conditions.is_none()))
    };
    let job = tokio::time::timeout(
        std::time::Duration::from_mins(1),
        await_condition(jobs.clone(), GUARD, unanswered),
    );
    let job = job.await.expect("Helm makes the Job").unwrap().unwrap();
    let pod = job.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some(ACCOUNT));
    let arguments = pod.containers[0].args.clone().unwrap();
    let kubeconfig = scene.world.service_account_kubeconfig(&scene.namespace, ACCOUNT);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = run_as(&kubeconfig, &arguments, "").await;
    let at = "2026-11-22T12:00:00Z";
    let status = |conditions: [&str; 2]| {
        let conditions = conditions.map(|kind| {
            json!({"type": kind, "status": "True", "reason": "Tests", "lastProbeTime": at, "lastTransitionTime": at})
        });
        json!({"startTime": at, "conditions": conditions})
    };
    let mut status = if run.code == 0 {
        status(["SuccessCriteriaMet", "Complete"])
    } else {
        status(["FailureTarget", "Failed"])
    };
    if run.code == 0 {
        status["completionTime"] = json!(at);
    }
    let patch = Patch::Merge(json!({"status": status}));
    jobs.patch_status(GUARD, &PatchParams::default(), &patch).await.unwrap();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_needed_is_not_uninstalled() {
    let mut scene = Scene::without_operator("uninstall", quick()).await;
    install(&mut scene).await;
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;

    let uninstall = helm(&scene, "uninstall", &["--timeout", "60s"]);
    let asked = answer_for_the_kubelet(&scene).await.ended_with(2);
    let place = |kind: &str, name: &str| format!("{kind} {}/{name}\n", scene.namespace);
    assert_eq!(asked.out, place("EducationSyncProfile", "contoso") + &place("GraphConnection", "default"));
    assert!(asked.err.contains("2 resources with a finalizer of edusync"), "{}", asked.err);
    for remedy in [
        "kubectl delete educationsyncprofiles,graphconnections",
        "helm uninstall --no-hooks",
        "edusync release --all",
    ] {
        assert!(asked.err.contains(remedy), "{remedy}: {}", asked.err);
    }
    let refused = uninstall.await.unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), &scene.namespace);
    assert!(deployments.get_opt(ACCOUNT).await.unwrap().is_some(), "the operator is still there");

    // As it says: first the resources, while the operator runs.
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    scene.connections().delete("default", &DeleteParams::default()).await.unwrap();
    let gone = await_condition(scene.connections(), "default", |connection: Option<&GraphConnection>| {
        connection.is_none()
    });
    tokio::time::timeout(std::time::Duration::from_mins(1), gone).await.expect("it goes").unwrap();
    let uninstall = helm(&scene, "uninstall", &["--timeout", "60s"]);
    // The Job that has refused goes first; what is answered is the new one.
    let asked = answer_for_the_kubelet(&scene).await.ended_with(0);
    assert_eq!((asked.out.as_str(), asked.err.as_str()), ("", "nothing has a finalizer of edusync\n"));
    let done = uninstall.await.unwrap();
    assert!(done.status.success(), "{done:?}");
    assert!(deployments.get_opt(ACCOUNT).await.unwrap().is_none());
    let jobs: Api<Job> = Api::namespaced(scene.client.clone(), &scene.namespace);
    assert_eq!(jobs.list(&ListParams::default()).await.unwrap().items, []);
    // What it did not bring it does not take.
    let crds: Api<CustomResourceDefinition> = Api::all(scene.client.clone());
    assert!(crds.get_opt("educationsyncprofiles.edusync.dev").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn held_looks_at_one_namespace_or_at_all() {
    let scene = Scene::begin("held").await;
    let other = scene.stranger("held-other").await;
    let there = run_as(scene.world.kubeconfig(), &["held", &other.namespace], "").await;
    assert_eq!(there.ended_with(0).out, "");
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let line = format!("EducationSyncProfile {}/contoso\n", scene.namespace);
    for arguments in [
        vec!["held", "--all-namespaces"],
        vec!["held", &other.namespace, &scene.namespace],
        vec!["held", "--namespace", &scene.namespace],
    ] {
        let run = run_as(scene.world.kubeconfig(), &arguments, "").await.ended_with(2);
        assert!(run.out.contains(&line), "{arguments:?}: {}", run.out);
    }
}
