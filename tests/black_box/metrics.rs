//! What the metrics say is what has happened: counted by the simulator, by the audit log, and by the resources.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use edusync::clock::Clock;
use edusync::metrics::table;
use graph_simulator::{ClientCertificate, ProfileSettings, Settings};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, PostParams};
use rcgen::CertificateParams;
use serde_json::json;

use crate::kinds::{KEY, apply_connection};
use crate::scene::{Scene, power_school, quick, spec};
use crate::scrape::Scrape;

const REQUESTS: &str = "edusync_graph_request_duration_seconds_count";
const PASSES: &str = "edusync_reconcile_duration_seconds_count";

/// How many times what was counted.
type Counts = BTreeMap<(String, String), u64>;

/// Requests by operation and class, as the simulator has answered them; those for tokens have the operation "token".
fn answered(scene: &Scene) -> Counts {
    let mut counts = Counts::new();
    for request in scene.simulator.requests() {
        let class = match request.status {
            _ if request.cut.is_some() => "unknown",
            200..=299 => "success",
            429 => "throttled",
            408 | 409 | 425 | 500.. => "unknown",
            _ => "refused",
        };
        // Our name for every page of a list.
        let operation = if request.operation == "list.page" { "list" } else { request.operation };
        *counts.entry((operation.to_owned(), class.to_owned())).or_default() += 1;
    }
    counts
}

/// The same, as the operator has counted it.
fn counted(scrape: &Scrape) -> Counts {
    let graph = scrape.all(REQUESTS, &[]).map(|(labels, count)| (labels["operation"].clone(), labels, count));
    let tokens = scrape.all("edusync_token_request_duration_seconds_count", &[]);
    let tokens = tokens.map(|(labels, count)| ("token".to_owned(), labels, count));
    let all = graph.chain(tokens);
    all.map(|(operation, labels, count)| ((operation, labels["class"].clone()), whole(count))).collect()
}

fn whole(value: f64) -> u64 {
    format!("{value}").parse().unwrap()
}

