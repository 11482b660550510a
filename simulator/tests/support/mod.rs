//! A world for tests: a simulator in process and a clock that only the test moves.
#![allow(dead_code, reason = "each test program uses its own part")]

pub mod bodies;
pub mod csv;
pub mod keys;

use std::time::Duration;

use bytes::Bytes;
use graph_simulator::{Settings, Simulator};
use http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The collection through the current root.
pub const BETA: &str = "/beta/education/synchronizationProfiles";
/// The collection through the root of 2017.
pub const PREVIEW: &str = "/testEduApi/education/synchronizationProfiles";
/// Request of `synchronizationProfile_create.md`, October 2017.
pub const REQUEST_2017: &str = include_str!("../data/2017-create.request.json");
/// Response of `synchronizationProfile_create.md`, October 2017.
pub const RESPONSE_2017: &str = include_str!("../data/2017-create.response.json");
/// Request of the generated page "Add synchronizationProfiles", July 2021.
pub const REQUEST_2021: &str = include_str!("../data/2021-add.request.json");

/// A simulator at a time.
pub struct World {
    pub simulator: Simulator,
    pub now: Timestamp,
}

/// An answer.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// `error.message` of a Graph error with this status and code.
    #[track_caller]
    pub fn refusal(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let error = self.json();
        assert_eq!(error["error"]["code"], code, "{error}");
        assert_eq!(error["error"]["innerError"]["request-id"], self.header("request-id"));
        error["error"]["message"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        Self { simulator: Simulator::new(settings), now: "2024-09-02T08:15:30Z".parse().unwrap() }
    }

    pub fn default() -> Self {
        Self::new(Settings::default())
    }

    /// A world with faults from the start, and provisioning that takes no time.
    pub fn with_faults(specs: &[&str]) -> Self {
        let faults = specs.iter().map(|spec| spec.parse().unwrap()).collect();
        Self::new(Settings { faults, provisioning_time: Duration::ZERO, ..Settings::default() })
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        self.now = self.now.checked_add(span).unwrap();
    }

    pub fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Reply {
        let request = request.header("Host", "sim.example:8443").body(body.into()).unwrap();
        let (parts, body) = self.simulator.handle(request, self.now).into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, token)
    }

    pub fn call(&self, method: &str, path: &str, token: &str) -> Reply {
        self.send(bearer(method, path, token), "")
    }

    pub fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.post_text(path, token, &body.to_string())
    }

    pub fn post_text(&self, path: &str, token: &str, body: &str) -> Reply {
        self.send(bearer("POST", path, token).header("Content-Type", "application/json"), body.to_owned())
    }

    pub fn send_json(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        let request = bearer(method, path, token).header("Content-Type", "application/json");
        self.send(request, body.to_string())
    }

    pub fn token_request(&self, tenant: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = Request::post(format!("/{tenant}/oauth2/v2.0/token"))
            .header("Content-Type", "application/x-www-form-urlencoded");
        self.send(request, form.finish())
    }

    /// A fresh app-only token.
    pub fn app(&self) -> String {
        let settings = self.simulator.settings();
        let reply = self.token_request(
            &settings.tenant,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", &settings.client_id),
                ("client_secret", &settings.client_secret),
                ("scope", "https://graph.microsoft.com/.default"),
            ],
        );
        access_token(&reply)
    }

    /// A fresh delegated token in the first tenant.
    pub fn delegated(&self) -> String {
        self.delegated_in(&self.simulator.settings().tenant)
    }

    pub fn delegated_in(&self, tenant: &str) -> String {
        let settings = self.simulator.settings();
        let reply = self.token_request(
            tenant,
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &settings.public_client_id),
                ("refresh_token", &settings.refresh_token),
            ],
        );
        access_token(&reply)
    }

    /// Creates a profile and lets the time of its set-up pass.
    pub fn provisioned(&mut self, body: &Value) -> String {
        let reply = self.post(BETA, &self.delegated(), body);
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        self.pass(self.simulator.settings().provisioning_time);
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Creates a profile through beta and answers its id.
    pub fn create(&self, display_name: &str) -> String {
        let reply = self.post(BETA, &self.delegated(), &profile(display_name));
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        reply.json()["id"].as_str().unwrap().to_owned()
    }
}

fn bearer(method: &str, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if token.is_empty() { request } else { request.header("Authorization", format!("Bearer {token}")) }
}

#[track_caller]
pub fn access_token(reply: &Reply) -> String {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// The smallest profile.
pub fn profile(display_name: &str) -> Value {
    json!({
        "displayName": display_name,
        "dataProvider": { "@odata.type": "#microsoft.graph.educationCsvDataProvider" },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{ "appliesTo": "student", "name": "students.fabrikam.example" }]
        }
    })
}
