//! Wrong manifests, made from good ones by the schema: each has one thing wrong, and says what its refusal must say.
//!
//! What the schema says by itself (types, lengths, required members) is broken at every place. What our own rules say
//! is broken by the values of [`BREAKING`], in which every sentence of the schema must be found.

use serde_json::{Value, json};

use crate::schema::{at, at_mut, join, properties, walk};

/// A manifest with one thing wrong.
pub struct Wrong {
    /// The good manifest that it was made from.
    pub base: String,
    /// What is wrong, for the person who reads the failure.
    pub what: String,
    pub spec: Value,
    /// The refusal names this place,
    pub place: String,
    /// and says this.
    pub says: String,
}

/// Everything that can be wrong with this spec.
pub fn mutations(base: &str, schema: &Value, good: &Value) -> Vec<Wrong> {
    let mut all = Vec::new();
    walk(schema, "", &mut |path, schema| {
        let Some(value) = at(good, path) else {
            return;
        };
        let mut add = |what: &str, spec: Value, place: &str, says: String| {
            let (base, what) = (base.to_owned(), what.to_owned());
            all.push(Wrong { base, what, spec, place: place_of(place), says });
        };
        let replaced = |value: Value| {
            let mut spec = good.clone();
            *at_mut(&mut spec, path).unwrap() = value;
            spec
        };
        by_type(path, schema, value, &mut add, &replaced);
        by_length(path, schema, value, &mut add, &replaced);
        by_members(path, schema, value, &mut add, &replaced);
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let sentence = rule["message"].as_str().unwrap();
            for change in breaking(sentence) {
                let mut changed = value.clone();
                merge(&mut changed, &change);
                let what = format!("{path} with {change}");
                add(&what, replaced(changed), path, sentence.to_owned());
            }
        }
    });
    all
}

type Add<'a> = dyn FnMut(&str, Value, &str, String) + 'a;
type Replaced<'a> = dyn Fn(Value) -> Value + 'a;

/// A value of another type, and a word that is none of the words.
fn by_type(path: &str, schema: &Value, value: &Value, add: &mut Add<'_>, replaced: &Replaced<'_>) {
    let kind = schema["type"].as_str().unwrap();
    // The usual slips: a year without quotes, a flag with quotes, one value where a list belongs.
    let slip = match value {
        Value::String(_) => json!(2027),
        Value::Bool(_) => json!("true"),
        _ => json!("text"),
    };
    let says = format!("must be of type {kind}");
    add(&format!("{path} of another type"), replaced(slip), path, says.clone());
    if value.is_string() {
        add(&format!("{path} as a list"), replaced(json!([value])), path, says);
    }
    if schema["enum"].is_array() {
        for word in ["Nonsense".to_owned(), swap_case(value.as_str().unwrap())] {
            let what = format!("{path} with the word {word}");
            add(&what, replaced(json!(word)), path, "supported values:".to_owned());
        }
    }
}

/// Beginners write `Student` and `delete`.
fn swap_case(word: &str) -> String {
    let lower = word.to_lowercase();
    if lower == word { word.to_uppercase() } else { lower }
}

/// One more than there may be, and one twice.
fn by_length(path: &str, schema: &Value, value: &Value, add: &mut Add<'_>, replaced: &Replaced<'_>) {
    if let Some(longest) = schema["maxLength"].as_u64() {
        let long = "a".repeat(usize::try_from(longest).unwrap() + 1);
        let says = format!("may not be more than {longest} ");
        add(&format!("{path} too long"), replaced(json!(long)), path, says);
    }
    let Some(items) = value.as_array() else {
        return;
    };
    let first = items.first().unwrap();
    if let Some(most) = schema["maxItems"].as_u64() {
        let many: Vec<Value> = (0..=most).map(|number| numbered(first, number)).collect();
        add(
            &format!("{path} too many"),
            replaced(json!(many)),
            path,
            format!("must have at most {most} item"),
        );
    }
    if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
        add(&format!("{path} empty"), replaced(json!([])), path, "should have at least 1 item".to_owned());
    }
    if let Some(longest) = schema["items"]["maxLength"].as_u64() {
        let long = json!(["a".repeat(usize::try_from(longest).unwrap() + 1)]);
        let says = format!("may not be more than {longest} ");
        add(&format!("{path} with an item too long"), replaced(long), path, says);
    }
    if schema["items"]["type"] == "string" {
        let says = "must be of type string".to_owned();
        add(&format!("{path} with an item of another type"), replaced(json!([2027])), path, says);
    }
    if schema["x-kubernetes-list-type"].is_string() {
        let twice = json!([first, first]);
        add(&format!("{path} with one twice"), replaced(twice), path, "Duplicate value".to_owned());
    }
}

fn numbered(item: &Value, number: u64) -> Value {
    match item {
        Value::String(text) => json!(format!("{text}{number}")),
        other => other.clone(),
    }
}

/// A member left out that must be there, and one that nobody knows.
fn by_members(path: &str, schema: &Value, value: &Value, add: &mut Add<'_>, replaced: &Replaced<'_>) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        let mut without = value.clone();
        without.as_object_mut().unwrap().remove(name);
        let place = join(path, name);
        add(&format!("{place} left out"), replaced(without), &place, "Required value".to_owned());
    }
    // Where nothing may stand, server-side apply drops silently whatever stands there; so that place is left out.
    if properties(schema).is_some() {
        let mut with = value.clone();
        with["nobodyKnows"] = json!("this");
        let place = join(path, "nobodyKnows");
        add(&format!("{place} is unknown"), replaced(with), &place, "unknown field".to_owned());
    }
}

/// As the API server writes a path.
fn place_of(path: &str) -> String {
    format!("spec.{path}").trim_end_matches('.').replace("[]", "[0]")
}

/// JSON Merge Patch (RFC 7396).
pub fn merge(value: &mut Value, change: &Value) {
    let (Value::Object(members), Value::Object(changes)) = (&mut *value, change) else {
        *value = change.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(json!({})), change);
        }
    }
}

/// Merge patches for the place of a rule, each of which must bring its sentence.
pub fn breaking(sentence: &str) -> Vec<Value> {
    let found = crate::rules::breaking().into_iter().find(|(begins, _)| sentence.starts_with(begins));
    found.map(|(_, changes)| changes).unwrap_or_default()
}
