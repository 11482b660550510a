//! The simulator's side: it answers the request of the example as the example says. Ids, times,
//! signatures, tokens and made-up people may differ.

use std::time::Duration;

use graph_simulator::{CreateStatus, Settings, SyncOutcome};
use serde_json::{Value, json};

use crate::check;
use crate::exchange::{Exchange, PROFILE};
use crate::stage::{OTHER, PLAYED, Stage, named, read, roster, settings};

/// What the simulator cannot be brought to answer.
const EXCUSED: [(&str, &str); 2] = [
    (
        "platform-error-412",
        "no resource of this API has an ETag, so nothing can fail to match (contract: no optimistic locking)",
    ),
    (
        "platform-error-429-identity",
        "throttling of the directory service; the simulator has the education service",
    ),
];

#[tokio::test(start_paused = true)]
async fn the_simulator_answers_as_the_examples_say() {
    creates();
    reads();
    changes();
    batch();
    runs();
    errors();
    uploads();
    failures();
    crate::tokens::simulator(read).await;
    check("simulator", &PLAYED.lock().unwrap(), &EXCUSED);
}

fn creates() {
    for name in [
        "csv-creation",
        "csv-matching",
        "oneroster-oauth1",
        "oneroster-oauth2",
        "powerschool",
        "400-odata-type",
    ] {
        Stage::new(settings()).play(&format!("education-profiles-create-{name}"));
    }
    Stage::new(settings()).app_only().play("education-profiles-create-403-app-only");
    Stage::new(settings()).play("legacy-odata-type-lowercase");
    Stage::new(settings()).play("legacy-testeduapi-create");
    Stage::new(settings()).play("seed0-create-ref-path");
    let accepted = Stage::new(Settings { create_status: CreateStatus::Accepted, ..settings() });
    let answer = accepted.send(&Exchange::read("education-profiles-create-csv-creation").request);
    assert_eq!(answer.status(), 202, "the alternative of the example");
}

fn reads() {
    Stage::with_roster().play("education-profiles-get");
    Stage::new(settings()).play("education-profiles-get-404");
    let mut going =
        Stage::new(Settings { delete_time: Duration::from_hours(1), ..settings() }).with(&roster(), PROFILE);
    going.after(Duration::from_mins(1)).play("education-profiles-delete");
    going.play("education-profiles-get-deleting");
    let mut three = Stage::new(Settings { delete_time: Duration::from_hours(1), ..settings() });
    three.simulator.fail_provisioning("Broken profile");
    three = three.with(&roster(), PROFILE).with(&named("Broken profile"), OTHER);
    three = three.with(&named("Old profile"), "9a4e2b7c-0d13-4c58-b6f1-5e8a7c9d0b32");
    three.after(Duration::from_mins(1));
    let mut delete = Exchange::read("education-profiles-delete").request;
    delete.url = delete.url.replace(PROFILE, "9a4e2b7c-0d13-4c58-b6f1-5e8a7c9d0b32");
    assert_eq!(three.send(&delete).status(), 202);
    three.play("education-profiles-list");
    three.play("education-profiles-count");
    three.play("education-profiles-list-filter");
    // The token of the next page is the simulator's own.
    let first = three.send(&Exchange::read("education-profiles-list").request);
    let first: Value = serde_json::from_slice(first.body()).unwrap();
    let next = first["@odata.nextLink"].as_str().unwrap().to_owned();
    three.ids.push((next, Exchange::read("education-profiles-list-last-page").request.url));
    three.play("education-profiles-list-last-page");
}

/// Each item has the status and the error of the example. What a profile holds was compared before, and the
/// order of the answers means nothing (Graph docs: JSON batching).
fn batch() {
    let stage = Stage::with_roster();
    // The second item of the example is throttled.
    stage.simulator.add_fault("profileStatus:429,retry-after=7".parse().unwrap(), stage.now);
    let exchange = read("platform-batch");
    let answer: Value = serde_json::from_slice(stage.send(&exchange.request).body()).unwrap();
    let items = |body: &Value| -> std::collections::BTreeMap<String, Value> {
        let line = |item: &Value| {
            let headers = &item["headers"];
            json!([
                item["status"],
                item["body"]["error"]["code"],
                headers["Content-Type"],
                headers["Retry-After"]
            ])
        };
        let items = body["responses"].as_array().unwrap().iter();
        items.map(|item| (item["id"].as_str().unwrap().to_owned(), line(item))).collect()
    };
    assert_eq!(items(&answer), items(&exchange.response.body));
}

