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

/// Every command has its section in the page about the command line.
#[test]
fn every_command_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
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

/// The pages that others link to are there.
#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "docs/architecture.md",
        "docs/cli.md",
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
