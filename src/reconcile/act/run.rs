//! What runs a profile: look at its synchronization, pause, resume, reset, start.

use std::sync::Arc;
use std::time::Duration;

use super::{AFTER_CONFLICT, Done, next_retry, not_now, put_off};
use crate::api::EducationSyncProfile;
use crate::graph::error::UnknownOutcome;
use crate::graph::{Certainty, GraphError};
use crate::reconcile::cluster::{Cluster, ClusterError};
use crate::reconcile::decide::{LOOK_AT_REST, Standing, Trigger, Verdict};
use crate::reconcile::observation::{LookForErrors, Observation};
use crate::reconcile::report::{self, Decided, Report};
use crate::reconcile::{Context, Next, store};
use crate::upstream::Upstream;

/// So often errors are asked for that do not add up.
const ENOUGH: u32 = 6;

/// Asks for the status by its own URL.
pub(super) async fn look<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    id: &str,
) -> Done {
    let answer = upstream.reads.profile_status(id).await;
    let now = context.clock.now();
    match answer {
        Ok(sync) => context.remember(o.uid(), |memory| {
            (memory.sync_at, memory.sync_retry) = (Some(now), None);
            memory.sync = sync.map(crate::graph::sync::ProfileStatus::lasting);
        }),
        // What is known stays known.
        Err(error) => {
            tracing::debug!(%error, "could not look at the synchronization");
            let is_refused = error.certainty() == Certainty::No;
            let wait = if is_refused { Some(LOOK_AT_REST) } else { error.retry_after() };
            let retry = next_retry(context, o.memory.sync_retry, wait, now);
            context.remember(o.uid(), |memory| memory.sync_retry = Some(retry));
        }
    }
    Done::LookAgain(Next::Again)
}

/// Counts the errors by kind. What is refused is not asked again before their number changes.
pub(super) async fn count_errors<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    id: &str,
    count: u64,
) -> Done {
    let before = o.memory.errors_looked_for.filter(|look| look.count == count).and_then(|look| look.retry);
    let answer = upstream.reads.error_counts(id).await;
    let now = context.clock.now();
    let look = |retry| Some(LookForErrors { count, retry });
    let look = match &answer {
        Ok(counts) if counts.values().sum::<u64>() != count => {
            // The collection may be behind the number, or end before it: not for ever is it asked.
            look(Some(next_retry(context, before, None, now)).filter(|retry| retry.failed < ENOUGH))
        }
        // What the status tells of from now on needs no memory.
        Ok(counts) if report::has_room_for(counts) => None,
        Ok(_) => look(None),
        Err(error) if error.certainty() == Certainty::No => look(None),
        Err(error) => look(Some(next_retry(context, before, error.retry_after(), now))),
    };
    context.remember(o.uid(), |memory| memory.errors_looked_for = look);
    match answer {
        Ok(counts) => {
            store::fact(context, &o.resource, move |latest| report::counted(latest, &counts)).await;
        }
        Err(error) => tracing::warn!(%error, "could not count the errors of the synchronization"),
    }
    Done::LookAgain(Next::Again)
}

/// Pauses. The mark comes first: what is paused by us must be known to be.
pub(super) async fn pause<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    verdict: &Verdict,
    id: &str,
) -> Result<Done, ClusterError> {
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    let mark = report::shown_and(o, verdict, |status| status.paused_by_manifest = Some(true));
    let Some(resource) = record(context, o, mark).await? else {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    };
    let result = upstream.writes.pause(admission, id).await;
    Ok(ran(context, o, upstream, &resource, result, Pausing::Pause).await)
}

/// What was asked for, with what is to be shown after it.
#[derive(Clone, Copy)]
enum Pausing<'a> {
    Pause,
    Resume(&'a Standing),
}

/// Resumes what was paused by us; if somebody else has done so, only the mark goes.
pub(super) async fn resume<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    verdict: &Verdict,
    (id, is_paused): (&str, bool),
) -> Result<Done, ClusterError> {
    if !is_paused {
        let without = report::shown_and(o, verdict, |status| status.paused_by_manifest = None);
        store::view(context, o, without).await?;
        return Ok(Done::LookAgain(Next::Again));
    }
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    let result = upstream.writes.resume(admission, id).await;
    Ok(ran(context, o, upstream, &o.resource, result, Pausing::Resume(&verdict.standing)).await)
}

