//! The rules that hold at every moment of a run, and what is written down to check them.
//!
//! It sees what arrives at Graph and at Kubernetes, and believes nothing that the program says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use edusync::api::lifecycle::{DeletionPolicy, ManagementPolicy};
use edusync::api::{EducationSyncProfile, FINALIZER, GraphConnection};
use edusync::graph::name::NameKey;
use edusync::reconcile::cluster::Key;
use edusync::reconcile::observation::is_own;
use http::{Method, Request, Response};
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;

use crate::graph::COLLECTION;
use crate::process::Process;
use crate::story::Story;
use crate::watches::name;
use crate::world::World;

/// A change to Graph, as it arrives there.
pub struct Change {
    method: Method,
    /// Of the profile; empty for a create.
    id: String,
    /// What is done with the profile, for example `reset`; empty when it is changed itself.
    action: String,
    /// The client-request-id.
    attempt: String,
}

impl Change {
    /// None: it reads, or is for a token.
    pub fn of(request: &Request<Bytes>) -> Option<Self> {
        let path = request.uri().path();
        if *request.method() == Method::GET || path.ends_with("/token") {
            return None;
        }
        let rest = path.strip_prefix(COLLECTION).unwrap_or_default().trim_start_matches('/');
        let attempt = request.headers().get("client-request-id").and_then(|value| value.to_str().ok());
        Some(Self {
            method: request.method().clone(),
            id: rest.split('/').next().unwrap_or_default().to_owned(),
            action: rest.split('/').nth(1).unwrap_or_default().to_owned(),
            attempt: attempt.unwrap_or_default().to_owned(),
        })
    }

    fn creates(&self) -> bool {
        self.method == Method::POST && self.id.is_empty()
    }
}

/// A profile that the program has made.
#[derive(Clone, Debug)]
pub struct Made {
    pub uid: String,
}

/// Calls to Graph by kind, and status writes.
pub type Counts = (BTreeMap<String, u64>, u64);

/// What is written down.
pub struct Rules {
    story: Story,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Recorded attempts, with the uid of their resource.
    attempts: BTreeMap<String, String>,
    made: BTreeMap<String, Made>,
    /// Until when a process was asked to wait.
    closed: BTreeMap<String, Timestamp>,
    /// Profiles that stay although their resources went, and resources of which it is not known.
    retained: BTreeSet<String>,
    /// Profiles that went with their resources.
    gone: BTreeSet<String>,
    /// The values that attempts to reset are for.
    asked: BTreeMap<String, String>,
    /// Profiles that were reset, and for which value.
    resets: BTreeSet<(String, Option<String>)>,
    calls: BTreeMap<String, u64>,
    writes: u64,
    /// Bodies of the updates that were sent.
    updates: Vec<Value>,
}

