//! Traces, as a collector gets them, and as little as it may get.

use serde_json::Value;
use xtask::guard::Guarded;

use crate::collector::{Collector, attributes, tree};
use crate::scene::{COLLECTION, Scene, quick, spec};

/// The operator of this scene sends its traces there, at once.
fn traced(scene: &mut Scene, endpoint: &str) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a-key"),
        ("OTEL_SERVICE_NAME", "school-sync"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    scene.environment.extend(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    scene.flags.extend(["--log-format".to_owned(), "json".to_owned()]);
}

async fn end(operator: Guarded) {
    let mut operator = operator;
    let status = tokio::task::spawn_blocking(move || operator.terminate()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
}

const CREATE: &str = "\
reconcile EducationSyncProfile [edusync.action=Create edusync.outcome=again edusync.resource.kind=EducationSyncProfile edusync.resource.name=contoso edusync.wake=poll k8s.namespace.name]
  patch educationsyncprofiles [k8s.namespace.name]
  patch graphconnections [k8s.namespace.name]
  update educationsyncprofiles/status [k8s.namespace.name]
  POST /beta/education/synchronizationProfiles [edusync.graph.client_request_id edusync.graph.operation=create edusync.graph.request_id http.request.method=POST http.response.status_code=201 server.address=127.0.0.1 server.port url.template=/beta/education/synchronizationProfiles]
  update educationsyncprofiles/status [k8s.namespace.name]
  create events [k8s.namespace.name]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_one_trace_with_its_calls() {
    let collector = Collector::begin().await;
    let mut scene = Scene::without_operator("traces", quick()).await;
    traced(&mut scene, &collector.url());
    scene.start_operator();
    scene.until_connection_is("True", "Connected").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    // What is left is sent at the end.
    end(scene.take_operator()).await;

    let spans = collector.spans();
    let found = |key: &str, value: &str| {
        let is = |span: &&_| {
            let span: &opentelemetry_proto::tonic::trace::v1::Span = span;
            attributes(&span.attributes).get(key).is_some_and(|found| found == value)
        };
        spans.iter().find(is).unwrap_or_else(|| panic!("no span has {key}={value}"))
    };
    let pass = found("edusync.action", "Create");
    assert_eq!(tree(&spans, pass), CREATE);
    // The list that told that the name is free is a trace of its own, and the pass is linked to it.
    let poll = spans.iter().find(|span| span.span_id == pass.links[0].span_id).unwrap();
    assert_eq!((poll.name.as_str(), poll.parent_span_id.len()), ("poll profiles", 0));
    assert_ne!(poll.trace_id, pass.trace_id);
    assert!(tree(&spans, poll).contains(&format!("\n  GET {COLLECTION} [")), "{}", tree(&spans, poll));

    // The id is the one that Graph was told.
    let post = found("http.request.method", "POST");
    let create = found("edusync.graph.operation", "create");
    let id = attributes(&create.attributes)["edusync.graph.client_request_id"].clone();
    assert_eq!(scene.requests("POST")[0].client_request_id.as_deref(), Some(id.as_str()));
    assert_eq!(post.kind, 3, "a client's");

    // Tokens, names and whole addresses are nobody's business.
    for (headers, body) in collector.taken() {
        assert_eq!(headers["x-api-key"], "a-key");
        let body = String::from_utf8_lossy(&body).into_owned();
        for secret in ["Contoso SDS", "$expand", "https://", &scene.simulator.settings().client_secret] {
            assert!(!body.contains(secret), "{secret}");
        }
    }
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "school-sync");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));

    // A line of the log leads to its trace.
    let log = scene.operator_log();
    let line = log.lines().find(|line| line.contains("created the profile")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let trace = u128::from_be_bytes(pass.trace_id.as_slice().try_into().unwrap());
    let span = u64::from_be_bytes(pass.span_id.as_slice().try_into().unwrap());
    assert_eq!(line["trace_id"], format!("{trace:032x}"));
    assert_eq!(line["span_id"], format!("{span:016x}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_one_warning() {
    // A port that somebody had, and let go.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut scene = Scene::without_operator("nocollector", quick()).await;
    traced(&mut scene, &format!("http://{closed}/?key=a-secret"));
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let complaint = "the collector does not take traces";
    scene.eventually("a warning", |scene| scene.operator_log().contains(complaint)).await;
    scene.lists_pass(3).await;
    end(scene.take_operator()).await;
    let log = scene.operator_log();
    assert_eq!(log.matches(complaint).count(), 1, "{log}");
    assert!(!log.contains("a-secret") && !log.contains("a-key"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sampler_leaves_out_is_not_sent() {
    let collector = Collector::begin().await;
    let mut scene = Scene::without_operator("sampler", quick()).await;
    traced(&mut scene, &collector.url());
    scene.environment.push(("OTEL_TRACES_SAMPLER".to_owned(), "always_off".to_owned()));
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    end(scene.take_operator()).await;
    assert_eq!(collector.taken().len(), 0);
}
