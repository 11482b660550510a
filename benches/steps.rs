//! Single steps of a pass and of a poll, on values alone. `cargo bench` measures them; `cargo test --benches` only sees
//! that they run. What the whole costs is measured by `cargo xtask bench`.

#![allow(missing_docs, reason = "criterion's macros make items of their own")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends at once, as a test does, when its own world is not as it should be"
)]

mod world;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use edusync::api::EducationSyncProfile;
use edusync::graph::RemoteProfile;
use edusync::graph::difference::differences;
use edusync::graph::name::NameKey;
use edusync::graph::wire::wanted;
use edusync::reconcile::claims::{Claims, Owner};
use edusync::reconcile::decide::decide;
use edusync::reconcile::observation::Observation;
use serde_json::{Value, json};

use world::{PROFILES, at, id, listed, look, resource, snapshot, tenant};

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
                uid: format!("u{number}").into(),
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
