//! What happened into status, conditions and events. Pure: the time is an argument.
//!
//! Nothing that Graph wrote in free text comes through here.

mod conditions;
mod life;
mod running;

use jiff::Timestamp;

use conditions::{conditions, further_conditions, normal};
pub(super) use conditions::{set_further, statement, warning};
pub use life::{adopted, updated, vanished};
pub use running::{after_reset, after_start, answer, counted, has_room_for, not_triggered, paused, resumed};

use super::cluster::{Key, Notice};
use super::decide::{
    Farewell, HOW_TO_LET_GO, Notices, Standing, Verdict, candidates, failure_standing, following,
    refusal_words,
};
use super::observation::{ConnectionFacts, ConnectionProblem, Observation, SourceSecret};
use crate::api::EducationSyncProfile;
use crate::api::conditions::{Reason, whole_seconds};
use crate::api::status::{
    Binding, CreationAttempt, EducationSyncProfileStatus, HandledTriggers, ProfileState, Refusal,
};
use crate::graph::name::NameKey;
use crate::graph::wire::{applied_fields, wanted};
use crate::graph::{GraphError, RemoteProfile};

/// A status to be written, and the events that go with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The whole status.
    pub status: EducationSyncProfileStatus,
    /// Events, in order.
    pub notices: Vec<Notice>,
}

/// What a fact was decided by: the resource may have changed since.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    generation: i64,
    request: Option<String>,
    display_name: String,
    applied_fields: Vec<String>,
    secret_version: Option<String>,
    triggers: HandledTriggers,
}

/// What Graph was asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// The create of this attempt.
    Create(&'a CreationAttempt),
    /// An update.
    Update,
    /// A delete.
    Delete,
}

impl Decided {
    /// By this observation.
    #[must_use]
    pub fn by(o: &Observation) -> Self {
        let spec = &o.resource.spec;
        Self {
            generation: o.generation(),
            request: o.request().map(str::to_owned),
            display_name: spec.display_name.clone(),
            applied_fields: applied_fields(&wanted(spec)),
            secret_version: o.source_secret.version().map(str::to_owned),
            triggers: HandledTriggers {
                reset: spec.reset_trigger().map(str::to_owned),
                start: spec.start_trigger().map(str::to_owned),
            },
        }
    }

    /// The request that led here has been answered, whatever came of it.
    fn answer(&self, status: &mut EducationSyncProfileStatus) {
        if self.request.is_some() {
            status.last_handled_reconcile_at.clone_from(&self.request);
        }
    }
}

/// Is this attempt still the one that the status speaks of? A successor may have begun another.
fn is_open(status: &EducationSyncProfileStatus, attempt: &CreationAttempt) -> bool {
    status.creation.as_ref().is_some_and(|open| open.attempt == attempt.attempt)
}

/// The status while nothing is done. None: nothing to say.
#[must_use]
pub fn standing(o: &Observation, standing: &Standing, notices: &Notices) -> Option<Report> {
    if *standing == Standing::Silent {
        return None;
    }
    let standing = &discreet(o, standing);
    let mut status = o.status().clone();
    if let Some(state) = notices.state {
        status.state = state;
        keep_name(o, &mut status);
    }
    if let Some(day) = &notices.expiration_date {
        status.expiration_date.clone_from(day);
    }
    if notices.drift.as_ref().is_some_and(|drift| drift.fields.is_empty())
        && !o.resource.spec.is_observed_only()
    {
        // The profile is as the manifest says: whatever is taken away from now on is to be cleared.
        status.applied_fields = applied_fields(&wanted(&o.resource.spec));
        // While Graph sets the profile up its values may still change; and one write tells both.
        if !matches!(standing, Standing::Waiting(..)) {
            status.unaccepted = None;
        }
        let is_secret_known =
            !matches!(o.source_secret, SourceSecret::Missing(_) | SourceSecret::Unreadable(_));
        if matches!(standing, Standing::Ready(..)) && is_secret_known {
            // What was refused is not wanted any more; what will be is another update.
            status.refusal = None;
        }
    }
    if let Some(request) = o.request() {
        status.last_handled_reconcile_at = Some(request.to_owned());
    }
    status.refusal = status.refusal.filter(|refusal| refusal.generation == o.generation());
    let mut events = conditions(&mut status, standing, o.generation(), o.now);
    events.extend(further_conditions(&mut status, notices, o.generation(), o.now));
    if let Some(sync) = &notices.sync {
        events.extend(running::show(&mut status, sync.as_ref(), o.generation(), o.now));
    }
    events.extend(running::expiry(&mut status, o.generation(), o.now));
    Some(Report { status, notices: events })
}

