//! A resource with a profile: follow it, and say what a person must know.
//!
//! Nothing in here changes Graph.

use std::time::Duration;

use super::{Action, Interest, NameKey, Notices, Standing, Verdict, is_held, wording};
use crate::api::conditions::Reason;
use crate::api::status::ProfileState;
use crate::graph::difference::differences;
use crate::graph::wire::wanted;
use crate::graph::{GraphError, RemoteProfile};
use crate::reconcile::observation::{Memory, Observation};

pub(super) fn decide(o: &Observation) -> Verdict {
    let Some(binding) = &o.status().binding else {
        return Verdict::nothing();
    };
    if let Some(owner) = &o.bound_to_other {
        let message = format!(
            "The profile {} belongs to the EducationSyncProfile {} as well, which had it first. Delete one of the two resources; this one lets the profile alone.",
            binding.profile_id,
            owner.display()
        );
        // Nobody tells when the other resource goes.
        let recheck = Some(Duration::from_mins(1));
        return Verdict { recheck, ..Verdict::stalled(Reason::AlreadyClaimed, message) };
    }
    if !is_held(o) {
        return Verdict::act(Action::Hold);
    }
    match &o.bound {
        Some(profile) => follow(o, profile),
        None => unseen(o, &binding.profile_id),
    }
}

fn follow(o: &Observation, profile: &RemoteProfile) -> Verdict {
    let at_rest = matches!(
        profile.state,
        ProfileState::Provisioned | ProfileState::ProvisioningFailed | ProfileState::DeletionFailed
    );
    // Whatever happens to a profile that is listed changes the list.
    let interest = Interest::Profile { id: profile.id.clone(), name: profile.name.clone(), fast: !at_rest };
    Verdict {
        standing: wording::following(profile.state),
        notices: Notices {
            differences: Some(drift(o, profile)),
            duplicates: Some(duplicates(o, profile)),
            state: Some(profile.state),
        },
        interest: Some(interest),
        ..Verdict::nothing()
    }
}

fn drift(o: &Observation, profile: &RemoteProfile) -> Vec<String> {
    let wanted = wanted(&o.resource.spec);
    serde_json::from_str(&profile.configuration)
        .map(|actual| differences(&wanted, &actual))
        .unwrap_or_default()
}

fn duplicates(o: &Observation, profile: &RemoteProfile) -> Vec<String> {
    let unclaimed = o.namesakes.iter().filter(|n| n.claimed_by.is_none() && n.profile.name == profile.name);
    unclaimed.map(|namesake| namesake.profile.id.clone()).collect()
}

/// The list does not have the profile, or there is no list.
fn unseen(o: &Observation, id: &str) -> Verdict {
    let under_way =
        !matches!(o.status().state, Some(ProfileState::Provisioned | ProfileState::ProvisioningFailed));
    let newest = o.memory.bound_at.is_some_and(|bound| !o.list_since(bound));
    if o.list.began.is_none() || newest {
        // Graph out of reach changes nothing here: the connection shows it. A resource at rest
        // waits for its turn, so that a restart makes no burst of calls.
        let name = o.status().binding.as_ref().map_or("", |binding| binding.display_name.as_str());
        let name = NameKey::of(name);
        let interest = if under_way {
            Interest::Every { fast: true }
        } else {
            Interest::Profile { id: id.to_owned(), name, fast: false }
        };
        return Verdict { interest: Some(interest), ..Verdict::nothing() };
    }
    if not_visible_yet(o) {
        return Verdict::watching(Standing::Silent, true);
    }
    match gone(o, id) {
        Proof::Gone => {
            let message = format!(
                "The profile {id} is gone from Microsoft Graph: somebody deleted it. To have it created anew, delete this resource and apply it again."
            );
            Verdict::watching(Standing::Stalled(Reason::ProfileNotFound, message), false)
        }
        Proof::Missing(verdict) => verdict,
    }
}

/// Right after a create, a list without the profile means "not visible yet".
pub(super) fn not_visible_yet(o: &Observation) -> bool {
    let Memory { bound_at: Some(bound), seen: false, .. } = &o.memory else {
        return false;
    };
    o.now < bound.saturating_add(o.settings.settle_window).unwrap_or(*bound)
}

/// So many answers of 404, apart in time, prove that a profile is gone.
pub(in crate::reconcile) const ABSENCES_THAT_PROVE: u32 = 2;

/// Is a profile proven to be gone?
pub(super) enum Proof {
    /// Absent from a whole list, and 404 on its own URL, twice, apart in time.
    Gone,
    /// Not proven; this is what to do for it.
    Missing(Verdict),
}

/// What is missing for the proof that a profile is gone. To be asked only while a list, from after
/// all that was done to the profile, does not have it.
pub(super) fn gone(o: &Observation, id: &str) -> Proof {
    if !matches!(&o.list.failure, None | Some(GraphError::Waiting(_))) {
        return Proof::Missing(Verdict::watching(Standing::Silent, true));
    }
    if o.memory.absences >= ABSENCES_THAT_PROVE {
        return Proof::Gone;
    }
    let due =
        o.memory.last_absence.map(|last| last.saturating_add(o.settings.probe_interval).unwrap_or(last));
    match due {
        Some(due) if o.now < due => {
            let left = Duration::try_from(due.duration_since(o.now)).unwrap_or_default();
            Proof::Missing(Verdict { recheck: Some(left), ..Verdict::watching(Standing::Silent, true) })
        }
        _ => Proof::Missing(Verdict {
            interest: Some(Interest::Every { fast: true }),
            ..Verdict::act(Action::Probe { id: id.to_owned() })
        }),
    }
}
