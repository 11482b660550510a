//! The simulator's side: it answers the request of the example as the example says. Ids, times,
//! signatures, tokens and made-up people may differ.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use graph_simulator::{CreateStatus, Settings, Simulator, SyncOutcome};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::check;
use crate::exchange::{Exchange, PROFILE};

const ROSTER: &str = "Fabrikam ISD roster";
const OTHER: &str = "c2a7d9e4-1f36-4b8a-8a55-0e9b4c7d2f10";

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

static PLAYED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

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

fn read(name: &str) -> Exchange {
    PLAYED.lock().unwrap().insert(name.to_owned());
    Exchange::read(name)
}

/// A simulator at the time of the examples.
struct Stage {
    simulator: Simulator,
    now: Timestamp,
    token: String,
    /// Ids of the simulator, and those that the examples have in their place.
    ids: Vec<(String, String)>,
}

/// The app registration of the examples.
fn settings() -> Settings {
    Settings {
        tenant: "5d1e9d1f-7a11-4f53-9a53-b6f0c5b22c7a".to_owned(),
        client_id: "2c7a3f0f-7a11-4d1e-9f53-b6f0c5b25d1e".to_owned(),
        client_secret: "example-secret".to_owned(),
        accept_type_without_hash: true,
        ..Settings::default()
    }
}

/// The body of the profile that most examples are about.
fn roster() -> Value {
    let mut body = Exchange::read("education-profiles-create-csv-creation").request.body;
    body["handleSpecialCharacterConstraint"] = json!(false);
    body
}

fn named(name: &str) -> Value {
    let mut body = roster();
    body["displayName"] = json!(name);
    body
}

impl Stage {
    fn new(settings: Settings) -> Self {
        let (tenant, id, secret) =
            (settings.tenant.clone(), settings.client_id.clone(), settings.client_secret.clone());
        let refresh = settings.refresh_token.clone();
        let simulator = Simulator::new(settings);
        let now: Timestamp = "2024-09-02T08:15:30Z".parse().unwrap();
        let mut stage = Self { simulator, now, token: String::new(), ids: Vec::new() };
        let form =
            format!("grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token={refresh}");
        stage.token = stage.sign_in(&tenant, form);
        stage
    }

    fn sign_in(&self, tenant: &str, form: String) -> String {
        let request = Request::post(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .unwrap();
        let answer: Value = serde_json::from_slice(self.simulator.handle(request, self.now).body()).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// With a token of the application itself.
    fn app_only(mut self) -> Self {
        let settings = self.simulator.settings().clone();
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            settings.client_id, settings.client_secret
        );
        self.token = self.sign_in(&settings.tenant, form);
        self
    }

    fn after(&mut self, span: Duration) -> &mut Self {
        self.now = self.now.saturating_add(span).unwrap();
        self
    }

    /// A profile stands where the example's id does.
    fn with(mut self, body: &Value, example_id: &str) -> Self {
        let id = self.simulator.plant(body, self.now).unwrap();
        self.ids.push((id, example_id.to_owned()));
        self
    }

    /// The profile of most examples, set up.
    fn with_roster() -> Self {
        let mut stage = Self::new(settings()).with(&roster(), PROFILE);
        stage.after(Duration::from_mins(1));
        stage
    }

    /// The simulator's ids in the place of the example's.
    fn ours(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (ours, example)| text.replace(example, ours))
    }

