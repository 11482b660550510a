//! Who has which name and which profile: one table for the whole process.
//!
//! Graph lets two profiles have one name, so the promise "one name, one profile, one resource" is
//! kept here, within (endpoint, tenant). An established claim (an open attempt, a bound profile)
//! wins; between two resources that only want a name, the older one wins.

mod life;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::graph::name::NameKey;

/// Where a name or a profile is: names of different tenants do not meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant {
    /// Address of Graph.
    pub endpoint: Arc<str>,
    /// Tenant.
    pub tenant_id: Arc<str>,
}

/// A resource that claims something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its uid.
    pub uid: Arc<str>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was made; the older one wins while neither claim is established.
    pub created: Timestamp,
}

impl Tenant {
    /// The tenant of this id, at this address of Graph.
    #[must_use]
    pub fn new(endpoint: &str, tenant_id: &str) -> Self {
        Self { endpoint: endpoint.into(), tenant_id: tenant_id.into() }
    }

    /// Is it the tenant of this id, at this address?
    #[must_use]
    pub fn is(&self, endpoint: &str, tenant_id: &str) -> bool {
        *self.endpoint == *endpoint && *self.tenant_id == *tenant_id
    }
}

impl Owner {
    /// How a person names the resource.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Answer to a wish for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameClaim {
    /// Ours, since then.
    Ours(Timestamp),
    /// Another resource has it.
    TakenBy(Owner),
}

/// The table.
#[derive(Debug, Default)]
pub struct Claims {
    table: Mutex<Table>,
}

/// Who has a name or a profile, and what a resource has: both are looked up, none is looked for, since each pass asks.
/// There is one for each of thousands of profiles, so no text is in it twice.
#[derive(Debug, Default)]
struct Table {
    /// By uid.
    resources: HashMap<Arc<str>, Resource>,
    names: HashMap<NameAt, NameHold>,
    /// By tenant and id: what is asked of all profiles is asked of those of one tenant.
    profiles: HashMap<Tenant, HashMap<Arc<str>, ProfileHold>>,
    /// Tenants that have lost what is known to be alive, with that.
    lost: HashMap<Tenant, life::Lost>,
}

type NameAt = (Tenant, NameKey);

#[derive(Debug)]
struct Resource {
    owner: Owner,
    /// Each once. Nearly always there is one.
    names: Vec<NameAt>,
    /// One in each tenant at most, and one tenant nearly always.
    profiles: Vec<(Tenant, Arc<str>)>,
}

#[derive(Debug)]
struct NameHold {
    uid: Arc<str>,
    established: bool,
    since: Timestamp,
}

#[derive(Debug)]
struct ProfileHold {
    uid: Arc<str>,
    /// Since when it is known to be alive.
    alive: Option<Timestamp>,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes for a name that is not established yet. A wish for another name gives up earlier wishes.
    pub fn wish(&self, tenant: &Tenant, name: &NameKey, owner: &Owner, now: Timestamp) -> NameClaim {
        let mut table = self.lock();
        table.know(owner);
        let key = (tenant.clone(), name.clone());
        table.free_names(&owner.uid, |held, hold| !hold.established && *held != key);
        match table.names.get(&key) {
            Some(hold) if hold.uid == owner.uid => NameClaim::Ours(hold.since),
            Some(hold) => match table.owner(&hold.uid) {
                Some(holder) if hold.established || !is_older(owner, holder) => {
                    NameClaim::TakenBy(holder.clone())
                }
                _ => table.take(key, owner, false, now),
            },
            None => table.take(key, owner, false, now),
        }
    }

    /// Makes a wish a claim, right before the attempt is recorded. False when the name has been lost.
    pub fn establish(&self, tenant: &Tenant, name: &NameKey, owner: &Owner) -> bool {
        match self.lock().names.get_mut(&(tenant.clone(), name.clone())) {
            Some(hold) if hold.uid == owner.uid => {
                hold.established = true;
                true
            }
            _ => false,
        }
    }

    /// Does another resource hold this name by an attempt or a profile?
    #[must_use]
    pub fn is_established_by_other(&self, tenant: &Tenant, name: &NameKey, uid: &str) -> bool {
        let table = self.lock();
        let hold = table.names.get(&(tenant.clone(), name.clone()));
        hold.is_some_and(|hold| hold.established && *hold.uid != *uid)
    }

    /// Records what the status of a resource says: the names of its attempts and of its profile.
    /// A name that another resource has established stays there.
    pub fn record_names(&self, tenant: &Tenant, names: &BTreeSet<NameKey>, owner: &Owner, now: Timestamp) {
        let mut table = self.lock();
        table.know(owner);
        for name in names {
            let key = (tenant.clone(), name.clone());
            match table.names.get_mut(&key) {
                Some(hold) if hold.uid == owner.uid => hold.established = true,
                Some(hold) if hold.established => {}
                _ => {
                    table.take(key, owner, true, now);
                }
            }
        }
    }

    /// Gives up every wish of a resource that has the name it wants, or wants none any more.
    pub fn give_up_wishes(&self, uid: &str) {
        self.lock().free_names(uid, |_, hold| !hold.established);
    }

    /// Gives up names that are not in the status any more: after a definite refusal, or a rename.
    pub fn forget_names(&self, kept: &BTreeSet<(Tenant, NameKey)>, uid: &str) {
        self.lock().free_names(uid, |held, hold| hold.established && !kept.contains(held));
    }

