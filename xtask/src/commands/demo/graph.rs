//! What the simulator tells of itself: the profiles it has and the requests it was sent. Only reads.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use xtask::control_plane::output_of;

use super::stage::Stage;

/// A request to the simulator, as its log has it.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    /// Of a request for a token: how it was asked for.
    pub(super) grant: Option<String>,
}

/// Every profile that Graph has.
pub(super) fn profiles(stage: &Stage) -> Result<Vec<Value>> {
    let text = page(stage, "profiles")?;
    serde_json::from_str(&text).context("the simulator's list of profiles cannot be read")
}

/// The profile of this name, if Graph has one.
pub(super) fn profile_named(stage: &Stage, display_name: &str) -> Result<Option<Value>> {
    let mut all = profiles(stage)?.into_iter();
    Ok(all.find(|profile| profile.get("displayName").and_then(Value::as_str) == Some(display_name)))
}

/// Every request so far.
pub(super) fn requests(stage: &Stage) -> Result<Vec<Request>> {
    let text = page(stage, "requests")?;
    serde_json::from_str(&text).context("the simulator's log of requests cannot be read")
}

/// Gets one of the simulator's own pages. kubectl can get a page from any server over TLS, and it is here already: an
/// HTTP client of our own would be some fifty crates more to build before the demo begins.
fn page(stage: &Stage, page: &str) -> Result<String> {
    let mut command: Command = stage.control_plane.kubectl([
        "get".to_owned(),
        "--raw".to_owned(),
        format!("/_simulator/{page}"),
        format!("--server={}", stage.graph_url),
        format!("--certificate-authority={}", stage.ca_file.display()),
        // The page needs none, but kubectl would ask for one. The administrator's must not go there.
        "--token=none".to_owned(),
    ]);
    command.env("KUBECONFIG", "/dev/null");
    output_of(&mut command).with_context(|| format!("the simulator does not answer at {}", stage.graph_url))
}
