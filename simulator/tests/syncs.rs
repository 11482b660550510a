//! Sync runs: what `profileStatus` and `errors` show as time passes, and what pause, resume and reset do to it.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{EarlyStatus, ProfileSettings, Settings, SyncOutcome};
use serde_json::{Value, json};
use support::bodies::one_roster;
use support::{BETA, Reply, World, profile};

const SECOND: Duration = Duration::from_secs(1);

/// Two seconds of set-up, ten of sync: one extracts, one validates.
fn world() -> World {
    World::new(Settings { page_size: 3, ..Settings::default() })
}

fn named(name: &str) -> Value {
    let mut body = one_roster();
    body["displayName"] = json!(name);
    body
}

fn read(world: &World, id: &str, prefer: &str) -> Reply {
    let request = http::Request::get(format!("{BETA}/{id}/profileStatus"))
        .header("Authorization", format!("Bearer {}", world.app()))
        .header("Prefer", prefer);
    world.send(request, "")
}

#[track_caller]
fn status(world: &World, id: &str) -> String {
    let reply = read(world, id, "return=minimal, include-unknown-enum-members");
    assert_eq!(reply.header("preference-applied"), "include-unknown-enum-members");
    reply.json()["status"].as_str().unwrap().to_owned()
}

#[track_caller]
fn act(world: &World, id: &str, action: &str) {
    let reply = world.call("POST", &format!("{BETA}/{id}/{action}"), &world.app());
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, ""), "{action}");
}

#[test]
fn an_api_profile_syncs_by_itself_once_provisioned() {
    let mut world = world();
    let id = world.post(BETA, &world.delegated(), &named("P")).json()["id"].as_str().unwrap().to_owned();
    let early = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app());
    assert_eq!(early.refusal(404, "NotFound"), "The profile has no status before it is provisioned.");
    world.pass(2 * SECOND);
    let steps = [(0, "extracting"), (1, "validating"), (1, "inProgress"), (7, "inProgress"), (1, "success")];
    for (seconds, expected) in steps {
        world.pass(seconds * SECOND);
        assert_eq!(status(&world, &id), expected);
    }
    let shown = read(&world, &id, "x").json();
    let expected = json!({
        "@odata.context": format!("https://sim.example:8443/beta/$metadata#education/synchronizationProfiles('{id}')/profileStatus/$entity"),
        "id": id, "status": "success", "lastSynchronizationDateTime": "2024-09-02T08:15:42.0000000Z",
        "lastActivityDateTime": "2024-09-02T08:15:42.0000000Z", "errorCount": 0, "statusMessage": null
    });
    assert_eq!(shown, expected);
    world.pass(100 * SECOND);
    assert_eq!(read(&world, &id, "x").json(), expected, "nothing depends on when somebody looks");
}

#[test]
fn early_stages_are_hidden_without_the_preference() {
    let mut world = world();
    let id = world.provisioned(&named("P"));
    let reply = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app());
    assert_eq!(
        (&reply.json()["status"], reply.header("preference-applied")),
        (&json!("unknownFutureValue"), "")
    );
    assert_eq!(reply.json()["lastSynchronizationDateTime"], "0001-01-01T00:00:00Z");
    world.pass(5 * SECOND);
    let shown =
        world.get(&format!("{BETA}/{id}/profileStatus?$select=status,statusMessage"), &world.app()).json();
    assert_eq!(shown["status"], "inProgress");
    assert!(shown["statusMessage"].as_str().unwrap().starts_with("Processed "));
    assert_eq!(shown.get("errorCount"), None);
}

#[test]
fn a_csv_profile_has_no_status_until_it_is_started() {
    let mut world = world();
    let id = world.provisioned(&profile("P"));
    assert_eq!(read(&world, &id, "x").json()["status"], Value::Null);
    act(&world, &id, "reset");
    assert_eq!(read(&world, &id, "x").json()["status"], Value::Null, "there is nothing to restart");
    act(&world, &id, "pause");
    assert_eq!(status(&world, &id), "paused");
    act(&world, &id, "resume");
    assert_eq!(read(&world, &id, "x").json()["status"], Value::Null);
}

#[test]
fn the_form_of_the_status_is_a_switch() {
    let profiles = ProfileSettings {
        early_status: EarlyStatus::Empty,
        wrap_profile_status: true,
        ..ProfileSettings::default()
    };
    let world = World::new(Settings { profiles, ..Settings::default() });
    let id = world.create("P");
    let shown = read(&world, &id, "x").json();
    assert_eq!(shown["value"][0]["id"], json!(id));
    assert_eq!(shown["value"][0]["status"], Value::Null);
}