/// What is wrong with the credentials of another namespace's connection is for those who keep it.
fn discreet(o: &Observation, standing: &Standing) -> Standing {
    let connection = Key::of_connection(&o.resource);
    let is_own = o.resource.metadata.namespace.as_deref() == Some(connection.namespace.as_str());
    match standing {
        Standing::Stalled(Reason::CredentialsInvalid, _) if !is_own => {
            let sentence = ConnectionProblem::outside_sentence(&connection, false);
            Standing::Stalled(Reason::CredentialsInvalid, sentence)
        }
        standing => standing.clone(),
    }
}

/// A rename whose answer was lost has come through: the old name is free.
fn keep_name(o: &Observation, status: &mut EducationSyncProfileStatus) {
    let wanted = NameKey::of(&o.resource.spec.display_name);
    let has_it = o.bound.as_ref().is_some_and(|profile| profile.name == wanted);
    if let Some(binding) = &mut status.binding
        && has_it
        && NameKey::of(&binding.display_name) != wanted
    {
        binding.display_name.clone_from(&o.resource.spec.display_name);
    }
}

/// What is shown, and in the same write a record of what is about to be done.
#[must_use]
pub fn shown_and(
    o: &Observation,
    verdict: &Verdict,
    record: impl FnOnce(&mut EducationSyncProfileStatus),
) -> Report {
    let shown = standing(o, &verdict.standing, &verdict.notices);
    let mut report = shown.unwrap_or_else(|| Report { status: o.status().clone(), notices: Vec::new() });
    record(&mut report.status);
    report
}

/// The status that records an attempt before it is sent.
#[must_use]
pub fn intent(o: &Observation, attempt: &CreationAttempt) -> EducationSyncProfileStatus {
    let mut status = o.status().clone();
    status.creation = Some(attempt.clone());
    status.refusal = None;
    if let Some(request) = o.request() {
        status.last_handled_reconcile_at = Some(request.to_owned());
    }
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
    let mut report =
        bound(&o.resource, &Decided::by(o), attempt, profile, normal("Recovered", "Create", note), o.now);
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

/// Graph has refused a create, an update or a delete.
#[must_use]
pub fn refused(
    latest: &EducationSyncProfile,
    decided: &Decided,
    asked: Asked<'_>,
    connection: &ConnectionFacts,
    error: &GraphError,
    now: Timestamp,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    let generation = decided.generation;
    decided.answer(&mut status);
    if matches!(asked, Asked::Create(attempt) if !is_open(&status, attempt)) {
        return Report { status, notices: Vec::new() };
    }
    let (code, ids) = match error {
        GraphError::Refused { code, ids, .. } => (code.clone(), ids.clone()),
        _ => {
            return Report { status, notices: Vec::new() };
        }
    };
    let http_status = error.status().unwrap_or_default();
    if matches!(asked, Asked::Create(_)) {
        status.creation = None;
    }
    let deleting = matches!(asked, Asked::Delete);
    let (reason, mut message) = refusal_words(http_status, code.as_deref(), connection, deleting);
    if deleting {
        message.push_str(HOW_TO_LET_GO);
    }
    status.refusal = Some(Box::new(Refusal {
        generation,
        connection: Observation::refusal_key(connection, decided.secret_version.as_deref()),
        status: http_status,
        code,
        request_id: ids.request_id,
        client_request_id: ids.client_request_id,
        time: whole_seconds(now),
    }));
    let notices = conditions(&mut status, &Standing::Stalled(reason, message), generation, now);
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

/// Graph has been asked to delete the profile.
#[must_use]
pub fn delete_sent(latest: &EducationSyncProfile, decided: &Decided, id: &str, now: Timestamp) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    status.state = Some(ProfileState::Deleting);
    let generation = decided.generation;
    decided.answer(&mut status);
    let mut notices =
        vec![normal("Deleting", "Delete", format!("Asked Microsoft Graph to delete the profile {id}."))];
    notices.extend(conditions(&mut status, &following(ProfileState::Deleting), generation, now));
    Report { status, notices }
}

/// The event with which a resource goes.
#[must_use]
pub fn farewell(o: &Observation, farewell: Farewell) -> Option<Notice> {
    let id = o
        .status()
        .binding
        .as_ref()
        .map_or("that may have been created", |binding| binding.profile_id.as_str());
    match farewell {
        Farewell::NeverCreated => None,
        Farewell::Deleted => {
            Some(normal("Deleted", "Delete", format!("The profile {id} is gone from Microsoft Graph.")))
        }
        Farewell::Retained => {
            let note = format!("The profile {id} stays in Microsoft Graph, as spec.deletionPolicy says.");
            Some(normal("Retained", "Delete", note))
        }
        Farewell::NotOurs => {
            let note = format!(
                "The profile {id} is not known to be this resource's own, so it stays in Microsoft Graph."
            );
            Some(normal("Retained", "Delete", note))
        }
    }
}

#[cfg(test)]
mod tests;
