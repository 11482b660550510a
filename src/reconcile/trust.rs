//! May the status of a resource be believed? It may have been copied, restored, or edited.
//!
//! What is not to be trusted is never acted on. It only reads; what follows is decided in [`super::decide`].

use std::sync::Arc;

use super::Context;
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
    let trust = trust(context, &resource);
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

fn trust<C: Cluster>(context: &Context<C>, resource: &EducationSyncProfile) -> Trust {
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    let Some(status) = &resource.status else { return Trust::Own };
    if !is_own(status, uid) {
        return Trust::Foreign;
    }
    let Some(binding) = &status.binding else { return Trust::Own };
    let tenant = place(binding);
    if context.claims.has_profile(&tenant, &binding.profile_id, uid) {
        return Trust::Own;
    }
    match context.claims.profile_of(&tenant, uid) {
        Some(bound) => Trust::Edited { bound },
        // It was found out before a restart, after which nobody knows what is bound.
        None if was_not_trusted(status) => Trust::Foreign,
        None => Trust::Own,
    }
}
