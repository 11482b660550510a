//! The contents of uploaded blobs: bytes in memory, files on disk, or a list of such pieces. Only storing and reading;
//! what the contents mean is the model's business, where they come from is `http`'s and `server`'s.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempPath;

/// The contents of one blob or block. Cloning is cheap; a file is deleted with the last clone.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<TempPath>),
    /// Pieces one after the other (a block list).
    Pieces(Vec<Self>),
}

impl Content {
    /// Reads it from the start.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
            Self::File(path) => Box::new(File::open(path.as_ref())?),
            Self::Pieces(pieces) => Box::new(Pieces { current: None, rest: pieces.clone().into_iter() }),
        })
    }
}

/// Opens one piece after the other, so that a blob of many blocks needs one open file at a time.
struct Pieces {
    current: Option<Box<dyn Read>>,
    rest: std::vec::IntoIter<Content>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                let read = current.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
            }
            match self.rest.next() {
                Some(next) => self.current = Some(next.open()?),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_one() {
        let piece = |text: &'static str| Content::Memory(Bytes::from_static(text.as_bytes()));
        let content = Content::Pieces(vec![piece("ab"), piece(""), Content::Pieces(vec![piece("cd")])]);
        let mut text = String::new();
        content.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcd");
    }
}
