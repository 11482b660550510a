//! What happens to profiles with time: states, lists, deletes; and the calls that lead nowhere.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use graph_simulator::Settings;
use jiff::Timestamp;
use serde_json::{Value, json};
use support::{BETA, World, profile};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    World::new(Settings {
        provisioning_time: 10 * SECOND,
        delete_time: 5 * SECOND,
        fail_provisioning: vec!["Broken".to_owned()],
        page_size: 3,
        ..Settings::default()
    })
}

fn state(world: &World, id: &str) -> Value {
    world.get(&format!("{BETA}/{id}"), &world.app()).json()["state"].clone()
}

#[test]
fn a_profile_is_provisioning_until_its_time_has_passed() {
    let mut world = world();
    let (good, broken) = (world.create("Good"), world.create("Broken"));
    world.pass(Duration::from_millis(9_999));
    assert_eq!(
        (state(&world, &good), state(&world, &broken)),
        (json!("provisioning"), json!("provisioning"))
    );
    world.pass(Duration::from_millis(1));
    assert_eq!(
        (state(&world, &good), state(&world, &broken)),
        (json!("provisioned"), json!("provisioningFailed"))
    );
    world.simulator.fail_provisioning("Good");
    assert_eq!(state(&world, &good), "provisioned", "what has happened stays");
    let later = world.create("Good");
    world.pass(10 * SECOND);
    assert_eq!(state(&world, &later), "provisioningFailed");
}

#[test]
fn each_set_up_takes_a_time_of_its_own_within_the_spread_and_the_own_page_tells_when_it_ends() {
    let mut world = World::new(Settings {
        provisioning_time: 10 * SECOND,
        provisioning_spread: 20 * SECOND,
        ..Settings::default()
    });
    let ids: Vec<String> = (0..20).map(|number| world.create(&format!("P{number}"))).collect();
    let told = |world: &World| {
        let all = world.simulator.profiles(world.now);
        let end = |one: &Value| one["setUpDateTime"].as_str().and_then(|end| end.parse().ok());
        all.iter().map(|one| end(one).unwrap()).collect::<Vec<Timestamp>>()
    };
    let (begin, ends) = (world.now, told(&world));
    let waits: BTreeSet<i64> = ends.iter().map(|end| end.duration_since(begin).as_secs()).collect();
    assert!(waits.len() > 5 && waits.iter().all(|wait| (10..=30).contains(wait)), "{waits:?}");
    for second in 10..=30 {
        world.pass(if second == 10 { 10 * SECOND } else { SECOND });
        for (id, end) in ids.iter().zip(&ends) {
            let wanted = if world.now >= *end { "provisioned" } else { "provisioning" };
            assert_eq!(state(&world, id), wanted, "{id} after {second} s");
        }
    }
}

#[test]
fn a_delete_is_accepted_then_the_profile_is_deleting_then_gone() {
    let mut world = world();
    let id = world.create("P");
    let item = format!("{BETA}('{id}')");
    let token = world.delegated();
    let reply = world.call("DELETE", &item, &token);
    assert_eq!((reply.status.as_u16(), reply.text.as_str(), reply.header("content-type")), (202, "", ""));
    world.pass(4 * SECOND);
    assert_eq!(state(&world, &id), "deleting");
    assert_eq!(world.call("DELETE", &item, &token).status, 202, "a second delete is accepted, too");
    assert_eq!(world.get(BETA, &token).json()["value"][0]["state"], "deleting");
    assert_eq!(world.simulator.profiles(world.now)[0]["state"], "deleting");
    world.pass(SECOND);
    let message = world.get(&item, &token).refusal(404, "NotFound");
    assert_eq!(message, "No profile with this id exists in the tenant.");
    world.call("DELETE", &item, &token).refusal(404, "NotFound");
    assert_eq!(world.get(BETA, &token).json()["value"], json!([]));
    assert!(world.simulator.profiles(world.now).is_empty());
}

#[test]
fn reads_show_what_the_read_examples_show() {
    let world = world();
    let created = world.post(BETA, &world.delegated(), &profile("P"));
    assert_eq!(created.json().get("handleSpecialCharacterConstraint"), None);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let read = world.get(&format!("{BETA}/{id}"), &world.app());
    let names =
        ["@odata.context", "\"id\"", "displayName", "\"state\"", "handleSpecial", "dataProvider", "identity"];
    let positions: Vec<_> = names.iter().map(|name| read.text.find(name).unwrap()).collect();
    assert!(positions.is_sorted(), "{}", read.text);
    assert_eq!(read.json()["handleSpecialCharacterConstraint"], false);
    assert_eq!(read.json()["licensesToAssign"], json!([]));
}

