//! Reports of a synchronization: its state, its condition, what was done to it, when it ends.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Decided, Report, conditions, normal, set_further, statement, warning};
use crate::api::EducationSyncProfile;
use crate::api::conditions::{EXPIRING_SOON, Reason, SYNCHRONIZED, Statement, set_while_true, whole_seconds};
use crate::api::status::{EducationSyncProfileStatus, ErrorCount, SyncState, SyncStatus};
use crate::graph::GraphError;
use crate::graph::client::Start;
use crate::graph::sync::{ErrorCounts, ProfileStatus, Severity};
use crate::reconcile::cluster::Notice;
use crate::reconcile::decide::{Standing, Trigger, answer_words, is_under_way};

/// So long before the last day a person is told.
const AHEAD: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A status has room for so many kinds of errors.
const MOST_KINDS: usize = 64;

/// Writes the synchronization into the status.
pub(super) fn show(
    status: &mut EducationSyncProfileStatus,
    sync: Option<&ProfileStatus>,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    status.sync = sync.map(|sync| SyncState {
        status: sync.status,
        last_synchronization: sync.last_synchronization.map(|time| Time(whole_seconds(time).0)),
        error_count: sync.error_count.and_then(|count| i64::try_from(count).ok()),
    });
    if sync.is_none_or(|sync| sync.error_count == Some(0)) {
        status.errors.clear();
    }
    let before = status.conditions.iter().find(|condition| condition.type_ == SYNCHRONIZED);
    let before = before.map(|condition| condition.reason.clone());
    let said = sync.map(|sync| condition(sync.status));
    let event =
        said.as_ref().filter(|said| before.as_deref() != Some(said.reason.as_str())).and_then(|said| {
            match said.reason {
                Reason::SyncFailed | Reason::ValidationError | Reason::Quarantined => {
                    Some(warning(said.reason.as_str(), "Follow", said.message.clone()))
                }
                Reason::SyncSucceeded => Some(normal(said.reason.as_str(), "Follow", said.message.clone())),
                _ => None,
            }
        });
    match &said {
        Some(said) => {
            crate::api::conditions::set(&mut status.conditions, SYNCHRONIZED, said, generation, now);
        }
        None => set_while_true(&mut status.conditions, SYNCHRONIZED, None, generation, now),
    }
    event
}

fn condition(status: SyncStatus) -> Statement {
    let (holds, reason, message) = match status {
        SyncStatus::Success => (true, Reason::SyncSucceeded, "The last synchronization succeeded."),
        SyncStatus::Paused => (false, Reason::SyncPaused, "The synchronization is paused."),
        SyncStatus::Error => (
            false,
            Reason::SyncFailed,
            "The last synchronization failed. status.errors counts what went wrong; `edusync errors` lists it. Mend the source, then upload and start again, or set spec.triggers.reset to a new value.",
        ),
        SyncStatus::ValidationError => (
            false,
            Reason::ValidationError,
            "School Data Sync stopped by itself, since the data looks wrong. Mend the source and upload and start again; or, if the data is right, resume the synchronization in School Data Sync.",
        ),
        SyncStatus::Quarantined => (
            false,
            Reason::Quarantined,
            "School Data Sync stopped the profile because of too many errors. Mend the source, then set spec.triggers.reset to a new value.",
        ),
        SyncStatus::Extracting
        | SyncStatus::Validating
        | SyncStatus::InProgress
        | SyncStatus::UnknownFutureValue => (false, Reason::SyncRunning, "A synchronization is under way."),
    };
    debug_assert!(!is_under_way(status) || reason == Reason::SyncRunning);
    statement(holds, reason, message)
}

/// Says when the profile ends before long.
pub(super) fn expiry(
    status: &mut EducationSyncProfileStatus,
    generation: i64,
    now: Timestamp,
) -> Option<Notice> {
    let day = status.expiration_date.as_deref().and_then(|day| day.parse::<jiff::civil::Date>().ok());
    let end = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|zoned| zoned.timestamp());
    let is_near = end.is_some_and(|end| end.duration_since(now) <= AHEAD);
    let near = day.filter(|_| is_near).map(|day| {
        let message = format!(
            "The profile ends on {day}. Set spec.expirationDate to a later day: at most 18 months after the profile was created. Microsoft renewed no profile after 2024-07-01."
        );
        statement(true, Reason::ExpirationNear, &message)
    });
    set_further(&mut status.conditions, EXPIRING_SOON, near.as_ref(), generation, now)
}

/// Has a status room for all these kinds?
#[must_use]
pub fn has_room_for(counts: &ErrorCounts) -> bool {
    counts.len() <= MOST_KINDS
}

