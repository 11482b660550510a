//! Simulation: the program itself – passes, poller, client, cache, election – in a world in memory, in which
//! everything goes wrong. One number decides a whole run.
//!
//! `EDUSYNC_SIMULATION_SEED=7 cargo test -p edusync --test simulation one_run -- --nocapture` tells one run.

#![cfg(test)]

mod beyond;
mod choices;
mod cluster;
mod cost;
mod explore;
mod facts;
mod fates;
mod graph;
mod judge;
mod kubernetes;
mod lag;
mod manifests;
mod names;
mod order;
mod process;
mod queue;
mod retain;
mod rotation;
mod rules;
mod run;
mod schedule;
mod story;
mod users;
mod watches;
mod way;
mod world;
