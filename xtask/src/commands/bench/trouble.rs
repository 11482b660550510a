//! What it takes when somebody interferes: changes in Graph, 429 to everything, 503 to everything.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::json;
use xtask::numbers::{count, quantile};
use xtask::progress::Step;
use xtask::timing;

use super::hands;
use super::meter::{self, Account, Call};
use super::report::Figures;
use super::round::Round;
use super::shape;
use crate::commands::portal::Portal;

/// So many profiles are changed, if there are as many.
const CHANGED: usize = 100;
/// How long Graph refuses everything.
const TROUBLE: Duration = Duration::from_secs(90);
/// What it asks to wait meanwhile.
const WAIT: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_mins(1);
/// Nothing else may follow what was done.
const AFTERMATH: Duration = Duration::from_secs(15);

/// Somebody changes profiles in Graph.
pub(super) fn drift(round: &mut Round<'_>) -> Result<Figures> {
    let chosen = round.shape.some(CHANGED);
    let step = round.progress.step(format!("Somebody changes {} profiles in Graph", chosen.len()));
    round.until_at_rest(&step)?;
    let begun = timing::now();
    let mut portal = Portal::default();
    let mut changed = BTreeMap::new();
    for profile in &chosen {
        let seen = round.stage.profiles.get(&round.shape.key(*profile));
        let id = seen.and_then(|seen| seen.profile_id).context("a profile has no id in its status")?;
        let tenant = shape::tenant_id(round.shape.tenant_of(*profile));
        let body = json!({"displayName": format!("By hand {profile}")});
        anyhow::ensure!(portal.edit(&round.stage.graph, &tenant, &id, &body), "Graph does not take a change");
        changed.insert(id, timing::now());
    }
    let expected = changed.len();
    until_updated(round, &step, begun, expected, "are corrected")?;
    round.pass(&step, AFTERMATH)?;
    let account = round.account(begun)?;
    step.done();
    let puts = puts(&account);
    let waits = changed.iter().filter_map(|(id, at)| Some(puts.get(id)?.duration_since(*at).as_secs_f64()));
    let waits: Vec<f64> = waits.collect();
    let per_change = |number: f64| number / count(expected.max(1));
    Ok(Figures::from([
        ("drift.changed", count(expected)),
        ("drift.corrected_p50_seconds", quantile(waits.clone(), 0.5)),
        ("drift.corrected_max_seconds", quantile(waits, 1.0)),
        ("drift.updates_per_change", per_change(account.calls(|call| call.method == "PUT"))),
        ("drift.writes_per_change", per_change(account.writes_to("educationsyncprofiles"))),
        ("drift.events_per_change", per_change(account.writes_to("events"))),
    ]))
}

/// Waits until Graph has taken an update of so many profiles. `what` says what that means.
fn until_updated(
    round: &mut Round<'_>,
    step: &Step,
    begun: Timestamp,
    expected: usize,
    what: &str,
) -> Result<()> {
    let mut updated = 0;
    let mut error = None;
    round.until(step, |round| {
        std::thread::sleep(Duration::from_millis(500));
        match round.account(begun) {
            Ok(account) => updated = puts(&account).len(),
            Err(failure) => error = Some(failure),
        }
        (updated >= expected || error.is_some(), format!("{updated} of {expected} {what}"))
    })?;
    error.map_or(Ok(()), Err)
}

/// The first accepted update of each profile.
fn puts(account: &Account) -> BTreeMap<String, Timestamp> {
    let mut puts = BTreeMap::new();
    for call in account.graph().filter(|call| call.method == "PUT" && call.status < 300) {
        if let Some((_, id)) = call.path.rsplit_once('/') {
            puts.entry(id.to_owned()).or_insert(call.answered);
        }
    }
    puts
}

