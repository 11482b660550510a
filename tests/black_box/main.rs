//! Black-box tests: the real binary, a real API server, the simulator over TLS.
//!
//! The operator has nothing but the ServiceAccount that the chart makes. One file a subject; what
//! they share stands in `world` (the cluster) and `scene` (one test's corner of it).

#![cfg(test)]

mod admission;
mod cost;
mod create;
mod crash;
mod delete;
mod outage;
mod refusals;
mod scene;
mod world;
