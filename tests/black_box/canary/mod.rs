//! No secret and no pupil anywhere but where they are meant to be: markers through every path, and everything searched
//! that the program printed, stored or sent. `places` is the table of what may be where.
//!
//! The hosts are Microsoft's own names, behind a proxy that wants a password and reads along.

mod commands;
mod foreign;
mod marker;
mod places;
mod spy;
mod stage;
mod tunnel;

use std::collections::BTreeSet;

use edusync::api::EducationSyncProfile;
use http::Method;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use xtask::control_plane::output_of;

use crate::scene::{Scene, condition, foreign_body, profile_manifest, spec};
use crate::scrape::get;
use commands::Runs;
use foreign::Foreign;
use marker::Search;
use places::Judge;
use spy::{Asked, Host};
use stage::{IN_ADDRESS, NEXT_SOURCE_SECRET, Stage, sources};

/// Texts of the operator that are searched: place and text.
type Printed = Vec<(String, Vec<u8>)>;

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_pupil_goes_astray() {
    let mut stage = Stage::set().await;
    let mut printed = Printed::new();
    stage.scene.start_operator();
    until_all_is_said(&stage).await;
    printed.extend(around(&stage.scene));
    assert!(stage.scene.terminate_operator().success());

    // The next one logs in the other form, and finds another secret of a source.
    let next = json!({"stringData": {"clientSecret": NEXT_SOURCE_SECRET}});
    stage.secrets().patch("source", &PatchParams::default(), &Patch::Merge(next)).await.unwrap();
    stage.scene.flags.extend(
        [
            "--log-format",
            "json",
            "--log-level",
            "trace,kube=trace,kube_client=trace,kube_client::client=trace",
        ]
        .map(str::to_owned),
    );
    stage.scene.start_operator();
    until_all_is_changed(&stage.scene).await;
    printed.extend(around(&stage.scene));
    assert!(stage.scene.terminate_operator().success());
    printed.push(("log of the operator".to_owned(), stage.scene.operator_log().into_bytes()));
    printed.push(("objects in Kubernetes".to_owned(), objects(&stage.scene)));

    stage.scene.simulator.plant(by_hand()).unwrap();
    let mut runs = Runs::new(&stage);
    runs.all().await;
    assert_eq!(runs.missing(), [] as [String; 0], "nobody has run these");
    assert_eq!(
        commands::inside(runs.home.path()),
        [] as [std::path::PathBuf; 0],
        "a command has written a file"
    );
    assert_eq!(stage.spy.unsaid(), 0, "what was to be said once was not asked for");
    printed.push(("objects in Kubernetes".to_owned(), objects(&stage.scene)));
    nothing_has_gone_another_way(&stage);
    judge(&stage, &runs, &printed);
}

/// Every write of the operator that Kubernetes knows of was read along. More may have been read than that: one was
/// refused on its way, and the end of the operator may have cut off another.
fn nothing_has_gone_another_way(stage: &Stage) {
    let (world, namespace) = (&stage.scene.world, stage.scene.namespace.as_str());
    let kubeconfig = std::fs::read_to_string(world.operator_kubeconfig()).unwrap();
    let kubeconfig: Value = serde_json::from_str(&kubeconfig).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    let mut seen = stage.spy.tape(|tape| -> Vec<_> {
        tape.iter().filter_map(|asked| asked.write_of(token, namespace)).collect()
    });
    let writes = world.operator_writes(namespace);
    assert!(writes.len() > 40, "{} writes are few", writes.len());
    for write in writes {
        let place =
            seen.iter().position(|(verb, resource)| *verb == write.verb && *resource == write.resource);
        seen.swap_remove(place.unwrap_or_else(|| panic!("nobody has read this: {write:?}")));
    }
    assert!(seen.contains(&("patch", "secrets".to_owned())), "the one that was refused is not among them");
}

/// A profile that somebody made in the portal.
fn by_hand() -> Value {
    let mut body = foreign_body("Made by hand");
    body["dataProvider"] = json!({"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
        "connectionUrl": format!("https://sis.school.example/v1?key={IN_ADDRESS}"), "clientId": "sds",
        "clientSecret": NEXT_SOURCE_SECRET});
    body
}

