//! What Helm makes of the chart for each of the value sets in its folder `ci`: compared with the files in
//! `xtask/tests/chart/rendered`, so that a change of a template shows what it changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::control_plane::output_of;
use crate::repository_root;

/// The chart.
#[must_use]
pub fn folder() -> PathBuf {
    repository_root().join("charts/edusync")
}

/// Where the rendered templates are, below the folder of the workspace.
pub const RENDERED: &str = "xtask/tests/chart/rendered";

/// A call of Helm that needs no cluster. It reads and writes nothing of the user but below `home`.
#[must_use]
pub fn helm(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("HELM_CACHE_HOME", home)
        .env("HELM_CONFIG_HOME", home)
        .env("HELM_DATA_HOME", home)
        .current_dir(repository_root());
    command
}

/// The value sets by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn value_sets() -> Result<BTreeMap<String, PathBuf>> {
    let folder = folder().join("ci");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut sets = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.and_then(|name| name.strip_suffix("-values.yaml")) {
            sets.insert(name.to_owned(), path.clone());
        }
    }
    Ok(sets)
}

/// The templates with each value set: names of files and their texts.
///
/// # Errors
/// When Helm refuses one.
pub fn render_all(program: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let home = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut rendered = BTreeMap::new();
    for (name, values) in value_sets()? {
        let mut command = helm(program, home.path());
        command.args(["template", "edusync", "charts/edusync", "--namespace", "edusync-system", "--values"]);
        let text = output_of(command.arg(&values)).with_context(|| format!("with the values {name}"))?;
        rendered.insert(format!("{name}.yaml"), without_keys(&without_schemas(&text)).into_bytes());
    }
    Ok(rendered)
}

/// Of a resource definition only the head: the rest is what stands in `crds`.
fn without_schemas(text: &str) -> String {
    let mut kept = String::new();
    let mut is_definition = false;
    let mut is_left_out = false;
    for line in text.lines() {
        if line == "---" {
            is_definition = false;
            is_left_out = false;
        }
        is_definition |= line == "kind: CustomResourceDefinition";
        if is_definition && line == "spec:" {
            is_left_out = true;
            kept.push_str("# spec: as in crds\n");
        }
        if !is_left_out {
            kept.push_str(line.trim_end());
            kept.push('\n');
        }
    }
    kept
}

/// Certificates and keys are made anew with each rendering.
fn without_keys(text: &str) -> String {
    let line = |line: &str| match line.trim_start().split_once(": ") {
        Some((name @ ("ca.crt" | "tls.crt" | "tls.key"), _)) => format!("  {name}: MADE-BY-HELM\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_makes_by_chance_is_left_out() {
        let text = "data:\n  ca.crt: LS0t\n  clientSecret: example\n";
        assert_eq!(without_keys(text), "data:\n  ca.crt: MADE-BY-HELM\n  clientSecret: example\n");
    }

    #[test]
    fn definitions_lose_their_schemas_and_nothing_else_does() {
        let text = "---\nkind: CustomResourceDefinition\nspec:\n  a: 1\n---\nkind: Job\nspec:\n  b: 2\n";
        let kept = "---\nkind: CustomResourceDefinition\n# spec: as in crds\n---\nkind: Job\nspec:\n  b: 2\n";
        assert_eq!(without_schemas(text), kept);
    }
}
