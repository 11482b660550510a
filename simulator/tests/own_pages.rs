//! The simulator's own pages: time, who may change something, and the page for people.
#![cfg(test)]

mod support;

use std::time::Duration;

use base64::Engine;
use graph_simulator::Settings;
use http::Request;
use serde_json::{Value, json};
use support::{BETA, Reply, World, profile};

fn controlled() -> World {
    World::new(Settings { time_control: true, ..Settings::default() })
}

#[test]
fn time_moves_for_every_later_call() {
    let world = controlled();
    let id = world.create("P");
    let item = format!("{BETA}/{id}");
    let state = || world.get(&item, &world.delegated()).json()["state"].clone();
    assert_eq!(state(), "provisioning");
    let time = world.post("/_simulator/time", "", &json!({ "advance": "2s" })).json();
    assert_eq!((&time["now"], &time["aheadBy"]), (&json!("2024-09-02T08:15:32Z"), &json!("2s")));
    assert_eq!(state(), "provisioned");
    assert_eq!(world.get("/_simulator/time", "").header("date"), "Mon, 02 Sep 2024 08:15:32 GMT");

    let token = world.app();
    world.simulator.advance(Duration::from_hours(1));
    assert_eq!(world.get(BETA, &token).status, 401, "tokens expire");
    let time = world.post("/_simulator/time", "", &json!({ "set": "2030-01-01T00:00:00Z" })).json();
    assert_eq!(time["now"], "2030-01-01T00:00:00Z");
    assert_eq!(world.simulator.profiles(world.now)[0]["state"], "provisioned");
}

#[test]
fn time_stands_and_goes_on() {
    let mut world = controlled();
    let now = |world: &World| world.get("/_simulator/time", "").json()["now"].clone();
    assert_eq!(world.post("/_simulator/time", "", &json!({ "stop": true })).json()["stopped"], true);
    world.pass(Duration::from_hours(5));
    assert_eq!(now(&world), "2024-09-02T08:15:30Z");
    world.post("/_simulator/time", "", &json!({ "advance": "1s" }));
    assert_eq!(now(&world), "2024-09-02T08:15:31Z");
    world.post("/_simulator/time", "", &json!({ "stop": false }));
    world.pass(Duration::from_secs(1));
    assert_eq!(now(&world), "2024-09-02T08:15:32Z");
}

#[test]
fn time_is_real_unless_told_otherwise_and_mistakes_are_explained() {
    let world = World::default();
    let refused = world.post("/_simulator/time", "", &json!({ "advance": "1h" }));
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("--time-control"));
    assert_eq!(world.get("/_simulator/time", "").json()["control"], false);
    let world = controlled();
    for body in
        [json!({ "advance": "soon" }), json!({ "set": "tomorrow" }), json!({}), json!({ "advance": 5 })]
    {
        assert_eq!(world.post("/_simulator/time", "", &body).status, 400, "{body}");
    }
    assert_eq!(world.post_text("/_simulator/time", "", "{").status, 400);
    assert_eq!(world.post("/_simulator/state/save", "", &json!({})).status, 409);
}

fn post_form(world: &World, path: &str, origin: Option<&str>, body: &str) -> Reply {
    let mut request = Request::post(path).header("Content-Type", "application/x-www-form-urlencoded");
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    world.send(request, body.to_owned())
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let world = World::default();
    world.simulator.add_fault("list:503".parse().unwrap(), world.now);
    let path = "/_simulator/faults/1/remove";
    for origin in [Some("https://evil.example"), Some("null"), Some("http://sim.example:8443"), None] {
        assert_eq!(post_form(&world, path, origin, "action=").status, 403, "{origin:?}");
    }
    let plain = Request::post("/_simulator/tokens/revoke").header("Content-Type", "text/plain");
    assert_eq!(world.send(plain, "{\"all\": true}").status, 415);
    assert_eq!(world.send(Request::post("/_simulator/tokens/revoke"), "").status, 415);
    let json = Request::post("/_simulator/faults")
        .header("Content-Type", "application/json")
        .header("Origin", "https://evil.example");
    assert_eq!(world.send(json, "{\"spec\": \"any:500\"}").status, 403);
    assert_eq!(world.simulator.faults(world.now).len(), 1);

    let own = post_form(&world, path, Some("https://sim.example:8443"), "action=");
    assert_eq!((own.status.as_u16(), own.header("location")), (303, "/"));
    assert!(world.simulator.faults(world.now).is_empty());
}

