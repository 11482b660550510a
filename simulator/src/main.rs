//! The program `graph-simulator`: starts a [`Server`], says that it is ready, and ends on SIGTERM or SIGINT.

mod cli;
mod cli_platform;
mod cli_profiles;

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use clap::Parser;
use graph_simulator::Server;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use cli::{Cli, LogFormat};

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    start_log(cli.log_format)?;
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Before listening, so that no signal after the ready line is missed.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;

    let settings = cli.settings()?;
    let is_own = settings.certificate.is_none();
    let server = Server::start(settings).await?;
    if is_own {
        std::fs::write(&cli.ca_file, server.ca_pem()).with_context(|| {
            format!("cannot write the certificate authority to {}", cli.ca_file.display())
        })?;
    }
    let ca_file = is_own.then(|| cli.ca_file.display().to_string());
    tracing::info!(ca_file, url = %server.url(), "listening");
    say_ready(&server)?;

    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "stopping");
    server.stop().await;
    Ok(())
}

/// The line on standard output that programs wait for, and one for the second port if there is one.
fn say_ready(server: &Server) -> Result<()> {
    let identity = server.identity_url().map(|url| format!("identity {url}\n")).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    write!(out, "ready {}\n{identity}", server.url())
        .and_then(|()| out.flush())
        .context("cannot write the ready line")
}

/// Logs to standard error, at `info` unless `RUST_LOG` says otherwise.
fn start_log(format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
