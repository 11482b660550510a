//! The operator is killed, cut off or kept waiting at each request that it makes; a new one goes on. Counted: profiles
//! that are there twice, profiles that nobody owns, resources that need a person.
//!
//! Each path (create, adopt, update, pause, delete) first runs undisturbed, to learn which requests it makes. It then
//! runs anew for every one of them and everything that is done to it, each time in a namespace and a tenant of its own.
//!
//! It has a binary of its own, since it needs the whole machine: leases of two seconds do not last beside it.

#![cfg(test)]
#![allow(clippy::needless_pass_by_value, reason = "json! values are handed on as they are made")]

mod journal;
mod path;

// What the other black-box tests have, and use more of.
#[path = "../black_box/manifests.rs"]
mod manifests;
#[path = "../black_box/operator.rs"]
#[allow(dead_code, reason = "tests/black_box uses the rest")]
mod operator;
#[path = "../black_box/proxy.rs"]
#[allow(dead_code, reason = "tests/black_box uses the rest")]
mod proxy;
#[path = "../black_box/scene.rs"]
#[allow(dead_code, reason = "tests/black_box uses the rest")]
mod scene;
#[path = "../black_box/world.rs"]
#[allow(dead_code, reason = "tests/black_box uses the rest")]
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use edusync::api::EducationSyncProfile;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use journal::{Journal, Outcome};
use path::Path;
use proxy::{Deed, Gate, Wanted};
use scene::{Scene, condition};

/// How long a run may take to come to its end: a lost create is waited for 21 s, the rest is for a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Longer than the deadline of a request to Graph (`--request-timeout` of the tests).
const HELD_FOR: Duration = Duration::from_secs(4);
/// Runs wait most of the time: for a lease that runs out, or for a list.
const RUNS_FOR_EACH_CORE: usize = 6;

/// More requests of one name than this are polls, or the work of a second operator on a machine that is too slow.
const MOST_OF_ONE_NAME: usize = 4;

/// One run: a path, and what is done to which request.
#[derive(Clone, Debug)]
struct Run {
    path: Path,
    number: usize,
    wanted: Option<Wanted>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_cut_off_or_kept_waiting_at_every_request_it_makes_no_twin_and_needs_nobody() {
    let began = Instant::now();
    let mut journal = Journal::default();
    let undisturbed = Path::ALL.map(|path| Run { path, number: 0, wanted: None });
    for outcome in side_by_side(undisturbed.to_vec()).await {
        journal.learn(outcome);
    }
    for outcome in side_by_side(disturbed(&journal)).await {
        journal.add(outcome);
    }
    println!("{journal}in {} s", began.elapsed().as_secs());
    journal.assert_nothing_is_wrong();
    journal.assert_nothing_is_left_out();
    assert!(journal.kills() >= 100, "too few kills prove too little");
}

/// A run for each request of each path and each deed that is done to it.
fn disturbed(journal: &Journal) -> Vec<Run> {
    let mut runs = Vec::new();
    for (path, requests) in &journal.requests {
        for (place, name) in requests.iter().enumerate() {
            let before = requests[..place].iter().filter(|other| *other == name).count();
            if before >= MOST_OF_ONE_NAME {
                continue;
            }
            for deed in deeds_for(name) {
                let wanted = Some(Wanted { name: name.clone(), before, deed: *deed });
                runs.push(Run { path: *path, number: runs.len() + 1, wanted });
            }
        }
    }
    runs
}

/// The operator is killed at every request. A read that is lost or late is made again, and has changed nothing, so
/// only changes are lost and late as well.
fn deeds_for(request: &str) -> &'static [Deed] {
    let is_change =
        ["POST", "PUT", "PATCH", "DELETE"].iter().any(|method| request.contains(&format!(" {method} ")));
    if is_change { &Deed::ALL } else { &[Deed::KillBefore, Deed::KillAfter] }
}

/// Runs all, some at a time.
async fn side_by_side(runs: Vec<Run>) -> Vec<Outcome> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let places = Arc::new(Semaphore::new(cores * RUNS_FOR_EACH_CORE));
    let mut all = JoinSet::new();
    for run in runs {
        let places = Arc::clone(&places);
        all.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            run.carry_out().await
        });
    }
    all.join_all().await
}