    fn theirs(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (ours, example)| text.replace(ours, example))
    }

    fn send(&self, request: &crate::exchange::Side) -> Response<Bytes> {
        let mut builder = Request::builder().method(request.method.as_str()).uri(self.ours(&request.url));
        for (name, value) in &request.headers {
            let value = value.as_str().unwrap().replace("{token}", &self.token);
            builder = builder.header(name, value);
        }
        let body = match (&request.raw_body, &request.body) {
            (Some(text), _) => text.clone(),
            (None, Value::Null) => String::new(),
            (None, body) => self.ours(&body.to_string()),
        };
        self.simulator.handle(builder.body(Bytes::from(body)).unwrap(), self.now)
    }

    /// Sends the example's request, and compares the answer with the example's.
    fn play(&self, name: &str) {
        self.play_as(name, &read(name));
    }

    fn play_as(&self, name: &str, exchange: &Exchange) {
        let answer = self.send(&exchange.request);
        let body = String::from_utf8(answer.body().to_vec()).unwrap();
        assert_eq!(answer.status().as_u16(), exchange.response.status, "{name}: {body}");
        for header in exchange.response.headers.keys() {
            let header = header.to_ascii_lowercase();
            let actual = answer.headers().get(&header).unwrap_or_else(|| panic!("{name}: no {header}"));
            if header == "content-type" {
                let expected = exchange.response.headers["Content-Type"].as_str().unwrap();
                let kind = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
                assert_eq!(kind(actual.to_str().unwrap()), kind(expected), "{name}");
            }
        }
        let actual: Value = match serde_json::from_str(&self.theirs(&body)) {
            Ok(value) => value,
            Err(_) => Value::String(body),
        };
        // A profile that was just created stands where the example's id does.
        let created = actual.get("id").and_then(Value::as_str).map(str::to_owned);
        let actual = match (created, exchange.response.body.get("id").and_then(Value::as_str)) {
            (Some(created), Some(id)) => {
                serde_json::from_str(&actual.to_string().replace(&created, id)).unwrap()
            }
            _ => actual,
        };
        let expected = match &exchange.response.body {
            Value::Number(number) => Value::Number(number.clone()),
            Value::Null => Value::String(String::new()),
            body => body.clone(),
        };
        let (mut actual, mut expected) = (comparable(&actual, ""), comparable(&expected, ""));
        if name == "education-profiles-create-oneroster-oauth2" {
            // What the service fills in is documented for CSV alone; the simulator fills in the same here.
            keep_only(&mut actual, &expected);
        }
        if name == "legacy-odata-type-without-hash" {
            // Its answer is of the older page: types without '#', and the state before the update. The
            // simulator takes the older spelling where it is told to, and always answers the newer page.
            let newer = expected.to_string().replace("\"microsoft.graph.", "\"#microsoft.graph.");
            expected = serde_json::from_str(&newer).unwrap();
            expected["state"] = json!("provisioning");
        }
        if name == "platform-subscribed-skus" {
            // The example's tenant has one licence; the simulator's has one more, for students.
            actual["value"].as_array_mut().unwrap().truncate(1);
        }
        if name == "seed0-create-ref-path" {
            // The generated page shows an answer without a context, which no service leaves out.
            actual.as_object_mut().unwrap().remove("@odata.context");
        }
        assert_eq!(actual, expected, "{name}");
    }
}

/// Takes out of `customizations` what the example does not have.
fn keep_only(actual: &mut Value, expected: &Value) {
    let at = "/dataProvider/customizations";
    let (Some(Value::Object(parts)), Some(Value::Object(known))) =
        (actual.pointer_mut(at), expected.pointer(at))
    else {
        panic!("both have customizations");
    };
    parts.retain(|name, _| known.contains_key(name));
    for (name, part) in parts {
        part.as_object_mut().unwrap().retain(|member, _| known[name].get(member).is_some());
    }
}

