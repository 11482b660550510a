//! Which call a fault strikes: pages of a list, uploads, calls that do not happen.
#![cfg(test)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::csv::{put, upload_url};
use support::{BETA, Reply, World, profile};

fn world(specs: &[&str]) -> (World, String) {
    let world = World::with_faults(specs);
    let token = world.delegated();
    (world, token)
}

/// How often each fault has struck.
fn struck(world: &World) -> Vec<u32> {
    world.simulator.faults(world.now).iter().map(|fault| fault.struck).collect()
}

fn names(reply: &Reply) -> Vec<Value> {
    reply.json()["value"].as_array().unwrap().iter().map(|one| one["displayName"].clone()).collect()
}

#[test]
fn a_fault_waits_for_a_call_that_happens() {
    let (world, token) = world(&[
        "create:twin-before",
        "create:twin-after",
        "create:504-after-commit",
        "create:slow,delay=9s",
        "create:503",
        "create:innererror",
    ]);
    let refused = world.post(BETA, &token, &profile("P"));
    assert_eq!(refused.status, 504, "the first that replaces the answer does");
    assert_eq!((world.simulator.profiles(world.now).len(), struck(&world)), (3, vec![1, 1, 1, 1, 0, 1]));

    let (world, token) = self::world(&["create:twin-before", "create:503", "create:innererror"]);
    let refused = world.post(BETA, &token, &profile("P"));
    assert!(refused.json()["error"]["innererror"].is_object(), "{}", refused.text);
    assert_eq!((world.simulator.profiles(world.now).len(), struck(&world)), (0, vec![0, 1, 1]));
    assert_eq!(world.post(BETA, &token, &profile("P")).status, 201);
    assert_eq!((world.simulator.profiles(world.now).len(), struck(&world)), (2, vec![1, 1, 1]));
}

#[test]
fn what_a_list_shows_holds_for_all_of_its_pages() {
    for spec in ["list:lag,by=1h", "list:stale,by=1h", "list:empty-list"] {
        let (world, token) = world(&[]);
        for name in ["A", "B", "C"] {
            world.create(name);
        }
        world.simulator.add_fault(spec.parse().unwrap(), world.now);
        world.create("D");
        let mut shown = Vec::new();
        let mut next = Some(format!("{BETA}?$top=2"));
        while let Some(page) = next {
            let reply = world.get(&page, &token);
            shown.extend(names(&reply));
            let link = reply.json()["@odata.nextLink"].as_str().map(str::to_owned);
            next = link.map(|link| link.strip_prefix("https://sim.example:8443").unwrap().to_owned());
        }
        let expected = if spec.contains("empty") { json!([]) } else { json!(["A", "B", "C"]) };
        assert_eq!(Value::Array(shown), expected, "{spec}");
        assert_eq!(struck(&world), [1], "{spec}: one list");
        assert_eq!(names(&world.get(BETA, &token)).len(), 4, "{spec}: the next list is current");
        let page = format!("{BETA}?$skiptoken=after-2.2");
        assert_eq!(names(&world.get(&page, &token)).len(), 2, "{spec}: and so are its pages");
    }
}

#[test]
fn uploads_are_chosen_by_the_profile_they_are_for() {
    let (world, _) = world(&["blob:503,name=Q", "blob:500,times=always,id=no-such-id"]);
    let ids = ["P", "Q"].map(|name| world.create(name));
    let [first, second] = ids.map(|id| upload_url(&world, &id));
    assert_eq!(put(&world, &first, "school.csv", "x").status, 201);
    assert_eq!(put(&world, &second, "school.csv", "x").status, 503);
    assert_eq!(put(&world, &second, "school.csv", "x").status, 201);
    assert_eq!(struck(&world), [1, 0]);
}

#[test]
fn any_is_a_call_of_the_api_and_nothing_else() {
    let (world, token) = world(&["any:503,times=always", "any:deleted-by-other"]);
    assert_eq!(world.get("/v1.0/subscribedSkus", &token).status, 200);
    let batch = world.post("/beta/$batch", &token, &json!({ "requests": [] }));
    assert_eq!(batch.status, 200);
    assert_eq!(world.get(BETA, &token).status, 503);
    assert_eq!(struck(&world), [1, 0]);
}

#[test]
fn one_profile_may_be_shown_as_it_was() {
    let (mut world, token) = world(&[
        "get:stale,by=1m,times=always",
        "profileStatus:stale,by=1m",
        "get:type-without-hash,after=2",
    ]);
    let id = world.create("Old");
    let item = format!("{BETA}/{id}");
    assert_eq!(world.get(&item, &token).status, 404, "not there yet");
    world.pass(Duration::from_mins(2));
    assert_eq!(world.send_json("PATCH", &item, &token, &json!({ "displayName": "New" })).status, 200);
    assert_eq!(world.call("POST", &format!("{item}/pause"), &token).status, 200);
    assert_eq!(world.get(&item, &token).json()["displayName"], "Old");
    let status = |world: &World| world.get(&format!("{item}/profileStatus"), &token).json()["status"].clone();
    assert_eq!((status(&world), status(&world)), (Value::Null, json!("paused")));
    world.pass(Duration::from_mins(1));
    let read = world.get(&item, &token).json();
    assert_eq!(read["displayName"], "New");
    assert_eq!(read["dataProvider"]["@odata.type"], "microsoft.graph.educationCsvDataProvider");
}
