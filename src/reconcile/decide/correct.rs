//! Where does the profile differ from the manifest, and is it to be corrected now?
//!
//! Compared is what the user set, and what the user has taken away since it was sent.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::create::{taken, worst};
use super::{Action, NameKey, Standing, Verdict, set_back, unreadable, wanted_name, without_list};
use crate::api::conditions::Reason;
use crate::api::status::ProfileState;
use crate::graph::RemoteProfile;
use crate::graph::difference::differences;
use crate::graph::wire::{applied_fields, wanted};
use crate::reconcile::claims::NameClaim;
use crate::reconcile::observation::{Observation, SourceSecret};

/// So many accepted updates that leave the same difference are enough.
const MOST_UPDATES: i32 = 2;

/// What is to be corrected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Correction {
    /// Fields whose values differ.
    pub(super) fields: Vec<String>,
    /// Fields that were sent once, and are not in the manifest any more.
    pub(super) cleared: Vec<String>,
    /// Has the Secret of the source changed since it was sent?
    pub(super) secret: bool,
}

/// What a person is told of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Paths of the fields.
    pub fields: Vec<String>,
    /// What becomes of it.
    pub outlook: Outlook,
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It is corrected.
    Corrected,
    /// It is only shown.
    Observed,
    /// Graph accepted its correction and did not carry it out.
    NotAccepted,
}

impl Correction {
    pub(super) const fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.cleared.is_empty() && !self.secret
    }

    /// All paths that a person may want to know.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.fields.iter().chain(&self.cleared).cloned().collect();
        if self.secret {
            paths.push("the client secret of the source".to_owned());
        }
        paths
    }
}

/// Compares.
pub(super) fn needed(o: &Observation, profile: &RemoteProfile) -> Correction {
    let wanted = wanted(&o.resource.spec);
    let Ok(actual) = serde_json::from_str::<Value>(&profile.configuration) else {
        return Correction::default();
    };
    let now: BTreeSet<String> = applied_fields(&wanted).into_iter().collect();
    let gone = o.status().applied_fields.iter().filter(|path| !now.contains(*path));
    Correction {
        fields: differences(&wanted, &actual),
        cleared: gone.filter(|path| is_set(&actual, path)).cloned().collect(),
        secret: o
            .source_secret
            .version()
            .is_some_and(|version| o.status().applied_secret_version.as_deref() != Some(version)),
    }
}

/// Is nothing to be corrected?
pub(in crate::reconcile) fn is_as_wanted(o: &Observation, profile: &RemoteProfile) -> bool {
    needed(o, profile).is_empty()
}

fn is_set(actual: &Value, path: &str) -> bool {
    let value = path.split('.').try_fold(actual, |value, name| value.get(name));
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.starts_with("0001-01-01"),
        Some(_) => true,
    }
}

/// What a person is told of it.
pub(super) fn drift(o: &Observation, correction: &Correction) -> Drift {
    let outlook = if o.resource.spec.is_observed_only() {
        Outlook::Observed
    } else if is_given_up(o, correction) {
        Outlook::NotAccepted
    } else {
        Outlook::Corrected
    };
    Drift { fields: correction.paths(), outlook }
}

/// Did Graph accept this very correction before, and not carry it out?
fn is_given_up(o: &Observation, correction: &Correction) -> bool {
    o.status().unaccepted.as_ref().is_some_and(|unaccepted| {
        unaccepted.generation == o.generation()
            && unaccepted.updates >= MOST_UPDATES
            && unaccepted.fields == correction.fields
            && correction.cleared.is_empty()
            && !correction.secret
    })
}

/// The update, if one is to be made now; or why it cannot be made.
pub(super) fn decide(o: &Observation, profile: &RemoteProfile, correction: &Correction) -> Option<Verdict> {
    // A profile that failed is sent again as it is when a person asks for it.
    let again = profile.state == ProfileState::ProvisioningFailed && o.request().is_some();
    if !again && (correction.is_empty() || is_given_up(o, correction)) {
        return None;
    }
    let is_settled = matches!(profile.state, ProfileState::Provisioned | ProfileState::ProvisioningFailed);
    if !is_settled {
        return None;
    }
    if let Some(left) = unsettled_for(o) {
        return Some(Verdict { recheck: Some(left), ..Verdict::nothing() });
    }
    if let Some(verdict) = name_is_taken(o, profile) {
        return Some(verdict);
    }
    if let SourceSecret::Unreadable(message) = &o.source_secret {
        return Some(unreadable(o, message));
    }
    if let SourceSecret::Missing(message) = &o.source_secret {
        let stalled = Standing::Stalled(Reason::CredentialsMissing, message.clone());
        return Some(Verdict { recheck: Some(Duration::from_secs(30)), ..Verdict::watching(stalled, false) });
    }
    if let Some(verdict) = set_back(o) {
        return Some(verdict);
    }
    if !o.list_is_fresh() {
        // The update repeats what the manifest says nothing of: it must not take back what somebody has changed there.
        return Some(without_list(o));
    }
    let (fields, cleared) = (correction.fields.clone(), correction.cleared.clone());
    Some(Verdict::act(Action::Update { fields, cleared }))
}

/// Lists may be behind an accepted update for as long as a settle window. So long what was sent is
/// not sent again; what the user has changed since is.
fn unsettled_for(o: &Observation) -> Option<Duration> {
    let at = o.memory.updated_at.filter(|_| o.memory.updated_generation == o.generation())?;
    let until = at.saturating_add(o.settings.settle_window).unwrap_or(at);
    Some(o.until(until)).filter(|left| !left.is_zero())
}

/// A new name must be free, as for a create.
fn name_is_taken(o: &Observation, profile: &RemoteProfile) -> Option<Verdict> {
    let wanted = wanted_name(o);
    if wanted == profile.name || is_own_name(o, &wanted) {
        return None;
    }
    match &o.name {
        Some(NameClaim::Ours(since)) if o.list_since(*since) => {}
        Some(NameClaim::TakenBy(owner)) => {
            let message = format!(
                "The EducationSyncProfile {} has the displayName \"{}\" in this tenant already. Give one of the two another name.",
                owner.display(),
                o.resource.spec.display_name
            );
            return Some(Verdict::watching(Standing::Stalled(Reason::AlreadyClaimed, message), false));
        }
        // Only a list from after the claim can show that nobody else has the name.
        _ => return Some(Verdict { ask: true, ..Verdict::watching(Standing::Silent, true) }),
    }
    let others = o.namesakes.iter().filter(|n| n.profile.name == wanted && n.profile.id != profile.id);
    worst(others).map(|namesake| taken(o, namesake))
}

fn is_own_name(o: &Observation, wanted: &NameKey) -> bool {
    o.status().binding.as_ref().is_some_and(|binding| NameKey::of(&binding.display_name) == *wanted)
}
