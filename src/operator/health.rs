//! The probes: `/livez` (the process works) and `/readyz` (it could do its job).
//!
//! A standby is ready. What the cluster lacks is said in the answer, for a person with curl: one line for each thing,
//! and with `?verbose` one line for each check.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It has just begun.
    Starting = 0,
    /// Another instance holds the lease.
    Standby = 1,
    /// It holds the lease, and reads the resources.
    Reading = 2,
    /// It works.
    Working = 3,
    /// It ends.
    Stopping = 4,
}

/// Shows the stage, and what is missing, to the probes.
#[derive(Clone, Debug, Default)]
pub struct Health {
    stage: Arc<AtomicU8>,
    /// What the cluster lacks, each with the sentence that says what to do; none until somebody has looked.
    missing: Arc<Mutex<Option<Missing>>>,
}

/// Names of what is missing, with sentences.
type Missing = BTreeMap<String, String>;

impl Health {
    /// Shows a stage.
    pub fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Shows what is missing.
    pub fn show_missing(&self, missing: Missing) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(missing);
    }

    /// Does `/readyz` say so?
    pub(super) fn is_ready(&self) -> bool {
        self.answer(false).0 == StatusCode::OK
    }

    /// The stage as one line, and whether it is a ready one.
    fn stage(&self) -> (bool, &'static str) {
        match self.stage.load(Ordering::Relaxed) {
            1 => (true, "standing by, another instance holds the lease"),
            3 => (true, "working"),
            2 => (false, "reading the resources"),
            4 => (false, "stopping"),
            _ => (false, "starting"),
        }
    }

    fn answer(&self, verbose: bool) -> (StatusCode, String) {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (at_stage, stage) = self.stage();
        let is_ready = at_stage && missing.as_ref().is_some_and(BTreeMap::is_empty);
        let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if verbose {
            return (code, checks(at_stage, stage, missing.as_ref(), is_ready));
        }
        let lines = match &missing {
            Some(missing) if !missing.is_empty() => missing
                .values()
                .fold(String::new(), |lines, sentence| lines + "not ready: " + sentence + "\n"),
            None if at_stage => "not ready: asking Kubernetes for definitions and permissions\n".to_owned(),
            _ if is_ready => format!("ok: {stage}\n"),
            _ => format!("not ready: {stage}\n"),
        };
        (code, lines)
    }
}

/// One line for each check, as kube-apiserver shows them.
fn checks(at_stage: bool, stage: &str, missing: Option<&Missing>, is_ready: bool) -> String {
    let sign = |holds| if holds { "[+]" } else { "[-]" };
    let mut lines = vec![format!("{}stage: {stage}", sign(at_stage))];
    match missing {
        None => lines.push("[-]cluster: not looked at yet".to_owned()),
        Some(missing) if missing.is_empty() => {
            lines.push("[+]cluster: definitions and permissions are there".to_owned());
        }
        Some(missing) => {
            lines.extend(missing.iter().map(|(name, sentence)| format!("[-]{name}: {sentence}")));
        }
    }
    let outcome = if is_ready { "passed" } else { "failed" };
    lines.push(format!("readyz check {outcome}\n"));
    lines.join("\n")
}

/// Serves the probes at `address`. It returns when it listens.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, health: Health) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let app = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(health);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the probes are not served any more");
        }
    });
    Ok(bound)
}

async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let verbose =
        query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    health.answer(verbose)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_works_or_stands_by_and_lacks_nothing() {
        let health = Health::default();
        let shown = |verbose| {
            let (code, text) = health.answer(verbose);
            format!("{} {text}", code.as_u16())
        };
        assert_eq!(shown(false), "503 not ready: starting\n");
        health.set(Stage::Working);
        assert_eq!(shown(false), "503 not ready: asking Kubernetes for definitions and permissions\n");
        health.show_missing(Missing::new());
        assert_eq!(shown(false), "200 ok: working\n");
        health.set(Stage::Standby);
        assert_eq!(shown(false), "200 ok: standing by, another instance holds the lease\n");
        let missing = [("a", "a is missing: do this"), ("b", "b is missing: do that")];
        health.show_missing(missing.map(|(name, said)| (name.to_owned(), said.to_owned())).into());
        assert_eq!(shown(false), "503 not ready: a is missing: do this\nnot ready: b is missing: do that\n");
        assert_eq!(
            shown(true),
            "503 [+]stage: standing by, another instance holds the lease\n[-]a: a is missing: do this\n[-]b: b is missing: do that\nreadyz check failed\n"
        );
        health.show_missing(Missing::new());
        health.set(Stage::Stopping);
        assert_eq!(shown(false), "503 not ready: stopping\n");
    }
}
