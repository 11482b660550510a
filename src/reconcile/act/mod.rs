//! Carries a decision out. **The only place that changes Graph.**
//!
//! What it does is decided before; what it says is worded in [`super::report`]. Every change to
//! Graph is stored as a fact before the pass ends.

mod change;
mod create;
mod run;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::cluster::{Cluster, ClusterError, Key};
use super::decide::{ABSENCES_THAT_PROVE, Action, Farewell, Standing, Verdict, failure_standing};
use super::observation::{Memory, Observation, Retry, has_finalizer};
use super::observe::connection_of;
use super::report::{Asked, Decided};
use super::{Context, Next, connection, report, store};
use crate::api::{EducationSyncProfile, FINALIZER};
use crate::clock::passed;
use crate::graph::client::Deletion;
use crate::graph::{Certainty, GraphError};
use crate::upstream::Upstream;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing was changed; this is to be said.
    Nothing {
        /// What the conditions say.
        standing: Standing,
        /// When to look again.
        recheck: Option<Duration>,
    },
    /// The world has changed, or has to be looked at again.
    LookAgain(Next),
}

/// Pauses after setbacks grow up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// After a conflict the newest version is a moment away.
const AFTER_CONFLICT: Duration = Duration::from_millis(100);

/// Carries out the verdict's action.
///
/// # Errors
/// When Kubernetes does not take a write.
pub async fn act<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: Option<&Upstream>,
    verdict: &Verdict,
) -> Result<Done, ClusterError> {
    let nothing = Done::Nothing { standing: verdict.standing.clone(), recheck: verdict.recheck };
    match (&verdict.action, upstream) {
        (Action::LetGo(farewell), _) => let_go(context, o, *farewell).await,
        (Action::Create, Some(upstream)) => create::create(context, o, upstream).await,
        (Action::Bind { id }, Some(upstream)) => create::bind(context, o, upstream, id).await,
        (Action::GiveUpAttempt, Some(_)) => {
            store::view(context, o, report::gave_up(o.status().clone())).await?;
            Ok(Done::LookAgain(Next::Again))
        }
        (Action::Hold, Some(_)) => {
            hold(context, &o.resource).await?;
            hold_connection(context, &o.resource).await?;
            Ok(Done::LookAgain(Next::Again))
        }
        (Action::Adopt { id }, Some(upstream)) => change::adopt(context, o, upstream, id).await,
        (Action::Forget, Some(upstream)) => change::forget(context, o, upstream).await,
        (Action::Update { fields, cleared }, Some(upstream)) => {
            change::update(context, o, upstream, fields, cleared).await
        }
        (Action::LookAtSync { id }, Some(upstream)) => Ok(run::look(context, o, upstream, id).await),
        (Action::CountErrors { id, count }, Some(upstream)) => {
            Ok(run::count_errors(context, o, upstream, id, *count).await)
        }
        (Action::Pause { id }, Some(upstream)) => run::pause(context, o, upstream, verdict, id).await,
        (Action::Resume { id, is_paused }, Some(upstream)) => {
            run::resume(context, o, upstream, verdict, (id, *is_paused)).await
        }
        (Action::Trigger { id, trigger, value }, Some(upstream)) => {
            run::trigger(context, o, upstream, verdict, (id, *trigger, value)).await
        }
        (Action::Delete { id }, Some(upstream)) => delete(context, o, upstream, id).await,
        (Action::Probe { id }, Some(upstream)) => {
            let proven = probe(context, o, upstream, id).await;
            Ok(if proven { Done::LookAgain(Next::Again) } else { nothing })
        }
        // Without an upstream nothing in Graph is decided.
        (_, None) | (Action::Nothing, Some(_)) => Ok(nothing),
    }
}

/// Graph has refused it for good.
async fn refused<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
    upstream: &Upstream,
    (decided, asked): (Decided, Asked),
    error: GraphError,
) -> Done {
    let (way, now) = (upstream.facts.clone(), context.clock.now());
    let refused = move |latest: &_| report::refused(latest, &decided, &asked, &way, &error, now);
    store::fact(context, resource, refused).await;
    Done::LookAgain(Next::Again)
}

/// Graph has put a change off: the next try comes after a pause that grows from try to try.
fn set_back<C: Cluster>(context: &Context<C>, uid: &str, wait: Option<Duration>) -> Duration {
    put_off(context, uid, wait, |memory| &mut memory.setback)
}

/// The same of whatever is remembered in that place.
fn put_off<C: Cluster>(
    context: &Context<C>,
    uid: &str,
    wait: Option<Duration>,
    place: fn(&mut Memory) -> &mut Option<Retry>,
) -> Duration {
    let now = context.clock.now();
    let retry = context.remember(uid, |memory| {
        let place = place(memory);
        *place.insert(next_retry(context, *place, wait, now))
    });
    passed(now, retry.again)
}

/// When to try again what has failed so often `before` and now once more: after pauses that grow. `wait` is the least.
fn next_retry<C: Cluster>(
    context: &Context<C>,
    before: Option<Retry>,
    wait: Option<Duration>,
    now: Timestamp,
) -> Retry {
    let failed = before.map_or(0, |before| before.failed);
    let grown = context.settings.probe_interval * 2_u32.pow(failed.min(6));
    let pause = grown.min(LONGEST_PAUSE).max(wait.unwrap_or_default());
    Retry { failed: failed.saturating_add(1), again: now.saturating_add(pause).unwrap_or(now) }
}

