//! Single steps of a pass and of a poll, on values alone. `cargo bench` measures them; `cargo test --benches` only sees
//! that they run. What the whole costs is measured by `cargo xtask bench`.

#![allow(missing_docs, reason = "criterion's macros make items of their own")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends at once, as a test does, when its own world is not as it should be"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use edusync::api::EducationSyncProfile;
use edusync::api::connection::Dialect;
use edusync::graph::RemoteProfile;
use edusync::graph::difference::differences;
use edusync::graph::name::NameKey;
use edusync::graph::wire::wanted;
use edusync::poller::Snapshot;
use edusync::reconcile::claims::{Claims, Owner, Tenant};
use edusync::reconcile::decide::decide;
use edusync::reconcile::observation::{
    ConnectionFacts, ListFacts, Memory, Observation, Settings, SourceSecret,
};
use edusync::reconcile::trust::Trust;
use jiff::Timestamp;
use serde_json::{Value, json};

const PROFILES: usize = 10_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("it is a moment of our time")
}

fn tenant(number: usize) -> Tenant {
    Tenant { endpoint: "https://graph.microsoft.com".to_owned(), tenant_id: format!("{number}") }
}

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// As Graph lists it.
fn listed(number: usize, state: &str) -> Value {
    let part = json!({"optionalPropertiesToSync": ["State ID", "Middle Name"], "isSyncDeferred": false});
    json!({
        "id": id(number), "displayName": format!("School {number}"), "state": state, "profileStatus": null,
        "dataProvider": {
            "@odata.type": "#microsoft.graph.educationCsvDataProvider",
            "customizations": {"student": part, "teacher": part, "school": part, "section": part},
        },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}, {"appliesTo": "teacher", "name": "school.example"}],
        },
        "licensesToAssign": [{"appliesTo": "student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}],
        "handleSpecialCharacterConstraint": true, "expirationDate": "2027-06-30",
    })
}

/// A resource that is bound, and at rest.
fn resource(number: usize) -> EducationSyncProfile {
    let student = json!({"optionalPropertiesToSync": ["State ID", "Middle Name"]});
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Provisioned", "message": "The profile is set up.",
        "observedGeneration": 1, "lastTransitionTime": "2026-11-22T00:00:00Z",
    });
    let binding = json!({
        "uid": "u", "endpoint": "https://graph.microsoft.com", "tenantId": "0", "profileId": id(number),
        "displayName": format!("School {number}"),
    });
    let manifest = json!({
        "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": "contoso", "namespace": "n", "uid": "u", "generation": 1, "finalizers": ["edusync.dev/profile"]},
        "spec": {
            "displayName": format!("School {number}"),
            "dataProvider": {"csv": {"customizations": {"student": student}}},
            "identitySynchronizationConfiguration": {"creation": {"userDomains": [
                {"appliesTo": "teacher", "name": "school.example"}, {"appliesTo": "student", "name": "school.example"},
            ]}},
            "handleSpecialCharacterConstraint": true, "expirationDate": "2027-06-30",
        },
        "status": {"observedGeneration": 1, "state": "provisioned", "binding": binding, "conditions": [ready]},
    });
    serde_json::from_value(manifest).expect("it is a manifest")
}

fn remote(number: usize, state: &str) -> RemoteProfile {
    RemoteProfile::read(&listed(number, state)).expect("it is a profile")
}

fn look() -> Observation {
    Observation {
        now: at(10_000),
        settings: Settings {
            request_timeout: Duration::from_secs(30),
            settle_window: Duration::from_mins(2),
            lease_duration: Duration::from_secs(15),
            probe_interval: Duration::from_secs(5),
            most_deletions: 10,
            refusal_retry: Duration::from_hours(1),
        },
        resource: Arc::new(resource(1)),
        trust: Trust::Own,
        connection: Ok(ConnectionFacts {
            tenant: tenant(0),
            dialect: Dialect::Beta,
            fingerprint: "c/1/".to_owned(),
            delegated: true,
        }),
        connection_is_held: true,
        list: ListFacts { began: Some(at(9_998)), ended: Some(at(9_999)), ..ListFacts::default() },
        name: None,
        namesakes: Vec::new(),
        bound: Some(remote(1, "provisioned")),
        bound_to_other: None,
        adoptee: None,
        source_secret: SourceSecret::NotNeeded,
        deletions: 0,
        memory: Memory::default(),
    }
}

/// The decision about a profile at rest: what nearly every pass comes to.
fn decision(criterion: &mut Criterion) {
    let o = look();
    criterion.bench_function("decide/at rest", |bencher| bencher.iter(|| decide(black_box(&o))));
    let creating = Observation {
        bound: None,
        resource: Arc::new(EducationSyncProfile { status: None, ..resource(1) }),
        ..look()
    };
    criterion.bench_function("decide/to be created", |bencher| bencher.iter(|| decide(black_box(&creating))));
}

