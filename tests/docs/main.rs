//! What the documents promise to have.

#![cfg(test)]

mod blocks;
mod markdown;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use edusync::api::{EducationSyncProfile, GraphConnection};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder that end so, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    files.sort();
    files
}

/// All pages that people read, with their texts.
fn pages() -> BTreeMap<PathBuf, String> {
    let single = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "simulator/README.md",
        "charts/edusync/README.md",
    ];
    let paths = single.iter().map(|path| root().join(path)).chain(files("docs", "md"));
    let paths = paths.chain(files("docs/runbooks", "md"));
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Every reason that a condition can give has its section in the troubleshooting page.
#[test]
fn every_reason_is_explained() {
    let root = root();
    let source = fs::read_to_string(root.join("src/api/conditions.rs")).unwrap();
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let reasons: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""))
        .map(|(_, word)| word.trim_end_matches("\","))
        .collect();
    assert!(reasons.len() > 20, "the reasons are found: {reasons:?}");
    for reason in reasons {
        let heading = format!("### {reason}");
        assert!(
            page.lines().any(|line| line.trim_end() == heading),
            "docs/troubleshooting.md lacks \"{heading}\""
        );
    }
}

/// Every command has its section in the page about the command line.
#[test]
fn every_command_is_explained() {
    let root = root();
    let page = fs::read_to_string(root.join("docs/cli.md")).unwrap();
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_edusync")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "the commands are found: {commands:?}");
    for command in commands.into_iter().filter(|command| !matches!(*command, "run" | "help")) {
        assert!(page.contains(&format!("\n## {command}\n")), "docs/cli.md lacks \"## {command}\"");
    }
}

/// A link leads to a file that is there, and to a heading that the file has.
#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    for (page, text) in pages() {
        for link in markdown::links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{} links to {link}: there is no such file", page.display());
            if !anchor.is_empty() {
                let anchors = markdown::anchors(&fs::read_to_string(&target).unwrap());
                let is_there = anchors.iter().any(|other| other == anchor);
                assert!(is_there, "{} links to {link}: there is no such heading", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "the links are found: {followed}");
}

/// What is said of security is shown by a test that is there, in the file that is named.
#[test]
fn every_claim_about_security_has_its_test() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut found = 0;
    for named in page.split("[`").skip(1) {
        let (name, rest) = named.split_once("`](").unwrap();
        let (file, _) = rest.split_once(')').unwrap();
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&format!("fn {name}(")), "SECURITY.md names {name}, which is not in {file}");
        found += 1;
    }
    assert!(found > 15, "the tests are found: {found}");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Can"));
    let without: Vec<_> = rows.filter(|row| !row.contains("[`")).collect();
    assert_eq!(without, ["| write status and finalizers of profiles and connections | |"]);
}

/// A tag of somebody else's action can be moved; a commit cannot.
#[test]
fn every_action_is_pinned_by_its_commit() {
    let mut pinned = 0;
    for workflow in files(".github/workflows", "yml") {
        let text = fs::read_to_string(&workflow).unwrap();
        serde_saphyr::from_str::<Value>(&text).unwrap();
        assert!(text.lines().any(|line| line.starts_with("permissions:")), "{}", workflow.display());
        for used in text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, used)| used) {
            let commit = used.split_once('@').unwrap().1.split(' ').next().unwrap();
            let is_commit = commit.len() == 40 && commit.chars().all(|letter| letter.is_ascii_hexdigit());
            assert!(is_commit && used.contains(" # v"), "{}: {used}", workflow.display());
            pinned += 1;
        }
    }
    assert!(pinned > 5, "the actions are found: {pinned}");
}

/// Every page of docs is reached from the first page.
#[test]
fn no_page_is_lost() {
    let readme = markdown::links(&fs::read_to_string(root().join("README.md")).unwrap());
    for page in files("docs", "md") {
        let link = format!("docs/{}", page.file_name().unwrap().to_str().unwrap());
        assert!(readme.contains(&link), "README.md does not link to {link}");
    }
}