#[test]
fn a_pause_holds_the_run_and_a_resume_goes_on() {
    let mut world = world();
    let id = world.provisioned(&named("P"));
    world.pass(5 * SECOND);
    act(&world, &id, "pause");
    world.pass(60 * SECOND);
    act(&world, &id, "pause");
    assert_eq!(status(&world, &id), "paused");
    act(&world, &id, "resume");
    act(&world, &id, "resume");
    assert_eq!(status(&world, &id), "inProgress");
    world.pass(4 * SECOND);
    assert_eq!(status(&world, &id), "inProgress");
    world.pass(SECOND);
    assert_eq!(status(&world, &id), "success");
    let done = read(&world, &id, "x").json()["lastSynchronizationDateTime"].clone();
    act(&world, &id, "pause");
    world.pass(60 * SECOND);
    act(&world, &id, "resume");
    assert_eq!(status(&world, &id), "success");
    assert_eq!(read(&world, &id, "x").json()["lastSynchronizationDateTime"], done);
}

#[test]
fn an_update_leaves_the_sync_as_it_is() {
    let mut world = world();
    let token = world.delegated();
    let id = world.provisioned(&named("P"));
    world.pass(5 * SECOND);
    act(&world, &id, "pause");
    let rename = json!({ "displayName": "Q" });
    assert_eq!(world.send_json("PATCH", &format!("{BETA}/{id}"), &token, &rename).status, 200);
    assert_eq!(status(&world, &id), "paused");
    act(&world, &id, "resume");
    world.send_json("PATCH", &format!("{BETA}/{id}"), &token, &rename);
    assert_eq!(status(&world, &id), "inProgress", "also while it is set up again");
    // A run that has not begun waits for the set-up.
    let late = world.post(BETA, &token, &named("Late")).json()["id"].as_str().unwrap().to_owned();
    world.pass(SECOND);
    world.send_json("PATCH", &format!("{BETA}/{late}"), &token, &rename);
    world.pass(SECOND);
    assert_eq!(read(&world, &late, "x").status, 404);
    world.pass(SECOND);
    assert_eq!(status(&world, &late), "extracting");
}

#[test]
fn outcomes_can_be_planted_for_runs_to_come() {
    let mut world = world();
    let rows = [
        (SyncOutcome::Success, "success", 0),
        (SyncOutcome::Error, "error", 1),
        (SyncOutcome::ValidationError, "validationError", 1),
        (SyncOutcome::Quarantined, "quarantined", 15_000),
    ];
    let mut ids = Vec::new();
    for (outcome, name, count) in rows {
        world.simulator.set_sync_outcome(name, outcome);
        let reply = world.post(BETA, &world.delegated(), &named(name));
        ids.push((reply.json()["id"].as_str().unwrap().to_owned(), name, count));
    }
    world.pass(12 * SECOND);
    for (id, name, count) in &ids {
        assert_eq!(status(&world, id), *name);
        assert_eq!(read(&world, id, "x").json()["errorCount"], *count);
    }
}

#[test]
fn errors_end_a_run_in_error_and_very_many_in_quarantine() {
    let mut world = World::new(Settings {
        profiles: ProfileSettings {
            sync_errors: vec![("Some".to_owned(), 7), ("Many".to_owned(), 20_000)],
            sync_outcomes: vec![("Fine".to_owned(), SyncOutcome::Success)],
            ..ProfileSettings::default()
        },
        ..Settings::default()
    });
    world.simulator.set_sync_errors("Fine", 2);
    for (name, expected, count) in
        [("Some", "error", 7), ("Many", "quarantined", 15_000), ("Fine", "success", 2)]
    {
        let id = world.provisioned(&named(name));
        world.pass(9 * SECOND);
        assert_eq!(read(&world, &id, "x").json()["errorCount"], 0, "errors come with the end of the run");
        world.pass(SECOND);
        assert_eq!(
            (status(&world, &id).as_str(), &read(&world, &id, "x").json()["errorCount"]),
            (expected, &json!(count))
        );
    }
}

#[test]
fn a_validation_error_waits_for_a_resume() {
    let mut world = world();
    world.simulator.set_sync_outcome("P", SyncOutcome::ValidationError);
    world.simulator.set_sync_errors("P", 4);
    let id = world.provisioned(&named("P"));
    world.pass(SECOND);
    assert_eq!(status(&world, &id), "validating");
    world.pass(SECOND);
    assert_eq!(status(&world, &id), "validationError");
    world.pass(100 * SECOND);
    assert_eq!(status(&world, &id), "validationError", "the service paused itself");
    act(&world, &id, "resume");
    assert_eq!(status(&world, &id), "inProgress");
    world.pass(8 * SECOND);
    assert_eq!(status(&world, &id), "success");
    let shown = world.get(&format!("{BETA}/{id}/errors?$top=1"), &world.app()).json();
    assert_eq!(shown["value"][0]["recordedDateTime"], "2024-09-02T08:15:34.0000000Z", "errors stay");
    assert_eq!(read(&world, &id, "x").json()["errorCount"], 4);
}

