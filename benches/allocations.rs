//! How often single steps allocate, and how many bytes what is kept for each profile takes. Counted exactly, so that one run
//! is enough. Prints a line of JSON for each; `cargo xtask bench --micro` takes them into its page.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark ends at once when its world is not as it should be"
)]

mod world;

use std::hint::black_box;

use edusync::api::EducationSyncProfile;
use edusync::graph::RemoteProfile;
use edusync::graph::difference::differences;
use edusync::graph::wire::wanted;
use edusync::reconcile::claims::{Claims, Owner};
use edusync::reconcile::decide::decide;
use serde_json::{Map, Value, json};

use world::{PROFILES, at, id, listed, look, manifest, remote, resource, snapshot, tenant};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    steps();
    kept();
}

/// Allocations of one step.
fn steps() {
    let o = look();
    allocations("a decision about a profile at rest", || decide(&o));
    let (wanted, actual) = (wanted(&resource(1).spec), listed(1, "provisioned"));
    allocations("a comparison of manifest and profile", || differences(&wanted, &actual));
    allocations("a profile on a list, read", || RemoteProfile::read(&actual));
    let (old, new) = (snapshot(1, |_| false), snapshot(60, |_| false));
    allocations("10,000 profiles, compared with the list before", || new.changes_since(Some(&old)));
}

/// Bytes that are kept for each profile.
fn kept() {
    bytes("the resource, as the operator keeps it", resource);
    bytes("the same with managedFields, as Kubernetes sends it", with_managed_fields);
    bytes("its profile on the newest list", |number| (id(number), remote(number, "provisioned")));
    let claims = Claims::default();
    bytes("its claims", |number| {
        let (uid, name) = (format!("u{number}"), format!("profile-{number}"));
        let owner = Owner { uid: uid.into(), namespace: "n".to_owned(), name, created: at(1) };
        claims.claim_profile(&tenant(number / 3), &id(number), &owner, Some(at(1)))
    });
}

fn allocations<T>(name: &str, step: impl Fn() -> T) {
    black_box(step());
    let before = dhat::HeapStats::get().total_blocks;
    let result = black_box(step());
    let after = dhat::HeapStats::get().total_blocks;
    drop(result);
    tell(name, "allocations", after - before);
}

fn bytes<T>(name: &str, make: impl Fn(usize) -> T) {
    let mut all = Vec::with_capacity(PROFILES);
    let before = dhat::HeapStats::get().curr_bytes;
    all.extend((0..PROFILES).map(make));
    let after = dhat::HeapStats::get().curr_bytes;
    let inline = std::mem::size_of::<T>();
    drop(black_box(all));
    let each = (after.saturating_sub(before)) / PROFILES + inline;
    tell(name, "bytes", u64::try_from(each).unwrap_or_default());
}

fn tell(name: &str, unit: &str, value: u64) {
    println!("{}", json!({"name": name, "unit": unit, "value": value}));
}

/// With the record that the API server keeps of who set which field.
fn with_managed_fields(number: usize) -> EducationSyncProfile {
    let mut object = manifest(number);
    let part = |name: &str| json!({format!("f:{name}"): fields(object.get(name).unwrap_or(&Value::Null))});
    let entry = |manager: &str, fields: Value| {
        json!({
            "manager": manager, "operation": "Apply", "apiVersion": "edusync.dev/v1alpha1",
            "time": "2026-11-22T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    };
    let finalizers = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"edusync.dev/profile\"": {}}}});
    let entries = json!([
        entry("kubectl", part("spec")),
        entry("edusync", finalizers),
        entry("edusync", part("status"))
    ]);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("managedFields".to_owned(), entries);
    }
    serde_json::from_value(object).expect("it is a manifest")
}

/// The fields of a value, as the record names them.
fn fields(value: &Value) -> Value {
    let mut named = Map::new();
    match value {
        Value::Object(members) => {
            named.extend(members.iter().map(|(name, value)| (format!("f:{name}"), fields(value))));
        }
        // Conditions are a map by their type; other lists are set as a whole.
        Value::Array(items) => {
            let keyed = items.iter().filter_map(|item| Some((item.get("type")?.as_str()?, item)));
            named.extend(keyed.map(|(kind, item)| (format!("k:{{\"type\":\"{kind}\"}}"), fields(item))));
        }
        _ => {}
    }
    Value::Object(named)
}
