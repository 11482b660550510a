//! Kubernetes as this process knows it: the stores that watches fill, its own writes laid over them, and
//! the port below.
//!
//! A read gives the newest version that this process knows, its own writes included, even while the watch
//! has not caught up with them. It decides nothing, and how Kubernetes is reached is not known here.

use std::sync::Arc;

use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::{Resource, ResourceExt};

use super::cluster::{Cluster, ClusterError, Key, Notice, Scope};
use super::index::Index;
use super::overlay::Overlay;
use crate::api::connection::GraphConnectionStatus;
use crate::api::status::EducationSyncProfileStatus;
use crate::api::{EducationSyncProfile, GraphConnection};

/// Kubernetes as this process knows it.
#[derive(Debug)]
pub struct Cached<C> {
    /// What is below: for what is not kept here.
    pub port: C,
    /// Which resources name a connection, as the watch has told.
    pub index: Index,
    profiles: Known<EducationSyncProfile>,
    connections: Known<GraphConnection>,
    scopes: Vec<Scope>,
}

impl<C: Cluster> Cached<C> {
    /// A cluster whose resources are in these stores.
    #[must_use]
    pub fn new(port: C, profiles: Store<EducationSyncProfile>, connections: Store<GraphConnection>) -> Self {
        let (profiles, connections) = (Known::new(profiles), Known::new(connections));
        Self { port, index: Index::default(), profiles, connections, scopes: vec![Scope::All] }
    }

    /// The same, with stores that hold no more than what is in these scopes.
    #[must_use]
    pub fn looking_into(self, scopes: Vec<Scope>) -> Self {
        Self { scopes, ..self }
    }

    /// Does this process know what is in a namespace?
    #[must_use]
    pub fn looks_into(&self, namespace: &str) -> bool {
        self.scopes.iter().any(|scope| scope.covers(namespace))
    }

    /// The newest version of a resource that this process knows.
    pub fn profile(&self, key: &Key) -> Option<Arc<EducationSyncProfile>> {
        self.profiles.get(key)
    }

    /// All resources that this process knows, by namespace and name.
    pub fn profiles(&self) -> Vec<Arc<EducationSyncProfile>> {
        self.profiles.all()
    }

    /// The resources that name a connection, by namespace and name.
    pub fn users_of(&self, connection: &Key) -> impl Iterator<Item = Arc<EducationSyncProfile>> {
        let users = self.index.users_of(connection);
        users.into_iter().filter_map(|user| self.profile(&user))
    }

    /// A connection, as this process knows it.
    pub fn connection(&self, key: &Key) -> Option<Arc<GraphConnection>> {
        self.connections.get(key)
    }

    /// All connections that this process knows, by namespace and name.
    pub fn connections(&self) -> Vec<Arc<GraphConnection>> {
        self.connections.all()
    }

    /// Is this version of a resource one that this process has written?
    #[must_use]
    pub fn has_written_profile(&self, profile: &EducationSyncProfile) -> bool {
        self.profiles.written.is_ours(profile)
    }

    /// Is this version of a connection one that this process has written?
    #[must_use]
    pub fn has_written_connection(&self, connection: &GraphConnection) -> bool {
        self.connections.written.is_ours(connection)
    }

    /// The watch has told of a resource: of our own writes only those are kept that it has yet to tell of.
    pub fn told_profile(&self, key: &Key) {
        self.profiles.get(key);
    }

    /// The watch has told of a connection.
    pub fn told_connection(&self, key: &Key) {
        self.connections.get(key);
    }

    /// Forgets the writes to an object that is gone.
    pub fn forget(&self, uid: &str) {
        self.profiles.written.forget(uid);
        self.connections.written.forget(uid);
    }

