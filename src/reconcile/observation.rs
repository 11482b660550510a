//! Everything that a decision looks at, as values. No I/O, no client, no clock.

mod memory;
mod problem;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::claims::{NameClaim, Owner, Tenant};
use super::cluster::SecretValue;
use super::trust::Trust;
use crate::api::connection::Dialect;
use crate::api::lifecycle::DeletionPolicy;
use crate::api::status::{Binding, CreationAttempt, EducationSyncProfileStatus, ProfileState};
use crate::api::{CONFIRM_DELETION, CONFIRM_GONE, EducationSyncProfile, FINALIZER, REQUESTED_AT};
use crate::clock::passed;
use crate::graph::name::NameKey;
use crate::graph::{GraphError, RemoteProfile};

pub use memory::{LookForErrors, Memory, Retry};
pub use problem::ConnectionProblem;

/// So long a list counts as fresh after its end: time enough for a burst, and none for a person.
const FRESH: Duration = Duration::from_secs(15);

/// Longest request that is answered; a longer one is cut.
const LONGEST_REQUEST: usize = 256;

/// How long things take; all of it can be set by flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Deadline of a call to Graph.
    pub request_timeout: Duration,
    /// How long Graph may take to show what it has accepted.
    pub settle_window: Duration,
    /// Life of the lease: so long a process that was the leader may believe that it still is.
    pub lease_duration: Duration,
    /// Time between two proofs that a profile is gone.
    pub probe_interval: Duration,
    /// So many profiles may be deleted within ten minutes; more are held until somebody confirms.
    pub most_deletions: usize,
    /// A refusal that a person can lift in Graph alone (consent, licence) is tried again so seldom.
    pub refusal_retry: Duration,
}

/// One look at the world.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The time of the look.
    pub now: Timestamp,
    /// Time spans.
    pub settings: Settings,
    /// The resource. What is not to be trusted of its status is left out where spec.adopt asks for a new
    /// beginning.
    pub resource: Arc<EducationSyncProfile>,
    /// May its status be believed?
    pub trust: Trust,
    /// The connection that it names, or why there is none.
    pub connection: Result<ConnectionFacts, ConnectionProblem>,
    /// Does our finalizer hold the connection, or is it being deleted already?
    pub connection_is_held: bool,
    /// Is the connection being deleted? To such a one nothing new can be added.
    pub connection_is_going: bool,
    /// What is known of the list.
    pub list: ListFacts,
    /// Our claim to the name in the spec, while no profile is bound.
    pub name: Option<NameClaim>,
    /// Profiles in the list that have one of our names and are not bound to us.
    pub namesakes: Vec<Namesake>,
    /// The bound profile, if the list has it.
    pub bound: Option<RemoteProfile>,
    /// The other resource that has the profile in our status.
    pub bound_to_other: Option<Owner>,
    /// The profile that spec.adopt names by its id, if the list has it.
    pub adoptee: Option<Namesake>,
    /// The client secret of the source.
    pub source_secret: SourceSecret,
    /// How many profiles are to be deleted, or were within the last ten minutes.
    pub deletions: usize,
    /// What this process remembers.
    pub memory: Memory,
}

/// The client secret of the source of a profile. It cannot be printed.
#[derive(Clone, Debug, Default)]
pub enum SourceSecret {
    /// The source has none, or it is not needed now.
    #[default]
    NotNeeded,
    /// Here it is.
    Here(SecretValue),
    /// It cannot be had. The sentence is for the person who must act.
    Missing(String),
    /// Kubernetes does not answer as it should; it may in a moment.
    Unreadable(String),
}

impl SourceSecret {
    /// The secret, if it is here.
    #[must_use]
    pub const fn value(&self) -> Option<&SecretString> {
        match self {
            Self::Here(secret) => Some(&secret.value),
            Self::NotNeeded | Self::Missing(_) | Self::Unreadable(_) => None,
        }
    }

    /// The version of its Secret, if it is here.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Here(secret) => Some(&secret.version),
            Self::NotNeeded | Self::Missing(_) | Self::Unreadable(_) => None,
        }
    }
}

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Endpoint and tenant.
    pub tenant: Tenant,
    /// Form of the API.
    pub dialect: Dialect,
    /// Changes with the connection and with its Secrets.
    pub fingerprint: String,
    /// Has it a delegated credential?
    pub delegated: bool,
}

