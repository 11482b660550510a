//! What the chart installs for trying: the simulator, a connection to it and a profile. The test plays the kubelet, the
//! cluster's DNS and its Services: containers run as processes, with the arguments and the files that their pods would have,
//! and the simulator's host leads to its process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodSpec, Secret};
use kube::api::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use xtask::cargo;
use xtask::control_plane::output_of;
use xtask::guard::{self, Guarded};

use crate::scene::{Scene, quick};

/// A Service of one host: whoever asks this proxy for it is led to the port. Its address.
async fn service(host: String, port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let asked = format!("CONNECT {host}:443 ");
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                if !head.starts_with(asked.as_bytes()) {
                    return client.write_all(b"HTTP/1.1 502 no such Service\r\n\r\n").await;
                }
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    address
}

/// A Deployment's pod.
async fn pod(scene: &Scene, name: &str) -> PodSpec {
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), &scene.namespace);
    deployments.get(name).await.unwrap().spec.unwrap().template.spec.unwrap()
}

/// The files that a pod's Secrets become, each below `root` where the container has it.
async fn mount(scene: &Scene, pod: &PodSpec, root: &Path) {
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    for mount in pod.containers[0].volume_mounts.iter().flatten() {
        let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name).unwrap();
        let folder = root.join(mount.mount_path.trim_start_matches('/'));
        fs::create_dir_all(&folder).unwrap();
        let Some(source) = &volume.secret else {
            assert!(volume.empty_dir.is_some(), "{volume:?}");
            continue;
        };
        assert_eq!(mount.read_only, Some(true));
        let secret = secrets.get(source.secret_name.as_ref().unwrap()).await.unwrap();
        for (name, content) in secret.data.unwrap() {
            fs::write(folder.join(name), content.0).unwrap();
        }
    }
}

/// Runs the container of a pod, on ports that are free here.
fn run(
    scene: &Scene,
    pod: &PodSpec,
    program: &Path,
    root: &Path,
    environment: &[(&str, OsString)],
) -> (Guarded, PathBuf) {
    let container = &pod.containers[0];
    let arguments = container.args.iter().flatten().map(|argument| {
        let argument = argument.replace("$(POD_NAMESPACE)", &scene.namespace);
        match argument.split_once('=') {
            Some(("--port", "8443")) => "--port=0".to_owned(),
            Some(("--health-address", "0.0.0.0:8080")) => "--health-address=127.0.0.1:0".to_owned(),
            Some((flag, path)) if path.starts_with('/') => format!("{flag}={}{path}", root.display()),
            _ => argument,
        }
    });
    let log = root.join(format!("{}.log", container.name));
    let started = guard::spawn(program, arguments, &log, environment.iter().cloned()).unwrap();
    (started, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_simulator_the_chart_works_without_a_tenant() {
    let scene = Scene::without_operator("trying", quick()).await;
    let chart = xtask::helm_chart::folder();
    let mut helm =
        scene.world.helm(["install", "edusync", chart.to_str().unwrap(), "--namespace", &scene.namespace]);
    helm.args([
        "--set",
        "crds.enabled=false,rbac.aggregate=false,simulator.enabled=true,fastPollInterval=1s",
    ]);
    helm.args(["--set", &format!("watchNamespaces={{{}}}", scene.namespace)]);
    tokio::task::spawn_blocking(move || output_of(&mut helm).unwrap()).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let programs = tokio::task::spawn_blocking(|| cargo::build(&["graph-simulator"], cargo::Build::Debug));
    let programs = programs.await.unwrap().unwrap();
    let simulator = pod(&scene, "edusync-simulator").await;
    assert_eq!(simulator.automount_service_account_token, Some(false));
    assert_eq!(simulator.service_account_name, None, "it has none of the operator's rights");
    mount(&scene, &simulator, root).await;
    let (_simulator, log) = run(&scene, &simulator, programs.path("graph-simulator").unwrap(), root, &[]);
    let mut port = None;
    scene
        .eventually("the simulator is ready", |_| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let ready =
                said.lines().find_map(|line| line.strip_prefix("ready ")?.rsplit(':').next()?.parse().ok());
            port = ready;
            ready.is_some()
        })
        .await;

    let host = format!("edusync-simulator.{}.svc", scene.namespace);
    let proxy = service(host, port.unwrap()).await;
    let operator = pod(&scene, "edusync").await;
    let account = scene.world.service_account_kubeconfig(&scene.namespace, "edusync");
    let environment = [
        ("KUBECONFIG", account.into_os_string()),
        ("HTTPS_PROXY", proxy.into()),
        ("NO_PROXY", "127.0.0.1".into()),
    ];
    let (_operator, _) = run(&scene, &operator, Path::new(env!("CARGO_BIN_EXE_edusync")), root, &environment);
    // As the notes say.
    let kubectl = async |arguments: &[&str]| {
        let mut kubectl = scene.world.kubectl(["--namespace", &scene.namespace]);
        kubectl.args(arguments);
        tokio::task::spawn_blocking(move || output_of(&mut kubectl).unwrap()).await.unwrap()
    };
    kubectl(&["wait", "--for=condition=Ready", "educationsyncprofile/sample", "--timeout=60s"]).await;
    let shown = kubectl(&["get", "educationsyncprofiles,graphconnections"]).await;
    assert!(shown.contains("sample") && shown.contains("provisioned"), "{shown}");
    assert!(root.join("tmp/state.json").metadata().unwrap().len() > 0);
    kubectl(&["delete", "educationsyncprofile/sample", "graphconnection/simulator", "--timeout=60s"]).await;
    let mut helm = scene.world.helm(["uninstall", "edusync", "--namespace", &scene.namespace, "--no-hooks"]);
    tokio::task::spawn_blocking(move || output_of(&mut helm).unwrap()).await.unwrap();
}