async fn ran<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    resource: &Arc<EducationSyncProfile>,
    result: Result<(), GraphError>,
    pausing: Pausing<'_>,
) -> Done {
    match result {
        Ok(()) => {
            note_run(context, o);
            let (now, decided) = (context.clock.now(), Decided::by(o));
            match pausing {
                Pausing::Pause => {
                    context.cluster.publish(resource, report::paused()).await;
                }
                Pausing::Resume(standing) => {
                    let standing = standing.clone();
                    let resumed = move |latest: &_| report::resumed(latest, &decided, &standing, now);
                    store::fact(context, resource, resumed).await;
                }
            }
            upstream.poller.ask();
            Done::LookAgain(Next::Again)
        }
        Err(error) => {
            tracing::warn!(%error, "the synchronization was not paused or resumed");
            if error.certainty() == Certainty::No {
                let is_pause = matches!(pausing, Pausing::Pause);
                context.cluster.publish(resource, report::not_run(is_pause, &error)).await;
            }
            // It can be repeated, as it does nothing twice; but not hotly.
            Done::LookAgain(Next::In(set_back(context, o.uid(), error.retry_after())))
        }
    }
}

/// Does once what a trigger asks for: recorded first, so that it is never done twice for a value.
pub(super) async fn trigger<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    upstream: &Upstream,
    verdict: &Verdict,
    (id, trigger, value): (&str, Trigger, &str),
) -> Result<Done, ClusterError> {
    let admission = match upstream.writes.ready().await {
        Ok(admission) => admission,
        Err(error) => return Ok(not_now(context, upstream, &error).await),
    };
    let answered = report::shown_and(o, verdict, |status| report::answer(status, trigger, value));
    let Some(recorded) = record(context, o, answered).await? else {
        return Ok(Done::LookAgain(Next::In(AFTER_CONFLICT)));
    };
    let (error, notice) = match trigger {
        Trigger::Reset => {
            let result = upstream.writes.reset(admission, id).await;
            (result.as_ref().err().cloned(), report::after_reset(&result))
        }
        Trigger::Start => {
            let result = upstream.writes.start(admission, id).await;
            (result.as_ref().err().cloned(), report::after_start(&result))
        }
    };
    if let Some(error) = error.as_ref().filter(|error| was_not_done(error)) {
        let handled = o.status().handled_triggers.as_ref();
        let before = handled.and_then(|handled| match trigger {
            Trigger::Reset => handled.reset.as_ref(),
            Trigger::Start => handled.start.as_ref(),
        });
        let (value, before) = (value.to_owned(), before.cloned());
        let not_done = move |latest: &_| report::not_triggered(latest, trigger, &value, before.as_ref());
        store::fact(context, &recorded, not_done).await;
        return Ok(Done::LookAgain(Next::In(set_back(context, o.uid(), error.retry_after()))));
    }
    note_run(context, o);
    tracing::debug!(profile = id, ?trigger, value, "answered a trigger");
    context.cluster.publish(&recorded, notice).await;
    upstream.poller.ask();
    Ok(Done::LookAgain(Next::Again))
}

/// Is it certain that Graph did nothing, and may it be asked again? 409 says that it is still busy
/// with what it was asked before (Graph docs, uploadUrl).
fn was_not_done(error: &GraphError) -> bool {
    let is_busy = matches!(error, GraphError::Unknown { what: UnknownOutcome::Status(409), .. });
    is_busy || matches!(error.certainty(), Certainty::Later(_))
}

/// Writes a status before a call. None: somebody else wrote first, and nothing may be sent.
async fn record<C: Cluster>(
    context: &Context<C>,
    o: &Observation,
    report: Report,
) -> Result<Option<Arc<EducationSyncProfile>>, ClusterError> {
    match store::record(context, &o.resource, report).await {
        Ok(recorded) => Ok(Some(recorded)),
        Err(ClusterError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Graph has put off what runs a synchronization, which keeps no change of the profile waiting.
fn set_back<C: Cluster>(context: &Context<C>, uid: &str, wait: Option<Duration>) -> Duration {
    put_off(context, uid, wait, |memory| &mut memory.run_setback)
}

fn note_run<C: Cluster>(context: &Context<C>, o: &Observation) {
    let now = context.clock.now();
    context.remember(o.uid(), |memory| {
        memory.run_at = Some(now);
        (memory.sync_at, memory.sync_retry) = (None, None);
        memory.run_setback = None;
    });
}
