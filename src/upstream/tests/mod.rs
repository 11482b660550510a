//! Connections over a cluster in memory, and transports that answer nothing.

mod allowed;
mod care;
mod noticing;
mod sharing;
pub(crate) mod world;
