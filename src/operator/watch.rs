//! Watches: of all namespaces, or of some, each by a watch of its own. What they tell goes into a
//! [`super::mirror::Mirror`].
//!
//! An object that cannot be read must not stop the watch of all others.

use std::fmt::Debug;

use futures::stream::{BoxStream, select_all};
use futures::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::lean::lean;
use crate::reconcile::cluster::Scope;

/// What a watch tells, and which watch it is.
pub type Told<K> = (Scope, Result<Event<K>, watcher::Error>);

/// All objects of a kind in these scopes.
pub fn objects<K>(client: &Client, scopes: &[Scope]) -> impl Stream<Item = Told<K>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + 'static,
{
    let watches = scopes.iter().map(|scope| -> BoxStream<'static, Told<K>> {
        let tagged = scope.clone();
        objects_in(client.clone(), scope).map(move |event| (tagged.clone(), event)).boxed()
    });
    select_all(watches)
}

fn objects_in<K>(
    client: Client,
    scope: &Scope,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + 'static,
{
    let api: Api<DeserializeGuard<K>> = match scope {
        Scope::Namespace(namespace) => Api::namespaced(client, namespace),
        Scope::All => Api::all(client),
    };
    watch(api, watcher::Config::default())
        .default_backoff()
        .filter_map(|event| async { event.map(readable).transpose() })
}

/// The event, unless its object cannot be read: that one is left alone and named in the log.
fn readable<K: Resource<DynamicType = ()>>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
    let read = |guard: DeserializeGuard<K>| match guard.0 {
        Ok(object) => Some(lean(object)),
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
