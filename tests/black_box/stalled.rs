//! What no schema can see: the manifest is admitted, and the operator stops with a reason, once.
//!
//! All cases stand in one namespace, under one operator, so that what each costs while nobody mends it is what all of
//! them cost together: nothing but the list that everybody shares.

use std::collections::BTreeMap;

use edusync::api::{EducationSyncProfile, GraphConnection};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::complete;
use crate::mutate::merge;
use crate::scene::{COLLECTION, Scene, condition, foreign_body, profile_manifest, quick, spec};

/// A profile that the API server admits and nobody can create.
struct Case {
    name: &'static str,
    spec: Value,
    /// Merge patch for the connection of the scene, if it needs one of its own.
    connection: Option<Value>,
    reason: &'static str,
    /// The message names this.
    says: &'static str,
}

fn case(name: &'static str, change: Value, reason: &'static str, says: &'static str) -> Case {
    let mut spec = spec(name);
    merge(&mut spec, &change);
    Case { name, spec, connection: None, reason, says }
}

fn through(name: &'static str, connection: Value, reason: &'static str, says: &'static str) -> Case {
    let case = case(name, json!({"connectionRef": {"name": name}}), reason, says);
    Case { connection: Some(connection), ..case }
}

fn source(name: &'static str, secret: &str, key: &str, says: &'static str) -> Case {
    let mut provider = complete::profiles().pop().unwrap().1["dataProvider"].clone();
    provider["powerSchool"]["clientSecretRef"] = json!({"name": secret, "key": key});
    provider["csv"] = Value::Null;
    case(name, json!({"dataProvider": provider}), "CredentialsMissing", says)
}

const NOBODY: &str = "3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01";

fn about_profiles() -> Vec<Case> {
    let adopt = |adopt: Value| json!({"adopt": adopt, "deletionPolicy": "Retain"});
    vec![
        case(
            "no-connection",
            json!({"connectionRef": {"name": "nowhere"}}),
            "ConnectionNotFound",
            "GraphConnection named nowhere",
        ),
        source("no-secret", "nowhere", "clientSecret", "the key clientSecret of the Secret nowhere"),
        source("no-key", "source", "nowhere", "the key nowhere of the Secret source"),
        source("binary", "source", "binary", "not UTF-8"),
        source("empty", "source", "empty", "empty"),
        source("stolen", "graph", "refreshToken", "is a credential of the GraphConnection default"),
        case("too-late", json!({"expirationDate": "2099-12-31"}), "Rejected", "HTTP 400"),
        case("changed", json!({"expirationDate": "2099-12-31"}), "Rejected", "HTTP 400"),
        case("refused", json!({}), "Rejected", "HTTP 400"),
        case("forbidden", json!({}), "Forbidden", "HTTP 403"),
        case("failing", json!({}), "ProvisioningFailed", "could not set the profile up"),
        case("taken", json!({"displayName": "CAFÉ"}), "AlreadyExists", "adopt"),
        case("claimed", json!({"displayName": "THE FIRST"}), "AlreadyClaimed", "first"),
        case("adopts-nothing", adopt(json!({"profileId": NOBODY})), "AdoptionFailed", NOBODY),
        case("adopts-no-name", adopt(json!({"byDisplayName": true})), "AdoptionFailed", "adopts-no-name"),
        case(
            "adopts-one-of-two",
            json!({"displayName": "Twice", "adopt": {"byDisplayName": true}, "deletionPolicy": "Retain"}),
            "AdoptionFailed",
            "profileId",
        ),
    ]
}

fn about_connections() -> Vec<Case> {
    let application = |credential: Value| json!({"application": credential});
    let instead = |kind: &str, value: Value| application(json!({"clientSecretRef": null, kind: value}));
    let secret = |name: &str, key: &str| application(json!({"clientSecretRef": {"name": name, "key": key}}));
    vec![
        through(
            "other-endpoint",
            json!({"graph": {"endpoint": "https://graph.example"}}),
            "HostNotAllowed",
            "graph.example",
        ),
        through(
            "other-authority",
            json!({"authority": "https://login.example"}),
            "HostNotAllowed",
            "login.example",
        ),
        through("its-secret-lacks", secret("nowhere", "a"), "CredentialsMissing", "the Secret nowhere"),
        through("its-key-lacks", secret("graph", "nowhere"), "CredentialsMissing", "the key nowhere"),
        through("its-secret-is-binary", secret("odd", "binary"), "CredentialsMissing", "not UTF-8"),
        through("its-secret-is-empty", secret("odd", "empty"), "CredentialsMissing", "empty"),
        through("its-secret-is-wrong", secret("odd", "text"), "CredentialsInvalid", "client secret"),
        through(
            "its-token-is-wrong",
            json!({"delegated": {"refreshTokenRef": {"name": "odd", "key": "text"}}}),
            "CredentialsInvalid",
            "refresh token",
        ),
        through(
            "its-trust-lacks",
            json!({"caBundleRef": {"name": "graph", "key": "nowhere"}}),
            "CredentialsMissing",
            "the key nowhere",
        ),
        through(
            "its-trust-is-text",
            json!({"caBundleRef": {"name": "odd", "key": "text"}}),
            "CredentialsMissing",
            "no certificate in PEM form",
        ),
        through(
            "its-certificate-is-text",
            instead("certificateRef", json!({"name": "tls-of-text"})),
            "CredentialsInvalid",
            "tls-of-text",
        ),
        through(
            "its-identity-is-not-its-own",
            instead("workloadIdentity", json!({})),
            "NamespaceNotAllowed",
            "workloadIdentity",
        ),
        through(
            "its-node-is-not-its-own",
            instead("managedIdentity", json!({})),
            "NamespaceNotAllowed",
            "managedIdentity",
        ),
        through("its-tenant-is-none", json!({"tenantId": NOBODY}), "CredentialsInvalid", "tenant"),
        through(
            "its-client-is-none",
            application(json!({"clientId": NOBODY})),
            "CredentialsInvalid",
            "clientId",
        ),
        through(
            "its-administrators-client-is-none",
            json!({"delegated": {"clientId": NOBODY}}),
            "CredentialsInvalid",
            "clientId",
        ),
        through(
            "its-administrators-secret-is-wrong",
            json!({"delegated": {"clientSecretRef": {"name": "odd", "key": "text"}}}),
            "CredentialsInvalid",
            "client secret",
        ),
        through("moved", json!({"tenantId": NOBODY}), "ConnectionChanged", "tenant"),
        through("it-only-reads", json!({"delegated": null}), "Forbidden", "spec.delegated"),
    ]
}

