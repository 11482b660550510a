//! edusync: a Kubernetes operator for Microsoft Graph's education synchronization profiles.
//!
//! The map, one line a room:
//! - [`api`]: the resources as users write them
//! - [`clock`]: the one clock
//! - [`graph`]: Microsoft Graph over HTTP, and nothing above it
//! - [`auth`]: credentials into tokens
//! - [`kubernetes`]: the client for Kubernetes, and what may be repeated of its errors
//! - [`misplaced`]: secrets where names belong
//! - [`metrics`]: what Prometheus can read
//! - [`personal`]: text that may name a person, and is never printed by accident
//! - [`poller`]: watches Graph with one LIST for many resources
//! - [`upstream`]: a connection and its Secrets into clients and a poller
//! - [`reconcile`]: the pass: observe, decide, act, report. **Where decisions are made:** `reconcile/decide/`
//! - [`operator`]: wiring: watches, lease, probes, shutdown
//! - [`trace`]: spans for a collector of traces, and what may be in them
//! - [`terminal`]: who looks at what is printed
//! - [`cli`]: the command line

pub mod api;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod graph;
pub mod kubernetes;
pub mod metrics;
pub mod misplaced;
pub mod operator;
pub mod personal;
pub mod poller;
pub mod reconcile;
pub mod terminal;
pub mod trace;
pub mod upstream;
