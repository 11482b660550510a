//! What a process hears of changes: late, one after the other, and now and then from the beginning.

use std::collections::VecDeque;
use std::sync::Arc;

use edusync::operator::watch::Told;
use edusync::reconcile::cluster::{Key, Scope};
use futures::channel::mpsc::UnboundedReceiver;
use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher::Event;

use crate::kubernetes::Kind;
use crate::process::Process;
use crate::world::World;

struct Watch<K> {
    world: Arc<World>,
    process: Arc<Process>,
    changes: UnboundedReceiver<Event<K>>,
    /// What is on its way already.
    coming: VecDeque<Event<K>>,
}

/// All objects of a kind, and what becomes of them.
pub fn events<K: Kind>(
    world: &Arc<World>,
    process: &Arc<Process>,
) -> impl Stream<Item = Told<K>> + Send + use<K> {
    let (changes, coming) = begin(world);
    let watch = Watch { world: Arc::clone(world), process: Arc::clone(process), changes, coming };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some(((Scope::All, Ok(event)), watch))
    })
}

/// The list, and the changes after it.
fn begin<K: Kind>(world: &World) -> (UnboundedReceiver<Event<K>>, VecDeque<Event<K>>) {
    let (objects, changes) = world.server.watch::<K>();
    let list = objects.into_iter().map(Event::InitApply);
    let coming = std::iter::once(Event::Init).chain(list).chain([Event::InitDone]).collect();
    (changes, coming)
}

impl<K: Kind> Watch<K> {
    async fn next(&mut self) -> Option<Event<K>> {
        if let Some(event) = self.coming.pop_front() {
            return Some(event);
        }
        let event = self.changes.next().await?;
        tokio::time::sleep(self.world.watch_delay()).await;
        self.process.living().await;
        if !self.world.watch_breaks() {
            return Some(event);
        }
        self.world.story.tell(format!(
            "{}: the watch of {} begins anew",
            self.process.identity,
            K::kind(&())
        ));
        let (changes, coming) = begin(&self.world);
        self.changes = changes;
        self.coming = coming;
        self.coming.pop_front()
    }
}

/// How a person names an object.
pub fn name(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}
