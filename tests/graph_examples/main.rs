//! Exchanges after Microsoft's documents, replayed: the client builds the request and understands the
//! answer, the simulator answers the request as the example says.
//!
//! The examples stand in `tests/data/graph-examples`, one file an exchange. Each of them is covered, or
//! excused with a reason: the two tables, in `client` and `simulator`, are the whole list.

#![cfg(test)]
#![allow(clippy::needless_pass_by_value, reason = "json! values are handed on as they are made")]

mod client;
mod exchange;
mod manifests;
mod simulator;
mod stage;
mod tokens;

use std::collections::BTreeSet;

/// Prints the list, and fails when an example is neither played nor excused.
fn check(side: &str, played: &BTreeSet<String>, excused: &[(&str, &str)]) {
    let mut missing = Vec::new();
    let files = exchange::all();
    assert!(files.len() >= 60, "the examples are found");
    for file in &files {
        let excuse = excused.iter().find(|(name, _)| name == file);
        match (played.contains(file), excuse) {
            (true, None) => println!("{side:9}  covered  {file}"),
            (false, Some((_, reason))) => println!("{side:9}  excused  {file}: {reason}"),
            (true, Some(_)) => panic!("{file} is played by the {side}, and excused"),
            (false, None) => missing.push(file),
        }
    }
    assert!(missing.is_empty(), "neither played by the {side} nor excused: {missing:?}");
    assert!(
        excused.iter().all(|(name, _)| files.iter().any(|file| file == name)),
        "an excuse without a file"
    );
}