/// Follows next links from `path`; the display names on each page, and the count of the first page.
fn pages(world: &World, path: &str) -> (Vec<Vec<String>>, Value) {
    let token = world.app();
    let mut next = Some(path.to_owned());
    let mut pages = Vec::new();
    let mut count = None;
    while let Some(path) = next {
        let page = world.get(&path, &token).json();
        let names = page["value"].as_array().unwrap().iter();
        pages.push(names.map(|one| one["displayName"].as_str().unwrap().to_owned()).collect());
        count.get_or_insert_with(|| page["@odata.count"].clone());
        next = page["@odata.nextLink"].as_str().map(|link| {
            link.strip_prefix("https://sim.example:8443").unwrap_or_else(|| panic!("{link}")).to_owned()
        });
    }
    (pages, count.unwrap())
}

#[test]
fn lists_come_in_pages_in_the_order_of_creation() {
    let world = world();
    for name in ["A", "B", "A", "D", "E"] {
        world.create(name);
    }
    let (by_default, no_count) = pages(&world, BETA);
    assert_eq!(by_default, [vec!["A", "B", "A"], vec!["D", "E"]]);
    assert_eq!(no_count, Value::Null);
    let (by_two, count) = pages(&world, &format!("{BETA}?$top=2&$count=true"));
    assert_eq!(by_two, [vec!["A", "B"], vec!["A", "D"], vec!["E"]]);
    assert_eq!(count, 5);
    let (capped, _) = pages(&world, &format!("{BETA}?top=50"));
    assert_eq!(capped.len(), 2, "the page size is a limit");
    let (exact, _) = pages(&world, &format!("{BETA}?%24top=5&$skiptoken=after-2"));
    assert_eq!(exact, [vec!["A", "D", "E"]], "a full last page has no next link");
    assert_eq!(pages(&world, &format!("{BETA}?$top=0")).0, [Vec::<String>::new()]);
}

#[test]
fn a_profile_removed_between_two_pages_shifts_nothing() {
    let world = world();
    let ids: Vec<String> = ["A", "B", "C", "D"].iter().map(|name| world.create(name)).collect();
    let first = world.get(&format!("{BETA}?$top=2"), &world.app()).json();
    let next =
        first["@odata.nextLink"].as_str().unwrap().trim_start_matches("https://sim.example:8443").to_owned();
    assert!(world.simulator.remove(&ids[1], world.now));
    assert!(!world.simulator.remove(&ids[1], world.now));
    let second = world.get(&next, &world.app()).json();
    let names: Vec<_> = second["value"].as_array().unwrap().iter().map(|one| &one["displayName"]).collect();
    assert_eq!(names, ["C", "D"]);
}

#[test]
fn query_options_that_are_not_there_are_refused_not_ignored() {
    let world = world();
    let id = world.create("P");
    let token = world.delegated();
    let refused = [
        format!("{BETA}?$filter=dataProvider%20eq%20'P'"),
        format!("{BETA}?filter=x"),
        format!("{BETA}?$select=nickname"),
        format!("{BETA}?$select=id&select=state"),
        format!("{BETA}?$expand=errors($top=1)"),
        format!("{BETA}?$orderby=displayName%20down"),
        format!("{BETA}?$orderby=dataProvider"),
        format!("{BETA}?$search=P"),
        format!("{BETA}?$format=json"),
        format!("{BETA}?$skip=-1"),
        format!("{BETA}?$nonsense=1"),
        format!("{BETA}?$top=-1"),
        format!("{BETA}?$top=all"),
        format!("{BETA}?$count=yes"),
        format!("{BETA}?$skiptoken=2"),
        format!("{BETA}/{id}?$top=1"),
        format!("{BETA}/$count?$search=P"),
        format!("{BETA}/{id}/errors?$filter=recordedDateTime%20eq%20'x'"),
        format!("{BETA}/{id}/errors?$expand=x"),
        format!("{BETA}/{id}/errors/$count?$top=1"),
        format!("{BETA}/{id}/uploadUrl?$select=value"),
    ];
    for path in refused {
        let reply = world.get(&path, &token);
        reply.refusal(400, "BadRequest");
        assert_eq!(reply.json()["error"]["innerError"]["code"], "invalidQueryOption", "{path}");
    }
    world.post(&format!("{BETA}?$top=1"), &token, &profile("Q")).refusal(400, "BadRequest");
    assert_eq!(world.get(&format!("{BETA}?custom=1"), &token).status, 200, "custom options are the caller's");
}

