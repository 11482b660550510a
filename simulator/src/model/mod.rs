//! The simulated service: tenants, profiles, tokens. Pure: no HTTP, no async, no clock, no logging. Every operation
//! takes the time as an argument, and what happens with time (set-up, deleting) is computed from it.

mod entra;
pub(crate) mod errors;
mod ids;
mod parse;
mod parse_provider;
pub(crate) mod permissions;
mod platform;
pub(crate) mod profile;
mod reader;
mod running;
pub(crate) mod sync;
pub(crate) mod types;
mod update;
pub(crate) mod uploads;
pub(crate) mod verify;

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use entra::{BadToken, Form, IdentityQuery, Issued, PendingDevice, TokenRefusal};
pub use permissions::PrincipalKind;
pub(crate) use permissions::{Need, Principal};
pub(crate) use platform::{SavedModel, Snapshot};
use profile::Profile;
pub(crate) use profile::State;
pub(crate) use running::Control;
pub use sync::SyncOutcome;
pub(crate) use types::Generation;

use crate::settings::Settings;
use entra::Entra;
use errors::SyncError;
pub(crate) use ids::Ids;
use reader::Rules;
use sync::{Report, Sync};
use uploads::Container;

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

/// Why a call on a profile was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such profile in the tenant.
    NotFound,
    /// Not now; later perhaps.
    Conflict(&'static str),
    Invalid(Invalid),
}

impl Refused {
    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self::Invalid(Invalid::new(sentence))
    }
}

/// A profile as it is at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) profile: Profile,
    pub(crate) state: State,
    /// Its `profileStatus`; `None` before a profile was ever provisioned.
    pub(crate) status: Option<Report>,
}

/// The whole simulated service.
pub(crate) struct Model {
    settings: Settings,
    ids: Ids,
    entra: Entra,
    tenants: BTreeMap<String, Vec<Profile>>,
    failing: HashSet<String>,
    next_position: u64,
    outcomes: BTreeMap<String, SyncOutcome>,
    sync_errors: BTreeMap<String, usize>,
    /// Uploads, by profile id.
    containers: BTreeMap<String, Container>,
    /// Whether an update that is accepted leaves the values as they are.
    ignores_updates: bool,
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
            outcomes: settings.profiles.sync_outcomes.iter().cloned().collect(),
            sync_errors: settings.profiles.sync_errors.iter().cloned().collect(),
            containers: BTreeMap::new(),
            ignores_updates: false,
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
        let id = self.ids.guid();
        let mut profile = Profile {
            extra_set_up: self.settings.provisioning_spread.mul_f64(profile::share_of(&id)),
            id,
            position: self.next_position,
            created: now,
            fails: self.failing.contains(&draft.display_name),
            deleting_since: None,
            deletion_fails: false,
            draft,
            set_up_since: now,
            was_provisioned: false,
            sync: Sync::new(now),
        };
        self.schedule(&mut profile, now);
        self.next_position += 1;
        self.tenants.entry(tenant.to_ascii_lowercase()).or_default().push(profile.clone());
        self.view(&profile, now).ok_or_else(|| Invalid::new("The profile is gone already."))
    }

    /// The tenant's profiles in the order of their creation, deleting ones included.
    pub(crate) fn list(&mut self, tenant: &str, now: Timestamp) -> Vec<View> {
        self.advance(now);
        let all = self.tenants.get(tenant).map_or(&[][..], Vec::as_slice);
        all.iter().filter_map(|profile| self.view(profile, now)).collect()
    }

    /// One profile, unless it is gone or another tenant's.
    pub(crate) fn get(&mut self, tenant: &str, id: &str, now: Timestamp) -> Option<View> {
        self.advance(now);
        let profile = self.tenants.get(tenant)?.iter().find(|profile| profile.id.eq_ignore_ascii_case(id))?;
        self.view(profile, now)
    }

    /// The id and the errors of one profile.
    pub(crate) fn errors(
        &mut self,
        tenant: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<(String, Vec<SyncError>), Refused> {
        let view = self.get(tenant, id, now).ok_or(Refused::NotFound)?;
        let errors = view.profile.sync.errors(now, self.settings.profiles.sync_time);
        Ok((view.profile.id, errors))
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
        self.drop_orphans();
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
        self.drop_orphans();
    }

    fn state(&self, profile: &Profile, now: Timestamp) -> Option<State> {
        profile.state_at(now, self.settings.provisioning_time, self.settings.delete_time)
    }

    fn view(&self, profile: &Profile, now: Timestamp) -> Option<View> {
        let state = self.state(profile, now)?;
        let report = profile.sync.report(now, self.settings.profiles.sync_time);
        let known = profile.was_provisioned || state == State::Provisioned || report.status.is_some();
        Some(View { profile: profile.clone(), state, status: known.then_some(report) })
    }
}
