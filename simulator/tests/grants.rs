//! Refresh tokens over time, device codes, managed identities, and tokens that are taken back.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{
    EXAMPLE_CLIENT_ID, EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_REFRESH_TOKEN, EXAMPLE_TENANT, ManagedIdentity,
    RefreshTokenRotation, Settings,
};
use http::Request;
use serde_json::json;
use support::{BETA, Reply, World, access_token};

const DAY: Duration = Duration::from_hours(24);
const SCOPE: &str = "https://graph.microsoft.com/EduAdministration.ReadWrite offline_access";

#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str, codes: &[u32]) {
    assert_eq!(reply.status, status, "{}", reply.text);
    let body = reply.json();
    assert_eq!((&body["error"], &body["error_codes"]), (&json!(error), &json!(codes)), "{body}");
}

fn refresh(world: &World, token: &str) -> Reply {
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
        ("refresh_token", token),
        ("scope", SCOPE),
    ];
    world.token_request(EXAMPLE_TENANT, &fields)
}

fn next(reply: &Reply) -> String {
    reply.json()["refresh_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_used_refresh_token_dies_where_rotation_revokes() {
    let world =
        World::new(Settings { refresh_token_rotation: RefreshTokenRotation::Revoke, ..Settings::default() });
    let first = refresh(&world, EXAMPLE_REFRESH_TOKEN);
    refused(&refresh(&world, EXAMPLE_REFRESH_TOKEN), 400, "invalid_grant", &[70_000]);
    let second = refresh(&world, &next(&first));
    refused(&refresh(&world, &next(&first)), 400, "invalid_grant", &[70_000]);
    assert_eq!(refresh(&world, &next(&second)).status, 200);
    assert_eq!(world.get(BETA, &access_token(&first)).status, 200, "access tokens live on");
}

#[test]
fn a_refused_refresh_uses_no_token_up() {
    let world =
        World::new(Settings { refresh_token_rotation: RefreshTokenRotation::Revoke, ..Settings::default() });
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
        ("refresh_token", EXAMPLE_REFRESH_TOKEN),
        ("scope", "https://graph.microsoft.com/Directory.ReadWrite.All"),
    ];
    refused(&world.token_request(EXAMPLE_TENANT, &fields), 400, "invalid_grant", &[65_001]);
    assert_eq!(refresh(&world, EXAMPLE_REFRESH_TOKEN).status, 200);
}

#[test]
fn refresh_tokens_end_by_age_and_by_disuse() {
    let mut world = World::new(Settings { refresh_token_lifetime: Some(5 * DAY), ..Settings::default() });
    let first = next(&refresh(&world, EXAMPLE_REFRESH_TOKEN));
    world.pass(4 * DAY);
    let second = next(&refresh(&world, &first));
    world.pass(DAY);
    refused(&refresh(&world, &first), 400, "invalid_grant", &[70_008]);
    assert_eq!(refresh(&world, &second).status, 200);

    let mut world = World::new(Settings { refresh_token_idle: 3 * DAY, ..Settings::default() });
    let first = next(&refresh(&world, EXAMPLE_REFRESH_TOKEN));
    for _ in 0..3 {
        world.pass(2 * DAY);
        assert_eq!(refresh(&world, &first).status, 200, "use keeps it");
    }
    world.pass(3 * DAY);
    refused(&refresh(&world, &first), 400, "invalid_grant", &[700_082]);
    let description = refresh(&world, &first).json()["error_description"].to_string();
    assert!(description.contains("inactive for 72h"), "{description}");
}

fn start(world: &World, fields: &[(&str, &str)]) -> Reply {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::post(format!("/{EXAMPLE_TENANT}/oauth2/v2.0/devicecode"))
        .header("Content-Type", "application/x-www-form-urlencoded");
    world.send(request, form)
}

/// A device code and its user code.
fn started(world: &World) -> (String, String) {
    let reply = start(world, &[("client_id", EXAMPLE_PUBLIC_CLIENT_ID), ("scope", SCOPE)]);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!((&body["expires_in"], &body["interval"]), (&json!(900), &json!(5)));
    assert_eq!(body["verification_uri"], "https://sim.example:8443/");
    let user_code = body["user_code"].as_str().unwrap().to_owned();
    assert!(body["message"].as_str().unwrap().contains(&user_code));
    (body["device_code"].as_str().unwrap().to_owned(), user_code)
}

