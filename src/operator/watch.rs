//! Watches: of all namespaces, or of some, each by a watch of its own. What they tell goes into a
//! [`super::mirror::Mirror`].
//!
//! An object that cannot be read must not stop the watch of all others.

use std::fmt::Debug;

use futures::stream::{BoxStream, select_all};
use futures::{Stream, StreamExt};
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::lean::lean;
use crate::reconcile::cluster::Scope;

/// What a watch tells, and which watch it is.
pub type Told<K> = (Scope, Result<Event<Readable<K>>, watcher::Error>);

/// An object; or all that is known of one that cannot be read.
pub type Readable<K> = Result<K, Box<ObjectMeta>>;

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
) -> impl Stream<Item = Result<Event<Readable<K>>, watcher::Error>> + Send + use<K>
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
    watch(api, watcher::Config::default()).default_backoff().map(|event| event.map(|event| each(event, read)))
}

/// The object; one that cannot be read is left alone and named in the log.
fn read<K: Resource<DynamicType = ()>>(guard: DeserializeGuard<K>) -> Readable<K> {
    guard.0.map(lean).map_err(|invalid| {
        let (namespace, name) = (&invalid.metadata.namespace, &invalid.metadata.name);
        tracing::error!(kind = %K::kind(&()), ?namespace, ?name, error = %invalid.error, "this object cannot be read and is left alone: apply it again");
        Box::new(invalid.metadata)
    })
}

/// The same event of what becomes of its object.
pub fn each<K, R>(event: Event<K>, change: impl FnOnce(K) -> R) -> Event<R> {
    match event {
        Event::Apply(object) => Event::Apply(change(object)),
        Event::Delete(object) => Event::Delete(change(object)),
        Event::InitApply(object) => Event::InitApply(change(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
