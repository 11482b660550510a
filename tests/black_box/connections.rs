//! What a connection says of itself: how many use it, what its credentials may do, when they end, and how
//! Graph stands. And what it costs to say it.

use edusync::api::GraphConnection;
use edusync::api::connection::{Access, GraphConnectionStatus};
use edusync::clock::Clock;
use graph_simulator::{ClientCertificate, Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use rcgen::CertificateParams;
use serde_json::json;

use crate::cli::edusync;
use crate::cost::{writes, writes_once_logged};
use crate::kinds::{KEY, apply_connection};
use crate::scene::{Scene, condition, quick, spec};

const CONNECTIONS: &str = "graphconnections";

/// Status and reason of a condition.
fn told<'a>(status: &'a GraphConnectionStatus, kind: &str) -> Option<(&'a str, &'a str)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((&found.status, &found.reason))
}

fn message(status: &GraphConnectionStatus, kind: &str) -> String {
    status.conditions.iter().find(|condition| condition.type_ == kind).unwrap().message.clone()
}

fn access(status: &GraphConnectionStatus) -> (Access, Access) {
    let permissions = status.permissions.unwrap();
    (permissions.read, permissions.write)
}

async fn columns(scene: &Scene, wide: &str) -> Vec<String> {
    let mut kubectl = scene.world.kubectl(["get", "gc", "--namespace", &scene.namespace, "-o", wide]);
    let output = tokio::task::spawn_blocking(move || kubectl.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_shows_what_use_has_shown_in_few_writes() {
    let mut scene = Scene::begin("gc-use").await;
    scene.until_connection_is("True", "Connected").await;
    let unused = scene.connections().get("default").await.unwrap().status.unwrap();
    assert_eq!((access(&unused), unused.profiles), ((Access::Allowed, Access::Unknown), Some(0)));
    assert_eq!(told(&unused, "Writable"), None);
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let used = scene
        .until_connection("used", |connection| {
            connection.profiles == Some(1) && access(connection) == (Access::Allowed, Access::Allowed)
        })
        .await;
    assert_eq!(told(&used, "Writable"), Some(("True", "ChangesPermitted")));
    let written = writes_once_logged(&scene, CONNECTIONS, 3).await;
    assert_eq!(written[..3], ["update status", "patch", "update status"], "connected, held, used");
    // The answer to the create may be shown a moment before the profile that came of it.
    assert!(written.len() <= 4, "{written:?}");
    let seen = columns(&scene, "wide").await;
    assert_eq!(seen[0], "NAME TENANT PROFILES READY REASON AGE ENDPOINT WRITE EXPIRES MESSAGE");
    assert!(seen[1].contains(" 1 True Connected ") && seen[1].contains(" Allowed "), "{}", seen[1]);

    // What was shown is known to the next operator, which writes nothing for it.
    scene.terminate_operator();
    scene.start_operator();
    scene.lists_pass(2).await;
    assert_eq!(writes(&scene, CONNECTIONS), written);
    let still = scene.connections().get("default").await.unwrap().status.unwrap();
    assert_eq!(still, used);

    // Other credentials have shown nothing.
    let mut other = scene.connection_manifest();
    other["spec"]["graph"]["pollInterval"] = json!("5s");
    scene.apply::<GraphConnection>(other).await.unwrap();
    let renewed = scene
        .until_connection("begun anew", |connection| {
            connection.credentials.as_ref().unwrap().version != used.credentials.as_ref().unwrap().version
        })
        .await;
    assert_eq!((access(&renewed), told(&renewed, "Writable")), ((Access::Allowed, Access::Unknown), None));
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let empty = scene.until_connection("unused", |connection| connection.profiles == Some(0)).await;
    assert_eq!(access(&empty), (Access::Allowed, Access::Allowed), "by the delete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_creates_is_no_burst_of_writes_to_the_connection() {
    let scene = Scene::begin("gc-burst").await;
    scene.until_connection_is("True", "Connected").await;
    let before = writes(&scene, CONNECTIONS).len();
    let began = tokio::time::Instant::now();
    for number in 0..40 {
        scene.create(&format!("profile-{number}"), spec(&format!("Profile {number}"))).await;
    }
    scene.until_connection("counted", |connection| connection.profiles == Some(40)).await;
    let made = writes_once_logged(&scene, CONNECTIONS, before + 1).await.len() - before;
    // The finalizer, the first one with what it showed, and one for each five seconds.
    let most = 4 + usize::try_from(began.elapsed().as_secs() / 5).unwrap();
    assert!(made <= most, "{made} writes for 40 profiles in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_administrator_shows_before_anybody_needs_him_and_is_noticed_when_he_signs_in_again() {
    let mut scene = Scene::without_operator("gc-refused", quick()).await;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    let put = async |token: &str| {
        let patch = Patch::Merge(json!({"stringData": {"refreshToken": token}}));
        secrets.patch("graph", &PatchParams::default(), &patch).await.unwrap();
    };
    put("revoked").await;
    scene.start_operator();
    let refused = scene
        .until_connection("refused", |connection| {
            told(connection, "Writable") == Some(("False", "CredentialsInvalid"))
                && told(connection, "Ready") == Some(("True", "Connected"))
        })
        .await;
    assert_eq!(access(&refused), (Access::Allowed, Access::Unauthorized));
    let sentence = message(&refused, "Writable");
    assert!(sentence.contains("AADSTS") && sentence.contains("sign in again"), "{sentence}");
    assert_eq!(told(&refused, "Stalled"), None, "profiles can be read");
    scene.until_events_are("default", &["Connected", "CredentialsInvalid"]).await;
    let screen = edusync(&scene, &["status"]).await.ended_with(2);
    assert!(screen.out.contains("Writable: Profiles cannot be changed"), "{}", screen.out);

    // Nobody touches the connection, and no profile asks for it.
    put(&scene.simulator.settings().refresh_token).await;
    let mended = scene.until_connection("mended", |connection| told(connection, "Writable").is_none()).await;
    assert_eq!(access(&mended), (Access::Allowed, Access::Unknown));
    edusync(&scene, &["status"]).await.ended_with(0);
    let requests = scene.world.operator_requests(&scene.namespace);
    let of_secrets: Vec<_> = requests.iter().filter(|request| request.resource == "secrets").collect();
    assert!(!of_secrets.is_empty());
    for request in of_secrets {
        let name = request.name.as_deref();
        let is_own = name == Some("edusync-refresh-tokens");
        assert!(is_own || (request.verb == "get" && name == Some("graph")), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_alone_shows_that_it_may_not_write() {
    let mut scene = Scene::without_operator("gc-apponly", quick()).await;
    let mut alone = scene.connection_manifest();
    alone["spec"].as_object_mut().unwrap().remove("delegated");
    scene.apply::<GraphConnection>(alone).await.unwrap();
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "Forbidden").await;
    let forbidden = scene
        .until_connection("forbidden", |connection| {
            told(connection, "Writable") == Some(("False", "Forbidden"))
        })
        .await;
    assert_eq!(access(&forbidden), (Access::Allowed, Access::Forbidden));
    assert!(message(&forbidden, "Writable").contains("no spec.delegated credential"));
    assert_eq!(forbidden.profiles, Some(0));
    scene.until_events_are("default", &["Connected", "Forbidden"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_suddenly_empty_shows_on_the_connection() {
    let scene = Scene::begin("gc-empty").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let before = scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_connection("used", |connection| connection.profiles == Some(1)).await;
    let fault = scene.simulator.fault("list:empty-list,times=always").unwrap();
    let empty = scene
        .until_connection("empty", |connection| told(connection, "Ready") == Some(("False", "UpstreamEmpty")))
        .await;
    assert!(message(&empty, "Stalled").contains("although 1 are known to be there"), "{empty:?}");
    assert_eq!(access(&empty).0, Access::Allowed, "it may be read");
    assert!(fault > 0);
    scene.simulator.clear_faults();
    scene.until_connection_is("True", "Connected").await;
    let after = scene.profiles().get("contoso").await.unwrap();
    assert_eq!(condition(&after, "Ready"), condition(&before, "Ready"));
    scene.until_events_are("default", &["Connected", "UpstreamEmpty"]).await;
}

/// A connection at rest that has one profile, and whose number is written.
async fn at_rest(scene: &Scene) -> usize {
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_connection("used", |connection| connection.profiles == Some(1)).await;
    writes_once_logged(scene, CONNECTIONS, 3).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_wait_is_not_written() {
    let scene = Scene::begin("gc-short").await;
    let before = at_rest(&scene).await;
    for struck in 1..=2 {
        scene.simulator.fault("list:429,retry-after=1,times=1").unwrap();
        let throttled = |scene: &Scene| {
            scene.requests("GET").iter().filter(|request| request.status == 429).count() == struck
        };
        scene.eventually("the 429", throttled).await;
        scene.lists_pass(2).await;
    }
    assert_eq!(writes(&scene, CONNECTIONS).len(), before);
    assert_eq!(scene.events("default").await, ["Connected"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_is_shown_with_its_end_in_two_writes() {
    let scene = Scene::begin("gc-long").await;
    let before = at_rest(&scene).await;
    scene.simulator.fault("list:429,retry-after=5,times=1").unwrap();
    let waiting = scene
        .until_connection("throttled", |connection| told(connection, "Ready") == Some(("False", "Throttled")))
        .await;
    let sentence = message(&waiting, "Ready");
    let until: jiff::Timestamp =
        sentence.split("until ").nth(1).unwrap().split(": ").next().unwrap().parse().unwrap();
    let left = until.duration_since(Clock::of_this_machine().now()).as_secs();
    assert!((0..=5).contains(&left), "{left} s: {sentence}");
    scene.until_connection_is("True", "Connected").await;
    scene.lists_pass(2).await;
    let written = writes_once_logged(&scene, CONNECTIONS, before + 2).await;
    assert_eq!(written[before..], ["update status", "update status"]);
    scene.until_events_are("default", &["Connected", "Throttled"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_told() {
    let now = Clock::of_this_machine().now();
    let end = (now.as_second() + 20 * 86_400).try_into().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.not_after = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(end);
    let certificate = parameters.self_signed(&*KEY).unwrap().pem();
    let registered = ClientCertificate::from_pem(&certificate).unwrap();
    let settings = Settings { client_certificates: vec![registered], ..quick() };
    let mut scene = Scene::without_operator("gc-expiring", settings).await;
    let pair = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"},
        "stringData": {"tls.crt": certificate, "tls.key": KEY.serialize_pem()}
    });
    scene.apply::<Secret>(pair).await.unwrap();
    apply_connection(&scene, "certificateRef", json!({"name": "tls"})).await;
    scene.start_operator();
    let told_of = scene
        .until_connection("expiring", |connection| told(connection, "Ready") == Some(("True", "Connected")))
        .await;
    assert_eq!(told(&told_of, "ExpiringSoon"), Some(("True", "ExpirationNear")));
    assert!(message(&told_of, "ExpiringSoon").contains("Secret tls"));
    let shown = told_of.credentials.unwrap().certificate_not_after.unwrap().0;
    assert_eq!(shown.as_second(), i64::try_from(end).unwrap());
    scene.until_events_are("default", &["Connected", "ExpiringSoon"]).await;
    assert!(columns(&scene, "wide").await[1].contains(&shown.to_string()));
    let screen = edusync(&scene, &["status"]).await.ended_with(2);
    assert!(screen.out.contains("ExpiringSoon: The certificate in the Secret tls"), "{}", screen.out);
}
