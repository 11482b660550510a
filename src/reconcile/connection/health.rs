//! How a connection stands: what is known of it into one verdict. Pure, the time included.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::conditions::{Reason, whole_seconds};
use crate::auth::refresh::StoreError;
use crate::graph::GraphError;
use crate::poller::View;
use crate::reconcile::observation::ConnectionProblem;

/// Graph asks to wait for a moment now and then. It is worth saying when no list came for so many intervals.
const INTERVALS_WORTH_SAYING: u32 = 2;

/// So many profiles that a list lacks at once are more than somebody's deletion.
const SUSPICIOUSLY_MANY: usize = 2;

/// What is to be said of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Graph answers; and what else is to be said.
    Well(Option<String>),
    /// It will pass by itself.
    Ailing(Reason, String),
    /// A person must act.
    Broken(Reason, String),
}

/// What is known of a connection that can be used.
#[derive(Debug)]
pub(super) struct Sight {
    /// What the poller has seen.
    pub(super) view: View,
    /// Until then Graph asks to send nothing.
    pub(super) closed_until: Option<Timestamp>,
    /// Time between two lists at rest.
    pub(super) rest: Duration,
    /// Profiles that were known to be alive when the newest list began.
    pub(super) alive: usize,
    /// How many of them it lacks.
    pub(super) missing: usize,
    /// Has the tenant lost what was known, as far as profiles could tell?
    pub(super) lost: bool,
    /// The time.
    pub(super) now: Timestamp,
}

/// The verdict. None: nothing is known yet, or nothing that is worth a change of what was said.
pub(super) fn of(sight: &Sight) -> Option<Health> {
    let Sight { view, now, rest, .. } = sight;
    let later = |wait: Duration| now.saturating_add(wait).unwrap_or(*now);
    // A wait that is over by the next list is none that anybody would notice.
    if let Some(until) = sight.closed_until.filter(|until| *until > later(*rest)) {
        let until = whole_seconds(until).0;
        let message = format!(
            "Microsoft Graph asked to wait until {until}: so long nothing is sent to this tenant by this application. edusync then goes on by itself."
        );
        return Some(Health::Ailing(Reason::Throttled, message));
    }
    match &view.failure {
        None => view.snapshot.as_ref().map(|_| presence(sight)),
        Some(error) => failure(error, sight),
    }
}

/// Graph asks for short waits. That is said when no list has come for a while.
fn again_and_again(sight: &Sight) -> Option<Health> {
    let since = sight.view.failing_since.unwrap_or(sight.now);
    let worth_saying = since.saturating_add(sight.rest * INTERVALS_WORTH_SAYING).unwrap_or(Timestamp::MAX);
    (worth_saying <= sight.now).then(|| {
        let since = whole_seconds(since).0;
        let message = format!(
            "Microsoft Graph has asked to wait again and again since {since}; edusync goes on by itself."
        );
        Health::Ailing(Reason::Throttled, message)
    })
}

/// Is the list plausible?
fn presence(sight: &Sight) -> Health {
    let Sight { alive, missing, lost, .. } = sight;
    let what = if *missing == 0 {
        return Health::Well(None);
    } else if sight.view.snapshot.as_ref().is_some_and(|snapshot| snapshot.profiles.is_empty()) {
        format!("Microsoft Graph lists no profile at all, although {alive} are known to be there")
    } else if *missing >= SUSPICIOUSLY_MANY || *lost {
        format!("Microsoft Graph's list lacks {missing} of {alive} profiles that are known to be there")
    } else {
        return Health::Well(None);
    };
    Health::Broken(
        Reason::UpstreamEmpty,
        format!(
            "{what}. That may be a fault of the service, or another tenant than before: check that the profiles are there. So long edusync takes none of them for deleted. If they are gone for good, the EducationSyncProfiles say how to confirm it."
        ),
    )
}

/// A connection that cannot be used.
pub(super) fn of_problem(problem: &ConnectionProblem) -> Health {
    let (reason, message) = problem.told();
    let passes = matches!(problem, ConnectionProblem::Unreadable(_));
    let verdict = if passes { Health::Ailing } else { Health::Broken };
    verdict(reason, message.to_owned())
}

/// A renewed refresh token could not be stored.
pub(super) fn unsaved(error: &StoreError) -> Health {
    Health::Well(Some(format!(
        "Graph answers with these credentials. The renewed refresh token is in memory alone, and would be lost with the operator: {error}."
    )))
}

fn failure(error: &GraphError, sight: &Sight) -> Option<Health> {
    let health = match error {
        GraphError::NoToken(error) if error.is_refusal() => {
            Health::Broken(Reason::CredentialsInvalid, format!("{error}. What to do: {}.", error.remedy()))
        }
        GraphError::NoToken(error) => Health::Ailing(Reason::UpstreamUnavailable, format!("{error}.")),
        GraphError::Retired { status, .. } => Health::Broken(
            Reason::UpstreamRetired,
            format!("Graph has no education/synchronizationProfiles at this endpoint (HTTP {status}): Microsoft retired the API on 2024-12-31."),
        ),
        GraphError::Refused { status: 401, .. } => Health::Broken(
            Reason::Unauthorized,
            "Graph does not accept the token (HTTP 401): check that tenantId, endpoint and authority belong to one cloud.".to_owned(),
        ),
        GraphError::Refused { status: 403, .. } => Health::Broken(
            Reason::Forbidden,
            "Graph does not permit the credential to list profiles (HTTP 403): an administrator has to grant EduAdministration.Read.All (application) or EduAdministration.Read (delegated).".to_owned(),
        ),
        GraphError::Refused { status, .. } => Health::Ailing(
            Reason::UpstreamUnavailable,
            format!("Graph refuses to list the profiles (HTTP {status}); edusync tries again by itself."),
        ),
        GraphError::NotConnected(what) => {
            Health::Ailing(Reason::UpstreamUnavailable, format!("Graph cannot be reached: {what}."))
        }
        GraphError::Unknown { what, .. } => Health::Ailing(
            Reason::UpstreamUnavailable,
            format!("Graph does not answer as it should ({what}); edusync tries again by itself."),
        ),
        GraphError::Throttled { .. } | GraphError::Waiting(_) => return again_and_again(sight),
    };
    Some(health)
}
