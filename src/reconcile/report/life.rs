//! Reports of what becomes of a profile that is there: taken over, updated, vanished.

use jiff::Timestamp;

use super::{Decided, Report, conditions, normal, set_further, statement, warning};
use crate::api::EducationSyncProfile;
use crate::api::conditions::{DRIFTED, Reason};
use crate::api::status::{Binding, HandledTriggers, UnacceptedUpdate};
use crate::graph::RemoteProfile;
use crate::graph::wire::{applied_fields, wanted};
use crate::reconcile::claims::Tenant;
use crate::reconcile::decide::{following, is_as_wanted};
use crate::reconcile::observation::Observation;

/// A profile has been taken over.
#[must_use]
pub fn adopted(o: &Observation, tenant: &Tenant, profile: &RemoteProfile) -> Report {
    let mut status = o.status().clone();
    status.binding = Some(Binding {
        uid: o.uid().to_owned(),
        endpoint: tenant.endpoint.to_string(),
        tenant_id: tenant.tenant_id.to_string(),
        profile_id: profile.id.clone(),
        display_name: profile.display_name.clone(),
    });
    status.refusal = None;
    status.earlier_creations.clear();
    // What the user never sent is not cleared, unless it is what the manifest says anyway.
    status.applied_fields.clear();
    if is_as_wanted(o, profile) && !o.resource.spec.is_observed_only() {
        status.applied_fields = applied_fields(&wanted(&o.resource.spec));
    }
    status.expiration_date = profile.expiration_date();
    status.applied_secret_version = None;
    status.unaccepted = None;
    // Whoever paused it, it was not this resource.
    status.paused_by_manifest = None;
    status.state = Some(profile.state);
    // Values that are there from the beginning ask for nothing.
    let decided = Decided::by(o);
    status.handled_triggers = decided.triggers();
    decided.answer(&mut status);
    let note =
        format!("Took over the profile {} of tenant {}, as spec.adopt says.", profile.id, tenant.tenant_id);
    let mut notices = vec![normal("Adopted", "Adopt", note)];
    notices.extend(conditions(&mut status, &following(profile.state), o.generation(), o.now));
    Report { status, notices }
}

/// The profile is gone; another one will be created.
#[must_use]
pub fn vanished(o: &Observation) -> Report {
    let mut status = o.status().clone();
    let mut notices = Vec::new();
    if let Some(binding) = status.binding.take() {
        let what_now = match &o.resource.spec.adopt {
            Some(_) => "None is created while spec.adopt is set.",
            None => "It is created anew.",
        };
        let note = format!(
            "The profile {} is gone from Microsoft Graph: somebody deleted it. {what_now}",
            binding.profile_id
        );
        notices.push(warning("ProfileVanished", "Follow", note));
    }
    status.state = None;
    // It was of the profile that is gone; the next one has not been refused yet.
    status.refusal = None;
    status.sync = None;
    status.errors.clear();
    status.applied_fields.clear();
    status.applied_secret_version = None;
    status.unaccepted = None;
    status.expiration_date = None;
    status.paused_by_manifest = None;
    Report { status, notices }
}

/// Graph has accepted an update.
#[must_use]
pub fn updated(
    latest: &EducationSyncProfile,
    decided: &Decided,
    (fields, cleared): (&[String], &[String]),
    answered: Option<&RemoteProfile>,
    now: Timestamp,
) -> Report {
    let mut status = latest.status.clone().unwrap_or_default();
    decided.answer(&mut status);
    status.refusal = None;
    status.applied_fields.clone_from(&decided.applied_fields);
    status.applied_secret_version.clone_from(&decided.secret_version);
    let before = status
        .unaccepted
        .take()
        .filter(|before| before.generation == decided.generation && before.fields == fields);
    status.unaccepted = (!fields.is_empty()).then(|| UnacceptedUpdate {
        fields: fields.to_vec(),
        generation: decided.generation,
        updates: before.map_or(1, |before| before.updates.saturating_add(1)),
    });
    let mut id = String::new();
    if let Some(binding) = &mut status.binding {
        binding.display_name.clone_from(&decided.display_name);
        id.clone_from(&binding.profile_id);
    }
    let mut notices = vec![normal("Updated", "Update", sentence(&id, fields, cleared))];
    let differed: Vec<&str> = fields.iter().chain(cleared).map(String::as_str).collect();
    // A manifest that was just changed is no drift.
    let was_seen = latest.status.as_ref().and_then(|status| status.observed_generation);
    if !differed.is_empty() && was_seen == Some(decided.generation) {
        // The event has told it; the condition stays until a list shows that it lasts.
        let message = format!(
            "The profile in Microsoft Graph differed from the manifest in {}; edusync has sent the correction.",
            differed.join(", ")
        );
        let drifted = statement(true, Reason::Differs, &message);
        set_further(&mut status.conditions, DRIFTED, Some(&drifted), decided.generation, now);
    }
    if let Some(profile) = answered {
        status.state = Some(profile.state);
        status.expiration_date = profile.expiration_date();
        notices.extend(conditions(&mut status, &following(profile.state), decided.generation, now));
    }
    Report { status, notices }
}

fn sentence(id: &str, fields: &[String], cleared: &[String]) -> String {
    let mut sentence = format!("Updated the profile {id}");
    if !fields.is_empty() {
        sentence.push_str(": changed ");
        sentence.push_str(&fields.join(", "));
    }
    if !cleared.is_empty() {
        sentence.push_str(if fields.is_empty() { ": cleared " } else { "; cleared " });
        sentence.push_str(&cleared.join(", "));
    }
    if fields.is_empty() && cleared.is_empty() {
        sentence.push_str(": sent it again");
    }
    sentence.push('.');
    sentence
}

impl Decided {
    pub(super) fn triggers(&self) -> Option<HandledTriggers> {
        Some(self.triggers.clone()).filter(|triggers| *triggers != HandledTriggers::default())
    }
}
