//! What faults leave behind in the world: uploads, runs, profiles that somebody tried to delete.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::Settings;
use serde_json::json;
use support::bodies::one_roster;
use support::csv::{GOOD, put, start, upload_url};
use support::{BETA, World, profile};

#[test]
fn a_list_of_another_time_leaves_uploads_alone() {
    for spec in ["list:empty-list", "list:lag,by=1h", "list:stale,by=1h"] {
        let world = World::with_faults(&[spec]);
        let id = world.create("P");
        let url = upload_url(&world, &id);
        assert_eq!(put(&world, &url, GOOD[0].0, GOOD[0].1).status, 201, "{spec}");
        assert_eq!(world.get(BETA, &world.app()).json()["value"], json!([]), "{spec}");
        for (name, text) in &GOOD[1..] {
            assert_eq!(put(&world, &url, name, text).status, 201, "{spec}: the URL is still good");
        }
        assert_eq!(start(&world, &id).status, 200, "{spec}: the first file is still there");
    }
}

#[test]
fn a_profile_whose_deletion_failed_can_be_changed_again() {
    let mut world = World::with_faults(&["delete:deletion-failed,times=always"]);
    let id = world.create("P");
    let (item, token) = (format!("{BETA}/{id}"), world.delegated());
    assert_eq!(world.call("DELETE", &item, &token).status, 202);
    assert_eq!(world.call("POST", &format!("{item}/pause"), &token).status, 409, "still deleting");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.get(&item, &token).json()["state"], "deletionFailed");
    assert_eq!(world.call("POST", &format!("{item}/pause"), &token).status, 200);
    assert_eq!(world.send_json("PUT", &item, &token, &profile("Q")).status, 202);
    let read = world.get(&item, &token).json();
    assert_eq!((&read["displayName"], &read["state"]), (&json!("Q"), &json!("provisioned")));
}

#[test]
fn a_put_on_the_collection_overlooks_namesakes_on_their_way_out() {
    let world = World::with_faults(&[]);
    let token = world.delegated();
    let (old, new) = (world.create("P"), world.create("P"));
    let refused = world.send_json("PUT", BETA, &token, &profile("P")).refusal(400, "BadRequest");
    assert!(refused.contains("more than one profile"), "{refused}");
    assert_eq!(world.call("DELETE", &format!("{BETA}/{old}"), &token).status, 202);
    let updated = world.send_json("PUT", BETA, &token, &profile("P"));
    assert_eq!((updated.status.as_u16(), &updated.json()["id"]), (202, &json!(new)));
}

#[test]
fn a_profile_that_was_never_set_up_never_syncs() {
    for provisioning_time in [Duration::ZERO, Duration::from_secs(2)] {
        let faults = vec!["create:provisioning-failed".parse().unwrap()];
        let mut world = World::new(Settings { faults, provisioning_time, ..Settings::default() });
        let id = world.provisioned(&one_roster());
        world.pass(Duration::from_secs(5));
        let status = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app());
        assert_eq!(status.status, 404, "{}", status.text);
    }
}

#[test]
fn an_update_may_be_accepted_and_change_nothing() {
    let mut world = World::with_faults(&["update:ignored,times=2"]);
    let id = world.provisioned(&profile("P"));
    let (item, token) = (format!("{BETA}/{id}"), world.delegated());
    for (verb, status) in [("PUT", 202), ("PATCH", 200)] {
        let answer = world.send_json(verb, &item, &token, &profile("Q"));
        assert_eq!((answer.status.as_u16(), &answer.json()["displayName"]), (status, &json!("P")), "{verb}");
        assert_eq!(world.get(&item, &token).json()["displayName"], "P", "{verb}");
    }
    assert_eq!(world.send_json("PUT", &item, &token, &profile("Q")).status, 202);
    assert_eq!(world.get(&item, &token).json()["displayName"], "Q", "the fault has struck twice");
}

#[test]
fn an_update_that_would_be_ignored_is_refused_for_what_is_wrong_with_it() {
    let world = World::with_faults(&["update:ignored"]);
    let (id, token) = (world.create("P"), world.delegated());
    let wrong = json!({"displayName": "Q"});
    assert_eq!(world.send_json("PUT", &format!("{BETA}/{id}"), &token, &wrong).status, 400);
}
