//! The body of an update: the profile as Graph has it, with what the user set laid over it.
//!
//! Pure. Which of the two forms is sent is learnt by the client; whether to send one is decided above.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::RequestBody;
use crate::api::connection::Dialect;
use crate::api::profile::EducationSyncProfileSpec;
use crate::graph::client::Update;
use crate::graph::profile::kind;

/// An update in both forms. `wanted` is what the user set, with its secret; `read` is the profile as
/// Graph has it; `cleared` are paths that the user had set and took away (as [`applied_fields`] names them).
#[must_use]
pub fn update(wanted: &Value, read: &Value, cleared: &[String]) -> Update {
    let mut whole = read.clone();
    for path in cleared {
        clear(&mut whole, path);
    }
    lay_over(&mut whole, wanted);
    let patch = patch(&whole, read, wanted);
    Update { put: RequestBody::new(whole), patch: RequestBody::new(Value::Object(patch)) }
}

/// The update that makes the profile what the spec says. `read` is its configuration as Graph has it.
#[must_use]
pub fn update_bodies(
    spec: &EducationSyncProfileSpec,
    dialect: Dialect,
    secret: Option<&SecretString>,
    read: &str,
    cleared: &[String],
) -> Update {
    let read = serde_json::from_str(read).unwrap_or_else(|_| Value::Object(Map::new()));
    update(&super::body(spec, dialect, secret), &read, cleared)
}

/// The paths, such as `dataProvider.customizations.student.isSyncDeferred`, that the user set.
/// A list is one field. Secrets and type names are none: the one is not read, the other not set.
#[must_use]
pub fn applied_fields(wanted: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    collect("", wanted, &mut paths);
    paths
}

fn collect(path: &str, value: &Value, paths: &mut Vec<String>) {
    let Value::Object(members) = value else {
        paths.push(path.to_owned());
        return;
    };
    for (name, member) in members.iter().filter(|(name, _)| *name != "@odata.type" && *name != "clientSecret")
    {
        let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(&inner, member, paths);
    }
}

/// PATCH goes by members of the profile: complex values are sent whole (OData 4.01, part 1, section 11.4.3).
fn patch(whole: &Value, read: &Value, wanted: &Value) -> Map<String, Value> {
    let Value::Object(members) = whole else {
        return Map::new();
    };
    let set = |name: &str| wanted.get(name).is_some();
    members
        .iter()
        .filter(|(name, value)| set(name) || read.get(name.as_str()) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn lay_over(base: &mut Value, wanted: &Value) {
    match (base, wanted) {
        (Value::Object(base), Value::Object(wanted)) => {
            // A value of another kind is no base: its members would not fit.
            let known = kind(Some(&Value::Object(base.clone())));
            let kinds_differ =
                wanted.contains_key("@odata.type") && known != kind(Some(&Value::Object(wanted.clone())));
            if kinds_differ {
                base.clear();
            }
            for (name, value) in wanted {
                lay_over(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, wanted) => *base = wanted.clone(),
    }
}

/// Null clears: it is what PATCH takes for it, and what PUT takes for "not set".
fn clear(base: &mut Value, path: &str) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let Some(member) = base.get_mut(first) else {
        return;
    };
    match rest {
        Some(rest) => clear(member, rest),
        None => *member = Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read() -> Value {
        json!({
            "displayName": "Contoso",
            "expirationDate": "2027-06-30",
            "handleSpecialCharacterConstraint": true,
            "dataProvider": {
                "@odata.type": "microsoft.graph.educationPowerSchoolDataProvider",
                "connectionUrl": "https://old.example", "clientId": "c", "clientSecret": null,
                "customizations": {"student": {"isSyncDeferred": true, "allowDisplayNameUpdate": false}, "teacher": {"optionalPropertiesToSync": []}}
            },
            "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration", "userDomains": [{"appliesTo": "student", "name": "a.example"}]}
        })
    }

    fn wanted() -> Value {
        json!({
            "displayName": "Contoso",
            "dataProvider": {
                "@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
                "connectionUrl": "https://new.example", "clientId": "c", "clientSecret": "s",
                "customizations": {"student": {"allowDisplayNameUpdate": true}}
            },
            "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityMatchingConfiguration", "matchingOptions": []}
        })
    }

    #[test]
    fn what_the_user_set_is_laid_over_what_is_there() {
        let cleared =
            ["expirationDate".to_owned(), "dataProvider.customizations.student.isSyncDeferred".to_owned()];
        let update = update(&wanted(), &read(), &cleared);
        let put = update.put.expose();
        assert_eq!(put["dataProvider"]["@odata.type"], "#microsoft.graph.educationPowerSchoolDataProvider");
        assert_eq!(put["dataProvider"]["connectionUrl"], "https://new.example");
        assert_eq!(put["dataProvider"]["clientSecret"], "s");
        let student = &put["dataProvider"]["customizations"]["student"];
        assert_eq!(*student, json!({"isSyncDeferred": null, "allowDisplayNameUpdate": true}));
        assert_eq!(put["dataProvider"]["customizations"]["teacher"], json!({"optionalPropertiesToSync": []}));
        assert_eq!(put["expirationDate"], Value::Null);
        assert_eq!(put["handleSpecialCharacterConstraint"], true);
        // Of the other kind nothing is left.
        assert_eq!(
            put["identitySynchronizationConfiguration"],
            wanted()["identitySynchronizationConfiguration"]
        );
    }

    #[test]
    fn a_patch_leaves_out_what_the_user_never_set() {
        let update = update(&wanted(), &read(), &["expirationDate".to_owned()]);
        let patch = update.patch.expose();
        assert_eq!(patch.get("handleSpecialCharacterConstraint"), None);
        assert_eq!(patch.get("expirationDate"), Some(&Value::Null));
        assert_eq!(patch["dataProvider"], update.put.expose()["dataProvider"]);
    }

    #[test]
    fn applied_fields_are_leaves_without_secrets() {
        assert_eq!(
            applied_fields(&wanted()),
            [
                "dataProvider.clientId",
                "dataProvider.connectionUrl",
                "dataProvider.customizations.student.allowDisplayNameUpdate",
                "displayName",
                "identitySynchronizationConfiguration.matchingOptions"
            ]
        );
    }
}
