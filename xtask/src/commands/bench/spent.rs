//! The parts of the page that say where memory and processor time go. Pure.

use xtask::numbers::count;

use super::cpu::Spender;
use super::figures::number;
use super::heap::Keeper;
use super::page::row;
use super::report::Report;

/// Those that keep less than this share of all are one line.
const LEAST_SHARE: f64 = 0.01;

/// Who keeps what memory.
pub(super) fn memory(report: &Report, keepers: &[Keeper]) -> String {
    let bytes = |keeper: &Keeper| xtask::numbers::number(keeper.bytes);
    let all: f64 = keepers.iter().map(bytes).sum();
    let (large, small): (Vec<&Keeper>, Vec<&Keeper>) =
        keepers.iter().partition(|keeper| bytes(keeper) >= all * LEAST_SHARE);
    let mut text = format!(
        "\n## Who keeps what memory\n\nAt rest, {}: what is alive, by the module that asked for it, or for which a library that all \
         use did. Counted by an allocator that keeps books (`benches/heap.rs`), not estimated.\n\n\
         | Module | KiB | Pieces | Bytes for each profile |\n|---|---:|---:|---:|\n",
        report.shape.title(),
    );
    let mut line = |name: &str, bytes: f64, blocks: u64| {
        let each = bytes / count(report.shape.profiles.max(1));
        let blocks = number(xtask::numbers::number(blocks), 0);
        row(&mut text, &[name, &number(bytes / 1024.0, 0), &blocks, &number(each, 0)]);
    };
    for keeper in large {
        line(&format!("`{}`", keeper.module), bytes(keeper), keeper.blocks);
    }
    let blocks = small.iter().map(|keeper| keeper.blocks).sum();
    line(&format!("{} others", small.len()), small.iter().map(|keeper| bytes(keeper)).sum(), blocks);
    text + &resident(report)
}

/// On what processor time is spent.
pub(super) fn processor(report: &Report, spenders: &[Spender]) -> String {
    let sum =
        |looks: fn(&Spender) -> u64| xtask::numbers::number(spenders.iter().map(looks).sum::<u64>().max(1));
    let (burst, rest) = (sum(|one| one.burst), sum(|one| one.rest));
    let shares = |one: &Spender| {
        let share = |looks: u64, all: f64| xtask::numbers::number(looks) / all;
        (share(one.burst, burst), share(one.rest, rest))
    };
    let is_large = |one: &&Spender| shares(one).0 >= LEAST_SHARE || shares(one).1 >= LEAST_SHARE;
    let (large, small): (Vec<&Spender>, Vec<&Spender>) = spenders.iter().partition(is_large);
    let mut text = format!(
        "\n## Where processor time goes\n\n{}: where the operator was met by `perf`, 997 looks in each second of processor time. \
         That is the function that ran, and not the one that called it; what the compiler has put into a caller counts for that.\n\n\
         | Where | All applied at once | At rest |\n|---|---:|---:|\n",
        report.shape.title(),
    );
    let mut line = |name: &str, burst: f64, rest: f64| {
        let [burst, rest] = [burst, rest].map(|share| format!("{} %", number(share * 100.0, 0)));
        row(&mut text, &[name, &burst, &rest]);
    };
    for one in large {
        let (burst, rest) = shares(one);
        line(&one.module, burst, rest);
    }
    let shares: Vec<(f64, f64)> = small.iter().map(|one| shares(one)).collect();
    let (burst, rest) = (shares.iter().map(|one| one.0).sum(), shares.iter().map(|one| one.1).sum());
    line(&format!("{} others", small.len()), burst, rest);
    text
}

/// From what is alive to what is resident.
fn resident(report: &Report) -> String {
    let figures = ["rest.memory_mib", "rest.private_mib", "heap.alive_mib"].map(|name| report.figure(name));
    let [Some(memory), Some(private), Some(alive)] = figures else { return String::new() };
    format!(
        "\nOf {} MiB that are resident at this size in the program as it is shipped {} MiB are pages of the program itself, which \
         the kernel shares between its processes and drops when it needs room. The table, of another build, accounts for {} MiB. \
         What is in neither, {} MiB, was not looked into: an allocator's records of small pieces and gaps that bursts have left, \
         stacks, and tables that the loader has filled in are of that kind.\n",
        number(memory, 1),
        number(memory - private, 1),
        number(alive, 1),
        number(private - alive, 1),
    )
}
