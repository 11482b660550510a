//! The model's side of the platform: tokens, what faults do to profiles, what is saved. What a profile is, and what
//! the calls of the API do to it, is elsewhere.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entra::{
    Asked, BadToken, DeviceStart, Entra, Form, IdentityQuery, IdentityRefusal, Issued, PendingDevice,
    TokenRefusal,
};
use super::ids::Ids;
use super::profile::Profile;
use super::uploads::Container;
use super::{Model, Principal};

/// All profiles of all tenants at one moment.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    tenants: BTreeMap<String, Vec<Profile>>,
    /// Empty: uploads have no past. They change places with those of today, so that a look at another time, in which
    /// their profiles may be missing, does not take them for orphans.
    containers: BTreeMap<String, Container>,
}

/// Everything that outlives the process. What the command line says is not in it: the new one counts.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedModel {
    ids: Ids,
    entra: Entra,
    tenants: BTreeMap<String, Vec<Profile>>,
    next_position: u64,
    /// What was uploaded is not kept: a file of gigabytes has no place in it.
    #[serde(default)]
    containers: BTreeMap<String, Container>,
}

/// Tokens.
impl Model {
    /// Answers a token request; tenants are compared without regard to case.
    pub(crate) fn token(
        &mut self,
        tenant: &str,
        form: &Form,
        authority: &str,
        now: Timestamp,
    ) -> Result<Issued, TokenRefusal> {
        let key = self.known_tenant(tenant)?;
        let asked = Asked { settings: &self.settings, tenant: &key, form, authority, now };
        self.entra.token(&mut self.ids, &asked)
    }

    /// Starts the device code flow.
    pub(crate) fn start_device(
        &mut self,
        tenant: &str,
        form: &Form,
        authority: &str,
        now: Timestamp,
    ) -> Result<DeviceStart, TokenRefusal> {
        let key = self.known_tenant(tenant)?;
        let asked = Asked { settings: &self.settings, tenant: &key, form, authority, now };
        self.entra.start_device(&mut self.ids, &asked)
    }

    /// A token for an identity of the machine, in the first tenant.
    pub(crate) fn identity(
        &mut self,
        query: &IdentityQuery,
        authority: &str,
        now: Timestamp,
    ) -> Result<(Issued, String), IdentityRefusal> {
        let form = Form::new(Vec::new());
        let tenant = self.settings.tenant.to_ascii_lowercase();
        let asked = Asked { settings: &self.settings, tenant: &tenant, form: &form, authority, now };
        self.entra.identity(&mut self.ids, query, &asked)
    }

    fn known_tenant(&self, tenant: &str) -> Result<String, TokenRefusal> {
        let key = tenant.to_ascii_lowercase();
        if ["common", "organizations", "consumers"].contains(&key.as_str()) {
            let sentence = "The grant type isn't supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.";
            return Err(TokenRefusal::new(400, "invalid_request", 9_001_023, sentence));
        }
        if self.tenants.contains_key(&key) {
            return Ok(key);
        }
        let sentence = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        Err(TokenRefusal::new(400, "invalid_request", 90_002, sentence))
    }

    /// Whom a bearer token speaks for.
    pub(crate) fn principal(&self, bearer: Option<&str>, now: Timestamp) -> Result<Principal, BadToken> {
        self.entra.principal(bearer, now)
    }

    /// Ends one access token, or all, before their time. Answers how many.
    pub(crate) fn end_tokens(&mut self, token: Option<&str>, why: BadToken) -> usize {
        self.entra.end(token, why)
    }

    /// A person approves or declines a device code. False when no such code is waiting.
    pub(crate) fn judge_device(&mut self, user_code: &str, approve: bool, now: Timestamp) -> bool {
        self.entra.judge_device(user_code, approve, self.settings.device_code_lifetime, now)
    }

    /// Device codes that wait for a person.
    pub(crate) fn pending_devices(&self, now: Timestamp) -> Vec<PendingDevice> {
        self.entra.pending_devices(self.settings.device_code_lifetime, now)
    }
}

