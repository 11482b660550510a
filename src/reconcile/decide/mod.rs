//! **The decision**: what is to be done about a resource, given one look at the world.
//!
//! Pure: no await, no client, no clock. The chain below is the whole order of precedence; each link
//! has a file of its own.

mod adopt;
mod bound;
mod correct;
mod create;
mod delete;
mod running;
mod wording;

pub(super) use bound::ABSENCES_THAT_PROVE;
pub(super) use correct::is_as_wanted;
pub use correct::{Drift, Outlook};
pub(super) use create::candidates;
pub(super) use running::{LOOK_AT_REST, is_under_way};
pub(super) use wording::{
    HOW_TO_LET_GO, answer as answer_words, failure as failure_standing, following, refusal as refusal_words,
};

use std::time::Duration;

use super::observation::{ConnectionFacts, ConnectionProblem, Observation, Retry};
use super::trust::Trust;
use crate::api::conditions::Reason;
use crate::api::status::ProfileState;
use crate::clock::passed;
use crate::graph::name::NameKey;
use crate::graph::sync::ProfileStatus;
use crate::poller::Interest;

/// What is to be done, what is to be said, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The one thing to do.
    pub action: Action,
    /// What the status says, if nothing is done or what is done changes nothing.
    pub standing: Standing,
    /// Further conditions.
    pub notices: Notices,
    /// What the poller should wake the resource for.
    pub interest: Option<Interest>,
    /// Is a list needed that begins after now?
    pub ask: bool,
    /// When to look again even if nothing happens.
    pub recheck: Option<Duration>,
}

/// The one thing to do. At most one of them changes Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Record an attempt and send it.
    Create,
    /// Put the finalizers back, of the resource or of its connection: without them the profile could
    /// be orphaned, or its resource stuck.
    Hold,
    /// Take this profile as ours: a lost answer has been found.
    Bind {
        /// Id of the profile.
        id: String,
    },
    /// Take over this profile, as spec.adopt asks.
    Adopt {
        /// Id of the profile.
        id: String,
    },
    /// Give Graph what the manifest says.
    Update {
        /// Fields that differ.
        fields: Vec<String>,
        /// Fields that are taken away.
        cleared: Vec<String>,
    },
    /// Ask for the status of the synchronization by its own URL.
    LookAtSync {
        /// Id of the profile.
        id: String,
    },
    /// Count the errors of the synchronization by kind.
    CountErrors {
        /// Id of the profile.
        id: String,
        /// How many there are.
        count: u64,
    },
    /// Pause the synchronization.
    Pause {
        /// Id of the profile.
        id: String,
    },
    /// Resume what edusync has paused; if somebody else has resumed it, only take note.
    Resume {
        /// Id of the profile.
        id: String,
        /// Is it still paused?
        is_paused: bool,
    },
    /// Do once what a trigger asks for.
    Trigger {
        /// Id of the profile.
        id: String,
        /// What it asks for.
        trigger: Trigger,
        /// Its value.
        value: String,
    },
    /// The profile is gone from Graph: forget it, so that another one can be created.
    Forget,
    /// Nothing came of the attempt: keep it in mind and start over.
    GiveUpAttempt,
    /// Ask Graph to delete this profile.
    Delete {
        /// Id of the profile.
        id: String,
    },
    /// Ask Graph for this profile by its own URL.
    Probe {
        /// Id of the profile.
        id: String,
    },
    /// Take the finalizer off: the resource may go.
    LetGo(Farewell),
}

/// What a trigger asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The synchronization starts over.
    Reset,
    /// Uploaded files are verified and synchronized.
    Start,
}

/// Why a resource may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Nothing was ever created for it.
    NeverCreated,
    /// Its profile is gone from Graph.
    Deleted,
    /// Its profile stays in Graph, as the policy says.
    Retained,
    /// The profile in its status is not its own.
    NotOurs,
}

/// What the conditions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing new: the status stays as it is.
    Silent,
    /// As wanted.
    Ready(Reason, String),
    /// The operator is at work, or waits for something that will come.
    Waiting(Reason, String),
    /// A person must act.
    Stalled(Reason, String),
}

/// Conditions beside Ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// Where the profile differs from the manifest, and what becomes of it. None: not known at this look.
    pub drift: Option<Drift>,
    /// Ids of unclaimed profiles with our name. None: not known at this look.
    pub duplicates: Option<Vec<String>>,
    /// State of the profile in Graph, where it has been seen; within: None for a profile that is proven gone.
    pub state: Option<Option<ProfileState>>,
    /// Last day of the profile as Graph has it, where it has been seen; within: None for no end.
    pub expiration_date: Option<Option<String>>,
    /// The synchronization, where it is known; within: None while nothing has run.
    pub sync: Option<Option<ProfileStatus>>,
}

impl Notices {
    /// All that was told of a profile which is proven gone, and which is still named.
    const fn of_none() -> Self {
        Self {
            drift: Some(Drift { fields: Vec::new(), outlook: Outlook::Observed }),
            duplicates: Some(Vec::new()),
            state: Some(None),
            expiration_date: Some(None),
            sync: Some(None),
        }
    }
}