/// Our manifests in documents and examples have no field that does not exist. Whether the API server takes them is asked
/// in the black-box tests.
#[test]
fn every_manifest_has_known_fields_only() {
    let blocks = pages().into_iter().flat_map(|(page, text)| {
        let blocks: Vec<_> = blocks::yaml(&text).map(|block| (page.clone(), block.to_owned())).collect();
        blocks
    });
    let folders = ["examples", "examples/connections", "examples/gitops/schools/base", "examples/simulator"];
    let examples = folders.iter().flat_map(|folder| files(folder, "yaml"));
    let examples = examples.map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    let mut checked = 0;
    for (place, text) in blocks.chain(examples) {
        let manifests: Vec<Value> = serde_saphyr::from_multiple(&text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", place.display()));
        for manifest in manifests.iter().filter(|manifest| is_ours(manifest)) {
            let errors = errors_of(manifest);
            assert!(errors.is_empty(), "{}: {errors:?}\n{text}", place.display());
            checked += 1;
        }
    }
    assert!(checked > 30, "the manifests are found: {checked}");
}

/// A resource of ours, or a part of one: a block that begins with `spec`.
fn is_ours(manifest: &Value) -> bool {
    match manifest["apiVersion"].as_str() {
        Some(version) => version.starts_with("edusync.dev/"),
        None => !manifest["spec"].is_null(),
    }
}

/// What is wrong with it. A part has to fit one of the kinds.
fn errors_of(manifest: &Value) -> Vec<String> {
    let definitions = schema::definitions();
    let Some(kind) = manifest["kind"].as_str() else {
        let errors: Vec<_> = definitions.iter().map(|definition| definition.errors(manifest)).collect();
        let fits = errors.iter().any(Vec::is_empty);
        return if fits { Vec::new() } else { errors.concat() };
    };
    let definition = definitions.iter().find(|definition| definition.kind == kind).expect("a kind of ours");
    let mut errors = definition.errors(manifest);
    let parsed = match kind {
        "EducationSyncProfile" => serde_json::from_value::<EducationSyncProfile>(manifest.clone()).map(drop),
        _ => serde_json::from_value::<GraphConnection>(manifest.clone()).map(drop),
    };
    errors.extend(parsed.err().map(|error| error.to_string()));
    errors
}

/// A field that a page names in its text exists.
#[test]
fn every_field_that_is_named_exists() {
    let definitions = schema::definitions();
    let mut named = 0;
    for (page, text) in pages() {
        for span in markdown::code_spans(&text) {
            let is_path = (span.starts_with("spec.") || span.starts_with("status."))
                && span
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '[' | ']'));
            if is_path {
                let exists = definitions.iter().any(|definition| definition.has(&span));
                assert!(exists, "{} names {span}, which is no field", page.display());
                named += 1;
            }
        }
    }
    assert!(named > 20, "the fields are found: {named}");
}

/// The files that the first steps upload pass the check.
#[test]
fn the_example_files_are_good() {
    let mut upload = std::process::Command::new(env!("CARGO_BIN_EXE_edusync"));
    let output = upload.args(["upload", "--check-only"]).arg(root().join("examples/csv")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("0 errors, 0 warnings"), "{said}");
}

mod tests_of_the_tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# A page\n## What `edusync` does, and when\n```\n# no heading\n```\n## A page\n### Thing.spec.many[]\n";
        let expected = ["a-page", "what-edusync-does-and-when", "a-page-1", "thingspecmany"];
        assert_eq!(markdown::anchors(text), expected);
    }

    #[test]
    fn a_field_that_does_not_exist_is_found_wherever_it_stands() {
        let profile = &schema::definitions()[0];
        let manifest = serde_json::json!({"metadata": {"any": 1}, "spec": {
            "displayNam": "a", "deletionPolicy": "Keep", "adopt": "a",
            "licensesToAssign": [{"appliesTo": "student", "sku": []}]
        }});
        let errors = profile.errors(&manifest);
        for part in ["spec.displayNam ", "Keep", "spec.adopt is string", "spec.licensesToAssign[].sku "] {
            assert!(errors.iter().any(|error| error.contains(part)), "{part}: {errors:?}");
        }
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(profile.has("spec.licensesToAssign[].skuIds") && !profile.has("spec.dataProvider.xml"));
    }
}
