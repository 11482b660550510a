//! The scene of the test: a secret of every kind where it belongs, and wrong ones where people put them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edusync::api::{EducationSyncProfile, GraphConnection};
use graph_simulator::{ClientCertificate, ProfileSettings, Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use super::foreign::{At, Foreign, Form, markers};
use super::marker::{Kind, Marker};
use super::spy::Spy;
use super::tunnel;
use crate::collector::Collector;
use crate::scene::{Scene, profile_manifest, quick, spec};

const CLIENT_SECRET: &str = "canary~client/secret+of=the&application 1";
const SEED: &str = "0.canary-seed_of-a.refresh-token";
pub const SOURCE_SECRET: &str = "canary~source/secret+\"quoted\"\\1";
pub const NEXT_SOURCE_SECRET: &str = "canary~the-next/source/secret";
const FEDERATED: &str = "eyJhbGciOiJSUzI1NiJ9.canary-federated-token.c2ln";
const COLLECTOR_KEY: &str = "canary-collector-key";
pub const PROXY_PASSWORD: &str = "canary-proxy-password";
/// Lower-case letters, digits and '-': Kubernetes takes it for a name and for a key.
pub const MISPLACED: &str = "ca9a0815-4f53-4d1e-9a53-b6f0c5b25d1e";
pub const IN_ADDRESS: &str = "canary-in-an-address";
/// In each cell of the files.
pub const CELL: &str = "canary-cell";
/// Broken on purpose: text that is not UTF-8.
const NOT_UTF8: &[u8] = b"canary~client/secret+of=the&application 1\xff";

/// The scene, and who looks on.
pub struct Stage {
    pub scene: Scene,
    pub spy: Arc<Spy>,
    pub collector: Collector,
    pub proxy: SocketAddr,
    pub folder: tempfile::TempDir,
    key: String,
}

impl Stage {
    pub async fn set() -> Self {
        let (certificate, key) = pair();
        let short = Duration::from_millis(200);
        let settings = Settings {
            client_secret: CLIENT_SECRET.to_owned(),
            refresh_token: SEED.to_owned(),
            client_certificates: vec![ClientCertificate::from_pem(&certificate).unwrap()],
            device_code_approval: Some(Duration::from_millis(100)),
            device_code_interval: Duration::from_secs(1),
            profiles: ProfileSettings {
                processing_time: short,
                sync_time: short,
                ..ProfileSettings::default()
            },
            ..quick()
        };
        let mut scene = Scene::behind_proxies("canary", settings).await;
        let foreign = Foreign::all().into_iter().map(|foreign| (client_id(foreign), foreign));
        let mut foreign: BTreeMap<String, Foreign> = foreign.collect();
        // It reads an empty list, and creates nothing.
        foreign.insert(WORKLOAD.to_owned(), Foreign { at: At::Create, form: Form::Page });
        let spy = Arc::new(Spy::saying(foreign));
        scene.gate().look_on(Arc::clone(&spy) as _);
        let proxy = tunnel::begin(Arc::clone(&spy), scene.detour.as_ref().unwrap().graph.address()).await;
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("federated-token");
        std::fs::write(&token_file, FEDERATED).unwrap();
        let collector = Collector::begin().await;
        let wanted = ("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), format!("x-api-key={COLLECTOR_KEY}"));
        let to_collector = [("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.url()), wanted];
        scene.environment = environment(proxy).into_iter().chain(to_collector).collect();
        let namespace = scene.namespace.clone();
        let flags = [
            "--operator-identity-namespace",
            &namespace,
            "--federated-token-file",
            token_file.to_str().unwrap(),
        ];
        let scene = scene
            .with_flags(&[&flags[..], &["--log-level", "trace", "--fast-poll-interval", "500ms"]].concat());
        let stage = Self { scene, spy, collector, proxy, folder, key };
        stage.write_secrets(&certificate).await;
        stage.write_connections().await;
        stage.write_profiles().await;
        stage
    }

    /// All that is looked for, with what came about by now.
    pub fn markers(&self) -> Vec<Marker> {
        let marker = |kind, text: &str| Marker { kind, text: text.to_owned() };
        let mut all = vec![
            marker(Kind::ClientSecret, CLIENT_SECRET),
            marker(Kind::RefreshToken, SEED),
            marker(Kind::SourceSecret, SOURCE_SECRET),
            marker(Kind::SourceSecret, NEXT_SOURCE_SECRET),
            marker(Kind::FederatedToken, FEDERATED),
            marker(Kind::AccessToken, "canary-access-token"),
            marker(Kind::ProxyPassword, PROXY_PASSWORD),
            marker(Kind::CollectorKey, COLLECTOR_KEY),
            marker(Kind::Misplaced, MISPLACED),
            marker(Kind::InAddress, IN_ADDRESS),
            marker(Kind::Cell, CELL),
        ];
        let lines = self.key.lines().filter(|line| !line.starts_with('-') && line.len() > 32);
        all.extend(lines.map(|line| marker(Kind::PrivateKey, line)));
        all.extend(markers());
        all.extend(self.spy.learnt());
        all
    }

    async fn write_secrets(&self, certificate: &str) {
        let ca = &self.scene.detour.as_ref().unwrap().ca_pem;
        let broken = self.key.replace("-----END", "----END");
        let tls = |certificate: &str, key: &str| json!({"tls.crt": certificate, "tls.key": key});
        for (name, data) in [
            ("certificate", tls(certificate, &self.key)),
            ("swapped", tls(&self.key, certificate)),
            ("broken-key", tls(certificate, &broken)),
            ("key-as-ca", json!({"ca.crt": format!("{}{ca}", self.key)})),
            ("broken-key-as-ca", json!({"ca.crt": broken})),
            ("source", json!({"clientSecret": SOURCE_SECRET})),
        ] {
            self.write_secret(json!({"metadata": {"name": name}, "stringData": data})).await;
        }
        let mut secret: Secret = serde_json::from_value(json!({"metadata": {"name": "not-utf8"}})).unwrap();
        let bytes = k8s_openapi::ByteString(NOT_UTF8.to_vec());
        secret.data = Some([("clientSecret".to_owned(), bytes)].into());
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    async fn write_secret(&self, secret: Value) {
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.scene.client.clone(), &self.scene.namespace)
    }

    async fn write_connections(&self) {
        // The one that every scene has leads straight to the simulator.
        self.scene.connections().delete("default", &DeleteParams::default()).await.unwrap();
        let settings = self.scene.simulator.settings();
        let client = settings.client_id.as_str();
        let secret_of = |name: &str, key: &str| json!({"name": name, "key": key});
        let with = |client: &str, more: (&str, Value)| json!({"clientId": client, more.0: more.1});
        let administrator = |client: &str| {
            json!({"clientId": client, "refreshTokenRef": secret_of("graph", "refreshToken"),
                "clientSecretRef": secret_of("graph", "clientSecret")})
        };
        let by_secret = |client: &str| with(client, ("clientSecretRef", secret_of("graph", "clientSecret")));
        let mut all = vec![
            (
                "default".to_owned(),
                json!({"application": by_secret(client), "delegated": administrator(client)}),
            ),
            (
                "signed-in".to_owned(),
                json!({"delegated": {
                "clientId": settings.public_client_id, "refreshTokenRef": secret_of("administrator", "refreshToken")}}),
            ),
            ("workload".to_owned(), json!({"application": with(WORKLOAD, ("workloadIdentity", json!({})))})),
        ];
        for name in ["certificate", "swapped", "broken-key"] {
            let application = with(client, ("certificateRef", json!({"name": name})));
            all.push((name.to_owned(), json!({"application": application})));
        }
        for name in ["not-utf8", "malformed"] {
            let application = with(client, ("clientSecretRef", secret_of(name, "clientSecret")));
            all.push((name.to_owned(), json!({"application": application})));
        }
        for name in ["key-as-ca", "broken-key-as-ca"] {
            let ca = secret_of(name, "ca.crt");
            all.push((name.to_owned(), json!({"application": by_secret(client), "caBundleRef": ca})));
        }
        let other = secret_of("certificate", "tls.crt");
        all.push(("untrusted".to_owned(), json!({"application": by_secret(client), "caBundleRef": other})));
        let misplaced = with(client, ("clientSecretRef", secret_of(MISPLACED, MISPLACED)));
        all.push(("misplaced".to_owned(), json!({"application": misplaced})));
        for foreign in Foreign::all() {
            let client = client_id(foreign);
            let delegated = administrator(&client);
            all.push((foreign.name(), json!({"application": by_secret(&client), "delegated": delegated})));
        }
        for (name, mut spec) in all {
            spec["tenantId"] = json!(settings.tenant);
            if spec.get("caBundleRef").is_none() {
                spec["caBundleRef"] = secret_of("graph", "ca.crt");
            }
            let manifest = json!({"apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
                "metadata": {"name": name}, "spec": spec});
            self.scene.apply::<GraphConnection>(manifest).await.unwrap();
        }
    }

    async fn write_profiles(&self) {
        let mut all = vec![("contoso".to_owned(), spec("Contoso CSV"))];
        for (name, provider) in sources("source", "clientSecret") {
            let mut spec = spec(name);
            spec["dataProvider"] = provider;
            all.push((name.to_owned(), spec));
        }
        let (_, provider) = sources(MISPLACED, MISPLACED).remove(0);
        let mut misplaced = spec("Misplaced");
        misplaced["dataProvider"] = provider;
        all.push(("misplaced".to_owned(), misplaced));
        for foreign in Foreign::all().into_iter().filter(|foreign| foreign.is_of_create()) {
            let mut spec = spec(&foreign.name());
            spec["connectionRef"] = json!({"name": foreign.name()});
            all.push((foreign.name(), spec));
        }
        for (name, spec) in all {
            self.scene.apply::<EducationSyncProfile>(profile_manifest(&name, spec)).await.unwrap();
        }
    }
}

/// Client of the connection that uses the operator's own identity.
const WORKLOAD: &str = "99999999-0000-4000-8000-000000000000";

fn client_id(foreign: Foreign) -> String {
    let place = Foreign::all().iter().position(|other| other.name() == foreign.name()).unwrap();
    format!("99999999-0000-4000-8000-1000000000{place:02}")
}

/// The way to Microsoft for who runs the program.
pub fn environment(proxy: SocketAddr) -> Vec<(String, String)> {
    // By a name that NO_PROXY does not have: what it says is about Kubernetes.
    let way = format!("http://proxy-user:{PROXY_PASSWORD}@localhost:{}", proxy.port());
    vec![("HTTPS_PROXY".to_owned(), way), ("NO_PROXY".to_owned(), "127.0.0.1".to_owned())]
}

/// A provider of each kind that needs a secret.
pub fn sources(secret: &str, key: &str) -> Vec<(&'static str, Value)> {
    let address = format!("https://sis.school.example/v1?key={IN_ADDRESS}");
    let reference = json!({"name": secret, "key": key});
    let one_roster = |settings: Value| json!({"oneRoster": {"connectionUrl": address, "providerName": "SIS", "connectionSettings": settings}});
    vec![
        (
            "powerschool",
            json!({"powerSchool": {"connectionUrl": address, "clientId": "sds", "clientSecretRef": reference}}),
        ),
        (
            "oneroster-oauth1",
            one_roster(json!({"oauth1": {"clientId": "sds", "clientSecretRef": reference}})),
        ),
        (
            "oneroster-oauth2",
            one_roster(json!({"oauth2ClientCredentials": {"clientId": "sds", "clientSecretRef": reference,
                "tokenUrl": "https://sis.school.example/token"}})),
        ),
    ]
}

fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}
