//! Looks on as everything comes by: keeps what is asked, learns which secrets there are by now, and answers in the
//! place of servers that say what they should not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use axum::body::Bytes;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use super::foreign::{Foreign, PUPIL, VERIFICATION, sync_errors};
use super::marker::{Kind, Marker};
use crate::proxy::{Onlooker, Side};

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Kubernetes,
    Entra,
    Graph,
    Blobs,
    /// The proxy that leads to the three before.
    Proxy,
    /// A collector of traces.
    Collector,
    Unknown,
}

impl Host {
    /// By its name.
    pub fn named(name: &str) -> Self {
        match name.split(':').next().unwrap_or_default() {
            "login.microsoftonline.com" => Self::Entra,
            "graph.microsoft.com" => Self::Graph,
            BLOBS => Self::Blobs,
            _ => Self::Unknown,
        }
    }
}

/// The host that files go to.
const BLOBS: &str = "canary.blob.core.windows.net";

/// A request, whole.
pub struct Asked {
    pub host: Host,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// A way to Kubernetes that is asked of the proxy.
    pub fn is_to_this_machine(&self) -> bool {
        self.host == Host::Proxy && self.uri.host() == Some("127.0.0.1")
    }

    /// Something that the operator has Kubernetes write: the verb and the resource, as its audit log names them.
    pub fn write_of(&self, token: &str, namespace: &str) -> Option<(&'static str, String)> {
        if self.host != Host::Kubernetes || bearer(&self.headers) != Some(token) {
            return None;
        }
        let (_, place) = self.uri.path().split_once(&format!("/namespaces/{namespace}/"))?;
        let verb = match self.method {
            Method::GET => return None,
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            _ => "delete",
        };
        Some((verb, place.split('/').next()?.to_owned()))
    }
}

/// Sees everything.
#[derive(Default)]
pub struct Spy {
    tape: Mutex<Vec<Asked>>,
    learnt: Mutex<BTreeSet<Marker>>,
    /// What is said to whom: by client id.
    foreign: BTreeMap<String, Foreign>,
    /// What is said once more to anybody: by method and the end of the path.
    once: Mutex<Vec<(Method, &'static str, Foreign)>>,
    told: Mutex<BTreeSet<String>>,
}

impl Spy {
    /// One who says this to these clients.
    pub fn saying(foreign: BTreeMap<String, Foreign>) -> Self {
        Self { foreign, ..Self::default() }
    }

    /// Answers the next request of this kind so.
    pub fn answer_once(&self, method: Method, end: &'static str, foreign: Foreign) {
        self.once.lock().unwrap().push((method, end, foreign));
    }

    /// What was to be said once, and was not asked for.
    pub fn unsaid(&self) -> usize {
        self.once.lock().unwrap().len()
    }

    /// Which foreign texts were told.
    pub fn told(&self) -> BTreeSet<String> {
        self.told.lock().unwrap().clone()
    }

    /// Everything that was asked so far.
    pub fn tape<T>(&self, read: impl FnOnce(&[Asked]) -> T) -> T {
        read(&self.tape.lock().unwrap())
    }

    /// The secrets that came about so far.
    pub fn learnt(&self) -> Vec<Marker> {
        self.learnt.lock().unwrap().iter().cloned().collect()
    }

    /// Keeps a request that came another way.
    pub fn keep(&self, asked: Asked) {
        self.tape.lock().unwrap().push(asked);
    }

    fn learn(&self, kind: Kind, text: &str) {
        if !text.contains("canary") {
            self.learnt.lock().unwrap().insert(Marker { kind, text: text.to_owned() });
        }
    }

    fn tell(&self, foreign: Foreign, host: Host, asked: (&Parts, &Bytes)) -> Response {
        self.told.lock().unwrap().insert(foreign.name());
        foreign.answer(host, asked)
    }

    fn of_entra(&self, parts: &Parts, body: &Bytes) -> Option<Response> {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        if let Some(assertion) = form.get("client_assertion") {
            self.learn(Kind::Assertion, assertion);
        }
        let client = form.get("client_id")?;
        let foreign = *self.foreign.get(client)?;
        if foreign.is_of_entra() {
            return Some(self.tell(foreign, Host::Entra, (parts, body)));
        }
        let token = format!("canary-access-token.{client}");
        Some(answer(200, &json!({"access_token": token, "expires_in": 3600})))
    }

