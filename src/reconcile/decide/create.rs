//! A resource without a profile: create one, or find out what came of an attempt.
//!
//! The order of the checks is the protocol (docs/architecture.md, "Creating"); each of them exists
//! because without it two profiles could come about.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Action, NameKey, Standing, Verdict, adopt, is_held, set_back, standing_refusal, unreadable, wanted_name,
    without_list, wording,
};
use crate::api::conditions::Reason;
use crate::api::status::{CreationAttempt, ProfileState};
use crate::graph::RemoteProfile;
use crate::reconcile::claims::{NameClaim, Owner};
use crate::reconcile::cluster::Key;
use crate::reconcile::observation::{ConnectionFacts, Namesake, Observation, SourceSecret};

pub(super) fn decide(o: &Observation, connection: &ConnectionFacts) -> Verdict {
    if let Some(attempt) = &o.status().creation {
        return if is_held(o) { resolve(o, attempt) } else { Verdict::act(Action::Hold) };
    }
    if let Some(verdict) = standing_refusal(o, connection) {
        return verdict;
    }
    begin(o)
}

/// Another resource has the name: as its own, or as that of the very profile that this one is to take over.
fn name_taken(o: &Observation, owner: &Owner) -> Verdict {
    if let Some(adoptee) = o.adoptee.as_ref().filter(|adoptee| adoptee.claimed_by.is_some()) {
        return taken(o, adoptee);
    }
    let message = format!(
        "The EducationSyncProfile {} has the displayName \"{}\" in this tenant already. Give one of the two another name.",
        owner.display(),
        o.resource.spec.display_name
    );
    Verdict::watching(Standing::Stalled(Reason::AlreadyClaimed, message), false)
}

/// May the profile be created now?
fn begin(o: &Observation) -> Verdict {
    let claimed_at = match &o.name {
        Some(NameClaim::Ours(since)) => *since,
        Some(NameClaim::TakenBy(owner)) => return name_taken(o, owner),
        None => return Verdict::nothing(),
    };
    // Late arrivals of earlier attempts are ours, whatever the spec says now.
    if let Some(verdict) = late_arrival(o) {
        return verdict;
    }
    if o.connection_is_going && !o.resource.spec.is_observed_only() {
        return connection_going(o);
    }
    // Only a list that began after the name was ours can show that nobody else has it.
    if !o.list_since(claimed_at) || !o.list_is_fresh() {
        return without_list(o);
    }
    // Taking a profile over that is listed makes none.
    if o.list.lost && (o.list.empty || o.resource.spec.adopt.is_none()) {
        return upstream_empty(o);
    }
    if let Some(adoption) = &o.resource.spec.adopt {
        return adopt::decide(o, adoption);
    }
    let wanted = wanted_name(o);
    if let Some(namesake) = worst(o.namesakes.iter().filter(|n| n.profile.name == wanted)) {
        return taken(o, namesake);
    }
    if o.resource.spec.is_observed_only() {
        let stalled = Standing::Stalled(Reason::WouldCreate, wording::would_create(o));
        return Verdict::watching(stalled, false);
    }
    if let SourceSecret::Unreadable(message) = &o.source_secret {
        return unreadable(o, message);
    }
    if let SourceSecret::Missing(message) = &o.source_secret {
        let stalled = Standing::Stalled(Reason::CredentialsMissing, message.clone());
        // Nobody tells when the Secret comes.
        return Verdict { recheck: Some(Duration::from_secs(30)), ..Verdict::watching(stalled, false) };
    }
    set_back(o).unwrap_or_else(|| Verdict::act(Action::Create))
}

/// Has an earlier attempt, given up without proof, made a profile after all?
pub(super) fn late_arrival(o: &Observation) -> Option<Verdict> {
    found(o, &o.status().earlier_creations.iter().collect::<Vec<_>>())
}

/// What came of the attempt?
pub(super) fn resolve(o: &Observation, attempt: &CreationAttempt) -> Verdict {
    // What has the name of the open attempt is what came of that, whatever else may have arrived late.
    if let Some(verdict) = found(o, &[attempt]) {
        return verdict;
    }
    // Late arrivals of earlier attempts wait: to take one would be to forget the open attempt.
    if nothing_came(o, attempt) {
        return late_arrival(o).unwrap_or_else(|| Verdict::act(Action::GiveUpAttempt));
    }
    let looked = o.memory.resolving.as_ref().is_some_and(|(_, since)| o.list_since(*since));
    if !looked && o.list.failure.is_none() {
        // The first list will most often tell; until then there is nothing to say.
        return Verdict { ask: true, ..Verdict::watching(Standing::Silent, true) };
    }
    let standing = match &o.list.failure {
        Some(error) if !matches!(wording::failure(error), Standing::Waiting(..)) => wording::failure(error),
        _ => Standing::Waiting(
            Reason::CreateUnresolved,
            format!(
                "It is not known whether Microsoft Graph created the profile \"{}\" (client-request-id {}). edusync looks for it, and creates it again only when it is sure that nothing came of the attempt.",
                attempt.display_name, attempt.attempt
            ),
        ),
    };
    Verdict { ask: o.list.began.is_none(), ..Verdict::watching(standing, true) }
}

