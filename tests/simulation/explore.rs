//! Not by chance: every way in which a short piece of work can go, with one call that goes wrong, and with two.
//!
//! A run without trouble shows at which calls something can go wrong. Then each of them goes wrong in each of its
//! ways, and each of these runs shows where the next thing can go wrong.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::choices::{Choices, Path};
use crate::run::{Outcome, drive, number};
use crate::users::Deed;
use crate::world::World;

/// Calls go wrong for so long.
const TROUBLE: Duration = Duration::from_secs(45);

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
    vec![
        Work { name: "create", replicas: 1, deeds: vec![create(500)] },
        Work { name: "create, two replicas", replicas: 2, deeds: vec![create(500)] },
        Work { name: "two of one name", replicas: 1, deeds: vec![create(500), (500, apply(1, 3, 2))] },
        Work { name: "update", replicas: 1, deeds: vec![create(0), (15_000, apply(0, 0, 1))] },
        Work { name: "rename", replicas: 1, deeds: vec![create(0), (15_000, apply(0, 1, 0))] },
        Work { name: "delete", replicas: 1, deeds: vec![create(0), (15_000, Deed::Delete { resource: 0 })] },
        Work {
            name: "delete while it is created",
            replicas: 1,
            deeds: vec![create(500), (700, Deed::Delete { resource: 0 })],
        },
        Work {
            name: "delete and create again",
            replicas: 1,
            deeds: vec![create(0), (12_000, Deed::Delete { resource: 0 }), (30_000, create(0).1)],
        },
        Work { name: "adopt", replicas: 1, deeds: vec![(0, Deed::Plant { name: 0 }), (500, Deed::Adopt)] },
        Work { name: "pause", replicas: 1, deeds: vec![create(0), (15_000, apply(0, 0, 204))] },
    ]
}

/// One run, and the decisions that there were in it.
fn follow(work: &Work, deviations: &[(usize, usize)]) -> (Outcome, Path) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let choices = Choices::following(Path::deviating(deviations));
        let world = World::new(choices.clone(), 100, TROUBLE, Duration::from_secs(4));
        let deeds = work.deeds.iter().map(|(at, deed)| (Duration::from_millis(*at), deed.clone())).collect();
        drive(&world, work.replicas, deeds).await;
        (Outcome { broken: world.story.first_broken(), story: world.story.text() }, choices.path())
    })
}

/// Every single deviation after those that there are.
fn next(path: &Path, deviations: &[(usize, usize)]) -> Vec<Vec<(usize, usize)>> {
    let after = deviations.last().map_or(0, |(at, _)| at + 1);
    let decisions = path.options.iter().enumerate().skip(after);
    decisions
        .flat_map(|(at, options)| (1..*options).map(move |option| (at, option)))
        .map(|deviation| deviations.iter().copied().chain([deviation]).collect())
        .collect()
}

#[derive(Default)]
struct Found {
    runs: AtomicUsize,
    endings: Mutex<BTreeSet<u64>>,
    failed: Mutex<Vec<String>>,
}

/// Follows all of these on all processors; the paths of those that may go further.
fn follow_all(work: &Work, all: &[Vec<(usize, usize)>], found: &Found) -> Vec<(Vec<(usize, usize)>, Path)> {
    let (at, paths) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(deviations) = all.get(at.fetch_add(1, Ordering::Relaxed)) {
                    let (outcome, path) = follow(work, deviations);
                    found.runs.fetch_add(1, Ordering::Relaxed);
                    let mut hasher = DefaultHasher::new();
                    outcome.story.hash(&mut hasher);
                    found.endings.lock().unwrap().insert(hasher.finish());
                    if let Some(broken) = outcome.broken {
                        let told = format!("{}, {deviations:?}: {broken}\n{}", work.name, outcome.story);
                        found.failed.lock().unwrap().push(told);
                    }
                    paths.lock().unwrap().push((deviations.clone(), path));
                }
            });
        }
    });
    let mut paths = paths.into_inner().unwrap();
    paths.sort_by(|(left, _), (right, _)| left.cmp(right));
    paths
}

/// `EDUSYNC_SIMULATION_DEEP=2` lets two calls go wrong, which takes long.
#[test]
fn every_call_goes_wrong_in_every_way() {
    let deep = number("EDUSYNC_SIMULATION_DEEP", 1);
    let only = std::env::var("EDUSYNC_SIMULATION_WORK").ok();
    for work in works().into_iter().filter(|work| only.as_deref().is_none_or(|only| only == work.name)) {
        let found = Arc::new(Found::default());
        let mut front = follow_all(&work, &[Vec::new()], &found);
        for _ in 0..deep {
            let all: Vec<_> = front.iter().flat_map(|(deviations, path)| next(path, deviations)).collect();
            front = follow_all(&work, &all, &found);
        }
        let failed = found.failed.lock().unwrap();
        assert!(
            failed.is_empty(),
            "{} runs of \"{}\" failed; the first:\n{}",
            failed.len(),
            work.name,
            failed[0]
        );
        let (runs, endings) = (found.runs.load(Ordering::Relaxed), found.endings.lock().unwrap().len());
        println!(
            "{}: {runs} runs with at most {deep} calls that go wrong, {endings} different stories",
            work.name
        );
    }
}
