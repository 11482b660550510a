//! All profiles are applied at once. What is measured goes from the first apply to the last Ready, as people see it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use xtask::numbers::{count, quantile};
use xtask::timing;

use super::bare::Pattern;
use super::hands::{self, Work};
use super::meter::{Account, Call};
use super::report::Figures;
use super::round::Round;
use super::sampler;

/// How long a profile is set up at least where that is followed, in seconds, and how much longer it takes at most. Each takes
/// another time, or all would be met at the same place between two lists.
pub(super) const SET_UP: u32 = 5;
pub(super) const SET_UP_SPREAD: u32 = 50;
/// So many profiles are followed, if there are as many; one after the other, so far apart.
const FOLLOWED: usize = 200;
const PACE: Duration = Duration::from_millis(200);

/// Graph sets them up at once.
pub(super) fn run(round: &mut Round<'_>) -> Result<Figures> {
    let from = round.stage.sampler.now();
    let begun = burst(round)?;
    let account = round.account(begun)?;
    let mut figures = costs(round, &account, begun);
    let samples = round.stage.sampler.since(from);
    figures.insert("create.peak_memory_mib", sampler::peak(&samples));
    figures.insert("create.cpu_seconds", cpu_seconds(&samples));
    round.created_in = figures.get("create.seconds").copied().unwrap_or_default();
    round.pattern = Some(Pattern::of(round, &account, last_ready(round).unwrap_or(begun))?);
    Ok(figures)
}

/// Graph takes a while, and the status follows. Applied one after the other, so that it is the way of the news that is
/// measured, and not a queue.
pub(super) fn follow(round: &mut Round<'_>) -> Result<Figures> {
    let shape = round.shape;
    let chosen = shape.some(FOLLOWED);
    let step =
        round.progress.step(format!("{} profiles are applied slowly, and set up slowly", chosen.len()));
    let begun = timing::now();
    for profile in &chosen {
        let object = shape.object(*profile, "profile", None);
        hands::apply(round.stage.hands.get(..1).unwrap_or_default(), &[object])?;
        round.pass(&step, PACE)?;
    }
    round.until(&step, |round| {
        let ready = round.stage.profiles.ready();
        (ready >= chosen.len(), format!("{ready} are Ready"))
    })?;
    round.until_quiet(&step)?;
    step.done();
    let account = round.account(begun)?;
    let changed = set_up_at(round)?;
    let late = chosen.iter().filter_map(|profile| {
        let seen = round.stage.profiles.get(&shape.key(*profile))?;
        let at = changed.get(seen.profile_id.as_deref()?)?;
        Some(seen.ready_since?.duration_since(*at).as_secs_f64())
    });
    let late: Vec<f64> = late.collect();
    let costs = Costs::of(&account, chosen.len());
    Ok(Figures::from([
        ("follow.profiles", count(late.len())),
        ("follow.status_p50_seconds", quantile(late.clone(), 0.5)),
        ("follow.status_p99_seconds", quantile(late.clone(), 0.99)),
        ("follow.status_max_seconds", quantile(late, 1.0)),
        ("follow.writes_per_profile", costs.writes),
        ("follow.most_writes_of_a_profile", costs.most_writes),
        ("follow.events_per_profile", costs.events),
        ("follow.posts_per_profile", costs.posts),
        ("follow.other_calls_per_profile", costs.other_calls),
    ]))
}

/// Applies all, and waits until all are Ready and nobody writes. When it began.
fn burst(round: &mut Round<'_>) -> Result<Timestamp> {
    let shape = round.shape;
    let objects: Vec<_> = (0..shape.profiles).map(|profile| shape.object(profile, "profile", None)).collect();
    let what = format!("{} profiles are applied, and become Ready", shape.profiles);
    let step = round.progress.step(what);
    round.stage.profiles.follow(&shape.key(0));
    let clients = round.stage.hands.clone();
    let begun = timing::now();
    let mut applying = Work::start(move || hands::apply(&clients, &objects));
    round.until(&step, |round| {
        let ready = round.stage.profiles.ready();
        (ready >= shape.profiles || applying.has_failed(), format!("{ready} are Ready"))
    })?;
    applying.end().context("not all profiles are applied")?;
    round.until_quiet(&step)?;
    step.done();
    Ok(begun)
}

