//! An API server in memory: objects with resourceVersions, generations, finalizers and watches.
//!
//! It keeps to what Kubernetes documents for custom resources with a status subresource. What goes wrong on
//! the way to it, and who calls, is not known here.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use edusync::api::{EducationSyncProfile, GraphConnection};
use edusync::reconcile::cluster::{ClusterError, Key};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::object::{HasSpec, HasStatus};
use kube::runtime::watcher::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Values of a Secret, with its version.
pub type Secret = (u64, BTreeMap<String, String>);

/// The API server.
#[derive(Default)]
pub struct Server {
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    version: u64,
    uids: u64,
    profiles: Table<EducationSyncProfile>,
    connections: Table<GraphConnection>,
    secrets: BTreeMap<(String, String), Secret>,
    lease: Option<Lease>,
    /// When somebody last changed the spec of an object.
    changed: BTreeMap<Key, Timestamp>,
}

pub struct Table<K> {
    objects: BTreeMap<Key, K>,
    watches: Vec<UnboundedSender<Event<K>>>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), watches: Vec::new() }
    }
}

/// A kind that the server has.
pub trait Kind:
    Resource<DynamicType = ()>
    + HasSpec<Spec: PartialEq>
    + HasStatus<Status: Clone + DeserializeOwned>
    + Clone
    + PartialEq
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    fn table(inner: &mut Inner) -> &mut Table<Self>;

    /// The object with the status of another one.
    fn with_status_of(&self, other: &Self) -> Self {
        let mut object = self.clone();
        *object.status_mut() = other.status().cloned();
        object
    }

    /// Are the specs the same?
    fn same_spec(&self, other: &Self) -> bool {
        self.spec() == other.spec()
    }

    /// What the schema fills in when it is created.
    fn defaulted(mut self) -> Self {
        let status = self.status_mut();
        if status.is_none() {
            *status = serde_json::from_value(json!({"observedGeneration": -1})).unwrap();
        }
        self
    }
}

impl Kind for EducationSyncProfile {
    fn table(inner: &mut Inner) -> &mut Table<Self> {
        &mut inner.profiles
    }
}

impl Kind for GraphConnection {
    fn table(inner: &mut Inner) -> &mut Table<Self> {
        &mut inner.connections
    }
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The object as it is now.
    pub fn get<K: Kind>(&self, key: &Key) -> Option<K> {
        K::table(&mut self.lock()).objects.get(key).cloned()
    }

    /// All objects as they are now.
    pub fn list<K: Kind>(&self) -> Vec<K> {
        K::table(&mut self.lock()).objects.values().cloned().collect()
    }

    /// All objects, and every change from now on.
    pub fn watch<K: Kind>(&self) -> (Vec<K>, UnboundedReceiver<Event<K>>) {
        let (sender, receiver) = unbounded();
        let mut inner = self.lock();
        let table = K::table(&mut inner);
        table.watches.push(sender);
        (table.objects.values().cloned().collect(), receiver)
    }

    /// A user applies a manifest: metadata and status are left as they are.
    pub fn apply<K: Kind>(&self, mut manifest: K, now: Timestamp) {
        let key = Key::of(&manifest);
        let mut inner = self.lock();
        if let Some(old) = K::table(&mut inner).objects.get(&key).cloned() {
            let meta = manifest.meta().clone();
            *manifest.meta_mut() = ObjectMeta {
                annotations: meta.annotations.or_else(|| old.meta().annotations.clone()),
                ..old.meta().clone()
            };
            let mut changed = manifest.with_status_of(&old);
            if !changed.same_spec(&old) {
                bump_generation(&mut changed);
                inner.changed.insert(key, now);
            }
            inner.store(changed, &old);
            return;
        }
        inner.uids += 1;
        let uid = format!("uid-{}", inner.uids);
        let meta = manifest.meta_mut();
        meta.uid = Some(uid);
        meta.creation_timestamp = Some(Time(now));
        meta.generation = Some(1);
        inner.insert(manifest.defaulted());
    }

    /// A user changes something about an object that is there.
    pub fn edit<K: Kind>(&self, key: &Key, change: impl FnOnce(&mut K)) {
        let mut inner = self.lock();
        let Some(old) = K::table(&mut inner).objects.get(key).cloned() else { return };
        let mut changed = old.clone();
        change(&mut changed);
        if !changed.same_spec(&old) {
            bump_generation(&mut changed);
        }
        inner.store(changed, &old);
    }

    /// A user deletes an object. Finalizers hold it.
    pub fn delete<K: Kind>(&self, key: &Key, now: Timestamp) {
        let mut inner = self.lock();
        let Some(old) = K::table(&mut inner).objects.get(key).cloned() else { return };
        if old.meta().deletion_timestamp.is_some() {
            return;
        }
        let mut changed = old.clone();
        changed.meta_mut().deletion_timestamp = Some(Time(now));
        bump_generation(&mut changed);
        inner.store(changed, &old);
    }

