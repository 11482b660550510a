//! Watches Graph: one LIST for every (endpoint, tenant, credential), however many resources follow it.
//!
//! The poller only says "look at this resource again", and shows its newest snapshot. It decides
//! nothing about a profile, and it makes no call but LIST.

mod pace;
mod snapshot;

pub use snapshot::Snapshot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::clock::Clock;
use crate::graph::name::NameKey;
use crate::graph::{GraphClient, GraphError};
use crate::trace::{self, Cause, Span};
use pace::{Need, Pace};

/// Somebody who wants to hear of changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Follower {
    /// What it is.
    pub kind: FollowerKind,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
}

/// Somebody who is to look, and the span that found it out.
#[derive(Clone, Debug)]
pub struct Woken {
    /// Who.
    pub follower: Follower,
    /// Where from.
    pub cause: Cause,
}

/// Kind of the resource that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FollowerKind {
    /// An `EducationSyncProfile`.
    Profile,
    /// A `GraphConnection`.
    Connection,
}

/// What a follower wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Every list. While anyone is interested with `fast`, lists come at the fast interval, and later more slowly. It costs a
    /// pass for each list, so it is for those who wait for something that is not in the list yet.
    Every {
        /// Something is under way.
        fast: bool,
    },
    /// Changes of this profile, and of profiles with this name.
    Profile {
        /// Id of the profile.
        id: String,
        /// Its name.
        name: NameKey,
        /// Something is under way with it.
        fast: bool,
    },
    /// Whether Graph answers. It keeps no poller going.
    Health,
    /// The same, and whether profiles come or go.
    Presence,
}

impl Interest {
    const fn need(&self) -> Need {
        match self {
            Self::Every { fast: true } | Self::Profile { fast: true, .. } => Need::Fast,
            Self::Every { fast: false } | Self::Profile { fast: false, .. } => Need::Rest,
            Self::Health | Self::Presence => Need::Health,
        }
    }
}

/// How often to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// While everything is at rest.
    pub rest: Duration,
    /// While something is under way; after a while without news it grows towards `rest`.
    pub fast: Duration,
}

/// What the poller knows.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The newest complete list.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Why the newest attempt gave no list. None after a success.
    pub failure: Option<GraphError>,
    /// Since when there is no list. None after a success.
    pub failing_since: Option<Timestamp>,
}

/// Watches the profiles of one tenant with one credential. Dropped, it stops.
#[derive(Debug)]
pub struct Poller {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    client: GraphClient,
    clock: Clock,
    wake: UnboundedSender<Woken>,
    changed: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    view: View,
    followers: HashMap<Follower, Interest>,
    pace: Pace,
}

impl Poller {
    /// Starts a poller. It makes no call before somebody asks or follows. `phase` (any number) says
    /// where in the interval its lists at rest fall: the same after a restart, so that there is no burst.
    #[must_use]
    pub fn start(
        client: GraphClient,
        intervals: Intervals,
        phase: u64,
        clock: Clock,
        wake: UnboundedSender<Woken>,
    ) -> Self {
        let state = Mutex::new(State {
            view: View::default(),
            followers: HashMap::new(),
            pace: Pace::new(intervals, phase),
        });
        let shared = Arc::new(Shared { client, clock, wake, changed: Notify::new(), state });
        let task = tokio::spawn(Arc::clone(&shared).run()).abort_handle();
        Self { shared, task }
    }

    /// What is known now.
    #[must_use]
    pub fn view(&self) -> View {
        self.shared.lock().view.clone()
    }

    /// When the newest complete list came; where there is none since lists are needed, when they began to be. None while
    /// nobody needs lists: how old the newest one is says nothing then.
    #[must_use]
    pub fn last_list(&self) -> Option<Timestamp> {
        let state = self.shared.lock();
        let ended = state.view.snapshot.as_ref().map(|snapshot| snapshot.ended);
        state.pace.needed_since().map(|since| ended.map_or(since, |ended| ended.max(since)))
    }

    /// The time between two lists while everything is at rest.
    #[must_use]
    pub fn rest_interval(&self) -> Duration {
        self.shared.lock().pace.rest()
    }

    /// Asks for a list that begins after now. Asks that come together share one list.
    pub fn ask(&self) {
        self.shared.lock().pace.ask(self.shared.clock.now());
        self.shared.changed.notify_one();
    }

