//! What the simulator tells of itself: the profiles it has and the requests it was sent. Only reads.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

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
    serde_json::from_value(page(stage, "profiles")?)
        .context("the simulator's list of profiles cannot be read")
}

/// The profile of this name, if Graph has one.
pub(super) fn profile_named(stage: &Stage, display_name: &str) -> Result<Option<Value>> {
    let mut all = profiles(stage)?.into_iter();
    Ok(all.find(|profile| profile.get("displayName").and_then(Value::as_str) == Some(display_name)))
}

/// Every request so far.
pub(super) fn requests(stage: &Stage) -> Result<Vec<Request>> {
    serde_json::from_value(page(stage, "requests")?).context("the simulator's log of requests cannot be read")
}

/// Gets one of the simulator's own pages.
fn page(stage: &Stage, page: &str) -> Result<Value> {
    let simulator = &stage.simulator;
    let got = simulator.client()?.get(&format!("/_simulator/{page}"));
    got.with_context(|| format!("the simulator does not answer at {}", simulator.url))
}
