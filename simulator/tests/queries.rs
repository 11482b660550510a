//! Query options: filters, orders, selections, expansions, counts, pages.
#![cfg(test)]

mod support;

use graph_simulator::{ExpandRule, ProfileSettings, Settings};
use serde_json::{Value, json};
use support::{BETA, World, profile};

fn world(names: &[&str]) -> World {
    let world = World::default();
    for name in names {
        world.create(name);
    }
    world
}

/// The display names of one page, and the path of the next.
#[track_caller]
fn names(world: &World, path: &str) -> (Vec<String>, Option<String>) {
    let reply = world.get(path, &world.app());
    assert_eq!(reply.status, 200, "{}", reply.text);
    let page = reply.json();
    let names = page["value"].as_array().unwrap().iter();
    let names = names.map(|one| one["displayName"].as_str().unwrap().to_owned()).collect();
    let next = page["@odata.nextLink"].as_str();
    (names, next.map(|next| next.strip_prefix("https://sim.example:8443").unwrap().to_owned()))
}

#[test]
fn a_filter_finds_profiles_in_raw_and_in_encoded_form() {
    let mut world = world(&["O'Neill Academy", "Fabrikam ISD", "Fabrikam North"]);
    let id = world.get(BETA, &world.app()).json()["value"][1]["id"].as_str().unwrap().to_owned();
    let rows = [
        ("displayName%20eq%20'O''Neill%20Academy'", vec!["O'Neill Academy"]),
        ("displayName+eq+%27O%27%27Neill+Academy%27", vec!["O'Neill Academy"]),
        (
            "startswith(displayName,'Fabrikam')%20and%20not%20contains(displayName,'North')",
            vec!["Fabrikam ISD"],
        ),
        ("state%20ne%20'provisioning'", vec![]),
        (
            &format!("id%20eq%20'{id}'%20or%20displayName%20eq%20'Fabrikam%20North'"),
            vec!["Fabrikam ISD", "Fabrikam North"],
        ),
    ];
    for (filter, expected) in rows {
        assert_eq!(names(&world, &format!("{BETA}?$filter={filter}")).0, expected, "{filter}");
        let count = world.get(&format!("{BETA}/$count?$filter={filter}"), &world.app());
        assert_eq!(count.text, expected.len().to_string());
    }
    world.pass(world.simulator.settings().provisioning_time);
    assert_eq!(names(&world, &format!("{BETA}?$filter=state%20eq%20'provisioned'")).0.len(), 3);
}

#[test]
fn orders_hold_over_pages_and_links_keep_the_options() {
    let world = world(&["C", "A", "B", "A"]);
    assert_eq!(names(&world, &format!("{BETA}?$orderby=displayName")).0, ["A", "A", "B", "C"]);
    let path = format!("{BETA}?$orderby=displayName%20desc&$top=2&custom=1&$select=displayName,id");
    let (first, next) = names(&world, &path);
    assert_eq!(first, ["C", "B"]);
    let next = next.unwrap();
    assert!(next.starts_with(&format!("{path}&$skiptoken=after-")), "{next}");
    assert_eq!(names(&world, &next), (vec!["A".to_owned(), "A".to_owned()], None));
    let last = world.get(BETA, &world.app()).json()["value"][2]["id"].as_str().unwrap().to_owned();
    assert!(world.simulator.remove(&last, world.now), "the last of the first page");
    assert_eq!(names(&world, &next).0, ["A"], "lists are no snapshots: one may be missing");
}

#[test]
fn skip_is_for_the_first_page_only() {
    let world = world(&["A", "B", "C", "D", "E"]);
    let (first, next) = names(&world, &format!("{BETA}?$skip=1&$top=2&$count=true"));
    assert_eq!(first, ["B", "C"]);
    let next = next.unwrap();
    assert!(next.contains("$skip=1&$top=2&$count=true&$skiptoken="), "{next}");
    assert_eq!(names(&world, &next), (vec!["D".to_owned(), "E".to_owned()], None));
    assert_eq!(world.get(&format!("{BETA}?$skip=4&$count=true"), &world.app()).json()["@odata.count"], 5);
    assert_eq!(names(&world, &format!("{BETA}?$skip=9")).0, Vec::<String>::new());
}

