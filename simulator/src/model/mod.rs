//! The simulated service: tenants, profiles, tokens. Pure: no HTTP, no async, no clock, no logging. Every operation
//! takes the time as an argument, and what happens with time (set-up, deleting) is computed from it.

mod entra;
mod ids;
mod parse;
mod parse_provider;
pub(crate) mod permissions;
mod platform;
pub(crate) mod profile;
mod reader;
pub(crate) mod types;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use entra::{BadToken, Form, IdentityQuery, Issued, PendingDevice, TokenRefusal};
pub use permissions::PrincipalKind;
pub(crate) use permissions::{Need, Principal};
pub(crate) use platform::{SavedModel, Snapshot};
use profile::Profile;
pub(crate) use profile::State;
pub(crate) use types::Generation;

use crate::settings::Settings;
use entra::Entra;
pub(crate) use ids::Ids;
use reader::Rules;

/// Why a body was refused: a sentence for the person who wrote it. Never holds a value from the body that could be a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(String);

impl Invalid {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    pub(crate) fn into_sentence(self) -> String {
        self.0
    }
}

/// A profile as it is at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) profile: Profile,
    pub(crate) state: State,
}

/// One page of a list.
pub(crate) struct Page {
    pub(crate) views: Vec<View>,
    /// How many profiles there are on all pages together.
    pub(crate) total: usize,
    /// Where the next page starts, if there is one.
    pub(crate) next: Option<u64>,
}

/// The whole simulated service.
pub(crate) struct Model {
    settings: Settings,
    ids: Ids,
    entra: Entra,
    tenants: BTreeMap<String, Vec<Profile>>,
    failing: HashSet<String>,
    next_position: u64,
}

impl Model {
    pub(crate) fn new(settings: &Settings) -> Self {
        let names = std::iter::once(&settings.tenant).chain(&settings.extra_tenants);
        Self {
            ids: Ids::new(settings.seed),
            entra: Entra::default(),
            tenants: names.map(|name| (name.to_ascii_lowercase(), Vec::new())).collect(),
            failing: settings.fail_provisioning.iter().cloned().collect(),
            next_position: 1,
            settings: settings.clone(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A new GUID, for request ids.
    pub(crate) fn guid(&mut self) -> String {
        self.ids.guid()
    }

    /// Creates a profile. Two profiles may have the same display name: no uniqueness is documented.
    pub(crate) fn create(
        &mut self,
        tenant: &str,
        body: &Value,
        generation: Generation,
        now: Timestamp,
    ) -> Result<View, Invalid> {
        let accept_type_without_hash = self.settings.accept_type_without_hash;
        let draft = parse::draft(body, Rules { generation, accept_type_without_hash, now })?;
        let profile = Profile {
            id: self.ids.guid(),
            position: self.next_position,
            created: now,
            fails: self.failing.contains(&draft.display_name),
            deleting_since: None,
            deletion_fails: false,
            draft,
        };
        self.next_position += 1;
        self.tenants.entry(tenant.to_ascii_lowercase()).or_default().push(profile.clone());
        let state = self.state(&profile, now).unwrap_or(State::Provisioning);
        Ok(View { profile, state })
    }

    /// One page of the tenant's profiles in the order of their creation, deleting ones included.
    pub(crate) fn list(&mut self, tenant: &str, size: usize, after: Option<u64>, now: Timestamp) -> Page {
        self.advance(now);
        let all = self.tenants.get(tenant).map_or(&[][..], Vec::as_slice);
        let rest: Vec<&Profile> =
            all.iter().filter(|profile| after.is_none_or(|after| profile.position > after)).collect();
        let views: Vec<View> = rest.iter().take(size).filter_map(|profile| self.view(profile, now)).collect();
        let last = views.last().map(|view| view.profile.position);
        Page { next: last.filter(|_| rest.len() > size), total: all.len(), views }
    }

    /// One profile, unless it is gone or another tenant's.
    pub(crate) fn get(&mut self, tenant: &str, id: &str, now: Timestamp) -> Option<View> {
        self.advance(now);
        let profile = self.tenants.get(tenant)?.iter().find(|profile| profile.id.eq_ignore_ascii_case(id))?;
        self.view(profile, now)
    }

    /// Starts to delete a profile; false when there is none. A second delete changes nothing and is accepted again
    /// (inferred: nothing is documented).
    pub(crate) fn delete(&mut self, tenant: &str, id: &str, now: Timestamp) -> bool {
        self.advance(now);
        let profiles = self.tenants.get_mut(tenant);
        let found =
            profiles.and_then(|all| all.iter_mut().find(|profile| profile.id.eq_ignore_ascii_case(id)));
        let Some(profile) = found else { return false };
        if profile.deletion_fails {
            // Asked again after `deletionFailed`: a new attempt, which goes well.
            (profile.deleting_since, profile.deletion_fails) = (None, false);
        }
        profile.deleting_since.get_or_insert(now);
        true
    }

    /// Removes a profile of any tenant at once, as if somebody else had deleted it long ago.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let mut removed = false;
        for profiles in self.tenants.values_mut() {
            let before = profiles.len();
            profiles.retain(|profile| !profile.id.eq_ignore_ascii_case(id));
            removed |= profiles.len() < before;
        }
        removed
    }

    /// Profiles created from now on with this display name will end in `provisioningFailed`.
    pub(crate) fn fail_provisioning(&mut self, display_name: &str) {
        self.failing.insert(display_name.to_owned());
    }

    /// All profiles of all tenants, with their tenant.
    pub(crate) fn everything(&mut self, now: Timestamp) -> Vec<(String, View)> {
        self.advance(now);
        let all =
            self.tenants.iter().flat_map(|(tenant, profiles)| profiles.iter().map(move |one| (tenant, one)));
        all.filter_map(|(tenant, profile)| Some((tenant.clone(), self.view(profile, now)?))).collect()
    }

    /// Forgets profiles whose deletion is over.
    fn advance(&mut self, now: Timestamp) {
        let (provisioning, delete) = (self.settings.provisioning_time, self.settings.delete_time);
        for profiles in self.tenants.values_mut() {
            profiles.retain(|profile| profile.state_at(now, provisioning, delete).is_some());
        }
    }

    fn state(&self, profile: &Profile, now: Timestamp) -> Option<State> {
        profile.state_at(now, self.settings.provisioning_time, self.settings.delete_time)
    }

    fn view(&self, profile: &Profile, now: Timestamp) -> Option<View> {
        Some(View { profile: profile.clone(), state: self.state(profile, now)? })
    }
}
