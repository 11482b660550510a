//! Where does a profile differ from what the manifest asks for?
//!
//! Only what the user set is compared; what the service fills in, and members it adds, do not
//! count. The answer is a list of paths: values could be secrets.

use serde_json::Value;

use super::profile::kind;

/// Paths, such as `dataProvider.customizations.student`, at which `actual` differs from `wanted`.
#[must_use]
pub fn differences(wanted: &Value, actual: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", wanted, actual, &mut paths);
    paths
}

fn compare(path: &str, wanted: &Value, actual: &Value, paths: &mut Vec<String>) {
    match (wanted, actual) {
        (Value::Object(members), Value::Object(others)) => {
            for (name, value) in members {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if name == "@odata.type" {
                    if kind(Some(wanted)) != kind(Some(actual)) {
                        paths.push(inner);
                    }
                } else if name == "appliesTo" && same_word(value, others.get(name)) {
                    // The preview of 2017 wrote roles in Pascal case.
                } else {
                    compare(&inner, value, others.get(name).unwrap_or(&Value::Null), paths);
                }
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            if !same_set(items, others) {
                paths.push(path.to_owned());
            }
        }
        _ if same_scalar(wanted, actual) => {}
        _ => paths.push(path.to_owned()),
    }
}

/// The order of a list has no meaning in this API, so lists are compared as sets.
fn same_set(items: &[Value], others: &[Value]) -> bool {
    items.len() == others.len()
        && items.iter().all(|item| others.iter().any(|other| differences(item, other).is_empty()))
}

fn same_scalar(wanted: &Value, actual: &Value) -> bool {
    match (unset(wanted), unset(actual)) {
        (Value::String(wanted), Value::String(actual)) => {
            wanted == actual || same_time(wanted, actual) || same_guid(wanted, actual)
        }
        // What is not set is false, and has no members.
        (Value::Bool(false), Value::Null) => true,
        (Value::Object(members), Value::Null) => members.is_empty(),
        (wanted, actual) => wanted == actual,
    }
}

/// `0001-01-01T00:00:00Z` is how the service says that a time is not set.
fn unset(value: &Value) -> &Value {
    match value.as_str() {
        Some(text) if text.starts_with("0001-01-01T00:00:00") => &Value::Null,
        _ => value,
    }
}

fn same_word(wanted: &Value, actual: Option<&Value>) -> bool {
    let texts = wanted.as_str().zip(actual.and_then(Value::as_str));
    texts.is_some_and(|(wanted, actual)| wanted.eq_ignore_ascii_case(actual))
}

fn same_guid(wanted: &str, actual: &str) -> bool {
    wanted.eq_ignore_ascii_case(actual) && uuid::Uuid::try_parse(wanted).is_ok()
}

fn same_time(wanted: &str, actual: &str) -> bool {
    match (wanted.parse::<jiff::Timestamp>(), actual.parse::<jiff::Timestamp>()) {
        (Ok(wanted), Ok(actual)) => wanted == actual,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_service_fills_in_is_no_difference() {
        let wanted = json!({"dataProvider": {
            "@odata.type": "#microsoft.graph.educationCsvDataProvider",
            "customizations": {
                "student": {"optionalPropertiesToSync": ["State ID", "Middle Name"]},
                "studentEnrollment": {"synchronizationStartDate": "2027-08-15T02:00:00+02:00"}
            }
        }});
        let actual = json!({"id": "1", "dataProvider": {
            "@odata.type": "microsoft.graph.csvDataProvider",
            "customizations": {
                "student": {"optionalPropertiesToSync": ["Middle Name", "State ID"], "isSyncDeferred": false},
                "teacher": {"optionalPropertiesToSync": []},
                "studentEnrollment": {"synchronizationStartDate": "2027-08-15T00:00:00.0000000Z"}
            }
        }});
        assert_eq!(differences(&wanted, &actual), Vec::<String>::new());
    }

    #[test]
    fn another_spelling_of_a_role_or_an_id_is_no_difference() {
        let wanted = json!({"licensesToAssign": [
            {"appliesTo": "student", "skuIds": ["6FD2C87F-b296-42f0-b197-1e91e994b900"]}
        ]});
        let actual = json!({"licensesToAssign": [
            {"appliesTo": "Student", "skuIds": ["6fd2c87f-b296-42f0-b197-1e91e994b900"]}
        ]});
        assert_eq!(differences(&wanted, &actual), Vec::<String>::new());
        assert_eq!(differences(&json!({"displayName": "a"}), &json!({"displayName": "A"})), ["displayName"]);
    }

    #[test]
    fn what_is_not_set_is_false_and_has_no_members() {
        let wanted = json!({"teacher": {"isSyncDeferred": false}, "section": {}});
        assert!(differences(&wanted, &json!({"teacher": {"isSyncDeferred": null}})).is_empty());
        assert_eq!(
            differences(&wanted, &json!({"teacher": {"isSyncDeferred": true}})),
            ["teacher.isSyncDeferred"]
        );
        assert_eq!(differences(&json!({"a": {"b": true}}), &json!({})), ["a"]);
    }

    #[test]
    fn the_first_day_of_all_is_no_time() {
        for none in [json!(null), json!("0001-01-01T00:00:00Z"), json!("0001-01-01T00:00:00.0000000Z")] {
            assert!(differences(&json!({"end": null}), &json!({"end": none})).is_empty(), "{none}");
            assert_eq!(differences(&json!({"end": "2027-06-30"}), &json!({"end": none})), ["end"]);
        }
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        let wanted = json!({"displayName": "A", "expirationDate": "2027-06-30", "licensesToAssign": [{"appliesTo": "student", "skuIds": ["1"]}],
            "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider", "customizations": {"student": {"isSyncDeferred": true}}}});
        let actual = json!({"displayName": "B", "expirationDate": null, "licensesToAssign": [{"appliesTo": "student", "skuIds": ["2"]}],
            "dataProvider": {"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider", "customizations": null}});
        let mut paths = differences(&wanted, &actual);
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "dataProvider.@odata.type",
                "dataProvider.customizations",
                "displayName",
                "expirationDate",
                "licensesToAssign"
            ]
        );
    }
}