#[test]
fn the_page_shows_everything_and_escapes_what_strangers_wrote() {
    let faults = vec!["get:503,name=\"<b>x</b>\"".parse().unwrap()];
    let world = World::new(Settings { faults, ..Settings::default() });
    let nasty = "<script>alert('x')</script>\"&\u{202e}";
    world.create(nasty);
    world.get("/beta/\"onmouseover='alert(1)'", "");
    let form = "client_id=33333333-3333-3333-3333-333333333333&scope=EduAdministration.ReadWrite";
    let path = "/11111111-1111-1111-1111-111111111111/oauth2/v2.0/devicecode";
    let device = post_form(&world, path, None, form).json();
    let user_code = device["user_code"].as_str().unwrap();

    let page = world.get("/", "");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    let text = &page.text;
    assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}"), "{text}");
    assert!(text.contains("&lt;b&gt;x&lt;/b&gt;"), "{text}");
    for forbidden in ["<script", "<b>x", "\"onmouseover", "=\"http", "src="] {
        let body = text.split("</style>").nth(1).unwrap();
        assert!(!body.contains(forbidden), "{forbidden}: {body}");
    }
    for shown in
        ["11111111-1111-1111-1111-111111111111", "provisioning", "delegated", user_code, "Approve", "Remove"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(text.contains("2024-09-02 08:15:30 UTC"));
    assert!(!text.contains(device["device_code"].as_str().unwrap()));
    assert!(world.simulator.requests().iter().all(|request| request.path != "/"), "it is not logged");
}

#[test]
fn a_device_is_approved_by_the_button_of_the_page() {
    let world = World::default();
    let form = "client_id=33333333-3333-3333-3333-333333333333&scope=EduAdministration.ReadWrite";
    let tenant = "11111111-1111-1111-1111-111111111111";
    let device = post_form(&world, &format!("/{tenant}/oauth2/v2.0/devicecode"), None, form).json();
    let address = format!("/_simulator/devicecode/{}", device["user_code"].as_str().unwrap());
    assert!(world.get("/", "").text.contains(&format!("action=\"{address}\"")));
    let answer = post_form(&world, &address, Some("https://sim.example:8443"), "action=approve");
    assert_eq!(answer.status, 303);
    assert_eq!(world.get("/_simulator/devicecode", "").json(), Value::Array(Vec::new()));
}

#[test]
fn the_page_tells_that_the_service_is_down() {
    let world = World::default();
    world.simulator.set_unavailable(Some(503));
    assert!(world.get("/", "").text.contains("Every Graph call is answered 503."));
    world.simulator.plant(&profile("P"), world.now).unwrap();
    assert!(world.get("/", "").text.contains(">P</td>"));
}

#[test]
fn syncs_are_planted_while_it_runs() {
    let mut world = World::default();
    let id = world.provisioned(&support::bodies::one_roster());
    let plant = |body: Value| world.post("/_simulator/sync", "", &body);
    assert_eq!(plant(json!({ "id": id, "errors": 3 })).json(), json!({ "profilesWithErrors": 1 }));
    let count = |world: &World| world.get(&format!("{BETA}/{id}/errors/$count"), &world.app()).text;
    assert_eq!(count(&world), "3");
    assert_eq!(plant(json!({ "id": id, "outcome": "validationError", "errors": 1 })).status, 200);
    assert_eq!(count(&world), "4");
    for (body, status) in [
        (json!({ "errors": 3 }), 400),
        (json!({ "id": id }), 400),
        (json!({ "id": id, "errors": "many" }), 400),
        (json!({ "id": id, "outcome": "fine" }), 400),
        (json!({ "id": "no-such-id", "errors": 3 }), 404),
        (json!({ "displayName": "Nobody", "errors": 3 }), 404),
        (json!({ "displayName": "Somebody to come", "outcome": "error" }), 200),
    ] {
        assert_eq!(plant(body.clone()).status, status, "{body}");
    }
    let reset = world.call("POST", &format!("{BETA}/{id}/reset"), &world.app());
    assert_eq!(reset.status, 200);
    world.pass(world.simulator.settings().profiles.sync_time);
    let status = world.get(&format!("{BETA}/{id}/profileStatus"), &world.app()).json();
    assert_eq!(status["status"], "validationError");
}

#[test]
fn the_page_runs_its_own_script_only_and_renews_itself_by_it() {
    let page = World::default().get("/", "");
    assert!(
        page.text.contains("<noscript><meta http-equiv=\"refresh\""),
        "without a script it is loaded again"
    );
    let script = page.text.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, script.as_bytes());
    let digest = base64::engine::general_purpose::STANDARD.encode(digest.as_ref());
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("script-src 'sha256-{digest}'; connect-src 'self'")), "{policy}");
    assert_eq!(page.text.matches("<script").count(), 1);
}

#[test]
fn faults_that_are_over_are_grey_and_all_go_by_one_button() {
    let world = World::default();
    for spec in ["list:503", "get:503"] {
        world.simulator.add_fault(spec.parse().unwrap(), world.now);
    }
    world.get(BETA, "");
    let page = world.get("/", "").text;
    assert_eq!((page.matches("<tr class=over>").count(), page.matches(">set</span>").count()), (1, 1));
    let address = "/_simulator/faults/remove";
    assert!(page.contains(&format!("action=\"{address}\"")));
    assert_eq!(post_form(&world, address, None, "action=").status, 403);
    assert_eq!(post_form(&world, address, Some("https://sim.example:8443"), "action=").status, 303);
    assert!(world.simulator.faults(world.now).is_empty());
    assert!(!world.get("/", "").text.contains("Remove all faults"));
}
