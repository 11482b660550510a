//! What it takes when nothing goes wrong and nobody changes anything: with no profiles, at rest, beside Secrets that are
//! nobody's business, after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use xtask::numbers::count;
use xtask::timing;

use super::create;
use super::hands;
use super::meter::{Account, Call};
use super::report::Figures;
use super::round::Round;
use super::sampler::{cpu_percent, memory, peak, private};
use crate::commands::tenant;

/// So many Secrets that the operator has nothing to do with.
const SECRETS: usize = 10_000;
/// Long enough that a hundredth of a second, in which the kernel counts, is nearly nothing.
const NOTHING: Duration = Duration::from_mins(1);
/// A look at memory.
const LOOK: Duration = Duration::from_secs(20);
/// After a restart so many minutes are compared.
const MINUTE: Duration = Duration::from_mins(1);
/// Between the start and the first call: at rest that falls on the moment on which it fell before, so up to an interval.
const START: Duration = Duration::from_secs(70);
/// The minutes that are compared begin so long before the first call: polls come an interval apart, and one must not fall
/// on an edge.
const MARGIN: Duration = Duration::from_secs(1);
/// Two quarters of an hour: in each the status of each profile is asked for once.
const LONG_REST: Duration = Duration::from_mins(30);

/// No profiles: first nothing at all, then connections.
pub(super) fn idle(round: &mut Round<'_>) -> Result<Figures> {
    let step = round.progress.step("Without profiles");
    let from = round.stage.sampler.now();
    round.pass(&step, NOTHING)?;
    let samples = round.stage.sampler.since(from);
    step.done();
    Ok(Figures::from([
        ("idle.empty_memory_mib", memory(&round.empty)),
        ("idle.empty_private_mib", private(&round.empty)),
        ("idle.memory_mib", memory(&samples)),
        ("idle.cpu_percent", cpu_percent(&samples)),
    ]))
}

/// Nobody changes anything.
pub(super) fn rest(round: &mut Round<'_>) -> Result<Figures> {
    let length = round.rest;
    let step = round.progress.step(format!("Rest, {} s; before it polls find their pace", length.as_secs()));
    round.until_at_rest(&step)?;
    let (from, begun) = (round.stage.sampler.now(), timing::now());
    round.pass(&step, length)?;
    let samples = round.stage.sampler.since(from);
    let account = round.account(begun)?.within(begun, length);
    step.done();
    let [calls, lists, writes] = rates(round, &account, length);
    Ok(Figures::from([
        ("rest.graph_calls_per_profile_hour", calls),
        ("rest.lists_per_tenant_hour", lists),
        ("rest.writes_per_profile_hour", writes),
        ("rest.tokens", account.tokens()),
        ("rest.kubernetes_reads", count(account.requests.iter().filter(|entry| !entry.is_write()).count())),
        ("rest.memory_mib", memory(&samples)),
        ("rest.private_mib", private(&samples)),
        ("rest.open_files", count(samples.last().map_or(0, |sample| sample.open_files))),
        ("rest.cpu_percent", cpu_percent(&samples)),
        ("rest.seconds", length.as_secs_f64()),
    ]))
}

/// The same where no list takes `$expand`.
pub(super) fn no_expand(round: &mut Round<'_>) -> Result<Figures> {
    create::run(round)?;
    let step = round.progress.step("Rest without $expand, half an hour");
    round.until_at_rest(&step)?;
    let begun = timing::now();
    round.pass(&step, LONG_REST)?;
    let account = round.account(begun)?.within(begun, LONG_REST);
    step.done();
    let [calls, lists, writes] = rates(round, &account, LONG_REST);
    Ok(Figures::from([
        ("noExpand.graph_calls_per_profile_hour", calls),
        ("noExpand.lists_per_tenant_hour", lists),
        ("noExpand.writes_per_profile_hour", writes),
    ]))
}

/// Calls and writes for each profile and hour, lists for each tenant and hour.
fn rates(round: &Round<'_>, account: &Account, length: Duration) -> [f64; 3] {
    let hours = length.as_secs_f64() / 3600.0;
    let profile_hours = count(round.shape.profiles) * hours;
    [
        account.calls(|_| true) / profile_hours,
        account.calls(|call| call.operation == "list") / (count(round.shape.tenants()) * hours),
        count(account.writes().count()) / profile_hours,
    ]
}

