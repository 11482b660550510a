//! A complete list of a tenant's profiles, and what changed between two of them. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::graph::RemoteProfile;
use crate::graph::name::NameKey;

/// A complete list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When the list was asked for: whatever was true before is in it.
    pub began: Timestamp,
    /// When its last page came.
    pub ended: Timestamp,
    /// The profiles, by id.
    pub profiles: BTreeMap<String, Arc<RemoteProfile>>,
}

/// What differs between two lists.
#[derive(Debug, Default)]
pub struct Changes {
    ids: HashSet<String>,
    names: HashSet<NameKey>,
    coming_or_going: bool,
}

impl Snapshot {
    /// A list of these profiles, asked for and complete at these times.
    #[must_use]
    pub fn new(began: Timestamp, ended: Timestamp, profiles: BTreeMap<String, RemoteProfile>) -> Self {
        let profiles = profiles.into_iter().map(|(id, profile)| (id, Arc::new(profile))).collect();
        Self { began, ended, profiles }
    }

    /// The same, which keeps what did not change since `old` where `old` keeps it.
    #[must_use]
    pub fn sharing(mut self, old: Option<&Self>) -> Self {
        for (id, profile) in &mut self.profiles {
            if let Some(known) = old.and_then(|old| old.profiles.get(id)).filter(|known| *known == profile) {
                *profile = Arc::clone(known);
            }
        }
        self
    }

    /// The profiles of that name.
    pub fn named<'a>(&'a self, name: &'a NameKey) -> impl Iterator<Item = &'a RemoteProfile> {
        self.profiles.values().map(Arc::as_ref).filter(move |profile| profile.name == *name)
    }

    /// What came, went or changed since `old`.
    #[must_use]
    pub fn changes_since(&self, old: Option<&Self>) -> Changes {
        let mut changes = Changes::default();
        let none = BTreeMap::new();
        let before = old.map_or(&none, |old| &old.profiles);
        for (id, profile) in &self.profiles {
            match before.get(id) {
                Some(known) if known == profile => {}
                known => {
                    changes.coming_or_going |= known.is_none();
                    changes.add(profile);
                    if let Some(known) = known {
                        changes.add(known);
                    }
                }
            }
        }
        for (_, gone) in before.iter().filter(|(id, _)| !self.profiles.contains_key(*id)) {
            changes.coming_or_going = true;
            changes.add(gone);
        }
        changes
    }
}

impl Changes {
    fn add(&mut self, profile: &RemoteProfile) {
        self.ids.insert(profile.id.clone());
        self.names.insert(profile.name.clone());
    }

    /// Did nothing change?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Is there a profile more, or one less?
    #[must_use]
    pub const fn is_coming_or_going(&self) -> bool {
        self.coming_or_going
    }

    /// Does a change concern this profile, or one of its name?
    #[must_use]
    pub fn concern(&self, id: &str, name: &NameKey) -> bool {
        self.ids.contains(id) || self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn snapshot(profiles: &[(&str, &str, &str)]) -> Snapshot {
        let profiles = profiles
            .iter()
            .map(|(id, name, state)| {
                let value = json!({"id": id, "displayName": name, "state": state});
                (id.to_string(), RemoteProfile::read(&value).unwrap())
            })
            .collect();
        Snapshot::new(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, profiles)
    }

    #[test]
    fn equal_lists_have_no_changes() {
        let list = snapshot(&[("1", "A", "provisioned")]);
        assert!(list.changes_since(Some(&list.clone())).is_empty());
    }

    #[test]
    fn one_that_comes_and_one_that_goes_are_each_told() {
        let (one, two) = (
            snapshot(&[("1", "A", "provisioned")]),
            snapshot(&[("1", "A", "provisioned"), ("2", "B", "provisioned")]),
        );
        for (old, new) in [(&one, &two), (&two, &one)] {
            let changes = new.changes_since(Some(old));
            assert!(changes.is_coming_or_going());
            assert!(!changes.is_empty());
        }
    }

    #[test]
    fn what_did_not_change_is_kept_once() {
        let old = snapshot(&[("1", "A", "provisioned"), ("2", "B", "provisioning")]);
        let new =
            snapshot(&[("1", "A", "provisioned"), ("2", "B", "provisioned"), ("3", "C", "provisioned")]);
        let shared = new.clone().sharing(Some(&old));
        assert_eq!(shared, new, "it tells the same");
        let is_shared = |id: &str| Arc::ptr_eq(&shared.profiles[id], old.profiles.get(id).unwrap());
        assert!(is_shared("1"));
        assert!(!is_shared("2"));
        assert_eq!(new.clone().sharing(None), new);
    }

    #[test]
    fn coming_going_and_changing_concern_the_id_and_the_name() {
        let old =
            snapshot(&[("1", "A", "provisioning"), ("2", "B", "provisioned"), ("3", "C", "provisioned")]);
        let new =
            snapshot(&[("1", "A", "provisioned"), ("3", "C", "provisioned"), ("4", "c", "provisioning")]);
        let changes = new.changes_since(Some(&old));
        let unknown = NameKey::of("other");
        assert!(changes.is_coming_or_going());
        assert!(!old.changes_since(Some(&old)).is_coming_or_going());
        assert!(changes.concern("1", &unknown), "changed");
        assert!(changes.concern("2", &unknown), "gone");
        assert!(!changes.concern("3", &unknown), "untouched");
        assert!(changes.concern("3", &NameKey::of("C")), "a namesake came");
    }
}
