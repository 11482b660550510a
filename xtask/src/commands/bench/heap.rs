//! What memory is kept for: reads the books of `benches/heap.rs`, and says for each module what it keeps.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use xtask::numbers::{count, number};

use super::create;
use super::report::Figures;
use super::round::Round;

/// Longer than the operator keeps connections that it opened for a burst.
const IDLE_SOCKETS: Duration = Duration::from_secs(100);
/// Crates that are called by all: who calls them keeps what they allocate.
const HELPERS: [&str; 18] = [
    "alloc",
    "core",
    "std",
    "dhat",
    "hashbrown",
    "indexmap",
    "ahash",
    "smallvec",
    "bytes",
    "serde",
    "serde_core",
    "serde_json",
    "serde_value",
    "futures_util",
    "futures_core",
    "tower",
    "jiff",
    "http",
];

/// A module and what it keeps; part of the record of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keeper {
    pub(super) module: String,
    pub(super) bytes: u64,
    pub(super) blocks: u64,
}

/// The form of DHAT, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Books {
    #[serde(rename = "pps")]
    points: Vec<Point>,
    #[serde(rename = "ftbl")]
    frames: Vec<String>,
}

/// A place of the program at which memory was asked for.
#[derive(Debug, Deserialize)]
struct Point {
    #[serde(rename = "eb")]
    bytes: u64,
    #[serde(rename = "ebk")]
    blocks: u64,
    /// Numbers of frames; the first one is where it was allocated.
    #[serde(rename = "fs")]
    frames: Vec<usize>,
}

/// Creates, rests, and reads the books of an operator that is asked to end then.
pub(super) fn run(round: &mut Round<'_>) -> Result<Figures> {
    let path = round.stage.programs.operator.with_extension("json");
    // Of an earlier run; there may be none.
    let _ = fs::remove_file(&path);
    create::run(round)?;
    let step = round.progress.step("Rest; then the operator writes what is alive");
    round.until_at_rest(&step)?;
    round.pass(&step, IDLE_SOCKETS)?;
    round.stage.stop_operator()?;
    step.done();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let books: Books =
        serde_json::from_str(&text).with_context(|| format!("{} is not in DHAT's form", path.display()))?;
    round.keepers = keepers(&books);
    let bytes = number(round.keepers.iter().map(|keeper| keeper.bytes).sum());
    let blocks = number(round.keepers.iter().map(|keeper| keeper.blocks).sum());
    Ok(Figures::from([
        ("heap.alive_mib", bytes / 1_048_576.0),
        ("heap.bytes_per_profile", bytes / count(round.shape.profiles)),
        ("heap.blocks", blocks),
    ]))
}

fn keepers(books: &Books) -> Vec<Keeper> {
    let mut by_module = BTreeMap::<String, (u64, u64)>::new();
    for point in books.points.iter().filter(|point| point.bytes > 0) {
        let frames = point.frames.iter().filter_map(|number| books.frames.get(*number));
        let mut modules = frames.map(|frame| module(frame)).filter(|module| !module.is_empty());
        let keeper = modules.find(|module| !HELPERS.contains(&first_of(module)));
        let keeper = keeper.unwrap_or_else(|| "others".to_owned());
        let sum = by_module.entry(keeper).or_default();
        sum.0 += point.bytes;
        sum.1 += point.blocks;
    }
    let keeper = |(module, (bytes, blocks))| Keeper { module, bytes, blocks };
    let mut keepers: Vec<Keeper> = by_module.into_iter().map(keeper).collect();
    keepers.sort_by_key(|keeper| std::cmp::Reverse(keeper.bytes));
    keepers
}

/// The module of a frame (`0x1f: <edusync::poller::run::Poll as Future>::poll (src/poller/run.rs:12:5)`): its crate and, of
/// ours, two more names, of others one more.
pub(super) fn module(frame: &str) -> String {
    let symbol = frame.split_once(": ").map_or(frame, |(_, symbol)| symbol);
    let symbol = symbol.trim_start_matches(['<', '&', '(', '*']);
    let symbol = symbol.strip_prefix("dyn ").or_else(|| symbol.strip_prefix("mut ")).unwrap_or(symbol);
    let is_name = |part: &&str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
    };
    let names = symbol.split("::").take_while(is_name);
    let most = if symbol.starts_with("edusync::") { 3 } else { 2 };
    names.take(most).collect::<Vec<_>>().join("::")
}

fn first_of(module: &str) -> &str {
    module.split_once("::").map_or(module, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frame_tells_its_module() {
        let of = |symbol: &str| module(&format!("0x55d0: {symbol} (src/one/two.rs:1:2)"));
        assert_eq!(of("edusync::reconcile::claims::Claims::claim"), "edusync::reconcile::claims");
        assert_eq!(of("<edusync::api::spec::Spec as serde::Deserialize>::deserialize"), "edusync::api::spec");
        assert_eq!(of("<<edusync::api::Spec as De>::de::V as Visitor>::visit"), "edusync::api");
        assert_eq!(
            of("kube_runtime::scheduler::Scheduler<T,R>::schedule_message"),
            "kube_runtime::scheduler"
        );
        assert_eq!(of("__rust_alloc"), "");
    }

    #[test]
    fn what_helpers_allocate_belongs_to_their_caller() {
        let frames =
            ["[root]", "0x1: alloc::vec::push", "0x2: edusync::poller::keep", "0x3: tokio::task::run"];
        let point = |bytes: u64, fs: &[usize]| json!({"eb": bytes, "ebk": 1, "fs": fs, "tb": 9});
        let points = [point(10, &[1, 2, 3]), point(5, &[1, 3]), point(0, &[1, 2]), point(7, &[2])];
        let books: Books = serde_json::from_value(json!({"pps": points, "ftbl": frames})).unwrap();
        let keeper = |module: &str, bytes, blocks| Keeper { module: module.to_owned(), bytes, blocks };
        assert_eq!(keepers(&books), [keeper("edusync::poller::keep", 17, 2), keeper("tokio::task", 5, 1)]);
    }
}