/// The errors have been counted.
#[must_use]
pub fn counted(latest: &EducationSyncProfile, counts: &ErrorCounts) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    let mut errors: Vec<ErrorCount> = counts
        .iter()
        .map(|((entry_type, error_code), count)| ErrorCount {
            entry_type: entry_type.clone(),
            error_code: error_code.clone(),
            count: i64::try_from(*count).unwrap_or(i64::MAX),
        })
        .collect();
    errors.sort_by_key(|errors| std::cmp::Reverse(errors.count));
    errors.truncate(MOST_KINDS);
    status.errors = errors;
    Report { status, notices: Vec::new() }
}

/// The synchronization has been paused; the mark stands in the status since before the call.
#[must_use]
pub fn paused() -> Notice {
    normal("Paused", "Run", "Paused the synchronization, as spec.synchronization says.".to_owned())
}

/// Graph has refused to pause or to resume the synchronization. It is tried again.
#[must_use]
pub fn not_run(is_pause: bool, error: &GraphError) -> Notice {
    let (reason, what, meanwhile) = if is_pause {
        ("NotPaused", "paused", " If it has to stop now, pause it in School Data Sync.")
    } else {
        ("NotResumed", "resumed", "")
    };
    // Without the ids of the call: the same refusal is the same event, which is counted up.
    let code = match error {
        GraphError::Refused { code, .. } => code.as_deref(),
        _ => None,
    };
    let answer = answer_words(error.status().unwrap_or_default(), code);
    let note = format!(
        "The synchronization is not {what}: Microsoft Graph refused it ({answer}). edusync tries again by itself.{meanwhile}"
    );
    warning(reason, "Run", note)
}

/// The synchronization has been resumed, and is edusync's business no more.
#[must_use]
pub fn resumed(
    latest: &EducationSyncProfile,
    decided: &Decided,
    standing: &Standing,
    now: Timestamp,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    status.paused_by_manifest = None;
    let note = "Resumed the synchronization, as spec.synchronization says.".to_owned();
    let mut notices = vec![normal("Resumed", "Run", note)];
    notices.extend(conditions(&mut status, standing, decided.generation, now));
    Report { status, notices }
}

/// A trigger is answered, before its call.
pub fn answer(status: &mut EducationSyncProfileStatus, trigger: Trigger, value: &str) {
    let handled = status.handled_triggers.get_or_insert_default();
    match trigger {
        Trigger::Reset => handled.reset = Some(value.to_owned()),
        Trigger::Start => handled.start = Some(value.to_owned()),
    }
}

/// The call of a trigger was not made: it counts as not answered, as long as nothing else was.
#[must_use]
pub fn not_triggered(
    latest: &EducationSyncProfile,
    trigger: Trigger,
    value: &str,
    before: Option<&String>,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    if let Some(handled) = &mut status.handled_triggers {
        let slot = match trigger {
            Trigger::Reset => &mut handled.reset,
            Trigger::Start => &mut handled.start,
        };
        if slot.as_deref() == Some(value) {
            *slot = before.cloned();
        }
    }
    Report { status, notices: Vec::new() }
}

/// What came of a reset.
#[must_use]
pub fn after_reset(result: &Result<(), GraphError>) -> Notice {
    match result {
        Ok(()) => {
            normal("Reset", "Run", "The synchronization starts over, as spec.triggers.reset asks.".to_owned())
        }
        Err(error) => lost("Reset", "reset", error),
    }
}

/// What came of a start.
#[must_use]
pub fn after_start(result: &Result<Start, GraphError>) -> Notice {
    match result {
        Ok(start) if start.started => {
            let warnings = start.messages.len();
            let note = format!(
                "The uploaded files are synchronized, as spec.triggers.start asks ({warnings} warnings)."
            );
            normal("Started", "Run", note)
        }
        Ok(start) => {
            let errors = start.messages.iter().filter(|message| message.severity == Severity::Error);
            let mut files: Vec<&str> = errors.filter_map(|message| message.file_name.as_deref()).collect();
            files.sort_unstable();
            files.dedup();
            let note = format!(
                "The verification found errors, so nothing is synchronized: {}. `edusync upload --check-only` shows them; mend the files, upload them again, and set spec.triggers.start to a new value.",
                if files.is_empty() { "no file is named".to_owned() } else { files.join(", ") }
            );
            warning("NotStarted", "Run", note)
        }
        Err(error) => lost("NotStarted", "start", error),
    }
}

fn lost(reason: &str, trigger: &str, error: &GraphError) -> Notice {
    let note = format!(
        "It is not known to have been done: {error}. It is not done again for this value; set spec.triggers.{trigger} to a new one to ask once more."
    );
    warning(reason, "Run", note)
}
