//! What Graph tells of synchronizations: status, errors, messages of `start`. Read tolerantly.
//!
//! Texts that may name pupils are kept in [`PersonalText`], words that edusync shows are checked to
//! be words. Nothing here makes a call.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::status::SyncStatus;
use crate::personal::PersonalText;

/// Status of a profile's synchronization (Graph docs, educationSynchronizationProfileStatus).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileStatus {
    /// The state.
    pub status: SyncStatus,
    /// When the last synchronization was done.
    pub last_synchronization: Option<Timestamp>,
    /// When something was last seen to happen.
    pub last_activity: Option<Timestamp>,
    /// Errors of the synchronization, where the service counts them here.
    pub error_count: Option<u64>,
    /// The service's own words.
    pub message: Option<PersonalText>,
}

/// An error of a synchronization (Graph docs, educationSynchronizationError).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncError {
    /// Id of the error.
    pub id: Option<String>,
    /// Kind of the entry, such as `Student`.
    pub entry_type: String,
    /// Code, such as `UnsynchronizableChange`.
    pub error_code: String,
    /// When it was recorded.
    pub recorded: Option<Timestamp>,
    /// What happened.
    pub message: PersonalText,
    /// The value by which the entry is matched.
    pub joining_value: PersonalText,
    /// By what name people know the entry.
    pub reportable_identifier: PersonalText,
}

/// How many errors there are, by kind of entry and by code.
pub type ErrorCounts = BTreeMap<(String, String), u64>;

/// How bad a message of the verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The synchronization does not start.
    Error,
    /// It starts.
    Warning,
    /// Only for information.
    Information,
}

/// What the verification of uploaded files says (Graph docs,
/// educationFileSynchronizationVerificationMessage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationMessage {
    /// How bad it is. A word that edusync does not know counts as an error.
    pub severity: Severity,
    /// The file.
    pub file_name: Option<String>,
    /// What is wrong.
    pub description: PersonalText,
}

impl ProfileStatus {
    /// Reads a status, also one that is wrapped in `value` or has members of an older name. None when
    /// there is no status in it.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let value = match value.get("value") {
            Some(Value::Array(items)) => items.first()?,
            Some(inner @ Value::Object(_)) => inner,
            _ => value,
        };
        let status = text(value, &["status", "syncStatus"])?;
        Some(Self {
            status: SyncStatus::of(status),
            last_synchronization: time(value, &["lastSynchronizationDateTime", "lastSynchronizationTime"]),
            last_activity: time(value, &["lastActivityDateTime", "lastUpdateDateTime"]),
            error_count: value.get("errorCount").and_then(Value::as_u64),
            message: text(value, &["statusMessage"]).map(|text| PersonalText::new(text.to_owned())),
        })
    }
}

impl ProfileStatus {
    /// Without what changes from moment to moment.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { last_activity: None, message: None, ..self }
    }
}

impl SyncError {
    /// Reads an error. Nothing in it is needed.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let personal = |name| PersonalText::new(text(value, &[name]).unwrap_or_default().to_owned());
        Self {
            id: text(value, &["id"]).filter(|id| is_id(id)).map(str::to_owned),
            entry_type: word(text(value, &["entryType"])),
            error_code: word(text(value, &["errorCode"])),
            recorded: time(value, &["recordedDateTime"]),
            message: personal("errorMessage"),
            joining_value: personal("joiningValue"),
            reportable_identifier: personal("reportableIdentifier"),
        }
    }
}

impl VerificationMessage {
    /// Reads a message.
    #[must_use]
    pub fn read(value: &Value) -> Self {
        let severity = match text(value, &["type"]).unwrap_or_default().to_ascii_lowercase().as_str() {
            "warning" => Severity::Warning,
            "information" => Severity::Information,
            _ => Severity::Error,
        };
        let is_name = |name: &&str| {
            name.len() <= 64
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        let file_name = text(value, &["fileName", "filename"]).filter(is_name);
        Self {
            severity,
            file_name: file_name.map(str::to_owned),
            description: PersonalText::new(text(value, &["description"]).unwrap_or_default().to_owned()),
        }
    }
}

fn text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| value.get(name).and_then(Value::as_str))
}

/// A point in time; `0001-01-01T00:00:00Z` is how the service says that there is none.
fn time(value: &Value, names: &[&str]) -> Option<Timestamp> {
    let text = text(value, names).filter(|text| !text.starts_with("0001-01-01"))?;
    text.parse().ok()
}

/// Ids are GUIDs.
fn is_id(id: &str) -> bool {
    id.len() <= 128 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// A word that may be shown: what is no word could be a sentence about a pupil.
fn word(text: Option<&str>) -> String {
    let is_word = |text: &&str| {
        !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.filter(is_word).unwrap_or("Unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read_in_every_form() {
        let plain = json!({"id": "1", "status": "inProgress", "errorCount": 3,
            "lastSynchronizationDateTime": "0001-01-01T00:00:00Z",
            "lastActivityDateTime": "2024-09-02T06:04:52.0011223Z", "statusMessage": "Anna"});
        let read = ProfileStatus::read(&plain).unwrap();
        assert_eq!((read.status, read.error_count), (SyncStatus::InProgress, Some(3)));
        assert_eq!(read.last_synchronization, None);
        assert!(read.last_activity.is_some());
        assert!(!format!("{read:?}").contains("Anna"));
        assert_eq!(ProfileStatus::read(&json!({"value": [plain.clone()]})), Some(read.clone()));
        assert_eq!(ProfileStatus::read(&json!({"value": plain})), Some(read));
        let old = json!({"syncStatus": "ValidationError", "lastUpdateDateTime": "2018-01-02T03:04:05Z"});
        let read = ProfileStatus::read(&old).unwrap();
        assert_eq!(read.status, SyncStatus::ValidationError);
        assert!(read.last_activity.is_some());
        assert_eq!(
            ProfileStatus::read(&json!({"status": "dreaming"})).unwrap().status,
            SyncStatus::UnknownFutureValue
        );
        assert_eq!(ProfileStatus::read(&json!({"value": []})), None);
        assert_eq!(ProfileStatus::read(&json!([])), None);
    }

    #[test]
    fn only_words_of_an_error_can_be_shown() {
        let error =
            SyncError::read(&json!({"id": "1", "entryType": "Student", "errorCode": "Anna Example failed",
            "errorMessage": "Anna", "joiningValue": "anna@school.example", "reportableIdentifier": "Anna"}));
        assert_eq!((error.entry_type.as_str(), error.error_code.as_str()), ("Student", "Unknown"));
        let shown = format!("{error:?}");
        assert!(!shown.contains("Anna") && !shown.contains("anna"), "{shown}");
        assert_eq!(error.joining_value.reveal(), "anna@school.example");
    }

    #[test]
    fn a_message_of_an_unknown_type_is_an_error() {
        let read = |kind: &str| {
            VerificationMessage::read(&json!({"type": kind, "filename": "student.csv"})).severity
        };
        assert_eq!(read("Error"), Severity::Error);
        assert_eq!(read("WARNING"), Severity::Warning);
        assert_eq!(read("information"), Severity::Information);
        assert_eq!(read("fatal"), Severity::Error);
    }
}
