//! What happened into status, conditions and events. Pure: the time is an argument.
//!
//! Nothing that Graph wrote in free text comes through here.

mod conditions;
mod create;
mod life;
mod running;

use jiff::Timestamp;

use conditions::{conditions, further_conditions, normal};
pub(super) use conditions::{set_further, statement, warning};
pub use create::{created, found, gave_up, intent, not_sent};
pub use life::{adopted, updated, vanished};
pub use running::{
    after_reset, after_start, answer, counted, has_room_for, not_run, not_triggered, paused, resumed,
};

use super::cluster::{Key, Notice};
use super::decide::{Farewell, HOW_TO_LET_GO, Notices, Standing, Verdict, following, refusal_words};
use super::observation::{ConnectionFacts, ConnectionProblem, Observation, SourceSecret};
use crate::api::EducationSyncProfile;
use crate::api::conditions::{Reason, whole_seconds};
use crate::api::status::{
    CreationAttempt, EducationSyncProfileStatus, HandledTriggers, ProfileState, Refusal,
};
use crate::graph::GraphError;
use crate::graph::name::NameKey;
use crate::graph::wire::{applied_fields, wanted};

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
#[derive(Clone, Debug)]
pub enum Asked {
    /// The create of this attempt.
    Create(Box<CreationAttempt>),
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
    // Whoever asked for a further try is answered when it was made: something has to pass, or be mended, first.
    let is_untried = !matches!(standing, Standing::Ready(..)) && o.is_to_be_tried_again();
    if let Some(request) = o.request().filter(|_| !is_untried) {
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

/// Graph has refused a create, an update or a delete.
#[must_use]
pub fn refused(
    latest: &EducationSyncProfile,
    decided: &Decided,
    asked: &Asked,
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

/// What somebody asked to try was tried, and it is not known what came of it.
#[must_use]
pub fn tried(latest: &EducationSyncProfile, decided: &Decided, error: &GraphError) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    decided.answer(&mut status);
    let told = decided.request.as_ref().map(|_| {
        let note = format!(
            "It was tried, and it is not known what came of it: {error}. If nothing has changed by the next list, ask once more."
        );
        warning("OutcomeUnknown", "Update", note)
    });
    Report { status, notices: told.into_iter().collect() }
}

/// Graph has been asked to delete the profile.
#[must_use]
pub fn delete_sent(latest: &EducationSyncProfile, decided: &Decided, id: &str, now: Timestamp) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    status.state = Some(ProfileState::Deleting);
    status.refusal = None;
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
