//! The token endpoint, and what its tokens may do.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{EXAMPLE_CLIENT_ID, EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_TENANT, PrincipalKind, Settings};
use serde_json::Value;
use support::{BETA, Reply, World, profile};

const GRAPH: &str = "https://graph.microsoft.com/.default";

#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str, code: u32) {
    assert_eq!(reply.status, status, "{}", reply.text);
    let body = reply.json();
    assert_eq!(body["error"], error, "{body}");
    assert_eq!(body["error_codes"], Value::from(vec![code]), "{body}");
    let description = body["error_description"].as_str().unwrap();
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
    assert_eq!(body["timestamp"], "2024-09-02 08:15:30Z");
    assert_eq!(body["trace_id"], reply.header("x-ms-request-id"));
    assert!(body["correlation_id"].is_string());
}

#[test]
fn client_credentials_are_refused_with_the_documented_errors() {
    let world = World::default();
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT_ID),
        ("client_secret", "example-client-secret"),
        ("scope", GRAPH),
    ];
    let with = |name: &str, value: &'static str| {
        let fields = good.map(|(key, old)| (key, if key == name { value } else { old }));
        world.token_request(EXAMPLE_TENANT, &fields)
    };
    refused(&world.token_request("no-such-tenant", &good), 400, "invalid_request", 90_002);
    refused(&with("client_secret", "wrong"), 401, "invalid_client", 7_000_215);
    refused(&with("client_secret", ""), 401, "invalid_client", 7_000_218);
    refused(&with("client_id", "44444444-4444-4444-4444-444444444444"), 400, "unauthorized_client", 700_016);
    refused(&with("client_id", EXAMPLE_PUBLIC_CLIENT_ID), 400, "unauthorized_client", 700_025);
    refused(&with("grant_type", "password"), 400, "unsupported_grant_type", 70_003);
    refused(&with("scope", "https://graph.microsoft.com/User.Read"), 400, "invalid_scope", 70_011);
    refused(&with("scope", "https://vault.azure.net/.default"), 400, "invalid_scope", 70_011);
    for missing in ["grant_type", "client_id", "scope"] {
        refused(&with(missing, ""), 400, "invalid_request", 900_144);
    }
    assert_eq!(with("scope", "https://sim.example:8443/.default").status, 200, "its own base is Graph, too");
}

#[test]
fn the_answer_for_client_credentials_has_no_delegated_parts() {
    let world = World::default();
    let reply = world.token_request(
        EXAMPLE_TENANT,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", EXAMPLE_CLIENT_ID),
            ("client_secret", "example-client-secret"),
            ("scope", GRAPH),
        ],
    );
    let body = reply.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3599);
    assert_eq!(body["ext_expires_in"], 3599);
    assert_eq!((&body["scope"], &body["refresh_token"]), (&Value::Null, &Value::Null));
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
}

#[test]
fn a_refresh_gives_a_new_refresh_token_and_both_stay_valid() {
    let world = World::default();
    let refresh = |token: &str| {
        world.token_request(
            EXAMPLE_TENANT,
            &[
                ("grant_type", "refresh_token"),
                ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
                ("refresh_token", token),
                ("scope", "https://graph.microsoft.com/EduAdministration.ReadWrite offline_access"),
            ],
        )
    };
    let body = refresh("0.example-refresh-token").json();
    assert_eq!(body["scope"], "https://graph.microsoft.com/EduAdministration.ReadWrite");
    let next = body["refresh_token"].as_str().unwrap();
    assert_ne!(next, "0.example-refresh-token");
    assert_eq!(refresh(next).status, 200);
    assert_eq!(refresh("0.example-refresh-token").status, 200);
    refused(&refresh("0.something-else"), 400, "invalid_grant", 70_000);
    refused(&refresh(""), 400, "invalid_request", 900_144);
}

#[test]
fn a_refresh_by_a_confidential_client_checks_the_secret_it_is_given() {
    let world = World::default();
    let refresh = |client: &str, secret: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("client_secret", secret),
            ("refresh_token", "0.example-refresh-token"),
        ];
        world.token_request(EXAMPLE_TENANT, &fields)
    };
    assert_eq!(refresh(EXAMPLE_CLIENT_ID, "example-client-secret").status, 200);
    assert_eq!(refresh(EXAMPLE_CLIENT_ID, "").status, 200);
    refused(&refresh(EXAMPLE_CLIENT_ID, "wrong"), 401, "invalid_client", 7_000_215);
    refused(&refresh(EXAMPLE_PUBLIC_CLIENT_ID, "any"), 401, "invalid_client", 700_025);
}

#[test]
fn a_refresh_token_belongs_to_its_tenant() {
    let other = "55555555-5555-5555-5555-555555555555";
    let world = World::new(Settings { extra_tenants: vec![other.to_owned()], ..Settings::default() });
    let refresh = |tenant: &str, token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
            ("refresh_token", token),
        ];
        world.token_request(tenant, &fields)
    };
    let next = refresh(other, "0.example-refresh-token").json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refresh(other, &next).status, 200);
    refused(&refresh(EXAMPLE_TENANT, &next), 400, "invalid_grant", 70_000);
}

