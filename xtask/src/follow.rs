//! Reads a file that grows, each line once. What the lines mean is the caller's business.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A place in a file that others write.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    /// In bytes: where the next line begins.
    offset: u64,
}

impl Follow {
    /// Begins at the first line. The file may not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// The lines that have come since the last call, each with its line break. Half a line waits for its end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn news(&mut self) -> Result<String> {
        let context = || format!("cannot read {}", self.path.display());
        if !self.path.exists() {
            return Ok(String::new());
        }
        let mut file = File::open(&self.path).with_context(context)?;
        file.seek(SeekFrom::Start(self.offset)).with_context(context)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(context)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        self.offset += u64::try_from(whole).unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_line_comes_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut follow = Follow::new(path.clone());
        assert_eq!(follow.news().unwrap(), "");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(follow.news().unwrap(), "one\ntwo\n");
        assert_eq!(follow.news().unwrap(), "");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(follow.news().unwrap(), "three\n");
    }
}
