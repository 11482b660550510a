//! Verifies uploaded CSV files as `start` does: which files must be there, and what is wrong with each. Reads files
//! and nothing else; what follows from the messages is decided in `uploads`.

mod columns;
mod formats;
mod scan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use formats::{FORMATS, Format};
use scan::Keys;

/// `type` of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MessageKind {
    Error,
    Warning,
}

impl MessageKind {
    /// Capitalised, as in the example of the `start` page; its table has lower case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Warning => "Warning",
        }
    }
}

/// One `educationFileSynchronizationVerificationMessage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) kind: MessageKind,
    pub(crate) file_name: String,
    pub(crate) description: String,
}

impl Message {
    fn error(file_name: &str, description: String) -> Self {
        Self { kind: MessageKind::Error, file_name: file_name.to_owned(), description }
    }

    fn warning(file_name: &str, description: String) -> Self {
        Self { kind: MessageKind::Warning, file_name: file_name.to_owned(), description }
    }
}

/// What can be set about a verification.
pub(crate) struct Rules {
    /// Take file names in any case.
    pub(crate) any_case: bool,
    /// Rows a file may have.
    pub(crate) max_rows: u64,
}

/// Every message about these files.
pub(crate) fn run(files: &BTreeMap<String, Content>, rules: &Rules) -> Vec<Message> {
    let mut messages = Vec::new();
    let known = sort_out(files, rules, &mut messages);
    missing(&known, &mut messages);
    let mut keys = Keys::default();
    for format in &FORMATS {
        if let Some(Found::Readable(content)) = known.get(format.name) {
            match scan::scan(content, format, rules.max_rows, &mut keys) {
                Ok(found) => messages.extend(found),
                Err(error) => {
                    messages.push(Message::error(format.name, format!("The file cannot be read: {error}.")));
                }
            }
        }
    }
    // The example of the page has the errors first (Graph docs: Start synchronization).
    messages.sort_by_key(|message| message.kind != MessageKind::Error);
    messages
}

/// What is there of a file.
enum Found<'a> {
    Readable(&'a Content),
    /// There, but under a name that does not count; a message has been written.
    Misnamed,
}

/// Matches uploaded names with the known ones. Names with upper-case letters lead to validation errors (Graph docs, a
/// branch of October 2020); which words these errors have is not documented.
fn sort_out<'a>(
    files: &'a BTreeMap<String, Content>,
    rules: &Rules,
    messages: &mut Vec<Message>,
) -> BTreeMap<&'static str, Found<'a>> {
    let mut known = BTreeMap::new();
    for (name, content) in files {
        let lower = name.to_ascii_lowercase();
        let Some(format) = FORMATS.iter().find(|format| format.name == lower) else {
            let what = "The file is none of the six files of a profile and was not read.";
            messages.push(Message::warning(&lower, what.to_owned()));
            continue;
        };
        if *name == lower {
            known.insert(format.name, Found::Readable(content));
        } else if rules.any_case {
            known.entry(format.name).or_insert(Found::Readable(content));
        } else {
            let what = format!("The file was uploaded as {name}. File names must be in lower case.");
            messages.push(Message::error(format.name, what));
            known.entry(format.name).or_insert(Found::Misnamed);
        }
    }
    known
}

/// School, student and teacher are required; section, enrolment and roster come together or not at all (School Data
/// Sync: SDS v1 CSV file format). The words are the simulator's own.
fn missing(known: &BTreeMap<&'static str, Found<'_>>, messages: &mut Vec<Message>) {
    let classes = FORMATS.iter().any(|format| !format.required && known.contains_key(format.name));
    let needed = |format: &&Format| format.required || classes;
    for format in FORMATS.iter().filter(needed).filter(|format| !known.contains_key(format.name)) {
        messages.push(Message::error(format.name, "The file is missing.".to_owned()));
    }
}
