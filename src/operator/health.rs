//! The probes: `/livez` (the process works) and `/readyz` (it could do its job).
//!
//! A standby is ready. What is missing is said in the answer, for a person with curl.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
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

/// Shows the stage to the probes.
#[derive(Clone, Debug, Default)]
pub struct Health {
    stage: Arc<AtomicU8>,
}

impl Health {
    /// Shows a stage.
    pub fn set(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        match self.stage.load(Ordering::Relaxed) {
            1 => (StatusCode::OK, "ok: standing by, another instance holds the lease\n"),
            3 => (StatusCode::OK, "ok: working\n"),
            2 => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: reading the resources; if this lasts, a CRD or a permission is missing, see the log\n",
            ),
            4 => (StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n"),
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: starting; if this lasts, the Lease cannot be read, see the log\n",
            ),
        }
    }
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
        .route("/readyz", get(|State(health): State<Health>| async move { health.answer() }))
        .with_state(health);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the probes are not served any more");
        }
    });
    Ok(bound)
}
