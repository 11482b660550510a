//! Connections over a cluster in memory, and transports that answer nothing.

mod care;
mod noticing;
mod sharing;
mod world;
