//! The list of deliberate defects fits the source: whoever changes the one must mend the other. Whether the defects are
//! caught is what `cargo xtask defects` shows, which takes long.

#![allow(clippy::unwrap_used, reason = "helper functions of tests fail the test")]

use std::fs;
use std::path::Path;

use xtask::defects::listed;
use xtask::repository_root;

/// All that the sources of tests say.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    all
}

#[test]
fn every_defect_fits_the_source_and_names_tests_that_are_there() {
    let root = repository_root();
    let defects = listed(&root).unwrap();
    assert!(defects.len() >= 25, "the list is found");
    let sources = sources(&root.join("src")) + &sources(&root.join("tests"));
    for defect in defects {
        defect.check(&root).unwrap();
        for test in &defect.tests {
            let is_there = sources.contains(&format!("fn {}(", test.test_name()));
            assert!(is_there, "tests/defects/{}.patch: there is no test {}", defect.name, test.test_name());
        }
    }
}
