//! A resource with a profile: follow it, and say what a person must know.
//!
//! Whether it is corrected is decided in [`super::correct`].

use std::time::Duration;

use super::running::Permitted;
use super::{
    Action, Interest, NameKey, Notices, Standing, Verdict, correct, is_held, running, standing_refusal,
    wording,
};

use crate::api::conditions::{READY, Reason};
use crate::api::status::ProfileState;
use crate::graph::{GraphError, RemoteProfile};
use crate::reconcile::observation::{ConnectionFacts, Memory, Observation};

pub(super) fn decide(o: &Observation, connection: &ConnectionFacts) -> Verdict {
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
    // Who only observes needs nothing to be held.
    if !is_held(o) && !o.resource.spec.is_observed_only() {
        return Verdict::act(Action::Hold);
    }
    match &o.bound {
        Some(profile) => follow(o, connection, profile),
        None => unseen(o, &binding.profile_id),
    }
}

fn follow(o: &Observation, connection: &ConnectionFacts, profile: &RemoteProfile) -> Verdict {
    // A list from before Graph told us of the profile alone says nothing of what came of our last change: that the
    // profile is provisioned, as that said, is not taken back.
    let is_behind = o.memory.told_at.max(o.memory.updated_at).is_some_and(|at| !o.list_since(at));
    let correction = correct::needed(o, profile);
    let mut shown = Verdict {
        standing: if is_behind { Standing::Silent } else { wording::following(profile.state) },
        notices: Notices {
            drift: (!is_behind).then(|| correct::drift(o, &correction)),
            duplicates: Some(duplicates(o, profile)),
            state: (!is_behind).then_some(Some(profile.state)),
            expiration_date: (!is_behind).then(|| profile.expiration_date()),
            sync: is_sync_known(o, profile).then(|| o.memory.sync_of(profile).cloned()),
        },
        interest: Some(interest(o, profile)),
        ..Verdict::nothing()
    };
    if is_behind {
        return shown;
    }
    if o.resource.spec.is_observed_only() {
        return run(o, profile, shown, Permitted::All);
    }
    if let Some(refusal) = standing_refusal(o, connection).filter(|_| !correction.is_empty()) {
        shown.standing = refusal.standing;
        shown.recheck = refusal.recheck;
        return run(o, profile, shown, Permitted::Pause);
    }
    match correct::decide(o, profile, &correction) {
        None => run(o, profile, shown, Permitted::All),
        Some(Verdict { action: Action::Nothing, standing, recheck, ask, interest, .. }) => {
            // Ready of a manifest that was not sent yet would let a pipeline go on, as would Ready of one that was refused
            // and is about to be tried again. What is said stays that of before.
            let is_told = !is_new(o) && !o.is_to_be_tried_again() && standing == Standing::Silent;
            let standing = if is_told { shown.standing } else { standing };
            let interest = interest.or(shown.interest);
            run(o, profile, Verdict { standing, interest, ask, recheck, ..shown }, Permitted::Pause)
        }
        Some(act) => Verdict { notices: shown.notices, interest: shown.interest, ..act },
    }
}

/// Is nothing said yet of the manifest as it is now?
fn is_new(o: &Observation) -> bool {
    o.status().observed_generation != Some(o.generation())
}

fn is_sync_known(o: &Observation, profile: &RemoteProfile) -> bool {
    // A list from before our last call does not show what came of it.
    let is_listed = profile.is_expanded && o.memory.run_at.is_none_or(|at| o.list_since(at));
    profile.state == ProfileState::Provisioned && (is_listed || o.memory.sync_at.is_some())
}

/// What of its synchronization?
fn run(o: &Observation, profile: &RemoteProfile, shown: Verdict, permitted: Permitted) -> Verdict {
    let next = running::decide(o, profile, permitted);
    let recheck = shown.recheck.into_iter().chain(next.recheck).chain([LOOK_AT_THE_CALENDAR]).min();
    Verdict { action: next.action, recheck, ..shown }
}

fn interest(o: &Observation, profile: &RemoteProfile) -> Interest {
    // The list that tells what came of our last call may show no change: nothing may have come of it, or a list
    // from while it was made has it already.
    let Memory { told_at, updated_at, run_at, .. } = o.memory;
    if updated_at.max(run_at).is_some_and(|at| !o.list_since(at)) {
        return Interest::Every { fast: true };
    }
    if told_at.is_some_and(|at| !o.list_since(at)) {
        return Interest::Every { fast: !o.status().state.is_some_and(is_at_rest) };
    }
    let just_changed = o
        .memory
        .updated_at
        .is_some_and(|at| at.saturating_add(o.settings.settle_window).is_ok_and(|until| o.now < until));
    // Whatever happens to a profile that is listed changes the list.
    Interest::Profile {
        id: profile.id.clone(),
        name: profile.name.clone(),
        fast: !is_at_rest(profile.state) || just_changed,
    }
}

/// Does Graph leave it as it is?
const fn is_at_rest(state: ProfileState) -> bool {
    matches!(
        state,
        ProfileState::Provisioned | ProfileState::ProvisioningFailed | ProfileState::DeletionFailed
    )
}

