//! Which profiles are known to be alive, so that a list without them is suspicious. It only takes note.

use jiff::Timestamp;

use super::{binding, place};
use crate::api::EducationSyncProfile;
use crate::graph::RemoteProfile;
use crate::reconcile::claims::{Claims, Tenant};
use crate::reconcile::decide::ABSENCES_THAT_PROVE;
use crate::reconcile::observation::{Memory, is_alive};
use crate::reconcile::trust::Trust;

/// Notes for the judgement of lists whether the profile of a resource is known to be alive: `bound` is the
/// profile as the list shows it.
pub(super) fn note_life(
    claims: &Claims,
    resource: &EducationSyncProfile,
    trust: &Trust,
    tenant: Option<&Tenant>,
    (bound, memory): (Option<&RemoteProfile>, &Memory),
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
        None => memory.absences >= ABSENCES_THAT_PROVE,
    };
    if is_going {
        claims.set_going(&place, id);
    } else if bound.is_some() || is_known_alive(resource, memory) {
        // Without a list that shows it: it may have counted as going while its connection could not be used.
        claims.set_alive(&place, id, now);
    }
}

/// Was the profile there when it was last looked at, and was nothing done or proven since that ends it?
fn is_known_alive(resource: &EducationSyncProfile, memory: &Memory) -> bool {
    let state = resource.status.as_ref().and_then(|status| status.state);
    memory.seen
        && memory.delete_sent.is_none()
        && memory.absences == 0
        && resource.metadata.deletion_timestamp.is_none()
        && state.is_some_and(is_alive)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{owner, record};
    use super::*;

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
            note_life(&claims, &resource, &Trust::Own, Some(&tenant), (Some(&listed), &memory), now);
            claims.alive(&tenant, now, |_| false).0
        };
        assert_eq!((alive("provisioned"), alive("deleting"), alive("provisioned")), (1, 0, 1));
        note_life(&claims, &resource, &Trust::Own, None, (None, &memory), now);
        assert_eq!(claims.alive(&tenant, now, |_| false).0, 0, "nobody can look at it");
        note_life(&claims, &resource, &Trust::Own, Some(&tenant), (None, &memory), now);
        assert_eq!(claims.alive(&tenant, now, |_| false).0, 1, "a list without it is suspicious again");
    }

    #[test]
    fn what_is_proven_gone_is_not_alive_for_what_the_status_still_says() {
        let (resource, tenant, now) = bound();
        let alive = |absences: u32| {
            let claims = Claims::default();
            record(&claims, &resource, &owner(&resource), now);
            let memory = Memory { seen: true, absences, ..Memory::default() };
            note_life(&claims, &resource, &Trust::Own, Some(&tenant), (None, &memory), now);
            claims.alive(&tenant, now, |_| false).0
        };
        assert_eq!((alive(1), alive(ABSENCES_THAT_PROVE)), (1, 0));
    }
}
