//! May the status of a resource be believed? It may have been copied, restored, or edited.
//!
//! What is not to be trusted is never acted on. It only reads; what follows is decided in [`super::decide`].

use std::sync::Arc;

use super::Context;
use super::claims::Claims;
use super::cluster::{Cluster, Key};
use super::observation::is_own;
use super::observe::place;
use crate::api::EducationSyncProfile;
use crate::api::conditions::{READY, Reason};
use crate::api::status::EducationSyncProfileStatus;

/// May the status of a resource be believed?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// edusync wrote it for this object.
    #[default]
    Own,
    /// It was written for another object, which was copied or restored as this one.
    Foreign,
    /// Somebody has put another profile into it than the one that this process has bound.
    Edited {
        /// Id of the profile that is bound.
        bound: String,
    },
}

/// The newest version of a resource, and whether its status may be believed.
///
/// A person who names a profile in spec.adopt says what the status cannot: then what is not to be trusted
/// counts as not there, and the next write takes it away.
pub(super) fn read<C: Cluster>(
    context: &Context<C>,
    key: &Key,
) -> Option<(Arc<EducationSyncProfile>, Trust)> {
    let resource = context.cluster.profile(key)?;
    let trust = trust(&context.claims, &resource);
    if trust == Trust::Own || resource.spec.adopt.is_none() || resource.metadata.deletion_timestamp.is_some()
    {
        return Some((resource, trust));
    }
    let mut fresh = (*resource).clone();
    fresh.status = Some(EducationSyncProfileStatus::default());
    Some((Arc::new(fresh), Trust::Own))
}

/// Does the status say of itself that it is not to be trusted?
pub(super) fn was_not_trusted(status: &EducationSyncProfileStatus) -> bool {
    let word = Reason::StatusNotTrusted.as_str();
    status.conditions.iter().any(|condition| condition.type_ == READY && condition.reason == word)
}

fn trust(claims: &Claims, resource: &EducationSyncProfile) -> Trust {
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    let Some(status) = &resource.status else { return Trust::Own };
    if !is_own(status, uid) {
        return Trust::Foreign;
    }
    let Some(binding) = &status.binding else { return Trust::Own };
    let tenant = place(binding);
    if claims.has_profile(&tenant, &binding.profile_id, uid) {
        return Trust::Own;
    }
    match claims.profile_of(&tenant, uid) {
        Some(bound) => Trust::Edited { bound: bound.to_string() },
        // It was found out before a restart, after which nobody knows what is bound.
        None if was_not_trusted(status) => Trust::Foreign,
        None => Trust::Own,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::super::observe::{owner, record};
    use super::*;

    fn resource(status: &Value) -> EducationSyncProfile {
        serde_json::from_value(json!({
            "apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
            "metadata": {"name": "contoso", "namespace": "n", "uid": "u"},
            "spec": {
                "displayName": "Contoso", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}
            },
            "status": status
        }))
        .unwrap()
    }

    fn bound(uid: &str, id: &str) -> Value {
        json!({"binding": {
            "uid": uid, "endpoint": "https://graph.example", "tenantId": "t", "profileId": id,
            "displayName": "Contoso"
        }})
    }

    #[test]
    fn a_status_is_believed_if_it_is_of_this_object_and_of_what_is_bound() {
        let claims = Claims::default();
        let trust = |status: &Value| trust(&claims, &resource(status));
        assert_eq!(trust(&json!({})), Trust::Own);
        assert_eq!(trust(&bound("u", "p")), Trust::Own, "nothing is known that speaks against it");
        assert_eq!(trust(&bound("old", "p")), Trust::Foreign, "copied or restored");
        let own = resource(&bound("u", "p"));
        record(&claims, &own, &owner(&own), Timestamp::UNIX_EPOCH);
        assert_eq!(trust(&bound("u", "p")), Trust::Own);
        assert_eq!(trust(&bound("u", "q")), Trust::Edited { bound: "p".to_owned() });
    }

    /// Right after a restart nobody knows what was bound; the status itself says that it was found out.
    #[test]
    fn what_was_found_out_before_a_restart_is_not_forgotten() {
        let mut status = bound("u", "q");
        status["conditions"] = json!([{
            "type": "Ready", "status": "False", "reason": "StatusNotTrusted", "message": "",
            "lastTransitionTime": "2026-11-22T00:00:00Z"
        }]);
        assert_eq!(trust(&Claims::default(), &resource(&status)), Trust::Foreign);
    }
}