impl Rules {
    pub fn new(story: Story) -> Self {
        Self { story, notes: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    /// The profiles that the program has made.
    pub fn made(&self) -> BTreeMap<String, Made> {
        self.notes().made.clone()
    }

    /// The profiles that stay although their resources went, and the uids of such resources.
    pub fn retained(&self) -> BTreeSet<String> {
        self.notes().retained.clone()
    }

    /// Calls to Graph by kind, and status writes.
    pub fn counted(&self) -> Counts {
        let notes = self.notes();
        (notes.calls.clone(), notes.writes)
    }

    /// Bodies of the updates that were sent.
    pub fn updates(&self) -> Vec<Value> {
        self.notes().updates.clone()
    }

    /// No secret, wherever this is.
    pub fn search(&self, place: &str, text: &str) {
        if text.contains("canary") {
            self.story.broken(format!("{place} holds a secret: {text}"));
        }
    }

    /// A process sends a request to Graph or to the token service.
    pub fn sent(&self, world: &World, process: &Process, request: &Request<Bytes>) {
        if request.uri().path().ends_with("/token") {
            return;
        }
        let change = Change::of(request);
        let kind = match &change {
            Some(change) if change.creates() => "create".to_owned(),
            _ if request.uri().path() == COLLECTION => "list".to_owned(),
            _ => request.method().to_string(),
        };
        *self.notes().calls.entry(kind).or_default() += 1;
        let closed = self.notes().closed.get(&process.identity).copied();
        if closed.is_some_and(|until| world.clock.now() < until) {
            self.story.broken(format!("{} calls Graph although it was asked to wait", process.identity));
        }
        let Some(change) = change else { return };
        let holder = world.server.lease().and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
        if holder.as_deref() != Some(&*process.identity) {
            self.story.broken(format!("{} changes Graph, but {holder:?} leads", process.identity));
        }
        if change.method == Method::PUT {
            self.notes().updates.push(serde_json::from_slice(request.body()).unwrap_or_default());
        }
        if change.creates() {
            self.creates(world, &change);
        }
        if change.action == "reset" {
            self.resets(world, &change);
        }
        // A successor may not have heard yet that the resource went, by the last write of one who is dead.
        let is_gone = self.notes().gone.contains(&change.id);
        if change.method == Method::DELETE && !is_gone && !was_asked_for(world, &change.id) {
            self.story.broken(format!("nobody asked for the deletion of {}", change.id));
        }
    }

    /// Who only observes creates nothing.
    fn creates(&self, world: &World, change: &Change) {
        let uid = self.notes().attempts.get(&change.attempt).cloned();
        let resources = world.server.list::<EducationSyncProfile>();
        let owner = resources.iter().find(|one| one.metadata.uid == uid);
        if owner.is_some_and(|one| one.spec.is_observed_only() && !just_changed(world, one)) {
            self.story.broken("a profile is created for a resource that only observes");
        }
    }

    /// A reset is on its way. Somebody has to ask for it.
    fn resets(&self, world: &World, change: &Change) {
        let resources = world.server.list::<EducationSyncProfile>();
        let owner = resources.iter().find(|one| bound_id(one).is_some_and(|id| id == change.id));
        // What it is for is recorded before the call. A token may be long in coming, and the manifest ask for something
        // else by then.
        let recorded =
            owner.and_then(|owner| owner.status.as_ref()?.handled_triggers.as_ref()?.reset.clone());
        let Some(value) = recorded else {
            self.story.broken(format!("nobody asked for a reset of {}", change.id));
            return;
        };
        self.notes().asked.insert(change.attempt.clone(), value);
    }

    /// Graph has reset a profile. Each value asks for one, and no more.
    fn reset(&self, change: &Change) {
        let mut notes = self.notes();
        let value = notes.asked.get(&change.attempt).cloned();
        if !notes.resets.insert((change.id.clone(), value)) {
            self.story.broken(format!("{} was reset twice for one value", change.id));
        }
    }

    /// Graph has carried a change out.
    pub fn carried_out(&self, world: &World, process: &Process, change: &Change, answer: &Response<Bytes>) {
        let status = answer.status();
        self.story
            .tell(format!("graph: {} {} of {} is {status}", change.method, change.id, process.identity));
        if !status.is_success() {
            return;
        }
        if change.creates() {
            self.created(world, change, answer);
        }
        if change.action == "reset" {
            self.reset(change);
        }
    }

    fn created(&self, world: &World, change: &Change, answer: &Response<Bytes>) {
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        let name = NameKey::of(body["displayName"].as_str().unwrap_or_default());
        self.story.tell(format!("graph: made {id} ({:?})", body["displayName"]));
        let uid = self.notes().attempts.get(&change.attempt).cloned();
        let Some(uid) = uid else {
            self.story.broken(format!("{id} was created without a recorded intent"));
            return;
        };
        let made = self.made();
        let retained = self.retained();
        let is_namesake =
            |profile: &Value| NameKey::of(profile["displayName"].as_str().unwrap_or_default()) == name;
        // One that its resource has left behind is nobody's, like one that people make: a list that is behind may not
        // show it yet, and nothing else tells of it.
        let is_ours = |id: &String| made.contains_key(id) && !retained.contains(id);
        let twin = alive(world).into_iter().find(|(id, profile)| is_ours(id) && is_namesake(profile));
        if let Some((twin, _)) = twin {
            self.story.broken(format!("two profiles of one name: {twin} and {id}"));
        }
        self.notes().made.insert(id, Made { uid });
    }

    /// An answer of Graph has reached a process.
    pub fn answered(&self, world: &World, process: &Process, answer: &Response<Bytes>) {
        if answer.status() != 429 {
            return;
        }
        let seconds = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
        let until = world.clock.now() + Duration::from_secs(seconds.unwrap_or(10));
        let mut notes = self.notes();
        let closed = notes.closed.entry(process.identity.clone()).or_insert(until);
        *closed = until.max(*closed);
    }

    /// A status has been stored.
    pub fn status_written(&self, world: &World, process: &Process, written: &EducationSyncProfile) {
        let status = written.status.clone().unwrap_or_default();
        self.search("a status", &serde_json::to_string(&status).unwrap());
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        self.story.tell(format!(
            "{}: status of {}: {} creation={} binding={}",
            process.identity,
            name(&Key::of(written)),
            ready.map(|ready| format!("{} {}", ready.status, ready.reason)).unwrap_or_default(),
            status.creation.is_some(),
            status.binding.as_ref().map(|binding| binding.profile_id.clone()).unwrap_or_default(),
        ));
        let uid = written.metadata.uid.clone().unwrap_or_default();
        let mut notes = self.notes();
        notes.writes += 1;
        if let Some(attempt) = status.creation {
            notes.attempts.insert(attempt.attempt, uid.clone());
        }
        drop(notes);
        let Some(binding) = status.binding else { return };
        let others = world.server.list::<EducationSyncProfile>();
        let twice = others
            .iter()
            .filter(|other| other.metadata.uid.as_ref() != Some(&uid))
            .find(|other| bound_id(other).is_some_and(|id| id == binding.profile_id));
        if let Some(other) = twice {
            let other = name(&Key::of(other));
            self.story.broken(format!("{} belongs to {other} as well", binding.profile_id));
        }
    }

    /// The status of a connection has been stored.
    pub fn connection_written(&self, written: &GraphConnection) {
        let status = serde_json::to_string(&written.status).unwrap();
        self.search("the status of a connection", &status);
        self.story.tell(format!("status of the connection: {status}"));
        self.notes().writes += 1;
    }

    /// Finalizers have been written.
    pub fn finalizers_written(
        &self,
        world: &World,
        process: &Process,
        seen: &EducationSyncProfile,
        written: Option<&EducationSyncProfile>,
    ) {
        let has = |profile: &EducationSyncProfile| profile.finalizers().iter().any(|name| name == FINALIZER);
        let Some(written) = written else { return };
        self.notes().writes += 1;
        let what = if has(written) { "held" } else { "let go" };
        self.story.tell(format!("{}: {} is {what}", process.identity, name(&Key::of(seen))));
        if !has(seen) || has(written) {
            return;
        }
        if !deletes(seen) {
            let uid = seen.metadata.uid.clone();
            self.notes().retained.extend(bound_id(seen).into_iter().chain(uid));
            return;
        }
        let Some(id) = bound_id(seen) else { return };
        if alive(world).contains_key(&id) {
            self.story.broken(format!("a resource was let go although {id} is there"));
        }
        self.notes().gone.insert(id);
    }
}

/// Is the profile of this resource to go with it?
pub fn deletes(profile: &EducationSyncProfile) -> bool {
    profile.spec.deletion_policy() == DeletionPolicy::Delete
        && profile.spec.management_policy != Some(ManagementPolicy::Observe)
}

/// What was said a moment ago can cross a request on its way.
fn just_changed(world: &World, resource: &EducationSyncProfile) -> bool {
    let moment_ago = world.clock.now() - Duration::from_secs(12);
    world.server.changed(&Key::of(resource)).is_some_and(|at| at > moment_ago)
}

/// Does a resource that is being deleted have this profile?
fn was_asked_for(world: &World, id: &str) -> bool {
    let resources = world.server.list::<EducationSyncProfile>();
    resources.iter().any(|resource| {
        resource.metadata.deletion_timestamp.is_some()
            && (deletes(resource) || just_changed(world, resource))
            && bound_id(resource).is_some_and(|bound| bound == id)
    })
}

/// The profile that a status binds, if the status is the resource's own.
pub fn bound_id(profile: &EducationSyncProfile) -> Option<String> {
    let status = profile.status.as_ref()?;
    let uid = profile.metadata.uid.as_deref()?;
    is_own(status, uid).then(|| status.binding.as_ref().map(|binding| binding.profile_id.clone()))?
}

/// The profiles in Graph that are not going, by id.
pub fn alive(world: &World) -> BTreeMap<String, Value> {
    let all = world.simulator.profiles(world.clock.now());
    let alive = all.into_iter().filter(|profile| profile["state"] != "deleting");
    alive.map(|profile| (profile["id"].as_str().unwrap_or_default().to_owned(), profile)).collect()
}
