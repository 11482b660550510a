//! Writes what a profile does as JSON: its status, its errors, the messages of a verification. It decides nothing.

use jiff::Timestamp;

use super::render::{Members, UNSET_DATE};
use crate::json::Json;
use crate::model::errors::SyncError;
use crate::model::sync::{Report, Status};
use crate::model::verify::Message;

/// `educationSynchronizationProfileStatus`. The id is the profile's (example of the status page).
pub(crate) fn status(id: &str, report: &Report, unknown_members: bool) -> Members {
    let name = report.status.map(|status: Status| status.name(unknown_members));
    let count = u64::try_from(report.error_count).unwrap_or(u64::MAX);
    vec![
        ("id", Json::from(id)),
        ("status", Json::text_or_null(name)),
        (
            "lastSynchronizationDateTime",
            Json::from(report.last_success.map_or_else(|| UNSET_DATE.to_owned(), instant)),
        ),
        ("lastActivityDateTime", Json::from(instant(report.last_activity))),
        ("errorCount", Json::Number(count)),
        ("statusMessage", Json::text_or_null(report.message.as_deref())),
    ]
}

/// `educationSynchronizationError`.
pub(crate) fn error(error: &SyncError) -> Members {
    vec![
        ("id", Json::from(error.id.as_str())),
        ("entryType", Json::from(error.entry_type.as_str())),
        ("errorCode", Json::from(error.code.as_str())),
        ("errorMessage", Json::from(error.message.as_str())),
        ("joiningValue", Json::from(error.joining_value.as_str())),
        ("recordedDateTime", Json::from(instant(error.recorded))),
        ("reportableIdentifier", Json::from(error.reportable_identifier.as_str())),
    ]
}

/// `educationFileSynchronizationVerificationMessage`.
pub(crate) fn message(message: &Message) -> Json {
    Json::Object(vec![
        ("type", Json::from(message.kind.as_str())),
        ("fileName", Json::from(message.file_name.as_str())),
        ("description", Json::from(message.description.as_str())),
    ])
}

/// Seven fraction digits, as the examples of the status page have them.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%7fZ").to_string()
}
