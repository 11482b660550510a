//! Our own newest writes, laid over a store that a watch fills a moment later.
//!
//! Without it a pass that follows a write would look at the version before it. Nothing here calls
//! Kubernetes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

/// The newest versions that we have written, by uid.
#[derive(Debug)]
pub struct Overlay<K> {
    written: Mutex<HashMap<String, Written<K>>>,
}

/// Our own newest write of an object, and the versions that it superseded.
#[derive(Debug)]
struct Written<K> {
    newest: Arc<K>,
    superseded: Vec<String>,
}

impl<K> Default for Overlay<K> {
    fn default() -> Self {
        Self { written: Mutex::default() }
    }
}

impl<K: ResourceExt> Overlay<K> {
    /// The stored version, unless it is one that we have superseded ourselves.
    pub fn newest(&self, stored: Arc<K>) -> Arc<K> {
        let meta = stored.meta();
        let (Some(uid), Some(version)) = (&meta.uid, &meta.resource_version) else { return stored };
        let mut written = self.lock();
        match written.get(uid) {
            Some(ours) if ours.superseded.contains(version) => return Arc::clone(&ours.newest),
            Some(_) => drop(written.remove(uid)),
            None => {}
        }
        drop(written);
        stored
    }

    /// Is this version one that we have written, and that the store may not have yet?
    pub fn is_ours(&self, object: &K) -> bool {
        let (Some(uid), Some(version)) = (object.uid(), object.resource_version()) else { return false };
        let written = self.lock();
        written.get(&uid).is_some_and(|ours| {
            ours.superseded.contains(&version) || ours.newest.resource_version().as_ref() == Some(&version)
        })
    }

    /// Remembers that `after` has superseded `before`.
    pub fn remember(&self, before: &K, after: &Arc<K>) {
        let (Some(uid), Some(version)) = (before.uid(), before.resource_version()) else { return };
        // The server answers with the old version when nothing changed, and also when the last finalizer of
        // an object that is being deleted was taken off: that one is gone, and must not be seen with it.
        let is_gone = after.meta().deletion_timestamp.is_some() && after.finalizers().is_empty();
        if after.resource_version().as_ref() == Some(&version) && !is_gone {
            return;
        }
        let mut written = self.lock();
        let entry = written
            .entry(uid)
            .or_insert_with(|| Written { newest: Arc::clone(after), superseded: Vec::new() });
        entry.newest = Arc::clone(after);
        entry.superseded.push(version);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Written<K>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::GraphConnection;

    fn version(version: &str) -> Arc<GraphConnection> {
        let object = serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"uid": "u", "resourceVersion": version},
            "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        }));
        Arc::new(object.unwrap())
    }

    #[test]
    fn what_went_with_its_last_finalizer_is_not_seen_with_it_again() {
        let overlay = Overlay::default();
        let mut before = version("1");
        let held = Arc::make_mut(&mut before);
        held.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-22T00:00:00Z")).unwrap();
        held.metadata.finalizers = Some(vec!["edusync.dev/in-use".to_owned()]);
        let mut after = (*before).clone();
        after.metadata.finalizers = None;
        overlay.remember(&*before, &Arc::new(after));
        assert!(overlay.newest(before).finalizers().is_empty());
    }

    #[test]
    fn a_store_that_is_behind_is_not_believed_and_one_that_is_ahead_is() {
        let overlay = Overlay::default();
        let newest = |stored: &str| overlay.newest(version(stored)).resource_version().unwrap();
        assert_eq!(newest("1"), "1");
        overlay.remember(&version("1"), &version("2"));
        overlay.remember(&version("2"), &version("3"));
        assert_eq!(newest("1"), "3", "behind by two");
        assert_eq!(newest("2"), "3", "behind by one");
        let is_ours = |stored: &str| overlay.is_ours(&version(stored));
        assert_eq!(["2", "3", "4"].map(is_ours), [true, true, false]);
        assert_eq!(newest("4"), "4", "somebody else wrote since");
        assert_eq!(newest("1"), "1", "and ours is not needed any more");
    }
}
