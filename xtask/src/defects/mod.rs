//! Deliberate defects: what `tests/defects` lists. Each is a patch to the source with a head for people, which says what
//! the defect breaks and which tests must fail by it. Nothing is copied, built or run here.
//!
//! - [`copy`]: the copy of the source that defects are put into
//! - [`trial`]: builds and runs a test there, and judges how it ended

pub mod copy;
pub mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use trial::TestCommand;

/// Where the list is, from the folder of the workspace.
const FOLDER: &str = "tests/defects";

/// A deliberate defect.
#[derive(Debug, Clone)]
pub struct Defect {
    /// Name of its file, without the ending.
    pub name: String,
    /// What it breaks, in a sentence.
    pub what: String,
    /// The tests of which each must fail.
    pub tests: Vec<TestCommand>,
    patch: PathBuf,
}

/// All defects that are listed for the source in `root`, by name.
///
/// # Errors
///
/// When the list cannot be read, or the head of a patch does not say what it must.
pub fn listed(root: &Path) -> Result<Vec<Defect>> {
    let folder = root.join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut patches = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<PathBuf>>>()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    patches.into_iter().map(Defect::read).collect()
}

impl Defect {
    fn read(patch: PathBuf) -> Result<Self> {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch).with_context(|| format!("cannot read {}", patch.display()))?;
        let (what, tests) = head(&text).with_context(|| format!("the head of {FOLDER}/{name}.patch"))?;
        Ok(Self { name, what, tests, patch })
    }

    /// Is the source in `root` still what the patch expects?
    ///
    /// # Errors
    ///
    /// When it is not, or git cannot be run.
    pub fn check(&self, root: &Path) -> Result<()> {
        self.git_apply(root, &["--check"])
    }

    /// The files that the patch changes, from the root.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let text = fs::read_to_string(&self.patch)
            .with_context(|| format!("cannot read {}", self.patch.display()))?;
        let names = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        let files: Vec<PathBuf> = names.map(|name| name.trim_end().into()).collect();
        ensure!(!files.is_empty(), "{FOLDER}/{}.patch changes no file", self.name);
        Ok(files)
    }

    fn git_apply(&self, root: &Path, options: &[&str]) -> Result<()> {
        let output = Command::new("git")
            .arg("apply")
            .args(options)
            .args(["--whitespace=nowarn", "-p1"])
            .arg(&self.patch)
            .current_dir(root)
            // Within a repository git leaves out, without a word, what is outside of the folder it is called in. The
            // source may be in no repository, or below a folder that is in one; both are the same to git now.
            .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root))
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .output()
            .context("cannot run git, which applies the patches: is it on the PATH?")?;
        if output.status.success() {
            return Ok(());
        }
        bail!(
            "the source has changed: mend {FOLDER}/{}.patch\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr).trim_end()
        )
    }
}

/// What stands before the first diff: a paragraph about the defect, and the commands of tests.
fn head(text: &str) -> Result<(String, Vec<TestCommand>)> {
    let head = || text.lines().take_while(|line| !line.starts_with("--- ") && !line.starts_with("diff "));
    let what: Vec<&str> = head().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let commands = head().map(str::trim).filter(|line| TestCommand::is_one(line));
    let tests = commands.map(TestCommand::parse).collect::<Result<Vec<_>>>()?;
    ensure!(!what.is_empty(), "it does not say what is broken");
    ensure!(!tests.is_empty(), "it names no test: a line with `cargo test …`");
    Ok((what.join(" "), tests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_is_broken_and_what_catches_it() {
        let text = "Nothing is\nrecorded.\n\nIt must fail:\n    cargo test -p edusync --lib a\n    A=1 cargo test -p edusync --test b c\n\n--- a/f\n+++ b/f\n+cargo test -p edusync --lib no\n";
        let (what, tests) = head(text).unwrap();
        assert_eq!(what, "Nothing is recorded.");
        let tests: Vec<_> = tests.iter().map(ToString::to_string).collect();
        assert_eq!(tests, ["cargo test -p edusync --lib a", "A=1 cargo test -p edusync --test b c"]);
        assert!(head("\ncargo test -p edusync --lib a\n").is_err());
        assert!(head("Nothing.\n\n--- a/f\n").is_err());
    }
}
