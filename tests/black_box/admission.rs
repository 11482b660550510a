//! What the API server refuses, each with a sentence that says what to write instead.

#[path = "../docs/blocks.rs"]
mod blocks;

use std::sync::Arc;

use edusync::api::{EducationSyncProfile, GraphConnection};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::scene::spec;
use crate::world::World;

const ID: &str = "6babcaad-604b-40ac-a9d7-9fd97c0b779f";

struct Door {
    _world: Arc<World>,
    client: Client,
}

impl Door {
    async fn open() -> Self {
        let world = World::get().await;
        let client = world.client().await;
        Self { _world: world, client }
    }

    /// A dry run on the server; the error's message when it is refused.
    async fn try_profile(&self, spec: Value) -> Result<(), String> {
        let api: Api<EducationSyncProfile> = Api::namespaced(self.client.clone(), "default");
        let manifest = crate::scene::profile_manifest("contoso", spec);
        attempt(&api, "contoso", manifest, true).await
    }

    async fn try_connection(&self, spec: Value) -> Result<(), String> {
        let api: Api<GraphConnection> = Api::namespaced(self.client.clone(), "default");
        attempt(&api, "contoso", connection_manifest("contoso", spec), true).await
    }
}

async fn attempt<K>(api: &Api<K>, name: &str, manifest: Value, dry_run: bool) -> Result<(), String>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let mut parameters = PatchParams::apply("tests").force();
    parameters.dry_run = dry_run;
    match api.patch(name, &parameters, &Patch::Apply(manifest)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

fn connection_manifest(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
        "metadata": {"name": name}, "spec": spec
    })
}

fn connection() -> Value {
    json!({
        "tenantId": ID,
        "graph": {"endpoint": "https://graph.microsoft.com"},
        "application": {"clientId": ID, "clientSecretRef": {"name": "graph", "key": "clientSecret"}}
    })
}

/// A good spec with one thing changed.
fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[member] = value;
    spec
}

fn matching(options: Value) -> Value {
    with(
        spec("A"),
        "/identitySynchronizationConfiguration",
        json!({"matching": {"matchingOptions": options}}),
    )
}

fn customized(customizations: Value) -> Value {
    with(spec("A"), "/dataProvider/csv", json!({"customizations": customizations}))
}