/// There is no token, or Graph asks to wait: it is said, and tried again.
async fn not_now<C: Cluster>(context: &Context<C>, upstream: &Upstream, error: &GraphError) -> Done {
    let wait = match error {
        GraphError::NoToken(error) if error.is_refusal() => {
            context.upstreams.reread(&upstream.facts);
            Duration::from_mins(1)
        }
        error => error.retry_after().unwrap_or(context.settings.probe_interval),
    };
    Done::Nothing { standing: failure_standing(error), recheck: Some(wait) }
}

/// Token, budget or finalizers may have taken so long that somebody has made a namesake meanwhile, or changed the profile:
/// then there is another look before anything is sent.
fn list_is_old<C: Cluster>(context: &Context<C>, o: &Observation, upstream: &Upstream) -> Option<Done> {
    if o.list_is_fresh_at(context.clock.now()) {
        return None;
    }
    upstream.poller.ask();
    Some(Done::LookAgain(Next::In(AFTER_CONFLICT)))
}

/// Makes sure that our finalizer holds the resource.
async fn hold<C: Cluster>(
    context: &Context<C>,
    resource: &Arc<EducationSyncProfile>,
) -> Result<Arc<EducationSyncProfile>, ClusterError> {
    if has_finalizer(resource) {
        return Ok(Arc::clone(resource));
    }
    let mut finalizers = resource.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    context.cluster.write_finalizers(resource, finalizers).await
}

/// Makes sure that the connection stays while the profile needs it.
async fn hold_connection<C: Cluster>(
    context: &Context<C>,
    resource: &EducationSyncProfile,
) -> Result<(), ClusterError> {
    // A burst of profiles shares one write.
    let _alone = context.holding.lock().await;
    // It may have been taken away, or have ceased to allow this namespace, since the look.
    let connection = connection_of(context, resource).ok_or(ClusterError::Conflict)?;
    if connection.metadata.deletion_timestamp.is_some() {
        return Err(ClusterError::Conflict);
    }
    if !context.is_holding(&connection) {
        connection::hold(&context.cluster, &connection).await?;
        context.remember_held(&connection);
    }
    Ok(())
}

async fn delete<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    id: &str,
) -> Result<Done, ClusterError> {
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    // It cannot be taken back, and the watch may be behind: somebody may just have said Retain.
    let newest = context.cluster.fetch_profile(&Key::of(&*o.resource)).await?;
    if newest.metadata.uid != o.resource.metadata.uid
        || newest.metadata.generation != o.resource.metadata.generation
    {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    }
    let decided = Decided::by(o);
    let answer = upstream.writes.delete(admission, id).await;
    let now = context.clock.now();
    let asked = match &answer {
        Ok(_) => true,
        Err(error) => error.certainty() == Certainty::Unknown,
    };
    if asked {
        context.claims.set_going(&upstream.facts.tenant, id);
        context.remember(o.uid(), |memory| {
            memory.delete_sent = Some(now);
            memory.setback = None;
            memory.present = false;
            if answer == Ok(Deletion::NotFound) {
                memory.absences += 1;
                memory.last_absence = Some(now);
            }
        });
    }
    match answer {
        Ok(_) => {
            tracing::debug!(profile = id, "asked Graph to delete the profile");
            let id = id.to_owned();
            let sent = move |latest: &_| report::delete_sent(latest, &decided, &id, now);
            store::fact(context, &o.resource, sent).await;
            upstream.poller.ask();
            Ok(Done::LookAgain(Next::Again))
        }
        Err(error) => {
            tracing::warn!(profile = id, %error, "the delete did not succeed");
            match error.certainty() {
                Certainty::No => {
                    Ok(refused(context, &o.resource, upstream, (decided, Asked::Delete), error).await)
                }
                Certainty::Later(wait) => Ok(Done::LookAgain(Next::In(set_back(context, o.uid(), wait)))),
                Certainty::Unknown => {
                    store::fact(context, &o.resource, move |latest| report::tried(latest, &decided, &error))
                        .await;
                    Ok(Done::LookAgain(Next::In(context.settings.probe_interval)))
                }
            }
        }
    }
}

/// Asks for the profile by its own URL, and remembers a 404. True: that was the last proof needed.
async fn probe<C: Cluster>(context: &Context<C>, o: &Observation, upstream: &Upstream, id: &str) -> bool {
    let answer = upstream.reads.get(id).await;
    let now = context.clock.now();
    let absences = context.remember(o.uid(), |memory| {
        match answer {
            Ok(None) => {
                memory.absences += 1;
                memory.present = false;
                memory.last_absence = Some(now);
            }
            Ok(Some(_)) => {
                memory.absences = 0;
                memory.present = true;
                memory.last_absence = Some(now);
            }
            Err(_) => memory.last_absence = Some(now),
        }
        memory.absences
    });
    absences >= ABSENCES_THAT_PROVE
}

/// Takes the finalizer off.
async fn let_go<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    farewell: Farewell,
) -> Result<Done, ClusterError> {
    let finalizers = o.resource.metadata.finalizers.iter().flatten();
    let others = finalizers.filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    if let Some(notice) = report::farewell(o, farewell) {
        context.cluster.publish(&o.resource, notice).await;
    }
    match context.cluster.write_finalizers(&o.resource, others).await {
        Ok(_) | Err(ClusterError::NotFound) => {
            tracing::info!(?farewell, "let the resource go");
            context.forget(o.uid());
            Ok(Done::LookAgain(Next::Wait))
        }
        Err(ClusterError::Conflict) => Ok(Done::LookAgain(Next::In(AFTER_CONFLICT))),
        Err(error) => Err(error),
    }
}
