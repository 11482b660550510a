//! The one place that writes a status.
//!
//! A *view* (what the conditions say) is written against the version that it was decided on. A
//! *fact* (what was done to Graph) is written until it is stored: whoever starts next must know it. As long as it
//! cannot be stored it is owed to its resource, and nothing is decided about that one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Context;
use super::cluster::{Cluster, ClusterError, Key};
use super::observation::Observation;
use super::observe::give_up_names;
use super::report::{Report, warning};
use crate::api::EducationSyncProfile;
use crate::metrics::resources::ready_after;

/// So often a fact is tried before its pass ends, which is one of few at once: others must not wait for what a person may
/// have to mend.
const TRIES: u32 = 5;
/// So often somebody else may write at the same moment. More often it is no chance.
const CONFLICTS: u32 = 3;

/// Time between two tries to store what is owed when the process ends.
const PAY_AGAIN: Duration = Duration::from_secs(1);

/// What was done, as it is said of the newest version.
type Fact = Arc<dyn Fn(&EducationSyncProfile) -> Report + Send + Sync>;

/// Facts by the uid of their resource, with the version of it that was known last.
type FactByUid = HashMap<String, (Arc<EducationSyncProfile>, Fact)>;

/// Facts that could not be stored so far.
#[derive(Default)]
pub struct Owed(Mutex<FactByUid>);

impl Owed {
    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn resources(&self) -> Vec<Arc<EducationSyncProfile>> {
        let mut resources: Vec<_> = self.lock().values().map(|(resource, _)| Arc::clone(resource)).collect();
        resources.sort_by_key(|resource| Key::of(&**resource));
        resources
    }

    fn lock(&self) -> MutexGuard<'_, FactByUid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

/// Writes what was decided, and publishes its events.
///
/// # Errors
/// A conflict when the resource is not the one that was decided on; then nothing is written.
pub async fn view<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    report: Report,
) -> Result<(), ClusterError> {
    record(context, &o.resource, report).await.map(drop)
}

/// The same of any version; returns the one that has it.
///
/// # Errors
/// As [`view`].
pub async fn record<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
    Report { status, notices }: Report,
) -> Result<Arc<EducationSyncProfile>, ClusterError> {
    let mut stored = Arc::clone(resource);
    if resource.status.as_ref() != Some(&status) {
        stored = context.cluster.write_status(resource, status).await?;
        settled(context, resource, &stored);
    }
    for notice in notices {
        context.cluster.publish(&stored, notice).await;
    }
    Ok(stored)
}

/// What follows from a status that is stored.
fn settled<C>(context: &Context<C>, before: &EducationSyncProfile, written: &EducationSyncProfile) {
    give_up_names(&context.claims, written);
    if let Some(after) = ready_after(before, written) {
        context.metrics.ready(after);
    }
}

/// Writes a fact, on whatever version the resource has by now, until it is stored. It gives up only
/// when the resource is another one or gone: then nobody is left who could own the fact. One that cannot be stored within
/// seconds is owed from then on.
pub async fn fact<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
    fact: impl Fn(&EducationSyncProfile) -> Report + Send + Sync + 'static,
) {
    let mut latest = Arc::clone(resource);
    let (mut pause, mut failures, mut conflicts) = (Duration::from_millis(200), 0, 0);
    loop {
        let error = match record(context, &latest, fact(&latest)).await {
            Ok(_) => return,
            // Somebody else has written.
            Err(ClusterError::Conflict) if conflicts < CONFLICTS => {
                conflicts += 1;
                None
            }
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            failures += 1;
            if failures == TRIES {
                tracing::error!(%error, "cannot store what was done to Graph; nothing is decided about the resource before it is stored");
                let uid = resource.metadata.uid.clone().unwrap_or_default();
                context.owed.lock().insert(uid, (Arc::clone(&latest), Arc::new(fact)));
                let note = format!(
                    "What was done in Microsoft Graph cannot be stored in the status: {error}. It is tried again, and nothing is decided about this resource before it is stored; do not end the operator so long."
                );
                context.cluster.publish(&latest, warning("StatusNotStored", "Store", note)).await;
                return;
            }
            tracing::error!(%error, "cannot store what was done to Graph; trying again");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        // The answer to our own write may be what was lost.
        match context.cluster.newest_profile(&latest).await {
            Ok(Some(newer)) => latest = newer,
            Ok(None) => {
                tracing::error!("the resource is gone, and with it the record of what was done to Graph");
                return;
            }
            // The next write meets a conflict if there is a newer one.
            Err(error) => tracing::debug!(%error, "cannot read the newest version of the resource"),
        }
    }
}

/// Stores what is owed to a resource.
///
/// # Errors
/// When that cannot be done yet: then nothing is to be decided about it.
pub async fn pay<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
) -> Result<(), ClusterError> {
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    let Some((_, fact)) = context.owed.lock().get(uid).cloned() else { return Ok(()) };
    if let Some(latest) = context.cluster.newest_profile(resource).await? {
        record(context, &latest, fact(&latest)).await?;
    }
    context.owed.forget(uid);
    Ok(())
}

