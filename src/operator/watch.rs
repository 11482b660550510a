//! Watches: every resource into a store, and "look at this one" into the queue.
//!
//! An object that cannot be read must not stop the watch of all others, and a status write of our
//! own must not cause a pass.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::REQUESTED_AT;

/// All objects of a kind, in all namespaces or in one.
pub fn objects<K>(
    client: Client,
    namespace: Option<&str>,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + 'static,
{
    let api: Api<DeserializeGuard<K>> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    watch(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async { event.map(readable).transpose() })
}

/// The event, unless its object cannot be read: that one is left alone and named in the log.
fn readable<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            let (namespace, name) = (invalid.metadata.namespace.clone(), invalid.metadata.name.clone());
            tracing::error!(kind = %K::kind(&()), ?namespace, ?name, error = %invalid.error, "this object cannot be read and is left alone: apply it again");
            None
        }
    };
    match event {
        Event::Apply(guard) => read(guard).map(Event::Apply),
        Event::Delete(guard) => read(guard).map(Event::Delete),
        Event::InitApply(guard) => read(guard).map(Event::InitApply),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
}

/// Tells which objects deserve a pass, and which are gone, also when the watch had to begin anew.
///
/// While it begins anew, the store does not show the new objects yet, and nobody tells which ones
/// went meanwhile; so both are told when it is done.
#[derive(Debug)]
pub struct Tracker<T> {
    live: BTreeMap<String, Tracked<T>>,
    incoming: Option<BTreeMap<String, Tracked<T>>>,
}

#[derive(Debug)]
struct Tracked<T> {
    what: T,
    version: u64,
}

/// What a watch event means.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// The object is new, or different in what matters.
    Changed(T),
    /// The object, of this uid, is gone.
    Gone(String, T),
}

impl<T: Clone> Tracker<T> {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self { live: BTreeMap::new(), incoming: None }
    }

    /// What an event means; to be asked after the store has taken the event.
    pub fn changes<K: Resource>(&mut self, event: &Event<K>, describe: impl Fn(&K) -> T) -> Vec<Change<T>> {
        let track = |object: &K| Tracked { what: describe(object), version: version(object) };
        match event {
            Event::Init => {
                self.incoming = Some(BTreeMap::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                self.incoming.get_or_insert_default().insert(uid(object), track(object));
                Vec::new()
            }
            Event::InitDone => self.done(),
            Event::Apply(object) => {
                let tracked = track(object);
                let (what, version) = (tracked.what.clone(), tracked.version);
                let before = self.live.insert(uid(object), tracked);
                let is_news = before.is_none_or(|before| before.version != version);
                is_news.then_some(Change::Changed(what)).into_iter().collect()
            }
            Event::Delete(object) => {
                let uid = uid(object);
                let what = self.live.remove(&uid).map_or_else(|| describe(object), |tracked| tracked.what);
                vec![Change::Gone(uid, what)]
            }
        }
    }

    fn done(&mut self) -> Vec<Change<T>> {
        let mut before = std::mem::replace(&mut self.live, self.incoming.take().unwrap_or_default());
        let mut changes = Vec::new();
        for (uid, tracked) in &self.live {
            if before.remove(uid).is_none_or(|before| before.version != tracked.version) {
                changes.push(Change::Changed(tracked.what.clone()));
            }
        }
        changes.extend(before.into_iter().map(|(uid, tracked)| Change::Gone(uid, tracked.what)));
        changes
    }
}

impl<T: Clone> Default for Tracker<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn uid<K: Resource>(object: &K) -> String {
    object.uid().unwrap_or_default()
}

/// Differs when something that matters differs: generation, finalizers, deletion, a request.
fn version<K: Resource>(object: &K) -> u64 {
    let meta = object.meta();
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.finalizers.hash(&mut hasher);
    meta.deletion_timestamp.as_ref().map(|time| time.0).hash(&mut hasher);
    object.annotations().get(REQUESTED_AT).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::GraphConnection;

    fn connection(metadata: &serde_json::Value) -> GraphConnection {
        serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": metadata, "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        }))
        .unwrap()
    }

    fn changes(tracker: &mut Tracker<String>, event: &Event<GraphConnection>) -> Vec<Change<String>> {
        tracker.changes(event, uid)
    }

    #[test]
    fn a_status_write_is_no_news() {
        let mut tracker = Tracker::new();
        let mut is_news = |metadata: &serde_json::Value| {
            !changes(&mut tracker, &Event::Apply(connection(metadata))).is_empty()
        };
        assert!(is_news(&json!({"uid": "1", "generation": 1, "resourceVersion": "1"})));
        assert!(!is_news(&json!({"uid": "1", "generation": 1, "resourceVersion": "2"})));
        assert!(is_news(&json!({"uid": "1", "generation": 2})));
        assert!(is_news(&json!({"uid": "1", "generation": 2, "annotations": {REQUESTED_AT: "now"}})));
        assert!(is_news(&json!({"uid": "1", "generation": 2, "deletionTimestamp": "2026-11-22T00:00:00Z"})));
        assert!(is_news(&json!({"uid": "2", "generation": 2})));
    }

    #[test]
    fn a_watch_that_begins_anew_tells_what_changed_and_what_went_when_it_is_done() {
        let mut tracker = Tracker::new();
        for uid in ["same", "other", "gone"] {
            changes(&mut tracker, &Event::Apply(connection(&json!({"uid": uid, "generation": 1}))));
        }
        assert_eq!(changes(&mut tracker, &Event::Init), []);
        for (uid, generation) in [("same", 1), ("other", 2), ("new", 1)] {
            let object = connection(&json!({"uid": uid, "generation": generation}));
            assert_eq!(
                changes(&mut tracker, &Event::InitApply(object)),
                [],
                "the store does not show it yet"
            );
        }
        let mut told: Vec<String> =
            changes(&mut tracker, &Event::InitDone).into_iter().map(|change| format!("{change:?}")).collect();
        told.sort_unstable();
        assert_eq!(told, [r#"Changed("new")"#, r#"Changed("other")"#, r#"Gone("gone", "gone")"#]);
    }
}