#[test]
fn only_a_form_is_a_token_request_and_only_by_post() {
    let world = World::default();
    let path = format!("/{EXAMPLE_TENANT}/oauth2/v2.0/token");
    let json = http::Request::post(&path).header("Content-Type", "application/json");
    refused(&world.send(json, r#"{"grant_type":"client_credentials"}"#), 400, "invalid_request", 900_144);
    refused(&world.call("GET", &path, ""), 405, "invalid_request", 900_561);
}

#[test]
fn graph_refuses_missing_unknown_and_expired_tokens() {
    let mut world = World::default();
    let token = world.app();
    assert_eq!(world.get(BETA, &token).status, 200);
    let missing = world.get(BETA, "");
    assert_eq!(missing.refusal(401, "InvalidAuthenticationToken"), "Access token is empty.");
    assert!(missing.header("www-authenticate").starts_with("Bearer realm="));
    world.get(BETA, "made-up").refusal(401, "InvalidAuthenticationToken");

    world.pass(Duration::from_secs(3598));
    assert_eq!(world.get(BETA, &token).status, 200);
    world.pass(Duration::from_secs(1));
    let expired = world.get(BETA, &token).refusal(401, "InvalidAuthenticationToken");
    assert_eq!(expired, "Access token has expired or is not yet valid.");
    world.app();
    let still = world.get(BETA, &token).refusal(401, "InvalidAuthenticationToken");
    assert_eq!(still, expired, "a new token does not make the old one unknown");
}

#[test]
fn app_only_tokens_read_and_run_but_never_change() {
    let world = World::default();
    let id = world.create("P");
    let app = world.app();
    let item = format!("{BETA}/{id}");
    assert_eq!(world.get(&item, &app).status, 200);
    assert_eq!(world.call("POST", &format!("{item}/pause"), &app).status, 200);
    let message = "The caller does not have the permission this operation needs.";
    assert_eq!(world.post(BETA, &app, &profile("Q")).refusal(403, "Forbidden"), message);
    for (method, path) in [("PUT", BETA), ("PUT", &item), ("PATCH", &item), ("DELETE", &item)] {
        assert_eq!(world.call(method, path, &app).refusal(403, "Forbidden"), message, "{method}");
    }
    let principals: Vec<_> = world.simulator.requests().iter().map(|request| request.principal).collect();
    assert!(principals.contains(&Some(PrincipalKind::App)));
    assert!(principals.contains(&Some(PrincipalKind::Delegated)));
}

#[test]
fn a_read_permission_only_reads() {
    let world = World::new(Settings {
        app_roles: vec!["EduAdministration.Read.All".to_owned()],
        delegated_scopes: vec!["EduAdministration.Read".to_owned()],
        ..Settings::default()
    });
    // To create, there is no application permission at all, and a delegated one that is missing here.
    for (token, create) in [(world.app(), "Forbidden"), (world.delegated(), "Authorization_RequestDenied")] {
        assert_eq!(world.get(BETA, &token).status, 200);
        world.get(&format!("{BETA}/1/uploadUrl"), &token).refusal(403, "Authorization_RequestDenied");
        for action in ["pause", "resume", "reset", "start"] {
            world
                .call("POST", &format!("{BETA}/1/{action}"), &token)
                .refusal(403, "Authorization_RequestDenied");
        }
        for read in ["profileStatus", "errors", "errors/$count", "errors/2"] {
            world.get(&format!("{BETA}/1/{read}"), &token).refusal(404, "NotFound");
        }
        world.post(BETA, &token, &profile("P")).refusal(403, create);
    }
    let nobody = World::new(Settings { app_roles: Vec::new(), ..Settings::default() });
    nobody.get(BETA, &nobody.app()).refusal(403, "Authorization_RequestDenied");
}

#[test]
fn a_scope_without_consent_is_refused() {
    let world = World::default();
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", EXAMPLE_PUBLIC_CLIENT_ID),
        ("refresh_token", "0.example-refresh-token"),
        ("scope", "https://graph.microsoft.com/Directory.ReadWrite.All"),
    ];
    refused(&world.token_request(EXAMPLE_TENANT, &fields), 400, "invalid_grant", 65_001);
}

#[test]
fn the_token_decides_the_tenant() {
    let other = "55555555-5555-5555-5555-555555555555";
    let world = World::new(Settings { extra_tenants: vec![other.to_owned()], ..Settings::default() });
    let id = world.create("P");
    let stranger = world.delegated_in(other);
    world.get(&format!("{BETA}/{id}"), &stranger).refusal(404, "NotFound");
    world.call("DELETE", &format!("{BETA}/{id}"), &stranger).refusal(404, "NotFound");
    assert_eq!(world.get(BETA, &stranger).json()["value"], Value::Array(Vec::new()));
    assert_eq!(world.simulator.profiles(world.now)[0]["tenantId"], EXAMPLE_TENANT);
}

#[test]
fn tokens_differ_and_a_seed_repeats_them() {
    let world = || World::new(Settings { seed: Some(7), ..Settings::default() });
    let (one, two) = (world(), world());
    let first = one.app();
    assert_eq!(first, two.app());
    assert_ne!(first, one.app());
    assert_ne!(World::default().app(), World::default().app());
}