    /// Tells `follower` of what it is interested in, from now on. `seen` is the view by which it
    /// decided: when there is a newer one already, it is told at once.
    pub fn follow(&self, follower: Follower, interest: Interest, seen: &View) {
        let mut state = self.shared.lock();
        if !state.view.is_same(seen) {
            // The receiver is gone only while the process ends.
            let _ = self
                .shared
                .wake
                .unbounded_send(Woken { follower: follower.clone(), cause: Cause::default() });
        }
        if state.followers.get(&follower) != Some(&interest) {
            state.followers.insert(follower, interest);
            state.set_pace(self.shared.clock.now());
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// Tells `follower` nothing more.
    pub fn unfollow(&self, follower: &Follower) {
        let mut state = self.shared.lock();
        if state.followers.remove(follower).is_some() {
            state.set_pace(self.shared.clock.now());
        }
    }

    /// Everybody who follows.
    #[must_use]
    pub fn followers(&self) -> Vec<Follower> {
        self.shared.lock().followers(|_| true)
    }
}

impl View {
    fn is_same(&self, other: &Self) -> bool {
        let began = |view: &Self| view.snapshot.as_ref().map(|snapshot| snapshot.began);
        let same_failure = match (&self.failure, &other.failure) {
            (Some(left), Some(right)) => same_kind(left, right),
            (left, right) => left.is_none() && right.is_none(),
        };
        began(self) == began(other) && same_failure
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>) {
        loop {
            let next = self.lock().pace.next(self.clock.now());
            match next {
                // Not part of the task, which waits nearly always: there is one for each tenant.
                Some(Duration::ZERO) => Box::pin(self.poll()).await,
                Some(wait) => {
                    tokio::select! {
                        // In a fixed order: a run of a simulation must be the same when it is repeated.
                        biased;
                        () = tokio::time::sleep(wait) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    async fn poll(&self) {
        let began = {
            let mut state = self.lock();
            // Asked within the lock: whoever asks for a list after this moment gets the next one.
            let began = self.clock.now();
            state.pace.began(began);
            began
        };
        let span = Span::root("poll profiles");
        span.set("server.address", host(&self.client.endpoint));
        let result = span.around(self.client.list_with_status()).await;
        self.client.metrics.listed(&result);
        let wake = match result {
            Ok(profiles) => {
                let ended = self.clock.now();
                span.set("edusync.profiles", count(profiles.len()));
                let mut state = self.lock();
                if state.view.failure.is_some() {
                    tracing::info!(endpoint = &*self.client.endpoint, "the profiles are listed again");
                }
                state.succeed(Snapshot::new(began, ended, profiles))
            }
            Err(error) => {
                span.fail(trace::variant(&error));
                let mut state = self.lock();
                let endpoint = &*self.client.endpoint;
                if state.is_known(&error) {
                    tracing::debug!(endpoint, %error, "could not list the profiles");
                } else {
                    tracing::warn!(endpoint, %error, "could not list the profiles");
                }
                state.fail(error, self.clock.now())
            }
        };
        span.set("edusync.woken", count(wake.len()));
        for follower in wake {
            // The receiver is gone only while the process ends.
            let _ = self.wake.unbounded_send(Woken { follower, cause: span.cause() });
        }
    }
}

/// The host of an address.
fn host(endpoint: &str) -> String {
    url::Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

impl State {
    fn set_pace(&mut self, now: Timestamp) {
        let need = self.followers.values().map(Interest::need).max().unwrap_or(Need::Nothing);
        self.pace.set(need, now);
    }

    /// Who follows with such an interest, in order.
    fn followers(&self, concerned: impl Fn(&Interest) -> bool) -> Vec<Follower> {
        let concerned = self.followers.iter().filter(|(_, interest)| concerned(interest));
        let mut followers: Vec<Follower> = concerned.map(|(follower, _)| follower.clone()).collect();
        followers.sort_unstable();
        followers
    }

    fn succeed(&mut self, snapshot: Snapshot) -> Vec<Follower> {
        let old = self.view.snapshot.take();
        let recovered = self.view.failure.take().is_some() || old.is_none();
        let snapshot = snapshot.sharing(old.as_deref());
        let changes = snapshot.changes_since(old.as_deref());
        self.pace.succeeded(!changes.is_empty());
        self.view.failing_since = None;
        self.view.snapshot = Some(Arc::new(snapshot));
        let concerned = |interest: &Interest| match interest {
            Interest::Every { .. } => true,
            Interest::Profile { id, name, .. } => old.is_none() || changes.concern(id, name),
            Interest::Health => recovered,
            Interest::Presence => recovered || changes.is_coming_or_going(),
        };
        self.followers(concerned)
    }

    /// Has this failure been told already? A call that is held back is so by what is known.
    fn is_known(&self, error: &GraphError) -> bool {
        self.view
            .failure
            .as_ref()
            .is_some_and(|old| matches!(error, GraphError::Waiting(_)) || same_kind(old, error))
    }

    /// Followers hear of a failure once, not at every attempt. What is known stays known.
    fn fail(&mut self, error: GraphError, now: Timestamp) -> Vec<Follower> {
        self.view.failing_since.get_or_insert(now);
        self.pace.failed(error.certainty(), error.retry_after());
        let is_known = self.is_known(&error);
        if !(is_known && matches!(error, GraphError::Waiting(_))) {
            self.view.failure = Some(error);
        }
        if is_known { Vec::new() } else { self.followers(|_| true) }
    }
}

/// Two failures that a person would call the same: only their ids differ.
fn same_kind(left: &GraphError, right: &GraphError) -> bool {
    if let (GraphError::NoToken(left), GraphError::NoToken(right)) = (left, right) {
        // One waits for the token service, the other for a person.
        return left.is_refusal() == right.is_refusal();
    }
    std::mem::discriminant(left) == std::mem::discriminant(right) && left.status() == right.status()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AuthError, AuthFailure};

    #[test]
    fn a_refusal_of_the_token_service_is_news_after_its_silence() {
        let no_token = |failure| GraphError::NoToken(AuthError::new(failure));
        let refused = no_token(AuthFailure::Refused { error: "invalid_client".to_owned() });
        let away = no_token(AuthFailure::Unavailable(None));
        assert!(same_kind(&refused, &refused) && same_kind(&away, &away));
        assert!(!same_kind(&refused, &away) && !same_kind(&away, &refused));
    }
}
