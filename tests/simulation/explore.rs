//! Not by chance: every way in which a short piece of work can go, in every order of its requests, answers, notices
//! and deeds, with so many calls that go wrong.
//!
//! A run shows at which moments something else could have come first, or could have gone wrong. Each of these is
//! tried in a run of its own, which shows where to go on from there. A run that comes into a state in which another one
//! has been ends there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use graph_simulator::Settings;

use crate::choices::{Bounds, Choices, Path};
use crate::order::Order;
use crate::run::{Outcome, drive, number};
use crate::schedule::Visited;
use crate::users::Deed;
use crate::world::World;

/// Calls go wrong, and order is open, for so long.
const TROUBLE: Duration = Duration::from_secs(45);
/// Graph takes so long to provision a profile, and to delete one.
const WORK: Duration = Duration::from_secs(4);

/// A piece of work: what people do, and how many replicas there are.
struct Work {
    name: &'static str,
    replicas: usize,
    deeds: Vec<(u64, Deed)>,
}

fn apply(resource: usize, name: usize, variant: u64) -> Deed {
    Deed::Apply { resource, name, variant }
}

/// The pieces of work.
fn works() -> Vec<Work> {
    let create = |at| (at, apply(0, 0, 0));
    let update = vec![create(0), (15_000, apply(0, 0, 1))];
    let delete = vec![create(0), (15_000, Deed::Delete { resource: 0 })];
    let adopt = vec![(0, Deed::Plant { name: 0 }), (500, Deed::Adopt { name: 0 })];
    vec![
        Work { name: "create", replicas: 1, deeds: vec![create(500)] },
        Work { name: "create, two replicas", replicas: 2, deeds: vec![create(500)] },
        Work { name: "two of one name", replicas: 1, deeds: vec![create(500), (500, apply(1, 3, 2))] },
        Work { name: "update", replicas: 1, deeds: update.clone() },
        Work { name: "update, two replicas", replicas: 2, deeds: update },
        Work { name: "rename", replicas: 1, deeds: vec![create(0), (15_000, apply(0, 1, 0))] },
        Work { name: "delete", replicas: 1, deeds: delete.clone() },
        Work { name: "delete, two replicas", replicas: 2, deeds: delete },
        Work {
            name: "delete while it is created",
            replicas: 1,
            deeds: vec![create(500), (1_200, Deed::Delete { resource: 0 })],
        },
        Work {
            name: "delete and create again",
            replicas: 1,
            deeds: vec![create(0), (12_000, Deed::Delete { resource: 0 }), (30_000, create(0).1)],
        },
        Work { name: "adopt", replicas: 1, deeds: adopt.clone() },
        Work { name: "adopt, two replicas", replicas: 2, deeds: adopt },
        Work { name: "pause", replicas: 1, deeds: vec![create(0), (15_000, apply(0, 0, 204))] },
    ]
}

/// What was decided at which decision, where it was not the usual.
type Deviations = Vec<(usize, usize)>;

/// One run, and the decisions that there were in it.
fn follow(
    work: &Work,
    deviations: &[(usize, usize)],
    bounds: Bounds,
    visited: Option<Arc<Visited>>,
) -> (Outcome, Path) {
    // Everything that can be done is done before the schedule goes on.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).event_interval(u32::MAX).build().unwrap();
    runtime.block_on(async {
        let choices = Choices::following(Path::deviating(deviations, bounds));
        let settings = Settings { provisioning_time: WORK, delete_time: WORK, ..Settings::default() };
        let world = World::in_order(choices.clone(), TROUBLE, settings, Order::new(visited));
        let deeds = work.deeds.iter().map(|(at, deed)| (Duration::from_millis(*at), deed.clone())).collect();
        tokio::spawn(keep_order(Arc::clone(&world)));
        let order = world.order.as_ref().unwrap();
        tokio::select! {
            () = order.schedule.known.cancelled() => {}
            () = drive(&world, work.replicas, deeds) => {}
        }
        (Outcome { broken: world.story.first_broken(), story: world.story.text() }, choices.path())
    })
}

async fn keep_order(world: Arc<World>) {
    let Some(order) = &world.order else { return };
    order.schedule.run(&world.choices, &*world).await;
}

