//! `cargo xtask generate`: the generated files of the repository, and whether they are up to date. What is in the
//! definitions is the operator's business, how the page about them reads that of `reference`, and what is told of the
//! chart's values that of `values`.

mod reference;
mod schema;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use xtask::control_plane::output_of;
use xtask::progress::Progress;
use xtask::tools::Tools;
use xtask::{cargo, helm_chart, repository_root};

/// The folders that hold the resource definitions: for people, and for the chart, which Helm reads no other folder for.
const FOLDERS: [&str; 2] = ["crds", "charts/edusync/files/crds"];

/// The page about the definitions: folder and name.
const PAGE: [&str; 2] = ["docs", "reference.md"];

/// The folder of the chart.
const CHART: &str = "charts/edusync";

/// Writes anew: the resource definitions (CRDs) and the page about them, from the types in src/api; what the chart tells
/// of its values, from values.yaml; and what Helm makes of its templates.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write nothing, and fail when a file is not as it would be written
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = cargo::build(&["edusync"], cargo::Build::Debug)?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut command = Command::new(programs.path("edusync")?);
    output_of(command.args(["crd", "--output-dir"]).arg(folder.path()))?;
    let generated = contents(folder.path())?;
    let mut differences = Vec::new();
    for target in FOLDERS {
        let present = contents(&repository_root().join(target))?;
        differences.extend(compare(Path::new(target), &generated, &present));
    }
    let [target, name] = PAGE;
    let page = reference::page(&definitions(&generated)?);
    differences.extend(compare_file(target, name, page));
    let read = |name: &str| {
        fs::read_to_string(helm_chart::folder().join(name))
            .with_context(|| format!("cannot read {CHART}/{name}"))
    };
    let told = ["README.md", "values.schema.json"];
    let [readme, schema] = told;
    let (readme, schema) = values::generate(&read("values.yaml")?, &read(schema)?, &read(readme)?)?;
    for (name, text) in told.into_iter().zip([readme, schema]) {
        differences.extend(compare_file(CHART, name, text));
    }
    for difference in differences.iter().filter(|_| !arguments.check) {
        difference.mend()?;
    }
    // Of the chart as it is now.
    let rendered = helm_chart::render_all(&Tools::locate(&Progress::new())?.helm)?;
    let present = contents(&repository_root().join(helm_chart::RENDERED))?;
    let rendered = compare(Path::new(helm_chart::RENDERED), &rendered, &present);
    for difference in rendered.iter().filter(|_| !arguments.check) {
        difference.mend()?;
    }
    differences.extend(rendered);
    if arguments.check {
        return check(&differences);
    }
    say(&if differences.is_empty() {
        up_to_date()
    } else {
        lines(&differences, |difference| match difference.wanted {
            Some(_) => "wrote",
            None => "removed",
        })
    })
}

/// One file of a folder, whatever else is there.
fn compare_file(folder: &str, name: &str, wanted: String) -> Vec<Difference> {
    let path = Path::new(folder).join(name);
    let wanted = wanted.into_bytes();
    let is_as_wanted = fs::read(repository_root().join(&path)).is_ok_and(|present| present == wanted);
    if is_as_wanted { Vec::new() } else { vec![Difference { path, wanted: Some(wanted) }] }
}

fn check(differences: &[Difference]) -> Result<()> {
    if differences.is_empty() {
        return say(&up_to_date());
    }
    bail!(
        "generated files are not what src/api and the chart say:\n{}\nRun `cargo xtask generate` and commit what it changes.",
        lines(differences, |difference| match difference.wanted {
            Some(_) => "  differs:      ",
            None => "  not generated:",
        })
    )
}

fn up_to_date() -> String {
    format!(
        "{}, {}, {CHART} and {} are up to date.",
        FOLDERS.join(", "),
        PAGE.join("/"),
        helm_chart::RENDERED
    )
}

/// The definitions as values.
fn definitions(files: &Contents) -> Result<Vec<Value>> {
    let parse = |(name, content): (&String, &Vec<u8>)| {
        serde_saphyr::from_slice(content).with_context(|| format!("{name} is no YAML"))
    };
    files.iter().map(parse).collect()
}

/// A file that is not as it would be generated.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    /// Below the folder of the workspace.
    path: PathBuf,
    /// `None`: there should be no such file.
    wanted: Option<Vec<u8>>,
}

impl Difference {
    fn mend(&self) -> Result<()> {
        let path = repository_root().join(&self.path);
        match &self.wanted {
            Some(content) => fs::write(&path, content),
            None => fs::remove_file(&path),
        }
        .with_context(|| format!("cannot change {}", path.display()))
    }
}

/// The files of a folder by name.
type Contents = BTreeMap<String, Vec<u8>>;

fn contents(folder: &Path) -> Result<Contents> {
    let reading = || format!("cannot read {}", folder.display());
    let mut contents = Contents::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let content =
            fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        contents.insert(entry.file_name().to_string_lossy().into_owned(), content);
    }
    Ok(contents)
}

fn compare(folder: &Path, generated: &Contents, present: &Contents) -> Vec<Difference> {
    let differing = generated
        .iter()
        .filter(|(name, content)| present.get(*name) != Some(content))
        .map(|(name, content)| (name, Some(content.clone())));
    let surplus = present.keys().filter(|name| !generated.contains_key(*name)).map(|name| (name, None));
    differing.chain(surplus).map(|(name, wanted)| Difference { path: folder.join(name), wanted }).collect()
}

fn lines(differences: &[Difference], word: impl Fn(&Difference) -> &'static str) -> String {
    let line = |difference: &Difference| format!("{} {}", word(difference), difference.path.display());
    differences.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> Contents {
        files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
    }

    #[test]
    fn changed_missing_and_surplus_files_are_found() {
        let generated = files(&[("a.yaml", "new"), ("b.yaml", "b"), ("c.yaml", "same")]);
        let present = files(&[("a.yaml", "old"), ("c.yaml", "same"), ("d.yaml", "")]);
        let found = compare(Path::new("crds"), &generated, &present);
        let named: Vec<_> = found
            .iter()
            .map(|difference| (difference.path.to_str().unwrap(), difference.wanted.is_some()))
            .collect();
        assert_eq!(named, [("crds/a.yaml", true), ("crds/b.yaml", true), ("crds/d.yaml", false)]);
        let message = check(&found).unwrap_err().to_string();
        assert!(message.contains("differs:       crds/a.yaml"), "{message}");
        assert!(message.contains("not generated: crds/d.yaml"), "{message}");
        assert!(message.contains("cargo xtask generate"), "{message}");
    }

    #[test]
    fn nothing_is_said_of_files_that_are_alike() {
        let same = files(&[("a.yaml", "a")]);
        assert_eq!(compare(Path::new("crds"), &same, &same), []);
    }
}