/// What may differ is taken out: times, ids of requests and errors, tokens, signatures, people, free text of a status; null is absent.
fn comparable(value: &Value, name: &str) -> Value {
    let differs = name.ends_with("DateTime")
        || matches!(
            name,
            "date"
                | "request-id"
                | "client-request-id"
                | "timestamp"
                | "trace_id"
                | "correlation_id"
                | "access_token"
                | "refresh_token"
                | "error_description"
                | "joiningValue"
                | "reportableIdentifier"
                | "errorUri"
                | "expires_on"
                | "not_before"
        );
    match value {
        Value::String(_) if differs => json!("…"),
        Value::String(text) => Value::String(without_tokens(text)),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, member)| {
                !member.is_null()
                    && !["statusMessage", "client-request-id"].contains(&name.as_str())
                    && !is_optional(name, member)
            });
            let kept: Map<String, Value> =
                kept.map(|(name, member)| (name.clone(), comparable(member, name))).collect();
            // An error of a synchronization has an id of its own.
            if kept.contains_key("errorCode") && kept.contains_key("id") {
                return Value::Object(kept.into_iter().filter(|(name, _)| name != "id").collect());
            }
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| comparable(item, name)).collect()),
        other => other.clone(),
    }
}

/// Where the declared type is concrete, naming it is allowed and not needed.
fn is_optional(name: &str, value: &Value) -> bool {
    let concrete = ["educationSynchronizationProfile", "educationSynchronizationLicenseAssignment"];
    name == "@odata.type"
        && concrete.iter().any(|concrete| value.as_str().is_some_and(|kind| kind.ends_with(concrete)))
}

/// Opaque parts of addresses: skip tokens, and everything that a signature covers.
fn without_tokens(text: &str) -> String {
    if text.contains("sig=") {
        return "an address with a signature".to_owned();
    }
    text.split_once("$skiptoken=")
        .map_or_else(|| text.to_owned(), |(before, _)| format!("{before}$skiptoken=…"))
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

/// Six files, one after the other.
const FILES: [(&str, &str); 6] = [
    ("school.csv", "SIS ID,Name\r\n10001,Fabrikam High\r\n"),
    ("section.csv", "SIS ID,School SIS ID,Section Name\r\n20001,10001,Biology\r\n"),
    (
        "student.csv",
        "SIS ID,School SIS ID,Username,Grade,Middle Name\r\n13001,10001,oklein,9,Christopher\r\n",
    ),
    ("teacher.csv", "SIS ID,School SIS ID,Username\r\n14001,10001,mrossi\r\n"),
    ("studentenrollment.csv", "Section SIS ID,SIS ID\r\n20001,13001\r\n"),
    ("teacherroster.csv", "Section SIS ID,SIS ID\r\n20001,14001\r\n"),
];

impl Stage {
    /// Uploads the six files, with some of them in another form.
    fn upload(&self, other: &[(&str, &str)]) {
        let asked = self.send(&Exchange::read("education-profiles-uploadurl").request);
        let asked: Value = serde_json::from_slice(asked.body()).unwrap();
        let (container, query) = asked["value"].as_str().unwrap().split_once('?').unwrap();
        for (name, content) in FILES {
            let content = other.iter().find(|(known, _)| *known == name).map_or(content, |(_, other)| *other);
            let request = Request::put(format!("{container}/{name}?{query}"))
                .header("x-ms-blob-type", "BlockBlob")
                .header("x-ms-version", "2015-07-08")
                .header("content-length", content.len())
                .body(Bytes::from(content.to_owned()))
                .unwrap();
            assert_eq!(self.simulator.handle(request, self.now).status(), 201, "{name}");
        }
    }

    /// Uploads good files and starts; the run ends as it is told to.
    fn started(outcome: Option<SyncOutcome>, errors: usize) -> Self {
        let stage = Self::with_roster();
        stage.simulator.set_sync_errors(ROSTER, errors);
        if let Some(outcome) = outcome {
            stage.simulator.set_sync_outcome(ROSTER, outcome);
        }
        stage.upload(&[]);
        assert_eq!(stage.send(&Exchange::read("education-profiles-start-ok").request).status(), 200);
        stage
    }
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

impl Stage {
    fn paused(self) -> Self {
        assert_eq!(self.send(&Exchange::read("education-profiles-pause").request).status(), 200);
        self
    }
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
