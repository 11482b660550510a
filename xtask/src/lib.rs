//! The project's chores, as a library: what `cargo xtask` offers on the command line, black-box tests call from
//! here. Nothing of the operator or the simulator is used: to this crate they are programs like any other.
//!
//! - [`audit`]: what the API server did for whom
//! - [`chart`]: pictures of what was measured
//! - [`cargo`]: builds the project's own programs
//! - [`control_plane`]: a real Kubernetes API server with etcd and controller manager, for one test or one session
//! - [`defects`]: deliberate defects, and the tests that have to catch them
//! - [`tools`]: where its programs come from
//! - [`follow`]: reads a file that grows
//! - [`footprint`]: what a process takes of the machine
//! - [`guard`]: child processes that never outlive this one
//! - [`helm_chart`]: the chart, rendered with each of its value sets
//! - [`numbers`]: from counts and samples to what is shown
//! - [`progress`]: what a person sees while something takes long
//! - [`timing`]: deadlines and elapsed time
//! - [`wire`]: a connection between programs that can be cut

pub mod audit;
pub mod cargo;
pub mod chart;
pub mod control_plane;
pub mod defects;
pub mod follow;
pub mod footprint;
pub mod guard;
pub mod helm_chart;
pub mod numbers;
pub mod progress;
pub mod timing;
pub mod tools;
pub mod wire;

use std::path::{Path, PathBuf};

/// The folder of the workspace: what holds `Cargo.toml`, `charts` and `tools`.
#[must_use]
pub fn repository_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
