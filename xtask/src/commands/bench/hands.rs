//! People's work, by many hands at once: apply, delete. Nothing is measured here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::commands::http::{Client, Sent};
use crate::commands::tenant::Object;

const FIELD_MANAGER: &str = "fieldManager=bench&force=true";

/// Work in a thread of its own, while somebody watches what comes of it.
pub(super) struct Work(Option<JoinHandle<Result<()>>>, Result<()>);

impl Work {
    pub(super) fn start(work: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self(Some(thread::spawn(work)), Ok(()))
    }

    /// Whether it has ended, and not well: then there is nothing to watch.
    pub(super) fn has_failed(&mut self) -> bool {
        if self.0.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
        }
        self.1.is_err()
    }

    /// Waits for it.
    pub(super) fn end(mut self) -> Result<()> {
        self.join();
        self.1
    }

    fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            self.1 = thread.join().unwrap_or_else(|_| Err(anyhow!("the thread has panicked")));
        }
    }
}

/// Does `work` with each of `items`, one hand for each client. The first failure ends it.
pub(super) fn each<T: Sync>(
    clients: &[Client],
    items: &[T],
    work: impl Fn(&Client, &T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(error) = work(client, item) {
                        next.store(items.len(), Ordering::SeqCst);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Applies all, as `kubectl apply --server-side` would.
pub(super) fn apply(clients: &[Client], objects: &[Object]) -> Result<()> {
    each(clients, objects, |client, object| apply_one(client, object).map(drop))
}

/// Applies one; the object as it is now.
pub(super) fn apply_one(client: &Client, object: &Object) -> Result<Value> {
    let body = object.manifest.to_string();
    let sent = Sent { content_type: "application/apply-patch+yaml", body: &body, headers: &[] };
    let answer = client.send("PATCH", &format!("{}?{FIELD_MANAGER}", object.path), sent)?;
    answer.wanted().with_context(|| format!("Kubernetes does not take {}", object.path))
}

/// Deletes all.
pub(super) fn delete(clients: &[Client], objects: &[Object]) -> Result<()> {
    each(clients, objects, |client, object| {
        let answer = client.send("DELETE", &object.path, Sent::default())?;
        answer.wanted().with_context(|| format!("Kubernetes does not delete {}", object.path)).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn work_that_fails_is_seen_before_its_end_is_waited_for() {
        let mut work = Work::start(|| bail!("it does not go"));
        let looks = (0..1_000_000).take_while(|_| {
            thread::yield_now();
            !work.has_failed()
        });
        assert!(looks.count() < 1_000_000, "it fails at once");
        assert!(work.end().is_err());
        let mut work = Work::start(|| Ok(()));
        assert!(!work.has_failed());
        work.end().unwrap();
    }

    #[test]
    fn every_item_is_done_once_and_a_failure_ends_it() {
        let client = || Client::new("http://127.0.0.1:9", "", None).unwrap();
        let clients = [client(), client()];
        let done = Mutex::new(Vec::new());
        each(&clients, &[1, 2, 3], |_, item| {
            done.lock().unwrap().push(*item);
            Ok(())
        })
        .unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2, 3]);
        let error = each(&clients, &[1, 2, 3], |_, item| bail!("no {item}")).unwrap_err();
        assert!(error.to_string().starts_with("no "), "{error}");
    }
}
