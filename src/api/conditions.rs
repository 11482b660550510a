//! Conditions by the rules of kstatus: their types, their reasons, and how one is set.
//!
//! Pure: the time is an argument. Which condition a resource deserves is decided in
//! [`crate::reconcile`], not here.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The profile (or the connection) is as it should be.
pub const READY: &str = "Ready";
/// The operator is at work on it. Present only while True.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will change until a person acts. Present only while True.
pub const STALLED: &str = "Stalled";
/// The profile in Graph differs from the manifest. Present only while True.
pub const DRIFTED: &str = "Drifted";
/// Another, unclaimed profile of the tenant has the same name. Present only while True.
pub const DUPLICATE_PROFILE: &str = "DuplicateProfile";

/// The last synchronization succeeded.
pub const SYNCHRONIZED: &str = "Synchronized";
/// The connection's credentials may create, change and delete profiles. Present once they were used for it.
pub const WRITABLE: &str = "Writable";
/// The profile, or the certificate of a connection, ends before long. Present only while True.
pub const EXPIRING_SOON: &str = "ExpiringSoon";

/// Why a condition is what it is. Every reason has its paragraph in `docs/troubleshooting.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Graph has the profile and is setting it up.
    Provisioning,
    /// The profile is set up.
    Provisioned,
    /// Graph could not set the profile up.
    ProvisioningFailed,
    /// The attempt to create the profile has been recorded and is about to be sent.
    Creating,
    /// An attempt to create had no clear answer; it is being resolved by looking at Graph.
    CreateUnresolved,
    /// Two or more profiles could be the one that was created.
    AmbiguousCreate,
    /// A profile of that name is there already and belongs to no resource.
    AlreadyExists,
    /// Another resource has that name or that profile.
    AlreadyClaimed,
    /// A profile of that name is still being deleted in Graph.
    NameBeingDeleted,
    /// Graph refused the request.
    Rejected,
    /// Graph did not permit the request.
    Forbidden,
    /// Graph did not accept the credentials.
    Unauthorized,
    /// The connection does not exist, or may not be used from this namespace: who may not use it does not
    /// learn which of the two it is.
    ConnectionNotFound,
    /// The connection leads to another endpoint or tenant than the profile is bound to.
    ConnectionChanged,
    /// A Secret or a key of it does not exist.
    CredentialsMissing,
    /// The token service refused the credentials, or they cannot be used.
    CredentialsInvalid,
    /// The operator is not allowed to talk to that host.
    HostNotAllowed,
    /// The connection is being deleted, and profiles need it.
    InUse,
    /// The connection's namespace may not use the operator's own identity.
    NamespaceNotAllowed,
    /// Graph or the token service cannot be reached, or answers with errors.
    UpstreamUnavailable,
    /// The API does not exist any more.
    UpstreamRetired,
    /// Graph's list is suddenly without profiles that are known to be alive.
    UpstreamEmpty,
    /// Graph asked to wait.
    Throttled,
    /// The status was written for another object.
    StatusNotTrusted,
    /// The profile is gone from Graph.
    ProfileNotFound,
    /// Nothing can be taken over as spec.adopt asks.
    AdoptionFailed,
    /// The resource only observes, and there is no profile.
    WouldCreate,
    /// Graph accepted updates that changed nothing.
    NotAccepted,
    /// The last synchronization is done.
    SyncSucceeded,
    /// A synchronization is under way.
    SyncRunning,
    /// The synchronization is paused.
    SyncPaused,
    /// The last synchronization failed.
    SyncFailed,
    /// The service stopped, since the data looks wrong.
    ValidationError,
    /// The service stopped because of too many errors.
    Quarantined,
    /// The last day of the profile, or of the certificate, is near.
    ExpirationNear,
    /// Graph is deleting the profile.
    Deleting,
    /// Graph could not delete the profile.
    DeletionFailed,
    /// Very many deletions came at once.
    DeletionHeld,
    /// Graph answers with the connection's credentials.
    Connected,
    /// Graph lets the connection's credentials change profiles.
    ChangesPermitted,
    /// The manifest and the profile differ.
    Differs,
    /// Another profile has the same name.
    SameName,
}

