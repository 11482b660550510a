//! Checks the files by stream, before anything is sent: one pass over each file, in the order of the format.
//!
//! What is kept of a file are hashes of its keys and their lines, never a value. Microsoft's own
//! verification has the last word; this one says the line, and costs no upload.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash as _, Hasher};
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use super::findings::{Column, Findings, Kind, Place};
use super::format::{Format, KEY, MANY_ROWS, MOST_ROWS};

/// Bytes that may be read without a row ending. A quote that is never closed would make one row of a whole file.
const LONGEST_ROW: usize = 4 * 1024 * 1024;

/// Hashes of the values of one column, with the line that has each first.
pub type Keys = HashMap<u64, u32, BuildHasherDefault<AsItIs>>;

/// The keys are hashes already.
#[derive(Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Fails when too much is read without a row ending.
struct Bounded<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.get().checked_sub(read) {
            Some(left) => self.left.set(left),
            None => {
                return Err(io::Error::other(
                    "a row is longer than 4 MiB; look for a quote that is not closed",
                ));
            }
        }
        Ok(read)
    }
}

/// One column of the file that is being checked.
struct Checked<'a> {
    at: Column,
    index: usize,
    required: bool,
    is_date: bool,
    seen: Option<Keys>,
    targets: Option<&'a Keys>,
}

/// Checks one file; the number of its rows. Its keys are added to `keys`, for the files that refer to it.
pub fn check(
    content: impl Read,
    format: &'static Format,
    keys: &mut HashMap<&'static str, Keys>,
    findings: &mut Findings,
) -> u64 {
    match scan(content, format, keys, findings) {
        Ok((rows, own)) => {
            if let Some(own) = own {
                keys.insert(format.name, own);
            }
            rows
        }
        Err(error) => {
            findings.file(format.name, Kind::Unreadable, Some(error.to_string()));
            0
        }
    }
}

fn scan(
    mut content: impl Read,
    format: &'static Format,
    keys: &HashMap<&'static str, Keys>,
    findings: &mut Findings,
) -> io::Result<(u64, Option<Keys>)> {
    let mut start = [0; 3];
    let begun = read_start(&mut content, &mut start)?;
    if matches!(start, [0xFF, 0xFE, _] | [0xFE, 0xFF, _]) {
        findings.file(format.name, Kind::Utf16, None);
        return Ok((0, None));
    }
    // A byte order mark is no part of the first heading.
    let start = if start == [0xEF, 0xBB, 0xBF] { &[] } else { start.get(..begun).unwrap_or_default() };
    let whole = io::Read::chain(start, content);
    let left = Rc::new(Cell::new(LONGEST_ROW));
    let bounded = Bounded { inner: whole, left: Rc::clone(&left) };
    let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(256 * 1024).from_reader(bounded);
    let headings = reader.byte_headers()?.clone();
    if headings.iter().all(<[u8]>::is_empty) {
        findings.file(format.name, Kind::Empty, None);
        return Ok((0, None));
    }
    let mut columns = columns(&headings, format, keys, findings);
    let mut row = ByteRecord::new();
    let mut rows = 0_u64;
    while reader.read_byte_record(&mut row)? {
        left.set(LONGEST_ROW);
        rows += 1;
        let line = row.position().map_or(0, csv::Position::line);
        let fields = row.len();
        if fields != headings.len() {
            let kind = if fields < headings.len() { Kind::TooFewFields } else { Kind::TooManyFields };
            findings.add(format.name, kind, None, Some(Place { line, first: None }));
        }
        for column in &mut columns {
            column.look(row.get(column.index).unwrap_or_default(), line, format.name, findings);
        }
    }
    if rows > MOST_ROWS {
        findings.file(format.name, Kind::TooManyRows, None);
    } else if rows > MANY_ROWS {
        findings.file(format.name, Kind::ManyRows, None);
    }
    let key = columns.into_iter().find(|column| column.at.heading == Some(KEY));
    Ok((rows, key.and_then(|column| column.seen)))
}