#[test]
fn calls_that_lead_nowhere_say_so() {
    let world = world();
    let token = world.delegated();
    let lost = world.get("/beta/education/schoolProfiles", &token).refusal(400, "BadRequest");
    assert_eq!(lost, "Resource not found for the segment 'schoolProfiles'.");
    let version = world.get("/v2/education/synchronizationProfiles", &token).refusal(400, "BadRequest");
    assert_eq!(version, "Invalid version: v2");
    world.call("PATCH", BETA, &token).refusal(405, "MethodNotAllowed");
    let not_built = world.get("/beta/education", &token).refusal(501, "NotImplemented");
    assert!(not_built.contains("this simulator does not have it"), "{not_built}");
    world.get(&format!("{BETA}/no-such-id"), &token).refusal(404, "NotFound");
}

#[test]
fn answers_carry_the_headers_of_graph() {
    let world = world();
    let request = http::Request::get(BETA)
        .header("Authorization", format!("Bearer {}", world.app()))
        .header("client-request-id", "7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8");
    let reply = world.send(request, "");
    assert_eq!(reply.header("client-request-id"), "7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8");
    assert!(uuid::Uuid::try_parse(reply.header("request-id")).is_ok());
    assert_eq!(reply.header("date"), "Mon, 02 Sep 2024 08:15:30 GMT");
    assert!(reply.header("content-type").starts_with("application/json;odata.metadata=minimal;"));
    assert_eq!((reply.header("odata-version"), reply.header("cache-control")), ("4.0", "no-store"));

    let request = http::Request::get(BETA).header("client-request-id", "mine");
    let inner = world.send(request, "").json()["error"]["innerError"].clone();
    assert_eq!(inner["client-request-id"], "mine");
    assert_eq!(inner["date"], "2024-09-02T08:15:30");
}

#[test]
fn an_unavailable_service_answers_so_to_every_graph_call_and_commits_nothing() {
    let world = world();
    let token = world.delegated();
    let codes = [
        (503, "ServiceUnavailable"),
        (429, "TooManyRequests"),
        (504, "GatewayTimeout"),
        (500, "InternalError"),
    ];
    for (status, code) in codes {
        world.simulator.set_unavailable(Some(status));
        let reply = world.post(BETA, &token, &profile("P"));
        reply.refusal(status, code);
        assert_eq!(reply.header("retry-after"), if [429, 503].contains(&status) { "1" } else { "" });
        world.get(BETA, "").refusal(status, code);
        world.app();
    }
    world.simulator.set_unavailable(None);
    assert_eq!(world.get(BETA, &token).json()["value"], json!([]));
}

#[test]
fn somebody_else_creates_by_the_same_rules() {
    let world = world();
    let id = world.simulator.plant(&profile("Planted"), world.now).unwrap();
    assert_eq!(state(&world, &id), "provisioning");
    let refusal = world.simulator.plant(&json!({ "displayName": "P" }), world.now).unwrap_err();
    assert_eq!(refusal, "The property 'dataProvider' is required and missing.");
}

#[test]
fn links_start_with_the_host_the_caller_used() {
    let world = world();
    for name in ["A", "B"] {
        world.create(name);
    }
    let request =
        http::Request::get("https://graph.microsoft.com/beta/education/synchronizationProfiles?$top=1")
            .header("Authorization", format!("Bearer {}", world.app()))
            .body(bytes::Bytes::new())
            .unwrap();
    let body = world.simulator.handle(request, world.now).into_body();
    let page: Value = serde_json::from_slice(&body).unwrap();
    let next = page["@odata.nextLink"].as_str().unwrap();
    let expected = "https://graph.microsoft.com/beta/education/synchronizationProfiles?$top=1&$skiptoken=";
    assert!(next.starts_with(expected), "{next}");
}
