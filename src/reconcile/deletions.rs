//! How many deletions there are at once: those that are going on, and those of the last minutes.
//!
//! It counts. What very many of them mean is for [`super::decide`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::cluster::Key;
use super::observation::is_to_be_deleted;
use crate::api::EducationSyncProfile;

/// So long a deletion counts as one of many after it has ended.
const COUNT_FOR: Duration = Duration::from_mins(10);

/// The deletions that this process knows of.
#[derive(Debug, Default)]
pub struct Deletions {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Resources that are being deleted since the last count.
    news: Vec<Key>,
    /// Those whose profiles are to be deleted, by uid; and when it ended, if it has.
    ended: HashMap<String, Option<Timestamp>>,
}

impl Deletions {
    /// A resource is being deleted. Whether its profile goes with it is looked at when they are counted.
    pub fn began(&self, resource: Key) {
        self.lock().news.push(resource);
    }

    /// A resource is gone.
    pub fn ended(&self, uid: &str, now: Timestamp) {
        self.lock().end(uid, now);
    }

    /// How many there are, if the profile of this resource is one to be deleted; else none. `newest` gives what is
    /// known of another resource.
    pub fn count(
        &self,
        resource: &EducationSyncProfile,
        newest: impl Fn(&Key) -> Option<Arc<EducationSyncProfile>>,
        now: Timestamp,
    ) -> usize {
        if resource.metadata.deletion_timestamp.is_none() {
            return 0;
        }
        let mut known = self.lock();
        for other in std::mem::take(&mut known.news).iter().filter_map(newest) {
            known.begin(&other);
        }
        if !is_to_be_deleted(resource) {
            known.end(resource.metadata.uid.as_deref().unwrap_or_default(), now);
            return 0;
        }
        known.begin(resource);
        let since = |at: Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        known.ended.retain(|_, ended| ended.is_none_or(|at| since(at) < COUNT_FOR));
        known.ended.len()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn begin(&mut self, resource: &EducationSyncProfile) {
        if is_to_be_deleted(resource) {
            self.ended.insert(resource.metadata.uid.clone().unwrap_or_default(), None);
        }
    }

    fn end(&mut self, uid: &str, now: Timestamp) {
        if let Some(ended) = self.ended.get_mut(uid) {
            ended.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests;
