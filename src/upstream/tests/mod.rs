//! Connections over a cluster in memory, and transports that answer nothing.

mod sharing;
mod world;