/// Every single deviation after those that there are.
fn next(path: &Path, deviations: &[(usize, usize)]) -> Vec<Deviations> {
    let after = deviations.last().map_or(0, |(at, _)| at + 1);
    let decisions = path.options.iter().enumerate().skip(after);
    decisions
        .flat_map(|(at, options)| (1..*options).map(move |option| (at, option)))
        .map(|deviation| deviations.iter().copied().chain([deviation]).collect())
        .collect()
}

/// What is known of a piece of work so far.
struct Search {
    bounds: Bounds,
    visited: Arc<Visited>,
    runs: AtomicUsize,
    failed: Mutex<Option<String>>,
    /// What is still to be tried, and how many are being tried.
    front: Mutex<(Vec<Deviations>, usize)>,
    news: Condvar,
}

impl Search {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            visited: Arc::default(),
            runs: AtomicUsize::new(0),
            failed: Mutex::default(),
            front: Mutex::new((vec![Vec::new()], 0)),
            news: Condvar::new(),
        }
    }

    /// Tries everything, on all processors.
    fn run(&self, work: &Work) {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(deviations) = self.take() {
                        let more = self.try_one(work, &deviations);
                        let mut front = self.front.lock().unwrap();
                        front.0.extend(more);
                        front.1 -= 1;
                        self.news.notify_all();
                    }
                });
            }
        });
    }

    /// The next to be tried; None when all were, or one failed.
    fn take(&self) -> Option<Deviations> {
        let mut front = self.front.lock().unwrap();
        loop {
            if self.failed.lock().unwrap().is_some() {
                return None;
            }
            if let Some(deviations) = front.0.pop() {
                front.1 += 1;
                return Some(deviations);
            }
            if front.1 == 0 {
                return None;
            }
            front = self.news.wait(front).unwrap();
        }
    }

    fn try_one(&self, work: &Work, deviations: &[(usize, usize)]) -> Vec<Deviations> {
        let (outcome, path) = follow(work, deviations, self.bounds, Some(Arc::clone(&self.visited)));
        let runs = self.runs.fetch_add(1, Ordering::Relaxed) + 1;
        if runs.is_multiple_of(10_000) {
            println!(
                "{}: {} so far, {} to be tried",
                work.name,
                self.numbers(),
                self.front.lock().unwrap().0.len()
            );
        }
        if let Some(broken) = outcome.broken {
            let told = format!("{}, {deviations:?}: {broken}\n{}", work.name, outcome.story);
            self.failed.lock().unwrap().get_or_insert(told);
        }
        next(&path, deviations)
    }

    fn states(&self) -> usize {
        self.visited.lock().unwrap().len()
    }

    fn numbers(&self) -> String {
        let states = self.states();
        format!("{states} states in {} runs", self.runs.load(Ordering::Relaxed))
    }
}

fn setting(variable: &str, default: usize) -> usize {
    usize::try_from(number(variable, default as u64)).unwrap()
}

/// `EDUSYNC_SIMULATION_FAULTS=2` lets two calls go wrong, `EDUSYNC_SIMULATION_DETOURS=2` two things happen out of their
/// usual order. Both take long.
#[test]
fn every_order_and_every_fault() {
    let bounds = Bounds {
        faults: setting("EDUSYNC_SIMULATION_FAULTS", 1),
        detours: setting("EDUSYNC_SIMULATION_DETOURS", 1),
    };
    let only = std::env::var("EDUSYNC_SIMULATION_WORK").ok();
    for work in works().into_iter().filter(|work| only.as_deref().is_none_or(|only| only == work.name)) {
        let search = Search::new(bounds);
        search.run(&work);
        if let Some(failed) = &*search.failed.lock().unwrap() {
            panic!("{failed}");
        }
        let (faults, detours) = (bounds.faults, bounds.detours);
        // A piece of work that is over before it began has hardly any, and so has one in which nothing goes wrong.
        let least = if faults > 0 && detours > 0 { 1_000 } else { 0 };
        assert!(search.states() > least, "{} comes to little: {}", work.name, search.numbers());
        println!("{}: {}; at most {faults} faults, {detours} detours", work.name, search.numbers());
    }
}
