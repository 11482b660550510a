//! A cluster that lacks what the operator needs: the log, the probe and an event say so, with what to do; and all goes
//! on by itself when it is there.

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::json;
use xtask::control_plane::output_of;

use crate::scene::{Scene, quick, spec};
use crate::world::{OPERATOR, RELEASE, World};

/// The pod that the operator takes itself for.
const POD: (&str, &str) = ("edusync-7d4b9c-x2x", "0f6d3c4e-1c1a-4f0e-9d3e-8f1f2f3a4b5c");

impl Scene {
    /// What a probe of the operator that was started last answers.
    pub async fn probe(&self, path: &str) -> (u16, String) {
        // It may not have begun yet, or be the one that has ended.
        let Some(address) = self.address_of("address") else { return (0, self.operator_log()) };
        let Ok(answer) = reqwest::get(format!("http://{address}{path}")).await else {
            return (0, format!("{address} does not answer"));
        };
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until `/readyz` answers this.
    pub async fn until_readyz(&self, wanted: (u16, &str)) {
        let mut shown = (0, String::new());
        let in_time = tokio::time::timeout(std::time::Duration::from_mins(1), async {
            while (shown.0, shown.1.as_str()) != wanted {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                shown = self.probe("/readyz").await;
            }
        });
        assert!(in_time.await.is_ok(), "{wanted:?}, but {shown:?}\n{}", self.operator_says());
    }

    /// The events on the pod, once there are so many: the last one follows the probe by a moment.
    async fn so_many_events_on_pod(&self, count: usize) -> Vec<(String, String)> {
        let waited = tokio::time::timeout(std::time::Duration::from_mins(1), async {
            loop {
                let events = self.events_on_pod().await;
                if events.len() >= count {
                    return events;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        });
        waited.await.expect("as many events as there are to be")
    }

    /// Reason and note of each event on the operator's pod.
    async fn events_on_pod(&self) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), RELEASE);
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let own = events.into_iter().filter(|event| {
            let about = event.regarding.as_ref().unwrap();
            (about.kind.as_deref(), about.name.as_deref(), about.uid.as_deref())
                == (Some("Pod"), Some(POD.0), Some(POD.1))
        });
        own.map(|event| (event.reason.unwrap(), event.note.unwrap())).collect()
    }

    fn admin(&self, arguments: &[&str]) {
        output_of(&mut self.world.kubectl(arguments.iter().copied())).unwrap();
    }
}

async fn begin(name: &str) -> Scene {
    let mut scene = Scene::in_world(World::alone().await, name, quick()).await;
    scene.environment =
        vec![("POD_NAME".to_owned(), POD.0.to_owned()), ("POD_UID".to_owned(), POD.1.to_owned())];
    scene
}

fn no_definition(resource: &str) -> String {
    format!(
        "the CustomResourceDefinition {resource}.edusync.dev is not installed, or does not serve v1alpha1: `helm upgrade` with crds.enabled=true, or `kubectl apply --server-side --force-conflicts -f crds/` of this version"
    )
}

