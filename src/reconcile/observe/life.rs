//! Which profiles are known to be alive, so that a list without them is suspicious. It only takes note.

use jiff::Timestamp;

use super::{binding, place};
use crate::api::EducationSyncProfile;
use crate::graph::RemoteProfile;
use crate::poller::Snapshot;
use crate::reconcile::claims::{Claims, Tenant};
use crate::reconcile::decide::ABSENCES_THAT_PROVE;
use crate::reconcile::observation::{Memory, is_alive, is_confirmed_gone};
use crate::reconcile::trust::Trust;

/// What has been seen of the profile of a resource.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The profile, as the list shows it.
    pub(super) bound: Option<&'a RemoteProfile>,
    /// Is the list one of a service that has lost everything?
    pub(super) is_lost: bool,
    pub(super) memory: &'a Memory,
}

/// Is the list one of a service that has lost its profiles, as far as can be told?
pub(in crate::reconcile) fn is_lost(claims: &Claims, tenant: &Tenant, list: &Snapshot) -> bool {
    claims.is_lost(tenant, list.began, list.profiles.is_empty(), |id| list.profiles.contains_key(id))
}

/// Notes for the judgement of lists whether the profile of a resource is known to be alive.
pub(super) fn note_life(
    claims: &Claims,
    resource: &EducationSyncProfile,
    trust: &Trust,
    tenant: Option<&Tenant>,
    Seen { bound, is_lost, memory }: Seen<'_>,
    now: Timestamp,
) {
    let Some(binding) = binding(resource).filter(|_| *trust == Trust::Own) else {
        // Nobody follows what the status does not name (any more), so nobody would hear of its end.
        claims.set_all_going(resource.metadata.uid.as_deref().unwrap_or_default());
        return;
    };
    let (place, id) = (place(binding), binding.profile_id.as_str());
    let is_going = match bound {
        // What nobody can look at is not known to be alive.
        _ if tenant != Some(&place) => true,
        Some(bound) => !is_alive(bound.state) || memory.delete_sent.is_some(),
        // Also when it has just been claimed anew by what the status says: that it is gone could not be written.
        // A service that has lost everything says 404 of all. Who creates nothing by that may go by it, and who says that
        // it is right.
        None => {
            let is_wanted = resource.metadata.deletion_timestamp.is_some()
                || resource.spec.is_observed_only()
                || is_confirmed_gone(resource, id);
            memory.absences >= ABSENCES_THAT_PROVE && (!is_lost || is_wanted)
        }
    };
    if is_going {
        claims.set_going(&place, id);
    } else if bound.is_some() || is_known_alive(resource, memory, is_lost) {
        // Without a list that shows it: it may have counted as going while its connection could not be used.
        claims.set_alive(&place, id, now);
    }
}