/// What is known of the list of the tenant's profiles.
#[derive(Clone, Debug, Default)]
pub struct ListFacts {
    /// When the newest complete list began.
    pub began: Option<Timestamp>,
    /// When it was complete.
    pub ended: Option<Timestamp>,
    /// Why the newest attempt gave no list.
    pub failure: Option<GraphError>,
    /// Profiles of any resource that are known to be alive.
    pub alive: usize,
    /// How many of them the list does not have.
    pub missing: usize,
    /// Is the list empty?
    pub empty: bool,
    /// Has the service lost its list, as far as can be told? It shows nothing of what is known to be alive, so
    /// that nothing that it says proves that a profile is gone.
    pub lost: bool,
}

/// A profile with one of our names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// The profile.
    pub profile: RemoteProfile,
    /// The resource that it is bound to.
    pub claimed_by: Option<Owner>,
}

impl Observation {
    /// The status, or an empty one.
    #[must_use]
    pub fn status(&self) -> &EducationSyncProfileStatus {
        static NONE: LazyLock<EducationSyncProfileStatus> =
            LazyLock::new(EducationSyncProfileStatus::default);
        self.resource.status.as_ref().unwrap_or(&NONE)
    }

    /// The resource's uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.resource.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The resource's generation.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.resource.metadata.generation.unwrap_or_default()
    }

    /// Is the resource being deleted?
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.resource.metadata.deletion_timestamp.is_some()
    }

    /// Does our finalizer hold the resource?
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        has_finalizer(&self.resource)
    }

    /// A pass that a person asked for and that has not been answered.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        let value = self.resource.metadata.annotations.as_ref()?.get(REQUESTED_AT)?;
        let end = value.char_indices().nth(LONGEST_REQUEST).map_or(value.len(), |(place, _)| place);
        let value = value.get(..end)?;
        (self.status().last_handled_reconcile_at.as_deref() != Some(value)).then_some(value)
    }

    /// Is something to be tried once more that was refused, or that failed and is asked for again?
    #[must_use]
    pub fn is_to_be_tried_again(&self) -> bool {
        let status = self.status();
        let is_refused =
            status.refusal.as_ref().is_some_and(|refusal| refusal.generation == self.generation());
        let has_failed = status.state == Some(ProfileState::ProvisioningFailed)
            && self.request().is_some()
            && !self.is_being_deleted();
        !self.resource.spec.is_observed_only() && (is_refused || has_failed)
    }

    /// Has a person confirmed the deletion, although very many came at once?
    #[must_use]
    pub fn is_deletion_confirmed(&self) -> bool {
        let annotations = self.resource.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(CONFIRM_DELETION)).is_some_and(|value| value == "true")
    }

    /// Has a person confirmed that this profile is gone?
    #[must_use]
    pub fn is_confirmed_gone(&self, id: &str) -> bool {
        is_confirmed_gone(&self.resource, id)
    }

    /// Has a complete list begun at or after `time`?
    #[must_use]
    pub fn list_since(&self, time: Timestamp) -> bool {
        self.list.began.is_some_and(|began| began >= time)
    }

    /// How long it is until then; zero when it is over.
    #[must_use]
    pub fn until(&self, time: Timestamp) -> Duration {
        passed(self.now, time)
    }

    /// Is there a list to create by? It is from the last attempt, and its end is a moment ago at most.
    #[must_use]
    pub fn list_is_fresh(&self) -> bool {
        self.list_is_fresh_at(self.now)
    }

    /// Is it fresh at `now`, when something has taken time since the look?
    #[must_use]
    pub fn list_is_fresh_at(&self, now: Timestamp) -> bool {
        let moment = |ended: Timestamp| ended.saturating_add(FRESH).unwrap_or(ended);
        self.list.failure.is_none() && self.list.ended.is_some_and(|ended| now <= moment(ended))
    }

    /// What a refusal is of, besides the generation: the connection with its Secrets, and the Secret of
    /// the source.
    #[must_use]
    pub fn refusal_key(connection: &ConnectionFacts, source_version: Option<&str>) -> String {
        match source_version {
            Some(version) => format!("{} source {version}", connection.fingerprint),
            None => connection.fingerprint.clone(),
        }
    }

    /// Does the list hold everything that is known to be alive?
    #[must_use]
    pub const fn list_is_whole(&self) -> bool {
        self.list.missing == 0
    }
}