fn changes() {
    Stage::with_roster().play("education-profiles-update-put-item");
    Stage::with_roster().play("education-profiles-update-patch-item");
    Stage::with_roster().play("education-profiles-update-put-collection");
    Stage::with_roster().play("education-profiles-pause");
    Stage::with_roster().play("education-profiles-resume");
    Stage::with_roster().play("education-profiles-reset");
    Stage::with_roster().play("legacy-odata-type-without-hash");
    Stage::with_roster().play("platform-subscribed-skus");
    Stage::with_roster().play("platform-batch-400");
}

fn runs() {
    let stage = Stage::with_roster();
    stage.upload(&[]);
    stage.play("education-profiles-start-ok");
    stage.play("education-status-extracting-with-prefer");
    stage.play("education-status-unknown-without-prefer");
    stage.play("education-profiles-uploadurl-409");
    let stage = Stage::with_roster();
    let teachers =
        "SIS ID,School SIS ID,Username\r\n14001,10001,mrossi\r\n14002,10001,mrossi\r\n14003,10001,mrossi\r\n";
    stage.upload(&[("teacher.csv", teachers)]);
    stage.play("education-profiles-start-warnings");
    let stage = Stage::with_roster();
    let sections = format!("SIS ID,School SIS ID,Section Name\r\n{}", ",10001,Biology\r\n".repeat(4));
    let students = format!("SIS ID,School SIS ID,Username\r\n13001,10001,a\r\n{}", "");
    let students = format!("{students}13001,10001,b\r\n13001,10001,c\r\n13001,10001,d\r\n");
    let enrollments = format!("Section SIS ID,SIS ID\r\n{}", "29999,13001\r\n".repeat(17));
    let rosters = "Section SIS ID,SIS ID\r\n";
    stage.upload(&[
        ("section.csv", &sections),
        ("student.csv", &students),
        ("studentenrollment.csv", &enrollments),
        ("teacherroster.csv", rosters),
    ]);
    stage.play("education-profiles-start-errors");
    let body = Exchange::read("education-profiles-create-oneroster-oauth1").request.body;
    Stage::new(settings()).with(&body, OTHER).play("education-profiles-start-400-odata");
    states();
}

fn states() {
    let long = Duration::from_mins(1);
    let mut running = Stage::started(None, 0);
    running.after(Duration::from_secs(5)).play("education-status-inprogress");
    Stage::with_roster().paused().play("education-status-paused");
    Stage::started(None, 0).after(long).play("education-status-success");
    Stage::started(None, 0).after(long).play("education-profiles-get-expand");
    Stage::started(Some(SyncOutcome::Error), 7).after(long).play("education-status-error");
    Stage::started(Some(SyncOutcome::ValidationError), 42)
        .after(long)
        .play("education-status-validationerror");
    Stage::started(None, 15_000).after(long).play("education-status-quarantined");
}

fn errors() {
    let mut stage = Stage::started(None, 3);
    stage.after(Duration::from_mins(1)).play("education-errors-list");
    stage.play("education-errors-count");
    let list = stage.send(&Exchange::read("education-errors-list").request);
    let list: Value = serde_json::from_slice(list.body()).unwrap();
    let first = list["value"][0]["id"].as_str().unwrap().to_owned();
    let example = Exchange::read("education-errors-get").response.body["id"].as_str().unwrap().to_owned();
    stage.ids.push((first, example));
    stage.play("education-errors-get");
}

fn uploads() {
    let mut stage = Stage::with_roster();
    stage.play("education-profiles-uploadurl");
    let asked = stage.send(&Exchange::read("education-profiles-uploadurl").request);
    let asked: Value = serde_json::from_slice(asked.body()).unwrap();
    let (container, query) = asked["value"].as_str().unwrap().split_once('?').unwrap();
    let example = Exchange::read("education-csv-blob-put").request.url;
    stage.ids = vec![(format!("{container}/student.csv?{query}"), example)];
    stage.play("education-csv-blob-put");
}

fn failures() {
    for (name, status) in [
        ("education-profiles-list-500", 500),
        ("platform-error-429", 429),
        ("platform-error-503", 503),
        ("platform-error-504", 504),
    ] {
        let stage = Stage::with_roster();
        stage.simulator.set_unavailable(Some(status));
        stage.play(name);
    }
    let mut late = Stage::with_roster();
    late.after(Duration::from_hours(2)).play("platform-error-401");
    let unprivileged = Stage::new(Settings { app_roles: vec!["User.Read.All".to_owned()], ..settings() });
    unprivileged.app_only().play("platform-error-403");
}
