//! Assertions in place of a secret: with a certificate, and with the token of a cluster.
#![cfg(test)]

mod support;

use graph_simulator::{
    ClientCertificate, EXAMPLE_CLIENT_ID, EXAMPLE_TENANT, FederatedCredential, IssuerKeys, Settings,
};
use serde_json::{Value, json};
use support::keys::{OTHER, OWN, Signer};
use support::{BETA, Reply, World, access_token};

const ISSUER: &str = "https://oidc.cluster.example/";
const SUBJECT: &str = "system:serviceaccount:sds-system:sds-operator";

fn world() -> World {
    let keys = IssuerKeys::from_text(&OWN.jwks("key-1")).unwrap();
    World::new(Settings {
        client_certificates: vec![ClientCertificate::from_pem(&OWN.certificate).unwrap()],
        federated_credentials: vec![FederatedCredential::new(ISSUER, SUBJECT, keys)],
        ..Settings::default()
    })
}

fn send(world: &World, assertion: &str) -> Reply {
    world.token_request(
        EXAMPLE_TENANT,
        &[
            ("grant_type", "client_credentials"),
            ("client_id", EXAMPLE_CLIENT_ID),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
            ("scope", "https://graph.microsoft.com/.default"),
        ],
    )
}

#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str, code: u32) {
    assert_eq!(reply.status, status, "{}", reply.text);
    let body = reply.json();
    assert_eq!((&body["error"], &body["error_codes"]), (&json!(error), &json!([code])), "{body}");
}

fn ps256(signer: &Signer) -> Value {
    json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": signer.x5t_s256() })
}

