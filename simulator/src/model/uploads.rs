//! The files of a CSV profile: who may upload, what is there, and the `start` that reads it. No HTTP here: the blob
//! protocol is in `http`, what the files must be is in `verify`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::profile::{DataProvider, has_passed};
use super::verify::{self, Message, MessageKind};
use super::{Model, Refused};
use crate::content::Content;

/// How many old permissions to upload are remembered for a profile, so that an expired one is told from a forged one.
const GRANTS_KEPT: usize = 100;
const NOT_READY: &str = "The profile must be provisioned and use CSV files before it can be started.";
const BUSY: &str = "Upload is blocked while an earlier request for this profile is processed.";

/// A permission to write into a container: a shared access signature.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) policy: String,
    /// Unguessable. It is a secret: never logged.
    pub(crate) signature: String,
    pub(crate) expires: Timestamp,
}

/// What a request shows of a shared access signature.
pub(crate) struct Shown<'a> {
    pub(crate) policy: &'a str,
    pub(crate) signature: &'a str,
    /// As it stands in the URL.
    pub(crate) expires: &'a str,
}

/// Why a shared access signature was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadGrant {
    /// Altered, or never issued for this container.
    Forged,
    Expired,
}

/// The uploads of one profile. Their contents are not part of a saved state: they may be gigabytes, and a client that
/// lost a connection uploads again anyway.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Container {
    grants: Vec<Grant>,
    /// When the last `start` was accepted.
    busy_since: Option<Timestamp>,
    #[serde(skip)]
    blobs: BTreeMap<String, Content>,
    /// Blocks that no block list has named yet, by blob and block id.
    #[serde(skip)]
    blocks: BTreeMap<String, BTreeMap<String, Content>>,
    /// Counts changes, so that a verification is not taken for one of other contents.
    #[serde(skip)]
    changes: u64,
    #[serde(skip)]
    verified: Option<(u64, Vec<Message>)>,
    /// Whether a verification runs at this moment.
    #[serde(skip)]
    verifying: bool,
}

impl Container {
    /// What of it can be saved.
    pub(super) fn without_contents(&self) -> Self {
        Self { grants: self.grants.clone(), busy_since: self.busy_since, ..Self::default() }
    }
}

/// A verification that can run without the model: it may take long, and nobody else should wait for it.
pub(crate) struct Verification {
    id: String,
    changes: u64,
    files: BTreeMap<String, Content>,
    rules: verify::Rules,
}

impl Verification {
    /// Reads the files.
    pub(crate) fn run(self) -> Verified {
        let messages = verify::run(&self.files, &self.rules);
        Verified { id: self.id, changes: self.changes, messages }
    }
}

/// What came out of a [`Verification`].
pub(crate) struct Verified {
    id: String,
    changes: u64,
    messages: Vec<Message>,
}

impl Container {
    fn changed(&mut self) {
        self.changes += 1;
        self.verified = None;
    }
}

