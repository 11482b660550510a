//! The folder with the files: which of the six are there, and under which names.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::check::check;
use super::findings::{Finding, Findings, Kind};
use super::format::FORMATS;

/// One of the six files.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// Its name, as it is uploaded.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows, without the headings.
    pub rows: u64,
}

/// What is there, and what is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// The files.
    pub files: Vec<File>,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// Finds and checks the files of a folder; `most` places are kept of each kind of finding.
///
/// # Errors
/// When the folder cannot be read.
pub fn check_folder(folder: &Path, most: usize) -> anyhow::Result<Checked> {
    let found = find(folder)?;
    let mut findings = Findings::new(most);
    let classes = FORMATS.iter().any(|format| !format.required && found.contains_key(format.name));
    let (mut files, mut keys) = (Vec::new(), HashMap::new());
    for format in &FORMATS {
        let Some(paths) = found.get(format.name) else {
            if format.required || classes {
                findings.file(format.name, Kind::MissingFile, None);
            }
            continue;
        };
        if paths.len() > 1 {
            findings.file(format.name, Kind::TwoFiles, None);
        }
        let Some(path) = paths.first() else { continue };
        let opened = fs::File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((bytes, file)) => {
                let rows = check(file, format, &mut keys, &mut findings);
                files.push(File { name: format.name, path: path.clone(), bytes, rows });
            }
            Err(error) => findings.file(format.name, Kind::Unreadable, Some(error.to_string())),
        }
    }
    Ok(Checked { files, findings: findings.into_list() })
}

/// The files of the six names, in any case.
fn find(folder: &Path) -> anyhow::Result<BTreeMap<&'static str, Vec<PathBuf>>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let mut found: BTreeMap<&'static str, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // A link, as a mounted ConfigMap or Secret has them, leads to a file as well.
        if let Some(format) = FORMATS.iter().find(|format| format.name.eq_ignore_ascii_case(name))
            && path.is_file()
        {
            found.entry(format.name).or_default().push(path);
        }
    }
    for paths in found.values_mut() {
        paths.sort();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    const SCHOOL: &str = "SIS ID,Name\n1,Fabrikam High\n";
    const PERSON: &str = "SIS ID,School SIS ID,Username\n1,1,a\n";

    #[test]
    fn names_are_found_in_any_case_and_other_files_are_let_alone() {
        let folder = folder(&[
            ("School.csv", SCHOOL),
            ("STUDENT.CSV", PERSON),
            ("teacher.csv", PERSON),
            ("notes.txt", ""),
        ]);
        let checked = check_folder(folder.path(), 3).unwrap();
        let names: Vec<_> = checked.files.iter().map(|file| (file.name, file.rows)).collect();
        assert_eq!(names, [("school.csv", 1), ("student.csv", 1), ("teacher.csv", 1)]);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    }

    #[test]
    fn what_is_missing_or_there_twice_is_said() {
        let folder = folder(&[
            ("school.csv", SCHOOL),
            ("School.csv", SCHOOL),
            ("section.csv", "SIS ID,School SIS ID,Section Name\n7,1,Biology\n"),
            ("student.csv", PERSON),
        ]);
        let checked = check_folder(folder.path(), 3).unwrap();
        let found: Vec<_> = checked.findings.iter().map(|finding| (finding.file, finding.kind)).collect();
        assert_eq!(
            found,
            [
                ("school.csv", Kind::TwoFiles),
                ("teacher.csv", Kind::MissingFile),
                ("studentenrollment.csv", Kind::MissingFile),
                ("teacherroster.csv", Kind::MissingFile)
            ]
        );
        assert!(check_folder(&folder.path().join("nowhere"), 3).is_err());
    }
}
