//! Proxies between the operator and its two servers. They count what passes, and do something to one request.
//!
//! They know HTTP, and nothing of what is asked; what a request means is for the tests to judge.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use graph_simulator::Server;
use http::Uri;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use kube::config::Kubeconfig;
use rcgen::CertifiedKey;
use tokio::sync::watch;

use crate::world::World;

/// More than any body of these tests.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// What the proxies are: this machine, and Microsoft's hosts for who comes through a tunnel.
const NAMES: [&str; 4] =
    ["127.0.0.1", "graph.microsoft.com", "login.microsoftonline.com", "*.blob.core.windows.net"];

/// What is done to the request that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It goes no further, and is never answered: somebody kills the operator now.
    KillBefore,
    /// It is passed on and carried out, but never answered: somebody kills the operator now.
    KillAfter,
    /// It goes no further, and the connection ends.
    CutBefore,
    /// It is passed on and carried out, and the connection ends without an answer.
    CutAfter,
    /// It is held until [`Gate::release`], and then passed on, even if nobody waits for the answer any more.
    Hold,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::KillBefore, Self::KillAfter, Self::CutBefore, Self::CutAfter, Self::Hold];

    /// Does it end the operator?
    pub fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }
}

/// Which server is behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Graph,
    Kubernetes,
}

/// Sees everything that comes by.
pub trait Onlooker: Send + Sync {
    /// A request. Some: its answer; it goes no further.
    fn asked(&self, side: Side, parts: &Parts, body: &Bytes) -> Option<Response>;

    /// An answer of Graph's, as it is to be passed on.
    fn answered(&self, uri: &Uri, body: Bytes) -> Bytes;
}

/// Where all requests of an operator come by, whichever server they go to.
pub struct Gate {
    watch: Mutex<Watch>,
    /// The deed that has been done and not been dealt with; with `KillAfter`, the request has been carried out.
    struck: watch::Sender<Option<Deed>>,
    held: watch::Sender<bool>,
    /// Kubernetes is out of reach.
    refusing: watch::Sender<bool>,
    onlooker: OnceLock<Arc<dyn Onlooker>>,
}

#[derive(Default)]
struct Watch {
    counting: bool,
    seen: Vec<String>,
    wanted: Option<Wanted>,
    /// Name of the request that something was done to.
    struck: Option<String>,
}

/// A request that something is to be done to: by its name, and how many of that name go before it. A number among all
/// requests would name another one whenever there is a poll more.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub before: usize,
    pub deed: Deed,
}

impl Gate {
    fn new() -> Self {
        Self {
            watch: Mutex::default(),
            struck: watch::Sender::new(None),
            held: watch::Sender::new(true),
            refusing: watch::Sender::new(false),
            onlooker: OnceLock::new(),
        }
    }

    /// Lets somebody look on from now on. The first one stays.
    pub fn look_on(&self, onlooker: Arc<dyn Onlooker>) {
        assert!(self.onlooker.set(onlooker).is_ok(), "somebody looks on already");
    }

    /// Counts from now on, and does what is wanted when that request comes.
    pub fn count(&self, wanted: Option<Wanted>) {
        *self.watch.lock().unwrap() = Watch { counting: true, wanted, ..Watch::default() };
    }

    /// Ends the counting: the names of what has passed, and of what something was done to.
    pub fn end(&self) -> (Vec<String>, Option<String>) {
        let watch = std::mem::take(&mut *self.watch.lock().unwrap());
        (watch.seen, watch.struck)
    }

    /// Waits until the deed is done. It is told once.
    pub async fn struck(&self) -> Deed {
        let mut struck = self.struck.subscribe();
        loop {
            // The sender is in `self`.
            let _ = struck.wait_for(Option::is_some).await;
            if let Some(deed) = self.struck.send_replace(None) {
                return deed;
            }
        }
    }

    /// Lets go what is held.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// True: Kubernetes is out of reach, and open watches end.
    pub fn refuse_kubernetes(&self, refuse: bool) {
        self.refusing.send_replace(refuse);
    }

    fn refuses(&self, side: Side) -> bool {
        side == Side::Kubernetes && *self.refusing.borrow()
    }

    /// Counts a request, and says what is to be done to it.
    fn arrived(&self, side: Side, parts: &Parts) -> Option<Deed> {
        // How often the lease is renewed is a matter of time and not of what is done.
        if parts.uri.path().contains("/leases") {
            return None;
        }
        let mut watch = self.watch.lock().unwrap();
        if !watch.counting {
            return None;
        }
        let name = name_of(side, parts);
        let before = watch.seen.iter().filter(|seen| **seen == name).count();
        let wanted = watch.wanted.take_if(|wanted| wanted.name == name && wanted.before == before);
        if wanted.is_some() {
            watch.struck = Some(name.clone());
        }
        watch.seen.push(name);
        wanted.map(|wanted| wanted.deed)
    }
}

/// A name that says what is asked, without what differs between tests.
fn name_of(side: Side, parts: &Parts) -> String {
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let place = match side {
        Side::Kubernetes => {
            match path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')) {
                Some((_, place)) => place,
                None => path,
            }
        }
        Side::Graph => path.trim_start_matches("/beta/education/"),
    };
    let is_id = |word: &str| word.parse::<uuid::Uuid>().is_ok() || word.starts_with("contoso.");
    let without_ids = place.split('/').map(|word| if is_id(word) { "*" } else { word });
    let place = without_ids.collect::<Vec<_>>().join("/");
    let is_watch = query.contains("watch=true");
    let method = if is_watch { "WATCH" } else { parts.method.as_str() };
    format!("{side:?} {method} {place}")
}

