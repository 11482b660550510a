//! JSON of the kind that comes back: the documented names and words, in places where they do not belong.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// Names of members in answers of Graph, of the token service and of the blob host.
const NAMES: [&str; 44] = [
    "@odata.type",
    "@odata.context",
    "@odata.nextLink",
    "@odata.count",
    "value",
    "id",
    "displayName",
    "state",
    "dataProvider",
    "identitySynchronizationConfiguration",
    "licensesToAssign",
    "expirationDate",
    "handleSpecialCharacterConstraint",
    "customizations",
    "student",
    "teacher",
    "optionalPropertiesToSync",
    "synchronizationStartDate",
    "connectionSettings",
    "clientSecret",
    "profileStatus",
    "errors",
    "status",
    "syncStatus",
    "lastSynchronizationDateTime",
    "lastActivityDateTime",
    "errorCount",
    "statusMessage",
    "error",
    "code",
    "message",
    "innerError",
    "innererror",
    "request-id",
    "requestId",
    "error_codes",
    "error_description",
    "correlation_id",
    "access_token",
    "expires_in",
    "refresh_token",
    "type",
    "fileName",
    "description",
];

/// Words that mean something, and some that only look like it.
const WORDS: [&str; 20] = [
    "",
    ".",
    "..",
    "provisioned",
    "Provisioning",
    "deleting",
    "success",
    "unknownFutureValue",
    "inProgress",
    "0001-01-01T00:00:00Z",
    "2024-09-02T06:04:52.0011223Z",
    "9999-12-31T23:59:60Z",
    "#microsoft.graph.educationCsvDataProvider",
    "microsoft.graph.",
    "#",
    "Error",
    "invalid_client",
    "BadRequest",
    "https://graph.microsoft.com/beta/education/synchronizationProfiles?$skiptoken=1",
    "https://evil.example/next",
];

pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-zA-Z0-9 _.:/?&=%-]{0,80}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| Value::Number(n.into())),
        any::<f64>().prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            btree_map(name(), inner, 0..7)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A body: JSON mostly, also cut short, and anything else.
pub fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => (value(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
            let mut bytes = value.to_string().into_bytes();
            bytes.truncate(at.index(bytes.len()));
            bytes
        }),
        1 => vec(any::<u8>(), 0..200),
        1 => Just(b"<html><body>Bad Gateway</body></html>".to_vec()),
    ]
}