/// Is it proven that nothing came of the attempt? It is over for everybody, a whole settle window
/// has passed since this process began to look, and a list from after that holds all that lives.
fn nothing_came(o: &Observation, attempt: &CreationAttempt) -> bool {
    let Some((resolving, since)) = &o.memory.resolving else {
        return false;
    };
    if *resolving != attempt.attempt {
        return false;
    }
    let settled = since.saturating_add(window(o)).unwrap_or(*since).max(over(o, attempt));
    o.now >= settled && o.list_since(settled) && o.list_is_whole() && o.list.failure.is_none()
}

/// From then on nothing arrives that this attempt has sent, and every list shows what it has made.
pub(super) fn over(o: &Observation, attempt: &CreationAttempt) -> Timestamp {
    attempt.not_after.0.saturating_add(window(o)).unwrap_or(attempt.not_after.0)
}

/// Another process may have recorded an attempt, by a clock that is a lease behind ours.
fn window(o: &Observation) -> Duration {
    o.settings.settle_window + o.settings.lease_duration
}

/// A profile that one of the attempts made: unclaimed, of its name, of its kinds.
fn found(o: &Observation, attempts: &[&CreationAttempt]) -> Option<Verdict> {
    match candidates(o, attempts).as_slice() {
        [] => None,
        [id] => Some(Verdict::act(Action::Bind { id: (*id).to_owned() })),
        several => {
            let message = format!(
                "{} profiles could be the one that was created: {}. Delete those that are not wanted in School Data Sync; edusync takes the last one over by itself.",
                several.len(),
                several.join(", ")
            );
            Some(Verdict::watching(Standing::Stalled(Reason::AmbiguousCreate, message), false))
        }
    }
}

/// Ids of the unclaimed profiles that one of the attempts may have made.
pub(in crate::reconcile) fn candidates<'a>(
    o: &'a Observation,
    attempts: &[&CreationAttempt],
) -> Vec<&'a str> {
    let mut ids: Vec<&str> = o
        .namesakes
        .iter()
        .filter(|namesake| namesake.claimed_by.is_none())
        .filter(|namesake| attempts.iter().any(|attempt| could_be(&namesake.profile, attempt)))
        .map(|namesake| namesake.profile.id.as_str())
        .collect();
    ids.sort_unstable();
    ids
}

fn could_be(profile: &RemoteProfile, attempt: &CreationAttempt) -> bool {
    profile.state != ProfileState::Deleting
        && profile.name == NameKey::of(&attempt.display_name)
        && profile.data_provider == Some(attempt.data_provider)
        && profile.identity == Some(attempt.identity_synchronization_configuration)
}

/// The namesake that says most: a claimed one, then an unclaimed one, then one that is going.
pub(super) fn worst<'a>(namesakes: impl Iterator<Item = &'a Namesake>) -> Option<&'a Namesake> {
    namesakes.min_by_key(|namesake| match (&namesake.claimed_by, namesake.profile.state) {
        (Some(_), _) => 0,
        (None, ProfileState::Deleting) => 2,
        (None, _) => 1,
    })
}

pub(super) fn taken(o: &Observation, namesake: &Namesake) -> Verdict {
    let name = &o.resource.spec.display_name;
    let id = &namesake.profile.id;
    if let Some(owner) = &namesake.claimed_by {
        let message = format!(
            "The profile \"{name}\" ({id}) belongs to the EducationSyncProfile {}. Give this resource another displayName.",
            owner.display()
        );
        return Verdict::watching(Standing::Stalled(Reason::AlreadyClaimed, message), false);
    }
    if namesake.profile.state == ProfileState::Deleting {
        let message = format!(
            "A profile of the same name ({id}) is still being deleted in Microsoft Graph; edusync creates this one when it is gone."
        );
        return Verdict::watching(Standing::Waiting(Reason::NameBeingDeleted, message), true);
    }
    let message = format!(
        "A profile with the displayName \"{name}\" is in the tenant already ({id}), and no resource owns it. edusync creates no second one. To take that one over: spec.adopt.profileId: {id}, with a deletionPolicy; otherwise give this resource another displayName, or delete that profile in School Data Sync."
    );
    Verdict::watching(Standing::Stalled(Reason::AlreadyExists, message), false)
}

/// A profile that begins must hold its connection, and this one cannot be held any more.
fn connection_going(o: &Observation) -> Verdict {
    let message = format!(
        "The GraphConnection {} is being deleted, and nothing new is created through it. Name another one of the same tenant in spec.connectionRef, or delete this resource.",
        Key::of_connection(&o.resource).name
    );
    Verdict::watching(Standing::Stalled(Reason::ConnectionNotFound, message), false)
}

fn upstream_empty(o: &Observation) -> Verdict {
    let what = if o.list.empty {
        format!("no profile at all, although {} are known to be there", o.list.alive)
    } else {
        format!("none of several profiles that are known to be there, {} are missing", o.list.missing)
    };
    let message = format!(
        "Microsoft Graph lists {what}. Nothing is created until the list is plausible again, or the resources that have those profiles are deleted, or say that they are gone (annotation edusync.dev/confirm-gone)."
    );
    Verdict::watching(Standing::Waiting(Reason::UpstreamEmpty, message), false)
}
