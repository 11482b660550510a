//! How many deletions there are at once: those that are going on, and those of the last minutes.
//!
//! It counts. What very many of them mean is for [`super::decide`].

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::cluster::Key;
use super::observation::{is_to_be_deleted, takes_its_profile_along};
use crate::api::EducationSyncProfile;
use crate::api::status::EducationSyncProfileStatus;
use crate::clock::passed;

/// So long a deletion counts as one of many after it has ended.
const COUNT_FOR: Duration = Duration::from_mins(10);

/// The deletions that this process knows of.
#[derive(Debug, Default)]
pub struct Deletions {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Resources that are being deleted since the last count, or of which it is not known yet whether they have a profile.
    news: BTreeSet<Key>,
    /// Those whose profiles are to be deleted, or were, by uid; and when it ended, if it has.
    by_uid: HashMap<String, Option<Timestamp>>,
}

impl Deletions {
    /// A resource is being deleted. Whether its profile goes with it is looked at when they are counted.
    pub fn began(&self, resource: Key) {
        self.lock().news.insert(resource);
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
        for key in std::mem::take(&mut known.news) {
            let Some(other) = newest(&key) else { continue };
            known.begin(&other);
            if may_be_to_be_deleted(&other) {
                known.news.insert(key);
            }
        }
        if !is_to_be_deleted(resource) {
            known.end(resource.metadata.uid.as_deref().unwrap_or_default(), now);
            return 0;
        }
        known.begin(resource);
        let since = |at: Timestamp| passed(at, now);
        known.by_uid.retain(|_, ended| ended.is_none_or(|at| since(at) < COUNT_FOR));
        known.by_uid.len()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn begin(&mut self, resource: &EducationSyncProfile) {
        if is_to_be_deleted(resource) {
            self.by_uid.insert(resource.metadata.uid.clone().unwrap_or_default(), None);
        }
    }

    fn end(&mut self, uid: &str, now: Timestamp) {
        if let Some(ended) = self.by_uid.get_mut(uid) {
            ended.get_or_insert(now);
        }
    }
}

/// Will its profile be deleted, if one is found that came of an attempt?
fn may_be_to_be_deleted(resource: &EducationSyncProfile) -> bool {
    let status = resource.status.as_ref();
    let is_open = |status: &EducationSyncProfileStatus| {
        status.binding.is_none() && (status.creation.is_some() || !status.earlier_creations.is_empty())
    };
    takes_its_profile_along(resource) && status.is_some_and(is_open)
}

#[cfg(test)]
mod tests;
