//! What a status says of the synchronization. Counts and words only: texts of Graph may name people.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The synchronization, as Microsoft Graph tells it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SyncState {
    /// Its state.
    pub status: SyncStatus,
    /// When the last synchronization was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synchronization: Option<Time>,
    /// How many errors it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_count: Option<i64>,
}

/// So many errors of one kind.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ErrorCount {
    /// Kind of the entries, such as Student.
    #[schemars(length(max = 64))]
    pub entry_type: String,
    /// Code, such as UnsynchronizableChange.
    #[schemars(length(max = 64))]
    pub error_code: String,
    /// How many.
    pub count: i64,
}

/// The values of spec.triggers that have been answered.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HandledTriggers {
    /// Of spec.triggers.reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reset: Option<String>,
    /// Of spec.triggers.start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub start: Option<String>,
}

/// State of the synchronization (Graph's educationSynchronizationStatus).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum SyncStatus {
    /// A person or edusync paused it.
    Paused,
    /// The source is being read.
    Extracting,
    /// What was read is being checked.
    Validating,
    /// The directory is being changed.
    InProgress,
    /// The last run is done.
    Success,
    /// The last run failed.
    Error,
    /// The service stopped by itself, since the data looks wrong.
    ValidationError,
    /// The service stopped the profile because of too many errors.
    Quarantined,
    /// A state that edusync does not know. It counts as under way.
    UnknownFutureValue,
}

impl SyncStatus {
    /// Graph's own word for the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Extracting => "extracting",
            Self::Validating => "validating",
            Self::InProgress => "inProgress",
            Self::Success => "success",
            Self::Error => "error",
            Self::ValidationError => "validationError",
            Self::Quarantined => "quarantined",
            Self::UnknownFutureValue => "unknownFutureValue",
        }
    }

    /// The state that a word names; in any case, since the documents are not of one mind.
    #[must_use]
    pub fn of(word: &str) -> Self {
        let known = [
            Self::Paused,
            Self::Extracting,
            Self::Validating,
            Self::InProgress,
            Self::Success,
            Self::Error,
            Self::ValidationError,
            Self::Quarantined,
        ];
        let named = known.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word));
        named.unwrap_or(Self::UnknownFutureValue)
    }
}