fn poll(world: &World, device_code: &str) -> Reply {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
        ("device_code", device_code),
    ];
    world.token_request(EXAMPLE_TENANT, &fields)
}

fn judge(world: &World, user_code: &str, action: &str) -> Reply {
    world.post(&format!("/_simulator/devicecode/{user_code}"), "", &json!({ "action": action }))
}

#[test]
fn a_device_waits_for_a_person_and_gets_a_delegated_token_once() {
    let mut world = World::default();
    let (device, user) = started(&world);
    refused(&poll(&world, &device), 400, "authorization_pending", &[70_016]);
    refused(&poll(&world, &device), 400, "slow_down", &[]);
    world.pass(Duration::from_secs(5));
    refused(&poll(&world, &device), 400, "authorization_pending", &[70_016]);
    let waiting = world.get("/_simulator/devicecode", "").json();
    assert_eq!((&waiting[0]["userCode"], waiting.as_array().unwrap().len()), (&json!(user), 1));

    assert_eq!(judge(&world, &user.to_lowercase(), "approve").status, 200);
    assert_eq!(judge(&world, &user, "approve").status, 404, "it waits no more");
    let token = poll(&world, &device);
    let body = token.json();
    assert_eq!(body["scope"], "https://graph.microsoft.com/EduAdministration.ReadWrite");
    assert_eq!(refresh(&world, &next(&token)).status, 200);
    assert_eq!(
        world.post(BETA, &access_token(&token), &support::profile("P")).status,
        201,
        "it is delegated"
    );
    refused(&poll(&world, &device), 400, "bad_verification_code", &[70_018]);
    let log = serde_json::to_string(&world.simulator.requests()).unwrap();
    assert!(!log.contains(&device), "{log}");
}

#[test]
fn a_device_is_declined_or_too_late_or_unknown() {
    let mut world = World::default();
    let (device, user) = started(&world);
    assert_eq!(judge(&world, &user, "maybe").status, 400);
    assert_eq!(judge(&world, &user, "deny").status, 200);
    refused(&poll(&world, &device), 400, "authorization_declined", &[]);
    let (device, user) = started(&world);
    world.pass(Duration::from_mins(15));
    refused(&poll(&world, &device), 400, "expired_token", &[70_019]);
    assert_eq!(judge(&world, &user, "approve").status, 404);
    refused(&poll(&world, "made-up"), 400, "bad_verification_code", &[70_018]);

    let client = ("client_id", EXAMPLE_CLIENT_ID);
    refused(&start(&world, &[client, ("scope", SCOPE)]), 401, "invalid_client", &[7_000_218]);
    let good = [client, ("scope", SCOPE), ("client_secret", "example-client-secret")];
    assert_eq!(start(&world, &good).status, 200);
    refused(&start(&world, &[("client_id", EXAMPLE_PUBLIC_CLIENT_ID)]), 400, "invalid_request", &[900_144]);
    let get = world.get(&format!("/{EXAMPLE_TENANT}/oauth2/v2.0/devicecode"), "");
    refused(&get, 405, "invalid_request", &[900_561]);
}

#[test]
fn devices_may_be_approved_by_themselves() {
    let mut world =
        World::new(Settings { device_code_approval: Some(Duration::from_secs(20)), ..Settings::default() });
    let (device, _) = started(&world);
    refused(&poll(&world, &device), 400, "authorization_pending", &[70_016]);
    world.pass(Duration::from_secs(20));
    assert_eq!(poll(&world, &device).status, 200);
}

fn identity(world: &World, query: &str) -> Reply {
    let request = Request::get(format!("/metadata/identity/oauth2/token?{query}")).header("Metadata", "true");
    world.send(request, "")
}

