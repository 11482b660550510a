//! Black-box tests: the real binary, a real API server, the simulator over TLS.
//!
//! The operator has nothing but the ServiceAccount that the chart makes. One file a subject; what
//! they share stands in `world` (the cluster) and `scene` (one test's corner of it).

#![cfg(test)]
#![allow(clippy::needless_pass_by_value, reason = "json! values are handed on as they are made")]

mod admission;
mod canary;
mod cli;
mod cli_act;
mod cli_look;
mod cli_manifests;
mod cli_plan;
mod cli_upload;
mod collector;
mod complete;
mod connections;
mod cost;
mod cost_changes;
mod crash;
mod create;
mod credentials;
mod delete;
mod events;
mod fields;
mod gitops;
mod gitops_layout;
mod hands;
mod health;
mod kinds;
mod leadership;
mod log;
mod lost;
mod manage;
mod manifests;
mod metrics;
mod minimal;
mod moves;
mod mutate;
mod namespaces;
mod needs;
mod operator;
mod outage;
mod page;
#[allow(dead_code, reason = "tests/kills uses the rest")]
mod proxy;
mod refusals;
mod releases;
mod rights;
mod rules;
mod scene;
mod schema;
mod scrape;
mod sources;
mod stalled;
mod synchronize;
mod terminal;
mod tokens;
mod told;
mod traces;
mod trying;
mod unreadable;
mod world;
