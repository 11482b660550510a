//! The one place that writes a status.
//!
//! A *view* (what the conditions say) is written against the version that it was decided on. A
//! *fact* (what was done to Graph) is written until it is stored: whoever starts next must know it.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::cluster::{Cluster, ClusterError, Key};
use super::observation::Observation;
use super::observe::give_up_names;
use super::report::Report;
use crate::api::EducationSyncProfile;
use crate::metrics::resources::ready_after;

/// Writes what was decided, and publishes its events.
///
/// # Errors
/// A conflict when the resource is not the one that was decided on; then nothing is written.
pub async fn view<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    report: Report,
) -> Result<(), ClusterError> {
    let Report { status, notices } = report;
    if o.resource.status.as_ref() != Some(&status) {
        let written = context.cluster.write_status(&o.resource, status).await?;
        settled(context, &o.resource, &written);
    }
    for notice in notices {
        context.cluster.publish(&o.resource, notice).await;
    }
    Ok(())
}

/// What follows from a status that is stored.
fn settled<C>(context: &Context<C>, before: &EducationSyncProfile, written: &EducationSyncProfile) {
    give_up_names(&context.claims, written);
    if let Some(after) = ready_after(before, written) {
        context.metrics.ready(after);
    }
}

/// Writes a fact, on whatever version the resource has by now, until it is stored. It gives up only
/// when the resource is another one or gone: then nobody is left who could own the fact.
pub async fn fact<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
    report: impl Fn(&EducationSyncProfile) -> Report,
) {
    let key = Key::of(&**resource);
    let mut latest = Arc::clone(resource);
    let mut pause = Duration::from_millis(200);
    loop {
        let Report { status, notices } = report(&latest);
        if latest.status.as_ref() == Some(&status) {
            for notice in notices {
                context.cluster.publish(&latest, notice).await;
            }
            return;
        }
        match context.cluster.write_status(&latest, status).await {
            Ok(written) => {
                settled(context, &latest, &written);
                for notice in notices {
                    context.cluster.publish(&written, notice).await;
                }
                return;
            }
            Err(ClusterError::Conflict) => {}
            Err(error) => {
                tracing::error!(%error, "cannot store what was done to Graph; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
        match context.cluster.fetch_profile(&key).await {
            Ok(newer) if newer.metadata.uid == resource.metadata.uid => latest = newer,
            Ok(_) | Err(ClusterError::NotFound) => {
                tracing::error!("the resource is gone, and with it the record of what was done to Graph");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the resource that what was done to Graph is to be stored in; trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
}
