//! One test's corner: a namespace, a tenant in a simulator of its own, and an operator for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use edusync::api::connection::GraphConnectionStatus;
use edusync::api::{EducationSyncProfile, GraphConnection};
use graph_simulator::{RecordedRequest, Server, Settings};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use xtask::guard::Guarded;

pub use crate::manifests::{foreign_body, profile_manifest, spec};
use crate::proxy::{Detour, Gate};
use crate::world::World;

/// How long a test waits for something that should come soon.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Time between two looks.
pub const LOOK: Duration = Duration::from_millis(50);

/// Path of the collection of profiles.
pub const COLLECTION: &str = "/beta/education/synchronizationProfiles";

/// A test's corner of the world.
pub struct Scene {
    pub world: Arc<World>,
    pub namespace: String,
    pub simulator: Arc<Server>,
    pub client: Client,
    pub operator: Option<Guarded>,
    pub flags: Vec<String>,
    /// Variables of the operator's environment, besides those of this process.
    pub environment: Vec<(String, String)>,
    /// Further namespaces that the operator watches.
    pub neighbours: Vec<String>,
    /// Whether the operator watches all namespaces; in a cluster that other tests use it must not.
    pub everywhere: bool,
    /// Name of the operator's lease and of its log.
    pub operator_name: String,
    pub starts: Arc<AtomicU32>,
    /// What stands between the operator and its servers.
    pub detour: Option<Detour>,
}

impl Scene {
    /// A namespace with a connection to a simulator, and an operator that works there.
    pub async fn begin(name: &str) -> Self {
        let mut scene = Self::without_operator(name, quick()).await;
        scene.start_operator();
        scene
    }

    /// The same before the operator is started, with a simulator to one's liking.
    pub async fn without_operator(name: &str, settings: Settings) -> Self {
        Self::in_world(World::get().await, name, settings).await
    }

    /// The same in a cluster of somebody's own.
    pub async fn in_world(world: Arc<World>, name: &str, settings: Settings) -> Self {
        Self::set_up(world, name, settings, false).await
    }

    /// The same, and all that the operator asks of Graph or Kubernetes goes through proxies.
    pub async fn behind_proxies(name: &str, settings: Settings) -> Self {
        Self::set_up(World::get().await, name, settings, true).await
    }

