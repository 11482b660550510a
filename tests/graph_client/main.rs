//! The client for Graph above an exchanged transport. The clock is virtual.

#![cfg(test)]

mod profiles;
mod support;
mod synchronization;
mod update;
mod upload;