    /// Reads a resource from the server.
    ///
    /// # Errors
    /// As [`Cluster::fetch_profile`].
    pub async fn fetch_profile(&self, key: &Key) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        self.port.fetch_profile(key).await.map(Arc::new)
    }

    /// Reads the newest version of this very resource, which the watch may not have told of yet, and remembers it. None: it
    /// is gone.
    ///
    /// # Errors
    /// As [`Cluster::fetch_profile`].
    pub async fn newest_profile(
        &self,
        known: &EducationSyncProfile,
    ) -> Result<Option<Arc<EducationSyncProfile>>, ClusterError> {
        match self.fetch_profile(&Key::of(known)).await {
            Ok(newest) if newest.metadata.uid == known.metadata.uid => {
                self.profiles.remember(known, &newest);
                Ok(Some(newest))
            }
            Ok(_) | Err(ClusterError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the finalizers of exactly this version of a resource.
    ///
    /// # Errors
    /// As [`Cluster::write_finalizers`].
    pub async fn write_finalizers(
        &self,
        resource: &EducationSyncProfile,
        finalizers: Vec<String>,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        let written = self.port.write_finalizers(resource, finalizers).await;
        self.settle(resource, written).await
    }

    /// Writes the status of exactly this version of a resource.
    ///
    /// # Errors
    /// As [`Cluster::write_status`].
    pub async fn write_status(
        &self,
        resource: &EducationSyncProfile,
        status: EducationSyncProfileStatus,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        let written = self.port.write_status(resource, status).await;
        self.settle(resource, written).await
    }

    /// Writes the finalizers of exactly this version of a connection.
    ///
    /// # Errors
    /// As [`Cluster::write_connection_finalizers`].
    pub async fn write_connection_finalizers(
        &self,
        connection: &GraphConnection,
        finalizers: Vec<String>,
    ) -> Result<(), ClusterError> {
        let written = self.port.write_connection_finalizers(connection, finalizers).await?;
        self.connections.remember(connection, &Arc::new(written));
        Ok(())
    }

    /// Writes the status of exactly this version of a connection.
    ///
    /// # Errors
    /// As [`Cluster::write_connection_status`].
    pub async fn write_connection_status(
        &self,
        connection: &GraphConnection,
        status: GraphConnectionStatus,
    ) -> Result<(), ClusterError> {
        let written = self.port.write_connection_status(connection, status).await?;
        self.connections.remember(connection, &Arc::new(written));
        Ok(())
    }

    /// Publishes an event on a resource. It is lost when the server does not take it.
    pub async fn publish(&self, resource: &EducationSyncProfile, notice: Notice) {
        self.port.publish(resource, notice).await;
    }

    /// Publishes an event on a connection.
    pub async fn publish_connection(&self, connection: &GraphConnection, notice: Notice) {
        self.port.publish_connection(connection, notice).await;
    }

    /// Remembers what came of a write, so that the next pass looks at the newest version. After a
    /// conflict that version is read, since the watch may be behind for a while.
    async fn settle(
        &self,
        before: &EducationSyncProfile,
        written: Result<EducationSyncProfile, ClusterError>,
    ) -> Result<Arc<EducationSyncProfile>, ClusterError> {
        match written {
            Ok(written) => {
                let written = Arc::new(written);
                self.profiles.remember(before, &written);
                Ok(written)
            }
            Err(ClusterError::Conflict) => {
                // That there is none is found by the next pass.
                let _ = self.newest_profile(before).await;
                Err(ClusterError::Conflict)
            }
            Err(error) => Err(error),
        }
    }
}

/// The objects of one kind.
#[derive(Debug)]
struct Known<K: Lookup<DynamicType = ()> + 'static> {
    store: Store<K>,
    written: Overlay<K>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Known<K> {
    fn new(store: Store<K>) -> Self {
        Self { store, written: Overlay::default() }
    }

    fn get(&self, key: &Key) -> Option<Arc<K>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        let mut stored = self.store.get(&reference)?;
        loop {
            let newest = self.written.newest(Arc::clone(&stored));
            let again = self.store.get(&reference)?;
            if Arc::ptr_eq(&again, &stored) {
                return Some(newest);
            }
            // The watch brought a newer one in between, and our own write may be forgotten for that.
            stored = again;
        }
    }

    /// Remembers a write, unless its object has gone meanwhile: the watch, which was faster than the answer, tells of it
    /// no more, and nobody else would forget it.
    fn remember(&self, before: &K, after: &Arc<K>) {
        self.written.remember(before, after);
        // After it, since the watch takes an object from the store before its writes are forgotten.
        let stored = self.store.get(&ObjectRef::new(&before.name_any()).within(&Key::of(before).namespace));
        let uid = &before.meta().uid;
        if stored.is_none_or(|stored| stored.meta().uid != *uid) {
            self.written.forget(uid.as_deref().unwrap_or_default());
        }
    }

    /// In a fixed order, so that nothing depends on how a store is laid out.
    fn all(&self) -> Vec<Arc<K>> {
        let stored = self.store.state().into_iter();
        let mut all: Vec<Arc<K>> = stored.map(|stored| self.written.newest(stored)).collect();
        all.sort_by_cached_key(|object| (ResourceExt::namespace(&**object), object.name_any()));
        all
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;

    fn version(version: &str) -> GraphConnection {
        let object = json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
            "metadata": {"namespace": "n", "name": "c", "uid": "u", "resourceVersion": version},
            "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f"}
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_write_that_the_watch_has_told_of_is_not_kept_besides() {
        let (stored, mut writer) = reflector::store::<GraphConnection>();
        let known = Known::new(stored);
        let key = Key { namespace: "n".to_owned(), name: "c".to_owned() };
        let newest = || known.get(&key).and_then(|object| object.metadata.resource_version.clone()).unwrap();
        writer.apply_watcher_event(&Event::Apply(version("1")));
        known.remember(&version("1"), &Arc::new(version("2")));
        assert_eq!(newest(), "2", "the watch is behind");
        assert!(known.written.is_ours(&version("2")));
        writer.apply_watcher_event(&Event::Apply(version("2")));
        assert_eq!(newest(), "2");
        assert!(!known.written.is_ours(&version("2")), "the store alone has it now");
    }

    #[test]
    fn a_write_whose_object_went_before_its_answer_is_not_kept() {
        let (stored, mut writer) = reflector::store::<GraphConnection>();
        let known = Known::new(stored);
        writer.apply_watcher_event(&Event::Apply(version("1")));
        writer.apply_watcher_event(&Event::Delete(version("2")));
        known.written.forget("u");
        known.remember(&version("1"), &Arc::new(version("2")));
        assert!(!known.written.is_ours(&version("2")));
        let mut successor = version("9");
        successor.metadata.uid = Some("another".to_owned());
        writer.apply_watcher_event(&Event::Apply(successor));
        known.remember(&version("1"), &Arc::new(version("2")));
        assert!(!known.written.is_ours(&version("2")), "another one has its name");
    }
}