    /// Where everything comes by that the operator asks for.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.detour.as_ref().unwrap().gate)
    }

    async fn set_up(world: Arc<World>, name: &str, settings: Settings, proxied: bool) -> Self {
        let simulator = Server::start(settings).await.unwrap();
        let client = world.client().await;
        let namespace = make_namespace(&client, name).await;
        let detour = proxied.then(|| Detour::begin(&world, &simulator, &namespace));
        let scene = Self {
            world,
            operator_name: namespace.clone(),
            namespace,
            simulator: Arc::new(simulator),
            client,
            operator: None,
            flags: Vec::new(),
            environment: Vec::new(),
            neighbours: Vec::new(),
            everywhere: false,
            starts: Arc::default(),
            detour,
        };
        scene.write_connection().await;
        scene
    }

    /// Another namespace, without connection or Secrets, that an operator which is started later watches too.
    pub async fn neighbour(&mut self, name: &str) -> Self {
        let neighbour = self.stranger(name).await;
        self.neighbours.push(neighbour.namespace.clone());
        neighbour
    }

    /// Another namespace, which the operator does not watch.
    pub async fn stranger(&self, name: &str) -> Self {
        Self {
            world: Arc::clone(&self.world),
            namespace: make_namespace(&self.client, name).await,
            simulator: Arc::clone(&self.simulator),
            client: self.client.clone(),
            operator: None,
            flags: Vec::new(),
            environment: Vec::new(),
            neighbours: Vec::new(),
            everywhere: false,
            operator_name: self.operator_name.clone(),
            starts: Arc::clone(&self.starts),
            detour: None,
        }
    }

    /// Another namespace with a connection to the same tenant and an operator of its own: as good as another
    /// cluster, since neither operator knows anything of the other's resources.
    pub async fn another_cluster(&self, name: &str) -> Self {
        let mut other = self.stranger(name).await;
        other.operator_name = other.namespace.clone();
        other.starts = Arc::default();
        other.write_connection().await;
        other.start_operator();
        other
    }

    /// Writes the Secret and the connection that names it.
    pub async fn write_connection(&self) {
        self.write_secrets().await;
        self.apply::<GraphConnection>(self.connection_manifest()).await.unwrap();
    }

    /// Flags for the operator, over those of every test.
    pub fn with_flags(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(ToString::to_string).collect();
        self
    }

    /// Writes the Secret that the connection names.
    pub async fn write_secrets(&self) {
        let settings = self.simulator.settings();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "graph"},
            "stringData": {
                "ca.crt": self.detour.as_ref().map_or_else(|| self.simulator.ca_pem(), |detour| &detour.ca_pem),
                "clientSecret": settings.client_secret,
                "refreshToken": settings.refresh_token,
            }
        }))
        .unwrap();
        Api::<Secret>::namespaced(self.client.clone(), &self.namespace)
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    /// The connection named "default", with both credentials.
    pub fn connection_manifest(&self) -> Value {
        let settings = self.simulator.settings();
        let url = self.detour.as_ref().map_or_else(|| self.simulator.url(), |detour| detour.graph.url());
        json!({
            "apiVersion": "edusync.dev/v1alpha1",
            "kind": "GraphConnection",
            "metadata": {"name": "default"},
            "spec": {
                "tenantId": settings.tenant,
                "graph": {"endpoint": url},
                "authority": url,
                "caBundleRef": {"name": "graph", "key": "ca.crt"},
                "application": {
                    "clientId": settings.client_id,
                    "clientSecretRef": {"name": "graph", "key": "clientSecret"}
                },
                "delegated": {
                    "clientId": settings.client_id,
                    "refreshTokenRef": {"name": "graph", "key": "refreshToken"},
                    "clientSecretRef": {"name": "graph", "key": "clientSecret"}
                }
            }
        })
    }

    /// The connections of this namespace.
    pub fn connections(&self) -> Api<GraphConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The profiles of this namespace.
    pub fn profiles(&self) -> Api<EducationSyncProfile> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a manifest, as a person with kubectl.
    pub async fn apply<K>(&self, manifest: Value) -> kube::Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        let name = manifest["metadata"]["name"].as_str().unwrap().to_owned();
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        api.patch(&name, &PatchParams::apply("tests").force(), &Patch::Apply(manifest)).await
    }

    /// Creates a profile with this spec.
    pub async fn create(&self, name: &str, spec: Value) -> EducationSyncProfile {
        self.apply(profile_manifest(name, spec)).await.unwrap()
    }

    /// Asks Kubernetes to delete a profile.
    pub async fn delete(&self, name: &str) {
        self.profiles().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the profile is as `wanted`.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&EducationSyncProfile) -> bool + Send + Sync,
    ) -> EducationSyncProfile {
        let condition = |object: Option<&EducationSyncProfile>| object.is_some_and(&holds);
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.profiles(), name, condition)).await;
        if let Ok(found) = waited {
            return found.unwrap().unwrap();
        }
        let now = self.profiles().get_opt(name).await;
        let status = now.unwrap().map(|profile| json!(profile.status));
        panic!("{name} is not {what}; {}\nits status: {status:#?}", self.operator_says())
    }

    /// Waits until the profile's Ready condition has this status and reason.
    pub async fn until_ready_is(&self, name: &str, status: &str, reason: &str) -> EducationSyncProfile {
        self.until(name, &format!("Ready={status} {reason}"), |profile| {
            condition(profile, "Ready").is_some_and(|ready| ready.0 == status && ready.1 == reason)
        })
        .await
    }

    /// Waits until the connection's Ready condition has this status and reason.
    pub async fn until_connection_is(&self, status: &str, reason: &str) {
        self.until_connection(reason, |connection| {
            connection.conditions.iter().any(|condition| {
                condition.type_ == "Ready" && condition.status == status && condition.reason == reason
            })
        })
        .await;
    }

    /// Waits until the status of the connection is as `wanted`.
    pub async fn until_connection(
        &self,
        what: &str,
        holds: impl Fn(&GraphConnectionStatus) -> bool + Send + Sync,
    ) -> GraphConnectionStatus {
        let status = |connection: &GraphConnection| connection.status.clone().unwrap_or_default();
        let condition = |connection: Option<&GraphConnection>| {
            connection.is_some_and(|connection| holds(&status(connection)))
        };
        // A Secret that is waited for is read each minute.
        let waited = await_condition(self.connections(), "default", condition);
        if let Ok(found) = tokio::time::timeout(PATIENCE * 3 / 2, waited).await {
            return status(&found.unwrap().unwrap());
        }
        let now = self.connections().get_opt("default").await;
        let status = now.unwrap().map(|connection| json!(connection.status));
        panic!("the connection is not {what}; {}\nits status: {status:#?}", self.operator_says())
    }

    /// Waits until the resource is gone.
    pub async fn until_gone(&self, name: &str) {
        let gone = |object: Option<&EducationSyncProfile>| object.is_none();
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.profiles(), name, gone)).await;
        assert!(waited.is_ok(), "{name} is still there\n{}", self.operator_says());
    }

    /// Waits until something holds that only looking can show.
    pub async fn eventually(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                tokio::time::sleep(LOOK).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: never\n{}", self.operator_says());
    }

    /// Requests to Graph with this method, without those to the token service.
    pub fn requests(&self, method: &str) -> Vec<RecordedRequest> {
        let all = self.simulator.requests();
        all.into_iter().filter(|r| r.method == method && !r.path.contains("/oauth2/")).collect()
    }

    /// How often the list was asked for.
    pub fn lists(&self) -> usize {
        self.requests("GET").iter().filter(|request| request.path == COLLECTION).count()
    }

    /// Waits until the list has been asked for so many times more.
    pub async fn lists_pass(&self, count: usize) {
        let wanted = self.lists() + count;
        self.eventually("more lists", |scene| scene.lists() >= wanted).await;
    }

    /// Waits until the events on a resource have these reasons, in order.
    pub async fn until_events_are(&self, name: &str, reasons: &[&str]) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.events(name).await != reasons {
                tokio::time::sleep(LOOK).await;
            }
        });
        assert!(
            waited.await.is_ok(),
            "{reasons:?}, but {:?}\n{}",
            self.events(name).await,
            self.operator_says()
        );
    }

    /// Reasons of the events on a resource, in order.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let about = events
            .iter()
            .filter(|event| event.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(name)));
        about.map(|event| event.reason.clone().unwrap_or_default()).collect()
    }
}