fn costs(round: &Round<'_>, account: &Account, begun: Timestamp) -> Figures {
    let shape = round.shape;
    let applied = account.applied();
    let ready = |profile: &usize| round.stage.profiles.get(&shape.key(*profile))?.ready_since;
    let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
    let waits: Vec<f64> = (0..shape.profiles)
        .filter_map(|profile| Some(seconds(*applied.get(&shape.key(profile))?, ready(&profile)?)))
        .collect();
    let posts: Vec<&Call> = account.graph().filter(|call| call.operation == "create").collect();
    let span = posts.iter().map(|call| call.came()).min().zip(posts.iter().map(|call| call.answered).max());
    let costs = Costs::of(account, shape.profiles);
    let last_write = account.writes().map(|entry| entry.time).max();
    Figures::from([
        ("create.written_seconds", last_write.map_or(0.0, |last| seconds(begun, last))),
        ("create.seconds", last_ready(round).map_or(0.0, |last| seconds(begun, last))),
        ("create.applied_seconds", applied.values().max().map_or(0.0, |last| seconds(begun, *last))),
        ("create.first_post_seconds", span.map_or(0.0, |(first, _)| seconds(begun, first))),
        ("create.posts_seconds", span.map_or(0.0, |(first, last)| seconds(first, last))),
        ("create.ready_p50_seconds", quantile(waits.clone(), 0.5)),
        ("create.ready_p99_seconds", quantile(waits, 0.99)),
        ("create.writes_per_profile", costs.writes),
        ("create.most_writes_of_a_profile", costs.most_writes),
        ("create.events_per_profile", costs.events),
        ("create.writes", count(account.writes().count())),
        ("create.connection_writes", account.writes_to("graphconnections")),
        ("create.secret_writes", account.writes_to("secrets")),
        ("create.conflicts", account.answered_with(409)),
        ("create.posts_per_profile", costs.posts),
        ("create.lists_per_tenant", account.calls(Call::is_list) / count(shape.tenants())),
        ("create.other_calls_per_profile", costs.other_calls),
        ("create.tokens", account.tokens()),
    ])
}

/// When the last profile became Ready.
fn last_ready(round: &Round<'_>) -> Option<Timestamp> {
    let shape = round.shape;
    (0..shape.profiles).filter_map(|profile| round.stage.profiles.get(&shape.key(profile))?.ready_since).max()
}

/// What each of so many profiles took.
struct Costs {
    writes: f64,
    most_writes: f64,
    events: f64,
    posts: f64,
    /// But for lists.
    other_calls: f64,
}

impl Costs {
    fn of(account: &Account, profiles: usize) -> Self {
        let each = |number: f64| number / count(profiles.max(1));
        let most = account.writes_by_profile().values().map(Vec::len).max().unwrap_or_default();
        let is_post = |call: &Call| call.operation == "create";
        Self {
            writes: each(account.writes_to("educationsyncprofiles")),
            most_writes: count(most),
            events: each(account.writes_to("events")),
            posts: each(account.calls(is_post)),
            other_calls: each(account.calls(|call| !call.is_list() && !is_post(call))),
        }
    }
}

fn cpu_seconds(samples: &[sampler::Sample]) -> f64 {
    let first = samples.first().map_or(0, |sample| sample.cpu_ms);
    let last = samples.last().map_or(0, |sample| sample.cpu_ms);
    xtask::numbers::number(last.saturating_sub(first)) / 1000.0
}

/// When each profile was set up, by its id, as the simulator tells.
fn set_up_at(round: &Round<'_>) -> Result<BTreeMap<String, Timestamp>> {
    let page = round.stage.graph.get("/_simulator/profiles").context("the simulator does not answer")?;
    let set_up = page.as_array().into_iter().flatten().filter_map(|profile| {
        let text = |name: &str| profile.get(name).and_then(Value::as_str);
        Some((text("id")?.to_owned(), text("setUpDateTime")?.parse().ok()?))
    });
    Ok(set_up.collect())
}
