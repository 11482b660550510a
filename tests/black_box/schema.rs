//! The CRDs' schemas as trees of paths, so that a test can ask for every field there is.
//!
//! A path names the members from the spec down; `[]` stands for the items of a list of objects. Nothing here knows a
//! single field.

use serde_json::{Map, Value};

/// The schema of `spec` of this kind.
pub fn spec_schema(kind: &str) -> Value {
    let crds: Vec<Value> =
        edusync::api::crds::all().into_iter().map(|crd| serde_json::to_value(crd).unwrap()).collect();
    let crd = crds.iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// The members of an object's schema.
pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The path of a member.
pub fn join(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

/// Paths of everything that holds a value: no member below, and a list of plain values counts as one.
pub fn leaves(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, "", &mut |path, schema| {
        if properties(schema).is_none() && properties(&schema["items"]).is_none() {
            found.push(path.to_owned());
        }
    });
    found
}

/// The sentences of all rules of the schema.
pub fn sentences(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, "", &mut |_, schema| {
        let rules = schema["x-kubernetes-validations"].as_array();
        found.extend(rules.into_iter().flatten().map(|rule| rule["message"].as_str().unwrap().to_owned()));
    });
    found
}

/// Goes to each place of the schema, outer places first.
pub fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, member) in properties(schema).into_iter().flatten() {
        walk(member, &join(path, name), visit);
    }
    if properties(&schema["items"]).is_some() {
        walk(&schema["items"], &format!("{path}[]"), visit);
    }
}

/// The place that a path leads to, in the first item of each list.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.pointer(&pointer(path))
}

/// As [`at`], to be changed.
pub fn at_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    value.pointer_mut(&pointer(path))
}

/// Takes a member away.
pub fn remove(value: &mut Value, path: &str) -> Option<Value> {
    let (parent, member) = path.rsplit_once('.').unwrap_or(("", path));
    at_mut(value, parent)?.as_object_mut()?.remove(member)
}

fn pointer(path: &str) -> String {
    let path = path.replace("[]", ".0").replace('.', "/");
    if path.is_empty() { path } else { format!("/{path}") }
}