async fn give_secrets(scene: &Scene) {
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let secret = |name: &str, data: &[(&str, &[u8])]| Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()),
        ..Secret::default()
    };
    let odd = secret("odd", &[("binary", &[0xff, 0xfe]), ("empty", b""), ("text", b"nonsense")]);
    let tls = secret("tls-of-text", &[("tls.crt", b"nonsense"), ("tls.key", b"nonsense")]);
    let source = secret("source", &[("binary", &[0xff, 0xfe]), ("empty", b"")]);
    for secret in [odd, tls, source] {
        api.create(&PostParams::default(), &secret).await.unwrap();
    }
}

/// What the tenant is like beforehand.
fn furnish(scene: &Scene) {
    // A decomposed name, and the composed one of the case: the same to a reader, and to edusync.
    for name in ["Cafe\u{301}", "Twice", "Twice"] {
        scene.simulator.plant(foreign_body(name)).unwrap();
    }
    scene.simulator.fault("create:400,name=refused").unwrap();
    scene.simulator.fault("create:403,name=forbidden").unwrap();
    scene.simulator.fail_provisioning("failing");
}

async fn apply(scene: &Scene, case: &Case) {
    if let Some(change) = &case.connection {
        let mut connection = scene.connection_manifest();
        connection["metadata"]["name"] = json!(case.name);
        merge(&mut connection["spec"], change);
        scene.apply::<GraphConnection>(connection).await.unwrap();
    }
    scene.apply::<EducationSyncProfile>(profile_manifest(case.name, case.spec.clone())).await.unwrap();
}

/// What was asked of Graph beside the list of profiles, and how many tokens were asked for.
fn calls(scene: &Scene) -> (BTreeMap<String, usize>, usize) {
    let (mut calls, mut tokens) = (BTreeMap::new(), 0);
    for request in scene.simulator.requests() {
        if request.path.contains("/oauth2/") {
            tokens += 1;
        } else if (request.method.as_str(), request.path.as_str()) != ("GET", COLLECTION) {
            *calls.entry(format!("{} {} {}", request.method, request.path, request.status)).or_default() += 1;
        }
    }
    (calls, tokens)
}

/// Writes about profiles. A connection tells how many use it some seconds later, which is bounded elsewhere.
fn writes(scene: &Scene) -> usize {
    let writes = scene.world.operator_writes(&scene.namespace);
    writes.iter().filter(|entry| entry.resource != "graphconnections").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_schema_can_see_stops_once_with_a_reason() {
    let mut scene = Scene::without_operator("stalled", quick()).await;
    give_secrets(&scene).await;
    furnish(&scene);
    scene.start_operator();
    // These are good at first; two of them are then changed into what nobody can carry out.
    for (name, display_name) in [("first", "The first"), ("changed", "changed"), ("moved", "moved")] {
        scene.create(name, spec(display_name)).await;
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    let cases: Vec<Case> = about_profiles().into_iter().chain(about_connections()).collect();
    for case in &cases {
        apply(&scene, case).await;
    }
    let mut complaints = Vec::new();
    for case in &cases {
        let stalled = scene
            .until(case.name, "Stalled", |profile| {
                condition(profile, "Stalled").is_some_and(|s| s.0 == "True")
            })
            .await;
        let (_, reason, message) = condition(&stalled, "Stalled").unwrap();
        if reason != case.reason || !message.contains(case.says) {
            complaints.push(format!("{} is {reason}, not {}: {message}", case.name, case.reason));
        }
        assert_eq!(condition(&stalled, "Ready").unwrap().0, "False", "{}", case.name);
        assert_eq!(condition(&stalled, "Reconciling"), None, "{}", case.name);
    }
    assert!(complaints.is_empty(), "{complaints:#?}");

    scene.lists_pass(4).await;
    let (calls_before, tokens_before) = calls(&scene);
    let writes_before = writes(&scene);
    scene.lists_pass(10).await;
    let (calls, tokens) = calls(&scene);
    assert_eq!(calls, calls_before, "nothing but lists");
    // A refused credential is shown again after a minute, which may be over by now.
    let refused = cases.iter().filter(|case| case.reason == "CredentialsInvalid").count();
    assert!(tokens <= tokens_before + refused, "{} token requests more", tokens - tokens_before);
    assert_eq!(writes(&scene), writes_before, "no write");
    assert!(!scene.operator_log().contains("panicked"));
}
