//! JSON batching: what a batch may be, and how its items are answered.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{Cut, Settings};
use http::Request;
use serde_json::{Value, json};
use support::bodies::one_roster;
use support::{World, profile};

const BATCH: &str = "/beta/$batch";
const PROFILES: &str = "/education/synchronizationProfiles";

#[track_caller]
fn answers(world: &World, requests: &Value) -> Vec<Value> {
    let reply = world.post(BATCH, &world.delegated(), &json!({ "requests": requests }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["responses"].as_array().unwrap().clone()
}

#[test]
fn items_are_calls_of_their_own() {
    let mut world = World::default();
    let id = world.provisioned(&one_roster());
    let json = json!({ "Content-Type": "application/json" });
    let answers = answers(
        &world,
        &json!([
            { "id": "1", "method": "GET", "url": format!("{PROFILES}/{id}?$select=id") },
            { "id": "2", "method": "get", "url": format!("education/synchronizationProfiles/{id}/profileStatus"),
              "headers": { "Prefer": "include-unknown-enum-members" } },
            { "id": "3", "method": "POST", "url": format!("{PROFILES}/no-such-id/reset"), "headers": json, "body": {} },
            { "id": "4", "dependsOn": ["3"], "method": "GET", "url": PROFILES },
            { "id": "5", "method": "POST", "url": PROFILES, "headers": json, "body": profile("Q") },
            { "id": "6", "method": "POST", "url": format!("{PROFILES}/{id}/pause"), "headers": json, "body": {} },
            { "id": "7", "method": "GET", "url": format!("{PROFILES}/$count") },
            { "id": "8", "method": "GET", "url": "/$batch" },
            { "id": "9", "method": "POST", "url": PROFILES, "headers": {}, "body": profile("R") },
            { "id": "10", "method": "POST", "url": PROFILES, "body": profile("R") },
            { "id": "11", "method": "POST", "url": format!("{PROFILES}/{id}/resume"), "headers": json },
            { "id": "12", "method": "POST", "url": format!("{PROFILES}/{id}/resume"), "headers": {}, "body": {} },
        ]),
    );
    let of = |id: &str| answers.iter().find(|one| one["id"] == id).unwrap();
    let statuses: Vec<_> = (1..=12).map(|id| of(&id.to_string())["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 404, 424, 201, 200, 200, 400, 415, 400, 400, 200]);
    assert_eq!(of("1")["body"]["id"], json!(id));
    assert_eq!(of("1")["headers"], json!({ "Content-Type": "application/json", "OData-Version": "4.0" }));
    assert_eq!(of("2")["body"]["status"], "extracting");
    assert_eq!(of("2")["headers"]["Preference-Applied"], "include-unknown-enum-members");
    assert_eq!(of("4")["body"]["error"]["code"], "FailedDependency");
    assert_eq!((of("6").get("body"), &of("7")["body"]), (None, &json!(2)));
}

#[test]
fn the_form_of_a_batch_is_checked() {
    let world = World::default();
    let token = world.delegated();
    let get = |id: &str, on: &[&str]| json!({ "id": id, "method": "GET", "url": PROFILES, "dependsOn": on });
    let many: Vec<Value> = (0..21).map(|id| get(&id.to_string(), &[])).collect();
    let rows = [
        (json!({}), "needs an array 'requests'"),
        (
            json!({ "requests": [get("a", &[]), get("A", &[])] }),
            "Request Id A is used more than once in the batch.",
        ),
        (json!({ "requests": many }), "may hold 20 requests"),
        (json!({ "requests": [{ "id": "1", "method": "GET" }] }), "needs the string 'url'"),
        (json!({ "requests": [{ "id": 1, "method": "GET", "url": "/x" }] }), "needs the string 'id'"),
        (json!({ "requests": [get("1", &["2"])] }), "names '2'"),
        (json!({ "requests": [get("1", &[]), get("2", &["1", "1"])] }), "may name one request"),
        (json!({ "requests": [get("1", &["1"])] }), "in a circle"),
        (
            json!({ "requests": [get("1", &[]), get("2", &["1"]), get("3", &["2"]), get("4", &[])] }),
            "a chain",
        ),
    ];
    for (body, part) in rows {
        let refusal = world.post(BATCH, &token, &body).refusal(400, "BadRequest");
        assert!(refusal.contains(part), "{refusal}");
    }
    world.post(BATCH, "", &json!({ "requests": [] })).refusal(401, "InvalidAuthenticationToken");
    world.call("GET", BATCH, &token).refusal(405, "MethodNotAllowed");
    assert_eq!(answers(&world, &json!([get("3", &["2"]), get("1", &[]), get("2", &["1"])])).len(), 3);
}

#[test]
fn each_item_has_the_version_and_the_rights_of_the_batch() {
    let world = World::new(Settings {
        app_roles: vec!["EduAdministration.Read.All".to_owned()],
        ..Settings::default()
    });
    let requests = json!([
        { "id": "1", "method": "GET", "url": "/subscribedSkus" },
        { "id": "2", "method": "GET", "url": PROFILES },
        { "id": "3", "method": "DELETE", "url": format!("{PROFILES}/1") },
    ]);
    for (path, expected) in [("/v1.0/$batch", [200, 400, 400]), (BATCH, [200, 200, 403])] {
        let reply = world.post(path, &world.app(), &json!({ "requests": requests })).json();
        let statuses: Vec<_> =
            reply["responses"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, expected, "{path}");
    }
    world.simulator.set_unavailable(Some(429));
    let reply = world.post(BATCH, &world.app(), &json!({ "requests": requests }));
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["responses"][0]["headers"]["Retry-After"]),
        (200, &json!("1"))
    );
}

#[test]
fn faults_of_items_reach_the_whole_answer_and_the_log() {
    let world = World::default();
    let token = world.delegated();
    for spec in ["list:slow,delay=7s", "count:slow,delay=3s", "create:half", "get:reset-after-commit,after=1"]
    {
        world.simulator.add_fault(spec.parse().unwrap(), world.now);
    }
    let json = json!({ "Content-Type": "application/json" });
    let requests = json!([
        { "id": "1", "method": "GET", "url": PROFILES },
        { "id": "2", "method": "GET", "url": format!("{PROFILES}/$count") },
        { "id": "3", "method": "POST", "url": PROFILES, "headers": json, "body": profile("P") },
        { "id": "4", "method": "GET", "url": format!("{PROFILES}/1") },
    ]);
    let send = || {
        let request = Request::post(BATCH).header("Authorization", format!("Bearer {token}"));
        let request = request.header("Content-Type", "application/json");
        let body = json!({ "requests": requests }).to_string();
        world.simulator.exchange(request.body(body.into()).unwrap(), world.now)
    };
    let outcome = send();
    assert_eq!((outcome.delay, outcome.cut), (Some(Duration::from_secs(7)), Some(Cut::Half)));
    let recorded = world.simulator.requests().pop().unwrap();
    assert_eq!(recorded.faults, ["list:slow,delay=7s", "count:slow,delay=3s", "create:half"]);
    let shown = world.get("/_simulator/requests", "").json();
    assert_eq!(shown.as_array().unwrap().last().unwrap()["cut"], "half");
    assert!(world.get("/", "").text.contains("<i class=warn>half</i>"));
    let outcome = send();
    assert_eq!((outcome.delay, outcome.cut), (None, Some(Cut::Reset)));
}