#[test]
fn a_managed_identity_needs_no_secret_and_answers_numbers_as_strings() {
    let named = ManagedIdentity {
        client_id: "66666666-6666-6666-6666-666666666666".to_owned(),
        object_id: Some("77777777-7777-7777-7777-777777777777".to_owned()),
        resource_id: Some("/subscriptions/s/identities/sds".to_owned()),
    };
    let mut identities = Settings::default().managed_identities;
    identities.push(named.clone());
    let world = World::new(Settings { managed_identities: identities, ..Settings::default() });
    let good = "api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com";
    let body = identity(&world, good).json();
    let now = world.now.as_second();
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!("86399"), &json!("Bearer")));
    assert_eq!(body["not_before"], now.to_string());
    assert_eq!(body["expires_on"], (now + 86_399).to_string());
    assert_eq!(body["client_id"], EXAMPLE_CLIENT_ID);
    assert_eq!(body["resource"], "https://graph.microsoft.com");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(world.get(BETA, token).status, 200);
    assert_eq!(world.post(BETA, token, &support::profile("P")).status, 403, "it is app-only");

    for selector in [
        "client_id=66666666-6666-6666-6666-666666666666",
        "object_id=77777777-7777-7777-7777-777777777777",
        "msi_res_id=%2Fsubscriptions%2Fs%2Fidentities%2Fsds",
    ] {
        assert_eq!(identity(&world, &format!("{good}&{selector}")).json()["client_id"], named.client_id);
    }
    let stranger = identity(&world, &format!("{good}&client_id=88888888-8888-8888-8888-888888888888"));
    assert_eq!(stranger.status, 400);
    let said = json!({ "error": "invalid_request", "error_description": "Identity not found" });
    assert_eq!(stranger.json(), said);
    assert_eq!(identity(&world, &format!("{good}&client_id=1&object_id=2")).status, 400);
}

#[test]
fn the_identity_endpoint_is_strict() {
    let world = World::default();
    let good = "api-version=2018-02-01&resource=https://graph.microsoft.com/";
    assert_eq!(identity(&world, good).status, 200);
    // Whoever came over plain HTTP came to another port than that of Graph.
    for own in ["https://127.0.0.1:8443", "https://localhost/", "https://[::1]:1", "https://sim.example:8443"]
    {
        let query = format!("api-version=2018-02-01&resource={own}");
        assert_eq!(identity(&world, &query).status, 200, "{own}");
    }
    let bare = world.get(&format!("/metadata/identity/oauth2/token?{good}"), "");
    assert_eq!((bare.status.as_u16(), &bare.json()["error"]), (400, &json!("invalid_request")));
    for query in [
        "resource=https://graph.microsoft.com",
        "api-version=2017-01-01&resource=https://graph.microsoft.com",
        "api-version=2018-02-01",
        "api-version=2018-02-01&scope=https://graph.microsoft.com/.default",
        "api-version=2018-02-01&resource=https://graph.microsoft.com/.default",
        "api-version=2018-02-01&resource=https://vault.azure.net",
        "api-version=2018-02-01&resource=https://localhost/.default",
        "api-version=2018-02-01&resource=http://localhost",
        "api-version=2018-02-01&resource=https://sim.example:1",
    ] {
        assert_eq!(identity(&world, query).status, 400, "{query}");
    }
    let post = Request::post(format!("/metadata/identity/oauth2/token?{good}")).header("Metadata", "true");
    assert_eq!(world.send(post, "").status, 405);
}

#[test]
fn tokens_can_be_taken_back_one_or_all() {
    let world = World::default();
    let (one, two, three) = (world.app(), world.app(), world.app());
    assert_eq!(world.post("/_simulator/tokens/revoke", "", &json!({ "token": one })).status, 200);
    let reply = world.get(BETA, &one);
    assert!(reply.refusal(401, "InvalidAuthenticationToken").contains("Continuous access evaluation"));
    let challenge = reply.header("www-authenticate");
    let claims = challenge.split("claims=\"").nth(1).unwrap().trim_end_matches('"');
    assert!(challenge.contains("error=\"insufficient_claims\""), "{challenge}");
    let claims = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let nbf = json!({ "essential": true, "value": world.now.as_second().to_string() });
    assert_eq!(claims["access_token"]["nbf"], nbf);

    assert_eq!(world.get(BETA, &two).status, 200);
    assert!(world.simulator.revoke_token(&two) && !world.simulator.revoke_token("made-up"));
    assert_eq!(world.get(BETA, &two).status, 401);
    let all = world.post("/_simulator/tokens/revoke", "", &json!({ "all": true })).json();
    assert_eq!(all["revoked"], 3);
    assert_eq!(world.get(BETA, &three).status, 401);
    assert_eq!(world.get(BETA, &world.app()).status, 200);
    assert_eq!(world.post("/_simulator/tokens/revoke", "", &json!({})).status, 400);
}

#[test]
fn endpoints_for_everybody_give_no_client_credentials() {
    let world = World::default();
    let reply = world.token_request("common", &[("grant_type", "client_credentials")]);
    refused(&reply, 400, "invalid_request", &[9_001_023]);
}
