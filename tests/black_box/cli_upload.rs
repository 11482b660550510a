//! `edusync upload`: the check, the upload, Microsoft's verification, and the synchronization to its end.

use std::path::Path;
use std::time::Duration;

use graph_simulator::{ProfileSettings, Settings, SyncOutcome};
use serde_json::json;

use crate::cli::{Run, edusync, run_as};
use crate::scene::{Scene, quick, spec};

const GOOD: [(&str, &str); 6] = [
    ("School.csv", "SIS ID,Name\n1,Fabrikam High\n"),
    ("Section.csv", "SIS ID,School SIS ID,Section Name,Term StartDate\n7,1,Biology,7/1/2017\n"),
    ("Student.csv", "SIS ID,School SIS ID,Username\n100,1,oklein\n101,1,mrossi\n"),
    ("Teacher.csv", "SIS ID,School SIS ID,Username\n200,1,jdoe\n"),
    ("StudentEnrollment.csv", "Section SIS ID,SIS ID\n7,100\n7,101\n"),
    ("TeacherRoster.csv", "Section SIS ID,SIS ID\n7,200\n"),
];

pub fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in GOOD {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A provisioned CSV profile at a simulator whose synchronizations are quick.
pub async fn provisioned(name: &str) -> Scene {
    let short = Duration::from_millis(200);
    let profiles = ProfileSettings { processing_time: short, sync_time: short, ..ProfileSettings::default() };
    let mut scene = Scene::without_operator(name, Settings { profiles, ..quick() }).await;
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene
}

async fn upload(scene: &Scene, folder: &Path, more: &[&str]) -> Run {
    let base = [
        "upload",
        folder.to_str().unwrap(),
        "--profile",
        "contoso",
        "--allowed-host",
        "127.0.0.1",
        "--interval",
        "100ms",
    ];
    edusync(scene, &[&base, more].concat()).await
}

fn starts(scene: &Scene) -> usize {
    scene.requests("POST").iter().filter(|request| request.path.ends_with("/start")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn good_files_are_uploaded_in_lower_case_and_followed_to_the_end() {
    let scene = provisioned("upload").await;
    let folder = files();
    let run = upload(&scene, folder.path(), &["--wait"]).await.ended_with(0);
    assert!(run.out.contains("student.csv (2 rows)"), "{}", run.out);
    assert!(run.out.contains("the synchronization is over: success, 0 errors"), "{}", run.out);
    assert!(run.err.contains("teacherroster.csv is uploaded"), "{}", run.err);
    let names: Vec<String> =
        scene.requests("PUT").iter().map(|put| put.path.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        [
            "school.csv",
            "section.csv",
            "student.csv",
            "teacher.csv",
            "studentenrollment.csv",
            "teacherroster.csv"
        ]
    );
    assert_eq!(starts(&scene), 1);
    for secret in [&scene.simulator.settings().client_secret, &scene.simulator.settings().refresh_token] {
        assert!(!format!("{run:?}").contains(secret.as_str()), "a secret is printed");
    }
    assert!(!format!("{run:?}").contains("sig="), "an address for uploads is printed");

    // A second time, with JSON; the end of the run before is not taken for the end of this one.
    let again = upload(&scene, folder.path(), &["--wait", "-o", "json"]).await.ended_with(0).json();
    assert_eq!(again["started"], true);
    assert_eq!(again["synchronization"], json!({"status": "success", "errorCount": 0}));

    // One that fails is told from one that succeeds.
    scene.simulator.set_sync_outcome("Contoso SDS", SyncOutcome::Error);
    let failed = upload(&scene, folder.path(), &["--wait"]).await.ended_with(1);
    assert!(failed.err.contains("did not succeed"), "{}", failed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_stop_the_upload_and_name_no_value() {
    let scene = provisioned("uploadfindings").await;
    let folder = files();
    let student = "SIS ID,School SIS ID,Username\n100,1,canary\n101,9,canary\n";
    std::fs::write(folder.path().join("Student.csv"), student).unwrap();
    let run = upload(&scene, folder.path(), &[]).await.ended_with(2);
    assert!(
        run.out.contains("student.csv  3     2       this \"School SIS ID\" is not in the file"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("student.csv  3     3       this \"Username\" is there already, in line 2"),
        "{}",
        run.out
    );
    assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    let checked = upload(&scene, folder.path(), &["--check-only", "-o", "json"]).await.ended_with(2).json();
    assert_eq!(checked["findings"][0]["kind"], "Duplicate");
    assert_eq!(checked["findings"][0]["places"], json!([{"line": 3, "first": 2}]));
    assert!(scene.requests("PUT").is_empty());

    // Microsoft's verification has the last word, and what it says is shown.
    let despite = upload(&scene, folder.path(), &["--despite-findings"]).await.ended_with(2);
    assert!(
        despite.out.contains("1 row(s) have referenced data not found in source. Field - School SIS ID"),
        "{}",
        despite.out
    );
    assert!(despite.err.contains("the synchronization has not started"), "{}", despite.err);
    assert_eq!(starts(&scene), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_upload_is_told_why() {
    let scene = provisioned("uploadrefused").await;
    let folder = files();
    let arguments = |profile: &'static str| {
        ["upload", folder.path().to_str().unwrap(), "--profile", profile].map(str::to_owned)
    };
    let run = async |profile, more: &[&str]| {
        let arguments = arguments(profile);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        edusync(&scene, &[&arguments, more].concat()).await.ended_with(1).err
    };
    let missing = run("nobody", &[]).await;
    assert!(missing.contains("there is no EducationSyncProfile nobody in the namespace"), "{missing}");
    let elsewhere = run("contoso", &[]).await;
    assert!(
        elsewhere.contains("credentials are sent there only with --allowed-host 127.0.0.1"),
        "{elsewhere}"
    );
    let nowhere = run("contoso", &["--kubeconfig", "/nowhere"]).await;
    assert!(nowhere.contains("cannot read the kubeconfig /nowhere"), "{nowhere}");
}

/// The example is taken by the API server, and its ServiceAccount may do what it has to.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_example_are_enough() {
    let scene = provisioned("uploadcronjob").await;
    let example = xtask::repository_root().join("examples/upload-cronjob.yaml");
    let example = std::fs::read_to_string(example).unwrap();
    let here = example.replace("create-accounts", "contoso").replace("graph-credentials", "graph");
    let file = scene.world.folder().join("upload-cronjob.yaml");
    std::fs::write(&file, here).unwrap();
    let mut apply =
        scene.world.kubectl(["apply", "--namespace", &scene.namespace, "--filename", file.to_str().unwrap()]);
    xtask::control_plane::output_of(&mut apply).unwrap();
    let kubeconfig = scene.world.service_account_kubeconfig(&scene.namespace, "edusync-upload");
    let folder = files();
    let arguments = [
        "upload",
        folder.path().to_str().unwrap(),
        "--profile=contoso",
        "--wait",
        "--interval=100ms",
        "--allowed-host=127.0.0.1",
    ];
    let run = run_as(&kubeconfig, &arguments, "").await.ended_with(0);
    assert!(run.out.contains("the synchronization is over: success"), "{}", run.out);
    let other = ["status"];
    let refused = run_as(&kubeconfig, &other, "").await.ended_with(1);
    assert!(refused.err.contains("cannot list GraphConnections: "), "{}", refused.err);
}
