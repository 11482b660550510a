//! Connections over a cluster in memory, and transports that answer nothing.

mod care;
mod sharing;
mod world;
