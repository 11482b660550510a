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
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fault::ActiveFault;
use crate::http::{Cut, RecordedRequest, Simulator};
use crate::line::{Lines, Switch};
use crate::model::SyncOutcome;
use crate::settings::Settings;
use crate::state::{Authority, StateFile};
use crate::{tls, upload};

/// Larger bodies are refused with 413, except for uploads. Profiles are a few kilobytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// A running simulator. Dropping it stops it.
pub struct Server {
    face: Arc<Face>,
    tls: RustlsConfig,
    address: SocketAddr,
    listening: Mutex<Option<Listening>>,
    saver: Mutex<Option<JoinHandle<()>>>,
}

/// What the request handler sees.
struct Face {
    simulator: Simulator,
    /// While true, answers of successful creates are held back.
    hold: watch::Sender<bool>,
    authority: Authority,
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
        let saved = settings.state.as_deref().map(StateFile::load).transpose()?.flatten();
        let certificates = tls::make(&names, saved.as_ref().map(|saved| &saved.authority))?;
        let wanted = SocketAddr::new(settings.bind, settings.port);
        let listener = TcpListener::bind(wanted).with_context(|| format!("cannot listen on {wanted}"))?;
        let address = listener.local_addr().context("cannot tell the port")?;
        let simulator = Simulator::new(settings);
        if let Some(saved) = saved {
            simulator.restore(saved.simulator);
        }
        let face = Face { simulator, hold: watch::Sender::new(false), authority: certificates.authority };
        let server = Self {
            face: Arc::new(face),
            tls: RustlsConfig::from_config(certificates.server),
            address,
            listening: Mutex::new(None),
            saver: Mutex::new(None),
        };
        server.serve(listener)?;
        if server.settings().state.is_some() {
            server.save_state()?;
            *server.saver() = Some(tokio::spawn(keep_saving(Arc::clone(&server.face))));
        }
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
        &self.face.authority.certificate
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

    /// Sets a fault, such as `create:504-after-commit,times=1`; answers its number.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the specification.
    pub fn fault(&self, spec: &str) -> Result<u64, String> {
        Ok(self.face.simulator.add_fault(spec.parse()?, now()))
    }

    /// All faults, with how often they have struck.
    #[must_use]
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.face.simulator.faults(now())
    }

    /// See [`Simulator::clear_faults`].
    pub fn clear_faults(&self) {
        self.face.simulator.clear_faults();
    }

    /// Lets time pass at once.
    pub fn advance(&self, by: Duration) {
        self.face.simulator.advance(by);
    }

    /// Saves the state now, if it was told where to ([`Settings::state`]).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_state(&self) -> Result<()> {
        self.face.save()
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

    /// Ends it: [`Self::close`], and the state is saved.
    pub async fn stop(&self) {
        self.close().await;
        let saver = self.saver().take();
        if let Some(saver) = saver {
            saver.abort();
            // A save under way is over before the last one begins.
            let _ = saver.await;
        }
        self.face.save_or_say();
    }

    fn serve(&self, listener: TcpListener) -> Result<()> {
        listener.set_nonblocking(true).context("cannot make the listener non-blocking")?;
        let handle = Handle::new();
        let acceptor = RustlsAcceptor::new(self.tls.clone()).acceptor(Lines);
        let server = axum_server::from_tcp(listener).context("cannot use the listener")?.acceptor(acceptor);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.face));
        let serving = server.http1_only().handle(handle.clone()).serve(router.into_make_service());
        *self.listening() = Some(Listening { handle, task: tokio::spawn(serving) });
        Ok(())
    }

    fn saver(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.saver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Face {
    fn save(&self) -> Result<()> {
        let Some(path) = &self.simulator.settings().state else { return Ok(()) };
        StateFile::new(self.authority.clone(), self.simulator.save()).save(path)
    }

    fn save_or_say(&self) {
        if let Err(error) = self.save() {
            tracing::error!(error = format!("{error:#}"), "the state is not saved");
        }
    }
}

/// Saves at most once a second, and only after changes.
async fn keep_saving(face: Arc<Face>) {
    let mut saved = face.simulator.changes();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let changes = face.simulator.changes();
        if changes != saved {
            face.save_or_say();
            saved = changes;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(saver) = self.saver().take() {
            saver.abort();
        }
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
    let switch = parts.extensions.get::<Switch>().cloned().unwrap_or_default();
    let reading = face.simulator.reading(&parts, now());
    let payload = match upload::read(body, reading, LARGEST_BODY).await {
        Ok(payload) => payload,
        Err(refusal) => return refusal,
    };
    // A `start` may read gigabytes; nobody else should wait for the thread.
    let worker = Arc::clone(&face);
    let work =
        move || worker.simulator.exchange_payload(axum::http::Request::from_parts(parts, payload), now());
    let Ok(outcome) = tokio::task::spawn_blocking(work).await else {
        let mut failure = Response::new(Body::from("The simulator failed. Its log says why.\n"));
        *failure.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return failure;
    };
    if let Some(delay) = outcome.delay {
        tokio::time::sleep(delay).await;
    }
    if let Some(recorded) = &outcome.recorded {
        recorded.log(started.elapsed());
    }
    if outcome.created {
        // An error means that the server is going away, and with it the connection.
        let _ = face.hold.subscribe().wait_for(|held| !held).await;
    }
    if outcome.save
        && let Err(error) = face.save()
    {
        let mut refusal = Response::new(Body::from(format!("{error:#}\n")));
        *refusal.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return refusal;
    }
    match outcome.cut {
        None => outcome.response.map(Body::from),
        Some(Cut::Reset) => {
            switch.cut();
            // Not a byte of it leaves.
            outcome.response.map(Body::from)
        }
        Some(Cut::Half) => half(outcome.response),
    }
}

/// Announces the whole body, sends the first half, and fails, which makes the connection end there.
fn half(response: http::Response<Bytes>) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let first = stream::iter([Ok(body.slice(..body.len() / 2))]);
    let failure = stream::once(async {
        // Gives the connection a turn to send what it has.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Response::from_parts(parts, Body::from_stream(first.chain(failure)))
}
