//! Conditions of a profile, and the events that their changes deserve.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::conditions::{
    DRIFTED, DUPLICATE_PROFILE, RECONCILING, Reason, STALLED, Statement, set_ready, set_while_true,
};
use crate::api::status::EducationSyncProfileStatus;
use crate::reconcile::cluster::{EventKind, Notice};
use crate::reconcile::decide::{Drift, Notices, Outlook, Standing};

/// Sets Ready, Reconciling and Stalled, and returns the event that the change deserves.
pub(super) fn conditions(
    status: &mut EducationSyncProfileStatus,
    standing: &Standing,
    generation: i64,
    now: Timestamp,
) -> Vec<Notice> {
    let (ready, beside) = match standing {
        Standing::Silent => return Vec::new(),
        Standing::Ready(reason, message) => (statement(true, *reason, message), None),
        Standing::Waiting(reason, message) => (statement(false, *reason, message), Some(RECONCILING)),
        Standing::Stalled(reason, message) => (statement(false, *reason, message), Some(STALLED)),
    };
    status.observed_generation = Some(generation);
    let is_news = set_ready(&mut status.conditions, &ready, beside, generation, now);
    if is_news { event(standing).into_iter().collect() } else { Vec::new() }
}

/// What a person should hear of; ordinary progress has its own events.
fn event(standing: &Standing) -> Option<Notice> {
    match standing {
        Standing::Ready(reason, message) => Some(normal(reason.as_str(), "Follow", message.clone())),
        Standing::Stalled(reason, message) => Some(warning(reason.as_str(), "Reconcile", message.clone())),
        Standing::Waiting(reason, message) => match reason {
            Reason::CreateUnresolved
            | Reason::UpstreamUnavailable
            | Reason::UpstreamEmpty
            | Reason::Throttled => Some(warning(reason.as_str(), "Reconcile", message.clone())),
            _ => None,
        },
        Standing::Silent => None,
    }
}

pub(super) fn further_conditions(
    status: &mut EducationSyncProfileStatus,
    notices: &Notices,
    generation: i64,
    now: Timestamp,
) -> Vec<Notice> {
    let mut events = Vec::new();
    if let Some(drift) = &notices.drift {
        let drifted = (!drift.fields.is_empty()).then(|| drifted(drift));
        events.extend(set_further(&mut status.conditions, DRIFTED, drifted.as_ref(), generation, now));
    }
    if let Some(ids) = &notices.duplicates {
        let duplicate = (!ids.is_empty()).then(|| {
            let message = format!(
                "Microsoft Graph has further profiles with this displayName that no resource owns: {}. Delete them in School Data Sync if they are not wanted.",
                ids.join(", ")
            );
            statement(true, Reason::SameName, &message)
        });
        events.extend(set_further(
            &mut status.conditions,
            DUPLICATE_PROFILE,
            duplicate.as_ref(),
            generation,
            now,
        ));
    }
    events
}

fn drifted(drift: &Drift) -> Statement {
    let fields = drift.fields.join(", ");
    let (reason, message) = match drift.outlook {
        Outlook::Corrected => (
            Reason::Differs,
            format!(
                "The profile in Microsoft Graph differs from the manifest in {fields}; edusync corrects it."
            ),
        ),
        Outlook::Observed => (
            Reason::Differs,
            format!(
                "The profile in Microsoft Graph differs from the manifest in {fields}. edusync would correct it, but spec.managementPolicy is Observe."
            ),
        ),
        Outlook::NotAccepted => (
            Reason::NotAccepted,
            format!(
                "Microsoft Graph accepted the manifest's {fields} twice, and the profile still has other values. Take over in the manifest what the service makes of them, or change them in School Data Sync; nothing more is sent before the manifest changes."
            ),
        ),
    };
    statement(true, reason, &message)
}

/// Sets a condition that is present only while it is true. An event tells of what is new in it.
pub(in crate::reconcile) fn set_further(
    conditions: &mut Vec<Condition>,
    kind: &'static str,
    statement: Option<&Statement>,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    let before = conditions.iter().find(|condition| condition.type_ == kind).map(|c| c.message.clone());
    let event = statement
        .filter(|statement| before.as_ref() != Some(&statement.message))
        .map(|statement| warning(kind, "Follow", statement.message.clone()));
    set_while_true(conditions, kind, statement, generation, now);
    event
}

pub(in crate::reconcile) fn statement(holds: bool, reason: Reason, message: &str) -> Statement {
    Statement { holds, reason, message: message.to_owned() }
}

pub(super) fn normal(reason: &str, action: &'static str, note: String) -> Notice {
    Notice { kind: EventKind::Normal, reason: reason.to_owned(), action, note }
}

pub(in crate::reconcile) fn warning(reason: &str, action: &'static str, note: String) -> Notice {
    Notice { kind: EventKind::Warning, reason: reason.to_owned(), action, note }
}
