//! The sentences of decisions: what happened, to which object, what to do.
//!
//! A sentence stays the same while the situation does, or the status would be written for ever.

use super::Standing;
use crate::api::conditions::Reason;
use crate::api::status::ProfileState;
use crate::auth::AuthError;
use crate::graph::GraphError;
use crate::reconcile::observation::{ConnectionFacts, Observation};
use crate::reconcile::trust::Trust;

/// What a state of the profile means for the resource.
pub(in crate::reconcile) fn following(state: ProfileState) -> Standing {
    match state {
        ProfileState::Provisioning => Standing::Waiting(
            Reason::Provisioning,
            "Microsoft Graph is setting the profile up.".to_owned(),
        ),
        ProfileState::Provisioned => {
            Standing::Ready(Reason::Provisioned, "The profile is set up.".to_owned())
        }
        ProfileState::ProvisioningFailed => Standing::Stalled(
            Reason::ProvisioningFailed,
            "Microsoft Graph could not set the profile up. Correct the manifest: the profile is then sent again. To have it sent again as it is: kubectl annotate educationsyncprofile NAME --overwrite reconcile.edusync.dev/requestedAt=\"$(date)\"".to_owned(),
        ),
        ProfileState::Deleting => Standing::Waiting(
            Reason::Deleting,
            "Microsoft Graph is deleting the profile.".to_owned(),
        ),
        ProfileState::DeletionFailed => Standing::Stalled(
            Reason::DeletionFailed,
            "Microsoft Graph could not delete the profile. edusync asks again every hour; spec.deletionPolicy: Retain lets the resource go and leaves the profile.".to_owned(),
        ),
        ProfileState::UnknownFutureValue => Standing::Waiting(
            Reason::Provisioning,
            "Microsoft Graph shows a state that this version of edusync does not know; it counts as in progress.".to_owned(),
        ),
    }
}

/// What a list that failed means for a resource that needs one.
pub(in crate::reconcile) fn failure(error: &GraphError) -> Standing {
    match error {
        GraphError::NoToken(error) if error.is_refusal() => {
            Standing::Stalled(Reason::CredentialsInvalid, credentials(error))
        }
        GraphError::Retired { .. } => Standing::Stalled(
            Reason::UpstreamRetired,
            "The API does not exist at this endpoint any more: Microsoft retired it on 2024-12-31. See the GraphConnection.".to_owned(),
        ),
        GraphError::Refused { status: 401, .. } => Standing::Stalled(
            Reason::Unauthorized,
            "Microsoft Graph does not accept the connection's token. See the GraphConnection.".to_owned(),
        ),
        GraphError::Refused { status: 403, .. } => Standing::Stalled(
            Reason::Forbidden,
            "Microsoft Graph does not permit the connection's credential to list profiles: an administrator has to grant EduAdministration.Read.All. See the GraphConnection.".to_owned(),
        ),
        GraphError::Throttled { .. } | GraphError::Waiting(_) => Standing::Waiting(
            Reason::Throttled,
            "Microsoft Graph asked to wait; edusync goes on by itself.".to_owned(),
        ),
        _ => Standing::Waiting(
            Reason::UpstreamUnavailable,
            "Microsoft Graph does not answer as it should; edusync tries again by itself. See the GraphConnection.".to_owned(),
        ),
    }
}

fn credentials(error: &AuthError) -> String {
    format!("No token: {}. See the GraphConnection.", error.remedy())
}

/// What Graph answered.
pub(in crate::reconcile) fn answer(status: u16, code: Option<&str>) -> String {
    code.map_or_else(|| format!("HTTP {status}"), |code| format!("HTTP {status} {code}"))
}

/// A definite refusal of a create, or of a delete.
pub(in crate::reconcile) fn refusal(
    status: u16,
    code: Option<&str>,
    connection: &ConnectionFacts,
    deleting: bool,
) -> (Reason, String) {
    let answer = answer(status, code);
    match status {
        403 if !connection.delegated => (
            Reason::Forbidden,
            format!(
                "Microsoft Graph does not permit this ({answer}): it lets only a signed-in administrator create and delete profiles, and the GraphConnection has no spec.delegated credential. Add one; edusync then goes on by itself."
            ),
        ),
        403 => (
            Reason::Forbidden,
            format!(
                "Microsoft Graph does not permit this ({answer}). The administrator behind the GraphConnection's delegated credential needs the permission EduAdministration.ReadWrite and a role that may manage School Data Sync. edusync asks again every hour."
            ),
        ),
        401 => (
            Reason::Unauthorized,
            format!(
                "Microsoft Graph does not accept the token of the GraphConnection ({answer}). Check its credentials. edusync asks again every hour."
            ),
        ),
        _ if deleting => (
            Reason::Rejected,
            format!(
                "Microsoft Graph refused to delete the profile ({answer}). edusync asks again every hour. status.refusal has the ids for a support case."
            ),
        ),
        _ => (
            Reason::Rejected,
            format!(
                "Microsoft Graph refused the profile ({answer}). Correct the spec: nothing is sent again before it changes. status.refusal has the ids for a support case."
            ),
        ),
    }
}

pub(super) fn would_create(o: &Observation) -> String {
    format!(
        "There is no profile \"{}\" in the tenant. edusync would create it, but spec.managementPolicy is Observe.",
        o.resource.spec.display_name
    )
}

pub(super) fn status_not_trusted(o: &Observation) -> String {
    let named = o.status().binding.as_ref().map(|binding| binding.profile_id.as_str());
    let what = match &o.trust {
        Trust::Edited { bound } => format!(
            "Somebody has changed status.binding of this resource, which has the profile {bound}. edusync touches neither that profile nor the one that is named now. To go on with the profile {bound}: put its id back, or set spec.adopt.profileId: {bound}, with a deletionPolicy."
        ),
        Trust::Own | Trust::Foreign => {
            "This resource carries the status of another object: it was copied or restored. edusync does not touch the profile named there.".to_owned()
        }
    };
    let adopt = named.map_or_else(String::new, |id| {
        format!(
            " To take over the profile {id}, which no other resource may have, in any cluster: spec.adopt.profileId: {id}, with a deletionPolicy."
        )
    });
    format!(
        "{what}{adopt} To start afresh: kubectl patch educationsyncprofile NAME --subresource=status --type=merge -p '{{\"status\":{{\"binding\":null,\"creation\":null,\"earlierCreations\":null}}}}'"
    )
}

pub(super) fn connection_changed(o: &Observation) -> String {
    let place = o
        .status()
        .binding
        .as_ref()
        .map(|b| (&b.endpoint, &b.tenant_id))
        .or_else(|| o.status().creation.as_ref().map(|c| (&c.endpoint, &c.tenant_id)));
    let place =
        place.map_or_else(String::new, |(endpoint, tenant)| format!(" (tenant {tenant} at {endpoint})"));
    let spec = &o.resource.spec;
    let namespace =
        spec.connection_namespace().map(|name| format!(" of the namespace {name}")).unwrap_or_default();
    format!(
        "The profile was created in another tenant or at another endpoint{place} than the connection {}{namespace} leads to. Name the old connection again, or delete this resource and apply it anew.",
        spec.connection_name()
    )
}

/// Added to what keeps a deletion from going on.
pub(in crate::reconcile) const HOW_TO_LET_GO: &str =
    " To let the resource go and leave the profile in Microsoft Graph: set spec.deletionPolicy to Retain.";