fn wrong_names_and_identities() -> Vec<(Value, &'static str)> {
    let option = |member: &str, value: Value| {
        let mut option = json!({"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "userPrincipalName"});
        option[member] = value;
        matching(json!([option]))
    };
    let domain = |name: &str| {
        with(spec("A"), "/identitySynchronizationConfiguration/creation/userDomains/0/name", json!(name))
    };
    vec![
        (spec(""), "displayName must not be empty"),
        (spec(" Contoso"), "displayName must not begin or end with white space"),
        (spec("Contoso\tSDS"), "displayName must be one line of text"),
        (with(spec("A"), "/dataProvider", json!({})), "dataProvider must name exactly one provider"),
        (with(spec("A"), "/identitySynchronizationConfiguration", json!({})), "must name one of creation"),
        (
            with(
                matching(
                    json!([{"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "mail"}]),
                ),
                "/identitySynchronizationConfiguration/creation",
                json!({"userDomains": [{"appliesTo": "student", "name": "a.example"}]}),
            ),
            "must name only one of creation",
        ),
        (
            with(spec("A"), "/identitySynchronizationConfiguration/creation/userDomains", json!([])),
            "userDomains must hold at least one role",
        ),
        (domain("someone@school.example"), "name must be a domain without '@'"),
        (domain("school"), "name must be a full domain name"),
        (matching(json!([])), "matchingOptions must hold at least one role"),
        (option("sourcePropertyName", json!("")), "sourcePropertyName must be a property of the source"),
        (
            option("targetPropertyName", json!("user principal name")),
            "targetPropertyName must be an attribute of the directory",
        ),
        (
            option("targetDomain", json!("@school.example")),
            "targetDomain must be a full domain name without '@'",
        ),
    ]
}

fn wrong_details() -> Vec<(Value, &'static str)> {
    let licensed =
        |ids: Value| with(spec("A"), "/licensesToAssign", json!([{"appliesTo": "student", "skuIds": ids}]));
    vec![
        (licensed(json!([])), "skuIds must hold at least one license"),
        (licensed(json!(["A3 for students"])), "skuIds must be GUIDs"),
        (
            with(
                matching(
                    json!([{"appliesTo": "student", "sourcePropertyName": "Username", "targetPropertyName": "mail"}]),
                ),
                "/licensesToAssign",
                json!([{"appliesTo": "student", "skuIds": [ID]}]),
            ),
            "licensesToAssign works only with identitySynchronizationConfiguration.creation",
        ),
        (
            with(spec("A"), "/expirationDate", json!("30.06.2027")),
            "expirationDate must be a day of the calendar",
        ),
        (
            with(spec("A"), "/expirationDate", json!("2027-02-30")),
            "expirationDate must be a day of the calendar",
        ),
        (customized(json!({})), "customizations must name at least one of"),
        (
            customized(json!({"student": {"optionalPropertiesToSync": [""]}})),
            "optionalPropertiesToSync must hold column headings",
        ),
        (
            customized(json!({"student": {"optionalPropertiesToSync": ["Grade "]}})),
            "optionalPropertiesToSync must hold column headings",
        ),
        (
            customized(json!({"studentEnrollment": {"optionalPropertiesToSync": ["Grade"]}})),
            "studentEnrollment has no optional properties",
        ),
        (
            customized(json!({"teacherRoster": {"optionalPropertiesToSync": ["Grade"]}})),
            "teacherRoster has no optional properties",
        ),
        (
            customized(json!({"studentEnrollment": {"synchronizationStartDate": "tomorrow"}})),
            "synchronizationStartDate must be a time in RFC 3339 form",
        ),
        (
            with(spec("A"), "/connectionRef", json!({"name": "My Connection"})),
            "connectionRef.name must be the name of a GraphConnection",
        ),
        (
            with(spec("A"), "/connectionRef", json!({"name": "default", "namespace": "School.9"})),
            "connectionRef.namespace must be the name of a namespace",
        ),
        (
            with(spec("A"), "/connectionRef", json!({"name": "default", "namespace": ""})),
            "leave it out for a connection of the same namespace",
        ),
    ]
}

fn wrong_profiles() -> Vec<(Value, &'static str)> {
    wrong_names_and_identities().into_iter().chain(wrong_details()).collect()
}

fn wrong_connections() -> Vec<(Value, &'static str)> {
    let mut nothing = connection();
    nothing.as_object_mut().unwrap().remove("application");
    vec![
        (nothing, "a connection needs at least one credential"),
        (
            with(connection(), "/tenantId", json!("contoso.example")),
            "tenantId must be the Directory (tenant) ID",
        ),
        (
            with(connection(), "/graph/endpoint", json!("http://graph.microsoft.com")),
            "endpoint must be https://",
        ),
        (
            with(connection(), "/graph/endpoint", json!("https://graph.microsoft.com/beta")),
            "endpoint must be https:// and a host, without a path",
        ),
        (
            with(connection(), "/graph/pollInterval", json!("1s")),
            "pollInterval must be a duration from 5s to 1h",
        ),
        (with(connection(), "/graph/pollInterval", json!("often")), "pollInterval must be a duration"),
        (
            with(connection(), "/allowedNamespaces", json!(["school-*"])),
            "allowedNamespaces must hold names of namespaces",
        ),
        (with(connection(), "/allowedNamespaces", json!([""])), "allowedNamespaces must hold names"),
        (
            with(connection(), "/allowedNamespaces", json!(["*", "school"])),
            "allowedNamespaces must not name namespaces beside '*'",
        ),
        (with(connection(), "/authority", json!("login.microsoftonline.com")), "authority must be https://"),
        (
            with(connection(), "/application/clientId", json!("edusync")),
            "clientId must be the Application (client) ID",
        ),
        (with(connection(), "/application", json!({"clientId": ID})), "application must name its credential"),
        (
            with(connection(), "/application/certificateRef", json!({"name": "tls"})),
            "application must name only one of",
        ),
        (
            with(
                connection(),
                "/application",
                json!({"clientId": ID, "workloadIdentity": {}, "managedIdentity": {}}),
            ),
            "application must name only one of",
        ),
        (
            with(connection(), "/application", json!({"clientId": ID, "certificateRef": {"name": "My TLS"}})),
            "certificateRef.name must be the name of a Secret",
        ),
        (
            with(connection(), "/application/clientSecretRef/name", json!("My Secret")),
            "name must be the name of a Secret",
        ),
        (
            with(connection(), "/application/clientSecretRef/key", json!("client secret")),
            "key must be a key of the Secret's data",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_profiles_are_refused_with_a_sentence() {
    let door = Door::open().await;
    door.try_profile(spec("Contoso SDS")).await.unwrap();
    for (wrong, sentence) in wrong_profiles() {
        let message = door.try_profile(wrong.clone()).await.expect_err(&format!("admitted: {wrong}"));
        assert!(message.contains(sentence), "{wrong}\nis refused with: {message}\nand not with: {sentence}");
    }
    assert!(wrong_profiles().len() >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_connections_are_refused_with_a_sentence() {
    let door = Door::open().await;
    door.try_connection(connection()).await.unwrap();
    for credential in [
        json!({"clientId": ID, "certificateRef": {"name": "tls"}}),
        json!({"clientId": ID, "workloadIdentity": {}}),
        json!({"clientId": ID, "managedIdentity": {}}),
    ] {
        door.try_connection(with(connection(), "/application", credential)).await.unwrap();
    }
    for allowed in [json!([]), json!(["school", "school-9"]), json!(["*"])] {
        door.try_connection(with(connection(), "/allowedNamespaces", allowed)).await.unwrap();
    }
    for (wrong, sentence) in wrong_connections() {
        let message = door.try_connection(wrong.clone()).await.expect_err(&format!("admitted: {wrong}"));
        assert!(message.contains(sentence), "{wrong}\nis refused with: {message}\nand not with: {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_profiles_are_bound_to_cannot_be_changed() {
    let door = Door::open().await;
    let api: Api<GraphConnection> = Api::namespaced(door.client.clone(), "default");
    attempt(&api, "fixed", connection_manifest("fixed", connection()), false).await.unwrap();
    let other = "00000000-0000-0000-0000-000000000000";
    let mut without = connection();
    without.as_object_mut().unwrap().remove("graph");
    for (changed, sentence) in [
        (with(connection(), "/tenantId", json!(other)), "tenantId cannot be changed"),
        (
            with(connection(), "/graph/endpoint", json!("https://graph.microsoft.us")),
            "graph.endpoint cannot be changed",
        ),
        (with(connection(), "/graph/dialect", json!("TestEduApi")), "cannot be added or taken away later"),
        (without, "cannot be added or taken away later"),
    ] {
        let message = attempt(&api, "fixed", connection_manifest("fixed", changed), false).await.unwrap_err();
        assert!(message.contains(sentence), "{message}");
    }
    // What is not bound can be: another client, another interval.
    let changed =
        with(with(connection(), "/application/clientId", json!(other)), "/graph/pollInterval", json!("5m"));
    attempt(&api, "fixed", connection_manifest("fixed", changed), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_has_an_example_that_is_admitted() {
    let door = Door::open().await;
    let mut members = std::collections::BTreeSet::new();
    for folder in ["examples", "examples/connections", "examples/simulator"] {
        for entry in std::fs::read_dir(xtask::repository_root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for manifest in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
                if manifest["kind"] == "GraphConnection" {
                    let spec = manifest["spec"].clone();
                    door.try_connection(spec.clone())
                        .await
                        .unwrap_or_else(|error| panic!("{path:?}: {error}"));
                    let of = |slot: &str| spec[slot].as_object().cloned().unwrap_or_default();
                    members
                        .extend(of("application").into_iter().chain(of("delegated")).map(|(name, _)| name));
                }
            }
        }
    }
    let kinds =
        ["clientSecretRef", "certificateRef", "workloadIdentity", "managedIdentity", "refreshTokenRef"];
    for kind in kinds {
        assert!(members.contains(kind), "{kind} has no example: {members:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_in_the_documents_is_admitted() {
    let door = Door::open().await;
    let root = xtask::repository_root();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut tried = 0;
    for page in docs.chain([root.join("README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        for manifest in
            blocks::yaml(&text).flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
        {
            let spec = manifest["spec"].clone();
            let answer = match manifest["kind"].as_str() {
                Some("EducationSyncProfile") => door.try_profile(spec).await,
                Some("GraphConnection") => door.try_connection(spec).await,
                _ => continue,
            };
            answer.unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            tried += 1;
        }
    }
    assert!(tried > 6, "the manifests are found: {tried}");
}