impl Reason {
    /// The word that stands in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "Provisioning",
            Self::Provisioned => "Provisioned",
            Self::ProvisioningFailed => "ProvisioningFailed",
            Self::Creating => "Creating",
            Self::CreateUnresolved => "CreateUnresolved",
            Self::AmbiguousCreate => "AmbiguousCreate",
            Self::AlreadyExists => "AlreadyExists",
            Self::AlreadyClaimed => "AlreadyClaimed",
            Self::NameBeingDeleted => "NameBeingDeleted",
            Self::Rejected => "Rejected",
            Self::Forbidden => "Forbidden",
            Self::Unauthorized => "Unauthorized",
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::ConnectionChanged => "ConnectionChanged",
            Self::CredentialsMissing => "CredentialsMissing",
            Self::CredentialsInvalid => "CredentialsInvalid",
            Self::HostNotAllowed => "HostNotAllowed",
            Self::InUse => "InUse",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
            Self::UpstreamUnavailable => "UpstreamUnavailable",
            Self::UpstreamRetired => "UpstreamRetired",
            Self::UpstreamEmpty => "UpstreamEmpty",
            Self::Throttled => "Throttled",
            Self::StatusNotTrusted => "StatusNotTrusted",
            Self::ProfileNotFound => "ProfileNotFound",
            Self::AdoptionFailed => "AdoptionFailed",
            Self::WouldCreate => "WouldCreate",
            Self::NotAccepted => "NotAccepted",
            Self::SyncSucceeded => "SyncSucceeded",
            Self::SyncRunning => "SyncRunning",
            Self::SyncPaused => "SyncPaused",
            Self::SyncFailed => "SyncFailed",
            Self::ValidationError => "ValidationError",
            Self::Quarantined => "Quarantined",
            Self::ExpirationNear => "ExpirationNear",
            Self::Deleting => "Deleting",
            Self::DeletionFailed => "DeletionFailed",
            Self::DeletionHeld => "DeletionHeld",
            Self::Connected => "Connected",
            Self::ChangesPermitted => "ChangesPermitted",
            Self::Differs => "Differs",
            Self::SameName => "SameName",
        }
    }
}

/// What a condition says: its truth, its reason, and a sentence for the person who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Is it so?
    pub holds: bool,
    /// Why.
    pub reason: Reason,
    /// What happened, and what to do.
    pub message: String,
}

/// Cuts a time to whole seconds, since the API server stores no finer time in these fields: a finer
/// one would never equal what is read back, and the status would be written for ever.
#[must_use]
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Sets a condition, and keeps its transition time unless its status changes.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    statement: &Statement,
    generation: i64,
    now: Timestamp,
) {
    let status = if statement.holds { "True" } else { "False" };
    let mut new = Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: statement.reason.as_str().to_owned(),
        message: statement.message.clone(),
        observed_generation: Some(generation),
        last_transition_time: whole_seconds(now),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        None => conditions.push(new),
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
    }
}

/// Sets Ready, and in the same words what stands beside it: Reconciling, Stalled, or neither. True: the
/// reason is a new one.
pub fn set_ready(
    conditions: &mut Vec<Condition>,
    ready: &Statement,
    beside: Option<&str>,
    generation: i64,
    now: Timestamp,
) -> bool {
    let before = conditions.iter().find(|condition| condition.type_ == READY);
    let is_news = before.is_none_or(|before| before.reason != ready.reason.as_str());
    set(conditions, READY, ready, generation, now);
    let held = Statement { holds: true, ..ready.clone() };
    for kind in [RECONCILING, STALLED] {
        set_while_true(conditions, kind, (beside == Some(kind)).then_some(&held), generation, now);
    }
    is_news
}

/// Sets a condition that is present only while it is true.
pub fn set_while_true(
    conditions: &mut Vec<Condition>,
    kind: &str,
    statement: Option<&Statement>,
    generation: i64,
    now: Timestamp,
) {
    match statement {
        Some(statement) => set(conditions, kind, statement, generation, now),
        None => conditions.retain(|condition| condition.type_ != kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn statement(holds: bool, message: &str) -> Statement {
        Statement { holds, reason: Reason::Provisioning, message: message.to_owned() }
    }

    #[test]
    fn the_transition_time_moves_with_the_status_alone() {
        let mut conditions = Vec::new();
        set(&mut conditions, READY, &statement(false, "a"), 1, at(10));
        set(&mut conditions, READY, &statement(false, "b"), 2, at(20));
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!(conditions[0].message, "b");
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, READY, &statement(true, "b"), 2, at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_condition_that_no_longer_holds_is_taken_away() {
        let mut conditions = Vec::new();
        set_while_true(&mut conditions, STALLED, Some(&statement(true, "a")), 1, at(10));
        assert_eq!(conditions.len(), 1);
        set_while_true(&mut conditions, STALLED, None, 1, at(20));
        assert!(conditions.is_empty());
    }

    #[test]
    fn times_are_whole_seconds() {
        let time = Timestamp::from_millisecond(1_500).unwrap();
        assert_eq!(whole_seconds(time).0, at(1));
    }
}
