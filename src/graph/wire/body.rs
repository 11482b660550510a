//! A request body on its way to Graph. It may hold a client secret, so it cannot be printed.

use bytes::Bytes;
use serde_json::Value;

/// A JSON body that is sent and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestBody(Value);

impl RequestBody {
    /// A body.
    #[must_use]
    pub const fn new(value: Value) -> Self {
        Self(value)
    }

    pub(in crate::graph) fn bytes(&self) -> Bytes {
        Bytes::from(self.0.to_string())
    }

    /// The JSON itself, for tests and for a dry run that shows it without its secrets.
    #[must_use]
    pub const fn expose(&self) -> &Value {
        &self.0
    }
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestBody")
    }
}
