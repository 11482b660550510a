//! A simulator behind TLS on a port: starting, stopping, and the faults that need a connection. Every request goes
//! through [`Simulator`]; nothing is answered here. The managed identity endpoint may have a second port without TLS.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use axum_server::tls_rustls::RustlsConfig;
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
use crate::line::Switch;
use crate::listen::{self, Listening};
use crate::model::SyncOutcome;
use crate::settings::Settings;
use crate::state::{Authority, StateFile};
use crate::upload::Unreadable;
use crate::{tls, upload};

/// Larger bodies are refused with 413, except for uploads. Profiles are a few kilobytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// The managed identity endpoint: all there is at the port without TLS.
const IDENTITY_PATH: &str = "/metadata/identity/oauth2/token";

/// A running simulator. Dropping it stops it.
pub struct Server {
    face: Arc<Face>,
    tls: RustlsConfig,
    address: SocketAddr,
    /// Where the managed identity endpoint is besides, without TLS.
    identity: Option<SocketAddr>,
    listening: Mutex<Vec<Listening>>,
    saver: Mutex<Option<JoinHandle<()>>>,
}

/// What the request handler sees.
struct Face {
    simulator: Simulator,
    /// While true, answers of successful creates are held back.
    hold: watch::Sender<bool>,
    authority: Authority,
    /// One save at a time: they all write through the same neighbouring file.
    saving: Mutex<()>,
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
        let shown = match &settings.certificate {
            Some(certificate) => tls::with(certificate)?,
            None => certificates.server,
        };
        let (listener, address) = listen::bind(SocketAddr::new(settings.bind, settings.port))?;
        let identity = settings.identity_port.map(|port| SocketAddr::new(settings.bind, port));
        let (identity_listener, identity) = identity.map(listen::bind).transpose()?.unzip();
        let simulator = Simulator::new(settings);
        if let Some(saved) = saved {
            simulator.restore(saved.simulator, now());
        }
        let face = Face {
            simulator,
            hold: watch::Sender::new(false),
            authority: certificates.authority,
            saving: Mutex::default(),
        };
        let server = Self {
            face: Arc::new(face),
            tls: RustlsConfig::from_config(shown),
            address,
            identity,
            listening: Mutex::default(),
            saver: Mutex::new(None),
        };
        server.serve(listener, identity_listener)?;
        if server.settings().state.is_some() {
            // Counted before the save: what changes from here on is saved by the task, whenever it gets its first turn.
            let saved = server.face.simulator.changes();
            server.save_state()?;
            *server.saver() = Some(tokio::spawn(keep_saving(Arc::clone(&server.face), saved)));
        }
        Ok(server)
    }

    /// Where it listens, `https://127.0.0.1:PORT`. Graph and the token endpoint are both there.
    #[must_use]
    pub fn url(&self) -> String {
        listen::url("https", self.address)
    }

    /// Where the managed identity endpoint answers without TLS, as on a machine in Azure: `http://127.0.0.1:PORT`.
    /// `None` without [`Settings::identity_port`].
    #[must_use]
    pub fn identity_url(&self) -> Option<String> {
        self.identity.map(|address| listen::url("http", address))
    }

    /// The certificate authority to trust, as PEM, unless [`Settings::certificate`] is another's.
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
        self.face.simulator.remove(id, now())
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
        let all = std::mem::take(&mut *self.listening());
        for one in all {
            one.close().await;
        }
    }

    /// Listens again on the same ports, with the same state and certificate. Does nothing while listening.
    ///
    /// # Errors
    /// When something else has taken the port.
    #[expect(
        clippy::unused_async,
        reason = "part of the asynchronous interface; needs a running tokio runtime"
    )]
    pub async fn reopen(&self) -> Result<()> {
        if !self.listening().is_empty() {
            return Ok(());
        }
        let (listener, _) = listen::bind(self.address)?;
        let identity = self.identity.map(listen::bind).transpose()?;
        self.serve(listener, identity.map(|(listener, _)| listener))
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

    fn serve(&self, listener: TcpListener, identity: Option<TcpListener>) -> Result<()> {
        let everything = Router::new().fallback(answer).with_state(Arc::clone(&self.face));
        let mut all = vec![Listening::begin(listener, Some(self.tls.clone()), everything)?];
        if let Some(listener) = identity {
            let alone = Router::new().route(IDENTITY_PATH, any(answer)).fallback(elsewhere);
            all.push(Listening::begin(listener, None, alone.with_state(Arc::clone(&self.face)))?);
        }
        *self.listening() = all;
        Ok(())
    }

    fn saver(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.saver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listening(&self) -> std::sync::MutexGuard<'_, Vec<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Face {
    fn save(&self) -> Result<()> {
        let Some(path) = &self.simulator.settings().state else { return Ok(()) };
        // The state is read inside, too, so that an older one is never written over a newer.
        let _turn = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        StateFile::new(self.authority.clone(), self.simulator.save()).save(path)
    }

    /// Whether it went well.
    fn save_or_say(&self) -> bool {
        let saved = self.save();
        if let Err(error) = &saved {
            tracing::error!(error = format!("{error:#}"), "the state is not saved");
        }
        saved.is_ok()
    }
}

/// Saves at most once a second, and only after changes. What could not be saved is tried again.
async fn keep_saving(face: Arc<Face>, mut saved: u64) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let changes = face.simulator.changes();
        if changes != saved && face.save_or_say() {
            saved = changes;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(saver) = self.saver().take() {
            saver.abort();
        }
        self.listening().iter().for_each(Listening::abort);
    }
}

/// The one place that reads the clock: everything behind it takes the time as an argument.
#[expect(clippy::disallowed_methods, reason = "the face is where real time enters the model")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// What is not at the port without TLS: everything but the managed identity endpoint.
async fn elsewhere() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("Nothing but {IDENTITY_PATH} is at this port.\n"))
}

/// Answers every request, whatever its method and path.
async fn answer(State(face): State<Arc<Face>>, request: Request) -> Response {
    let started = tokio::time::Instant::now();
    let (parts, body) = request.into_parts();
    let switch = parts.extensions.get::<Switch>().cloned().unwrap_or_default();
    let reading = face.simulator.reading(&parts, now());
    let payload = match upload::read(body, reading, LARGEST_BODY).await {
        Ok(payload) => payload,
        Err(Unreadable::Answered(refusal)) => return refusal,
        Err(Unreadable::TooLarge) => {
            let outcome = face.simulator.refuse_large(&parts, now());
            outcome.recorded.iter().for_each(|recorded| recorded.log(started.elapsed()));
            return outcome.response.map(Body::from);
        }
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
