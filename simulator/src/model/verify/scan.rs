//! Reads one CSV file from end to end, row by row, in constant memory besides the hashes of keys.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};

use super::Message;
use super::columns::{Column, KeySet};
use super::formats::{Format, KEY};
use crate::content::Content;

/// The keys of the files that were read.
#[derive(Default)]
pub(super) struct Keys(HashMap<&'static str, Arc<KeySet>>);

impl Keys {
    pub(super) fn of(&self, file: &str) -> Option<Arc<KeySet>> {
        self.0.get(file).cloned()
    }
}

/// Bytes that may be read for one row. A quote that is never closed would make one row of a whole file.
const LONGEST_ROW: usize = 4 * 1024 * 1024;

/// Fails when too much is read without the row ending.
struct Bounded {
    inner: Box<dyn Read>,
    left: Rc<Cell<usize>>,
}

impl Read for Bounded {
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

/// Every message about one file. Its keys are kept for the files that refer to it.
pub(super) fn scan(
    content: &Content,
    format: &'static Format,
    max_rows: u64,
    keys: &mut Keys,
) -> io::Result<Vec<Message>> {
    // Rows of other lengths than the first are the file's mistake, not the reader's.
    let left = Rc::new(Cell::new(LONGEST_ROW));
    let bounded = Bounded { inner: content.open()?, left: Rc::clone(&left) };
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(bounded);
    let headings = reader.byte_headers()?.clone();
    if headings.is_empty() {
        let what = "The file is empty. Its first line must hold the headings.";
        return Ok(vec![Message::error(format.name, what.to_owned())]);
    }
    let mut columns = columns(&headings, format, keys);
    let mut row = ByteRecord::new();
    let mut rows = 0_u64;
    while reader.read_byte_record(&mut row)? {
        left.set(LONGEST_ROW);
        rows += 1;
        if rows > max_rows {
            let what = format!("The file has more than {max_rows} rows.");
            return Ok(vec![Message::error(format.name, what)]);
        }
        for column in &mut columns {
            column.look(column.place().and_then(|place| row.get(place)).unwrap_or_default());
        }
        if row.len() > headings.len()
            && let Some(last) = columns.iter_mut().rfind(|column| column.place().is_some())
        {
            last.overflow();
        }
    }
    let messages = columns.iter().flat_map(|column| column.messages(format.name)).collect();
    let key = columns.iter_mut().find(|column| column.heading() == KEY);
    if let Some(set) = key.and_then(Column::take_keys) {
        keys.0.insert(format.name, Arc::new(set));
    }
    Ok(messages)
}

/// The columns of the file, then the required ones it does not have.
fn columns(headings: &ByteRecord, format: &Format, keys: &Keys) -> Vec<Column> {
    let named: Vec<String> = headings.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let present = named.iter().enumerate().map(|(place, name)| Column::new(name, Some(place), format, keys));
    let absent = format.columns.iter().filter(|name| !named.iter().any(|there| there == *name));
    present.chain(absent.map(|name| Column::new(name, None, format, keys))).collect()
}
