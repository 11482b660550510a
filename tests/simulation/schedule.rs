//! In what order things happen, where every order is tried: requests, answers, notices and deeds wait here until it is
//! their turn, and while order is open each turn is a decision.
//!
//! Time stands still meanwhile: it goes on when nothing waits but requests that are held back. What happens when it is
//! somebody's turn is not known here.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::choices::Choices;

/// States that some run has been in.
pub type Visited = Mutex<HashSet<u64>>;

/// What a schedule has to know of the run.
pub trait Around {
    /// May things happen in another order than the usual one now?
    fn is_open(&self) -> bool;

    /// Everything on which the rest of the run depends, as one number.
    fn state(&self) -> u64;

    /// Nothing waits.
    fn rest(&self);
}

/// Who waits for what.
pub struct Schedule {
    waiting: Mutex<Vec<Waiting>>,
    news: Notify,
    visited: Option<Arc<Visited>>,
    /// Ended because from here on another run has been everywhere already.
    pub known: CancellationToken,
}

struct Waiting {
    what: String,
    /// Nobody overtakes another one of the same queue.
    queue: Option<String>,
    /// Held back: at the latest then.
    until: Option<Instant>,
    go: oneshot::Sender<()>,
}

/// What comes next.
enum Next {
    Go(usize),
    /// Time goes on, at most until then.
    Rest(Option<Instant>),
}

impl Schedule {
    /// With the states that other runs have been in; None: this run goes to its end whatever others have seen.
    pub fn new(visited: Option<Arc<Visited>>) -> Self {
        Self { waiting: Mutex::default(), news: Notify::new(), visited, known: CancellationToken::new() }
    }

    /// Waits until it is the turn of `what`.
    pub async fn turn(&self, what: String) {
        let _ = self.enter(what, None, None).await;
    }

    /// The same, but time may go on meanwhile, for at most so long.
    pub async fn turn_within(&self, what: String, bound: Duration) {
        let _ = self.enter(what, None, Some(Instant::now() + bound)).await;
    }

    /// Waits from now on, behind all that is in this queue.
    pub fn queue(&self, queue: &str, what: String) -> oneshot::Receiver<()> {
        self.enter(what, Some(queue.to_owned()), None)
    }

    fn enter(&self, what: String, queue: Option<String>, until: Option<Instant>) -> oneshot::Receiver<()> {
        let (go, gone) = oneshot::channel();
        self.waiting.lock().unwrap().push(Waiting { what, queue, until, go });
        self.news.notify_one();
        gone
    }

    /// What waits, in words, for the comparison of states.
    pub fn waiting(&self) -> BTreeSet<String> {
        let waiting = self.waiting.lock().unwrap();
        let tell = |(number, one): (usize, &Waiting)| {
            let within = one.until.map(|until| until.duration_since(Instant::now()));
            let same = |other: &&Waiting| one.queue.is_some() && other.queue == one.queue;
            let place = waiting.iter().take(number).filter(same).count();
            format!("{} {place} {within:?}", one.what)
        };
        waiting.iter().enumerate().map(tell).collect()
    }

    /// Gives everybody a turn, one after the other, in the order that the choices say.
    pub async fn run(&self, choices: &Choices, around: &impl Around) {
        loop {
            all_others_wait().await;
            match self.next(choices, around) {
                Some(Next::Go(number)) => self.go(number),
                Some(Next::Rest(None)) => self.news.notified().await,
                Some(Next::Rest(Some(until))) => {
                    let _ = tokio::time::timeout_at(until, self.news.notified()).await;
                }
                None => {
                    self.known.cancel();
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    fn go(&self, number: usize) {
        let one = self.waiting.lock().unwrap().remove(number);
        // Whoever has given up waiting needs no turn.
        let _ = one.go.send(());
    }

    /// None: another run has been here.
    fn next(&self, choices: &Choices, around: &impl Around) -> Option<Next> {
        let (usual, held) = self.options();
        if usual.is_empty() {
            around.rest();
            return Some(held.first().map_or(Next::Rest(None), |(until, number)| {
                if *until <= Instant::now() { Next::Go(*number) } else { Next::Rest(Some(*until)) }
            }));
        }
        if held.is_empty() && !around.is_open() {
            return usual.first().copied().map(Next::Go);
        }
        let options: Vec<usize> =
            usual.into_iter().chain(held.into_iter().map(|(_, number)| number)).collect();
        if choices.is_beyond_path()
            && let Some(visited) = &self.visited
            && !visited.lock().unwrap().insert(around.state())
        {
            return None;
        }
        let option = if options.len() == 1 { 0 } else { choices.order(options.len()) };
        options.get(option).copied().map(Next::Go)
    }

    /// Who may be next: those that wait for their turn, and those that are held back, soonest first.
    fn options(&self) -> (Vec<usize>, Vec<(Instant, usize)>) {
        let mut waiting = self.waiting.lock().unwrap();
        waiting.retain(|one| !one.go.is_closed());
        let (mut usual, mut held, mut queues) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (number, one) in waiting.iter().enumerate() {
            match (&one.queue, one.until) {
                (_, Some(until)) => held.push((until, number)),
                (Some(queue), None) if !queues.insert(queue) => {}
                (_, None) => usual.push(number),
            }
        }
        held.sort_unstable();
        (usual, held)
    }
}

/// Until nobody has anything to do but this one. The runtime must look for other events only when nothing is left to be
/// done (`event_interval`).
async fn all_others_wait() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
