//! The operator's rights are minimal: without any one of them, a verb of one resource, a whole life of a profile meets a
//! refusal, and the operator says which right is missing. With all of them it meets none.
//!
//! The roles are those that Helm renders, for a `ServiceAccount` of each trial's own.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use edusync::api::{EducationSyncProfile, GraphConnection};
use futures::StreamExt as _;
use futures::stream;
use graph_simulator::Settings;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use xtask::control_plane::output_of;

use crate::cli::run_as;
use crate::scene::{Scene, quick, spec};
use crate::world::World;

/// Stands for the namespace of a trial in what Helm renders.
const PLACE: &str = "place-of-the-trial";
/// Trials at a time.
const AT_ONCE: usize = 4;

/// Where the operator of a trial works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everywhere,
    OneNamespace,
}

/// One verb of one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// Of the Role in the release's namespace, and not of those by which resources are reached.
    is_of_release: bool,
    group: String,
    resource: String,
    names: Vec<String>,
    verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)
    }
}

impl Right {
    fn rule(&self) -> Value {
        let mut rule = json!({"apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb]});
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        rule
    }

    /// Here the release is in the namespace that it cares for, so what both roles grant is granted twice: it is one right,
    /// and is taken away from both.
    fn is_granted_by(&self, other: &Self) -> bool {
        let what = |right: &Self| {
            (right.group.clone(), right.resource.clone(), right.names.clone(), right.verb.clone())
        };
        what(self) == what(other)
    }

    /// As Kubernetes says that it is missing.
    fn refusal(&self) -> String {
        format!("cannot {} resource \"{}\"", self.verb, self.resource)
    }

    /// Is this the request for which the right is there? Server-side apply asks for the right to create too, when it
    /// creates something; the request is a patch all the same.
    fn is_asked_by(&self, entry: &xtask::audit::Entry) -> bool {
        let resource = match &entry.subresource {
            Some(subresource) => format!("{}/{subresource}", entry.resource),
            None => entry.resource.clone(),
        };
        let is_applied = self.verb == "create" && entry.verb == "patch" && matches!(entry.code, 201 | 403);
        let is_named =
            self.names.is_empty() || self.names.iter().any(|name| entry.name.as_ref() == Some(name));
        resource == self.resource && (entry.verb == self.verb || is_applied) && is_named
    }
}

/// What Helm renders of the chart's rights, for the namespace [`PLACE`].
fn rendered(world: &World, reach: Reach) -> Vec<Value> {
    let chart = xtask::helm_chart::folder();
    let mut helm = world.helm(["template", "edusync", chart.to_str().unwrap(), "--namespace", PLACE]);
    helm.args(["--show-only", "templates/rbac.yaml", "--show-only", "templates/serviceaccount.yaml"]);
    if reach == Reach::OneNamespace {
        helm.args(["--set", &format!("watchNamespaces={{{PLACE}}}")]);
    }
    let objects: Vec<Value> = serde_saphyr::from_multiple(&output_of(&mut helm).unwrap()).unwrap();
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

fn is_of_release(role: &Value) -> bool {
    role["metadata"]["name"] == "edusync"
}

/// Every right of the roles.
fn rights(objects: &[Value]) -> Vec<Right> {
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut rights = Vec::new();
    for role in objects {
        for rule in role["rules"].as_array().into_iter().flatten() {
            for (group, resource, verb) in texts(&rule["apiGroups"]).iter().flat_map(|group| {
                let verbs = texts(&rule["verbs"]);
                let pairs = texts(&rule["resources"]).into_iter().flat_map(move |resource| {
                    verbs.clone().into_iter().map(move |verb| (resource.clone(), verb))
                });
                pairs.map(|(resource, verb)| (group.clone(), resource, verb)).collect::<Vec<_>>()
            }) {
                let names = texts(&rule["resourceNames"]);
                rights.push(Right { is_of_release: is_of_release(role), group, resource, names, verb });
            }
        }
    }
    rights
}

/// An operator with some of the rights, in a namespace of its own.
struct Trial {
    scene: Scene,
    user: String,
    kubeconfig: PathBuf,
}

impl Trial {
    /// With all rights, but for `missing`.
    async fn begin(world: &Arc<World>, reach: Reach, objects: &[Value], missing: Option<&Right>) -> Self {
        // One that shares no words with the name of the operator's Secret: a refusal that seems to quote a token is not
        // repeated.
        let settings = Settings { refresh_token: "0.AXoA4bKqTrial".to_owned(), ..quick() };
        let mut scene = Scene::in_world(Arc::clone(world), "minimal", settings).await;
        let mut objects = objects.to_vec();
        let all = rights(&objects);
        for role in objects.iter_mut().filter(|object| object.get("rules").is_some()) {
            let kept = all.iter().filter(|right| right.is_of_release == is_of_release(role));
            let is_kept = |right: &&Right| missing.is_none_or(|missing| !missing.is_granted_by(right));
            role["rules"] = kept.filter(is_kept).map(Right::rule).collect();
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let file = world.folder().join(format!("{}-rights.json", scene.namespace));
        fs::write(&file, list.to_string().replace(PLACE, &scene.namespace)).unwrap();
        output_of(&mut world.kubectl(["create", "--filename", file.to_str().unwrap()])).unwrap();

        let kubeconfig = world.service_account_kubeconfig(&scene.namespace, "edusync");
        scene.environment.push(("KUBECONFIG".to_owned(), kubeconfig.to_str().unwrap().to_owned()));
        scene.flags = vec!["--lease-namespace".to_owned(), scene.namespace.clone()];
        scene.everywhere = reach == Reach::Everywhere;
        // So long that the profile is changed by somebody else before what came of the create is written.
        scene.simulator.fault("create:slow,delay=1s").unwrap();
        let user = format!("system:serviceaccount:{}:edusync", scene.namespace);
        let mut trial = Self { scene, user, kubeconfig };
        trial.scene.start_operator();
        trial
    }

    /// What needs every right: a lease that is renewed, a create that somebody writes into, two changes, and the end of all.
    async fn life(&self) {
        let scene = &self.scene;
        scene.create("contoso", spec("Contoso SDS")).await;
        let is_open =
            |profile: &EducationSyncProfile| profile.status.as_ref().is_some_and(|s| s.creation.is_some());
        scene.until("contoso", "about to be created", is_open).await;
        let note = json!({"metadata": {"annotations": {"example.org/note": "meanwhile"}}});
        scene.profiles().patch("contoso", &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
        scene.until_ready_is("contoso", "True", "Provisioned").await;
        for number in 1..=2 {
            let domain = format!("school-{number}.example");
            let mut changed = spec("Contoso SDS");
            let creation = &mut changed["identitySynchronizationConfiguration"]["creation"];
            creation["userDomains"][0]["name"] = json!(domain);
            let generation = scene.create("contoso", changed).await.metadata.generation;
            let is_there = |profile: &EducationSyncProfile| {
                profile.status.as_ref().is_some_and(|status| status.observed_generation == generation)
            };
            scene.until("contoso", "looked at", is_there).await;
            scene.until_ready_is("contoso", "True", "Provisioned").await;
            scene
                .eventually("changed", |scene| scene.simulator.profiles()[0].to_string().contains(&domain))
                .await;
        }
        scene.delete("contoso").await;
        scene.until_gone("contoso").await;
        scene.connections().delete("default", &DeleteParams::default()).await.unwrap();
        let gone = |connection: Option<&GraphConnection>| connection.is_none();
        let gone = await_condition(scene.connections(), "default", gone);
        tokio::time::timeout(Duration::from_mins(1), gone).await.expect("it goes").unwrap();
        let leases: Api<Lease> = Api::namespaced(scene.client.clone(), &scene.namespace);
        let now = leases.get(scene.lease()).await.unwrap().resource_version();
        let renewed = |lease: Option<&Lease>| lease.is_some_and(|lease| lease.resource_version() != now);
        let renewed = await_condition(leases, scene.lease(), renewed);
        tokio::time::timeout(Duration::from_mins(1), renewed).await.expect("it is renewed").unwrap();
    }

    /// What the operator has been told, in the whole cluster.
    fn requests(&self) -> Vec<xtask::audit::Entry> {
        self.scene.world.requests_of(&self.user)
    }

    fn refused(&self) -> Vec<xtask::audit::Entry> {
        self.requests().into_iter().filter(|entry| entry.code == 403).collect()
    }

    /// What the uninstall guard asks, with the same account.
    async fn guard(&self) -> crate::cli::Run {
        let places = if self.scene.everywhere { "--all-namespaces" } else { &self.scene.namespace };
        run_as(&self.kubeconfig, &["held", places], "").await
    }
}

/// With all rights the life goes well, nothing is refused, and each right is used.
async fn all_rights_are_used(world: &Arc<World>, reach: Reach, objects: &[Value]) {
    let mut trial = Trial::begin(world, reach, objects, None).await;
    trial.life().await;
    trial.guard().await.ended_with(0);
    trial.scene.kill_operator();
    assert_eq!(trial.refused(), []);
    // A watch is told when it has ended, which the server notices only after the operator's end.
    let is_used = |right: &Right| trial.requests().iter().any(|entry| right.is_asked_by(entry));
    let all_are_told = async {
        while !rights(objects).iter().all(is_used) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(20), all_are_told).await;
    let requests = trial.requests();
    for right in rights(objects) {
        let used: Vec<_> = requests.iter().filter(|entry| right.is_asked_by(entry)).collect();
        assert!(!used.is_empty(), "nobody needs {right}");
        if ["list", "watch"].contains(&right.verb.as_str()) {
            let is_everywhere = used.iter().all(|entry| entry.namespace.is_none());
            assert_eq!(is_everywhere, reach == Reach::Everywhere, "{right}: {used:?}");
        } else {
            assert!(
                used.iter().all(|entry| entry.namespace.as_ref() == Some(&trial.scene.namespace)),
                "{used:?}"
            );
        }
    }
    // What is asked is what there is a right to, and no role says more than the requests.
    let asked: BTreeSet<_> = requests.iter().map(|entry| (&entry.verb, &entry.resource)).collect();
    assert!(asked.len() >= 10, "{asked:?}");
}

/// Has the operator said so? Where its log holds a status, quotation marks are escaped.
fn says(scene: &Scene, words: &str) -> bool {
    scene.operator_log().replace('\\', "").contains(words)
}

/// Without the right, the same life meets a refusal of exactly this, and the operator says so.
async fn is_missed(world: &Arc<World>, reach: Reach, objects: &[Value], right: &Right) {
    let mut trial = Trial::begin(world, reach, objects, Some(right)).await;
    let words = right.refusal();
    let what = format!("somebody misses {right}");
    tokio::select! {
        () = trial.scene.eventually(&what, |scene| says(scene, &words)) => {}
        () = trial.life() => panic!("a whole life without {right}: it is superfluous, or not told\n{:#?}\n{}", trial.refused(), trial.scene.operator_log()),
    }
    if right.verb == "list" {
        let guard = trial.guard().await.ended_with(1);
        assert!(guard.err.contains(&words), "{right}: {}", guard.err);
    }
    trial.scene.kill_operator();
    let refused = trial.refused();
    assert!(!refused.is_empty(), "{right}");
    assert!(refused.iter().all(|entry| right.is_asked_by(entry)), "{right}: {refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_namespace_no_right_is_superfluous() {
    let world = World::get().await;
    let objects = rendered(&world, Reach::OneNamespace);
    let rights = rights(&objects);
    assert!(rights.len() >= 15, "{rights:?}");
    all_rights_are_used(&world, Reach::OneNamespace, &objects).await;
    stream::iter(&rights)
        .map(|right| is_missed(&world, Reach::OneNamespace, &objects, right))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

/// In a cluster of its own: an operator for all namespaces would meddle with every other test. One after the other, for
/// the same reason. Only lists and watches differ from those of one namespace, so only these are taken away here.
#[tokio::test(flavor = "multi_thread")]
async fn in_all_namespaces_no_right_is_superfluous() {
    let world = World::alone().await;
    let objects = rendered(&world, Reach::Everywhere);
    let here = rights(&objects);
    assert_eq!(here, rights(&rendered(&world, Reach::OneNamespace)), "the same rights, only further");
    all_rights_are_used(&world, Reach::Everywhere, &objects).await;
    for right in here.iter().filter(|right| ["list", "watch"].contains(&right.verb.as_str())) {
        is_missed(&world, Reach::Everywhere, &objects, right).await;
    }
}
