//! What processor time is spent on: looks with `perf` where the operator is, a thousand times a second, and says for each
//! module how often it was met there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use xtask::control_plane::output_of;
use xtask::guard::{self, Guarded};
use xtask::numbers::number;

use super::create;
use super::heap::module;
use super::report::Figures;
use super::round::Round;
use super::sampler::cpu_percent;

/// The program that looks. It is a part of Linux, which every distribution packs.
const PERF: &str = "perf";
/// Looks in a second of processor time. No round number, or it would fall in step with what happens a thousand times.
const FREQUENCY: &str = "997";
/// Parts of the names of the functions by which the C library asks for memory and gives it back.
const ALLOCATOR: [&str; 3] = ["alloc", "free", "unlink_chunk"];

/// A module and how often it was met; part of the record of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spender {
    pub(super) module: String,
    /// While all profiles were applied at once.
    pub(super) burst: u64,
    /// While nobody changed anything.
    pub(super) rest: u64,
}

/// Whether `perf` can be run.
///
/// # Errors
///
/// When it cannot.
pub(super) fn check_tool() -> Result<()> {
    // To have it is not enough: a kernel may let only root look.
    let mut look = Command::new(PERF);
    look.args(["record", "--quiet", "--event", "cpu-clock", "--output", "/dev/null", "true"]);
    output_of(&mut look).map(drop).context(
        "this needs `perf` (your distribution has it as perf, linux-perf or linux-tools), and the right to look: see kernel.perf_event_paranoid",
    )
}

/// Creates and rests, and looks meanwhile.
pub(super) fn run(round: &mut Round<'_>) -> Result<Figures> {
    let (burst, figures) = looking(round, "burst", create::run)?;
    let step = round.progress.step("Polls find their pace");
    round.until_at_rest(&step)?;
    step.done();
    let (rest, percent) = looking(round, "rest", |round| {
        let step = round.progress.step(format!("Rest, {} s", round.rest.as_secs()));
        let from = round.stage.sampler.now();
        round.pass(&step, round.rest)?;
        step.done();
        Ok(cpu_percent(&round.stage.sampler.since(from)))
    })?;
    round.spenders = spenders(&burst, &rest);
    let sum = |looks: &BTreeMap<String, u64>| number(looks.values().sum());
    Ok(Figures::from([
        ("cpu.burst_seconds", figures.get("create.cpu_seconds").copied().unwrap_or_default()),
        ("cpu.burst_looks", sum(&burst)),
        ("cpu.rest_percent", percent),
        ("cpu.rest_looks", sum(&rest)),
    ]))
}