/// Waits until both have counted the same. A request that one of them does not count makes that impossible for ever.
async fn until_counts_agree(scene: &Scene) -> Counts {
    let scrape = scene.until_metrics("metrics and simulator agree", |s| counted(s) == answered(scene)).await;
    counted(&scrape)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_as_the_simulator_counts_them() {
    let mut scene = Scene::without_operator("counted", quick()).await;
    for fault in ["create:429,retry-after=3", "list:500,times=2", "profileStatus:504"] {
        scene.simulator.fault(fault).unwrap();
    }
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.create("contoso", spec("Contoso renamed")).await;
    scene.eventually("updated", |scene| !scene.requests("PUT").is_empty()).await;
    let counts = until_counts_agree(&scene).await;
    for (operation, class) in [
        ("create", "throttled"),
        ("create", "success"),
        ("update", "success"),
        ("list", "unknown"),
        ("list", "success"),
        ("token", "success"),
    ] {
        assert!(counts.contains_key(&(operation.to_owned(), class.to_owned())), "{operation}: {counts:?}");
    }

    let scrape = scene.scrape().await;
    assert_eq!(scrape.value("edusync_graph_throttled_seconds_total", &[]), Some(3.0));
    assert_eq!(scrape.value("edusync_graph_lists_total", &[("class", "unknown")]), Some(2.0));
    assert_eq!(scrape.value("edusync_profile_ready_duration_seconds_count", &[]), Some(1.0));
    assert_eq!(scrape.value("edusync_leader", &[]), Some(1.0));

    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let counts = until_counts_agree(&scene).await;
    assert_eq!(counts[&("delete".to_owned(), "success".to_owned())], 1);
    assert!(counts.contains_key(&("get".to_owned(), "refused".to_owned())), "404 proves it gone: {counts:?}");
    let about = |scrape: &Scrape| scrape.text.matches("name=\"contoso\"").count();
    let scrape = scene.until_metrics("its series are gone", |scrape| about(scrape) == 0).await;
    assert_eq!(scrape.value("edusync_creations_open", &[]), Some(0.0));
    for kind in ["EducationSyncProfile", "GraphConnection"] {
        scene
            .until_metrics("nobody waits", |scrape| {
                let zero = |name| scrape.value(name, &[("kind", kind)]) == Some(0.0);
                zero("edusync_reconcile_queue_depth") && zero("edusync_reconcile_active")
            })
            .await;
    }
    assert!(scrape.value(PASSES, &[("kind", "EducationSyncProfile"), ("result", "requeue")]) >= Some(1.0));
    assert_eq!(scrape.value(PASSES, &[("kind", "EducationSyncProfile"), ("result", "error")]), None);
}

/// Verb and resource with subresource, with the status of the answer.
fn audited(scene: &Scene) -> BTreeMap<(String, String, String), u64> {
    let mut counts = BTreeMap::new();
    for entry in scene.world.operator_writes(&scene.namespace) {
        let resource = match entry.subresource {
            Some(subresource) => format!("{}/{subresource}", entry.resource),
            None => entry.resource,
        };
        *counts.entry((entry.verb, resource, entry.code.to_string())).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_counted_as_the_audit_log_counts_them() {
    let scene = Scene::begin("writes").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let counted = |scrape: &Scrape| {
        let all = scrape.all("edusync_kubernetes_requests_total", &[]);
        let writes = all.filter(|(labels, _)| {
            // The lease is in another namespace, and questions about one's own rights are in none.
            let is_here = labels["resource"] != "leases" && !labels["resource"].starts_with("selfsubject");
            is_here && !["get", "list", "watch"].contains(&labels["verb"].as_str())
        });
        let key = |labels: &BTreeMap<String, String>| {
            (labels["verb"].clone(), labels["resource"].clone(), labels["code"].clone())
        };
        writes.map(|(labels, count)| (key(labels), whole(count))).collect::<BTreeMap<_, _>>()
    };
    let scrape = scene.until_metrics("metrics and audit log agree", |s| counted(s) == audited(&scene)).await;
    let counts = counted(&scrape);
    for (verb, resource, code) in [
        ("update", "educationsyncprofiles/status", "200"),
        ("create", "events", "201"),
        ("patch", "secrets", "201"),
    ] {
        let key = (verb.to_owned(), resource.to_owned(), code.to_owned());
        assert!(counts.contains_key(&key), "{key:?}: {counts:?}");
    }
}

/// A run in which there is something to tell of every metric.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_every_documented_one_is_there() {
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&*KEY).unwrap().pem();
    let registered = ClientCertificate::from_pem(&certificate).unwrap();
    let profiles = ProfileSettings { sync_time: Duration::from_millis(300), ..ProfileSettings::default() };
    let settings = Settings { client_certificates: vec![registered], profiles, ..quick() };
    let mut scene = Scene::without_operator("documented", settings).await;
    scene.simulator.set_sync_errors("Fabrikam SDS", 3);
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "tls"},
        "stringData": {"tls.crt": certificate, "tls.key": KEY.serialize_pem()}
    }))
    .unwrap();
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), &scene.namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    apply_connection(&scene, "certificateRef", json!({"name": "tls"})).await;
    scene.start_operator();
    let mut wanted = power_school(&scene).await;
    wanted["displayName"] = json!("A Display Name Of Contoso");
    wanted["expirationDate"] = json!("2027-06-30");
    let mut with_errors = wanted.clone();
    with_errors["displayName"] = json!("Fabrikam SDS");
    scene.create("fabrikam", with_errors).await;
    scene.create("contoso", wanted).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let stem = |name: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let documented: BTreeSet<String> = table::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    let present = |scrape: &Scrape| -> BTreeSet<String> {
        let names = scrape.series.keys().map(|(name, _)| name);
        names.map(|name| if documented.contains(name) { name.clone() } else { stem(name) }).collect()
    };
    let is_whole = |scrape: &Scrape| {
        // Shown if the test fails.
        println!("{:?}", documented.symmetric_difference(&present(scrape)).collect::<Vec<_>>());
        // These come to their end within seconds.
        let profiles = scrape.value("edusync_connection_profiles", &[("name", "default")]);
        let errors = scrape.value("edusync_profile_sync_errors", &[("name", "fabrikam")]);
        present(scrape) == documented && (profiles, errors) == (Some(2.0), Some(3.0))
    };
    let scrape = scene.until_metrics("all are there", is_whole).await;
    for metric in table::ALL {
        let expected: BTreeSet<&str> = metric.labels.iter().copied().collect();
        for (series, labels) in
            scrape.series.keys().filter(|(name, _)| *name == metric.name || stem(name) == metric.name)
        {
            let found: BTreeSet<&str> =
                labels.keys().map(String::as_str).filter(|name| *name != "le").collect();
            assert_eq!(found, expected, "{series}");
        }
        let kind = format!("# TYPE {} {}", metric.name.trim_end_matches("_total"), metric.kind.as_str());
        assert!(scrape.text.contains(&kind), "{kind}");
    }
    // Neither how people call a profile, nor what Graph calls it, nor whose tenant it is.
    let status = scene.profiles().get("contoso").await.unwrap().status.unwrap();
    let binding = status.binding.unwrap();
    for secret in [
        "Display Name",
        "Fabrikam",
        &binding.profile_id,
        &binding.tenant_id,
        scene.simulator.settings().client_id.as_str(),
    ] {
        assert!(!scrape.text.contains(secret), "{secret}:\n{}", scrape.text);
    }
    let place = [("resource_namespace", scene.namespace.as_str()), ("name", "default")];
    assert_eq!(scrape.value("edusync_connection_poll_interval_seconds", &place), Some(1.0));
    let left = scrape.value("edusync_connection_budget_requests", &place).unwrap();
    assert!(left > 0.0 && left <= 200.0, "{left}");
    let ready = [&place[..], &[("type", "Ready")]].concat();
    assert_eq!(scrape.value("edusync_connection_condition", &ready), Some(1.0));

    for name in ["contoso", "fabrikam"] {
        scene.delete(name).await;
        scene.until_gone(name).await;
    }
    scene.connections().delete("default", &DeleteParams::default()).await.unwrap();
    let about = |scrape: &Scrape| scrape.text.matches("resource_namespace=").count();
    scene.until_metrics("no series of a resource is left", |scrape| about(scrape) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_says_that_it_stands_by_and_nothing_of_resources() {
    let mut scene = Scene::begin("standby-metrics").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let leader = scene.address_of("metrics_address").unwrap();
    let mut first = scene.take_operator();
    scene.start_operator();
    scene.eventually("a standby", |scene| scene.operator_log().contains("standing by")).await;
    let standby = scene.scrape().await;
    assert_eq!(standby.value("edusync_leader", &[]), Some(0.0));
    assert_eq!(Scrape::at(&leader).value("edusync_leader", &[]), Some(1.0));
    assert!(!standby.text.contains("resource_namespace="), "{}", standby.text);
    assert_eq!(standby.all("edusync_build_info", &[]).count(), 1);
    let began = |scrape: &Scrape| scrape.value("process_start_time_seconds", &[]).unwrap();
    let since = began(&standby) - began(&Scrape::at(&leader));
    assert!((0.0..600.0).contains(&since), "the standby was started later: {since}");
    let now = Clock::of_this_machine().now().as_duration().as_secs_f64();
    assert!((0.0..600.0).contains(&(now - began(&standby))), "by Unix time");
    assert!((began(&standby) - began(&scene.scrape().await)).abs() < f64::EPSILON, "it does not move");
    assert!(first.terminate().unwrap().success());
    let works = |scrape: &Scrape| {
        scrape.text.contains("name=\"contoso\"") && scrape.value("edusync_leader", &[]) == Some(1.0)
    };
    let scrape = scene.until_metrics("the successor works, and tells of resources", works).await;
    // It was Ready before.
    assert_eq!(scrape.value("edusync_profile_ready_duration_seconds_count", &[]), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_be_off() {
    let scene = Scene::without_operator("no-metrics", quick()).await;
    let mut scene = scene.with_flags(&["--metrics-address", "off"]);
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
    assert_eq!(scene.address_of("metrics_address"), None);
    let probes = scene.address_of("address").unwrap();
    let answer = String::from_utf8(crate::scrape::get(&probes, "/metrics")).unwrap();
    assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
}