/// Every foreign text is told to the operator, and what is well works.
async fn until_all_is_said(stage: &Stage) {
    let scene = &stage.scene;
    let all: BTreeSet<String> = Foreign::all().iter().map(|foreign| foreign.name()).collect();
    for (name, _) in sources("", "") {
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.until_ready_is("misplaced", "False", "CredentialsMissing").await;
    scene.eventually("everything is said", |_| stage.spy.told().is_superset(&all)).await;
    for name in all {
        if name.starts_with("create-") {
            let holds = |profile: &EducationSyncProfile| {
                condition(profile, "Ready").is_some_and(|ready| ready.0 == "False")
            };
            scene.until(&name, "refused", holds).await;
        }
    }
    scene
        .eventually("the renewed token is stored", |_| {
            stage.spy.told().contains("Kubernetes /secrets/edusync-refresh-tokens")
        })
        .await;
    // What is wrong with the others is said as well.
    let is_said = async || {
        let connections = scene.connections().list(&ListParams::default()).await.unwrap();
        connections.items.iter().all(|connection| {
            connection.status.as_ref().is_some_and(|status| {
                status
                    .conditions
                    .iter()
                    .any(|condition| condition.type_ == "Ready" && condition.status != "Unknown")
            })
        })
    };
    while !is_said().await {
        scene.lists_pass(1).await;
    }
    // What was refused once is stored later.
    let stored = async || stage.secrets().get_opt("edusync-refresh-tokens").await.unwrap().is_some();
    while !stored().await {
        scene.lists_pass(1).await;
    }
    scene.lists_pass(2).await;
}

/// Profiles are changed, read, and deleted; a synchronization has errors.
async fn until_all_is_changed(scene: &Scene) {
    let name = "powerschool";
    scene.eventually("the new secret is sent", |scene| !scene.requests("PUT").is_empty()).await;
    assert_eq!(scene.simulator.plant_errors("powerschool", 1), 1);
    scene
        .until(name, "with errors that are counted", |profile| {
            profile.status.as_ref().is_some_and(|status| !status.errors.is_empty())
        })
        .await;
    scene.delete("oneroster-oauth1").await;
    scene.until_gone("oneroster-oauth1").await;
    let observed = profile_manifest("later", spec("Contoso Later"));
    scene.apply::<EducationSyncProfile>(observed).await.unwrap();
    scene.until_ready_is("later", "True", "Provisioned").await;
}

/// What can be seen of the process from outside: its command line, environment, and probes.
fn around(scene: &Scene) -> Printed {
    let process = format!("/proc/{}", scene.operator.as_ref().unwrap().id());
    let read = |name: &str| std::fs::read(format!("{process}/{name}")).unwrap();
    let mut seen = vec![
        ("command line of the operator".to_owned(), read("cmdline")),
        ("environment of the operator".to_owned(), read("environ")),
    ];
    for (place, field) in [("probe", "address"), ("metrics", "metrics_address")] {
        let address = scene.address_of(field).unwrap();
        for path in ["/livez", "/readyz", "/metrics", "/debug"] {
            seen.push((format!("{place} {path}"), get(&address, path)));
        }
    }
    seen
}

/// Everything in the namespace that the program wrote, with who wrote which field. What people wrote themselves is left
/// out: their Secrets, and the specs of their resources.
fn objects(scene: &Scene) -> Vec<u8> {
    let namespace = scene.namespace.as_str();
    let mut kinds = scene.world.kubectl(["api-resources", "--verbs=list", "--namespaced", "-o", "name"]);
    let kinds = output_of(&mut kinds).unwrap();
    let kinds = kinds.lines().filter(|kind| *kind != "secrets").collect::<Vec<_>>().join(",");
    let get = ["get", &kinds, "--namespace", namespace, "--show-managed-fields", "-o", "json"];
    let found = output_of(&mut scene.world.kubectl(get)).unwrap();
    let mut found: Value = serde_json::from_str(&found).unwrap();
    let items = found["items"].as_array_mut().unwrap();
    assert!(items.len() > 40, "{} objects are few", items.len());
    for item in items {
        item.as_object_mut().unwrap().remove("spec");
    }
    found.to_string().into_bytes()
}

fn judge(stage: &Stage, runs: &Runs<'_>, printed: &Printed) {
    let markers = stage.markers();
    let mut judge = Judge::new(Search::new(&markers));
    for (place, text) in printed {
        judge.text(place, text);
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("panicked at"), "{place}: {text}");
    }
    for (place, text) in &runs.printed {
        judge.text(place, text);
        assert!(!text.contains("panicked at"), "{place}: {text}");
    }
    let asked = stage.spy.tape(|tape| {
        for asked in tape {
            judge.request(asked);
        }
        tape.len()
    });
    let traces = stage.collector.taken();
    assert!(!traces.is_empty(), "the collector has got nothing");
    for (headers, body) in traces {
        let uri = "/v1/traces".parse().unwrap();
        judge.request(&Asked { host: Host::Collector, method: Method::POST, uri, headers, body });
    }
    let (astray, unused) = judge.verdict();
    println!(
        "{} markers in {} forms; {} requests of the operator and of {} commands, and {} texts: {} bytes searched",
        markers.len(),
        judge.forms(),
        asked,
        runs.count(),
        judge.texts,
        judge.bytes
    );
    assert!(astray.is_empty(), "these have gone astray:\n{}", astray.join("\n"));
    assert_eq!(unused, [], "these lines of the tables allow what nobody does");
}
