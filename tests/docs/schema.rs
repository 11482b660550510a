//! Does a manifest keep to a resource definition? Strictly: a field that the definition does not have is an error.

use serde_json::Value;

/// What a user may write into a manifest of one kind.
pub struct Definition {
    pub kind: String,
    schema: Value,
}

/// Both resources.
pub fn definitions() -> Vec<Definition> {
    let define = |crd| {
        let value = serde_json::to_value(crd).unwrap();
        let kind = value["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        Definition { kind, schema: value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone() }
    };
    edusync::api::crds::all().into_iter().map(define).collect()
}

impl Definition {
    /// Paths that are not as the definition has them; those of `metadata` are not its business.
    pub fn errors(&self, manifest: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        for (name, member) in manifest.as_object().into_iter().flatten() {
            if !matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                check(&self.schema["properties"][name], member, name, &mut errors);
            }
        }
        errors
    }

    /// Is there such a field? `path` has names with dots between them, `[]` at lists is left out.
    pub fn has(&self, path: &str) -> bool {
        let inner = |schema: Value| if schema["type"] == "array" { schema["items"].clone() } else { schema };
        let found = path.split('.').try_fold(self.schema.clone(), |schema, name| {
            inner(schema)["properties"].get(name.trim_end_matches("[]")).cloned()
        });
        found.is_some()
    }
}

fn check(schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    if schema["type"] != kind {
        return errors.push(format!("{path} is {kind}, and should be {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        errors.push(format!("{path} is {value}, and should be one of {}", schema["enum"]));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => check(schema, member, &format!("{path}.{name}"), errors),
            None => errors.push(format!("{path}.{name} is no field")),
        }
    }
    for entry in value.as_array().into_iter().flatten() {
        check(&schema["items"], entry, &format!("{path}[]"), errors);
    }
}