impl Run {
    async fn carry_out(self) -> Outcome {
        let name = format!("run-{}-{:?}", self.number, self.path).to_lowercase();
        let scene = Scene::behind_proxies(&name, Path::settings()).await;
        let mut scene = scene.with_flags(&["--poll-interval", "500ms", "--lease-duration", "2s"]);
        let gate = scene.gate();
        self.path.prepare(&scene).await;
        if self.path.begins_with_a_running_operator() {
            let is_prepared = |scene: &Scene, now: &Now| self.path.is_prepared(scene, now.as_ref());
            assert!(come_to(&mut scene, &gate, is_prepared).await, "{}", scene.operator_log());
        }
        gate.count(self.wanted.clone());
        let before = scene.starts.load(Ordering::Relaxed);
        let asked = self.path.ask(&scene).await;
        let is_done = |scene: &Scene, now: &Now| self.path.is_done(scene, now.as_ref());
        let mut ended = come_to(&mut scene, &gate, is_done).await;
        let (seen, at) = gate.end();
        // What struck last may have struck after all was done.
        if at.is_some() && deal_with_a_strike(&mut scene, &gate).await {
            ended = come_to(&mut scene, &gate, is_done).await;
        }
        if ended && self.path != Path::Delete {
            // Whatever it would do on second thoughts, it does after the next lists.
            let enough = scene.lists() + 2;
            ended =
                come_to(&mut scene, &gate, |scene, now| scene.lists() >= enough && is_done(scene, now)).await;
        }
        scene.kill_operator();
        let started = scene.starts.load(Ordering::Relaxed) - before;
        let mut outcome = self.judge(&scene, asked.as_ref(), ended, started).await;
        outcome.strike = at.zip(self.wanted.as_ref().map(|wanted| wanted.deed));
        outcome.seen = seen;
        outcome
    }

    /// `started`: how many operators were started since it was asked for.
    async fn judge(
        &self,
        scene: &Scene,
        asked: Option<&EducationSyncProfile>,
        ended: bool,
        started: u32,
    ) -> Outcome {
        let now = scene.profiles().get_opt("contoso").await.unwrap();
        let stalled = now.as_ref().and_then(|profile| condition(profile, "Stalled"));
        let binding = now.as_ref().and_then(|now| now.status.as_ref()?.binding.as_ref());
        let bound = binding.map(|binding| binding.profile_id.as_str());
        let profiles = scene.simulator.profiles();
        let requests = scene.simulator.requests();
        let made =
            requests.iter().filter(|request| request.operation == "create" && request.status < 300).count();
        let mut wrong = Vec::new();
        if let (Some(asked), Some(now)) = (asked, &now)
            && (asked.metadata.generation != now.metadata.generation || asked.spec != now.spec)
        {
            wrong.push("the spec was changed".to_owned());
        }
        let deletes = scene.requests("DELETE").len();
        // Each operator that starts in the middle may send one more, and whoever got no answer. On a machine that is too
        // slow more of them start than are killed.
        let most_deletes = if self.path == Path::Delete { 1 + started.max(1) as usize } else { 0 };
        if deletes > most_deletes {
            let log = scene.operator_log();
            wrong.push(format!("{deletes} DELETEs, although {started} operators were started\n{log}"));
        }
        if !ended {
            let status = now.as_ref().map(|profile| &profile.status);
            wrong.push(format!("it does not come to its end: {status:#?}\n{}", scene.operator_log()));
        }
        Outcome {
            run: self.clone(),
            strike: None,
            seen: Vec::new(),
            duplicates: made.saturating_sub(self.path.creates()) + profiles.len().saturating_sub(1),
            orphans: profiles.iter().filter(|profile| profile["id"].as_str() != bound).count(),
            humans: usize::from(!ended || stalled.is_some()),
            wrong,
        }
    }
}

/// The resource, if it is there.
type Now = Option<EducationSyncProfile>;

/// Waits until `holds`, and is a Deployment meanwhile: an operator that has ended is started anew, whether it was
/// killed or has lost its lease on a machine that is too slow. False if the patience is over.
async fn come_to(scene: &mut Scene, gate: &Gate, holds: impl Fn(&Scene, &Now) -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if scene.operator.as_mut().is_none_or(|operator| operator.try_wait().unwrap().is_some()) {
            scene.start_operator();
        }
        if deal_with_a_strike(scene, gate).await {
            continue;
        }
        let now = scene.profiles().get_opt("contoso").await.unwrap();
        if holds(scene, &now) {
            return true;
        }
    }
    false
}

/// Waits a little for a strike, and does what it calls for. False if there was none.
async fn deal_with_a_strike(scene: &mut Scene, gate: &Gate) -> bool {
    let Ok(deed) = tokio::time::timeout(LOOK, gate.struck()).await else {
        return false;
    };
    match deed {
        Deed::KillBefore | Deed::KillAfter => scene.kill_operator(),
        Deed::CutBefore | Deed::CutAfter => {}
        Deed::Hold => {
            tokio::time::sleep(HELD_FOR).await;
            gate.release();
        }
    }
    true
}
