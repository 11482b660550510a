//! Which profiles are known to be alive, and whether a list that lacks them is one of a service that has lost them. What a
//! list is, is not known here.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Claims, ProfileHold, Table, Tenant};

/// What a tenant has lost.
#[derive(Debug)]
pub(super) struct Lost {
    /// When the list began that shows it.
    began: Timestamp,
    ids: Vec<Arc<str>>,
}

impl Claims {
    /// Remembers that a profile is known to be alive since `now` at least: a later list without it
    /// is not to be trusted.
    pub fn set_alive(&self, tenant: &Tenant, id: &str, now: Timestamp) {
        if let Some(hold) = self.lock().hold_mut(tenant, id) {
            hold.alive.get_or_insert(now);
        }
    }

    /// Remembers that a profile is going or gone.
    pub fn set_going(&self, tenant: &Tenant, id: &str) {
        if let Some(hold) = self.lock().hold_mut(tenant, id) {
            hold.alive = None;
        }
    }

    /// Remembers that nobody looks at what a resource has: its end would not be heard of.
    pub fn set_all_going(&self, uid: &str) {
        let Table { resources, profiles, .. } = &mut *self.lock();
        for (tenant, id) in resources.get(uid).into_iter().flat_map(|resource| &resource.profiles) {
            if let Some(hold) = profiles.get_mut(tenant).and_then(|there| there.get_mut(&**id)) {
                hold.alive = None;
            }
        }
    }

    /// How many profiles were alive when a list began, and how many of them `listed` does not have.
    pub fn alive(&self, tenant: &Tenant, began: Timestamp, listed: impl Fn(&str) -> bool) -> (usize, usize) {
        let table = self.lock();
        table
            .alive(tenant, began)
            .fold((0, 0), |(all, missing), id| (all + 1, missing + usize::from(!listed(id))))
    }

    /// Is it known that a tenant has lost its profiles?
    #[must_use]
    pub fn has_lost(&self, tenant: &Tenant) -> bool {
        self.lock().lost.contains_key(tenant)
    }

    /// Has a tenant lost its profiles, as far as can be told by a list that began then? It is empty, or shows none of
    /// several, although they are known to be alive. So it stays until one of those is listed, or none of them is known to
    /// be alive any more. One alone that is missing among others that nobody manages may have been deleted.
    pub fn is_lost(
        &self,
        tenant: &Tenant,
        began: Timestamp,
        is_empty: bool,
        listed: impl Fn(&str) -> bool,
    ) -> bool {
        let mut table = self.lock();
        if let Some(lost) = table.lost.get(tenant) {
            let is_missed = |id: &Arc<str>| table.hold(tenant, id).is_some_and(|hold| hold.alive.is_some());
            // Another application may have an older list of the same tenant.
            let is_back = began >= lost.began && lost.ids.iter().any(|id| listed(id));
            if lost.ids.iter().any(is_missed) && !is_back {
                return true;
            }
            table.lost.remove(tenant);
        }
        if table.alive(tenant, began).any(|id| listed(id)) {
            return false;
        }
        let ids: Vec<Arc<str>> = table.alive(tenant, began).map(Arc::clone).collect();
        let is_lost = ids.len() > 1 || is_empty && !ids.is_empty();
        if is_lost {
            let known = table.known(tenant);
            table.lost.insert(known, Lost { began, ids });
        }
        is_lost
    }
}

impl Table {
    /// The profiles that were alive then.
    fn alive(&self, tenant: &Tenant, began: Timestamp) -> impl Iterator<Item = &Arc<str>> {
        let was_alive = move |hold: &ProfileHold| hold.alive.is_some_and(|since| since <= began);
        let there = self.profiles.get(tenant).into_iter().flatten();
        there.filter(move |(_, hold)| was_alive(hold)).map(|(id, _)| id)
    }
}
