//! Properties that hold for every input, tried with many generated ones.
//!
//! `cargo test` tries a bounded number; more with `PROPTEST_CASES=1000000 cargo test --release --test properties`.
//! The seed is fixed, `PROPTEST_RNG_SEED` sets another. A case that fails is printed, made as small as it can be.

#![cfg(test)]

mod answers;
mod json;
mod round_trip;
mod specs;

use proptest::test_runner::{Config, RngSeed};

/// So many cases in an ordinary run, always the same ones.
fn cases(ordinary: u32) -> Config {
    // Reads PROPTEST_CASES and PROPTEST_RNG_SEED.
    let asked = Config::default();
    let is_set = |name: &str| std::env::var_os(name).is_some();
    Config {
        cases: if is_set("PROPTEST_CASES") { asked.cases } else { ordinary },
        rng_seed: if is_set("PROPTEST_RNG_SEED") { asked.rng_seed } else { RngSeed::Fixed(20_261_122) },
        failure_persistence: None,
        ..asked
    }
}