/// Claims at the world's time, with changes.
fn claims(world: &World, changes: &Value) -> Value {
    let now = world.now.as_second();
    let mut claims = json!({
        "aud": format!("https://login.microsoftonline.com/{EXAMPLE_TENANT}/oauth2/v2.0/token"),
        "iss": EXAMPLE_CLIENT_ID, "sub": EXAMPLE_CLIENT_ID,
        "jti": "9f1d2c3b-4a5e-4f60-8172-93a4b5c6d7e8", "nbf": now, "iat": now, "exp": now + 600
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_certificate_proves_the_client_in_both_forms() {
    let world = world();
    let good = send(&world, &OWN.sign(&ps256(&OWN), &claims(&world, &json!({}))));
    assert_eq!(good.json()["expires_in"], 3599);
    assert_eq!(world.get(BETA, &access_token(&good)).status, 200);
    let legacy = json!({ "alg": "RS256", "typ": "JWT", "x5t": OWN.x5t() });
    let own_address =
        json!({ "aud": format!("https://sim.example:8443/{EXAMPLE_TENANT}/oauth2/v2.0/token"), "nbf": null });
    assert_eq!(send(&world, &OWN.sign(&legacy, &claims(&world, &own_address))).status, 200);
}

#[test]
fn padding_is_taken_as_the_service_takes_it() {
    let world = world();
    let padded = OWN.sign_padded(&ps256(&OWN), &claims(&world, &json!({})));
    assert!(padded.contains('='), "{padded}");
    assert_eq!(send(&world, &padded).status, 200);
    let mut header = ps256(&OWN);
    header["x5t#S256"] = json!(format!("{}=", OWN.x5t_s256()));
    assert_eq!(send(&world, &OWN.sign(&header, &claims(&world, &json!({})))).status, 200);
}

#[test]
fn a_certificate_assertion_is_refused_for_what_is_wrong_with_it() {
    let world = world();
    let with = |changes: Value| send(&world, &OWN.sign(&ps256(&OWN), &claims(&world, &changes)));
    let now = world.now.as_second();
    refused(
        &with(json!({ "aud": "https://login.microsoftonline.com/common" })),
        401,
        "invalid_client",
        50_013,
    );
    refused(&with(json!({ "iss": "someone" })), 401, "invalid_client", 50_013);
    refused(&with(json!({ "sub": "someone" })), 401, "invalid_client", 50_013);
    refused(&with(json!({ "jti": null })), 401, "invalid_client", 50_013);
    refused(&with(json!({ "exp": now - 300 })), 401, "invalid_client", 500_133);
    refused(&with(json!({ "exp": null })), 401, "invalid_client", 500_133);
    refused(&with(json!({ "nbf": now + 301 })), 401, "invalid_client", 500_133);
    assert_eq!(with(json!({ "exp": now - 299, "nbf": now + 300 })).status, 200, "five minutes of skew");

    let good = claims(&world, &json!({}));
    let signed = |signer: &Signer, header: &Value| send(&world, &signer.sign(header, &good));
    refused(&signed(&OTHER, &ps256(&OWN)), 401, "invalid_client", 700_027);
    refused(&signed(&OTHER, &ps256(&OTHER)), 401, "invalid_client", 700_027);
    refused(&signed(&OWN, &json!({ "alg": "PS256", "x5t": OWN.x5t() })), 401, "invalid_client", 700_027);
    refused(
        &signed(&OWN, &json!({ "alg": "RS256", "x5t#S256": OWN.x5t_s256() })),
        401,
        "invalid_client",
        700_027,
    );
    refused(&signed(&OWN, &json!({ "alg": "none", "x5t": OWN.x5t() })), 401, "invalid_client", 700_027);
    let mut chain = ps256(&OTHER);
    chain["x5c"] = json!(["MIIB"]);
    refused(&signed(&OTHER, &chain), 401, "invalid_client", 700_030);
    refused(&send(&world, "no.jwt"), 400, "invalid_request", 50_027);
    refused(&send(&world, "a.b.c"), 400, "invalid_request", 50_027);
}

#[test]
fn the_kind_of_assertion_must_be_named() {
    let world = world();
    let assertion = OWN.sign(&ps256(&OWN), &claims(&world, &json!({})));
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", EXAMPLE_CLIENT_ID),
        ("client_assertion", assertion.as_str()),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    refused(&world.token_request(EXAMPLE_TENANT, &fields), 400, "invalid_request", 900_144);
    let wrong = [fields.as_slice(), &[("client_assertion_type", "saml")]].concat();
    let reply = world.token_request(EXAMPLE_TENANT, &wrong);
    assert_eq!((reply.status.as_u16(), &reply.json()["error_codes"]), (400, &json!([])));
}

fn federated(world: &World, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], "exp": world.now.as_second() + 3600
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn the_token_of_a_cluster_proves_the_client() {
    let world = world();
    let header = json!({ "alg": "RS256", "kid": "key-1" });
    let with = |changes: Value| send(&world, &OWN.sign(&header, &federated(&world, &changes)));
    let good = with(json!({}));
    let body = good.json();
    assert_eq!((&body["expires_in"], &body["refresh_in"]), (&json!(86_399), &json!(43_199)));
    assert_eq!(world.get(BETA, &access_token(&good)).status, 200);
    assert_eq!(with(json!({ "aud": "api://AzureADTokenExchange" })).status, 200);

    refused(&with(json!({ "iss": "https://oidc.cluster.example" })), 401, "invalid_client", 700_211);
    refused(&with(json!({ "aud": ["https://kubernetes.default.svc"] })), 401, "invalid_client", 700_212);
    refused(&with(json!({ "sub": "system:serviceaccount:default:default" })), 401, "invalid_client", 700_213);
    refused(&with(json!({ "sub": SUBJECT.to_uppercase() })), 401, "invalid_client", 7_002_138);
    refused(&with(json!({ "exp": world.now.as_second() - 300 })), 401, "invalid_client", 500_133);

    let claims = federated(&world, &json!({}));
    refused(&send(&world, &OTHER.sign(&header, &claims)), 401, "invalid_client", 700_027);
    let unknown_key = json!({ "alg": "RS256", "kid": "key-2" });
    refused(&send(&world, &OWN.sign(&unknown_key, &claims)), 401, "invalid_client", 700_027);
    refused(&send(&world, &OWN.sign(&json!({ "alg": "PS256" }), &claims)), 401, "invalid_client", 700_027);
}

#[test]
fn keys_may_be_pem_and_without_a_credential_nothing_matches() {
    let keys = IssuerKeys::from_text(&OWN.public_pem()).unwrap();
    let world = World::new(Settings {
        federated_credentials: vec![FederatedCredential::new(ISSUER, SUBJECT, keys)],
        ..Settings::default()
    });
    let header = json!({ "alg": "RS256", "kid": "any" });
    let assertion = OWN.sign(&header, &federated(&world, &json!({})));
    assert_eq!(send(&world, &assertion).status, 200);
    refused(&send(&World::default(), &assertion), 400, "invalid_request", 70_021);
}

#[test]
fn files_that_hold_no_key_are_explained() {
    let certificate = |text: &str| ClientCertificate::from_pem(text).err().unwrap();
    assert!(certificate("hello").contains("no certificate in PEM"));
    let elliptic = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
    assert!(certificate(&elliptic.cert.pem()).contains("no RSA key"));
    let keys = |text: &str| IssuerKeys::from_text(text).err().unwrap();
    assert!(keys("hello").contains("no RSA public key"));
    assert!(keys(&elliptic.signing_key.public_key_pem()).contains("no RSA public key"));
    assert!(keys("{\"keys\": []}").contains("no RSA public key"));
    assert!(keys("{\"keys\": 1}").contains("not a JSON Web Key Set"));
}
