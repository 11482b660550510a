//! The queue of passes as kube's controller keeps it – each key once, one pass at a time for each – in an
//! order that the run decides.
//!
//! kube's own queue lays its keys out by a random hash, so that no run with it could be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use edusync::operator::passes::{after_error, passes_of_profile};
use edusync::reconcile::cluster::{ClusterError, Key};
use edusync::reconcile::{Context, Next, connection};
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::Port;
use crate::world::World;

/// What a pass is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Connection,
    Profile,
}

type Item = (Kind, Key);

#[derive(Default)]
struct Queue {
    due: BTreeMap<Item, Instant>,
    running: BTreeSet<Item>,
}

/// Runs passes until `stop`, then lets those under way end.
pub async fn run(
    world: &Arc<World>,
    context: &Arc<Context<Port>>,
    mut profiles: UnboundedReceiver<Key>,
    mut connections: UnboundedReceiver<Key>,
    stop: &CancellationToken,
) {
    let mut queue = Queue::default();
    let mut passes: JoinSet<(Item, Result<Next, ClusterError>)> = JoinSet::new();
    while !(stop.is_cancelled() && passes.is_empty()) {
        let next = queue.next();
        tokio::select! {
            biased;
            Some(key) = profiles.next() => queue.add((Kind::Profile, key), Duration::ZERO),
            Some(key) = connections.next() => queue.add((Kind::Connection, key), Duration::ZERO),
            Some(ended) = passes.join_next() => match ended {
                Ok((item, result)) => queue.ended(item, result),
                Err(panic) => world.story.broken(format!("a pass panicked: {panic}")),
            },
            () = stop.cancelled(), if !stop.is_cancelled() => {}
            () = wait(next), if !stop.is_cancelled() => {
                if let Some(item) = queue.start(world) {
                    passes.spawn(pass(Arc::clone(context), item, stop.clone()));
                }
            }
        }
    }
}

async fn wait(next: Option<Instant>) {
    match next {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn pass(
    context: Arc<Context<Port>>,
    item: Item,
    stop: CancellationToken,
) -> (Item, Result<Next, ClusterError>) {
    let key = item.1.clone();
    let result = match item.0 {
        Kind::Profile => passes_of_profile(context, key, || stop.is_cancelled()).await,
        Kind::Connection => connection::pass(&context, &key).await,
    };
    (item, result)
}

impl Queue {
    /// Whoever is in the queue already gets the earlier time.
    fn add(&mut self, item: Item, wait: Duration) {
        let at = Instant::now() + wait;
        let due = self.due.entry(item).or_insert(at);
        *due = at.min(*due);
    }

    fn next(&self) -> Option<Instant> {
        let free = self.due.iter().filter(|(item, _)| !self.running.contains(*item));
        free.map(|(_, at)| *at).min()
    }

    /// One of those whose time has come.
    fn start(&mut self, world: &World) -> Option<Item> {
        let now = Instant::now();
        let ready: Vec<Item> = self
            .due
            .iter()
            .filter(|(item, at)| **at <= now && !self.running.contains(*item))
            .map(|(item, _)| item.clone())
            .collect();
        if ready.is_empty() {
            return None;
        }
        let item = world.choices.one_of(&ready).clone();
        self.due.remove(&item);
        self.running.insert(item.clone());
        Some(item)
    }

    fn ended(&mut self, item: Item, result: Result<Next, ClusterError>) {
        self.running.remove(&item);
        let next = result.unwrap_or_else(|error| after_error(&item.1, &error));
        match next {
            Next::Wait => {}
            Next::Again => self.add(item, Duration::ZERO),
            Next::In(wait) => self.add(item, wait),
        }
    }
}