/// Does something, and tells how often each module was met meanwhile.
fn looking<T>(
    round: &mut Round<'_>,
    name: &str,
    work: impl FnOnce(&mut Round<'_>) -> Result<T>,
) -> Result<(BTreeMap<String, u64>, T)> {
    let data = round.stage.file(&format!("{name}.perf"));
    let mut perf = start(round, &data)?;
    let done = work(round)?;
    // It writes what it has when it is asked to end.
    perf.terminate()?;
    let said = output_of(Command::new(PERF).arg("script").arg("-i").arg(&data).args(["-F", "ip,sym,dso"]))
        .context("perf cannot read what it has written")?;
    let looks = looks(&said);
    if looks.is_empty() {
        bail!("perf has seen nothing of the operator: see {}", data.with_extension("log").display());
    }
    Ok((looks, done))
}

fn start(round: &Round<'_>, data: &Path) -> Result<Guarded> {
    let operator = round.stage.operator_id().context("there is no operator to look at")?.to_string();
    // The clock of the kernel, since a virtual machine seldom has the counters of its processor.
    let clock =
        ["record", "--quiet", "--event", "cpu-clock", "--freq", FREQUENCY, "--pid", &operator, "--output"];
    let arguments = clock.map(Path::new).into_iter().chain([data]);
    guard::spawn(Path::new(PERF), arguments, &data.with_extension("log"), [("LC_ALL", "C")])
}

/// How often each module was met: a line for each look, `ADDRESS FUNCTION (FILE)`.
fn looks(script: &str) -> BTreeMap<String, u64> {
    let mut by_module = BTreeMap::new();
    for line in script.lines() {
        let place = line.trim().split_once(' ').and_then(|(_, place)| place.rsplit_once(" ("));
        if let Some((function, file)) = place {
            *by_module.entry(spender(function, file.trim_end_matches(')'))).or_default() += 1;
        }
    }
    by_module
}

/// Who that is, as a reader knows it.
fn spender(function: &str, file: &str) -> String {
    let known = if file.starts_with('[') && file != "[unknown]" {
        "Linux: sockets, timers, sleeping and waking"
    } else if file.contains("libc.so") && ALLOCATOR.iter().any(|name| function.contains(name)) {
        "libc: memory that is asked for and given back"
    } else if file.contains(".so") {
        "libc: copies and comparisons, the rest"
    } else if function.contains("aws_lc") {
        "aws-lc: cryptography"
    } else {
        ""
    };
    let module = if known.is_empty() { module(function) } else { known.to_owned() };
    // Of libraries the name says enough.
    match module.split_once("::") {
        Some((library, _)) if library != "edusync" => library.to_owned(),
        _ if module.is_empty() => "others".to_owned(),
        _ => module,
    }
}

/// Whoever was met, most often at rest first.
fn spenders(burst: &BTreeMap<String, u64>, rest: &BTreeMap<String, u64>) -> Vec<Spender> {
    let of = |looks: &BTreeMap<String, u64>, module: &str| looks.get(module).copied().unwrap_or_default();
    let names: BTreeSet<&String> = burst.keys().chain(rest.keys()).collect();
    let spender = |module: &String| Spender {
        module: module.clone(),
        burst: of(burst, module),
        rest: of(rest, module),
    };
    let mut spenders: Vec<Spender> = names.into_iter().map(spender).collect();
    spenders.sort_by_key(|spender| std::cmp::Reverse((spender.rest, spender.burst)));
    spenders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_belongs_to_a_module_a_library_or_the_kernel() {
        let script = "\
            55d0 edusync::poller::snapshot::Snapshot::changes (/t/edusync)
            55d1 <edusync::poller::snapshot::Snapshot as core::fmt::Debug>::fmt (/t/edusync)
            55d2 <hyper::proto::h1::Conn<I> as core::future::Future>::poll (/t/edusync)
            55d3 aws_lc_0_47_0_aes_gcm (/t/edusync)
            7f00 __libc_malloc (/usr/lib/libc.so.6)
            7f01 _int_free (/usr/lib/libc.so.6)
            7f02 __memmove_avx (/usr/lib/libc.so.6)
            ffff _raw_spin_unlock_irqrestore ([kernel.kallsyms])
            0 [unknown] (/t/edusync)
            0 [unknown] ([unknown])
        ";
        let expected = [
            ("Linux: sockets, timers, sleeping and waking", 1),
            ("aws-lc: cryptography", 1),
            ("edusync::poller::snapshot", 2),
            ("hyper", 1),
            ("libc: copies and comparisons, the rest", 1),
            ("libc: memory that is asked for and given back", 2),
            ("others", 2),
        ];
        let expected = expected.map(|(module, looks)| (module.to_owned(), looks));
        assert_eq!(looks(script), BTreeMap::from(expected));
    }

    #[test]
    fn whoever_spends_most_at_rest_comes_first() {
        let looks =
            |all: &[(&str, u64)]| all.iter().map(|(name, looks)| ((*name).to_owned(), *looks)).collect();
        let found = spenders(&looks(&[("a", 5), ("b", 1)]), &looks(&[("b", 2), ("c", 9)]));
        let order: Vec<_> = found.iter().map(|one| (one.module.as_str(), one.burst, one.rest)).collect();
        assert_eq!(order, [("c", 0, 9), ("b", 1, 2), ("a", 5, 0)]);
    }
}
