//! Reads one JSON object as a closed OData type: every member must be declared, and of its declared JSON type.
//! It knows no particular type; the types are read in `parse` and `parse_provider`.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Invalid;
use super::types::{Generation, TypeName, check_declared};

/// What the reading of a body depends on besides the body.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) generation: Generation,
    pub(crate) accept_type_without_hash: bool,
    pub(crate) now: Timestamp,
}

/// One object on its way to becoming a typed value.
pub(crate) struct Reader<'a> {
    members: &'a Map<String, Value>,
    path: String,
    rules: Rules,
}

impl<'a> Reader<'a> {
    /// Takes `value` as an object; `path` names it in messages and is empty for the body itself.
    pub(crate) fn open(value: &'a Value, path: &str, rules: Rules) -> Result<Self, Invalid> {
        match value {
            Value::Object(members) => Ok(Self { members, path: path.to_owned(), rules }),
            other => Err(wrong_type(path, "an object", other)),
        }
    }

    /// Refuses members that `type_name` does not declare (inferred: closed OData types). Annotations (any name with
    /// an `@`) that the service does not know are ignored, as OData's JSON format demands.
    pub(crate) fn closed(&self, type_name: TypeName, declared: &[&str]) -> Result<(), Invalid> {
        let unknown =
            self.members.keys().find(|name| !name.contains('@') && !declared.contains(&name.as_str()));
        let Some(unknown) = unknown else { return Ok(()) };
        Err(Invalid::new(format!(
            "The property '{}' does not exist on type '{}'. Make sure to only use property names that are defined by the type.",
            self.at(unknown),
            type_name.qualified(self.rules.generation)
        )))
    }

    /// As [`Self::closed`], for a member whose declared type is concrete, so that `@odata.type` is optional.
    pub(crate) fn declared(&self, type_name: TypeName, declared: &[&str]) -> Result<(), Invalid> {
        if let Some(given) = self.type_annotation()? {
            check_declared(given, type_name, self.rules.generation)?;
        }
        self.closed(type_name, declared)
    }

    /// `@odata.type`, if it is there.
    pub(crate) fn type_annotation(&self) -> Result<Option<&'a str>, Invalid> {
        self.optional_string("@odata.type")
    }

    /// The full name of a member, for messages.
    pub(crate) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The name of this object, for messages.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// A member that may be absent or null.
    pub(crate) fn optional(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A member that must be there ("Required": not nullable in the beta metadata).
    pub(crate) fn required(&self, name: &str) -> Result<&'a Value, Invalid> {
        match self.members.get(name) {
            None => Err(Invalid::new(format!("The property '{}' is required and missing.", self.at(name)))),
            Some(Value::Null) => {
                Err(Invalid::new(format!("The property '{}' must not be null.", self.at(name))))
            }
            Some(value) => Ok(value),
        }
    }

    /// A required string. The empty string is no value either (inferred: the create page promises 400 for a model
    /// that fails validation).
    pub(crate) fn string(&self, name: &str) -> Result<&'a str, Invalid> {
        let text = as_string(self.required(name)?, &self.at(name))?;
        if text.is_empty() {
            return Err(Invalid::new(format!("The property '{}' must not be empty.", self.at(name))));
        }
        Ok(text)
    }

    pub(crate) fn optional_string(&self, name: &str) -> Result<Option<&'a str>, Invalid> {
        self.optional(name).map(|value| as_string(value, &self.at(name))).transpose()
    }

    /// [`Self::optional_string`], kept.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, Invalid> {
        Ok(self.optional_string(name)?.map(str::to_owned))
    }

    pub(crate) fn optional_bool(&self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(&self.at(name), "true or false", other)),
        }
    }

    /// A collection that may be absent but not null: collections have no null value (inferred: OData).
    pub(crate) fn collection(&self, name: &str) -> Result<&'a [Value], Invalid> {
        match self.members.get(name) {
            None => Ok(&[]),
            Some(value) => as_array(value, &self.at(name)),
        }
    }

    /// A collection that must be there; it may be empty, no document forbids it.
    pub(crate) fn required_collection(&self, name: &str) -> Result<&'a [Value], Invalid> {
        as_array(self.required(name)?, &self.at(name))
    }

    /// A collection of strings that may be absent but not null.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, Invalid> {
        self.texts(name, self.collection(name)?)
    }

    /// A collection of strings that may be absent or null.
    pub(crate) fn optional_strings(&self, name: &str) -> Result<Option<Vec<String>>, Invalid> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        self.texts(name, as_array(value, &self.at(name))?).map(Some)
    }

    fn texts(&self, name: &str, items: &[Value]) -> Result<Vec<String>, Invalid> {
        let text = |(index, item)| as_string(item, &self.item(name, index)).map(str::to_owned);
        items.iter().enumerate().map(text).collect()
    }

    /// The full name of an item of a collection, for messages.
    pub(crate) fn item(&self, name: &str, index: usize) -> String {
        format!("{}[{index}]", self.at(name))
    }

    /// Reads each item of a collection of objects.
    pub(crate) fn objects<T>(
        &self,
        name: &str,
        items: &'a [Value],
        read: impl Fn(&Self) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Invalid> {
        let one = |(index, item)| read(&Reader::open(item, &self.item(name, index), self.rules)?);
        items.iter().enumerate().map(one).collect()
    }
}

fn as_string<'a>(value: &'a Value, path: &str) -> Result<&'a str, Invalid> {
    value.as_str().ok_or_else(|| wrong_type(path, "a string", value))
}

fn as_array<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], Invalid> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong_type(path, "an array", value))
}

/// Says what was sent by its kind only: the value may be a secret.
fn wrong_type(path: &str, expected: &str, value: &Value) -> Invalid {
    let sent = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let subject =
        if path.is_empty() { "The request body".to_owned() } else { format!("The property '{path}'") };
    Invalid::new(format!("{subject} must be {expected}, but {sent} was sent."))
}
