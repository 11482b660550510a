//! The test control plane starts, gives service accounts their own kubeconfig, and leaves no process behind.

#![allow(clippy::unwrap_used, reason = "helper functions of tests fail the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use xtask::audit;
use xtask::control_plane::{ControlPlane, output_of};
use xtask::progress::Progress;
use xtask::tools::Tools;

fn is_alive(id: u32) -> bool {
    let status = Command::new("kill").args(["-0", &id.to_string()]).stderr(Stdio::null()).status().unwrap();
    status.success()
}

#[test]
fn starts_serves_and_stops() {
    let tools = Tools::locate(&Progress::new()).unwrap();
    let control_plane = ControlPlane::start(&tools, None).unwrap();
    let ids = control_plane.process_ids();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| is_alive(*id)));

    output_of(&mut control_plane.kubectl(["create", "namespace", "school"])).unwrap();
    output_of(&mut control_plane.kubectl(["create", "serviceaccount", "robot", "--namespace", "school"]))
        .unwrap();
    let kubeconfig = control_plane.service_account_kubeconfig("school", "robot").unwrap();
    assert_eq!(fs::metadata(&kubeconfig).unwrap().permissions().mode() & 0o777, 0o600);
    let who = output_of(
        control_plane
            .kubectl(["auth", "whoami", "--output=jsonpath={.status.userInfo.username}"])
            .env("KUBECONFIG", &kubeconfig),
    );
    assert_eq!(who.unwrap(), "system:serviceaccount:school:robot");

    let entries = audit::read(control_plane.audit_log()).unwrap();
    let created =
        entries.iter().find(|entry| entry.is_write() && entry.name.as_deref() == Some("robot")).unwrap();
    assert_eq!((created.user.as_str(), created.verb.as_str()), ("admin", "create"));
    assert_eq!((created.resource.as_str(), created.code), ("serviceaccounts", 201));
    assert_eq!(created.namespace.as_deref(), Some("school"));

    let error = control_plane.service_account_kubeconfig("school", "nobody").unwrap_err();
    assert!(error.to_string().contains("school/nobody"), "{error:#}");

    let helm = output_of(&mut control_plane.helm(["version", "--short"])).unwrap();
    assert!(helm.starts_with("v4."), "{helm}");

    let folder = control_plane.folder().to_path_buf();
    control_plane.stop().unwrap();
    assert!(ids.iter().all(|id| !is_alive(*id)), "a server is still running");
    assert!(!folder.exists());
}

#[test]
fn refuses_a_folder_with_something_in_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "").unwrap();
    let tools = Tools::locate(&Progress::new()).unwrap();
    let error = ControlPlane::start(&tools, Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error:#}");
}
