//! The names of all fields: definitions in, one line for each field out. Pure: nothing here reads or writes a file.

use std::fmt::Write;

use serde_json::Value;

use super::schema;

/// A line for each field of these definitions (`CustomResourceDefinition`): the resource, and the path. What is below a
/// field comes after it; `[]` is an array's items, `.*` what a map holds.
pub(super) fn list(definitions: &[Value]) -> String {
    let mut text = String::new();
    for definition in definitions {
        let resource = schema::word(definition, "/spec/names/plural");
        for version in schema::entries(definition, "/spec/versions") {
            if let Some(schema) = version.pointer("/schema/openAPIV3Schema") {
                collect(resource, schema, "", &mut text);
            }
        }
    }
    text
}

fn collect(resource: &str, schema: &Value, path: &str, text: &mut String) {
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{resource} {path}");
        collect(resource, member, &path, text);
    }
    for (form, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(inner) = schema.get(form) {
            collect(resource, inner, &format!("{path}{mark}"), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_has_a_line_and_those_below_it_come_after_it() {
        let definition = json!({"spec": {
            "names": {"plural": "schools"},
            "versions": [{"schema": {"openAPIV3Schema": {"properties": {
                "spec": {"properties": {
                    "grades": {"items": {"properties": {"name": {}}}},
                    "places": {"additionalProperties": {"properties": {"city": {}}}},
                    "title": {}
                }}
            }}}}]
        }});
        let lines = "\
schools spec
schools spec.grades
schools spec.grades[].name
schools spec.places
schools spec.places.*.city
schools spec.title
";
        assert_eq!(list(&[definition]), lines);
    }
}
