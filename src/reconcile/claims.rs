//! Who has which name and which profile: one table for the whole process.
//!
//! Graph lets two profiles have one name, so the promise "one name, one profile, one resource" is
//! kept here, within (endpoint, tenant). An established claim (an open attempt, a bound profile)
//! wins; between two resources that only want a name, the older one wins.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::graph::name::NameKey;

/// Where a name or a profile is: names of different tenants do not meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant {
    /// Address of Graph.
    pub endpoint: String,
    /// Tenant.
    pub tenant_id: String,
}

/// A resource that claims something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was made; the older one wins while neither claim is established.
    pub created: Timestamp,
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

#[derive(Debug, Default)]
struct Table {
    owners: HashMap<String, Owner>,
    names: HashMap<(Tenant, NameKey), NameHold>,
    profiles: HashMap<(Tenant, String), ProfileHold>,
}

#[derive(Debug)]
struct NameHold {
    uid: String,
    established: bool,
    since: Timestamp,
}

#[derive(Debug)]
struct ProfileHold {
    uid: String,
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
        table.owners.insert(owner.uid.clone(), owner.clone());
        let key = (tenant.clone(), name.clone());
        table.names.retain(|held, hold| hold.uid != owner.uid || hold.established || *held == key);
        match table.names.get(&key) {
            Some(hold) if hold.uid == owner.uid => NameClaim::Ours(hold.since),
            Some(hold) => match table.owners.get(&hold.uid) {
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
        hold.is_some_and(|hold| hold.established && hold.uid != uid)
    }

    /// Records what the status of a resource says: the names of its attempts and of its profile.
    /// A name that another resource has established stays there.
    pub fn record_names(&self, tenant: &Tenant, names: &BTreeSet<NameKey>, owner: &Owner, now: Timestamp) {
        let mut table = self.lock();
        table.owners.insert(owner.uid.clone(), owner.clone());
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
        self.lock().names.retain(|_, hold| hold.uid != uid || hold.established);
    }

    /// Gives up names that are not in the status any more: after a definite refusal, or a rename.
    pub fn forget_names(&self, kept: &BTreeSet<(Tenant, NameKey)>, uid: &str) {
        self.lock().names.retain(|held, hold| hold.uid != uid || !hold.established || kept.contains(held));
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
        table.owners.insert(owner.uid.clone(), owner.clone());
        let key = (tenant.clone(), id.to_owned());
        let holder = table.profiles.get(&key).map(|hold| hold.uid.clone());
        match holder {
            Some(uid) if uid != owner.uid => table.owners.get(&uid).cloned(),
            Some(_) => None,
            None => {
                table.profiles.retain(|(place, _), hold| place != tenant || hold.uid != owner.uid);
                table.profiles.insert(key, ProfileHold { uid: owner.uid.clone(), alive });
                None
            }
        }
    }

    /// Does a resource have this profile?
    #[must_use]
    pub fn has_profile(&self, tenant: &Tenant, id: &str, uid: &str) -> bool {
        self.lock().has_profile(&(tenant.clone(), id.to_owned()), uid)
    }

    /// The profile that a resource has in a tenant. All have to be looked through for it.
    #[must_use]
    pub fn profile_of(&self, tenant: &Tenant, uid: &str) -> Option<String> {
        let table = self.lock();
        let mut held = table.profiles.iter().filter(|((place, _), hold)| place == tenant && hold.uid == uid);
        held.next().map(|((_, id), _)| id.clone())
    }

    /// Gives up a profile that is gone.
    pub fn release_profile(&self, tenant: &Tenant, id: &str, uid: &str) {
        let mut table = self.lock();
        let key = (tenant.clone(), id.to_owned());
        if table.has_profile(&key, uid) {
            table.profiles.remove(&key);
        }
    }

    /// The resource that has a profile.
    #[must_use]
    pub fn owner_of(&self, tenant: &Tenant, id: &str) -> Option<Owner> {
        let table = self.lock();
        let hold = table.profiles.get(&(tenant.clone(), id.to_owned()))?;
        table.owners.get(&hold.uid).cloned()
    }

    /// Remembers that a profile is known to be alive since `now` at least: a later list without it
    /// is not to be trusted.
    pub fn set_alive(&self, tenant: &Tenant, id: &str, now: Timestamp) {
        if let Some(hold) = self.lock().profiles.get_mut(&(tenant.clone(), id.to_owned())) {
            hold.alive.get_or_insert(now);
        }
    }

    /// Remembers that a profile is going or gone.
    pub fn set_going(&self, tenant: &Tenant, id: &str) {
        if let Some(hold) = self.lock().profiles.get_mut(&(tenant.clone(), id.to_owned())) {
            hold.alive = None;
        }
    }

    /// Remembers that nobody looks at what a resource has: its end would not be heard of.
    pub fn set_all_going(&self, uid: &str) {
        let mut table = self.lock();
        table.profiles.values_mut().filter(|hold| hold.uid == uid).for_each(|hold| hold.alive = None);
    }

    /// How many profiles were alive when a list began, and how many of them `listed` does not have.
    pub fn alive(&self, tenant: &Tenant, began: Timestamp, listed: impl Fn(&str) -> bool) -> (usize, usize) {
        let table = self.lock();
        let was_alive = |hold: &ProfileHold| hold.alive.is_some_and(|since| since <= began);
        let alive = table.profiles.iter().filter(|((place, _), hold)| place == tenant && was_alive(hold));
        alive.fold((0, 0), |(all, missing), ((_, id), _)| (all + 1, missing + usize::from(!listed(id))))
    }

    /// Everything of a resource that is gone.
    pub fn release(&self, uid: &str) {
        let mut table = self.lock();
        table.owners.remove(uid);
        table.names.retain(|_, hold| hold.uid != uid);
        table.profiles.retain(|_, hold| hold.uid != uid);
    }
}

impl Table {
    fn has_profile(&self, key: &(Tenant, String), uid: &str) -> bool {
        self.profiles.get(key).is_some_and(|hold| hold.uid == uid)
    }

