//! What an administrator reads at `info`: one line for each thing that matters, and no more.

use std::time::Duration;

use graph_simulator::Settings;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::manage::by_hand;
use crate::scene::{Scene, power_school, profile_id, quick, spec};

/// The lines of the log: level, message, and what of the rest does not differ from run to run.
fn lines(scene: &Scene) -> Vec<String> {
    let log = scene.operator_log();
    log.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let span = &line["span"];
            let who = span["resource"].as_str().or_else(|| span["connection"].as_str()).unwrap_or("-");
            let reason = line["reason"].as_str().map(|reason| format!(" [{reason}]")).unwrap_or_default();
            let (level, message) = (line["level"].as_str().unwrap(), line["message"].as_str().unwrap());
            without_ids(&format!("{level} {who}: {message}{reason}"))
        })
        .collect()
}

/// Ids differ from run to run.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.parse::<uuid::Uuid>().is_ok();
    let parts = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let words = parts.map(|part| {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        if is_id(word) { part.replace(word, "ID") } else { part.to_owned() }
    });
    words.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_life_is_told_in_these_lines() {
    // What somebody changes is not set up anew, so that nothing but the correction is to be seen.
    let settings = Settings { provisioning_time: Duration::ZERO, ..quick() };
    let scene = Scene::without_operator("log", settings).await;
    let mut scene = scene.with_flags(&["--log-format", "json", "--log-level", "info"]);
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);

    // Changed by its owner, and by somebody else.
    let told = async |scene: &Scene, what: &str, times: usize| {
        scene.eventually(what, |scene| scene.operator_log().matches(what).count() == times).await;
    };
    scene.create("contoso", spec("Contoso renamed")).await;
    told(&scene, "Updated the profile", 1).await;
    // Within the settle window of a second nothing is corrected again, and that would be told.
    let settled = Instant::now() + Duration::from_millis(1_500);
    scene.eventually("the settle window is over", |_| Instant::now() > settled).await;
    by_hand(&scene, "PATCH", &format!("/{id}"), &json!({"displayName": "Other"}));
    told(&scene, "Updated the profile", 2).await;
    scene.lists_pass(3).await;

    // Graph is busy, and refuses somebody.
    scene.simulator.fault("list:429,retry-after=1,times=1").unwrap();
    told(&scene, "listed again", 1).await;
    scene.simulator.fault("create:400,times=1").unwrap();
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.until_ready_is("fabrikam", "False", "Rejected").await;
    for name in ["contoso", "fabrikam"] {
        scene.delete(name).await;
        scene.until_gone(name).await;
    }

    // Paused and resumed.
    let mut wanted = power_school(&scene).await;
    wanted["displayName"] = json!("Litware SDS");
    scene.create("litware", wanted.clone()).await;
    scene.until_ready_is("litware", "True", "Provisioned").await;
    for (state, said) in [("Paused", "Paused the"), ("Running", "Resumed the")] {
        wanted["synchronization"] = json!(state);
        scene.create("litware", wanted.clone()).await;
        told(&scene, said, 1).await;
        scene.lists_pass(2).await;
    }
    scene.terminate_operator();
    assert_eq!(lines(&scene).join("\n"), LIFE);
}

/// Level, resource, sentence, reason.
const LIFE: &str = "\
INFO -: starting
INFO -: holding the lease
INFO -: working
INFO default: Graph answers with these credentials. [Connected]
INFO contoso: Created the profile ID in tenant ID (client-request-id ID). [Created]
INFO contoso: The profile is set up. [Provisioned]
INFO contoso: Updated the profile ID: changed displayName. [Updated]
INFO contoso: Updated the profile ID: changed displayName. [Updated]
WARN -: could not list the profiles
INFO -: the profiles are listed again
WARN fabrikam: the create did not succeed
WARN fabrikam: Microsoft Graph refused the profile (HTTP 400 BadRequest). Correct the spec: nothing is sent again before it changes. status.refusal has the ids for a support case. [Rejected]
INFO contoso: Asked Microsoft Graph to delete the profile ID. [Deleting]
INFO contoso: The profile ID is gone from Microsoft Graph. [Deleted]
INFO contoso: let the resource go
INFO fabrikam: let the resource go
INFO litware: Created the profile ID in tenant ID (client-request-id ID). [Created]
INFO litware: The profile is set up. [Provisioned]
INFO litware: Paused the synchronization, as spec.synchronization says. [Paused]
INFO litware: Resumed the synchronization, as spec.synchronization says. [Resumed]
INFO -: stopping: passes under way are ended first
INFO -: stopped";
