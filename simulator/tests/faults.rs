//! Faults in process: each kind, and what became of the call.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{Cut, Settings};
use http::Request;
use serde_json::{Value, json};
use support::{BETA, Reply, World, profile};

/// A world with faults from the start, a delegated token in it, and provisioning that takes no time.
fn world(specs: &[&str]) -> (World, String) {
    let world = World::with_faults(specs);
    let token = world.delegated();
    (world, token)
}

fn create(world: &World, token: &str, name: &str) -> Reply {
    world.post(BETA, token, &profile(name))
}

fn names(reply: &Reply) -> Vec<String> {
    let page = reply.json();
    page["value"].as_array().unwrap().iter().map(|one| one["displayName"].as_str().unwrap().into()).collect()
}

fn kept(world: &World) -> usize {
    world.simulator.profiles(world.now).len()
}

#[test]
fn statuses_before_the_commit_keep_the_call_from_happening() {
    for status in [429, 500, 503, 504, 507] {
        let (world, token) = world(&[&format!("create:{status}")]);
        let reply = create(&world, &token, "P");
        assert_eq!(reply.status, status);
        assert!(reply.json()["error"]["innerError"]["request-id"].is_string());
        assert_eq!(reply.header("retry-after"), if matches!(status, 429 | 503) { "1" } else { "" });
        assert_eq!(kept(&world), 0, "{status}");
        assert_eq!(create(&world, &token, "P").status, 201, "once only");
    }
}

#[test]
fn statuses_after_the_commit_lose_only_the_answer() {
    for status in [429, 500, 502, 503, 504, 507] {
        let (world, token) = world(&[&format!("create:{status}-after-commit"), "delete:504-after-commit"]);
        assert_eq!(create(&world, &token, "P").status, status);
        assert_eq!(kept(&world), 1, "{status}");
        let id = world.simulator.profiles(world.now)[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(world.call("DELETE", &format!("{BETA}/{id}"), &token).status, 504);
        assert_eq!(world.get(&format!("{BETA}/{id}"), &token).json()["state"], "deleting");
    }
}

#[test]
fn a_bad_gateway_speaks_html() {
    let (world, token) = world(&["list:502"]);
    let reply = world.get(BETA, &token);
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (502, "text/html"));
    assert!(reply.text.starts_with("<!DOCTYPE html>"));
}

#[test]
fn retry_after_has_every_form() {
    let forms = [
        ("retry-after=7", "7"),
        ("retry-after=2.128", "2.128"),
        ("retry-after=\"5,7\"", "5,7"),
        ("retry-after=date:30s", "Mon, 02 Sep 2024 08:16:00 GMT"),
        ("retry-after=none", ""),
    ];
    for (option, header) in forms {
        let (world, token) = world(&[&format!("any:429,{option}")]);
        assert_eq!(world.get(BETA, &token).header("retry-after"), header, "{option}");
    }
}

#[test]
fn a_call_inside_a_throttle_window_restarts_it() {
    let (mut world, token) = world(&["list:429,window=10s,retry-after=10"]);
    assert_eq!(world.get(BETA, &token).status, 429);
    world.pass(Duration::from_secs(9));
    assert_eq!(world.get(BETA, &token).status, 429);
    world.pass(Duration::from_secs(9));
    assert_eq!(world.get(BETA, &token).status, 429);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.get(BETA, &token).status, 200);
    let fault = &world.simulator.faults(world.now)[0];
    assert_eq!((fault.seen, fault.struck, fault.active), (4, 1, false));
}

#[test]
fn faults_may_strike_by_chance_and_a_seed_repeats_it() {
    let run = |seed| {
        let faults = vec!["list:503,times=always,chance=30%".parse().unwrap()];
        let world = World::new(Settings { faults, seed: Some(seed), ..Settings::default() });
        let token = world.app();
        (0..200).map(|_| world.get(BETA, &token).status == 503).collect::<Vec<bool>>()
    };
    let struck = run(7);
    assert_eq!(struck, run(7));
    assert_ne!(struck, run(8));
    let count = struck.iter().filter(|struck| **struck).count();
    assert!((40..=80).contains(&count), "{count} of 200");
}