    fn of_graph(&self, parts: &Parts, body: &Bytes) -> Option<Response> {
        let token = bearer(&parts.headers)?;
        self.learn(Kind::AccessToken, token);
        let path = parts.uri.path();
        if path.ends_with("/errors") {
            return Some(answer(200, &sync_errors()));
        }
        let foreign = *self.foreign.get(token.strip_prefix("canary-access-token.")?)?;
        if foreign.is_of_create() && parts.method == Method::GET {
            return Some(answer(200, &json!({"value": []})));
        }
        Some(self.tell(foreign, Host::Graph, (parts, body)))
    }

    /// Refuses as a webhook does that repeats what it was shown.
    fn of_kubernetes(&self, parts: &Parts, body: &Bytes) -> Option<Response> {
        if let Some(token) = bearer(&parts.headers) {
            self.learn(Kind::KubernetesToken, token);
        }
        let is_read = parts.method == Method::GET;
        if is_read && parts.uri.path().ends_with("/secrets/malformed") {
            let wrong = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": super::stage::SOURCE_SECRET});
            return Some(answer(200, &wrong));
        }
        let is_dry = parts.uri.query().is_some_and(|query| query.contains("dryRun"));
        let writes_tokens = ["/secrets/edusync-refresh-tokens", "/secrets/administrator"]
            .iter()
            .find(|end| parts.uri.path().ends_with(**end) && !is_read && !is_dry)?;
        if !self.told.lock().unwrap().insert(format!("Kubernetes {writes_tokens}")) {
            return None;
        }
        let shown = String::from_utf8_lossy(body);
        let message = format!("admission webhook \"canary.example\" denied the request: {shown} {PUPIL}");
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "Forbidden", "code": 403, "message": message});
        Some(answer(403, &status))
    }
}

impl Onlooker for Spy {
    fn asked(&self, side: Side, parts: &Parts, body: &Bytes) -> Option<Response> {
        let name = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = if side == Side::Kubernetes { Host::Kubernetes } else { Host::named(name) };
        self.keep(Asked {
            host,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
        let once = {
            let mut once = self.once.lock().unwrap();
            let place = once.iter().position(|(method, end, _)| {
                *method == parts.method && side == Side::Graph && parts.uri.path().ends_with(end)
            });
            place.map(|place| once.remove(place).2)
        };
        if let Some(foreign) = once {
            return Some(self.tell(foreign, host, (parts, body)));
        }
        match host {
            Host::Kubernetes => self.of_kubernetes(parts, body),
            Host::Entra => self.of_entra(parts, body),
            Host::Graph => self.of_graph(parts, body),
            _ => None,
        }
    }

    fn answered(&self, uri: &Uri, body: Bytes) -> Bytes {
        let Ok(mut whole) = serde_json::from_slice::<Value>(&body) else {
            return body;
        };
        let learnt = [
            ("access_token", Kind::AccessToken),
            ("refresh_token", Kind::RefreshToken),
            ("device_code", Kind::DeviceCode),
            ("user_code", Kind::UserCode),
        ];
        for (name, kind) in learnt {
            if let Some(secret) = whole.get(name).and_then(Value::as_str) {
                self.learn(kind, secret);
            }
        }
        if uri.path().contains("uploadUrl") {
            let url = whole["value"].as_str().unwrap().replace("graph.microsoft.com", BLOBS);
            let query = url.split_once('?').unwrap().1;
            let mut options = url::form_urlencoded::parse(query.as_bytes());
            self.learn(Kind::UploadSignature, &options.find(|(name, _)| name == "sig").unwrap().1);
            whole["value"] = json!(url);
            return Bytes::from(whole.to_string());
        }
        if uri.path().ends_with("/start") {
            whole["value"] =
                json!([{"type": "Warning", "fileName": "student.csv", "description": VERIFICATION}]);
            return Bytes::from(whole.to_string());
        }
        body
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn answer(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(body.to_string().into()).unwrap()
}