#[test]
fn a_selection_shows_what_it_names() {
    let world = world(&["A"]);
    let page = world.get(&format!("{BETA}?$select=id,displayName"), &world.app()).json();
    assert!(page["@odata.context"].as_str().unwrap().ends_with("synchronizationProfiles(id,displayName)"));
    let members = page["value"][0].as_object().unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["displayName", "id"]);
    let id = members["id"].as_str().unwrap();
    let one = world.get(&format!("{BETA}('{id}')?$select=state"), &world.app()).json();
    assert!(one["@odata.context"].as_str().unwrap().ends_with("synchronizationProfiles(state)/$entity"));
    assert_eq!((&one["state"], one.as_object().unwrap().len()), (&json!("provisioning"), 2));
}

#[test]
fn expansions_are_inline_and_a_switch() {
    let mut world = world(&[]);
    let id = world.provisioned(&support::bodies::one_roster());
    world.simulator.plant_errors(&id, 150, world.now);
    let one = world.get(&format!("{BETA}/{id}?$expand=profileStatus,errors&$select=id"), &world.app()).json();
    assert_eq!(one["profileStatus"]["status"], "unknownFutureValue");
    assert_eq!(one["profileStatus"]["errorCount"], 150);
    assert_eq!(one["errors"].as_array().unwrap().len(), 100, "a page of them");
    assert!(one["errors@odata.nextLink"].as_str().unwrap().ends_with("/errors?$skip=100"));
    let page = world.get(&format!("{BETA}?$expand=errors"), &world.app()).json();
    assert_eq!(page["value"][0]["errors"][149], Value::Null);
    for (expand, status) in [(ExpandRule::Refuse, 400), (ExpandRule::Ignore, 200)] {
        let profiles = ProfileSettings { expand, ..ProfileSettings::default() };
        let world = World::new(Settings { profiles, ..Settings::default() });
        let id = world.create("P");
        for path in [format!("{BETA}?$expand=errors"), format!("{BETA}/{id}?$expand=errors")] {
            let reply = world.get(&path, &world.app());
            assert_eq!((reply.status.as_u16(), reply.text.contains("\"errors\"")), (status, false));
        }
    }
}

#[test]
fn counts_are_text_whatever_the_caller_accepts() {
    let world = world(&["A", "B"]);
    for accept in ["text/plain;q=0.9", "application/json", "image/png"] {
        let request = http::Request::get(format!("{BETA}/$count"))
            .header("Authorization", format!("Bearer {}", world.app()))
            .header("Accept", accept);
        let reply = world.send(request, "");
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "2"));
        assert_eq!(reply.header("content-type"), "text/plain");
    }
}

#[test]
fn skus_can_be_looked_up_in_both_versions() {
    let world = world(&[]);
    for version in ["v1.0", "beta"] {
        let path = format!("/{version}/subscribedSkus");
        let all = world.get(&path, &world.app()).json();
        assert_eq!(all["value"][0]["skuPartNumber"], "EXAMPLE_FACULTY");
        assert!(all["@odata.context"].as_str().unwrap().ends_with("$metadata#subscribedSkus"));
        let some = world.get(&format!("{path}?$select=skuId,skuPartNumber"), &world.app()).json();
        assert_eq!(some["value"][1].as_object().unwrap().len(), 3, "the id is always there");
        world.get(&format!("{path}?$filter=skuId"), &world.app()).refusal(400, "BadRequest");
        world.call("POST", &path, &world.app()).refusal(405, "MethodNotAllowed");
        world.get(&path, "").refusal(401, "InvalidAuthenticationToken");
    }
    let mut body = profile("P");
    let sku = world.get("/v1.0/subscribedSkus", &world.app()).json()["value"][0]["skuId"].clone();
    body["licensesToAssign"] = json!([{ "appliesTo": "teacher", "skuIds": [sku] }]);
    assert_eq!(world.post(BETA, &world.delegated(), &body).status, 201);
}