/// The first bytes, or fewer if there are no more.
fn read_start(content: &mut impl Read, start: &mut [u8; 3]) -> io::Result<usize> {
    let mut begun = 0;
    while let Some(free) = start.get_mut(begun..).filter(|free| !free.is_empty()) {
        match content.read(free)? {
            0 => break,
            read => begun += read,
        }
    }
    Ok(begun)
}

fn columns<'a>(
    headings: &ByteRecord,
    format: &'static Format,
    keys: &'a HashMap<&'static str, Keys>,
    findings: &mut Findings,
) -> Vec<Checked<'a>> {
    let mut columns: Vec<Checked<'a>> = Vec::new();
    for (index, text) in headings.iter().enumerate() {
        let (known, meant) = (format.heading(text), format.meant(text));
        let at = Column { number: Some(index + 1), heading: known.or(meant) };
        if known.is_none() {
            let kind = if meant.is_some() { Kind::MisspeltHeading } else { Kind::UnknownHeading };
            findings.add(format.name, kind, Some(at), Some(Place { line: 1, first: None }));
        }
        let repeated = at.heading.is_some() && columns.iter().any(|column| column.at.heading == at.heading);
        if repeated {
            findings.add(format.name, Kind::RepeatedHeading, Some(at), Some(Place { line: 1, first: None }));
        }
        // A misspelt heading is said once; its cells are looked at as those that were meant.
        let heading = at.heading.filter(|_| !repeated).unwrap_or_default();
        let targets = format.target(heading).and_then(|file| keys.get(file));
        columns.push(Checked {
            at,
            index,
            required: format.columns.contains(&heading),
            is_date: format.dates.contains(&heading),
            seen: format.unique.contains(&heading).then(Keys::default),
            targets,
        });
    }
    for heading in format.columns {
        if !columns.iter().any(|column| column.at.heading == Some(*heading)) {
            let at = Column { number: None, heading: Some(*heading) };
            findings.add(format.name, Kind::MissingHeading, Some(at), None);
        }
    }
    columns
}

impl Checked<'_> {
    fn look(&mut self, cell: &[u8], line: u64, file: &'static str, findings: &mut Findings) {
        let mut found = |kind, first| findings.add(file, kind, Some(self.at), Some(Place { line, first }));
        if cell.trim_ascii().is_empty() {
            if self.required {
                found(Kind::MissingValue, None);
            }
            return;
        }
        if cell.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            found(Kind::LineBreak, None);
        }
        match std::str::from_utf8(cell) {
            Err(_) => found(Kind::NotUtf8, None),
            Ok(text) if self.is_date && !is_date(text) => found(Kind::InvalidDate, None),
            Ok(_) => {}
        }
        if self.seen.is_none() && self.targets.is_none() {
            return;
        }
        let key = hash(cell);
        if self.targets.is_some_and(|targets| !targets.contains_key(&key)) {
            found(Kind::UnknownReference, None);
        }
        if let Some(seen) = &mut self.seen {
            match seen.entry(key) {
                Entry::Occupied(first) => found(Kind::Duplicate, Some(u64::from(*first.get()))),
                Entry::Vacant(place) => {
                    place.insert(u32::try_from(line).unwrap_or(u32::MAX));
                }
            }
        }
    }
}

fn hash(cell: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    cell.hash(&mut hasher);
    hasher.finish()
}

/// `M/D/YYYY`, a day of the calendar.
fn is_date(text: &str) -> bool {
    let mut parts = text.trim().split('/');
    let (Some(month), Some(day), Some(year), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let digits = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let written_so = digits(month, 2) && digits(day, 2) && digits(year, 4) && year.len() == 4;
    let (Ok(year), Ok(month), Ok(day)) = (year.parse(), month.parse(), day.parse()) else {
        return false;
    };
    written_so && jiff::civil::Date::new(year, month, day).is_ok()
}

#[cfg(test)]
mod tests;