/// A namespace of its own, although two tests may have had the same idea for a name.
async fn make_namespace(client: &Client, name: &str) -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let namespace = format!("{name}-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let object = Namespace {
        metadata: ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
    namespace
}

/// A simulator that does everything at once, and keeps bodies.
pub fn quick() -> Settings {
    Settings {
        port: 0,
        provisioning_time: Duration::from_millis(300),
        delete_time: Duration::from_millis(300),
        log_bodies: true,
        ..Settings::default()
    }
}

/// Status, reason and message of a condition.
pub fn condition(profile: &EducationSyncProfile, kind: &str) -> Option<(String, String, String)> {
    let conditions = &profile.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone(), found.message.clone()))
}

/// Id of the bound profile.
pub fn profile_id(profile: &EducationSyncProfile) -> String {
    profile
        .status
        .as_ref()
        .unwrap()
        .binding
        .as_ref()
        .unwrap_or_else(|| panic!("{} is not bound", profile.name_any()))
        .profile_id
        .clone()
}

/// A source that is synchronized by itself as soon as its profile is set up.
pub async fn power_school(scene: &Scene) -> Value {
    let secret = json!({"metadata": {"name": "source"}, "stringData": {"clientSecret": "s"}});
    let secret: Secret = serde_json::from_value(secret).unwrap();
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    api.create(&PostParams::default(), &secret).await.unwrap();
    let mut spec = spec("Contoso SDS");
    spec["dataProvider"] = json!({"powerSchool": {
        "connectionUrl": "https://powerschool.school.example", "clientId": "c",
        "clientSecretRef": {"name": "source", "key": "clientSecret"}
    }});
    spec
}
