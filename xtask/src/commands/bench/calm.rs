//! What it takes when nothing goes wrong and nobody changes anything: with no profiles, at rest, beside Secrets that are
//! nobody's business, after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
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
/// Between the start and the first call.
const START: Duration = Duration::from_secs(10);
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
    let step = round.progress.step("The operator is started again; two minutes are compared");
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
    let first = all.graph().map(Call::came).min().unwrap_or(begun);
    let second = first.checked_add(MINUTE).unwrap_or(first);
    let (first_minute, steady) = (all.within(first, MINUTE), all.within(second, MINUTE));
    let mut listed = BTreeMap::new();
    for call in all.graph().filter(|call| call.is_list() && call.status == 200) {
        listed.entry(call.tenant.as_deref().unwrap_or_default()).or_insert(call.answered);
    }
    let all_listed = listed.values().max().filter(|_| listed.len() >= round.shape.tenants());
    let ratio = first_minute.calls(|_| true) / steady.calls(|_| true).max(1.0);
    let leading = all.requests.iter().find(|entry| entry.resource == "leases" && entry.is_write());
    let seconds = |at: jiff::Timestamp| at.duration_since(begun).as_secs_f64();
    let all_listed = all_listed.map(|last| ("restart.all_listed_seconds", seconds(*last)));
    let figures = Figures::from([
        ("restart.calls_first_minute", first_minute.calls(|_| true)),
        ("restart.calls_steady_minute", steady.calls(|_| true)),
        ("restart.calls_ratio", ratio),
        ("restart.tokens_first_minute", first_minute.tokens()),
        ("restart.writes", count(all.writes().count())),
        ("restart.stop_seconds", stopped.as_secs_f64()),
        ("restart.lease_seconds", leading.map_or(0.0, |entry| seconds(entry.time))),
        ("restart.first_call_seconds", seconds(first)),
        ("restart.memory_mib", memory(samples.get(samples.len() / 2..).unwrap_or_default())),
        ("restart.peak_memory_mib", peak(&samples)),
    ]);
    Ok(figures.into_iter().chain(all_listed).collect())
}