    /// The operator writes finalizers by a merge patch that names version and uid.
    pub fn write_finalizers<K: Kind>(&self, seen: &K, finalizers: Vec<String>) -> Result<K, ClusterError> {
        let mut inner = self.lock();
        let old = inner.of_version(seen)?;
        let before = old.meta().finalizers.clone().unwrap_or_default();
        let is_new = |finalizer: &String| !before.contains(finalizer);
        if old.meta().deletion_timestamp.is_some() && finalizers.iter().any(is_new) {
            // https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
            return Err(ClusterError::Other(
                "no new finalizer while it is being deleted (HTTP 422)".to_owned(),
            ));
        }
        let mut changed = old.clone();
        changed.meta_mut().finalizers = Some(finalizers).filter(|finalizers| !finalizers.is_empty());
        Ok(inner.store(changed, &old))
    }

    /// The operator replaces the status of exactly this version.
    pub fn write_status<K: Kind>(&self, wanted: &K) -> Result<K, ClusterError> {
        let mut inner = self.lock();
        let old = inner.of_version(wanted)?;
        let changed = old.with_status_of(wanted);
        // What does not survive JSON would not survive Kubernetes.
        Ok(inner.store(through_json(&changed), &old))
    }

    /// A user writes a Secret.
    pub fn put_secret(&self, namespace: &str, name: &str, values: &[(&str, &str)]) {
        let mut inner = self.lock();
        inner.version += 1;
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let version = inner.version;
        inner.secrets.insert((namespace.to_owned(), name.to_owned()), (version, values));
    }

    /// A user deletes a Secret.
    pub fn delete_secret(&self, namespace: &str, name: &str) {
        self.lock().secrets.remove(&(namespace.to_owned(), name.to_owned()));
    }

    pub fn secret(&self, namespace: &str, name: &str) -> Option<Secret> {
        self.lock().secrets.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// When somebody last changed the spec of an object.
    pub fn changed(&self, key: &Key) -> Option<Timestamp> {
        self.lock().changed.get(key).copied()
    }

    pub fn lease(&self) -> Option<Lease> {
        self.lock().lease.clone()
    }

    /// Writes the Lease: against its version, or, when that is None, for the first time.
    pub fn write_lease(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        let mut inner = self.lock();
        let version = inner.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if lease.metadata.resource_version != version {
            return Err(ClusterError::Conflict);
        }
        inner.version += 1;
        let mut stored = lease.clone();
        stored.metadata.resource_version = Some(inner.version.to_string());
        inner.lease = Some(stored.clone());
        Ok(stored)
    }
}

fn through_json<K: Kind>(object: &K) -> K {
    serde_json::from_value(serde_json::to_value(object).unwrap()).unwrap()
}

fn bump_generation<K: Resource>(object: &mut K) {
    let generation = &mut object.meta_mut().generation;
    *generation = Some(generation.unwrap_or_default() + 1);
}

impl Inner {
    /// The stored object, if it is the version that somebody has seen.
    fn of_version<K: Kind>(&mut self, seen: &K) -> Result<K, ClusterError> {
        let stored = K::table(self).objects.get(&Key::of(seen)).cloned().ok_or(ClusterError::NotFound)?;
        let (stored_meta, seen_meta) = (stored.meta(), seen.meta());
        let same =
            stored_meta.uid == seen_meta.uid && stored_meta.resource_version == seen_meta.resource_version;
        if same { Ok(stored) } else { Err(ClusterError::Conflict) }
    }

    /// Versions may be compared for being the same, and for nothing else: each object counts its own, so that it
    /// makes no difference in which order two objects were written.
    fn insert<K: Kind>(&mut self, mut object: K) -> K {
        let meta = object.meta_mut();
        let old = meta.resource_version.as_deref().and_then(|old| old.rsplit_once('.'));
        let count = old.and_then(|(_, count)| count.parse().ok()).unwrap_or(0_u64) + 1;
        meta.resource_version = Some(format!("{}.{count}", meta.uid.as_deref().unwrap_or_default()));
        let table = K::table(self);
        table.objects.insert(Key::of(&object), object.clone());
        table.tell(&Event::Apply(object.clone()));
        object
    }

    /// Stores what changed; an object that is being deleted goes with its last finalizer.
    fn store<K: Kind>(&mut self, changed: K, old: &K) -> K {
        if changed == *old {
            return changed;
        }
        let meta = changed.meta();
        if meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().next().is_none() {
            let table = K::table(self);
            table.objects.remove(&Key::of(&changed));
            table.tell(&Event::Delete(changed.clone()));
            return changed;
        }
        self.insert(changed)
    }
}

impl<K: Clone> Table<K> {
    fn tell(&mut self, event: &Event<K>) {
        self.watches.retain(|watch| watch.unbounded_send(event.clone()).is_ok());
    }
}
