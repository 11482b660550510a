//! A simulator behind TLS on a port: listening, stopping, and the faults that need a connection. Every request goes
//! through [`Simulator`]; nothing is answered here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{RecordedRequest, Simulator};
use crate::model::SyncOutcome;
use crate::settings::Settings;
use crate::{tls, upload};

/// Larger bodies are refused with 413, except for uploads. Profiles are a few kilobytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// A running simulator. Dropping it stops it.
pub struct Server {
    face: Arc<Face>,
    tls: RustlsConfig,
    ca_pem: String,
    address: SocketAddr,
    listening: Mutex<Option<Listening>>,
}

/// What the request handler sees.
struct Face {
    simulator: Simulator,
    /// While true, answers of successful creates are held back.
    hold: watch::Sender<bool>,
}

struct Listening {
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Makes certificates, listens, and answers from then on.
    ///
    /// # Errors
    /// When the address is taken, or a name in [`Settings::sans`] is none.
    // Callers await every start and stop; listening happens to need no waiting today.
    #[expect(
        clippy::unused_async,
        reason = "part of the asynchronous interface; needs a running tokio runtime"
    )]
    pub async fn start(settings: Settings) -> Result<Self> {
        // An error means that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut names = settings.sans.clone();
        if !settings.bind.is_unspecified() {
            names.push(settings.bind.to_string());
        }
        let certificates = tls::make(&names)?;
        let wanted = SocketAddr::new(settings.bind, settings.port);
        let listener = TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
        let address = listener.local_addr().context("cannot tell the port")?;
        let server = Self {
            face: Arc::new(Face { simulator: Simulator::new(settings), hold: watch::Sender::new(false) }),
            tls: RustlsConfig::from_config(certificates.server),
            ca_pem: certificates.ca_pem,
            address,
            listening: Mutex::new(None),
        };
        server.serve(listener)?;
        Ok(server)
    }

    /// Where it listens, `https://127.0.0.1:PORT`. Graph and the token endpoint are both there.
    #[must_use]
    pub fn url(&self) -> String {
        let host = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        format!("https://{}", SocketAddr::new(host, self.address.port()))
    }

    /// The certificate authority to trust, as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What it was told: tenant, client ids, secrets.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.face.simulator.settings()
    }

    /// The simulator behind the port.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        &self.face.simulator
    }

    /// All requests the log still has, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.face.simulator.requests()
    }

    /// All profiles of all tenants, as `GET /_simulator/profiles`.
    #[must_use]
    pub fn profiles(&self) -> Vec<Value> {
        self.face.simulator.profiles(now())
    }

    /// Somebody else creates a profile (a create body in beta spelling); answers its id.
    ///
    /// # Errors
    /// The sentence with which Graph would refuse the body.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the body in place with json!")]
    pub fn plant(&self, body: Value) -> Result<String, String> {
        self.face.simulator.plant(&body, now())
    }

    /// Somebody else deletes a profile, and it is gone at once. False when there was none.
    pub fn remove(&self, id: &str) -> bool {
        self.face.simulator.remove(id)
    }

    /// Profiles created from now on with this display name end in `provisioningFailed`.
    pub fn fail_provisioning(&self, display_name: &str) {
        self.face.simulator.fail_provisioning(display_name);
    }

    /// See [`Simulator::set_sync_outcome`].
    pub fn set_sync_outcome(&self, display_name: &str, outcome: SyncOutcome) {
        self.face.simulator.set_sync_outcome(display_name, outcome);
    }

    /// See [`Simulator::set_sync_errors`].
    pub fn set_sync_errors(&self, display_name: &str, count: usize) {
        self.face.simulator.set_sync_errors(display_name, count);
    }

    /// See [`Simulator::plant_errors`].
    pub fn plant_errors(&self, profile: &str, count: usize) -> usize {
        self.face.simulator.plant_errors(profile, count, now())
    }

    /// True: a create does its work, but its answer is held back, until false or until the client goes away.
    pub fn hold_create_answers(&self, hold: bool) {
        self.face.hold.send_replace(hold);
    }

    /// See [`Simulator::set_unavailable`].
    pub fn set_unavailable(&self, status: Option<u16>) {
        self.face.simulator.set_unavailable(status);
    }

    /// Stops listening and cuts open connections: from then on, connections are refused. The state stays.
    pub async fn close(&self) {
        let Some(Listening { handle, task }) = self.listening().take() else {
            return;
        };
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

    /// Listens again on the same port, with the same state and certificate. Does nothing while listening.
    ///
    /// # Errors
    /// When something else has taken the port.
    #[expect(
        clippy::unused_async,
        reason = "part of the asynchronous interface; needs a running tokio runtime"
    )]
    pub async fn reopen(&self) -> Result<()> {
        if self.listening().is_some() {
            return Ok(());
        }
        let address = self.address;
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address} again"))?;
        self.serve(listener)
    }

    /// Ends it. The same as [`Self::close`], under the name one looks for.
    pub async fn stop(&self) {
        self.close().await;
    }

    fn serve(&self, listener: TcpListener) -> Result<()> {
        listener.set_nonblocking(true).context("cannot make the listener non-blocking")?;
        let handle = Handle::new();
        let server = from_tcp_rustls(listener, self.tls.clone()).context("cannot use the listener")?;
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.face));
        let serving = server.http1_only().handle(handle.clone()).serve(router.into_make_service());
        *self.listening() = Some(Listening { handle, task: tokio::spawn(serving) });
        Ok(())
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(listening) = self.listening().take() {
            listening.handle.shutdown();
            listening.task.abort();
        }
    }
}

/// The one place that reads the clock: everything behind it takes the time as an argument.
#[expect(clippy::disallowed_methods, reason = "the face is where real time enters the model")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Answers every request, whatever its method and path.
async fn answer(State(face): State<Arc<Face>>, request: Request) -> Response {
    let started = tokio::time::Instant::now();
    let (parts, body) = request.into_parts();
    let reading = face.simulator.reading(&parts, now());
    let payload = match upload::read(body, reading, LARGEST_BODY).await {
        Ok(payload) => payload,
        Err(refusal) => return refusal,
    };
    // A `start` may read gigabytes; nobody else should wait for the thread.
    let worker = Arc::clone(&face);
    let work = move || worker.simulator.exchange(axum::http::Request::from_parts(parts, payload), now());
    let Ok(exchange) = tokio::task::spawn_blocking(work).await else {
        let mut failure = Response::new(Body::from("The simulator failed. Its log says why.\n"));
        *failure.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return failure;
    };
    if let Some(recorded) = &exchange.recorded {
        recorded.log(started.elapsed());
    }
    if exchange.created {
        // An error means that the server is going away, and with it the connection.
        let _ = face.hold.subscribe().wait_for(|held| !held).await;
    }
    exchange.response.map(Body::from)
}
