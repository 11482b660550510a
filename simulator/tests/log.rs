//! The request log and the simulator's own pages: what is kept, and that no secret ever is.
#![cfg(test)]

mod support;

use graph_simulator::{EXAMPLE_CLIENT_ID, EXAMPLE_TENANT, PrincipalKind, Settings};
use serde_json::{Value, json};
use support::{BETA, World, profile};

const CANARY: &str = "canary-3c1f";

/// A world whose every secret holds the canary, after requests that hold it in every place a secret can be.
fn talkative(log_bodies: bool) -> (World, Vec<String>) {
    let world = World::new(Settings {
        log_bodies,
        client_secret: format!("{CANARY}-client"),
        refresh_token: format!("{CANARY}-refresh"),
        ..Settings::default()
    });
    let tokens = vec![world.app(), world.delegated()];
    let mut body = profile("PowerSchool");
    body["dataProvider"] = json!({
        "@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
        "connectionUrl": "https://powerschool.fabrikam.example", "clientId": "plugin",
        "clientSecret": format!("{CANARY}-provider")
    });
    assert_eq!(world.post(BETA, &tokens[1], &body).status, 201);
    world
        .post_text(BETA, &tokens[1], &format!("{{\"clientSecret\": \"{CANARY}\""))
        .refusal(400, "BadRequest");
    world.get(&format!("{BETA}?client_secret={CANARY}"), &tokens[0]);
    let wrong = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT_ID),
        ("client_secret", "canary-3c1f-wrong"),
        ("client_assertion", "canary-3c1f-assertion"),
        ("canary", "canary-3c1f-unheard-of"),
    ];
    world.token_request(EXAMPLE_TENANT, &wrong);
    world.token_request(EXAMPLE_TENANT, &[("grant_type", "canary-3c1f")]);
    (world, tokens)
}

#[test]
fn no_secret_and_no_token_is_kept_even_with_bodies() {
    for log_bodies in [false, true] {
        let (world, tokens) = talkative(log_bodies);
        let kept = serde_json::to_string(&world.simulator.requests()).unwrap();
        let shown = world.get("/_simulator/requests", "").text + &world.get("/_simulator/profiles", "").text;
        for text in [kept, shown] {
            assert!(!text.contains(CANARY), "{text}");
            assert!(tokens.iter().all(|token| !text.contains(token.as_str())), "{text}");
        }
        let bodies = world.simulator.requests().iter().filter(|request| request.body.is_some()).count();
        assert_eq!(bodies > 0, log_bodies);
    }
}

#[test]
fn bodies_are_kept_on_demand_with_secrets_replaced() {
    let (world, _) = talkative(true);
    let requests = world.simulator.requests();
    let create = requests.iter().find(|request| request.method == "POST" && request.path == BETA).unwrap();
    let body = create.body.as_ref().unwrap();
    assert_eq!(body["dataProvider"]["clientSecret"], "(redacted)");
    assert_eq!(body["dataProvider"]["clientId"], "plugin");
    let token = requests[0].body.as_ref().unwrap();
    assert_eq!(token["grant_type"], "client_credentials");
    assert_eq!(token["client_secret"], "(redacted)");
}

#[test]
fn the_log_tells_who_asked_what_and_leaves_out_the_own_pages() {
    let world = World::default();
    let id = world.create("P");
    let request = http::Request::get(format!("{BETA}/{id}?x=1")).header("client-request-id", "mine");
    assert_eq!(world.send(request, "").status, 401);
    let page = world.get("/_simulator/requests", "");
    assert_eq!(page.status, 200);
    let kept = page.json();
    assert_eq!(kept.as_array().unwrap().len(), 3);
    assert_eq!(kept[0]["grant"], "refresh_token");
    assert_eq!(kept[0]["principal"], "delegated");
    assert_eq!(kept[1]["method"], "POST");
    assert_eq!((&kept[1]["status"], &kept[1]["principal"]), (&json!(201), &json!("delegated")));
    assert_eq!((&kept[1]["tenant"], &kept[2]["tenant"]), (&json!(EXAMPLE_TENANT), &Value::Null));
    assert_eq!(kept[2]["path"], format!("{BETA}/{id}"));
    let last = (&kept[2]["query"], &kept[2]["status"], &kept[2]["clientRequestId"], &kept[2]["principal"]);
    assert_eq!(last, (&json!("x=1"), &json!(401), &json!("mine"), &Value::Null));
    assert_eq!((&kept[2]["number"], &kept[2]["time"]), (&json!(3), &json!("2024-09-02T08:15:30Z")));

    let requests = world.simulator.requests();
    assert_eq!(requests.len(), 3, "own pages are not counted");
    assert_eq!(requests[1].principal, Some(PrincipalKind::Delegated));
    assert_eq!(world.get("/_simulator/nothing", "").status, 404);
}

#[test]
fn the_page_of_profiles_shows_all_tenants() {
    let other = "55555555-5555-5555-5555-555555555555";
    let world = World::new(Settings { extra_tenants: vec![other.to_owned()], ..Settings::default() });
    world.create("P");
    world.post(BETA, &world.delegated_in(other), &profile("Q"));
    let shown = world.get("/_simulator/profiles", "").json();
    let rows: Vec<_> =
        shown.as_array().unwrap().iter().map(|one| (&one["tenantId"], &one["displayName"])).collect();
    assert_eq!(rows, [(&json!(EXAMPLE_TENANT), &json!("P")), (&json!(other), &json!("Q"))]);
    assert_eq!(shown[0]["createdDateTime"], "2024-09-02T08:15:30Z");
    assert_eq!(shown, Value::Array(world.simulator.profiles(world.now)));
}