/// Was the profile there when it was last looked at, and was nothing done or proven since that ends it?
fn is_known_alive(resource: &EducationSyncProfile, memory: &Memory, is_lost: bool) -> bool {
    let state = resource.status.as_ref().and_then(|status| status.state);
    memory.seen
        && memory.delete_sent.is_none()
        && (memory.absences == 0 || is_lost)
        && resource.metadata.deletion_timestamp.is_none()
        && state.is_some_and(is_alive)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::super::{owner, record};
    use super::*;
    use crate::api::lifecycle::ManagementPolicy;
    use crate::reconcile::claims::tests::owner as owner_named;

    fn seen<'a>(bound: Option<&'a RemoteProfile>, memory: &'a Memory) -> Seen<'a> {
        Seen { bound, is_lost: false, memory }
    }

    /// A resource with a profile, its tenant, and the time.
    fn bound() -> (EducationSyncProfile, Tenant, Timestamp) {
        let resource: EducationSyncProfile = serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
            "metadata": {"name": "contoso", "namespace": "n", "uid": "u"},
            "spec": {
                "displayName": "Contoso", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}
            },
            "status": {"state": "provisioned", "binding": {
                "uid": "u", "endpoint": "https://graph.example", "tenantId": "t", "profileId": "p",
                "displayName": "Contoso"
            }}
        }))
        .unwrap();
        let tenant = place(binding(&resource).unwrap());
        (resource, tenant, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_profile_that_the_list_shows_as_going_is_not_known_to_be_alive() {
        let (resource, tenant, now) = bound();
        let claims = Claims::default();
        record(&claims, &resource, &owner(&resource), now);
        let memory = Memory { seen: true, ..Memory::default() };
        let alive = |state: &str| {
            let listed = RemoteProfile::read(&json!({"id": "p", "state": state})).unwrap();
            note_life(&claims, &resource, &Trust::Own, Some(&tenant), seen(Some(&listed), &memory), now);
            claims.alive(&tenant, now, |_| false).0
        };
        assert_eq!((alive("provisioned"), alive("deleting"), alive("provisioned")), (1, 0, 1));
        note_life(&claims, &resource, &Trust::Own, None, seen(None, &memory), now);
        assert_eq!(claims.alive(&tenant, now, |_| false).0, 0, "nobody can look at it");
        note_life(&claims, &resource, &Trust::Own, Some(&tenant), seen(None, &memory), now);
        assert_eq!(claims.alive(&tenant, now, |_| false).0, 1, "a list without it is suspicious again");
    }

    #[test]
    fn what_is_proven_gone_is_not_alive_for_what_the_status_still_says() {
        let (resource, tenant, now) = bound();
        let alive = |absences: u32| {
            let claims = Claims::default();
            record(&claims, &resource, &owner(&resource), now);
            let memory = Memory { seen: true, absences, ..Memory::default() };
            note_life(&claims, &resource, &Trust::Own, Some(&tenant), seen(None, &memory), now);
            claims.alive(&tenant, now, |_| false).0
        };
        assert_eq!((alive(1), alive(ABSENCES_THAT_PROVE)), (1, 0));
    }

    /// Else a new profile would be created, or this one anew, and there are two when the service has found them again.
    #[test]
    fn what_a_service_says_that_has_lost_everything_ends_no_life_but_for_who_wants_that() {
        let alive = |change: &dyn Fn(&mut EducationSyncProfile)| {
            let (mut resource, tenant, now) = bound();
            let claims = Claims::default();
            record(&claims, &resource, &owner(&resource), now);
            change(&mut resource);
            let memory = Memory { seen: true, absences: 9, ..Memory::default() };
            let seen = Seen { bound: None, is_lost: true, memory: &memory };
            note_life(&claims, &resource, &Trust::Own, Some(&tenant), seen, now);
            claims.alive(&tenant, now, |_| false).0
        };
        let confirm = |resource: &mut EducationSyncProfile, id: &str| {
            let confirmed = [("edusync.dev/confirm-gone".to_owned(), id.to_owned())];
            resource.metadata.annotations = Some(confirmed.into());
        };
        assert_eq!(alive(&|_| ()), 1);
        assert_eq!(alive(&|resource| confirm(resource, "another")), 1);
        assert_eq!(alive(&|resource| confirm(resource, "p")), 0);
        assert_eq!(alive(&|resource| resource.spec.management_policy = Some(ManagementPolicy::Observe)), 0);
        assert_eq!(
            alive(&|resource| resource.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH))),
            0
        );
    }

    #[test]
    fn a_list_is_lost_that_shows_nothing_of_what_is_alive() {
        let (tenant, now) = (bound().1, Timestamp::UNIX_EPOCH);
        let is_lost = |alive: &[&str], listed: &[&str]| {
            let claims = Claims::default();
            for (number, id) in alive.iter().enumerate() {
                claims.claim_profile(&tenant, id, &owner_named(&format!("u{number}"), 0), Some(now));
            }
            let list = |id: &&str| RemoteProfile::read(&json!({"id": id, "state": "provisioned"})).unwrap();
            let profiles = listed.iter().map(list).map(|profile| (profile.id.clone(), profile)).collect();
            is_lost(&claims, &tenant, &Snapshot::new(now, now, profiles))
        };
        assert!(is_lost(&["a"], &[]) && is_lost(&["a", "b"], &[]) && is_lost(&["a", "b"], &["x"]));
        assert!(!is_lost(&[], &[]) && !is_lost(&["a"], &["x"]) && !is_lost(&["a", "b"], &["a", "x"]));
    }

    /// That one of two is deleted or confirmed says nothing of the other.
    #[test]
    fn it_stays_lost_until_one_is_listed_or_none_is_missed() {
        let (tenant, now, claims) = (bound().1, Timestamp::UNIX_EPOCH, Claims::default());
        for (uid, id) in [("u", "a"), ("v", "b")] {
            claims.claim_profile(&tenant, id, &owner_named(uid, 0), Some(now));
        }
        let is_lost = |listed: &str| {
            let profile = RemoteProfile::read(&json!({"id": listed, "state": "provisioned"})).unwrap();
            is_lost(&claims, &tenant, &Snapshot::new(now, now, [(listed.to_owned(), profile)].into()))
        };
        assert!(is_lost("x"));
        claims.set_going(&tenant, "a");
        claims.claim_profile(&tenant, "x", &owner_named("w", 0), Some(now));
        assert!(is_lost("x"), "that somebody takes over what is there is no news of the others");
        assert!(!is_lost("b") && !is_lost("x"), "it was there, so that it may be deleted");
        claims.set_going(&tenant, "x");
        assert!(!is_lost("y"), "one alone may be deleted");
    }

    /// Another application may look at the same tenant, and more seldom.
    #[test]
    fn an_older_list_does_not_end_a_loss() {
        let (resource, tenant, early) = bound();
        let (claims, late) = (Claims::default(), Timestamp::from_second(60).unwrap());
        record(&claims, &resource, &owner(&resource), early);
        let own = || RemoteProfile::read(&json!({"id": "p", "state": "provisioned"})).unwrap();
        let full = |at| Snapshot::new(at, at, [("p".to_owned(), own())].into());
        assert!(is_lost(&claims, &tenant, &Snapshot::new(late, late, [].into())));
        assert!(is_lost(&claims, &tenant, &full(early)) && !is_lost(&claims, &tenant, &full(late)));
    }
}
