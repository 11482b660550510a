//! What the documents promise to have.

#![cfg(test)]

use std::fs;
use std::path::Path;

/// Every reason that a condition can give has its section in the troubleshooting page.
#[test]
fn every_reason_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
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

/// The pages that others link to are there.
#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "docs/architecture.md",
        "docs/troubleshooting.md",
        "simulator/README.md",
        "charts/edusync/README.md",
    ] {
        let file = root.join(page);
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(
                file.parent().unwrap().join(target).exists(),
                "{page} links to {target}, which is not there"
            );
        }
    }
}