/// The comparison of a manifest with what Graph has.
fn drift(criterion: &mut Criterion) {
    let (wanted, actual) = (wanted(&resource(1).spec), listed(1, "provisioned"));
    assert!(differences(&wanted, &actual).is_empty(), "a difference would be another benchmark");
    criterion.bench_function("drift/none", |bencher| {
        bencher.iter(|| differences(black_box(&wanted), black_box(&actual)));
    });
    let mut other = actual.clone();
    other["displayName"] = json!("By hand");
    criterion.bench_function("drift/one", |bencher| {
        bencher.iter(|| differences(black_box(&wanted), black_box(&other)));
    });
}

fn snapshot(began: i64, changed: impl Fn(usize) -> bool) -> Snapshot {
    let profiles: BTreeMap<String, RemoteProfile> = (0..PROFILES)
        .map(|number| {
            let state = if changed(number) { "provisioning" } else { "provisioned" };
            (id(number), remote(number, state))
        })
        .collect();
    Snapshot { began: at(began), ended: at(began + 1), profiles }
}

/// What a list of ten thousand changes, and which of ten thousand followers that concerns.
fn diff(criterion: &mut Criterion) {
    let old = snapshot(1, |_| false);
    let followers: Vec<(String, NameKey)> =
        (0..PROFILES).map(|number| (id(number), NameKey::of(&format!("School {number}")))).collect();
    let mut group = criterion.benchmark_group("snapshot");
    for (name, every) in [("nothing changed", 0), ("one in a hundred changed", 100), ("all changed", 1)] {
        let new = snapshot(60, |number| every > 0 && number % every == 0);
        group.bench_function(BenchmarkId::new("10,000 profiles", name), |bencher| {
            bencher.iter(|| {
                let changes = black_box(&new).changes_since(Some(black_box(&old)));
                followers.iter().filter(|(id, name)| changes.concern(id, name)).count()
            });
        });
    }
    group.finish();
}

/// Reading a page of a list.
fn reading(criterion: &mut Criterion) {
    let page: Vec<Value> = (0..100).map(|number| listed(number, "provisioned")).collect();
    let text = json!({ "value": page }).to_string();
    let mut group = criterion.benchmark_group("list");
    group.throughput(Throughput::Elements(100));
    group.bench_function("a page of 100 is read", |bencher| {
        bencher.iter(|| {
            let page: Value = serde_json::from_str(black_box(&text)).expect("it is JSON");
            let items = page["value"].as_array().expect("it is a list");
            items.iter().filter_map(RemoteProfile::read).count()
        });
    });
    group.finish();
}

/// What each pass asks of the claims of ten thousand profiles: does the list lack any that is alive?
fn claims(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("claims");
    for per_tenant in [3, 300, PROFILES] {
        let claims = Claims::default();
        for number in 0..PROFILES {
            let owner = Owner {
                uid: format!("u{number}"),
                namespace: "n".to_owned(),
                name: format!("profile-{number}"),
                created: at(1),
            };
            let taken = claims.claim_profile(&tenant(number / per_tenant), &id(number), &owner, Some(at(1)));
            assert!(taken.is_none(), "every profile is another one");
        }
        let place = tenant(0);
        group.bench_function(BenchmarkId::new("10,000 alive, so many a tenant", per_tenant), |bencher| {
            bencher.iter(|| claims.alive(black_box(&place), at(2), |_| true));
        });
    }
    group.finish();
}

/// The check of CSV files before an upload: the program, over 100,000 pupils and their enrolments.
fn csv(criterion: &mut Criterion) {
    const PUPILS: usize = 100_000;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    write_csv(folder.path(), PUPILS);
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edusync"));
        command
            .args(["upload", "--check-only"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().expect("edusync can be run");
        assert!(status.success(), "the files are good");
    };
    let mut group = criterion.benchmark_group("csv");
    group.sample_size(10).throughput(Throughput::Elements(2 * PUPILS as u64));
    group.bench_function("200,000 rows are checked", |bencher| {
        bencher.iter_batched(|| (), |()| check(), BatchSize::PerIteration);
    });
    group.finish();
}

fn write_csv(folder: &Path, pupils: usize) {
    let mut student = String::from("SIS ID,School SIS ID,Username\n");
    let mut enrolment = String::from("Section SIS ID,SIS ID\n");
    for pupil in 0..pupils {
        let _ = writeln!(student, "p{pupil},1,pupil{pupil}");
        let _ = writeln!(enrolment, "s1,p{pupil}");
    }
    let files = [
        ("school.csv", "SIS ID,Name\n1,Contoso\n".to_owned()),
        ("section.csv", "SIS ID,School SIS ID,Section Name\ns1,1,All\n".to_owned()),
        ("student.csv", student),
        ("teacher.csv", "SIS ID,School SIS ID,Username\nt1,1,teacher1\n".to_owned()),
        ("studentenrollment.csv", enrolment),
        ("teacherroster.csv", "Section SIS ID,SIS ID\ns1,t1\n".to_owned()),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("a file can be written");
    }
}

criterion_group!(steps, decision, drift, diff, reading, claims, csv);
criterion_main!(steps);