#[test]
fn a_reset_forgets_the_errors_and_starts_from_zero() {
    let mut world = world();
    world.simulator.set_sync_outcome("P", SyncOutcome::Quarantined);
    let id = world.provisioned(&named("P"));
    world.pass(10 * SECOND);
    assert_eq!(status(&world, &id), "quarantined");
    act(&world, &id, "resume");
    assert_eq!(status(&world, &id), "quarantined", "only a reset leads out");
    world.simulator.set_sync_outcome("P", SyncOutcome::Success);
    act(&world, &id, "reset");
    assert_eq!(status(&world, &id), "extracting");
    assert_eq!(world.get(&format!("{BETA}/{id}/errors"), &world.app()).json()["value"], json!([]));
    world.pass(10 * SECOND);
    assert_eq!(status(&world, &id), "success");
    act(&world, &id, "pause");
    act(&world, &id, "reset");
    world.pass(60 * SECOND);
    assert_eq!(status(&world, &id), "paused", "a pause outlives a reset");
    assert_ne!(read(&world, &id, "x").json()["lastSynchronizationDateTime"], "0001-01-01T00:00:00Z");
    act(&world, &id, "resume");
    assert_eq!(status(&world, &id), "extracting");
}

#[test]
fn planted_errors_are_there_at_once_and_come_in_pages() {
    let mut world = world();
    let id = world.provisioned(&named("P"));
    assert_eq!(world.simulator.plant_errors("P", 8, world.now), 1);
    assert_eq!(world.simulator.plant_errors("nobody", 8, world.now), 0);
    let token = world.app();
    let path = format!("{BETA}/{id}/Errors?$top=5&$count=true");
    let first = world.get(&path, &token).json();
    assert!(
        first["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with(&format!("synchronizationProfiles('{id}')/errors"))
    );
    assert_eq!(first["@odata.count"], 8);
    assert_eq!(first["value"].as_array().unwrap().len(), 3, "the page size is a limit");
    let (mut seen, mut next) = (Vec::new(), Some(path));
    while let Some(path) = next {
        let page = world.get(&path, &token).json();
        seen.extend(
            page["value"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        next = page["@odata.nextLink"]
            .as_str()
            .map(|link| link.trim_start_matches("https://sim.example:8443").to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8);
    let one = &first["value"][1];
    let members = [
        ("entryType", "Teacher"),
        ("errorCode", "AzureActiveDirectoryInvalidUserUsageLocation"),
        ("joiningValue", "example.teacher00002@fabrikam.example"),
        ("reportableIdentifier", "example.teacher00002"),
    ];
    for (name, value) in members {
        assert_eq!(one[name], value);
    }
    let error = one["id"].as_str().unwrap();
    let alone = world.get(&format!("{BETA}('{id}')/errors('{error}')"), &token).json();
    assert_eq!(alone["errorMessage"], one["errorMessage"]);
    assert!(alone["@odata.context"].as_str().unwrap().ends_with("/errors/$entity"));
    world.get(&format!("{BETA}/{id}/errors/no-such-id"), &token).refusal(404, "NotFound");
    world.get(&format!("{BETA}/no-such-id/errors"), &token).refusal(404, "NotFound");
    let teachers = "$filter=entryType%20eq%20'Teacher'";
    assert_eq!(world.get(&format!("{BETA}/{id}/errors/$count?{teachers}"), &token).text, "2");
    let sorted =
        world.get(&format!("{BETA}/{id}/errors?$orderby=reportableIdentifier%20desc&$skip=1&$top=1"), &token);
    assert_eq!(sorted.json()["value"][0]["entryType"], "Teacher");
}

#[test]
fn actions_take_no_body_and_no_options() {
    let mut world = world();
    let id = world.provisioned(&named("P"));
    let path = format!("{BETA}/{id}/pause");
    assert_eq!(world.send_json("POST", &path, &world.app(), &json!({})).status, 200);
    world.send_json("POST", &path, &world.app(), &json!({ "x": 1 })).refusal(400, "BadRequest");
    world.call("POST", &format!("{path}?$top=1"), &world.app()).refusal(400, "BadRequest");
    for action in ["pause", "resume", "reset", "start"] {
        world.call("POST", &format!("{BETA}/no-such-id/{action}"), &world.app()).refusal(404, "NotFound");
        world.call("GET", &format!("{BETA}/{id}/{action}"), &world.app()).refusal(405, "MethodNotAllowed");
    }
}
