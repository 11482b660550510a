//! A resource that takes over a profile that is there already, and creates none.

use super::create::{taken, worst};
use super::{Action, Standing, Verdict, wanted_name};
use crate::api::conditions::Reason;
use crate::api::lifecycle::Adoption;
use crate::api::status::ProfileState;
use crate::graph::RemoteProfile;
use crate::graph::wire::provider_kind;
use crate::reconcile::observation::{Namesake, Observation};

/// May the profile be taken over? To be asked only with a fresh list.
pub(super) fn decide(o: &Observation, adoption: &Adoption) -> Verdict {
    let candidate = match candidate(o, adoption) {
        Ok(candidate) => candidate,
        Err(message) => return failed(message),
    };
    let profile = &candidate.profile;
    if candidate.claimed_by.is_some() {
        return taken(o, candidate);
    }
    if profile.state == ProfileState::Deleting {
        return failed(format!(
            "Microsoft Graph is deleting the profile {}. Take spec.adopt out to have a new one created, or name another profile.",
            profile.id
        ));
    }
    if let Some(message) = mismatch(o, profile) {
        return failed(message);
    }
    // It gets our name with the first update, so that name must be free.
    let wanted = wanted_name(o);
    let others = o.namesakes.iter().filter(|n| n.profile.name == wanted && n.profile.id != profile.id);
    worst(others)
        .map_or_else(|| Verdict::act(Action::Adopt { id: profile.id.clone() }), |namesake| taken(o, namesake))
}

fn candidate<'a>(o: &'a Observation, adoption: &Adoption) -> Result<&'a Namesake, String> {
    if let Some(id) = &adoption.profile_id {
        return o.adoptee.as_ref().ok_or_else(|| {
            format!("The tenant has no profile with the id {id}. Correct spec.adopt.profileId, or take spec.adopt out to have a profile created.")
        });
    }
    let wanted = wanted_name(o);
    let name = &o.resource.spec.display_name;
    let free: Vec<&Namesake> = o
        .namesakes
        .iter()
        .filter(|n| n.profile.name == wanted && n.claimed_by.is_none())
        .filter(|n| n.profile.state != ProfileState::Deleting)
        .collect();
    match free.as_slice() {
        [one] => Ok(one),
        [] => Err(format!(
            "The tenant has no profile named \"{name}\" that belongs to no resource. Name it by spec.adopt.profileId, or take spec.adopt out to have a profile created."
        )),
        several => {
            let ids: Vec<&str> = several.iter().map(|n| n.profile.id.as_str()).collect();
            Err(format!(
                "The tenant has several profiles named \"{name}\": {}. Name one of them by spec.adopt.profileId.",
                ids.join(", ")
            ))
        }
    }
}

/// What cannot be changed must fit.
fn mismatch(o: &Observation, profile: &RemoteProfile) -> Option<String> {
    let wanted = provider_kind(&o.resource.spec.data_provider);
    (profile.data_provider != Some(wanted)).then(|| {
        format!(
            "The profile {} has another kind of data provider than spec.dataProvider, and keeps it for ever. Correct spec.dataProvider, or name another profile.",
            profile.id
        )
    })
}

fn failed(message: String) -> Verdict {
    Verdict::watching(Standing::Stalled(Reason::AdoptionFailed, message), false)
}
