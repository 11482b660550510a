//! What is counted about one column, and the messages that come of it. One cell at a time: nothing of a row is kept
//! but hashes of keys.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::formats::Format;
use super::scan::Keys;
use super::{Message, MessageKind};

/// Hashes of keys. 64 bits: among two million keys a mistaken equality is as likely as one in ten million.
pub(super) type KeySet = HashSet<u64>;

/// One column of one file.
pub(super) struct Column {
    heading: String,
    /// Its place in a row; `None` when the heading is missing.
    place: Option<usize>,
    required: bool,
    is_date: bool,
    seen: Option<KeySet>,
    /// The keys its values must be among. `None` also when the other file could not be read.
    targets: Option<Arc<KeySet>>,
    missing: u64,
    invalid: u64,
    duplicates: u64,
    dangling: u64,
}

impl Column {
    pub(super) fn new(heading: &str, place: Option<usize>, format: &Format, keys: &Keys) -> Self {
        let target = format.references.iter().find(|(name, _)| *name == heading).map(|(_, file)| *file);
        Self {
            heading: heading.to_owned(),
            place,
            required: format.columns.contains(&heading),
            is_date: format.dates.contains(&heading),
            seen: format.unique.contains(&heading).then(KeySet::new),
            targets: target.and_then(|file| keys.of(file)),
            missing: 0,
            invalid: 0,
            duplicates: 0,
            dangling: 0,
        }
    }

    pub(super) fn heading(&self) -> &str {
        &self.heading
    }

    pub(super) fn place(&self) -> Option<usize> {
        self.place
    }

    /// Takes the hashes of its values away.
    pub(super) fn take_keys(&mut self) -> Option<KeySet> {
        self.seen.take()
    }

    /// Looks at one cell; an absent one is an empty one.
    pub(super) fn look(&mut self, cell: &[u8]) {
        if cell.trim_ascii().is_empty() {
            self.missing += u64::from(self.required);
            return;
        }
        let text = std::str::from_utf8(cell).ok().filter(|text| !text.contains(['\r', '\n']));
        if text.is_none_or(|text| self.is_date && !is_date(text)) {
            self.invalid += 1;
        }
        if self.seen.is_none() && self.targets.is_none() {
            return;
        }
        let key = hash(cell);
        if let Some(seen) = &mut self.seen {
            self.duplicates += u64::from(!seen.insert(key));
        }
        if let Some(targets) = &self.targets {
            self.dangling += u64::from(!targets.contains(&key));
        }
    }

    /// Counts a row that has a cell too many.
    pub(super) fn overflow(&mut self) {
        self.invalid += 1;
    }

    /// The messages, in the patterns of Graph docs: educationSynchronizationProfile: start. Duplicates are warnings in
    /// its example, the rest are errors. A required heading that is missing is data missing in every row (decided).
    pub(super) fn messages(&self, file: &str) -> Vec<Message> {
        let heading = &self.heading;
        let absent = self.required && self.place.is_none();
        let found = [
            (
                absent || self.missing > 0,
                MessageKind::Error,
                format!("{} row(s) have missing data for the field - {heading}", self.missing),
            ),
            (
                self.invalid > 0,
                MessageKind::Error,
                format!("{} row(s) have an invalid format for the field - {heading}", self.invalid),
            ),
            (
                self.dangling > 0,
                MessageKind::Error,
                format!(
                    "{} row(s) have referenced data not found in source. Field - {heading}",
                    self.dangling
                ),
            ),
            (
                self.duplicates > 0,
                MessageKind::Warning,
                format!(
                    "{} duplicates found in column {heading} which requires values to be Unique.",
                    self.duplicates
                ),
            ),
        ];
        let shown = found.into_iter().filter(|(there, _, _)| *there);
        shown
            .map(|(_, kind, description)| Message { kind, file_name: file.to_owned(), description })
            .collect()
    }
}

/// The same in every run of the program, so that a saved simulator would go on.
fn hash(cell: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    cell.hash(&mut hasher);
    hasher.finish()
}

/// `M/D/YYYY`, as in the sample files.
fn is_date(text: &str) -> bool {
    let mut parts = text.trim().split('/');
    let mut number = |digits: std::ops::RangeInclusive<usize>| {
        let part = parts.next()?;
        let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && digits.contains(&part.len());
        part.parse::<i16>().ok().filter(|_| plain)
    };
    let (month, day, year) = (number(1..=2), number(1..=2), number(4..=4));
    let (Some(month), Some(day), Some(year)) = (month, day, year) else { return false };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    parts.next().is_none() && jiff::civil::Date::new(year, month, day).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_in_the_samples() {
        assert!(["7/1/2017", "07/01/2017", "12/31/1999"].into_iter().all(is_date));
        let wrong =
            ["2017-07-01", "31/12/1999", "2/29/2023", "7/1/17", "7/1/2017/1", "7//2017", "x", "+7/1/2017"];
        assert!(!wrong.into_iter().any(is_date));
    }
}
