//! The calls to Graph, one method each. A method makes its call once; when to call again is decided above.
//!
//! The only repetition in here is the one that platform rules ask for: a 401 is tried once more with
//! a new token. Right before each change the lease is asked, below every queue.

mod call;
mod pages;
mod profiles;
mod synchronization;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use pages::NextPage;
pub use profiles::{Deletion, Update, Updated};
pub use synchronization::{Start, SyncErrors, UploadTarget};

use super::access::WriteAccess;
use super::error::{CallIds, GraphError, UnknownOutcome};
use super::learnt::Learnt;
use super::throttle::{Admission, Gate};
use super::transport::Transport;
use crate::api::connection::Dialect;
use crate::auth::TokenSource;
use crate::clock::Clock;
use crate::graph::budget::Urgency;
use crate::metrics::Metrics;

/// May this process change Graph now?
pub trait Permission: Send + Sync + std::fmt::Debug {
    /// True while this process holds the lease.
    fn may_write(&self) -> bool;
}

/// For whoever need not ask: a person with a command line, a test.
#[derive(Debug)]
pub struct Always;

impl Permission for Always {
    fn may_write(&self) -> bool {
        true
    }
}

/// One application's access to the profiles of one tenant.
#[derive(Clone, Debug)]
pub struct GraphClient {
    /// Address of Graph, without version.
    pub endpoint: Arc<str>,
    /// The form of the API.
    pub dialect: Dialect,
    /// Where tokens come from.
    pub tokens: Arc<TokenSource>,
    /// Holds calls back while Graph asks to wait, and to the budget.
    pub gate: Arc<Gate>,
    /// What has been learnt about this service.
    pub learnt: Arc<Learnt>,
    /// What its credential may do to profiles, as far as it has been shown.
    pub write_access: Arc<WriteAccess>,
    /// Sends requests.
    pub transport: Arc<dyn Transport>,
    /// Asked right before each change.
    pub permission: Arc<dyn Permission>,
    /// The clock.
    pub clock: Clock,
    /// Deadline of a call.
    pub request_timeout: Duration,
    /// Counts the calls.
    pub metrics: Arc<Metrics>,
}

impl GraphClient {
    /// A client on its own, with a deadline of 30 s: it shares neither gate nor what it learns with others.
    #[must_use]
    pub fn new(
        endpoint: &str,
        dialect: Dialect,
        tokens: TokenSource,
        transport: Arc<dyn Transport>,
        permission: Arc<dyn Permission>,
        clock: Clock,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            dialect,
            tokens: Arc::new(tokens),
            gate: Arc::default(),
            learnt: Arc::default(),
            write_access: Arc::default(),
            transport,
            permission,
            clock,
            request_timeout: Duration::from_secs(30),
            metrics: Arc::default(),
        }
    }

    /// Makes sure that a change could be made now: a token is in hand, Graph does not ask to wait, and
    /// the call has been taken out of the budget. Each change consumes one such admission.
    ///
    /// # Errors
    /// When there is no token, or Graph asks to wait.
    pub async fn ready(&self) -> Result<Admission, GraphError> {
        self.check_token().await?;
        self.admit(Urgency::Change).await
    }

    /// Makes sure that a token is in hand, and notes whether one is given.
    ///
    /// # Errors
    /// When there is none.
    pub async fn check_token(&self) -> Result<(), GraphError> {
        let result = self.tokens.token().await.map(drop);
        self.write_access.note_token(result.as_ref().copied());
        result.map_err(GraphError::NoToken)
    }

    /// Waits for the budget before a look. Only who has a token takes from it: others share it.
    async fn may_read(&self, urgency: Urgency) -> Result<Admission, GraphError> {
        self.tokens.token().await.map_err(GraphError::NoToken)?;
        self.admit(urgency).await
    }

    async fn admit(&self, urgency: Urgency) -> Result<Admission, GraphError> {
        self.gate.admit(urgency, self.clock).await.map_err(GraphError::Waiting)
    }

    fn collection(&self) -> Result<Url, GraphError> {
        let root = match self.dialect {
            Dialect::Beta | Dialect::BetaRef => "beta",
            Dialect::TestEduApi => "testEduApi",
        };
        Url::parse(&format!("{}/{root}/education/synchronizationProfiles", self.endpoint))
            .map_err(|_| GraphError::NotConnected(format!("{} is not a URL", self.endpoint)))
    }

    /// The address of something in the collection. Each segment is escaped: an id cannot lead elsewhere.
    fn item(&self, segments: &[&str]) -> Result<Url, GraphError> {
        let mut url = self.collection()?;
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(GraphError::NotConnected("an id that is no id".to_owned()));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        Ok(url)
    }
}

fn unreadable(what: &'static str, ids: CallIds) -> GraphError {
    GraphError::Unknown { what: UnknownOutcome::Unreadable(what), retry_after: None, ids }
}
