//! What a schema of Kubernetes (`JSONSchemaProps`, as JSON) says of a field, in words. Pure.

use serde_json::Value;

/// The word at a place (RFC 6901); empty where there is none.
pub(super) fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The entries of the list at a place.
pub(super) fn entries<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The words in the list at a place.
pub(super) fn words<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    entries(value, pointer).filter_map(Value::as_str)
}

/// The members of an object: first those that must be there, then the others, each group by name.
pub(super) fn properties(schema: &Value) -> Vec<(&str, &Value)> {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut members: Vec<_> = members.map(|(name, member)| (name.as_str(), member)).collect();
    members.sort_by_key(|(name, _)| (!is_required(schema, name), *name));
    members
}

/// Must the member be there?
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    words(schema, "/required").any(|required| required == name)
}

/// Is it a list?
pub(super) fn is_list(schema: &Value) -> bool {
    word(schema, "/type") == "array"
}

/// The object that is described: the schema itself, or that of the entries of a list. `None` for an object without
/// members, which has nothing to describe.
pub(super) fn object(schema: &Value) -> Option<&Value> {
    let inner = if is_list(schema) { schema.get("items")? } else { schema };
    inner.get("properties").map(|_| inner)
}

/// Do two objects have the same members under the same rules? What they are for may differ.
pub(super) fn same_shape(one: &Value, other: &Value) -> bool {
    ["properties", "required", "x-kubernetes-validations"].iter().all(|part| one.get(part) == other.get(part))
}

/// The sentences of the rules that stand at a schema itself; a rule without a sentence speaks for itself.
pub(super) fn rules(schema: &Value) -> impl Iterator<Item = &str> {
    let sentence = |rule| Some(word(rule, "/message")).filter(|text| !text.is_empty());
    entries(schema, "/x-kubernetes-validations")
        .map(move |rule| sentence(rule).unwrap_or_else(|| word(rule, "/rule")))
}

/// The type of what is not an object with members.
pub(super) fn type_name(schema: &Value) -> String {
    match (word(schema, "/type"), word(schema, "/format")) {
        ("array", _) => format!("list of {}s", schema.get("items").map(type_name).unwrap_or_default()),
        ("object", _) => "empty object (`{}`)".to_owned(),
        ("string", "date-time") => "time (RFC 3339)".to_owned(),
        (word, _) => word.to_owned(),
    }
}

/// What a value must keep to, apart from its type and the rules.
pub(super) fn bounds(schema: &Value) -> Vec<String> {
    let coded = |pointer: &str| words(schema, pointer).map(|word| format!("`{word}`")).collect::<Vec<_>>();
    let mut bounds = Vec::new();
    match coded("/enum").as_slice() {
        [] => {}
        words => bounds.push(format!("one of {}", words.join(", "))),
    }
    let [least, most] = ["minLength", "maxLength"].map(|name| schema.get(name));
    bounds.extend(range(least, most, " characters"));
    let [least, most] = ["minimum", "maximum"].map(|name| schema.get(name));
    bounds.extend(range(least, most, ""));
    let [least, most] = ["minItems", "maxItems"].map(|name| schema.get(name));
    bounds.extend(range(least, most, " entries"));
    if let Some(entry) = schema.get("items").filter(|_| object(schema).is_none()) {
        bounds.extend(self::bounds(entry).into_iter().map(|bound| format!("each {bound}")));
    }
    if word(schema, "/x-kubernetes-list-type") == "set" {
        bounds.push("no entry twice".to_owned());
    }
    match coded("/x-kubernetes-list-map-keys").as_slice() {
        [] => {}
        keys => bounds.push(format!("one entry for each {}", keys.join(" and "))),
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        bounds.push(format!("matches `{pattern}`"));
    }
    if let Some(default) = schema.get("default") {
        bounds.push(format!("left out: `{default}`"));
    }
    bounds
}

fn range(least: Option<&Value>, most: Option<&Value>, unit: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_has_a_name() {
        assert_eq!(type_name(&json!({"type": "boolean"})), "boolean");
        assert_eq!(type_name(&json!({"type": "string", "format": "date-time"})), "time (RFC 3339)");
        assert_eq!(type_name(&json!({"type": "integer", "format": "int64"})), "integer");
        assert_eq!(type_name(&json!({"type": "array", "items": {"type": "string"}})), "list of strings");
        assert_eq!(type_name(&json!({"type": "object"})), "empty object (`{}`)");
    }

    #[test]
    fn every_bound_is_named() {
        let text = json!({"type": "string", "minLength": 1, "maxLength": 10, "pattern": "^a$"});
        assert_eq!(bounds(&text), ["1 to 10 characters", "matches `^a$`"]);
        assert_eq!(bounds(&json!({"type": "string", "enum": ["A", "B"]})), ["one of `A`, `B`"]);
        assert_eq!(bounds(&json!({"type": "integer", "minimum": 5})), ["at least 5"]);
        assert_eq!(bounds(&json!({"type": "integer", "default": -1})), ["left out: `-1`"]);
        let set = json!({"type": "array", "maxItems": 3, "x-kubernetes-list-type": "set", "items": {"maxLength": 4}});
        assert_eq!(bounds(&set), ["at most 3 entries", "each at most 4 characters", "no entry twice"]);
        let map = json!({"type": "array", "x-kubernetes-list-map-keys": ["role"], "items": {"properties": {}, "maxLength": 4}});
        assert_eq!(bounds(&map), ["one entry for each `role`"]);
    }

    #[test]
    fn what_must_be_there_comes_first() {
        let schema = json!({"required": ["b"], "properties": {"a": {}, "b": {}, "c": {}}});
        let names: Vec<_> = properties(&schema).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a", "c"]);
    }

    #[test]
    fn a_shape_does_not_depend_on_what_it_is_for() {
        let one = json!({"description": "one", "properties": {"a": {"type": "string"}}});
        let same = json!({"description": "other", "nullable": true, "properties": {"a": {"type": "string"}}});
        let stricter = json!({"properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert!(same_shape(&one, &same));
        assert!(!same_shape(&one, &stricter));
    }

    #[test]
    fn a_rule_without_a_sentence_shows_itself() {
        let schema = json!({"x-kubernetes-validations": [{"rule": "a", "message": "say a"}, {"rule": "b"}]});
        assert_eq!(rules(&schema).collect::<Vec<_>>(), ["say a", "b"]);
    }
}
