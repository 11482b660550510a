//! The connections below TLS, so that one can be reset: every request carries a switch that breaks its line. No HTTP
//! is decided here.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

/// Breaks one connection. From then on nothing is sent on it, and its end is a TCP reset.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A TCP connection with its switch.
pub(crate) struct Line {
    tcp: TcpStream,
    switch: Switch,
}

impl Line {
    /// An error when the line is cut. Without linger, dropping the socket resets the connection.
    fn intact(&self) -> io::Result<()> {
        if !self.switch.is_cut() {
            return Ok(());
        }
        self.tcp.set_zero_linger()?;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.intact()?;
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.intact()?;
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.intact()?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

/// Gives each connection its switch, and the switch to each request on it.
#[derive(Clone, Debug)]
pub(crate) struct Lines;

impl<S> Accept<TcpStream, S> for Lines {
    type Stream = Line;
    type Service = Switched<S>;
    type Future = Ready<io::Result<(Line, Switched<S>)>>;

    fn accept(&self, tcp: TcpStream, service: S) -> Self::Future {
        let switch = Switch::default();
        ready(Ok((Line { tcp, switch: switch.clone() }, Switched { service, switch })))
    }
}

/// A service whose requests have the switch of their connection among their extensions.
#[derive(Clone)]
pub(crate) struct Switched<S> {
    service: S,
    switch: Switch,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Switched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.switch.clone());
        self.service.call(request)
    }
}
