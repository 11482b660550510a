//! Follows a synchronization until it is over. Pure but for the loop: what a status means is a table.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use crate::api::status::SyncStatus;
use crate::cli::access::graph_sentence;
use crate::cli::output::note;
use crate::graph::sync::ProfileStatus;
use crate::graph::{Certainty, GraphClient};

/// How a synchronization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not over.
    Running,
    /// Over, and well.
    Done,
    /// Over, or at a stop, and not well.
    Failed,
}

/// What a status means. One that is the same as before the start speaks of the run before.
#[must_use]
pub fn standing(before: Option<&ProfileStatus>, has_moved: bool, now: Option<&ProfileStatus>) -> Standing {
    let Some(now) = now.filter(|now| has_moved || before != Some(*now)) else {
        return Standing::Running;
    };
    match now.status {
        SyncStatus::Success => Standing::Done,
        SyncStatus::Error | SyncStatus::ValidationError | SyncStatus::Quarantined | SyncStatus::Paused => {
            Standing::Failed
        }
        _ => Standing::Running,
    }
}

/// Looks every `interval` until it is over; `before` is the status before the start.
///
/// # Errors
/// When it is not over after `patience`, or Graph does not tell.
pub async fn follow(
    client: &GraphClient,
    id: &str,
    before: Option<&ProfileStatus>,
    interval: Duration,
    patience: Duration,
) -> anyhow::Result<(Standing, ProfileStatus)> {
    let began = Instant::now();
    let mut told = None;
    let mut has_moved = false;
    loop {
        let now = match client.profile_status(id).await {
            Ok(now) => now,
            Err(error) if error.certainty() == Certainty::No => {
                return Err(graph_sentence(
                    "the synchronization has started, but its status cannot be read",
                    &error,
                ));
            }
            // A look can be repeated.
            Err(error) => {
                note(&format!("warning: {error}; looking again"));
                None
            }
        };
        if let Some(now) = now {
            has_moved = has_moved || before != Some(&now);
            if has_moved && told != Some(now.status) {
                note(&format!("synchronization: {}", now.status.as_str()));
                told = Some(now.status);
            }
            let standing = standing(before, has_moved, Some(&now));
            if standing != Standing::Running {
                return Ok((standing, now));
            }
        }
        if began.elapsed() + interval > patience {
            bail!(
                "the synchronization has started, but is not over after {} s; it goes on without us (edusync status, edusync errors)",
                patience.as_secs()
            );
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(word: &str, at: &str) -> ProfileStatus {
        ProfileStatus::read(&json!({"status": word, "lastSynchronizationDateTime": at})).unwrap()
    }

    #[test]
    fn the_success_of_the_run_before_is_not_ours() {
        let before = status("success", "2027-01-01T00:00:00Z");
        let of = |now: &ProfileStatus, moved| standing(Some(&before), moved, Some(now));
        assert_eq!(of(&before, false), Standing::Running);
        assert_eq!(of(&before, true), Standing::Done, "it has been seen running meanwhile");
        assert_eq!(of(&status("success", "2027-01-02T00:00:00Z"), false), Standing::Done);
        assert_eq!(of(&status("extracting", "2027-01-01T00:00:00Z"), false), Standing::Running);
        for word in ["error", "quarantined", "validationError", "paused"] {
            assert_eq!(of(&status(word, "2027-01-01T00:00:00Z"), false), Standing::Failed, "{word}");
        }
        assert_eq!(standing(None, false, None), Standing::Running);
        assert_eq!(standing(None, false, Some(&before)), Standing::Done);
    }
}