    /// Claims a profile for a resource, which gives up any other that it has there; `alive` says since when
    /// it is known to be alive, if the claim is new. Some: another resource has it already.
    pub fn claim_profile(
        &self,
        tenant: &Tenant,
        id: &str,
        owner: &Owner,
        alive: Option<Timestamp>,
    ) -> Option<Owner> {
        let mut table = self.lock();
        let before = table.know(owner).profile_in(tenant);
        if let Some(hold) = table.hold(tenant, id) {
            return table.owner(&hold.uid).filter(|holder| holder.uid != owner.uid).cloned();
        }
        if let Some(before) = before {
            table.free_profile(tenant, &before);
        }
        let (tenant, id) = (table.known(tenant), Arc::from(id));
        let resource = table.know(owner);
        resource.leave(&tenant);
        push(&mut resource.profiles, (tenant.clone(), Arc::clone(&id)));
        let hold = ProfileHold { uid: Arc::clone(&resource.owner.uid), alive };
        table.profiles.entry(tenant).or_default().insert(id, hold);
        None
    }

    /// Does a resource have this profile?
    #[must_use]
    pub fn has_profile(&self, tenant: &Tenant, id: &str, uid: &str) -> bool {
        self.lock().has_profile(tenant, id, uid)
    }

    /// The profile that a resource has in a tenant.
    #[must_use]
    pub fn profile_of(&self, tenant: &Tenant, uid: &str) -> Option<Arc<str>> {
        self.lock().resources.get(uid)?.profile_in(tenant)
    }

    /// Gives up a profile that is gone.
    pub fn release_profile(&self, tenant: &Tenant, id: &str, uid: &str) {
        let mut table = self.lock();
        if table.has_profile(tenant, id, uid) {
            table.free_profile(tenant, id);
            if let Some(resource) = table.resources.get_mut(uid) {
                resource.leave(tenant);
            }
        }
    }

    /// The resource that has a profile.
    #[must_use]
    pub fn owner_of(&self, tenant: &Tenant, id: &str) -> Option<Owner> {
        let table = self.lock();
        let hold = table.hold(tenant, id)?;
        table.owner(&hold.uid).cloned()
    }

    /// Everything of a resource that is gone.
    pub fn release(&self, uid: &str) {
        let mut table = self.lock();
        let Some(resource) = table.resources.remove(uid) else {
            return;
        };
        for key in &resource.names {
            table.names.remove(key);
        }
        for (tenant, id) in &resource.profiles {
            table.free_profile(tenant, id);
        }
    }
}

impl Table {
    fn hold(&self, tenant: &Tenant, id: &str) -> Option<&ProfileHold> {
        self.profiles.get(tenant)?.get(id)
    }

    fn hold_mut(&mut self, tenant: &Tenant, id: &str) -> Option<&mut ProfileHold> {
        self.profiles.get_mut(tenant)?.get_mut(id)
    }

    fn has_profile(&self, tenant: &Tenant, id: &str, uid: &str) -> bool {
        self.hold(tenant, id).is_some_and(|hold| *hold.uid == *uid)
    }

    /// Nobody has it any more. A tenant of which nothing is left is forgotten.
    fn free_profile(&mut self, tenant: &Tenant, id: &str) {
        if let Some(there) = self.profiles.get_mut(tenant) {
            there.remove(id);
            if there.is_empty() {
                self.profiles.remove(tenant);
            }
        }
    }

    fn owner(&self, uid: &str) -> Option<&Owner> {
        self.resources.get(uid).map(|resource| &resource.owner)
    }

    /// What this resource has, by what is known of it now.
    fn know(&mut self, owner: &Owner) -> &mut Resource {
        let resource = self.resources.entry(Arc::clone(&owner.uid)).or_insert_with(|| Resource {
            owner: owner.clone(),
            names: Vec::new(),
            profiles: Vec::new(),
        });
        if resource.owner != *owner {
            resource.owner = Owner { uid: Arc::clone(&resource.owner.uid), ..owner.clone() };
        }
        resource
    }

    /// The same tenant, of which nothing is copied if one of its profiles is known.
    fn known(&self, tenant: &Tenant) -> Tenant {
        self.profiles.get_key_value(tenant).map_or_else(|| tenant.clone(), |(known, _)| known.clone())
    }

    fn take(
        &mut self,
        (tenant, name): NameAt,
        owner: &Owner,
        established: bool,
        now: Timestamp,
    ) -> NameClaim {
        let key = (self.known(&tenant), name);
        let uid = Arc::clone(&self.know(owner).owner.uid);
        let before = self.names.insert(key.clone(), NameHold { uid, established, since: now });
        if let Some(loser) = before.and_then(|hold| self.resources.get_mut(&hold.uid)) {
            loser.names.retain(|held| *held != key);
        }
        push(&mut self.know(owner).names, key);
        NameClaim::Ours(now)
    }

    /// Of the names that a resource has, gives up those that `goes` says.
    fn free_names(&mut self, uid: &str, goes: impl Fn(&NameAt, &NameHold) -> bool) {
        let Self { resources, names, .. } = self;
        let Some(resource) = resources.get_mut(uid) else {
            return;
        };
        resource.names.retain(|key| {
            let goes = names.get(key).is_none_or(|hold| goes(key, hold));
            if goes {
                names.remove(key);
            }
            !goes
        });
    }
}

impl Resource {
    fn profile_in(&self, tenant: &Tenant) -> Option<Arc<str>> {
        let held = self.profiles.iter().find(|(there, _)| there == tenant);
        held.map(|(_, id)| Arc::clone(id))
    }

    fn leave(&mut self, tenant: &Tenant) {
        self.profiles.retain(|(there, _)| there != tenant);
    }
}

/// Without room for more, which a vector would make otherwise.
fn push<T>(list: &mut Vec<T>, item: T) {
    list.reserve_exact(1);
    list.push(item);
}

fn is_older(left: &Owner, right: &Owner) -> bool {
    (left.created, &left.namespace, &left.name) < (right.created, &right.namespace, &right.name)
}
