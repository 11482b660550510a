//! Creates a profile: the protocol that makes exactly one, and what becomes of a lost answer.

use std::sync::Arc;
use std::time::Duration;

use super::{AFTER_CONFLICT, Done, hold, hold_connection, list_is_old, not_now, refused, set_back};
use crate::api::EducationSyncProfile;
use crate::api::conditions::whole_seconds;
use crate::api::status::CreationAttempt;
use crate::graph::name::NameKey;
use crate::graph::wire::{create_body, identity_kind, provider_kind};
use crate::graph::{Certainty, GraphError};
use crate::reconcile::claims::Owner;
use crate::reconcile::cluster::{Cluster, ClusterError};
use crate::reconcile::observation::Observation;
use crate::reconcile::observe::owner;
use crate::reconcile::report::{self, Asked, Decided, Report};
use crate::reconcile::{Context, Next, store};
use crate::upstream::Upstream;

/// The protocol of a create: finalizers, name, token, intent, POST, id.
pub(super) async fn create<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
) -> Result<Done, ClusterError> {
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    let owner = owner(&o.resource);
    let name = NameKey::of(&o.resource.spec.display_name);
    // In this order: whoever lets the connection go looks for our finalizer first.
    let held = hold(context, &o.resource).await?;
    hold_connection(context, &o.resource).await?;
    if !context.claims.establish(&upstream.facts.tenant, &name, &owner) {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    }
    if let Some(later) = list_is_old(context, o, upstream) {
        return Ok(later);
    }
    let attempt = attempt(context, o, upstream);
    let intent = Report { status: report::intent(o, &attempt), notices: Vec::new() };
    let recorded = match store::record(context, &held, intent).await {
        Ok(recorded) => recorded,
        Err(ClusterError::Conflict) => return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT))),
        Err(error) => return Err(error),
    };
    let body = create_body(&o.resource.spec, upstream.facts.dialect, o.source_secret.value());
    let deadline = context.settings.request_timeout;
    let sent = upstream.writes.create(admission, &body, &attempt.attempt, deadline).await;
    let now = context.clock.now();
    match sent {
        Ok(profile) => {
            context.claims.claim_profile(&upstream.facts.tenant, &profile.id, &owner, None);
            context.remember(&owner.uid, |memory| {
                memory.turn_to(Some(&profile.id));
                (memory.bound_at, memory.told_at) = (Some(now), Some(now));
                memory.setback = None;
            });
            tracing::debug!(profile = profile.id, attempt = attempt.attempt, "created the profile");
            let decided = Decided::by(o);
            store::fact(context, &recorded, move |latest| {
                report::created(latest, &decided, &attempt, &profile, now)
            })
            .await;
            Ok(Done::LookAgain(Next::Again))
        }
        Err(error) => Ok(not_created(context, o, &recorded, upstream, attempt, error).await),
    }
}

async fn not_created<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    recorded: &Arc<EducationSyncProfile>,
    upstream: &Upstream,
    attempt: CreationAttempt,
    error: GraphError,
) -> Done {
    let now = context.clock.now();
    let decided = Decided::by(o);
    tracing::warn!(attempt = attempt.attempt, %error, "the create did not succeed");
    match error.certainty() {
        Certainty::No => {
            let asked = Asked::Create(Box::new(attempt));
            refused(context, recorded, upstream, (decided, asked), error).await
        }
        Certainty::Later(wait) => {
            let wait = set_back(context, &attempt.uid, wait);
            let not_sent = move |latest: &_| report::not_sent(latest, &decided, &attempt, &error, now);
            store::fact(context, recorded, not_sent).await;
            Done::LookAgain(Next::In(wait))
        }
        // The attempt stays open: the next pass looks for what came of it.
        Certainty::Unknown => Done::LookAgain(Next::Again),
    }
}

fn attempt<C: Cluster>(context: &Context<C>, o: &Observation, upstream: &Upstream) -> CreationAttempt {
    let now = context.clock.now();
    // The POST ends with its deadline; the rest is for the write of the intent itself.
    let span = context.settings.request_timeout + Duration::from_secs(15);
    let spec = &o.resource.spec;
    CreationAttempt {
        attempt: uuid::Uuid::new_v4().to_string(),
        uid: o.uid().to_owned(),
        endpoint: upstream.facts.tenant.endpoint.to_string(),
        tenant_id: upstream.facts.tenant.tenant_id.to_string(),
        display_name: spec.display_name.clone(),
        data_provider: provider_kind(&spec.data_provider),
        identity_synchronization_configuration: identity_kind(&spec.identity_synchronization_configuration),
        not_after: whole_seconds(now.saturating_add(span).unwrap_or(now)),
    }
}

/// Takes a profile over that an attempt without an answer has made.
pub(super) async fn bind<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    id: &str,
) -> Result<Done, ClusterError> {
    // A list that is behind may still have one of this name that has gone, and not yet the one that was made.
    let profile = match upstream.reads.get(id).await {
        Ok(Some(profile)) => profile,
        Ok(None) => {
            upstream.poller.ask();
            return Ok(Done::LookAgain(Next::In(set_back(context, o.uid(), None))));
        }
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    let owner: Owner = owner(&o.resource);
    if context.claims.claim_profile(&upstream.facts.tenant, id, &owner, None).is_some() {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    }
    tracing::debug!(profile = id, "found the profile of an attempt without an answer");
    let now = context.clock.now();
    context.remember(o.uid(), |memory| {
        memory.turn_to(Some(id));
        memory.told_at = Some(now);
        memory.setback = None;
    });
    store::view(context, o, report::found(o, &profile)).await?;
    Ok(Done::LookAgain(Next::Again))
}