    fn take(
        &mut self,
        key: (Tenant, NameKey),
        owner: &Owner,
        established: bool,
        now: Timestamp,
    ) -> NameClaim {
        self.names.insert(key, NameHold { uid: owner.uid.clone(), established, since: now });
        NameClaim::Ours(now)
    }
}

fn is_older(left: &Owner, right: &Owner) -> bool {
    (left.created, &left.namespace, &left.name) < (right.created, &right.namespace, &right.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> Tenant {
        Tenant { endpoint: "https://graph.example".to_owned(), tenant_id: "t".to_owned() }
    }

    fn owner(uid: &str, created: i64) -> Owner {
        Owner { uid: uid.into(), namespace: "n".into(), name: uid.into(), created: at(created) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_older_wish_wins_until_a_claim_is_established() {
        let (claims, tenant, name) = (Claims::default(), tenant(), NameKey::of("A"));
        let (old, young) = (owner("old", 1), owner("young", 2));
        assert_eq!(claims.wish(&tenant, &name, &young, at(10)), NameClaim::Ours(at(10)));
        assert_eq!(claims.wish(&tenant, &name, &old, at(11)), NameClaim::Ours(at(11)));
        assert!(!claims.establish(&tenant, &name, &young));
        assert_eq!(claims.wish(&tenant, &name, &young, at(12)), NameClaim::TakenBy(old.clone()));
        assert!(claims.establish(&tenant, &name, &old));
        claims.release("old");
        assert_eq!(claims.wish(&tenant, &name, &young, at(13)), NameClaim::Ours(at(13)));
        assert!(claims.establish(&tenant, &name, &young));
        assert_eq!(claims.wish(&tenant, &name, &old, at(14)), NameClaim::TakenBy(young));
    }

    #[test]
    fn a_new_wish_gives_up_the_old_one_but_not_an_attempt() {
        let (claims, tenant) = (Claims::default(), tenant());
        let (first, second) = (owner("first", 1), owner("second", 2));
        claims.record_names(&tenant, &BTreeSet::from([NameKey::of("attempted")]), &first, at(1));
        claims.wish(&tenant, &NameKey::of("a"), &first, at(1));
        claims.wish(&tenant, &NameKey::of("b"), &first, at(1));
        assert_eq!(claims.wish(&tenant, &NameKey::of("a"), &second, at(2)), NameClaim::Ours(at(2)));
        let taken = NameClaim::TakenBy(first.clone());
        assert_eq!(claims.wish(&tenant, &NameKey::of("attempted"), &second, at(2)), taken);
        claims.forget_names(&BTreeSet::new(), "first");
        assert_eq!(claims.wish(&tenant, &NameKey::of("attempted"), &second, at(3)), NameClaim::Ours(at(3)));
    }

    #[test]
    fn a_wish_that_is_given_up_frees_its_name_and_no_claim() {
        let (claims, tenant, first, second) = (Claims::default(), tenant(), owner("1", 1), owner("2", 2));
        claims.record_names(&tenant, &[NameKey::of("has")].into(), &first, at(1));
        claims.wish(&tenant, &NameKey::of("wants"), &first, at(1));
        claims.give_up_wishes("1");
        assert_eq!(claims.wish(&tenant, &NameKey::of("wants"), &second, at(2)), NameClaim::Ours(at(2)));
        let taken = NameClaim::TakenBy(first);
        assert_eq!(claims.wish(&tenant, &NameKey::of("has"), &second, at(2)), taken);
    }

    #[test]
    fn names_of_other_tenants_do_not_meet() {
        let claims = Claims::default();
        let other = Tenant { tenant_id: "other".to_owned(), ..tenant() };
        claims.wish(&tenant(), &NameKey::of("A"), &owner("1", 1), at(1));
        assert_eq!(claims.wish(&other, &NameKey::of("A"), &owner("2", 2), at(2)), NameClaim::Ours(at(2)));
    }

    #[test]
    fn a_profile_belongs_to_one_resource() {
        let (claims, tenant) = (Claims::default(), tenant());
        assert_eq!(claims.claim_profile(&tenant, "p", &owner("1", 1), None), None);
        assert_eq!(claims.claim_profile(&tenant, "p", &owner("1", 1), None), None);
        assert_eq!(claims.claim_profile(&tenant, "p", &owner("2", 0), None).unwrap().uid, "1");
        assert_eq!(claims.alive(&tenant, at(9), |_| false), (0, 0));
        claims.set_alive(&tenant, "p", at(5));
        assert_eq!(claims.alive(&tenant, at(4), |_| false), (0, 0), "the list is from before");
        assert_eq!(claims.alive(&tenant, at(5), |_| false), (1, 1));
        assert_eq!(claims.alive(&tenant, at(5), |_| true), (1, 0));
        claims.set_going(&tenant, "p");
        assert_eq!(claims.alive(&tenant, at(9), |_| false), (0, 0));
        assert_eq!(claims.claim_profile(&tenant, "q", &owner("1", 1), None), None);
        assert_eq!(claims.profile_of(&tenant, "1").as_deref(), Some("q"), "one at a time");
        assert_eq!(claims.owner_of(&tenant, "p"), None);
        claims.release("1");
        assert_eq!(claims.owner_of(&tenant, "q"), None);
    }
}
