//! Ports that are listened on: with TLS, or, for the managed identity endpoint, without. What is answered there is in
//! `server`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::task::JoinHandle;

use crate::line::Lines;

/// A port that is answered on.
pub(crate) struct Listening {
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Listening {
    /// Answers from now on; without TLS if there is none.
    pub(crate) fn begin(listener: TcpListener, tls: Option<RustlsConfig>, router: Router) -> Result<Self> {
        listener.set_nonblocking(true).context("cannot make the listener non-blocking")?;
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener).context("cannot use the listener")?;
        let server = server.handle(handle.clone());
        let service = router.into_make_service();
        let task = match tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).acceptor(Lines);
                tokio::spawn(server.acceptor(acceptor).http1_only().serve(service))
            }
            None => tokio::spawn(server.acceptor(Lines).http1_only().serve(service)),
        };
        Ok(Self { handle, task })
    }

    /// Stops listening, and cuts open connections.
    pub(crate) async fn close(self) {
        let Self { handle, task } = self;
        handle.shutdown();
        // The task ends by dropping its listener; whether it ended well is of no interest any more.
        let _ = task.await;
        // A connection that is still shaking hands ends by itself; nobody is answered on it any more.
        let cut = async {
            while handle.connection_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), cut).await;
    }

    /// The same for one who cannot wait.
    pub(crate) fn abort(&self) {
        self.handle.shutdown();
        self.task.abort();
    }
}

/// Takes a port; the address, should any port have been wanted.
pub(crate) fn bind(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr().context("cannot tell the port")?;
    Ok((listener, address))
}

/// The URL under which clients on this machine reach an address.
pub(crate) fn url(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("{scheme}://{}", SocketAddr::new(host, address.port()))
}
