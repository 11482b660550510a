//! What the local check found, and how it is shown: files, lines, columns and counts. Never a value.
//!
//! The values of these files are personal data of pupils. No type here can hold one: a heading is one
//! of the format's own, everything else is a number.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::output::{Look, Paint, Table, count, plain};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Severity {
    /// The files should not be uploaded like this.
    Error,
    /// They can be.
    Warning,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    /// A file that must be there is not.
    MissingFile,
    /// Two files differ in the case of their names only.
    TwoFiles,
    /// The file cannot be read to its end.
    Unreadable,
    /// The file has no line with headings.
    Empty,
    /// The file is in UTF-16.
    Utf16,
    /// A required heading is not there.
    MissingHeading,
    /// A required heading is there in another case, or with white space around it.
    MisspeltHeading,
    /// A heading is there twice.
    RepeatedHeading,
    /// A heading that the format does not have.
    UnknownHeading,
    /// More rows than School Data Sync takes.
    TooManyRows,
    /// More rows than an older page allows.
    ManyRows,
    /// A row has fewer fields than there are headings.
    TooFewFields,
    /// A row has more fields than there are headings.
    TooManyFields,
    /// A field is not UTF-8.
    NotUtf8,
    /// A field has a line break.
    LineBreak,
    /// A required field is empty.
    MissingValue,
    /// A value that must be unique is not.
    Duplicate,
    /// A value is no key of the file that it refers to.
    UnknownReference,
    /// A date is not written as M/D/YYYY.
    InvalidDate,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Column {
    /// Number, from 1. None: the column is not there.
    pub number: Option<usize>,
    /// Heading, if it is one of the format's.
    pub heading: Option<&'static str>,
}

/// One line with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line, from 1, headings included.
    pub line: u64,
    /// For a duplicate, the line that has the value first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// Findings of one kind in one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file.
    pub file: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub kind: Kind,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<Column>,
    /// How often.
    pub count: u64,
    /// The first places.
    pub places: Vec<Place>,
    /// What to do.
    pub message: String,
}

/// Gathers findings.
#[derive(Debug)]
pub struct Findings {
    /// So many places are kept of each kind.
    most: usize,
    found: BTreeMap<(usize, Kind, Option<Column>), Found>,
    /// Files in the order in which they were looked at.
    files: Vec<&'static str>,
}

#[derive(Debug)]
struct Found {
    file: &'static str,
    count: u64,
    places: Vec<Place>,
    detail: Option<String>,
}

impl Kind {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::UnknownHeading | Self::ManyRows | Self::TooFewFields => Severity::Warning,
            _ => Severity::Error,
        }
    }

    fn message(self, column: Option<Column>) -> String {
        let heading = column.and_then(|column| column.heading).unwrap_or("?");
        match self {
            Self::MissingFile => "the file is missing (school, student and teacher are needed; section, studentenrollment and teacherroster all three or none)".to_owned(),
            Self::TwoFiles => "there are two files of this name, in different case: remove one".to_owned(),
            Self::Unreadable => "the file cannot be read".to_owned(),
            Self::Empty => "the file is empty: its first line must hold the headings".to_owned(),
            Self::Utf16 => "the file is in UTF-16: save it as UTF-8".to_owned(),
            Self::MissingHeading => format!("the heading \"{heading}\" is missing"),
            Self::MisspeltHeading => format!("the heading must be exactly \"{heading}\": case and blanks count"),
            Self::RepeatedHeading => "the heading is there twice".to_owned(),
            Self::UnknownHeading => "the format has no such heading: School Data Sync may ignore the column".to_owned(),
            Self::TooManyRows => "more than 2,000,000 rows: School Data Sync does not take the file".to_owned(),
            Self::ManyRows => "more than 500,000 rows: an older page of School Data Sync allows no more".to_owned(),
            Self::TooFewFields => "the row has fewer fields than there are headings".to_owned(),
            Self::TooManyFields => "the row has more fields than there are headings: a field with a comma needs quotes".to_owned(),
            Self::NotUtf8 => "the text is not UTF-8: save the file as UTF-8".to_owned(),
            Self::LineBreak => "the field has a line break, which School Data Sync does not take".to_owned(),
            Self::MissingValue => format!("\"{heading}\" is empty"),
            Self::Duplicate => format!("this \"{heading}\" is there already"),
            Self::UnknownReference => format!("this \"{heading}\" is not in the file that it refers to"),
            Self::InvalidDate => "the date is not written as M/D/YYYY, for example 7/1/2027".to_owned(),
        }
    }
}

impl Findings {
    /// Nothing found yet. `most` places are kept of each kind.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most, found: BTreeMap::new(), files: Vec::new() }
    }

    /// Something about a whole file.
    pub fn file(&mut self, file: &'static str, kind: Kind, detail: Option<String>) {
        self.add(file, kind, None, None);
        let place = self.place(file);
        if let Some(found) = self.found.get_mut(&(place, kind, None)) {
            found.detail = detail;
        }
    }

    /// Something in a column, or in a line of it.
    pub fn add(&mut self, file: &'static str, kind: Kind, column: Option<Column>, at: Option<Place>) {
        let place = self.place(file);
        let new = || Found { file, count: 0, places: Vec::new(), detail: None };
        let found = self.found.entry((place, kind, column)).or_insert_with(new);
        found.count += 1;
        if found.places.len() < self.most {
            found.places.extend(at);
        }
    }

    fn place(&mut self, file: &'static str) -> usize {
        self.files.iter().position(|known| *known == file).unwrap_or_else(|| {
            self.files.push(file);
            self.files.len().saturating_sub(1)
        })
    }

    /// All of them, file by file.
    #[must_use]
    pub fn into_list(self) -> Vec<Finding> {
        let list = self.found.into_iter().map(|((_, kind, column), found)| {
            let message = kind.message(column);
            let message = match found.detail {
                Some(detail) => format!("{message}: {detail}"),
                None => message,
            };
            let Found { file, count, places, .. } = found;
            Finding { file, severity: kind.severity(), kind, column, count, places, message }
        });
        list.collect()
    }
}

/// Are there errors among them?
#[must_use]
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// The findings as a table, and a line that counts them.
#[must_use]
pub fn render(findings: &[Finding], paint: Paint) -> String {
    let mut table = Table::new(&["FILE", "LINE", "COLUMN", "FINDING"]);
    for finding in findings {
        let look = match finding.severity {
            Severity::Error => Look::Bad,
            Severity::Warning => Look::Doubtful,
        };
        let number = finding.column.and_then(|column| column.number);
        let column = number.map(|number| number.to_string()).unwrap_or_default();
        let mut row = |line: String, message: String| {
            table.row(vec![plain(finding.file), plain(line), plain(column.clone()), (look, message)]);
        };
        for place in &finding.places {
            let more = place.first.map(|line| format!(", in line {line}")).unwrap_or_default();
            row(place.line.to_string(), format!("{}{more}", finding.message));
        }
        let shown = u64::try_from(finding.places.len()).unwrap_or(u64::MAX);
        if finding.places.is_empty() {
            row(String::new(), finding.message.clone());
        } else if finding.count > shown {
            row("...".to_owned(), format!("{} more of these", finding.count - shown));
        }
    }
    let total = |severity| {
        let of = findings.iter().filter(|finding| finding.severity == severity);
        usize::try_from(of.map(|finding| finding.count).sum::<u64>()).unwrap_or(usize::MAX)
    };
    let (errors, warnings) = (total(Severity::Error), total(Severity::Warning));
    format!("{}{}, {}\n", table.render(paint), count(errors, "error"), count(warnings, "warning"))
}