/// Stores all that is owed. It returns when that is done, for as long as nobody ends it.
pub async fn pay_all<C: Cluster>(context: &Context<C>) {
    loop {
        for resource in context.owed.resources() {
            if let Err(error) = pay(context, &resource).await {
                let Key { namespace, name } = Key::of(&*resource);
                tracing::error!(namespace, resource = name, %error, "what was done to Graph is not stored yet, and is lost if the process ends now");
            }
        }
        if context.owed.lock().is_empty() {
            return;
        }
        tokio::time::sleep(PAY_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::decide::tests::resource;
    use crate::reconcile::pass;
    use crate::upstream::tests::world::{World, application, connection, context_with, upstreams, world};

    /// A resource that Kubernetes has, too; and its key.
    fn stage(status: Value) -> (Context<World>, Arc<EducationSyncProfile>, Key) {
        let mut resource = resource(status);
        resource.metadata.resource_version = Some("1".to_owned());
        let world = world();
        *world.resource.lock().unwrap() = Some(resource.clone());
        let key = Key::of(&resource);
        let context = context_with(
            world,
            connection(1, &application()),
            vec![resource.clone()],
            upstreams(&Arc::default()),
        );
        (context, Arc::new(resource), key)
    }

    /// Something that was done.
    fn done(latest: &EducationSyncProfile) -> Report {
        let mut status = latest.status.clone().unwrap_or_default();
        status.applied_fields = vec!["done".to_owned()];
        Report { status, notices: Vec::new() }
    }

    fn is_stored(context: &Context<World>) -> bool {
        let stored = context.cluster.port.resource.lock().unwrap().clone();
        stored.unwrap().status.is_some_and(|status| status.applied_fields == ["done"])
    }

    fn writes(context: &Context<World>) -> usize {
        context.cluster.port.status_writes.load(Ordering::Relaxed)
    }

    /// Else as many such resources as there are passes at once would stop all others.
    #[tokio::test(start_paused = true)]
    async fn a_fact_that_cannot_be_stored_ends_its_pass_and_nothing_is_decided_before() {
        let (context, resource, key) = stage(json!({}));
        context.cluster.port.refuses.store(true, Ordering::Relaxed);
        fact(&context, &resource, done).await;
        assert_eq!((writes(&context), is_stored(&context)), (5, false));
        let told: Vec<String> = context.cluster.port.told().into_iter().map(|notice| notice.reason).collect();
        assert_eq!(told, ["StatusNotStored"]);
        assert_eq!(pass(&context, &key).await, Err(ClusterError::Refused("by a policy".to_owned())));
        assert_eq!(writes(&context), 6, "it is tried again, and nothing else");
        context.cluster.port.refuses.store(false, Ordering::Relaxed);
        assert!(pass(&context, &key).await.is_ok());
        assert!(is_stored(&context));
        assert!(context.owed.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_is_stored_before_the_end() {
        let (context, resource, _) = stage(json!({}));
        context.cluster.port.refuses.store(true, Ordering::Relaxed);
        fact(&context, &resource, done).await;
        let mut ending = std::pin::pin!(pay_all(&context));
        let waited = tokio::time::timeout(Duration::from_millis(2_500), ending.as_mut()).await;
        assert!(waited.is_err());
        assert_eq!(writes(&context), 8, "once a second");
        context.cluster.port.refuses.store(false, Ordering::Relaxed);
        ending.await;
        assert!(is_stored(&context));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_owed_to_a_resource_that_is_gone_is_forgotten() {
        let (context, resource, _) = stage(json!({}));
        context.cluster.port.refuses.store(true, Ordering::Relaxed);
        fact(&context, &resource, done).await;
        let mut successor = (*resource).clone();
        successor.metadata.uid = Some("another".to_owned());
        *context.cluster.port.resource.lock().unwrap() = Some(successor);
        assert_eq!(pay(&context, &resource).await, Ok(()));
        assert!(context.owed.lock().is_empty());
        assert_eq!(writes(&context), 5);
    }

    /// The pass that follows would decide on the version before, and every write of its would fail.
    #[tokio::test(start_paused = true)]
    async fn a_version_that_was_read_is_known_before_the_watch_tells_of_it() {
        let (context, resource, key) = stage(json!({}));
        {
            let mut stored = context.cluster.port.resource.lock().unwrap();
            let stored = stored.as_mut().unwrap();
            stored.metadata.resource_version = Some("2".to_owned());
            stored.status = Some(done(&resource).status);
        }
        fact(&context, &resource, done).await;
        assert_eq!(writes(&context), 1, "the first meets a conflict, and then it is there");
        let known = context.cluster.profile(&key).unwrap();
        assert_eq!(known.metadata.resource_version.as_deref(), Some("2"));
    }
}