/// How often the log says something, in lines.
fn said(scene: &Scene, what: &str) -> usize {
    scene.operator_log().lines().filter(|line| line.contains(what)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_missing_are_named_and_waited_for() {
    let mut scene = begin("definitions").await;
    scene.start_operator();
    scene.until_readyz((200, "ok: working\n")).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;

    // As somebody does who deletes a definition by mistake; only the operator can let its resources go.
    let crds = xtask::repository_root().join("crds");
    let file = crds.join("educationsyncprofiles.edusync.dev.yaml");
    scene.admin(&["delete", "-f", file.to_str().unwrap(), "--timeout=60s"]);
    let sentence = no_definition("educationsyncprofiles");
    scene.until_readyz((503, &format!("not ready: {sentence}\n"))).await;
    assert_eq!(scene.probe("/livez").await, (200, "ok\n".to_owned()));
    let (code, checks) = scene.probe("/readyz?verbose").await;
    let expected = format!(
        "[+]stage: working\n[-]definition educationsyncprofiles.edusync.dev: {sentence}\nreadyz check failed\n"
    );
    assert_eq!((code, checks), (503, expected));
    // It holds the lease, and the alert that nobody works has to fire.
    assert_eq!(scene.scrape().await.value("edusync_leader", &[]), Some(0.0));

    scene.admin(&["apply", "--server-side", "-f", file.to_str().unwrap()]);
    scene.until_readyz((200, "ok: working\n")).await;
    assert_eq!(scene.scrape().await.value("edusync_leader", &[]), Some(1.0));
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    assert_eq!(said(&scene, &sentence), 1, "{}", scene.operator_log());
    let found = "this is there now: definition educationsyncprofiles.edusync.dev".to_owned();
    let told = [("DefinitionMissing".to_owned(), sentence), ("Found".to_owned(), found)];
    assert_eq!(scene.so_many_events_on_pod(2).await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_of_an_older_version_is_named_before_it_loses_anything() {
    let mut scene = begin("olddefinition").await;
    let path =
        "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/creation/properties/notAfter";
    let removal = json!([{"op": "remove", "path": path}]).to_string();
    let crd = "educationsyncprofiles.edusync.dev";
    scene.admin(&["patch", "crd", crd, "--type=json", "--patch", &removal]);
    scene.start_operator();
    let sentence = format!(
        "the CustomResourceDefinition {crd} is of another version than edusync {}, and lacks status.creation.notAfter, so that what is written there is lost: `helm upgrade` with crds.enabled=true, or `kubectl apply --server-side --force-conflicts -f crds/` of this version",
        env!("CARGO_PKG_VERSION")
    );
    scene.until_readyz((503, &format!("not ready: {sentence}\n"))).await;
    let crds = xtask::repository_root().join("crds");
    scene.admin(&["apply", "--server-side", "--force-conflicts", "-f", crds.to_str().unwrap()]);
    scene.until_readyz((200, "ok: working\n")).await;
    assert_eq!(
        scene.so_many_events_on_pod(2).await.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(),
        ["DefinitionOutdated", "Found"]
    );
}

/// What edusync says of a permission of the `ClusterRole`, or of a Role.
fn no_permission(what: &str, place: &str, role: &str, grant: (&str, &str, &str)) -> String {
    let (group, resource, verb) = grant;
    format!(
        "{OPERATOR} may not {what} {place}: a {role} that is bound to it needs the rule {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}; `helm upgrade` with rbac.create=true puts it back (templates/rbac.yaml of the chart)"
    )
}

/// One rule after the other is taken from the `ClusterRole`, and given back.
#[tokio::test(flavor = "multi_thread")]
async fn permissions_that_are_missing_are_named_and_waited_for() {
    let mut scene = begin("permissions").await;
    let role = "edusync-system:edusync";
    let whole = output_of(&mut scene.world.kubectl(["get", "clusterrole", role, "-o", "json"])).unwrap();
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let without = |resource: &str| {
        let mut rules = whole["rules"].as_array().unwrap().clone();
        rules.retain(|rule| {
            rule["resourceNames"].is_array()
                || !rule["resources"].as_array().unwrap().contains(&json!(resource))
        });
        assert_eq!(rules.len() + 1, whole["rules"].as_array().unwrap().len(), "{resource}");
        json!({"rules": rules}).to_string()
    };
    let give_back = json!({"rules": whole["rules"]}).to_string();
    let set = |scene: &Scene, rules: &str| {
        scene.admin(&["patch", "clusterrole", role, "--type=merge", "--patch", rules]);
    };
    let here = format!("in namespace {}", scene.namespace);
    let local = format!("Role of namespace {}", scene.namespace);
    let lines = |sentences: &[String]| {
        sentences.iter().fold(String::new(), |lines, said| lines + "not ready: " + said + "\n")
    };
    // A write that only comes later is missed at the start; so says a standby as well.
    set(&scene, &without("educationsyncprofiles/status"));
    let statuses = ["educationsyncprofiles", "graphconnections"].map(|resource| {
        let grant = ("edusync.dev", &*format!("{resource}/status"), "update");
        no_permission(&format!("update {resource}.edusync.dev/status"), &here, &local, grant)
    });
    scene.start_operator();
    scene.until_readyz((503, &lines(&statuses))).await;
    assert_eq!(scene.probe("/livez").await.0, 200);
    set(&scene, &give_back);
    scene.until_readyz((200, "ok: working\n")).await;

    // A Secret is missed when it is read.
    scene.terminate_operator();
    set(&scene, &without("secrets"));
    scene.start_operator();
    let secret = no_permission("get secrets graph", &here, &local, ("", "secrets", "get"));
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_readyz((503, &lines(std::slice::from_ref(&secret)))).await;
    set(&scene, &give_back);
    scene.until_readyz((200, "ok: working\n")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    for sentence in statuses.iter().chain([&secret]) {
        assert_eq!(said(&scene, sentence), 1, "{}", scene.operator_log());
    }

    set(&scene, &without("educationsyncprofiles"));
    scene.terminate_operator();
    scene.start_operator();
    let profiles = ["get", "list", "patch", "watch"].map(|verb| {
        let grant = ("edusync.dev", "educationsyncprofiles", verb);
        no_permission(&format!("{verb} educationsyncprofiles.edusync.dev"), &here, &local, grant)
    });
    scene.until_readyz((503, &lines(&profiles))).await;
    set(&scene, &give_back);
    scene.until_readyz((200, "ok: working\n")).await;
    let reasons: Vec<_> =
        scene.so_many_events_on_pod(14).await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons.iter().filter(|reason| *reason == "PermissionMissing").count(), 7, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| *reason == "Found").count(), 7, "{reasons:?}");
}
