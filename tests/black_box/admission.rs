//! What the API server refuses: hundreds of wrong manifests, each with its place and a sentence that says what to write.
//!
//! They are made from good ones (`complete`) by the schema (`mutate`) and against our rules (`rules`). What the API
//! server cannot see is in `stalled`.

#[path = "../docs/blocks.rs"]
mod blocks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, stream};
use kube::Client;
use serde_json::{Value, json};

use crate::complete;
use crate::mutate::{Wrong, merge, mutations};
use crate::schema::{at, at_mut, remove, sentences, spec_schema, walk};
use crate::world::World;

/// How many are sent at a time: few, since the operators of other tests have to renew their leases meanwhile.
const AT_ONCE: usize = 2;

/// The door of one kind: what `kubectl apply` sends, as a dry run.
#[derive(Clone)]
struct Door {
    _world: Arc<World>,
    client: Client,
    kind: &'static str,
    plural: &'static str,
}

impl Door {
    async fn of(kind: &'static str, plural: &'static str) -> Self {
        let world = World::get().await;
        let client = world.client().await;
        Self { _world: world, client, kind, plural }
    }

    fn manifest(&self, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": "edusync.dev/v1alpha1", "kind": self.kind, "metadata": {"name": name}, "spec": spec})
    }

    /// The sentence with which the request is refused, if it is.
    async fn ask(&self, method: &str, name: Option<&str>, how: &str, body: &Value) -> Result<(), String> {
        let place = name.map(|name| format!("/{name}")).unwrap_or_default();
        let uri = format!(
            "/apis/edusync.dev/v1alpha1/namespaces/default/{}{place}?fieldManager=tests&{how}",
            self.plural
        );
        let content = if method == "PATCH" && how.contains("force") {
            "application/apply-patch+yaml"
        } else if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", content)
            .body(serde_json::to_vec(body).unwrap())
            .unwrap();
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn create(&self, spec: &Value) -> Result<(), String> {
        self.ask("POST", None, "dryRun=All&fieldValidation=Strict", &self.manifest("wrong", spec)).await
    }

    async fn apply(&self, spec: &Value) -> Result<(), String> {
        let how = "dryRun=All&fieldValidation=Strict&force=true";
        self.ask("PATCH", Some("wrong"), how, &self.manifest("wrong", spec)).await
    }
}

type Kind = (&'static str, &'static str, Vec<(&'static str, Value)>);

/// Each kind with its plural and its good manifests.
fn kinds() -> [Kind; 2] {
    [
        ("EducationSyncProfile", "educationsyncprofiles", complete::profiles()),
        ("GraphConnection", "graphconnections", complete::connections()),
    ]
}

/// What was not as it should be, if anything.
async fn judge(door: &Door, wrong: Wrong, also_applied: bool) -> (String, Option<String>) {
    let complaint = match door.create(&wrong.spec).await {
        Ok(()) => Some("is admitted".to_owned()),
        Err(message) if !message.contains(&wrong.says) => {
            Some(format!("is not refused with \"{}\" but with: {message}", wrong.says))
        }
        Err(message) if !message.contains(&wrong.place) => {
            Some(format!("is refused without its place {}: {message}", wrong.place))
        }
        Err(_) if !also_applied => None,
        // Server-side apply finds some mistakes before the schema is asked, and then has words of its own.
        Err(_) => door.apply(&wrong.spec).await.ok().map(|()| "is admitted by server-side apply".to_owned()),
    };
    (wrong.says, complaint.map(|complaint| format!("{}: {}: {complaint}", wrong.base, wrong.what)))
}

/// Sends all of them; which sentences were heard how often.
async fn all_are_refused(door: &Door, wrong: Vec<Wrong>) -> BTreeMap<String, usize> {
    let mut sentences = BTreeSet::new();
    let judged = |wrong: Wrong| {
        let is_first_of_its_sentence = sentences.insert(wrong.says.clone());
        judge(door, wrong, is_first_of_its_sentence)
    };
    let judged: Vec<(String, Option<String>)> =
        stream::iter(wrong).map(judged).buffer_unordered(AT_ONCE).collect().await;
    let complaints: Vec<&String> = judged.iter().filter_map(|(_, complaint)| complaint.as_ref()).collect();
    assert!(complaints.is_empty(), "{} of {}:\n{complaints:#?}", complaints.len(), judged.len());
    let mut heard = BTreeMap::new();
    for (sentence, _) in judged {
        *heard.entry(sentence).or_default() += 1;
    }
    heard
}

async fn every_mutation_is_refused((kind, plural, good): Kind, at_least: usize) {
    let door = Door::of(kind, plural).await;
    let schema = spec_schema(kind);
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, spec) in &good {
        door.create(spec).await.unwrap_or_else(|message| panic!("{name} is good, but {message}"));
        door.apply(spec).await.unwrap_or_else(|message| panic!("{name} is good, but {message}"));
        // What several have in common is broken once.
        let new = mutations(name, &schema, spec).into_iter().filter(|wrong| seen.insert(wrong.what.clone()));
        wrong.extend(new);
    }
    let count = wrong.len();
    let heard = all_are_refused(&door, wrong).await;
    let changes: BTreeSet<&str> = crate::rules::changing().into_iter().map(|(begins, _)| begins).collect();
    for sentence in sentences(&schema) {
        let by_change = changes.iter().any(|begins| sentence.starts_with(begins));
        assert!(by_change || heard.contains_key(&sentence), "nothing in rules.rs breaks: {sentence}");
    }
    println!("{count} wrong manifests of {kind} are refused, with {} different sentences", heard.len());
    assert!(count >= at_least, "only {count} wrong manifests of {kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_wrong_profiles_are_refused_with_place_and_sentence() {
    let [profiles, _] = kinds();
    every_mutation_is_refused(profiles, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_wrong_connections_are_refused_with_place_and_sentence() {
    let [_, connections] = kinds();
    every_mutation_is_refused(connections, 100).await;
}

#[test]
fn every_text_and_every_list_has_a_bound_and_no_refusal_is_a_bare_expression() {
    for (kind, ..) in kinds() {
        walk(&spec_schema(kind), "", &mut |path, schema| {
            // The API server refuses what does not match a pattern with the pattern alone.
            assert_eq!(schema.get("pattern"), None, "{kind}: {path}: a rule has a sentence");
            for place in [schema, &schema["items"]] {
                let is_bound = match place["type"].as_str() {
                    Some("string") => place["maxLength"].is_u64() || place["enum"].is_array(),
                    Some("array") => place["maxItems"].is_u64(),
                    _ => true,
                };
                assert!(is_bound, "{kind}: {path} may be as long as anybody likes");
            }
        });
    }
}

/// `csv:` with nothing behind it is null. Whoever writes that gets what leaving it out would get. Only where a word
/// such as Retain belongs nothing is guessed.
#[tokio::test(flavor = "multi_thread")]
async fn null_is_the_same_as_left_out() {
    let mut complaints = Vec::new();
    for (kind, plural, good) in kinds() {
        let door = Door::of(kind, plural).await;
        for (name, spec) in good {
            for (path, is_word) in places(kind, &spec) {
                let (mut without, mut null) = (spec.clone(), spec.clone());
                remove(&mut without, &path);
                *at_mut(&mut null, &path).unwrap() = Value::Null;
                let (without, null) = (door.create(&without).await, door.create(&null).await);
                let as_it_should_be = match &null {
                    Err(message) if is_word => {
                        message.contains(&format!("spec.{path}: Unsupported value: null"))
                    }
                    null => without.is_ok() == null.is_ok() && !is_word,
                };
                if !as_it_should_be {
                    complaints.push(format!("{name}: {path}: left out {without:?}, null {null:?}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Members that the spec has and may do without, and whether the member is a word out of a few.
fn places(kind: &str, spec: &Value) -> Vec<(String, bool)> {
    let mut places = Vec::new();
    walk(&spec_schema(kind), "", &mut |path, schema| {
        if schema["nullable"] == true && at(spec, path).is_some() {
            places.push((path.to_owned(), schema["enum"].is_array()));
        }
    });
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_with_a_sentence() {
    let mut heard = BTreeSet::new();
    let mut rules = Vec::new();
    for (kind, plural, good) in kinds() {
        let door = Door::of(kind, plural).await;
        let schema = spec_schema(kind);
        let about_changes = |sentence: &String| sentence.contains("cannot be ");
        rules.extend(sentences(&schema).into_iter().filter(about_changes));
        let spec = &good[0].1;
        let name = "unchangeable";
        door.ask("PATCH", Some(name), "force=true", &door.manifest(name, spec)).await.unwrap();
        for (begins, changes) in crate::rules::changing() {
            let Some(sentence) = sentences(&schema).into_iter().find(|sentence| sentence.starts_with(begins))
            else {
                continue;
            };
            for change in changes {
                let mut changed = spec.clone();
                merge(&mut changed, &change);
                let body = json!({"spec": change});
                let patched = door.ask("PATCH", Some(name), "dryRun=All", &body).await;
                let how = "dryRun=All&force=true";
                let applied = door.ask("PATCH", Some(name), how, &door.manifest(name, &changed)).await;
                for message in [patched, applied] {
                    let message = message.expect_err(&format!("{change} is admitted"));
                    assert!(message.contains(&sentence), "{change}: {message}");
                }
            }
            heard.insert(sentence);
        }
    }
    for rule in rules {
        assert!(heard.contains(&rule), "nothing in rules.rs breaks: {rule}");
    }
    // What profiles are not bound to can be changed: another client, another interval.
    let [_, (kind, plural, _)] = kinds();
    let other = json!({"spec": {
        "application": {"clientId": "00000000-0000-0000-0000-000000000000"}, "graph": {"pollInterval": "5m"}
    }});
    Door::of(kind, plural).await.ask("PATCH", Some("unchangeable"), "dryRun=All", &other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_has_an_example_that_is_admitted() {
    let [_, (kind, plural, _)] = kinds();
    let door = Door::of(kind, plural).await;
    let mut members = BTreeSet::new();
    for folder in ["examples", "examples/connections", "examples/simulator"] {
        for entry in std::fs::read_dir(xtask::repository_root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let manifests: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            for manifest in manifests.into_iter().filter(|manifest| manifest["kind"] == kind) {
                let spec = &manifest["spec"];
                door.create(spec).await.unwrap_or_else(|error| panic!("{path:?}: {error}"));
                for slot in ["application", "delegated"] {
                    members
                        .extend(spec[slot].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
                }
            }
        }
    }
    for kind in
        ["clientSecretRef", "certificateRef", "workloadIdentity", "managedIdentity", "refreshTokenRef"]
    {
        assert!(members.contains(kind), "{kind} has no example: {members:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_in_the_documents_is_admitted() {
    let root = xtask::repository_root();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut tried = 0;
    for page in docs.chain([root.join("README.md")]) {
        if page.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        for manifest in
            blocks::yaml(&text).flat_map(|block| serde_saphyr::from_multiple::<Value>(block).unwrap())
        {
            let Some((kind, plural, _)) = kinds().into_iter().find(|(kind, ..)| manifest["kind"] == *kind)
            else {
                continue;
            };
            let answer = Door::of(kind, plural).await.create(&manifest["spec"]).await;
            answer.unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            tried += 1;
        }
    }
    assert!(tried > 6, "the manifests are found: {tried}");
}