/// A proxy before one server.
pub struct Proxy {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

struct Face {
    gate: Arc<Gate>,
    side: Side,
    upstream: String,
    client: reqwest::Client,
}

impl Proxy {
    fn begin(gate: Arc<Gate>, side: Side, upstream: (&str, &str), certificate: &Certificate) -> Self {
        let trusted = reqwest::Certificate::from_pem_bundle(upstream.1.as_bytes()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only(trusted)
            .no_proxy()
            .http1_only()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .unwrap();
        let face = Face { gate, side, upstream: upstream.0.to_owned(), client };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let handle = Handle::new();
        let tls = RustlsConfig::from_config(Arc::clone(&certificate.server));
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap().handle(handle.clone());
        let router = Router::new().fallback(answer).with_state(Arc::new(face));
        tokio::spawn(server.serve(router.into_make_service()));
        Self { address, handle }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator finds it.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn answer(State(face): State<Arc<Face>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return cut();
    };
    if face.gate.refuses(face.side) {
        return cut();
    }
    let instead = face.gate.onlooker.get().and_then(|onlooker| onlooker.asked(face.side, &parts, &body));
    if let Some(answer) = instead {
        return answer;
    }
    let Some(deed) = face.gate.arrived(face.side, &parts) else {
        return face.pass_on(parts, body).await;
    };
    if deed == Deed::Hold {
        face.gate.struck.send_replace(Some(deed));
        // On its own: whoever sent it may go away meanwhile.
        let late = tokio::spawn(async move {
            let _ = face.gate.held.subscribe().wait_for(|held| !held).await;
            face.pass_on(parts, body).await
        });
        return late.await.unwrap_or_else(|_| cut());
    }
    if matches!(deed, Deed::KillAfter | Deed::CutAfter) {
        drop(face.pass_on(parts, body).await);
    }
    face.gate.struck.send_replace(Some(deed));
    if deed.kills() {
        // The connection ends with the operator.
        std::future::pending::<()>().await;
    }
    cut()
}

impl Face {
    async fn pass_on(&self, parts: Parts, body: Bytes) -> Response {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self.client.request(parts.method.clone(), format!("{}{path}", self.upstream));
        let Ok(mut answer) = request.headers(parts.headers).body(body).send().await else {
            return cut();
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        std::mem::swap(response.headers_mut(), answer.headers_mut());
        for hop_by_hop in [CONNECTION, TRANSFER_ENCODING] {
            response.headers_mut().remove(hop_by_hop);
        }
        if let (Some(onlooker), Side::Graph) = (self.gate.onlooker.get(), self.side) {
            let Ok(whole) = answer.bytes().await else { return cut() };
            response.headers_mut().remove(CONTENT_LENGTH);
            return response.map(|_| Body::from(onlooker.answered(&parts.uri, whole)));
        }
        let refusing = self.gate.refusing.subscribe();
        let side = self.side;
        // As it comes: a watch has no end.
        let chunks = stream::unfold((answer, false), move |(mut answer, ended)| {
            let mut refusing = refusing.clone();
            async move {
                if ended {
                    return None;
                }
                let refused = async {
                    match side {
                        Side::Kubernetes => drop(refusing.wait_for(|refuse| *refuse).await),
                        Side::Graph => std::future::pending().await,
                    }
                };
                let chunk = tokio::select! {
                    chunk = answer.chunk() => chunk.map_err(io::Error::other).transpose()?,
                    () = refused => Err(io::ErrorKind::ConnectionReset.into()),
                };
                let ended = chunk.is_err();
                Some((chunk, (answer, ended)))
            }
        });
        response.map(|_| Body::from_stream(chunks))
    }
}

/// Ends the connection: not a byte of this leaves, since it fails before its head is sent.
fn cut() -> Response {
    let failure = stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Response::new(Body::from_stream(failure))
}

/// What proxies show, and what makes clients believe it.
struct Certificate {
    pem: String,
    server: Arc<rustls::ServerConfig>,
}

impl Certificate {
    fn make() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).unwrap();
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        // A connection is one request: ending it ends that one.
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { pem: cert.pem(), server: Arc::new(server) }
    }
}

/// The proxies of one scene.
pub struct Detour {
    pub gate: Arc<Gate>,
    pub graph: Proxy,
    kubernetes: Proxy,
    /// The way to Kubernetes for the operator.
    pub kubeconfig: PathBuf,
    /// What to trust.
    pub ca_pem: String,
}

impl Detour {
    /// Proxies before the API server and this simulator.
    pub fn begin(world: &World, simulator: &Server, name: &str) -> Self {
        let gate = Arc::new(Gate::new());
        let certificate = Certificate::make();
        let begin =
            |side, url: &str, ca: &str| Proxy::begin(Arc::clone(&gate), side, (url, ca), &certificate);
        let graph = begin(Side::Graph, &simulator.url(), simulator.ca_pem());
        let (url, ca) = world.api_server();
        let kubernetes = begin(Side::Kubernetes, url, ca);
        let kubeconfig = world.folder().join(format!("{name}.kubeconfig"));
        let detour = Self { gate, graph, kubernetes, kubeconfig, ca_pem: certificate.pem };
        detour.lead(world.operator_kubeconfig(), &detour.kubeconfig);
        detour
    }

    /// Writes a kubeconfig that is another one, but for the way.
    pub fn lead(&self, other: &Path, to: &Path) {
        let mut way = Kubeconfig::read_from(other).unwrap();
        let cluster = way.clusters[0].cluster.as_mut().unwrap();
        cluster.server = Some(self.kubernetes.url());
        cluster.certificate_authority_data = Some(STANDARD.encode(&self.ca_pem));
        std::fs::write(to, serde_json::to_string(&way).unwrap()).unwrap();
    }
}
