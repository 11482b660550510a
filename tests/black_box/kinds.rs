//! Every kind of application credential, from the manifest to Graph: its own grant reads, the administrator's writes.

use std::io::Write as _;
use std::sync::LazyLock;

use edusync::api::GraphConnection;
use edusync::clock::Clock;
use graph_simulator::{ClientCertificate, FederatedCredential, IssuerKeys, PrincipalKind, Settings};
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::scene::{Scene, quick, spec};

const ISSUER: &str = "https://oidc.cluster.example/";
const SUBJECT: &str = "system:serviceaccount:edusync-system:edusync";

/// One for all tests: RSA keys are slow to make.
pub static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

/// The connection with another application credential beside the refresh token; what was applied.
pub async fn apply_connection(scene: &Scene, kind: &str, credential: Value) -> Value {
    let mut connection = scene.connection_manifest();
    let client_id = connection["spec"]["application"]["clientId"].clone();
    connection["spec"]["application"] = json!({"clientId": client_id, kind: credential});
    scene.apply::<GraphConnection>(connection.clone()).await.unwrap();
    connection
}

/// A life of a profile, in which each call is made by the token that it should be made by.
async fn lives_and_dies(scene: &Scene, connection: &Value) {
    scene.until_connection_is("True", "Connected").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    crate::gitops::nothing_is_changed(scene, "tests", connection).await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
    let requests = scene.simulator.requests();
    for request in &requests {
        let by = match request.operation {
            "list" | "get" => PrincipalKind::App,
            "create" | "delete" => PrincipalKind::Delegated,
            _ => continue,
        };
        let told = format!("{} {}", request.operation, request.status);
        assert_eq!(request.principal, Some(by), "{told}");
    }
    for operation in ["list", "create", "delete"] {
        assert!(requests.iter().any(|request| request.operation == operation), "{operation}");
    }
    let refreshed = tokens(scene, "refresh_token");
    assert_eq!(refreshed.len(), 1, "the administrator's token was got once: {refreshed:?}");
}

/// The forms of all token requests of a grant, each of which got its token.
fn tokens(scene: &Scene, grant: &str) -> Vec<Value> {
    let all = scene.simulator.requests().into_iter();
    let of_grant =
        all.filter(|request| request.operation == "token" && request.grant.as_deref() == Some(grant));
    let with_form = of_grant.map(|request| {
        assert_eq!(request.status, 200, "{grant}");
        request.body.unwrap()
    });
    with_form.collect()
}

/// The one request for the application's token showed an assertion, and no secret.
fn asserted_once(scene: &Scene) {
    let shown = tokens(scene, "client_credentials");
    assert_eq!(shown.len(), 1, "{shown:?}");
    let fields = shown[0].as_object().unwrap();
    assert!(fields.contains_key("client_assertion") && !fields.contains_key("client_secret"), "{fields:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_reads_and_the_administrator_writes() {
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&*KEY).unwrap().pem();
    let registered = ClientCertificate::from_pem(&certificate).unwrap();
    let settings = Settings { client_certificates: vec![registered], ..quick() };
    let mut scene = Scene::without_operator("by-certificate", settings).await;
    let pair = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"},
        "stringData": {"tls.crt": certificate, "tls.key": KEY.serialize_pem()}
    });
    scene.apply::<Secret>(pair).await.unwrap();
    let connection = apply_connection(&scene, "certificateRef", json!({"name": "tls"})).await;
    scene.start_operator();
    lives_and_dies(&scene, &connection).await;
    asserted_once(&scene);
}

/// A token as Kubernetes signs it for a pod.
fn service_account_token() -> String {
    let now = Clock::of_this_machine().now().as_second();
    let claims = json!({
        "iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"],
        "iat": now, "nbf": now, "exp": now + 3600
    });
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(KEY.serialize_pem().as_bytes()).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_identity_reads_and_the_administrator_writes() {
    let keys = IssuerKeys::from_text(&KEY.public_key_pem()).unwrap();
    let credential = FederatedCredential::new(ISSUER, SUBJECT, keys);
    let settings = Settings { federated_credentials: vec![credential], ..quick() };
    let scene = Scene::without_operator("by-workload", settings).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", service_account_token()).unwrap();
    let (namespace, path) = (scene.namespace.clone(), file.path().to_str().unwrap());
    let mut scene =
        scene.with_flags(&["--operator-identity-namespace", &namespace, "--federated-token-file", path]);
    let connection = apply_connection(&scene, "workloadIdentity", json!({})).await;
    scene.start_operator();
    lives_and_dies(&scene, &connection).await;
    asserted_once(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_identity_reads_and_the_administrator_writes() {
    let settings = Settings { identity_port: Some(0), ..quick() };
    let scene = Scene::without_operator("by-machine", settings).await;
    let machine = scene.simulator.identity_url().unwrap();
    let namespace = scene.namespace.clone();
    let mut scene = scene.with_flags(&[
        "--operator-identity-namespace",
        &namespace,
        "--managed-identity-endpoint",
        &machine,
    ]);
    let connection = apply_connection(&scene, "managedIdentity", json!({})).await;
    // As the real one answers while it is updated.
    scene.simulator.fault("identity:410").unwrap();
    scene.start_operator();
    lives_and_dies(&scene, &connection).await;
    assert!(tokens(&scene, "client_credentials").is_empty());
    let requests = scene.simulator.requests();
    let asked: Vec<_> = requests.iter().filter(|request| request.operation == "identity").collect();
    let told: Vec<_> = asked.iter().map(|request| (request.status, request.principal)).collect();
    assert_eq!(told, [(410, None), (200, Some(PrincipalKind::App))]);
}
