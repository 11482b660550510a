//! One start of the operator: it lives, and it can die at any call that it makes.
//!
//! What it does is the program's own code, wired as `edusync::operator` wires it. Whoever is dead does
//! nothing any more: each of its calls waits for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edusync::graph::budget::BudgetSettings;
use edusync::graph::transport::Transport;
use edusync::operator::lead;
use edusync::operator::lease::{Elector, Leadership, LeaseSettings};
use edusync::operator::passes::{self, Queues};
use edusync::poller::Intervals;
use edusync::reconcile::cached::Cached;
use edusync::reconcile::cluster::Scope;
use edusync::reconcile::observation::Settings;
use edusync::reconcile::{self, Context};
use edusync::upstream::{OperatorIdentity, Transports, UpstreamSettings, Upstreams};
use futures::channel::mpsc;
use jiff::Timestamp;
use kube::runtime::reflector;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cluster::Port;
use crate::graph::Line;
use crate::queue;
use crate::watches::events;
use crate::world::World;

/// Life of the lease.
pub const LEASE: Duration = Duration::from_secs(15);
/// How long Graph may take to show what it has accepted.
pub const SETTLE_WINDOW: Duration = Duration::from_mins(2);
/// Deadline of a call to Graph.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often profiles at rest are looked at.
pub const REST: Duration = Duration::from_mins(1);

/// One start of the operator.
pub struct Process {
    /// Who it is, in the lease and in the story.
    pub identity: String,
    /// SIGTERM.
    pub stop: CancellationToken,
    dead: AtomicBool,
    died: Notify,
    /// It does not reach Kubernetes until then.
    cut_off: Mutex<Option<Timestamp>>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.identity)
    }
}

impl Process {
    pub fn new(identity: String) -> Self {
        Self {
            identity,
            stop: CancellationToken::new(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            cut_off: Mutex::default(),
        }
    }

    /// It does not reach Kubernetes until then.
    pub fn cut_off(&self, until: Timestamp) {
        *self.cut_off.lock().unwrap() = Some(until);
    }

    pub fn is_cut_off(&self, now: Timestamp) -> bool {
        self.cut_off.lock().unwrap().is_some_and(|until| now < until)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_waiters();
        self.died.notify_one();
    }

    /// SIGKILL, from within: whoever calls this goes no further.
    pub async fn die(&self) {
        self.kill();
        self.living().await;
    }

    /// Returns at once while it lives, and never when it is dead.
    pub async fn living(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Lives until it dies, is stopped, or loses its lease.
    pub async fn live(self: &Arc<Self>, world: &Arc<World>) {
        let work = tokio::spawn(run(Arc::clone(self), Arc::clone(world)));
        let abort = work.abort_handle();
        tokio::select! {
            biased;
            () = self.died.notified() => {}
            ended = work => {
                // A panic of the program is a broken rule like any other.
                match ended {
                    Ok(Ok(())) => world.story.tell(format!("{}: stopped", self.identity)),
                    Ok(Err(error)) => world.story.tell(format!("{}: ended: {error}", self.identity)),
                    Err(panic) => world.story.broken(format!("{}: {panic}", self.identity)),
                }
            }
        }
        abort.abort();
        self.dead.store(true, Ordering::SeqCst);
    }
}

async fn run(process: Arc<Process>, world: Arc<World>) -> anyhow::Result<()> {
    let leadership = Arc::new(Leadership::default());
    let settings = LeaseSettings {
        watches: Vec::new(),
        namespace: "edusync-system".to_owned(),
        name: "edusync".to_owned(),
        identity: process.identity.clone(),
        duration: LEASE,
    };
    let port = Port { world: Arc::clone(&world), process: Arc::clone(&process) };
    let mut elector = Elector::new(port, settings, world.clock, Arc::clone(&leadership));
    tokio::select! {
        biased;
        () = elector.acquire() => {}
        () = process.stop.cancelled() => return Ok(()),
    }
    world.story.tell(format!("{}: leads", process.identity));
    let stop = process.stop.clone();
    Box::pin(lead(work(&process, &world, leadership), &stop, &mut elector)).await
}

async fn work(process: &Arc<Process>, world: &Arc<World>, leadership: Arc<Leadership>) -> anyhow::Result<()> {
    let (wake, woken) = mpsc::unbounded();
    let profiles = reflector::store();
    let connections = reflector::store();
    let port = Port { world: Arc::clone(world), process: Arc::clone(process) };
    let cluster = Cached::new(port, profiles.0.clone(), connections.0.clone());
    let upstreams = Upstreams::new(
        UpstreamSettings {
            allowed_hosts: vec!["graph.microsoft.com".to_owned(), "login.microsoftonline.com".to_owned()],
            intervals: Intervals { rest: REST, fast: Duration::from_secs(5) },
            request_timeout: REQUEST_TIMEOUT,
            operator_identity: OperatorIdentity::default(),
            budget: BudgetSettings::default(),
        },
        Box::new(Lines { world: Arc::clone(world), process: Arc::clone(process) }),
        leadership,
        world.clock,
        wake.clone(),
    )
    .keeping_tokens_in(Arc::new(Port { world: Arc::clone(world), process: Arc::clone(process) }));
    let settings = Settings {
        request_timeout: REQUEST_TIMEOUT,
        settle_window: SETTLE_WINDOW,
        lease_duration: LEASE,
        probe_interval: Duration::from_secs(5),
        most_deletions: 10,
        refusal_retry: Duration::from_hours(1),
    };
    let context = Arc::new(Context::new(cluster, upstreams, world.clock, settings));
    let (profile_queue, profile_keys) = mpsc::unbounded();
    let (connection_queue, connection_keys) = mpsc::unbounded();
    let metrics = Arc::clone(&context.metrics);
    let queues = Queues { profiles: profile_queue, connections: connection_queue, metrics };
    let (all, shared) = ([Scope::All], Arc::clone(&context));
    let watch_connections = passes::watch_connections(
        events(world, process),
        &all,
        connections.1,
        shared.clone(),
        queues.clone(),
    );
    let watch_profiles =
        passes::watch_profiles(events(world, process), &all, profiles.1, shared, queues.clone());
    let dispatch = passes::dispatch(woken, queues, &context.wakes);
    let ready = async {
        let read = futures::future::join(profiles.0.wait_until_ready(), connections.0.wait_until_ready());
        tokio::select! {
            biased;
            () = process.stop.cancelled() => return,
            _ = read => {}
        }
        queue::run(world, &context, profile_keys, connection_keys, &process.stop).await;
    };
    tokio::select! {
        biased;
        () = watch_profiles => {}
        () = watch_connections => {}
        () = dispatch => {}
        () = ready => {}
    }
    reconcile::finish(&context).await;
    Ok(())
}

/// The way to Graph of one process.
#[derive(Debug)]
struct Lines {
    world: Arc<World>,
    process: Arc<Process>,
}

impl Transports for Lines {
    fn transport(&self, _extra_ca: Option<&[u8]>) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Line { world: Arc::clone(&self.world), process: Arc::clone(&self.process) }))
    }
}