fn duplicates(o: &Observation, profile: &RemoteProfile) -> Vec<String> {
    let unclaimed = o.namesakes.iter().filter(|n| n.claimed_by.is_none() && n.profile.name == profile.name);
    unclaimed.map(|namesake| namesake.profile.id.clone()).collect()
}

/// The list does not have the profile, or there is no list.
fn unseen(o: &Observation, id: &str) -> Verdict {
    let is_known =
        matches!(o.status().state, Some(ProfileState::Provisioned | ProfileState::ProvisioningFailed));
    let under_way = !is_known || is_new(o);
    let newest = o.memory.bound_at.is_some_and(|bound| !o.list_since(bound));
    if o.list.began.is_none() || newest {
        // Graph out of reach changes nothing here: the connection shows it, unless what is said of that is over. A resource at rest
        // waits for its turn, so that a restart makes no burst of calls.
        let name = o.status().binding.as_ref().map_or("", |binding| binding.display_name.as_str());
        let name = NameKey::of(name);
        // A list that is there and lacks the profile may be followed by one that lacks it too: that is no change, and
        // who waits for one would wait forever.
        let interest = if under_way || o.list.began.is_some() {
            Interest::Every { fast: under_way }
        } else {
            Interest::Profile { id: id.to_owned(), name, fast: false }
        };
        let failed = o.list.failure.as_ref().filter(|_| blames_the_connection(o));
        let standing = failed.map_or(Standing::Silent, wording::failure);
        return Verdict { standing, interest: Some(interest), ..Verdict::nothing() };
    }
    if not_visible_yet(o) {
        return Verdict::watching(Standing::Silent, true);
    }
    match gone(o, id) {
        Proof::Gone => vanished(o, id),
        Proof::Missing(verdict) => *verdict,
    }
}

/// Does the status say that the connection cannot be used, or leads elsewhere? Else nobody would look for the profile.
fn blames_the_connection(o: &Observation) -> bool {
    let blames = [
        Reason::ConnectionNotFound,
        Reason::ConnectionChanged,
        Reason::CredentialsMissing,
        Reason::CredentialsInvalid,
        Reason::HostNotAllowed,
        Reason::NamespaceNotAllowed,
    ];
    let ready = o.status().conditions.iter().find(|condition| condition.type_ == READY);
    ready.is_some_and(|ready| blames.iter().any(|reason| reason.as_str() == ready.reason))
}

/// The profile is proven gone, and this resource did not delete it.
fn vanished(o: &Observation, id: &str) -> Verdict {
    if o.resource.spec.is_observed_only() {
        let message = format!("The profile {id} is gone from Microsoft Graph: somebody deleted it.");
        let standing = Standing::Stalled(Reason::ProfileNotFound, message);
        return Verdict { notices: Notices::of_none(), ..Verdict::watching(standing, false) };
    }
    // A tenant that is suddenly empty may be a service that has lost its list.
    if (o.list.empty || o.list.lost || !o.list_is_whole()) && !o.is_confirmed_gone(id) {
        let message = format!(
            "The profile {id} is gone from Microsoft Graph, and with it every profile of the tenant, or others that were there. That may be a fault of the service, so no new one is created until the list holds them again. If it is right: kubectl annotate educationsyncprofile NAME edusync.dev/confirm-gone={id}"
        );
        return Verdict::watching(Standing::Stalled(Reason::UpstreamEmpty, message), false);
    }
    Verdict::act(Action::Forget)
}

/// Right after a create, a list without the profile means "not visible yet".
pub(super) fn not_visible_yet(o: &Observation) -> bool {
    let Memory { bound_at: Some(bound), seen: false, .. } = &o.memory else {
        return false;
    };
    o.now < bound.saturating_add(o.settings.settle_window).unwrap_or(*bound)
}

/// A day may pass without anything happening, and a profile may come near its end.
const LOOK_AT_THE_CALENDAR: Duration = Duration::from_hours(12);

/// So many answers of 404, apart in time, prove that a profile is gone.
pub(in crate::reconcile) const ABSENCES_THAT_PROVE: u32 = 2;

/// Is a profile proven to be gone?
pub(super) enum Proof {
    /// Absent from a whole list, and 404 on its own URL, twice, apart in time.
    Gone,
    /// Not proven; this is what to do for it.
    Missing(Box<Verdict>),
}

/// What is missing for the proof that a profile is gone. To be asked only while a list, from after
/// all that was done to the profile, does not have it.
pub(super) fn gone(o: &Observation, id: &str) -> Proof {
    if !matches!(&o.list.failure, None | Some(GraphError::Waiting(_))) {
        return Proof::Missing(Box::new(Verdict::watching(Standing::Silent, true)));
    }
    if o.memory.absences >= ABSENCES_THAT_PROVE {
        return Proof::Gone;
    }
    let due =
        o.memory.last_absence.map(|last| last.saturating_add(o.settings.probe_interval).unwrap_or(last));
    match due {
        Some(due) if o.now < due => Proof::Missing(Box::new(Verdict {
            recheck: Some(o.until(due)),
            ..Verdict::watching(Standing::Silent, true)
        })),
        _ => Proof::Missing(Box::new(Verdict {
            interest: Some(Interest::Every { fast: true }),
            ..Verdict::act(Action::Probe { id: id.to_owned() })
        })),
    }
}
