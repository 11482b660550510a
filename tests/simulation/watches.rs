//! What a process hears of changes: late, one after the other, and now and then from the beginning.

use std::collections::VecDeque;
use std::sync::Arc;

use edusync::api::EducationSyncProfile;
use edusync::operator::watch::{Told, each};
use edusync::reconcile::cluster::{Key, Scope};
use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::watcher::Event;
use tokio::sync::oneshot;

use crate::kubernetes::Kind;
use crate::process::Process;
use crate::way::Way;
use crate::world::World;

/// A change, and its turn.
type Notice<K> = (Event<K>, Option<(Way, oneshot::Receiver<()>)>);

struct Watch<K> {
    world: Arc<World>,
    process: Arc<Process>,
    changes: UnboundedReceiver<Notice<K>>,
    /// What is on its way already.
    coming: VecDeque<Event<K>>,
}

/// All objects of a kind, and what becomes of them.
pub fn events<K: Kind>(
    world: &Arc<World>,
    process: &Arc<Process>,
) -> impl Stream<Item = Told<K>> + Send + use<K> {
    let (changes, coming) = begin(world, process);
    let watch = Watch { world: Arc::clone(world), process: Arc::clone(process), changes, coming };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some(((Scope::All, Ok(each(event, Ok))), watch))
    })
}

/// The list, and the changes after it.
fn begin<K: Kind>(
    world: &Arc<World>,
    process: &Arc<Process>,
) -> (UnboundedReceiver<Notice<K>>, VecDeque<Event<K>>) {
    let (objects, changes) = world.server.watch::<K>();
    let list = objects.into_iter().map(Event::InitApply);
    let coming = std::iter::once(Event::Init).chain(list).chain([Event::InitDone]).collect();
    (enqueue(world, process, changes), coming)
}

/// Changes wait for their turn from the moment at which they happen.
fn enqueue<K: Kind>(
    world: &Arc<World>,
    process: &Arc<Process>,
    mut changes: UnboundedReceiver<Event<K>>,
) -> UnboundedReceiver<Notice<K>> {
    let (notices, receiver) = unbounded();
    let (world, process) = (Arc::clone(world), Arc::clone(process));
    tokio::spawn(async move {
        while let Some(event) = changes.next().await {
            let content = || match &event {
                Event::Apply(object) | Event::InitApply(object) => serde_json::to_string(object).unwrap(),
                Event::Delete(object) => format!("gone: {}", serde_json::to_string(object).unwrap()),
                Event::Init | Event::InitDone => String::new(),
            };
            let thing = match &event {
                Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => Key::of(object),
                Event::Init | Event::InitDone => continue,
            };
            let way = Way::new(&world, &process, is_ordered::<K>().then(|| name(&thing)), content);
            let turn = way.queue(&process.identity).map(|turn| (way, turn));
            if notices.unbounded_send((event, turn)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Is every order of the changes of this kind and other things tried?
fn is_ordered<K: Kind>() -> bool {
    K::kind(&()) == EducationSyncProfile::kind(&())
}

impl<K: Kind> Watch<K> {
    async fn next(&mut self) -> Option<Event<K>> {
        if let Some(event) = self.coming.pop_front() {
            return Some(event);
        }
        let (event, turn) = self.changes.next().await?;
        if let Some((way, turn)) = turn {
            let _ = turn.await;
            way.told(String::new);
        } else if self.world.order.is_none() {
            tokio::time::sleep(self.world.watch_delay()).await;
        }
        if self.process.is_cut_off(self.world.clock.now()) {
            // It ends with its lease, before it hears again.
            std::future::pending::<()>().await;
        }
        self.process.living().await;
        if !self.world.watch_breaks() {
            return Some(event);
        }
        self.world.story.tell(format!(
            "{}: the watch of {} begins anew",
            self.process.identity,
            K::kind(&())
        ));
        let (changes, coming) = begin(&self.world, &self.process);
        self.changes = changes;
        self.coming = coming;
        self.coming.pop_front()
    }
}

/// How a person names an object.
pub fn name(key: &Key) -> String {
    format!("{}/{}", key.namespace, key.name)
}
