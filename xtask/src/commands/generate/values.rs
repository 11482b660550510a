//! The values of the chart for people and for editors: the table in its README and the descriptions in
//! `values.schema.json`, both from the comments of `values.yaml`. Pure: texts in, texts out.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// What stands around the table in the README.
const MARKS: [&str; 2] = [
    "<!-- generated from values.yaml by `cargo xtask generate` -->\n",
    "<!-- end of what is generated -->\n",
];

/// A key of `values.yaml`.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    path: Vec<String>,
    /// The comment right above it, in one line.
    comment: String,
}

/// The README with the table of `values`, and the schema with its descriptions.
///
/// # Errors
/// When a key has no comment or no schema, or the other way round.
pub(super) fn generate(values: &str, schema: &str, readme: &str) -> Result<(String, String)> {
    let mut described: Value = serde_json::from_str(schema).context("values.schema.json is no JSON")?;
    let defaults: Value = serde_saphyr::from_str(values).context("values.yaml is no YAML")?;
    let mut table = "| Value | Default | |\n|---|---|---|\n".to_owned();
    let mut known = Vec::new();
    for key in keys(values) {
        let name = key.path.join(".");
        // What is below a value without properties is an example of what it may hold.
        let Some(place) = schema_of(&mut described, &key.path) else {
            let parent = key.path.get(..key.path.len().saturating_sub(1)).unwrap_or_default().join(".");
            ensure!(
                known.iter().any(|(known, is_free)| *is_free && parent.starts_with(known)),
                "values.schema.json lacks {name}, which is in values.yaml"
            );
            continue;
        };
        ensure!(!key.comment.is_empty(), "{name} has no comment in values.yaml");
        let is_group = place.contains_key("properties");
        place.insert("description".to_owned(), key.comment.clone().into());
        let pointer = format!("/{}", key.path.join("/"));
        let default = defaults.pointer(&pointer).filter(|_| !is_group).map(shown).unwrap_or_default();
        writeln!(table, "| `{name}` | {default} | {} |", key.comment.replace('|', "\\|"))?;
        known.push((name, !is_group));
    }
    ensure_all_are_described(&described, "")?;
    let [begin, end] = MARKS;
    let (before, rest) = readme.split_once(begin).context("the README of the chart lacks its marks")?;
    let (_, after) = rest.split_once(end).context("the README of the chart lacks its second mark")?;
    let schema = serde_json::to_string_pretty(&sorted(described))? + "\n";
    Ok((format!("{before}{begin}\n{table}\n{end}{after}"), schema))
}

/// The keys in the order of the file.
fn keys(values: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some((name, _)) = text.split_once(':').filter(|(name, _)| is_name(name)) {
            let indent = line.len() - text.len();
            path.retain(|(other, _)| *other < indent);
            path.push((indent, name.to_owned()));
            let path = path.iter().map(|(_, name)| name.clone()).collect();
            keys.push(Key { path, comment: std::mem::take(&mut comment).join(" ") });
        } else {
            comment.clear();
        }
    }
    keys
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// What the schema says of this key.
fn schema_of<'a>(schema: &'a mut Value, path: &[String]) -> Option<&'a mut Map<String, Value>> {
    let place = path.iter().try_fold(schema, |schema, name| schema.get_mut("properties")?.get_mut(name));
    place?.as_object_mut()
}

/// Every property has its description: nothing is there that values.yaml does not have.
fn ensure_all_are_described(schema: &Value, path: &str) -> Result<()> {
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}{name}");
        let is_described = member.get("description").is_some();
        ensure!(is_described, "values.yaml lacks {path}, which is in values.schema.json");
        ensure_all_are_described(member, &format!("{path}."))?;
    }
    Ok(())
}

/// A default as the table shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => format!("`{text}`"),
        other => format!("`{}`", sorted(other.clone())),
    }
}

/// The same with the keys in order, whatever order this build of `serde_json` keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            members.into_iter().map(|(name, member)| (name, sorted(member))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "# Of the chart.\n\n# The image.\nimage:\n  # Where it is,\n  # as a name.\n  repository: a.b/c\n\n# Free.\nresources:\n  limits: { cpu: 1 }\n# Others.\nlist: []\n";
    const SCHEMA: &str = r#"{"properties": {"resources": {"type": "object"}, "list": {}, "image": {"properties": {"repository": {"description": "old"}}}}}"#;
    const README: &str = "a\n<!-- generated from values.yaml by `cargo xtask generate` -->\nold\n<!-- end of what is generated -->\nz\n";

    #[test]
    fn comments_become_the_table_and_the_descriptions() {
        let (readme, schema) = generate(VALUES, SCHEMA, README).unwrap();
        let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(
            rows,
            [
                "| `image` |  | The image. |",
                "| `image.repository` | `a.b/c` | Where it is, as a name. |",
                "| `resources` | `{\"limits\":{\"cpu\":1}}` | Free. |",
                "| `list` | `[]` | Others. |",
            ]
        );
        assert!(readme.starts_with("a\n<!--") && readme.ends_with("-->\nz\n") && !readme.contains("old"));
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let description = &schema["properties"]["image"]["properties"]["repository"]["description"];
        assert_eq!(description, "Where it is, as a name.");
        let again = generate(VALUES, &schema.to_string(), &readme).unwrap();
        assert_eq!(again.0, readme, "written twice, it stays");
    }

    #[test]
    fn what_only_one_of_them_has_is_found() {
        let says = |values: &str, schema: &str| generate(values, schema, README).unwrap_err().to_string();
        let more = format!("{VALUES}# New.\nnew: 1\n");
        assert_eq!(says(&more, SCHEMA), "values.schema.json lacks new, which is in values.yaml");
        let more = SCHEMA.replace("\"list\"", "\"other\": {}, \"list\"");
        assert_eq!(says(VALUES, &more), "values.yaml lacks other, which is in values.schema.json");
        assert_eq!(says(&VALUES.replace("# Others.\n", ""), SCHEMA), "list has no comment in values.yaml");
    }
}
