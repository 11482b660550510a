//! All profiles are deleted at once. What is measured goes from the first DELETE to the last resource that is gone.

use anyhow::Result;
use xtask::numbers::count;
use xtask::timing;

use super::hands::{self, Work};
use super::report::Figures;
use super::round::Round;
use super::sampler::peak;

pub(super) fn run(round: &mut Round<'_>) -> Result<Figures> {
    let shape = round.shape;
    let step = round.progress.step(format!("{} profiles are deleted", shape.profiles));
    round.until_quiet(&step)?;
    let from = round.stage.sampler.now();
    let objects: Vec<_> = (0..shape.profiles).map(|profile| shape.object(profile, "profile", None)).collect();
    let clients = round.stage.hands.clone();
    let begun = timing::now();
    let mut deleting = Work::start(move || hands::delete(&clients, &objects));
    round.until(&step, |round| {
        let left = round.stage.profiles.count();
        (left == 0 || deleting.has_failed(), format!("{left} are left"))
    })?;
    deleting.end()?;
    let gone = timing::now();
    round.until_quiet(&step)?;
    let account = round.account(begun)?;
    let samples = round.stage.sampler.since(from);
    step.done();
    let each = |number: f64| number / count(shape.profiles);
    let calls = |method: &str| account.calls(|call| call.method == method && !call.is_list());
    Ok(Figures::from([
        ("delete.seconds", gone.duration_since(begun).as_secs_f64()),
        ("delete.deletes_per_profile", each(calls("DELETE"))),
        ("delete.looks_per_profile", each(calls("GET"))),
        ("delete.lists_per_tenant", account.calls(|call| call.operation == "list") / count(shape.tenants())),
        ("delete.writes_per_profile", each(account.writes_to("educationsyncprofiles"))),
        ("delete.events_per_profile", each(account.writes_to("events"))),
        ("delete.conflicts", account.answered_with(409)),
        ("delete.peak_memory_mib", peak(&samples)),
    ]))
}
