//! A copy of the source, below `target`, into which defects are put. Nobody's own files are changed.
//!
//! It is brought up to date file by file, and what is the same is not touched: cargo goes by the times of files, and
//! builds again only what has changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Defect;

/// What is not copied: what is built, and what is git's.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// A copy of the source.
#[derive(Debug)]
pub struct Copy {
    root: PathBuf,
    target: PathBuf,
    logs: PathBuf,
}

impl Copy {
    /// Copies the source in `root`, as it is now.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn of(root: &Path) -> Result<Self> {
        let folder = root.join("target/defects");
        let copy =
            Self { root: folder.join("source"), target: folder.join("target"), logs: folder.join("logs") };
        fs::create_dir_all(&copy.logs).with_context(|| format!("cannot create {}", copy.logs.display()))?;
        synchronize(root, &copy.root, &LEFT_OUT)
            .with_context(|| format!("cannot copy the source to {}", copy.root.display()))?;
        Ok(copy)
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds it.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where programs that concern `name` say what they have to say; empty at first.
    ///
    /// # Errors
    ///
    /// When the file of an earlier time cannot be removed.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let log = self.logs.join(format!("{name}.log"));
        fs::write(&log, "").with_context(|| format!("cannot write {}", log.display()))?;
        Ok(log)
    }

    /// Puts a defect in, for as long as the value lives that is returned.
    ///
    /// # Errors
    ///
    /// When its patch does not fit the source.
    pub fn with(&self, defect: &Defect) -> Result<Defective> {
        let mut before = Vec::new();
        for file in defect.files()? {
            let file = self.root.join(file);
            // A file that the source does not have (any more) is what git will say, and better.
            before.extend(fs::read(&file).ok().map(|content| (file, content)));
        }
        defect.git_apply(&self.root, &[])?;
        Ok(Defective { before })
    }
}

/// A copy with a defect in it; dropping it takes the defect out.
#[derive(Debug)]
pub struct Defective {
    before: Vec<(PathBuf, Vec<u8>)>,
}

impl Drop for Defective {
    fn drop(&mut self) {
        for (file, content) in &self.before {
            // If it cannot be written, the next patch or build says so.
            let _ = fs::write(file, content);
        }
    }
}

/// Makes `to` a copy of `from`, without `left_out`.
fn synchronize(from: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let names = names_in(from)?;
    for name in names_in(to)?.difference(&names) {
        let path = to.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    for name in names.iter().filter(|name| !left_out.iter().any(|left_out| *name == left_out)) {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            synchronize(&from, &to, &[])?;
            continue;
        }
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        if fs::read(&to).is_ok_and(|present| present == content) {
            continue;
        }
        // Copied and not written: a program stays one that can be run.
        fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn names_in(folder: &Path) -> Result<BTreeSet<std::ffi::OsString>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("cannot read {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_the_source_and_leaves_alone_what_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for file in ["target/built", "src/kept", "src/gone", "src/changed"] {
            fs::create_dir_all(from.join(file).parent().unwrap()).unwrap();
            fs::write(from.join(file), file).unwrap();
        }
        synchronize(&from, &to, &LEFT_OUT).unwrap();
        let written = |file: &str| fs::metadata(to.join(file)).unwrap().modified().unwrap();
        let before = written("src/kept");
        fs::write(to.join("src/changed"), "with a defect").unwrap();
        fs::remove_file(from.join("src/gone")).unwrap();
        synchronize(&from, &to, &LEFT_OUT).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/changed")).unwrap(), "src/changed");
        assert!(!to.join("src/gone").exists() && !to.join("target").exists());
        assert_eq!(written("src/kept"), before);
    }
}