/// Does our finalizer hold this resource?
#[must_use]
pub fn has_finalizer(resource: &EducationSyncProfile) -> bool {
    resource.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Has a person confirmed that this profile of the resource is gone?
#[must_use]
pub fn is_confirmed_gone(resource: &EducationSyncProfile, id: &str) -> bool {
    let annotations = resource.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(CONFIRM_GONE)).is_some_and(|value| value == id)
}

/// Is the profile of this resource to be deleted in Graph?
#[must_use]
pub fn is_to_be_deleted(resource: &EducationSyncProfile) -> bool {
    takes_its_profile_along(resource)
        && resource.status.as_ref().is_some_and(|status| status.binding.is_some())
}

/// Is the resource being deleted, and with it the profile that it has or is found to have?
#[must_use]
pub fn takes_its_profile_along(resource: &EducationSyncProfile) -> bool {
    resource.metadata.deletion_timestamp.is_some()
        && has_finalizer(resource)
        && resource.spec.deletion_policy() == DeletionPolicy::Delete
        && !resource.spec.is_observed_only()
}

/// Was everything in the status written for the object of this uid? Else it was copied or restored.
#[must_use]
pub fn is_own(status: &EducationSyncProfileStatus, uid: &str) -> bool {
    let attempts = status.creation.iter().chain(&status.earlier_creations).map(|attempt| &attempt.uid);
    status.binding.iter().map(|binding| &binding.uid).chain(attempts).all(|other| other == uid)
}

/// The names that a resource keeps taken: of its profile, of the open attempt, and of an earlier one as long
/// as the name is still wanted. One that is not must not keep others waiting for what will hardly come.
#[must_use]
pub fn names_kept(resource: &EducationSyncProfile, tenant: &Tenant) -> BTreeSet<NameKey> {
    let Some(status) = &resource.status else { return BTreeSet::new() };
    let wanted = NameKey::of(&resource.spec.display_name);
    let given_up = names_of(None, &status.earlier_creations, tenant).filter(|name| *name == wanted);
    names_of(status.binding.as_ref(), &status.creation, tenant).chain(given_up).collect()
}

/// The names in a status: of the bound profile, and of every attempt without a known end.
#[must_use]
pub fn names_in(status: &EducationSyncProfileStatus, tenant: &Tenant) -> BTreeSet<NameKey> {
    let attempts = status.creation.iter().chain(&status.earlier_creations);
    names_of(status.binding.as_ref(), attempts, tenant).collect()
}

/// The names of a profile and of attempts, as far as they are in this tenant.
fn names_of<'a>(
    binding: Option<&'a Binding>,
    attempts: impl IntoIterator<Item = &'a CreationAttempt>,
    tenant: &Tenant,
) -> impl Iterator<Item = NameKey> {
    let bound = binding.into_iter().map(|b| (&b.endpoint, &b.tenant_id, &b.display_name));
    let attempted = attempts.into_iter().map(|a| (&a.endpoint, &a.tenant_id, &a.display_name));
    bound
        .chain(attempted)
        .filter(|(endpoint, id, _)| tenant.is(endpoint, id))
        .map(|(_, _, name)| NameKey::of(name))
}

/// The tenants that a status speaks of.
#[must_use]
pub fn tenants_in(status: &EducationSyncProfileStatus) -> Vec<Tenant> {
    let attempts = status.creation.iter().chain(&status.earlier_creations);
    let mut tenants: Vec<Tenant> = attempts
        .map(|attempt| Tenant::new(&attempt.endpoint, &attempt.tenant_id))
        .chain(status.binding.iter().map(|binding| Tenant::new(&binding.endpoint, &binding.tenant_id)))
        .collect();
    tenants.dedup();
    tenants
}

/// May a profile in this state be alive, so that a list without it is suspicious?
#[must_use]
pub const fn is_alive(state: ProfileState) -> bool {
    !matches!(state, ProfileState::Deleting | ProfileState::DeletionFailed)
}
