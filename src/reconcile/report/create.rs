//! Reports of a create: what is recorded before it is sent, and what came of it.

use jiff::Timestamp;

use super::{Decided, Report, conditions, is_open, normal, warning};
use crate::api::EducationSyncProfile;
use crate::api::conditions::Reason;
use crate::api::status::{Binding, CreationAttempt, EducationSyncProfileStatus};
use crate::graph::name::NameKey;
use crate::graph::{GraphError, RemoteProfile};
use crate::reconcile::cluster::Notice;
use crate::reconcile::decide::{Standing, candidates, failure_standing, following};
use crate::reconcile::observation::Observation;

/// The status that records an attempt before it is sent.
#[must_use]
pub fn intent(o: &Observation, attempt: &CreationAttempt) -> EducationSyncProfileStatus {
    let mut status = o.status().clone();
    let decided = Decided::by(o);
    if status.earlier_creations.is_empty() {
        status.applied_fields.clear();
    }
    // Whoever finds what came of it does not know what was sent: the manifest may be another one by then. Of several
    // attempts any may be found, so that each field that one of them sent is kept.
    status.applied_fields.extend(decided.applied_fields.iter().cloned());
    status.applied_fields.sort_unstable();
    status.applied_fields.dedup();
    status.applied_secret_version.clone_from(&decided.secret_version);
    status.handled_triggers = decided.triggers();
    status.creation = Some(attempt.clone());
    status.refusal = None;
    decided.answer(&mut status);
    let message = format!("Creating the profile in Microsoft Graph (client-request-id {}).", attempt.attempt);
    conditions(&mut status, &Standing::Waiting(Reason::Creating, message), o.generation(), o.now);
    status
}

/// Graph has created the profile.
#[must_use]
pub fn created(
    latest: &EducationSyncProfile,
    decided: &Decided,
    attempt: &CreationAttempt,
    profile: &RemoteProfile,
    now: Timestamp,
) -> Report {
    let note = format!(
        "Created the profile {} in tenant {} (client-request-id {}).",
        profile.id, attempt.tenant_id, attempt.attempt
    );
    let other = latest.status.as_ref().and_then(|status| status.binding.as_ref());
    if let Some(other) = other.filter(|other| other.profile_id != profile.id) {
        // A successor was quicker. Its record stands; ours is shown as a profile that nobody owns.
        let note = format!("Created the profile {}, but {} is bound already.", profile.id, other.profile_id);
        let status = latest.status.clone().unwrap_or_default();
        return Report { status, notices: vec![warning("DuplicateProfile", "Create", note)] };
    }
    bound(latest, decided, attempt, profile, normal("Created", "Create", note), now)
}

/// The profile of an attempt without an answer has been found.
#[must_use]
pub fn found(o: &Observation, profile: &RemoteProfile) -> Report {
    let status = o.status();
    let attempts = status.creation.iter().chain(&status.earlier_creations);
    let attempt = attempts
        .clone()
        .find(|attempt| NameKey::of(&attempt.display_name) == profile.name)
        .or_else(|| attempts.clone().next());
    let Some(attempt) = attempt else {
        return Report { status: status.clone(), notices: Vec::new() };
    };
    let note = format!(
        "Found the profile {} in Microsoft Graph: it is the one that was asked for with client-request-id {}, whose answer was lost. Took it over.",
        profile.id, attempt.attempt
    );
    let is_open = is_open(status, attempt);
    let sent = Decided {
        applied_fields: status.applied_fields.clone(),
        // What an earlier attempt sent is not known any more, so that the secret is sent again.
        secret_version: status.applied_secret_version.clone().filter(|_| is_open),
        triggers: status.handled_triggers.clone().unwrap_or_default(),
        ..Decided::by(o)
    };
    let mut report = bound(&o.resource, &sent, attempt, profile, normal("Recovered", "Create", note), o.now);
    let attempts: Vec<&CreationAttempt> = attempts.collect();
    let left = candidates(o, &attempts).into_iter().filter(|id| *id != profile.id);
    report.notices.extend(left.map(|id| {
        // It is the last time that somebody knows of it.
        let note = format!(
            "The profile {id} may be what came of an earlier attempt, under another name, and belongs to no resource. Delete it in School Data Sync, or take it over by a resource of its own (spec.adopt)."
        );
        warning("UnclaimedProfile", "Create", note)
    }));
    report
}

fn bound(
    latest: &EducationSyncProfile,
    decided: &Decided,
    attempt: &CreationAttempt,
    profile: &RemoteProfile,
    notice: Notice,
    now: Timestamp,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    status.binding = Some(Binding {
        uid: attempt.uid.clone(),
        endpoint: attempt.endpoint.clone(),
        tenant_id: attempt.tenant_id.clone(),
        profile_id: profile.id.clone(),
        display_name: attempt.display_name.clone(),
    });
    status.creation = None;
    status.earlier_creations.clear();
    status.refusal = None;
    status.state = Some(profile.state);
    status.applied_fields.clone_from(&decided.applied_fields);
    status.applied_secret_version.clone_from(&decided.secret_version);
    status.unaccepted = None;
    status.paused_by_manifest = None;
    // Values that are there from the beginning ask for nothing.
    status.handled_triggers = decided.triggers();
    let mut notices = vec![notice];
    notices.extend(conditions(&mut status, &following(profile.state), decided.generation, now));
    Report { status, notices }
}

/// Nothing came of the attempt: it is kept in mind, and the next pass begins anew.
#[must_use]
pub fn gave_up(mut status: EducationSyncProfileStatus) -> Report {
    let mut notices = Vec::new();
    if let Some(attempt) = status.creation.take() {
        let note = format!(
            "No profile came of the attempt with client-request-id {}: starting over.",
            attempt.attempt
        );
        notices.push(warning("CreateRepeated", "Create", note));
        status.earlier_creations.push(attempt);
        let surplus = status.earlier_creations.len().saturating_sub(8);
        status.earlier_creations.drain(..surplus);
    }
    Report { status, notices }
}

/// The attempt was not sent, or turned away before Graph acted on it.
#[must_use]
pub fn not_sent(
    latest: &EducationSyncProfile,
    decided: &Decided,
    attempt: &CreationAttempt,
    error: &GraphError,
    now: Timestamp,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    if !is_open(&status, attempt) {
        return Report { status, notices: Vec::new() };
    }
    status.creation = None;
    let notices = conditions(&mut status, &failure_standing(error), decided.generation, now);
    Report { status, notices }
}