/// What faults do to profiles.
impl Model {
    /// The display name of a profile, of any state.
    pub(crate) fn display_name(&self, id: &str) -> Option<&str> {
        let mut all = self.tenants.values().flatten();
        all.find(|profile| profile.id.eq_ignore_ascii_case(id))
            .map(|profile| profile.draft.display_name.as_str())
    }

    /// The ids of all profiles with a display name.
    pub(crate) fn named(&self, name: &str) -> Vec<String> {
        let all = self.tenants.values().flatten();
        all.filter(|profile| profile.draft.display_name == name).map(|profile| profile.id.clone()).collect()
    }

    /// The set-up of this new profile will end, or has ended, in `provisioningFailed`, and then nothing runs.
    pub(crate) fn spoil_provisioning(&mut self, id: &str) {
        self.change(id, |profile| {
            profile.fails = true;
            profile.sync.cancel();
        });
    }

    /// The delete of this profile that is under way will end in `deletionFailed`.
    pub(crate) fn spoil_deletion(&mut self, id: &str) {
        self.change(id, |profile| profile.deletion_fails = true);
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Profile)) {
        let mut all = self.tenants.values_mut().flatten();
        if let Some(profile) = all.find(|profile| profile.id.eq_ignore_ascii_case(id)) {
            change(profile);
        }
    }

    /// All profiles as they are kept now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.tenants.clone())
    }

    /// Exchanges all profiles for those of a snapshot. Called twice around one call, it shows that call another time.
    pub(crate) fn swap(&mut self, snapshot: &mut Snapshot) {
        std::mem::swap(&mut self.tenants, &mut snapshot.tenants);
        std::mem::swap(&mut self.containers, &mut snapshot.containers);
    }

    /// Who was there at `then`, as they are now; who has gone since, as they were.
    pub(crate) fn lagging(&self, past: &Snapshot, then: Timestamp, now: Timestamp) -> Snapshot {
        let shown = |tenant: &String, old: &Profile| {
            let today =
                self.tenants.get(tenant).and_then(|all| all.iter().find(|profile| profile.id == old.id));
            let alive = today.filter(|profile| self.state(profile, now).is_some());
            alive.cloned().unwrap_or_else(|| {
                let deleting_since = old.deleting_since.map(|_| now);
                Profile { deleting_since, ..old.clone() }
            })
        };
        let lists = past.tenants.iter().map(|(tenant, all)| {
            let there = all.iter().filter(|profile| self.state(profile, then).is_some());
            (tenant.clone(), there.map(|profile| shown(tenant, profile)).collect())
        });
        Snapshot::of(lists.collect())
    }
}

impl Snapshot {
    fn of(tenants: BTreeMap<String, Vec<Profile>>) -> Self {
        Self { tenants, containers: BTreeMap::new() }
    }

    /// The same tenants, without any profile.
    pub(crate) fn emptied(&self) -> Self {
        Self::of(self.tenants.keys().map(|tenant| (tenant.clone(), Vec::new())).collect())
    }
}

/// What is saved.
impl Model {
    pub(crate) fn save(&self) -> SavedModel {
        SavedModel {
            ids: self.ids.clone(),
            entra: self.entra.clone(),
            tenants: self.tenants.clone(),
            next_position: self.next_position,
            containers: self
                .containers
                .iter()
                .map(|(id, one)| (id.clone(), one.without_contents()))
                .collect(),
        }
    }

    /// Goes on where another process has stopped. Tenants of the settings that were not there then are added.
    pub(crate) fn restore(&mut self, saved: SavedModel) {
        let SavedModel { ids, entra, tenants, next_position, containers } = saved;
        (self.ids, self.entra, self.next_position) = (ids, entra, next_position);
        self.containers.extend(containers);
        for (tenant, profiles) in tenants {
            self.tenants.insert(tenant, profiles);
        }
    }
}