#[test]
fn faults_choose_their_calls() {
    let (world, token) = world(&[
        "create:500,name=Q",
        "list:503,after=2,times=2",
        "list.page:500",
        "get:504,times=always,id=none-such",
    ]);
    assert_eq!(create(&world, &token, "P").status, 201);
    assert_eq!(create(&world, &token, "Q").status, 500);
    let statuses: Vec<u16> = (0..5).map(|_| world.get(BETA, &token).status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 503, 503, 200]);
    create(&world, &token, "R");
    let next = world.get(&format!("{BETA}?$top=1"), &token).json()["@odata.nextLink"].clone();
    let page = next.as_str().unwrap().strip_prefix("https://sim.example:8443").unwrap().to_owned();
    assert_eq!(world.get(&page, &token).status, 500, "page two");
    assert_eq!(world.get(&page, &token).status, 200);
    assert_eq!(world.get(&format!("{BETA}/other"), &token).status, 404);
    assert_eq!(world.get(&format!("{BETA}/none-such"), &token).status, 504);
    let recorded = world.simulator.requests().pop().unwrap();
    let expected = vec!["get:504,times=always,id=none-such".to_owned()];
    assert_eq!((recorded.operation, recorded.faults), ("get", expected));
}

#[test]
fn cuts_are_modelled_and_handled_as_a_gateway_timeout() {
    let (world, token) =
        world(&["create:reset", "create:reset-after-commit,after=1", "list:half", "get:slow,delay=90s"]);
    let exchange = |method: &str, path: &str, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json");
        world.simulator.exchange(request.body(body.into()).unwrap(), world.now)
    };
    let body = profile("P").to_string();
    assert_eq!(exchange("POST", BETA, body.clone()).cut, Some(Cut::Reset));
    assert_eq!(kept(&world), 0);
    assert_eq!(exchange("POST", BETA, body).cut, Some(Cut::Reset));
    assert_eq!(kept(&world), 1);
    let half = exchange("GET", BETA, String::new());
    assert_eq!((half.cut, half.response.status().as_u16()), (Some(Cut::Half), 200));
    let slow = exchange("GET", &format!("{BETA}/1"), String::new());
    assert_eq!((slow.cut, slow.delay), (None, Some(Duration::from_secs(90))));

    world.simulator.add_fault("list:half".parse().unwrap(), world.now);
    world.get(BETA, &token).refusal(504, "GatewayTimeout");
}

#[test]
fn bodies_may_be_no_json_or_not_there() {
    let (world, token) = world(&["create:not-json", "create:empty,after=1"]);
    let reply = create(&world, &token, "P");
    assert_eq!(reply.status, 201);
    assert!(serde_json::from_str::<Value>(&reply.text).is_err());
    let reply = create(&world, &token, "Q");
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (201, ""));
    assert_eq!(kept(&world), 2);
}

#[test]
fn errors_may_be_spelled_as_in_old_documents() {
    let (world, token) = world(&["get:innererror", "get:request-id,after=1"]);
    let error = world.get(&format!("{BETA}/1"), &token).json();
    assert!(error["error"]["innererror"]["request-id"].is_string(), "{error}");
    let error = world.get(&format!("{BETA}/1"), &token).json();
    assert!(error["error"]["innerError"]["requestId"].is_string(), "{error}");
}

#[test]
fn a_new_profile_may_not_be_found_for_a_while() {
    let (mut world, token) = world(&["create:not-found,for=20s"]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    let item = format!("{BETA}/{id}");
    world.get(&item, &token).refusal(404, "NotFound");
    world.call("DELETE", &item, &token).refusal(404, "NotFound");
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
    world.pass(Duration::from_secs(20));
    assert_eq!(world.get(&item, &token).status, 200);
}

#[test]
fn lists_may_lag_behind_in_who_is_on_them() {
    let (mut world, token) = world(&["list:lag,by=30s,times=always"]);
    let old = create(&world, &token, "Old").json()["id"].as_str().unwrap().to_owned();
    world.pass(Duration::from_mins(1));
    create(&world, &token, "New");
    assert_eq!(names(&world.get(BETA, &token)), ["Old"]);
    world.call("DELETE", &format!("{BETA}/{old}"), &token);
    assert_eq!(world.get(BETA, &token).json()["value"][0]["state"], "deleting", "but not in what is known");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.get(&format!("{BETA}/{old}"), &token).status, 404);
    assert_eq!(names(&world.get(BETA, &token)), ["Old"], "who is gone stays on it");
    world.pass(Duration::from_secs(30));
    assert_eq!(names(&world.get(BETA, &token)), ["New"]);
}

