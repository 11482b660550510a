//! One module a subcommand: arguments, output and signals. What they do is in the library.

pub(crate) mod bench;
pub(crate) mod control_plane;
pub(crate) mod defects;
pub(crate) mod demo;
pub(crate) mod generate;
mod http;
pub(crate) mod image;
mod interrupt;
pub(crate) mod lint_chart;
mod parts;
mod portal;
mod screen;
pub(crate) mod soak;
mod tenant;
