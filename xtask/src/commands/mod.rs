//! One module a subcommand: arguments, output and signals. What they do is in the library.

pub(crate) mod control_plane;
pub(crate) mod demo;
pub(crate) mod generate;
pub(crate) mod lint_chart;
