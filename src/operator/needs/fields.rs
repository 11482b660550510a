//! Does a definition in the cluster have every field that this program knows? An older one drops what it does not
//! know, without a word: also what must survive a restart.
//!
//! Only names are kept of what the server tells, and the own ones stand in a file: whole schemas in memory, theirs and
//! ours, for a moment at the start, would leave the process two MiB larger for good.

use std::collections::BTreeMap;

use kube::Resource as _;
use serde::Deserialize;

use super::{GROUP, VERSION};
use crate::api::{EducationSyncProfile, GraphConnection};

/// Where the API server tells the schemas of our version.
pub const SCHEMAS: &str = "/openapi/v3/apis/edusync.dev/v1alpha1";

/// All fields of the definitions in `crds/`, a line for each: the resource, and the path; whatever is below a field
/// comes after it. `cargo xtask generate` writes it.
const OURS: &str = include_str!("fields.txt");

/// What the server tells of all schemas of our version.
#[derive(Debug, Deserialize)]
pub struct Served {
    components: Components,
}

#[derive(Debug, Deserialize)]
struct Components {
    #[serde(default)]
    schemas: BTreeMap<Box<str>, Schema>,
}

/// As much of a schema as says which fields there are.
#[derive(Debug, Default, Deserialize)]
struct Schema {
    #[serde(default)]
    properties: BTreeMap<Box<str>, Self>,
    items: Option<Box<Self>>,
    #[serde(rename = "additionalProperties")]
    additional_properties: Option<Additional>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields", default)]
    preserve_unknown_fields: bool,
    #[serde(rename = "x-kubernetes-group-version-kind", default)]
    kinds: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Additional {
    Schema(Box<Schema>),
    /// Whether there may be any.
    Any(#[allow(dead_code, reason = "either says nothing of names")] bool),
}

#[derive(Debug, Deserialize)]
struct Named {
    group: Box<str>,
    version: Box<str>,
    kind: Box<str>,
}

/// Which fields of ours the served schemas lack, as paths; none for a resource that is not served at all.
#[must_use]
pub fn absent(resource: &str, served: &Served) -> Option<Vec<String>> {
    let kind = if resource == EducationSyncProfile::plural(&()) {
        EducationSyncProfile::kind(&())
    } else {
        GraphConnection::kind(&())
    };
    let theirs = served.components.schemas.values().find(|schema| schema.is_of(&kind))?;
    let mut lacking: Vec<&str> = Vec::new();
    for path in ours(resource) {
        let is_said = lacking.last().is_some_and(|above| is_below(path, above));
        if !is_said && !theirs.has(path) {
            lacking.push(path);
        }
    }
    Some(lacking.into_iter().map(str::to_owned).collect())
}

fn ours(resource: &str) -> impl Iterator<Item = &'static str> {
    OURS.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(move |(of, path)| (of == resource).then_some(path))
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with(['.', '[']))
}

impl Schema {
    fn is_of(&self, kind: &str) -> bool {
        self.kinds
            .iter()
            .any(|named| (&*named.group, &*named.version, &*named.kind) == (GROUP, VERSION, kind))
    }

    /// Whether what stands at this path is kept: `a.b` is a property, `a[].b` one of an array's items, `a.*.b` one of
    /// whatever a map holds.
    fn has(&self, path: &str) -> bool {
        // Everything is kept below it.
        if self.preserve_unknown_fields {
            return true;
        }
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let name = first.trim_end_matches("[]");
        let member = match (name, &self.additional_properties) {
            ("*", Some(Additional::Schema(any))) => Some(&**any),
            // What is no map here is no matter of names.
            ("*", _) => return true,
            _ => self.properties.get(name),
        };
        let depth = first.len().saturating_sub(name.len()) / "[]".len();
        let Some(mut member) = member else { return false };
        for _ in 0..depth {
            let Some(items) = &member.items else { return true };
            member = items;
        }
        rest.is_empty() || member.has(rest)
    }
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;
    use serde_json::{Value, json};

    use super::*;

    fn schema(crd: impl serde::Serialize) -> Value {
        serde_json::to_value(crd).unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    fn served() -> Value {
        let mut schema = schema(GraphConnection::crd());
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": GROUP, "version": VERSION, "kind": "GraphConnection"}]);
        json!({"components": {"schemas": {"dev.edusync.v1alpha1.GraphConnection": schema}}})
    }

    fn lacking(resource: &str, served: &Value) -> Option<Vec<String>> {
        absent(resource, &serde_json::from_value(served.clone()).unwrap())
    }

    fn all_below(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.push(path.clone());
            all_below(member, &path, found);
        }
        for (form, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = schema.get(form) {
                all_below(inner, &format!("{path}{mark}"), found);
            }
        }
    }

    #[test]
    fn the_file_names_all_fields_of_our_types() {
        let kinds = [
            ("educationsyncprofiles", schema(EducationSyncProfile::crd())),
            ("graphconnections", schema(GraphConnection::crd())),
        ];
        for (resource, schema) in kinds {
            let mut all = Vec::new();
            all_below(&schema, "", &mut all);
            let said: Vec<&str> = ours(resource).collect();
            assert!(all.len() > 20, "{all:?}");
            assert_eq!(said, all, "run `cargo xtask generate`");
        }
    }

    #[test]
    fn the_own_definition_lacks_nothing_and_an_older_one_says_what() {
        let mut served = served();
        assert_eq!(lacking("graphconnections", &served), Some(Vec::new()));
        assert_eq!(lacking("educationsyncprofiles", &served), None, "it is not served");
        let schema = &mut served["components"]["schemas"]["dev.edusync.v1alpha1.GraphConnection"];
        schema["properties"]["status"]["properties"].as_object_mut().unwrap().remove("conditions");
        let application = &mut schema["properties"]["spec"]["properties"]["application"]["properties"];
        application["clientSecretRef"]["properties"].as_object_mut().unwrap().remove("key");
        assert_eq!(
            lacking("graphconnections", &served),
            Some(vec!["spec.application.clientSecretRef.key".to_owned(), "status.conditions".to_owned()])
        );
    }

    #[test]
    fn a_path_goes_through_arrays_and_maps_and_ends_where_everything_is_kept() {
        let schema: Schema = serde_json::from_value(json!({"properties": {
            "list": {"items": {"properties": {"name": {}}}},
            "lists": {"items": {"items": {"properties": {"name": {}}}}},
            "map": {"additionalProperties": {"properties": {"name": {}}}},
            "free": {"x-kubernetes-preserve-unknown-fields": true},
            "open": {"additionalProperties": true},
            "text": {}
        }}))
        .unwrap();
        let kept =
            ["list[].name", "lists[][].name", "map.*.name", "free.any.thing", "open.*.any", "text[].any"];
        for path in kept {
            assert!(schema.has(path), "{path}");
        }
        for path in ["list[].other", "lists[][].other", "map.*.other", "text.any", "other"] {
            assert!(!schema.has(path), "{path}");
        }
    }
}