/// No request tells the simulator of it.
#[test]
fn lists_lag_behind_what_is_deleted_by_hand_no_longer_than_behind_all_else() {
    let (mut world, token) = world(&["list:lag,by=30s,times=always"]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    world.pass(Duration::from_mins(1));
    assert!(world.simulator.remove(&id, world.now));
    world.pass(Duration::from_secs(29));
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
    world.pass(Duration::from_secs(1));
    assert!(names(&world.get(BETA, &token)).is_empty());
}

#[test]
fn lists_may_show_another_time() {
    let (mut world, token) = world(&["list:stale,by=1m,times=always"]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    assert!(names(&world.get(BETA, &token)).is_empty());
    world.pass(Duration::from_mins(1));
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
    world.call("DELETE", &format!("{BETA}/{id}"), &token);
    assert_eq!(world.get(BETA, &token).json()["value"][0]["state"], "provisioned");
    world.pass(Duration::from_secs(59));
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
    world.pass(Duration::from_secs(3));
    assert!(names(&world.get(BETA, &token)).is_empty());
}

#[test]
fn a_list_may_be_empty_of_a_sudden() {
    let (world, token) = world(&["list:empty-list,after=1"]);
    create(&world, &token, "P");
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
    assert!(names(&world.get(BETA, &token)).is_empty());
    assert_eq!(names(&world.get(BETA, &token)), ["P"]);
}

#[test]
fn tokens_may_expire_or_be_taken_back_at_a_call() {
    let (world, token) = world(&["list:token-expired", "get:token-revoked"]);
    let expired = world.get(BETA, &token);
    assert!(expired.refusal(401, "InvalidAuthenticationToken").contains("expired"));
    assert!(!expired.header("www-authenticate").contains("claims"));
    assert_eq!(world.get(BETA, &token).status, 401, "the same token never works again");
    let token = world.delegated();
    let revoked = world.get(&format!("{BETA}/1"), &token);
    assert!(revoked.header("www-authenticate").contains("insufficient_claims"));
    assert_eq!(world.get(BETA, &token).status, 401);
    assert_eq!(world.get(BETA, &world.delegated()).status, 200);
}

#[test]
fn the_api_may_be_retired_in_four_forms() {
    for (status, part) in
        [(404, "could not be found"), (410, "no longer"), (501, "not implemented"), (400, "for the segment")]
    {
        let (world, token) = world(&[&format!("any:retired-{status},times=always")]);
        let reply = world.get(BETA, &token);
        assert_eq!(reply.status, status);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{message}");
        assert_eq!(create(&world, &token, "P").status, status);
        assert_eq!(kept(&world), 0);
    }
}

#[test]
fn setting_up_and_deleting_may_fail() {
    let (mut world, token) = world(&["create:provisioning-failed", "delete:deletion-failed"]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    let item = format!("{BETA}/{id}");
    assert_eq!(world.get(&item, &token).json()["state"], "provisioningFailed");
    assert_eq!(world.call("DELETE", &item, &token).status, 202);
    assert_eq!(world.get(&item, &token).json()["state"], "deleting");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.get(&item, &token).json()["state"], "deletionFailed");
    world.pass(Duration::from_mins(1));
    assert_eq!(world.call("DELETE", &item, &token).status, 202, "again");
    assert_eq!(world.get(&item, &token).json()["state"], "deleting");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.get(&item, &token).status, 404);
}

#[test]
fn somebody_else_may_delete_or_create_at_the_worst_moment() {
    let (world, token) = world(&[
        "get:deleted-by-other",
        "list:deleted-by-other,name=Q",
        "create:twin-before,name=T",
        "create:twin-after,name=U",
    ]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    create(&world, &token, "Q");
    assert_eq!(world.get(&format!("{BETA}/{id}"), &token).status, 404);
    assert!(names(&world.get(BETA, &token)).is_empty());

    for (name, own) in [("T", 1), ("U", 0)] {
        let id = create(&world, &token, name).json()["id"].clone();
        let all = world.simulator.profiles(world.now);
        let twins: Vec<&Value> = all.iter().filter(|one| one["displayName"] == name).collect();
        assert_eq!((twins.len(), &twins[own]["id"]), (2, &id), "{name}");
    }
    let bad = world.post(BETA, &token, &json!({ "displayName": "T" }));
    assert_eq!((bad.status.as_u16(), kept(&world)), (400, 4));
}

#[test]
fn states_may_have_members_nobody_has_heard_of() {
    let (world, token) =
        world(&["any:unknown-state,times=2,after=1", "get:unknown-state,after=1,value=frozen"]);
    let id = create(&world, &token, "P").json()["id"].as_str().unwrap().to_owned();
    let item = format!("{BETA}/{id}");
    assert_eq!(world.get(BETA, &token).json()["value"][0]["state"], "reorganizing");
    assert_eq!(world.get(&item, &token).json()["state"], "reorganizing");
    assert_eq!(world.get(&item, &token).json()["state"], "frozen");
    assert_eq!(world.get(&item, &token).json()["state"], "provisioned");
}

#[test]
fn the_token_endpoints_have_faults_of_their_own() {
    let (world, _) = world(&[
        "token:aadsts-70021,after=1",
        "token:429,after=1,retry-after=9",
        "token:503,after=1",
        "identity:410",
        "devicecode:500",
        "token:504-after-commit,after=1",
        "token:401,after=2",
        "token:aadsts-50033,after=2",
    ]);
    let ask = || world.token_request("11111111-1111-1111-1111-111111111111", &[("grant_type", "nonsense")]);
    let body = ask().json();
    assert_eq!((&body["error"], &body["error_codes"]), (&json!("invalid_request"), &json!([70_021])));
    let throttled = ask();
    assert_eq!((throttled.status.as_u16(), throttled.header("retry-after")), (429, "9"));
    assert_eq!(throttled.json()["error"], "temporarily_unavailable");
    assert_eq!(ask().json()["error"], "temporarily_unavailable");
    assert_eq!(ask().status, 504);
    let failed = ask();
    assert_eq!((failed.status.as_u16(), &failed.json()["error"]), (401, &json!("invalid_client")));
    let transient = ask();
    assert_eq!(
        (transient.status.as_u16(), &transient.json()["error"]),
        (503, &json!("temporarily_unavailable"))
    );
    assert_eq!(ask().status, 400);
    let gone = world.send(Request::get("/metadata/identity/oauth2/token").header("Metadata", "true"), "");
    assert_eq!(gone.status, 410);
    assert!(gone.json()["error_description"].is_string());
    let device = world.call("POST", "/t/oauth2/v2.0/devicecode", "");
    assert_eq!((device.status.as_u16(), &device.json()["error"]), (500, &json!("temporarily_unavailable")));
}

#[test]
fn faults_are_set_shown_and_removed_over_http() {
    let (world, token) = world(&[]);
    let post = |body: Value| world.post("/_simulator/faults", "", &body);
    assert_eq!(post(json!({ "spec": "list:503,times=2" })).json()["number"], 1);
    assert_eq!(post(json!({ "call": "get", "kind": "504", "displayName": "N" })).json()["number"], 2);
    let refused = post(json!({ "spec": "list:503,times=often" }));
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().unwrap().contains("whole number"));
    assert_eq!(world.get(BETA, &token).status, 503);
    let shown = world.get("/_simulator/faults", "").json();
    let expected = json!([
        { "number": 1, "spec": "list:503,times=2", "seen": 1, "struck": 1, "active": true },
        { "number": 2, "spec": "get:504,name=N", "seen": 0, "struck": 0, "active": true },
    ]);
    assert_eq!(shown, expected);
    assert_eq!(world.call("DELETE", "/_simulator/faults/1", "").status, 200);
    assert_eq!(world.call("DELETE", "/_simulator/faults/1", "").status, 404);
    assert_eq!(world.get(BETA, &token).status, 200);
    assert_eq!(world.call("DELETE", "/_simulator/faults", "").status, 200);
    assert_eq!(world.get("/_simulator/faults", "").json(), json!([]));
}
