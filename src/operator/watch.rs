//! Watches: every resource into a store, and "look at this one" into the queue.
//!
//! An object that cannot be read must not stop the watch of all others, and a status write of our
//! own must not cause a pass.

use std::collections::HashMap;
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

/// Tells which changes of an object deserve a pass: generation, finalizers, deletion, a request.
#[derive(Debug, Default)]
pub struct Trigger {
    seen: HashMap<String, u64>,
}

impl Trigger {
    /// Is this version different from the last one in what matters?
    pub fn is_news<K: Resource>(&mut self, object: &K) -> bool {
        let meta = object.meta();
        let mut hasher = DefaultHasher::new();
        meta.generation.hash(&mut hasher);
        meta.finalizers.hash(&mut hasher);
        meta.deletion_timestamp
            .as_ref()
            .map(|time| time.0)
            .hash(&mut hasher);
        object.annotations().get(REQUESTED_AT).hash(&mut hasher);
        let hash = hasher.finish();
        self.seen.insert(object.uid().unwrap_or_default(), hash) != Some(hash)
    }

    /// Forgets an object that is gone.
    pub fn forget(&mut self, uid: &str) {
        self.seen.remove(uid);
    }
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

    #[test]
    fn a_status_write_is_no_news() {
        let mut trigger = Trigger::default();
        assert!(trigger.is_news(&connection(
            &json!({"uid": "1", "generation": 1, "resourceVersion": "1"})
        )));
        assert!(!trigger.is_news(&connection(
            &json!({"uid": "1", "generation": 1, "resourceVersion": "2"})
        )));
        assert!(trigger.is_news(&connection(&json!({"uid": "1", "generation": 2}))));
        assert!(trigger.is_news(&connection(
            &json!({"uid": "1", "generation": 2, "annotations": {REQUESTED_AT: "now"}})
        )));
        assert!(trigger.is_news(&connection(
            &json!({"uid": "1", "generation": 2, "deletionTimestamp": "2026-11-22T00:00:00Z"})
        )));
        assert!(trigger.is_news(&connection(&json!({"uid": "2", "generation": 2}))));
    }
}
