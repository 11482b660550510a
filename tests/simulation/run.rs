//! One run from its beginning to its end, and many of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::choices::Choices;
use crate::judge;
use crate::manifests::connection;
use crate::process;
use crate::rules::Counts;
use crate::users::{self, Replicas};
use crate::world::World;

/// So long things go wrong by chance.
const TROUBLE: Duration = Duration::from_mins(6);
/// So long after it everything may take to become right.
const BOUND: Duration = Duration::from_mins(20);

/// So long nothing may happen then.
const QUIET: Duration = Duration::from_mins(3);

/// How a run has ended.
pub struct Outcome {
    /// The rule that was broken.
    pub broken: Option<String>,
    pub story: String,
}

/// Time goes on when nothing else does.
pub fn in_paused_time<T>(run: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(run)
}

/// A run that comes from a seed.
pub fn by_seed(seed: u64) -> Outcome {
    in_paused_time(async {
        let choices = Choices::seeded(seed);
        let trouble = *choices.one_of(&[0, 3, 8, 15, 30]);
        let provisioning = choices.between(500, 60_000);
        let world = World::new(choices.clone(), trouble, TROUBLE, provisioning);
        let deeds = users::deeds(&world, TROUBLE);
        let replicas = 1 + usize::from(choices.percent(50));
        drive(&world, replicas, deeds).await;
        Outcome { broken: world.story.first_broken(), story: world.story.text() }
    })
}

pub async fn drive(world: &Arc<World>, replicas: usize, deeds: Vec<(Duration, users::Deed)>) {
    let running = Replicas::default();
    let mut tasks = begin(world, &running, replicas);
    tasks.spawn(users::act(Arc::clone(world), Arc::clone(&running), deeds));
    while world.is_troubled() && world.story.first_broken().is_none() {
        tokio::time::sleep(Duration::from_secs(5)).await;
        judge::on_call(world);
    }
    let patience = if users::repair(world) { Duration::from_mins(16) } else { Duration::ZERO };
    world.story.tell("peace");
    tokio::time::sleep(patience).await;
    settle(world).await;
}

/// A connection with its Secret, and so many replicas that are kept running.
pub fn begin(world: &Arc<World>, running: &Replicas, replicas: usize) -> JoinSet<()> {
    users::right_secret(world);
    world.server.apply(connection(world), world.clock.now());
    let mut tasks = JoinSet::new();
    for number in 0..replicas {
        tasks.spawn(users::keep_running(Arc::clone(world), Arc::clone(running), number));
    }
    tasks
}

/// Everything has to become right within the bound, and then to be quiet.
async fn settle(world: &Arc<World>) {
    let end = world.clock.now() + BOUND;
    while world.story.first_broken().is_none() {
        let mut wrong = judge::unsettled(world);
        if wrong.is_empty() {
            // What is under way (a synchronization, a name that became free, what a process that has just begun looks
            // at twice when the settle window is over) comes to its end.
            let before = world.rules.counted();
            tokio::time::sleep(process::LEASE * 2 + process::SETTLE_WINDOW + process::REST * 3).await;
            wrong = judge::unsettled(world);
            if wrong.is_empty() && done_since(world, &before).is_empty() {
                return quiet(world).await;
            }
        }
        if world.clock.now() > end {
            world.story.broken(format!("not settled: {}", wrong.join("; ")));
        }
        judge::on_call(world);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Writes, and calls of each kind but lists, that there were more of since then.
fn done_since(world: &World, before: &Counts) -> Vec<String> {
    let (calls, writes) = world.rules.counted();
    let is_more = |(kind, count): &(&String, &u64)| {
        *kind != "list" && before.0.get(*kind).is_none_or(|before| before < count)
    };
    let calls = calls.iter().filter(is_more).map(|(kind, _)| kind.clone());
    calls.chain((writes > before.1).then(|| "writes".to_owned())).collect()
}

/// At rest nothing is written, and nothing is asked for but lists.
async fn quiet(world: &Arc<World>) {
    let before = world.rules.counted();
    tokio::time::sleep(QUIET).await;
    let mut done = done_since(world, &before);
    let lists = |counts: &Counts| counts.0.get("list").copied().unwrap_or_default();
    if lists(&world.rules.counted()) > lists(&before) + 4 {
        done.push("lists".to_owned());
    }
    if !done.is_empty() {
        world.story.broken(format!("at rest there were more {}", done.join(" and ")));
    }
    let wrong = judge::unsettled(world);
    if !wrong.is_empty() {
        world.story.broken(format!("not settled any more: {}", wrong.join("; ")));
    }
}

pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn tell(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed}: {}\n{}\nAgain: EDUSYNC_SIMULATION_SEED={seed} cargo test -p edusync --test simulation one_run -- --nocapture",
        outcome.broken.as_deref().unwrap_or("all rules held"),
        outcome.story
    )
}

#[test]
fn one_run() {
    let seed = number("EDUSYNC_SIMULATION_SEED", 1);
    let outcome = by_seed(seed);
    println!("{}", tell(seed, &outcome));
    assert!(outcome.broken.is_none());
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..20 {
        let (first, second) = (by_seed(seed).story, by_seed(seed).story);
        let place = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert!(first == second, "seed {seed} differs: {place:?}");
    }
}

#[test]
fn many_runs() {
    let first = number("EDUSYNC_SIMULATION_SEED", 1);
    let count = number("EDUSYNC_SIMULATION_RUNS", 1_000);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || !failed.lock().unwrap().is_empty() {
                        return;
                    }
                    let outcome = by_seed(seed);
                    if outcome.broken.is_some() {
                        failed.lock().unwrap().push(tell(seed, &outcome));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.first().unwrap());
}
