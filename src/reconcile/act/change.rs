//! Changes of a profile that is there: take it over, update it, forget one that is gone.

use std::sync::Arc;

use super::{AFTER_CONFLICT, Done, hold, hold_connection, list_is_old, not_now, refused, set_back};
use crate::graph::client::Updated;
use crate::graph::name::NameKey;
use crate::graph::wire::update_bodies;
use crate::graph::{Certainty, GraphError};
use crate::reconcile::cluster::{Cluster, ClusterError};
use crate::reconcile::observation::Observation;
use crate::reconcile::observe::owner;
use crate::reconcile::report::{self, Asked, Decided};
use crate::reconcile::{Context, Next, store};
use crate::upstream::Upstream;

/// Takes over the profile that spec.adopt names.
pub(super) async fn adopt<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    id: &str,
) -> Result<Done, ClusterError> {
    let adoptee = o.adoptee.iter().chain(&o.namesakes).find(|candidate| candidate.profile.id == id);
    let Some(adoptee) = adoptee else {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    };
    let mut held = Arc::clone(&o.resource);
    if !o.resource.spec.is_observed_only() {
        // Who only observes deletes nothing, so nothing has to wait for it.
        held = hold(context, &o.resource).await?;
        hold_connection(context, &o.resource).await?;
    }
    let owner = owner(&o.resource);
    let before = context.claims.profile_of(&upstream.facts.tenant, o.uid());
    if context.claims.claim_profile(&upstream.facts.tenant, id, &owner, None).is_some() {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    }
    let report = report::adopted(o, &upstream.facts.tenant, &adoptee.profile);
    match store::record(context, &held, report).await {
        Ok(_) => {
            tracing::debug!(profile = id, "took the profile over");
            Ok(Done::LookAgain(Next::Again))
        }
        // What was not recorded is not ours: the spec may name another profile by now.
        Err(error) => {
            if before.as_deref() != Some(id) {
                context.claims.release_profile(&upstream.facts.tenant, id, o.uid());
            }
            if let Some(before) = before {
                // What this process knows to be ours stays so: a status that says otherwise was edited.
                context.claims.claim_profile(&upstream.facts.tenant, &before, &owner, None);
            }
            match error {
                ClusterError::Conflict => Ok(Done::LookAgain(Next::In(AFTER_CONFLICT))),
                error => Err(error),
            }
        }
    }
}

/// Forgets a profile that is proven gone.
pub(super) async fn forget<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
) -> Result<Done, ClusterError> {
    if let Some(binding) = &o.status().binding {
        context.claims.release_profile(&upstream.facts.tenant, &binding.profile_id, o.uid());
    }
    store::view(context, o, report::vanished(o)).await?;
    Ok(Done::LookAgain(Next::Again))
}

/// Gives Graph what the manifest says. It can be repeated: the same update leaves the same profile.
pub(super) async fn update<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    fields: &[String],
    cleared: &[String],
) -> Result<Done, ClusterError> {
    let (Some(profile), Some(binding)) = (&o.bound, &o.status().binding) else {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    };
    let name = NameKey::of(&o.resource.spec.display_name);
    let is_renamed = name != NameKey::of(&binding.display_name);
    if is_renamed && !context.claims.establish(&upstream.facts.tenant, &name, &owner(&o.resource)) {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    }
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    if let Some(later) = list_is_old(context, o, upstream) {
        return Ok(later);
    }
    let secret = o.source_secret.value();
    let bodies =
        update_bodies(&o.resource.spec, upstream.facts.dialect, secret, &profile.configuration, cleared);
    let answer = upstream.writes.update(admission, &binding.profile_id, &bodies).await;
    let now = context.clock.now();
    let decided = Decided::by(o);
    match answer {
        Ok(Updated::Accepted(updated)) => {
            context.remember(o.uid(), |memory| {
                (memory.updated_at, memory.updated_generation) = (Some(now), o.generation());
                memory.setback = None;
            });
            tracing::debug!(profile = binding.profile_id, ?fields, ?cleared, "updated the profile");
            let (fields, cleared) = (fields.to_vec(), cleared.to_vec());
            store::fact(context, &o.resource, move |latest| {
                report::updated(latest, &decided, (&fields, &cleared), updated.as_deref(), now)
            })
            .await;
            upstream.poller.ask();
            Ok(Done::LookAgain(Next::Again))
        }
        // The next lists tell whether it is gone.
        Ok(Updated::NotFound) => {
            upstream.poller.ask();
            Ok(Done::LookAgain(Next::In(set_back(context, o.uid(), None))))
        }
        Err(error) => Ok(not_updated(context, o, upstream, decided, error).await),
    }
}

async fn not_updated<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    decided: Decided,
    error: GraphError,
) -> Done {
    let now = context.clock.now();
    tracing::warn!(%error, "the update did not succeed");
    match error.certainty() {
        Certainty::No => refused(context, &o.resource, upstream, (decided, Asked::Update), error).await,
        Certainty::Later(wait) => Done::LookAgain(Next::In(set_back(context, o.uid(), wait))),
        Certainty::Unknown => {
            // It may have been carried out, and lists may be behind it.
            context.remember(o.uid(), |memory| {
                (memory.updated_at, memory.updated_generation) = (Some(now), o.generation());
            });
            upstream.poller.ask();
            store::fact(context, &o.resource, move |latest| report::tried(latest, &decided, &error)).await;
            Done::LookAgain(Next::In(context.settings.probe_interval))
        }
    }
}