/// Secrets come into the cluster.
pub(super) fn secrets(round: &mut Round<'_>) -> Result<Figures> {
    let step = round.progress.step(format!("{SECRETS} foreign Secrets"));
    round.until_quiet(&step)?;
    let from = round.stage.sampler.now();
    round.pass(&step, LOOK)?;
    let before = memory(&round.stage.sampler.since(from));
    let namespace = tenant::namespace("foreign");
    hands::apply(&round.stage.hands, std::slice::from_ref(&namespace))?;
    let begun = timing::now();
    // As large as a certificate with its key.
    let values = json!({"tls.crt": "x".repeat(2000), "tls.key": "x".repeat(1700)});
    let secret = |number| tenant::secret("foreign", &format!("foreign-{number:05}"), &values);
    hands::apply(&round.stage.hands, &(0..SECRETS).map(secret).collect::<Vec<_>>())?;
    let from = round.stage.sampler.now();
    round.pass(&step, LOOK)?;
    let after = memory(&round.stage.sampler.since(from));
    let account = round.account(begun)?;
    step.done();
    let asked = account.requests.iter().filter(|entry| entry.resource == "secrets");
    let foreign = asked.filter(|entry| entry.namespace.as_deref() == Some("foreign") || entry.name.is_none());
    Ok(Figures::from([
        ("secrets.memory_before_mib", before),
        ("secrets.memory_after_mib", after),
        ("secrets.requests_for_them", count(foreign.count())),
    ]))
}

/// The operator ends and starts again.
pub(super) fn restart(round: &mut Round<'_>) -> Result<Figures> {
    let step =
        round.progress.step("The operator is started again; the first two minutes with calls are compared");
    round.until_quiet(&step)?;
    let watch = xtask::timing::Stopwatch::start();
    round.stage.stop_operator()?;
    let stopped = watch.elapsed();
    let (from, begun) = (round.stage.sampler.now(), timing::now());
    round.stage.start_operator()?;
    round.pass(&step, MINUTE * 2 + START)?;
    let samples = round.stage.sampler.since(from);
    let all = round.account(begun)?;
    step.done();
    let first =
        all.graph().map(Call::came).min().context("the operator has made no call since its restart")?;
    let minute = first.checked_sub(MARGIN)?;
    let second = minute.checked_add(MINUTE)?;
    anyhow::ensure!(
        second.checked_add(MINUTE)? <= timing::now(),
        "the first call came too late for two minutes to be compared"
    );
    let (first_minute, steady) = (all.within(minute, MINUTE), all.within(second, MINUTE));
    let tokens = all.within(begun, second.duration_since(begun).unsigned_abs());
    let mut listed = BTreeMap::new();
    for call in all.graph().filter(|call| call.is_list() && call.status == 200) {
        listed.entry(call.tenant.as_deref().unwrap_or_default()).or_insert(call.answered);
    }
    let all_listed = listed.values().max().filter(|_| listed.len() >= round.shape.tenants());
    let (calls, later) = (first_minute.calls(|_| true), steady.calls(|_| true));
    anyhow::ensure!(later > 0.0, "the operator has made no call in the second minute");
    let leading = all.requests.iter().find(|entry| entry.resource == "leases" && entry.is_write());
    let seconds = |at: jiff::Timestamp| at.duration_since(begun).as_secs_f64();
    let all_listed = all_listed.map(|last| ("restart.all_listed_seconds", seconds(*last)));
    let lease = leading.map(|entry| ("restart.lease_seconds", seconds(entry.time)));
    let figures = Figures::from([
        ("restart.calls_first_minute", calls),
        ("restart.calls_steady_minute", later),
        ("restart.calls_ratio", calls / later),
        ("restart.tokens_first_minute", tokens.tokens()),
        ("restart.writes", count(all.writes().count())),
        ("restart.stop_seconds", stopped.as_secs_f64()),
        ("restart.first_call_seconds", seconds(first)),
        ("restart.memory_mib", memory(samples.get(samples.len() / 2..).unwrap_or_default())),
        ("restart.peak_memory_mib", peak(&samples)),
    ]);
    Ok(figures.into_iter().chain(all_listed).chain(lease).collect())
}
