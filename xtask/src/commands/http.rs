//! An HTTP client for the servers of a chore: the API server and the simulator. One request in, one answer out; it knows
//! nothing of what is asked.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{PemItem, RootCerts, TlsConfig};

/// How long an answer may take. Both servers are on this machine.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body; null if it is not JSON.
    pub(crate) body: Value,
}

/// What is sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a str,
    /// Further headers.
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

impl Client {
    /// A client of the server at `base` that trusts this certificate authority and no other. `token` is sent with every
    /// request.
    pub(crate) fn new(base: &str, ca_pem: &str, token: Option<&str>) -> Result<Self> {
        Self::waiting(base, ca_pem, token, TIMEOUT)
    }

    /// The same, for a server that has so much to do that an answer may take this long.
    pub(crate) fn waiting(base: &str, ca_pem: &str, token: Option<&str>, timeout: Duration) -> Result<Self> {
        let mut roots = Vec::new();
        for item in ureq::tls::parse_pem(ca_pem.as_bytes()) {
            if let PemItem::Certificate(certificate) = item.context("the certificate authority is no PEM")? {
                roots.push(certificate);
            }
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(timeout))
            .build()
            .new_agent();
        Ok(Self { agent, base: base.to_owned(), token: token.map(str::to_owned) })
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    ///
    /// When there is no answer in time: whether the request was carried out is not known. Every status is an answer.
    pub(crate) fn send(&self, method: &str, path: &str, sent: Sent<'_>) -> Result<Answer> {
        let address = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&address);
        if !sent.content_type.is_empty() {
            request = request.header("content-type", sent.content_type);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in sent.headers {
            request = request.header(*name, *value);
        }
        let context = || format!("{method} {address}");
        let has_body = !sent.content_type.is_empty();
        let answer = if has_body {
            self.agent.run(request.body(sent.body.to_owned()).with_context(context)?)
        } else {
            self.agent.run(request.body(()).with_context(context)?)
        };
        let mut answer = answer.with_context(context)?;
        let status = answer.status().as_u16();
        // A list of a long run is larger than what ureq would read.
        let text = answer.body_mut().with_config().limit(256 * 1024 * 1024).read_to_string();
        let body = serde_json::from_str(&text.with_context(context)?).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    /// Opens an answer that does not end, such as a watch, to be read line by line. No time-out holds.
    ///
    /// # Errors
    ///
    /// When there is no answer, or another one than 200.
    pub(crate) fn stream(&self, path: &str) -> Result<impl BufRead + use<>> {
        let address = format!("{}{path}", self.base);
        let mut request = self.agent.get(&address).config().timeout_global(None).build();
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.call().with_context(|| format!("GET {address}"))?;
        anyhow::ensure!(answer.status() == 200, "GET {address}: the answer is {}", answer.status());
        let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(BufReader::with_capacity(256 * 1024, body))
    }

    /// Gets a page that must be there.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, Sent::default())?.wanted()
    }

    /// Sends JSON that must be taken.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        self.send("POST", path, Sent { content_type: "application/json", body: &body, headers: &[] })?
            .wanted()
    }
}

impl Answer {
    /// The body of an answer that says yes.
    ///
    /// # Errors
    ///
    /// With the status of any other.
    pub(crate) fn wanted(self) -> Result<Value> {
        anyhow::ensure!(self.is_success(), "the answer is {} {}", self.status, self.body);
        Ok(self.body)
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
