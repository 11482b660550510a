//! Where a secret may be: the one table of intended places. Whatever is found anywhere else has gone astray.

use std::collections::BTreeSet;

use serde_json::Value;

use super::marker::{Kind, Search};
use super::spy::{Asked, Host};

/// What may be where; a place is taken by how it begins. Each line must be of use.
const INTENDED: [(Kind, &str); 27] = [
    (Kind::ClientSecret, "Entra POST form client_secret"),
    (Kind::RefreshToken, "Entra POST form refresh_token"),
    (Kind::Assertion, "Entra POST form client_assertion"),
    (Kind::FederatedToken, "Entra POST form client_assertion"),
    (Kind::DeviceCode, "Entra POST form device_code"),
    (Kind::AccessToken, "Graph GET header authorization"),
    (Kind::AccessToken, "Graph POST header authorization"),
    (Kind::AccessToken, "Graph PUT header authorization"),
    (Kind::AccessToken, "Graph DELETE header authorization"),
    (Kind::SourceSecret, "Graph POST json /dataProvider/clientSecret"),
    (Kind::SourceSecret, "Graph POST json /dataProvider/connectionSettings/clientSecret"),
    (Kind::SourceSecret, "Graph PUT json /dataProvider/clientSecret"),
    (Kind::SourceSecret, "Graph PUT json /dataProvider/connectionSettings/clientSecret"),
    // What is in an address belongs to the address.
    (Kind::InAddress, "Graph POST json /dataProvider/connectionUrl"),
    (Kind::InAddress, "Graph PUT json /dataProvider/connectionUrl"),
    (Kind::UploadSignature, "Blobs PUT query sig"),
    (Kind::Cell, "Blobs PUT body"),
    (Kind::ProxyPassword, "Proxy CONNECT header proxy-authorization"),
    (Kind::CollectorKey, "Collector POST header x-api-key"),
    // The operator's own rights, and those of the person at the command line.
    (Kind::KubernetesToken, "Kubernetes header authorization"),
    (Kind::RefreshToken, "Kubernetes PATCH secrets/edusync-refresh-tokens json /data/"),
    (Kind::RefreshToken, "Kubernetes PATCH secrets/administrator json /data/"),
    (Kind::RefreshToken, "Kubernetes POST secrets json /data/"),
    // It says that this is the Secret's name.
    (Kind::Misplaced, "Kubernetes GET secrets/ca9a0815"),
    // A status is written with the spec that it belongs to, as it is.
    (Kind::InAddress, "Kubernetes PUT educationsyncprofiles json /spec/"),
    (Kind::Misplaced, "Kubernetes PUT educationsyncprofiles json /spec/"),
    (Kind::Misplaced, "Kubernetes PUT graphconnections json /spec/"),
];

/// What a person at a terminal asked to see, by the documents of the command line.
const SHOWN: [(Kind, &str); 7] = [
    (Kind::Pupil, "stdout of errors"),
    (Kind::Pupil, "stdout of upload --show-texts"),
    (Kind::UserCode, "stderr of login"),
    (Kind::InAddress, "stdout of import"),
    (Kind::InAddress, "stdout of plan"),
    (Kind::ProxyPassword, "environment of the operator"),
    (Kind::CollectorKey, "environment of the operator"),
];

/// Collects what is found, and where.
pub struct Judge {
    search: Search,
    astray: BTreeSet<String>,
    used: BTreeSet<(Kind, &'static str)>,
    /// Requests that were searched.
    pub requests: usize,
    /// Texts that were searched besides.
    pub texts: usize,
    /// Bytes of both.
    pub bytes: usize,
}

impl Judge {
    pub fn new(search: Search) -> Self {
        Self { search, astray: BTreeSet::new(), used: BTreeSet::new(), requests: 0, texts: 0, bytes: 0 }
    }

    /// Searches something that was printed or stored.
    pub fn text(&mut self, place: &str, text: impl AsRef<[u8]>) {
        self.texts += 1;
        self.part(place, text.as_ref());
    }

