//! The state file: what goes on after a restart, what does not, and when it is written.
#![cfg(test)]

mod support;

use std::path::Path;
use std::time::Duration;

use graph_simulator::{ProfileSettings, RefreshTokenRotation, Server, Settings, SyncOutcome};
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::{BETA, profile};

/// Settings with a state file in this folder.
fn kept_in(folder: &Path) -> Settings {
    let state = Some(folder.join("state.json"));
    Settings { state, provisioning_time: Duration::ZERO, ..Settings::default() }
}

/// One request past the sockets, at the time outside.
fn ask(server: &Server, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
    let form = path.ends_with("/token");
    let media = if form { "application/x-www-form-urlencoded" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("Content-Type", media);
    let request = request.header("Authorization", format!("Bearer {token}"));
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let response = server.simulator().handle(request.body(body.to_owned().into()).unwrap(), now);
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or(Value::Null))
}

fn refresh(server: &Server, token: &str) -> (u16, Value) {
    let settings = server.settings();
    let form =
        format!("grant_type=refresh_token&client_id={}&refresh_token={token}", settings.public_client_id);
    ask(server, "POST", &format!("/{}/oauth2/v2.0/token", settings.tenant), "", &form)
}

fn delegated(server: &Server) -> String {
    let (_, answer) = refresh(server, &server.settings().refresh_token);
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn lists_that_look_back_know_what_was_restored() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start(kept_in(folder.path())).await.unwrap();
    first.plant(profile("P")).unwrap();
    first.stop().await;
    for spec in ["list:lag,by=1h", "list:stale,by=1h"] {
        let faults = vec![spec.parse().unwrap()];
        let second = Server::start(Settings { faults, ..kept_in(folder.path()) }).await.unwrap();
        let (_, list) = ask(&second, "GET", BETA, &delegated(&second), "");
        assert_eq!(list["value"][0]["displayName"], "P", "{spec}: {list}");
        second.stop().await;
    }
}

#[tokio::test]
async fn the_new_command_line_counts() {
    let folder = tempfile::tempdir().unwrap();
    let profiles = ProfileSettings {
        sync_errors: vec![("P".to_owned(), 3)],
        sync_outcomes: vec![("P".to_owned(), SyncOutcome::Error)],
        sync_time: Duration::ZERO,
        ..ProfileSettings::default()
    };
    let old = Settings { fail_provisioning: vec!["F".to_owned()], profiles, ..kept_in(folder.path()) };
    Server::start(old).await.unwrap().stop().await;
    let profiles = ProfileSettings { sync_time: Duration::ZERO, ..ProfileSettings::default() };
    let server = Server::start(Settings { profiles, ..kept_in(folder.path()) }).await.unwrap();
    server.plant(profile("F")).unwrap();
    let mut body = support::bodies::one_roster();
    body["displayName"] = json!("P");
    server.plant(body).unwrap();
    let profiles = server.profiles();
    assert_eq!(profiles[0]["state"], "provisioned");
    assert_eq!(profiles[1]["profileStatus"]["status"], "success");
}

#[tokio::test]
async fn a_clock_that_was_stopped_goes_on_for_who_cannot_move_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Settings { time_control: true, ..kept_in(folder.path()) };
    for (control, stopped) in [(true, true), (false, false)] {
        let server = Server::start(first.clone()).await.unwrap();
        assert_eq!(ask(&server, "POST", "/_simulator/time", "", "{\"stop\": true}").0, 200);
        server.stop().await;
        let server = Server::start(Settings { time_control: control, ..first.clone() }).await.unwrap();
        assert_eq!(ask(&server, "GET", "/_simulator/time", "", "").1["stopped"], json!(stopped));
        server.stop().await;
    }
    let server = Server::start(kept_in(folder.path())).await.unwrap();
    let (status, refusal) = ask(&server, "POST", "/_simulator/time", "", "{\"stop\": false}");
    assert_eq!(status, 403);
    assert!(refusal["error"].as_str().unwrap().contains("goes on by itself"), "{refusal}");
}

#[tokio::test(start_paused = true)]
async fn reads_that_change_something_are_saved_soon() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(kept_in(folder.path())).await.unwrap();
    let id = server.plant(profile("P")).unwrap();
    let token = delegated(&server);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let file = || std::fs::read_to_string(folder.path().join("state.json")).unwrap();
    assert!(file().contains(&id) && !file().contains("SharedAccessPolicy"));
    assert_eq!(ask(&server, "GET", &format!("{BETA}/{id}/uploadUrl"), &token, "").0, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(file().contains("SharedAccessPolicy"));
    server.fault("get:deleted-by-other").unwrap();
    assert_eq!(ask(&server, "GET", &format!("{BETA}/{id}"), &token, "").0, 404);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!file().contains(&id), "who was deleted by a fault stays deleted");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_failed_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let server = Server::start(kept_in(&below)).await.unwrap();
    std::fs::remove_dir_all(&below).unwrap();
    let id = server.plant(profile("P")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::create_dir(&below).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(std::fs::read_to_string(below.join("state.json")).unwrap().contains(&id));
}

#[tokio::test]
async fn saves_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(kept_in(folder.path())).await.unwrap();
    let save = || (0..20).try_for_each(|_| server.save_state());
    let results: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(move || save().is_ok())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(results, [true; 4]);
}

#[tokio::test]
async fn a_new_refresh_token_is_not_the_one_that_was_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let first = Settings { refresh_token_rotation: RefreshTokenRotation::Revoke, ..kept_in(folder.path()) };
    let server = Server::start(first.clone()).await.unwrap();
    let used = first.refresh_token.clone();
    assert_eq!((refresh(&server, &used).0, refresh(&server, &used).0), (200, 400));
    server.stop().await;
    let second = Settings { refresh_token: "0.fresh-one".to_owned(), ..first };
    let server = Server::start(second).await.unwrap();
    assert_eq!(refresh(&server, "0.fresh-one").0, 200);
    assert_eq!(refresh(&server, &used).0, 400, "the old one stays used up");
    server.stop().await;
    assert!(!std::fs::read_to_string(folder.path().join("state.json")).unwrap().contains("0.fresh-one"));
}
