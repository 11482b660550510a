//! Faults: what goes wrong, with which call, when and how often. Pure: no HTTP, no clock. How a fault is written is in
//! `grammar`, the table of kinds in `kind`, which fault strikes a call in `list`; what it does to an answer is not here.

mod grammar;
mod kind;
mod list;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use grammar::parse_duration;
pub(crate) use kind::Kind;
pub use kind::faults_help;
pub use list::ActiveFault;
pub(crate) use list::{Call, FaultList, Strike};

/// One scripted fault, written like `create:504-after-commit,times=2` ([`std::str::FromStr`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) operation: Target,
    pub(crate) kind: Kind,
    /// How often it strikes; `None`: always.
    pub(crate) times: Option<u32>,
    /// How many matching calls it lets pass first.
    pub(crate) after: u32,
    /// Of the calls it could strike, how many in a hundred; `None`: all.
    pub(crate) chance: Option<u8>,
    /// Only calls about a profile with this display name.
    pub(crate) name: Option<String>,
    /// Only calls about the profile with this id.
    pub(crate) id: Option<String>,
    pub(crate) retry_after: Option<RetryAfter>,
    /// `for`, `by` or `delay`: how long it lasts, how far it lies back, how long it takes.
    pub(crate) span: Option<Duration>,
    /// A throttle window.
    pub(crate) window: Option<Duration>,
    /// What is written in place of the true value.
    pub(crate) value: Option<String>,
}

/// Every call that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    List,
    /// The second and later pages of a list.
    ListPage,
    Count,
    Get,
    Create,
    Update,
    Delete,
    Pause,
    Resume,
    Reset,
    Start,
    UploadUrl,
    ProfileStatus,
    Errors,
    Token,
    DeviceCode,
    Identity,
    Blob,
    /// A Graph call that is none of these, such as one with an unknown path.
    Other,
}

impl Operation {
    pub(crate) const ALL: [Self; 19] = [
        Self::List,
        Self::ListPage,
        Self::Count,
        Self::Get,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Pause,
        Self::Resume,
        Self::Reset,
        Self::Start,
        Self::UploadUrl,
        Self::ProfileStatus,
        Self::Errors,
        Self::Token,
        Self::DeviceCode,
        Self::Identity,
        Self::Blob,
        Self::Other,
    ];

    /// The name in specifications, in the log and on the page.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::ListPage => "list.page",
            Self::Count => "count",
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Reset => "reset",
            Self::Start => "start",
            Self::UploadUrl => "uploadUrl",
            Self::ProfileStatus => "profileStatus",
            Self::Errors => "errors",
            Self::Token => "token",
            Self::DeviceCode => "devicecode",
            Self::Identity => "identity",
            Self::Blob => "blob",
            Self::Other => "other",
        }
    }

    /// Whether calls of this name are about one profile, so that its id chooses among them.
    pub(crate) fn has_id(self) -> bool {
        !matches!(
            self,
            Self::List
                | Self::ListPage
                | Self::Count
                | Self::Create
                | Self::Token
                | Self::DeviceCode
                | Self::Identity
        )
    }

    /// Whether it goes to Microsoft Graph.
    pub(crate) fn is_graph(self) -> bool {
        !matches!(self, Self::Token | Self::DeviceCode | Self::Identity | Self::Blob)
    }
}

/// Which calls a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `any`: every call of the API that has a name.
    AnyGraph,
    One(Operation),
}

impl Target {
    pub(crate) fn covers(self, operation: Operation) -> bool {
        match self {
            // What is no call of the API is nobody's to choose: other parts of Graph, a batch as such.
            Self::AnyGraph => operation.is_graph() && operation != Operation::Other,
            Self::One(one) => one == operation,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AnyGraph => "any",
            Self::One(operation) => operation.as_str(),
        })
    }
}

/// The forms of `Retry-After` that Microsoft's services have been seen to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// As it stands: whole seconds, a fraction, or numbers with a comma.
    Text(String),
    /// An HTTP date, this far ahead.
    Date(Duration),
    /// The header is left out.
    None,
}

impl RetryAfter {
    /// The header's value, if it is sent.
    pub(crate) fn value(&self, now: Timestamp) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Date(ahead) => Some(http_date(now.checked_add(*ahead).unwrap_or(Timestamp::MAX))),
            Self::None => None,
        }
    }
}

/// A moment as HTTP headers write it.
pub(crate) fn http_date(moment: Timestamp) -> String {
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