/// Graph answers 429 to everything, while people want changes.
pub(super) fn throttle(round: &mut Round<'_>) -> Result<Figures> {
    let chosen = round.shape.some(CHANGED);
    let step = round.progress.step(format!("{} s of 429 to everything", TROUBLE.as_secs()));
    round.until_at_rest(&step)?;
    let begun = timing::now();
    fault(round, &format!("any:429,times=always,retry-after={}", WAIT.as_secs()))?;
    let edit = |profile: &usize| round.shape.object(*profile, "profile", Some("2027-02-01"));
    hands::apply(&round.stage.hands, &chosen.iter().map(edit).collect::<Vec<_>>())?;
    round.pass(&step, TROUBLE)?;
    let ended = timing::now();
    calm(round)?;
    let expected = chosen.len();
    until_updated(round, &step, begun, expected, "changes are made")?;
    round.pass(&step, AFTERMATH)?;
    let account = round.account(begun)?;
    step.done();
    let storm = account.within(begun, TROUBLE);
    let minutes = TROUBLE.as_secs_f64() / 60.0;
    let last = puts(&account).into_values().max().unwrap_or(ended);
    let refused = storm.calls(|call| call.status == 429);
    anyhow::ensure!(refused > 0.0, "nobody was answered 429, so that nothing was measured");
    let (despite, on_their_way) = meter::calls_despite_retry_after(&account.calls, WAIT);
    Ok(Figures::from([
        ("throttle.calls_despite_retry_after", count(despite)),
        ("throttle.calls_on_their_way", count(on_their_way)),
        ("throttle.refused", refused),
        ("throttle.calls_per_tenant_minute", storm.calls(|_| true) / count(round.shape.tenants()) / minutes),
        ("throttle.writes_meanwhile", count(storm.writes().count())),
        ("throttle.changes", count(expected)),
        ("throttle.done_after_seconds", last.duration_since(ended).as_secs_f64().max(0.0)),
        (
            "throttle.updates_per_change",
            account.calls(|call| call.method == "PUT" && call.status < 300) / count(expected.max(1)),
        ),
    ]))
}

/// Graph answers 503 to everything, and is back.
pub(super) fn away(round: &mut Round<'_>) -> Result<Figures> {
    let step = round.progress.step(format!("{} s of 503 to everything", TROUBLE.as_secs()));
    round.until_at_rest(&step)?;
    let begun = timing::now();
    fault(round, "any:503,times=always,retry-after=none")?;
    round.pass(&step, TROUBLE)?;
    let back = timing::now();
    calm(round)?;
    round.pass(&step, MINUTE * 2)?;
    let account = round.account(begun)?;
    step.done();
    let (trouble, after) = (account.within(begun, TROUBLE), account.within(back, MINUTE));
    let tenants = count(round.shape.tenants());
    // The first good list of each tenant.
    let mut good = BTreeMap::<&str, Timestamp>::new();
    for call in account.graph().filter(|call| call.came() >= back && call.status == 200 && call.is_list()) {
        good.entry(call.tenant.as_deref().unwrap_or_default()).or_insert(call.answered);
    }
    let last = good.values().max().context("no tenant has a good list since Graph is back")?;
    let last = last.duration_since(back).as_secs_f64();
    let steady = account.within(back.checked_add(MINUTE).unwrap_or(back), MINUTE);
    Ok(Figures::from([
        ("away.calls_per_tenant_minute", trouble.calls(|_| true) / tenants / (TROUBLE.as_secs_f64() / 60.0)),
        ("away.writes_meanwhile", count(trouble.writes().count())),
        ("away.profile_writes", account.writes_to("educationsyncprofiles")),
        ("away.tenants_back", count(good.len())),
        ("away.all_back_after_seconds", last),
        ("away.calls_ratio_after", after.calls(Call::is_list) / steady.calls(Call::is_list).max(1.0)),
    ]))
}

fn fault(round: &Round<'_>, spec: &str) -> Result<()> {
    round.stage.graph.post("/_simulator/faults", &json!({"spec": spec})).map(drop)
}

fn calm(round: &Round<'_>) -> Result<()> {
    round
        .stage
        .graph
        .send("DELETE", "/_simulator/faults", crate::commands::http::Sent::default())?
        .wanted()?;
    Ok(())
}