/// `se` of a shared access signature.
pub(crate) fn expiry(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Model {
    /// A new permission to upload (Graph docs: educationSynchronizationProfile: uploadUrl). That profiles which are
    /// not CSV or not provisioned are answered 400 is inferred.
    pub(crate) fn grant_upload(&mut self, tenant: &str, id: &str, now: Timestamp) -> Result<Grant, Refused> {
        let id =
            self.ready(tenant, id, now, "Only a provisioned profile that uses CSV files takes uploads.")?;
        let signature: String = self.ids.token("").chars().filter(char::is_ascii_hexdigit).take(43).collect();
        let expires = now.saturating_add(self.settings.profiles.sas_lifetime).unwrap_or(Timestamp::MAX);
        let grant = Grant {
            policy: format!("SharedAccessPolicy_{}", now.strftime("%Y%m%d%H%M%S")),
            signature: format!("{signature}="),
            expires,
        };
        let container = self.containers.entry(id).or_default();
        container.grants.push(grant.clone());
        let surplus = container.grants.len().saturating_sub(GRANTS_KEPT);
        container.grants.drain(..surplus);
        Ok(grant)
    }

    /// Whether a shared access signature is good for a container.
    pub(crate) fn check_grant(
        &self,
        container: &str,
        shown: &Shown<'_>,
        now: Timestamp,
    ) -> Result<(), BadGrant> {
        let grants = self.containers.get(container).map_or(&[][..], |container| &container.grants);
        let same = |grant: &&Grant| {
            grant.signature == shown.signature
                && grant.policy == shown.policy
                && expiry(grant.expires) == shown.expires
        };
        let grant = grants.iter().find(same).ok_or(BadGrant::Forged)?;
        if now < grant.expires { Ok(()) } else { Err(BadGrant::Expired) }
    }

    /// Whether there is such a blob.
    pub(crate) fn has_blob(&self, container: &str, name: &str) -> bool {
        self.containers.get(container).is_some_and(|container| container.blobs.contains_key(name))
    }

    /// Keeps a blob; one of the same name is replaced. The caller has checked the grant.
    pub(crate) fn put_blob(&mut self, container: &str, name: &str, content: Content) {
        if let Some(container) = self.containers.get_mut(container) {
            container.blocks.remove(name);
            container.blobs.insert(name.to_owned(), content);
            container.changed();
        }
    }

    /// Keeps a block until a block list names it. False when its id is not as long as those of the other blocks
    /// (Azure: Put Block).
    pub(crate) fn put_block(&mut self, container: &str, name: &str, block: &str, content: Content) -> bool {
        let Some(container) = self.containers.get_mut(container) else { return true };
        let blocks = container.blocks.entry(name.to_owned()).or_default();
        if blocks.keys().any(|other| other.len() != block.len()) {
            return false;
        }
        blocks.insert(block.to_owned(), content);
        true
    }

    /// Makes a blob of the named blocks; false when one of them is not there.
    pub(crate) fn commit_blocks(&mut self, container: &str, name: &str, wanted: &[String]) -> bool {
        let Some(container) = self.containers.get_mut(container) else { return false };
        let blocks = container.blocks.get(name);
        let pieces: Option<Vec<Content>> =
            wanted.iter().map(|block| blocks.and_then(|blocks| blocks.get(block)).cloned()).collect();
        let Some(pieces) = pieces else { return false };
        container.blocks.remove(name);
        container.blobs.insert(name.to_owned(), Content::Pieces(pieces));
        container.changed();
        true
    }

    /// The verification that a `start` needs, to be run before it. `None` when `start` would be refused anyway.
    pub(crate) fn verification(&mut self, tenant: &str, id: &str, now: Timestamp) -> Option<Verification> {
        let id = self.ready(tenant, id, now, NOT_READY).ok()?;
        let rules = self.verification_rules();
        let container = self.containers.entry(id.clone()).or_default();
        container.verifying = true;
        Some(Verification { id, changes: container.changes, files: container.blobs.clone(), rules })
    }

    /// Remembers what a verification found, for the `start` that follows.
    pub(crate) fn keep_verified(&mut self, verified: Verified) {
        if let Some(container) = self.containers.get_mut(&verified.id) {
            container.verifying = false;
            container.verified = Some((verified.changes, verified.messages));
        }
    }

    /// Verifies what was uploaded and begins a run unless there are errors (Graph docs:
    /// educationSynchronizationProfile: start). Files stay until a start is accepted, so that after an error only the
    /// wrong ones need another upload (decided).
    pub(crate) fn start(&mut self, tenant: &str, id: &str, now: Timestamp) -> Result<Vec<Message>, Refused> {
        let id = self.ready(tenant, id, now, NOT_READY)?;
        let rules = self.verification_rules();
        let container = self.containers.entry(id.clone()).or_default();
        let known = container.verified.take().filter(|(changes, _)| *changes == container.changes);
        let messages = known.map_or_else(|| verify::run(&container.blobs, &rules), |(_, messages)| messages);
        if messages.iter().any(|message| message.kind == MessageKind::Error) {
            return Ok(messages);
        }
        container.blobs.clear();
        container.blocks.clear();
        container.changed();
        container.busy_since = Some(now);
        let times = self.times();
        let name = self.changeable(tenant, &id, now)?.draft.display_name.clone();
        let plan = self.plan(&name);
        self.changeable(tenant, &id, now)?.sync.begin(now, plan, now, times.sync);
        Ok(messages)
    }

    /// The id of a CSV profile that is provisioned and not busy with an earlier `start`.
    fn ready(
        &mut self,
        tenant: &str,
        id: &str,
        now: Timestamp,
        otherwise: &'static str,
    ) -> Result<String, Refused> {
        let profile = self.changeable(tenant, id, now)?.clone();
        let is_csv = matches!(profile.draft.provider, DataProvider::Csv { .. });
        if !is_csv || !self.is_provisioned(&profile, now) {
            return Err(Refused::invalid(otherwise));
        }
        let container = self.containers.get(&profile.id);
        let processing = self.settings.profiles.processing_time;
        let is_busy = |container: &Container| {
            container.verifying
                || container.busy_since.is_some_and(|since| !has_passed(since, processing, now))
        };
        if container.is_some_and(is_busy) {
            return Err(Refused::Conflict(BUSY));
        }
        Ok(profile.id)
    }

    fn verification_rules(&self) -> verify::Rules {
        let settings = &self.settings.profiles;
        verify::Rules { any_case: settings.any_file_name_case, max_rows: settings.max_csv_rows }
    }

    /// Forgets uploads whose profile is gone.
    pub(super) fn drop_orphans(&mut self) {
        let tenants = &self.tenants;
        self.containers.retain(|id, _| tenants.values().flatten().any(|profile| &profile.id == id));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Generation;
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn nothing_else_begins_while_files_are_verified() {
        let settings = Settings { provisioning_time: std::time::Duration::ZERO, ..Settings::default() };
        let (tenant, now) = (settings.tenant.clone(), Timestamp::UNIX_EPOCH);
        let mut model = Model::new(&settings);
        let body = json!({
            "displayName": "P",
            "dataProvider": { "@odata.type": "#microsoft.graph.educationCsvDataProvider" },
            "identitySynchronizationConfiguration": {
                "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration", "userDomains": []
            }
        });
        let id = model.create(&tenant, &body, Generation::Beta, now).unwrap().profile.id;
        let verification = model.verification(&tenant, &id, now).unwrap();
        assert!(model.verification(&tenant, &id, now).is_none());
        assert_eq!(model.start(&tenant, &id, now), Err(Refused::Conflict(BUSY)));
        assert_eq!(model.grant_upload(&tenant, &id, now).err(), Some(Refused::Conflict(BUSY)));
        model.keep_verified(verification.run());
        assert_eq!(model.start(&tenant, &id, now).unwrap().len(), 3, "what was found counts");
        assert!(model.grant_upload(&tenant, &id, now).is_ok(), "an error leaves nothing to wait for");
    }
}