    /// Searches all of a request.
    pub fn request(&mut self, asked: &Asked) {
        self.requests += 1;
        if matches!(asked.host, Host::Unknown) {
            self.astray.insert(format!("a request to an unknown host: {} {}", asked.method, asked.uri));
        }
        let target = asked.uri.path();
        let (resource, host) = match asked.host {
            Host::Kubernetes => (resource(target), "Kubernetes".to_owned()),
            host => (String::new(), format!("{host:?}")),
        };
        let base = format!("{host} {}{resource}", asked.method);
        self.part(&format!("{base} path"), target.as_bytes());
        for option in asked.uri.query().unwrap_or_default().split('&') {
            let name = option.split('=').next().unwrap_or_default();
            self.part(&format!("{base} query {name}"), option.as_bytes());
        }
        for (name, value) in &asked.headers {
            let all = if asked.host == Host::Kubernetes { &host } else { &base };
            self.part(&format!("{all} header {name}"), value.as_bytes());
        }
        self.body(&base, asked);
    }

    fn body(&mut self, base: &str, asked: &Asked) {
        let kind = asked.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut explained = BTreeSet::new();
        if kind.contains("form-urlencoded") {
            for (name, value) in url::form_urlencoded::parse(&asked.body) {
                explained.extend(self.part(&format!("{base} form {name}"), value.as_bytes()));
            }
        } else if let Ok(json) = serde_json::from_slice::<Value>(&asked.body) {
            explained.extend(self.json(&format!("{base} json "), &json));
        }
        // Nothing may be between the fields either.
        let whole = self.search.kinds(&asked.body);
        if !whole.is_subset(&explained) {
            self.part(&format!("{base} body"), &asked.body);
        }
    }

    fn json(&mut self, place: &str, value: &Value) -> BTreeSet<Kind> {
        match value {
            Value::Object(members) => members
                .iter()
                .flat_map(|(name, member)| {
                    let mut found = self.part(&format!("{place}/a name"), name.as_bytes());
                    found.extend(self.json(&format!("{place}/{name}"), member));
                    found
                })
                .collect(),
            Value::Array(items) => {
                items.iter().flat_map(|item| self.json(&format!("{place}/*"), item)).collect()
            }
            Value::String(text) => self.part(place, text.as_bytes()),
            _ => BTreeSet::new(),
        }
    }

    fn part(&mut self, place: &str, text: &[u8]) -> BTreeSet<Kind> {
        self.bytes += text.len();
        let found = self.search.find(text);
        for (kind, form) in &found {
            let mut intended = INTENDED.iter().chain(&SHOWN);
            match intended.find(|(what, begin)| what == kind && place.starts_with(begin)) {
                Some(row) => drop(self.used.insert(*row)),
                None => drop(self.astray.insert(format!("{kind:?} ({form}) in: {place}"))),
            }
        }
        found.into_iter().map(|(kind, _)| kind).collect()
    }

    /// What has gone astray, and which lines of the tables were of no use.
    pub fn verdict(&self) -> (Vec<String>, Vec<(Kind, &'static str)>) {
        let unused = INTENDED.into_iter().chain(SHOWN).filter(|row| !self.used.contains(row)).collect();
        (self.astray.iter().cloned().collect(), unused)
    }

    /// How many forms of markers are looked for.
    pub fn forms(&self) -> usize {
        self.search.forms()
    }
}

/// ` secrets/NAME`, ` events`: of other resources the names do not matter.
fn resource(path: &str) -> String {
    let place = path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
    let Some((_, rest)) = place else { return " path".to_owned() };
    let mut parts = rest.split('/');
    match (parts.next(), parts.next()) {
        (Some("secrets"), Some(name)) => format!(" secrets/{name}"),
        (resource, _) => format!(" {}", resource.unwrap_or_default()),
    }
}