/// Decides.
#[must_use]
pub fn decide(o: &Observation) -> Verdict {
    if o.is_being_deleted() {
        return delete::decide(o);
    }
    if o.trust != Trust::Own {
        // The way out is a change of the status, which wakes nobody.
        let recheck = Some(Duration::from_secs(10));
        return Verdict {
            recheck,
            ..Verdict::stalled(Reason::StatusNotTrusted, wording::status_not_trusted(o))
        };
    }
    let connection = match &o.connection {
        Ok(connection) => connection,
        Err(problem) => return connection_problem(o, problem),
    };
    if leads_elsewhere(o, connection) {
        return Verdict::stalled(Reason::ConnectionChanged, wording::connection_changed(o));
    }
    if o.status().binding.is_some() { bound::decide(o, connection) } else { create::decide(o, connection) }
}

/// Does the connection lead to another place than the one where our profile is, or may be?
fn leads_elsewhere(o: &Observation, connection: &ConnectionFacts) -> bool {
    super::observation::tenants_in(o.status()).iter().any(|tenant| *tenant != connection.tenant)
}

fn connection_problem(o: &Observation, problem: &ConnectionProblem) -> Verdict {
    if let ConnectionProblem::Unreadable(message) = problem {
        return unreadable(o, message);
    }
    let (reason, message) = problem.told();
    // A Secret is not watched, so it is looked at again.
    Verdict { recheck: Some(Duration::from_mins(1)), ..Verdict::stalled(reason, message.to_owned()) }
}

/// Kubernetes is out of reach for a moment: nothing that is said of a profile becomes wrong by that, and
/// nobody has to act.
fn unreadable(o: &Observation, message: &str) -> Verdict {
    let standing = if o.status().conditions.is_empty() {
        Standing::Waiting(Reason::CredentialsMissing, message.to_owned())
    } else {
        Standing::Silent
    };
    Verdict { standing, recheck: Some(Duration::from_secs(10)), ..Verdict::nothing() }
}

/// What to say while there is no list to decide by.
fn without_list(o: &Observation) -> Verdict {
    let standing = o.list.failure.as_ref().map_or(Standing::Silent, wording::failure);
    let fast = !matches!(standing, Standing::Stalled(..));
    Verdict { standing, interest: Some(Interest::Every { fast }), ask: true, ..Verdict::nothing() }
}

/// A definite refusal that still stands: the same spec, the same connection, nobody asked.
fn standing_refusal(o: &Observation, connection: &ConnectionFacts) -> Option<Verdict> {
    let refusal = o.status().refusal.as_ref()?;
    let key = Observation::refusal_key(connection, o.source_secret.version());
    let same = refusal.generation == o.generation() && refusal.connection == key;
    if !same || o.request().is_some() {
        return None;
    }
    // Consent or a licence may come without anything changing here.
    // 412, 421, 423 and 449 speak of this moment (Graph docs, "HTTP status codes").
    let may_pass = matches!(refusal.status, 401 | 403 | 412 | 421 | 423 | 449) || o.is_being_deleted();
    let left = o.settings.refusal_retry.saturating_sub(passed(refusal.time.0, o.now));
    if may_pass && left.is_zero() {
        return None;
    }
    let deleting = o.is_being_deleted();
    let (reason, message) = wording::refusal(refusal.status, refusal.code.as_deref(), connection, deleting);
    // Whoever follows hears of a connection whose Secrets have changed.
    let interest = Some(Interest::Health);
    // The Secret of the source is not watched, so it is looked at again.
    let source = o.source_secret.version().map(|_| Duration::from_mins(1));
    let recheck = may_pass.then_some(left).into_iter().chain(source).min();
    Some(Verdict { interest, recheck, ..Verdict::stalled(reason, message) })
}

impl Verdict {
    const fn nothing() -> Self {
        Self {
            action: Action::Nothing,
            standing: Standing::Silent,
            notices: Notices {
                drift: None,
                duplicates: None,
                state: None,
                expiration_date: None,
                sync: None,
            },
            interest: None,
            ask: false,
            recheck: None,
        }
    }

    fn act(action: Action) -> Self {
        Self { action, ..Self::nothing() }
    }

    fn stalled(reason: Reason, message: String) -> Self {
        Self { standing: Standing::Stalled(reason, message), ..Self::nothing() }
    }

    /// Waits for lists.
    fn watching(standing: Standing, fast: bool) -> Self {
        Self { standing, interest: Some(Interest::Every { fast }), ..Self::nothing() }
    }
}

/// Do the finalizers hold the resource, and the way to its tenant?
fn is_held(o: &Observation) -> bool {
    o.has_finalizer() && o.connection_is_held
}

/// Graph has just put a change off: not again before the pause is over, whoever wakes the resource.
fn set_back(o: &Observation) -> Option<Verdict> {
    until_again(o, o.memory.setback)
}

/// Waits until it is to be tried again.
fn until_again(o: &Observation, setback: Option<Retry>) -> Option<Verdict> {
    let setback = setback.filter(|setback| o.now < setback.again)?;
    Some(Verdict { recheck: Some(o.until(setback.again)), ..Verdict::watching(Standing::Silent, false) })
}

/// The name that the spec asks for.
fn wanted_name(o: &Observation) -> NameKey {
    NameKey::of(&o.resource.spec.display_name)
}

#[cfg(test)]
pub(super) mod tests;
