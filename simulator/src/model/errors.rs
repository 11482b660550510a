//! The errors of a sync run: made up, and obviously so. A batch keeps only how many there are; each error is computed
//! when somebody looks, so that fifteen thousand of them cost nothing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::Ids;

/// One `educationSynchronizationError`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncError {
    pub(crate) id: String,
    pub(crate) entry_type: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) joining_value: String,
    pub(crate) recorded: Timestamp,
    pub(crate) reportable_identifier: String,
}

/// Errors that were recorded together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) seed: u64,
    pub(crate) count: usize,
    pub(crate) recorded: Timestamp,
}

/// Type of entry, code, message. Codes: Graph docs, educationSynchronizationError, and the error page of School Data
/// Sync; types in the spelling of the examples.
const KINDS: [(&str, &str, &str); 4] = [
    (
        "Student",
        "UnsynchronizableChange",
        "Student cannot be updated as no matching entry was found in the directory. Verify the identity matching criteria for the profile.",
    ),
    (
        "Teacher",
        "AzureActiveDirectoryInvalidUserUsageLocation",
        "License assignment failed: the user has no usage location.",
    ),
    ("Student", "UnmatchedEntry", "No user in the directory matches this entry."),
    (
        "Section",
        "InvalidOrMissingReferenceCode",
        "The section refers to a school that is missing or was not synchronized.",
    ),
];

impl Batch {
    /// The errors of this batch. The first is number `from`, so that no two errors of a profile name one person.
    pub(crate) fn errors(&self, from: usize) -> impl Iterator<Item = SyncError> + '_ {
        (0..self.count).map(move |index| self.error(index, from + index))
    }

    fn error(&self, index: usize, number: usize) -> SyncError {
        let (entry_type, code, message) = KINDS.get(number % KINDS.len()).copied().unwrap_or_default();
        let offset = u64::try_from(index).unwrap_or(u64::MAX);
        let who = format!("example.{}{:05}", entry_type.to_ascii_lowercase(), number + 1);
        SyncError {
            id: Ids::new(Some(self.seed.wrapping_add(offset))).guid(),
            entry_type: entry_type.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
            joining_value: format!("{who}@fabrikam.example"),
            recorded: self.recorded,
            reportable_identifier: who,
        }
    }
}
