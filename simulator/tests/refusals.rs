//! What a create body may not be. Every row starts from a good body and breaks one thing.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::bodies::{full, matching, oauth1, one_roster, power_school};
use support::{BETA, World, profile};

/// Replaces (or, with no value, removes) the member at a JSON pointer.
fn change(mut body: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match (parent, value) {
        (Value::Array(items), Some(value)) => items[name.parse::<usize>().unwrap()] = value,
        (Value::Object(members), Some(value)) => drop(members.insert(name.to_owned(), value)),
        (Value::Object(members), None) => assert!(members.remove(name).is_some(), "{pointer}"),
        _ => panic!("{pointer}"),
    }
    body
}

#[track_caller]
fn refuses(body: &Value, expected: &str) {
    let world = World::default();
    let refusal = world.post(BETA, &world.delegated(), body).refusal(400, "BadRequest");
    assert!(refusal.contains(expected), "{refusal}\n  does not contain {expected}\n  for {body}");
    assert_eq!(world.simulator.profiles(world.now).len(), 0, "nothing may be created");
}

#[test]
fn unknown_properties_are_refused_at_every_level_and_named() {
    let x = Some(json!("x"));
    let levels: [(Value, &str, &str); 10] = [
        (
            profile("P"),
            "/nickname",
            "'nickname' does not exist on type 'microsoft.graph.educationSynchronizationProfile'",
        ),
        (
            full(),
            "/dataProvider/connectionUrl",
            "'dataProvider.connectionUrl' does not exist on type 'microsoft.graph.educationCsvDataProvider'",
        ),
        (full(), "/dataProvider/customizations/course", "'dataProvider.customizations.course'"),
        (
            full(),
            "/dataProvider/customizations/studentEnrollment/defer",
            "customizations.studentEnrollment.defer",
        ),
        (one_roster(), "/dataProvider/schoolIds", "'dataProvider.schoolIds'"),
        (oauth1(), "/dataProvider/connectionSettings/tokenUrl", "'dataProvider.connectionSettings.tokenUrl'"),
        (power_school(), "/dataProvider/connectionSettings", "'dataProvider.connectionSettings'"),
        (
            full(),
            "/identitySynchronizationConfiguration/matchingOptions",
            "'identitySynchronizationConfiguration.matchingOptions'",
        ),
        (full(), "/identitySynchronizationConfiguration/userDomains/0/domain", "userDomains[0].domain"),
        (full(), "/licensesToAssign/0/sku", "'licensesToAssign[0].sku'"),
    ];
    for (body, pointer, expected) in levels {
        refuses(&change(body, pointer, x.clone()), expected);
    }
    refuses(&change(profile("P"), "/DisplayName", x), "'DisplayName' does not exist");
}

#[test]
fn required_properties_must_be_there_and_not_null_nor_empty() {
    let required = [
        (full(), "/displayName"),
        (full(), "/dataProvider"),
        (full(), "/identitySynchronizationConfiguration"),
        (full(), "/identitySynchronizationConfiguration/userDomains"),
        (full(), "/identitySynchronizationConfiguration/userDomains/0/appliesTo"),
        (full(), "/identitySynchronizationConfiguration/userDomains/0/name"),
        (matching(), "/identitySynchronizationConfiguration/matchingOptions"),
        (matching(), "/identitySynchronizationConfiguration/matchingOptions/0/appliesTo"),
        (matching(), "/identitySynchronizationConfiguration/matchingOptions/0/sourcePropertyName"),
        (matching(), "/identitySynchronizationConfiguration/matchingOptions/0/targetPropertyName"),
        (one_roster(), "/dataProvider/connectionUrl"),
        (one_roster(), "/dataProvider/connectionSettings"),
        (one_roster(), "/dataProvider/connectionSettings/clientId"),
        (one_roster(), "/dataProvider/connectionSettings/tokenUrl"),
        (power_school(), "/dataProvider/connectionUrl"),
        (power_school(), "/dataProvider/clientId"),
    ];
    for (body, pointer) in required {
        refuses(&change(body.clone(), pointer, None), "is required and missing");
        refuses(&change(body, pointer, Some(Value::Null)), "must not be null");
    }
    refuses(&profile(""), "'displayName' must not be empty");
}

#[test]
fn json_types_must_be_the_declared_ones() {
    let wrong = [
        (full(), "/displayName", json!(1), "'displayName' must be a string, but a number was sent"),
        (full(), "/dataProvider", json!("csv"), "'dataProvider' must be an object, but a string was sent"),
        (full(), "/handleSpecialCharacterConstraint", json!("true"), "must be true or false"),
        (full(), "/licensesToAssign", json!({}), "'licensesToAssign' must be an array"),
        (full(), "/licensesToAssign", Value::Null, "'licensesToAssign' must be an array, but null was sent"),
        (full(), "/licensesToAssign/0", json!("x"), "'licensesToAssign[0]' must be an object"),
        (
            full(),
            "/licensesToAssign/0/skuIds/0",
            json!(7),
            "'licensesToAssign[0].skuIds[0]' must be a string",
        ),
        (full(), "/dataProvider/customizations", json!([]), "must be an object, but an array"),
        (
            full(),
            "/dataProvider/customizations/studentEnrollment/isSyncDeferred",
            json!(0),
            "must be true or false",
        ),
        (
            power_school(),
            "/dataProvider/schoolYear",
            json!(2024),
            "'dataProvider.schoolYear' must be a string",
        ),
        (one_roster(), "/dataProvider/termIds", json!("term"), "'dataProvider.termIds' must be an array"),
        (full(), "/expirationDate", json!(20_260_302), "'expirationDate' must be a string"),
    ];
    for (body, pointer, value, expected) in wrong {
        refuses(&change(body, pointer, Some(value)), expected);
    }
    refuses(&json!([]), "The request body must be an object, but an array was sent.");
}

#[test]
fn values_must_be_what_their_property_means() {
    let domain = "/identitySynchronizationConfiguration/userDomains/0";
    let role = format!("{domain}/appliesTo");
    let name = format!("{domain}/name");
    let start = "/dataProvider/customizations/studentEnrollment/synchronizationStartDate";
    let wrong = [
        (full(), role.as_str(), "none", "'student', 'teacher', 'faculty'"),
        (full(), role.as_str(), "Student", "'student', 'teacher', 'faculty'"),
        (full(), role.as_str(), "String", "userDomains[0].appliesTo"),
        (full(), "/licensesToAssign/0/appliesTo", "unknownFutureValue", "licensesToAssign[0].appliesTo"),
        (
            full(),
            "/licensesToAssign/0/skuIds/0",
            "Sku Ids value",
            "'licensesToAssign[0].skuIds[0]' must be a GUID",
        ),
        (
            full(),
            "/licensesToAssign/0/skuIds/0",
            "6fd2c87fb29642f0b1971e91e994b900",
            "must be a GUID with hyphens",
        ),
        (full(), name.as_str(), "", "must not be empty"),
        (full(), name.as_str(), " ", "must be a domain name"),
        (full(), name.as_str(), "@fabrikam.example", "must be a domain name, without '@'"),
        (one_roster(), "/dataProvider/connectionUrl", "sis.fabrikam.example", "must be an absolute URL"),
        (
            one_roster(),
            "/dataProvider/connectionSettings/tokenUrl",
            "ftp://x.example/",
            "must be an absolute URL",
        ),
        (full(), "/expirationDate", "02.03.2026", "of the form YYYY-MM-DD"),
        (full(), "/expirationDate", "2026-03-02T00:00:00Z", "of the form YYYY-MM-DD"),
        (full(), "/expirationDate", "2025-02-29", "of the form YYYY-MM-DD"),
        (
            full(),
            "/expirationDate",
            "2026-03-03",
            "at most 18 months after the creation, so not after 2026-03-02",
        ),
        (full(), start, "2024-10-01", "must be a date and time with an offset"),
        (full(), start, "2024-10-01T00:00:00", "must be a date and time with an offset"),
    ];
    for (body, pointer, value, expected) in wrong {
        refuses(&change(body, pointer, Some(json!(value))), expected);
    }
}

#[test]
fn a_type_must_be_named_rightly_where_it_is_needed() {
    let provider = "/dataProvider/@odata.type";
    let settings = "/dataProvider/connectionSettings/@odata.type";
    let identity = "/identitySynchronizationConfiguration/@odata.type";
    for (body, pointer) in [(full(), provider), (full(), identity), (one_roster(), settings)] {
        refuses(&change(body, pointer, None), "needs an '@odata.type'");
    }
    let invalid = "Invalid OData type specified: \"";
    let rows = [
        (full(), provider, "#Microsoft.Education.DataSync.educationCsvDataProvider"),
        (full(), provider, "#microsoft.graph.educationSynchronizationDataProvider"),
        (full(), provider, "#microsoft.graph.educationIdentityCreationConfiguration"),
        (full(), identity, "#Microsoft.Education.DataSync.educationIdentityCreationConfiguration"),
        (full(), identity, "#microsoft.graph.educationIdentitySynchronizationConfiguration"),
        (one_roster(), settings, "#microsoft.graph.educationSynchronizationConnectionSettings"),
        (full(), "/dataProvider/customizations/@odata.type", "#microsoft.graph.educationCsvDataProvider"),
        (full(), "/licensesToAssign/0/@odata.type", "#microsoft.graph.assignedLicense"),
        (
            full(),
            "/identitySynchronizationConfiguration/userDomains/0/@odata.type",
            "#microsoft.graph.domain",
        ),
    ];
    for (body, pointer, name) in rows {
        let expected = format!("{invalid}{}\"", &name[1..]);
        refuses(&change(body, pointer, Some(json!(name))), &expected);
    }
    let concrete = change(
        full(),
        "/identitySynchronizationConfiguration/userDomains/0/@odata.type",
        Some(json!("#microsoft.graph.educationIdentityDomain")),
    );
    let world = World::default();
    assert_eq!(world.post(BETA, &world.delegated(), &concrete).status, 201);
}

#[test]
fn a_body_must_be_json_and_say_so() {
    let world = World::default();
    let token = world.delegated();
    let refusal = world.post_text(BETA, &token, "{\"displayName\": ").refusal(400, "BadRequest");
    assert!(refusal.starts_with("The request body is not valid JSON"), "{refusal}");
    world.post_text(BETA, &token, "").refusal(400, "BadRequest");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let request = http::Request::post(BETA)
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", content_type);
        world.send(request, full().to_string()).refusal(415, "UnsupportedMediaType");
    }
    let request = http::Request::post(BETA)
        .header("Authorization", format!("bearer {token}"))
        .header("Content-Type", "Application/json; charset=utf-8");
    assert_eq!(world.send(request, full().to_string()).status, 201);
}

#[test]
fn the_profile_itself_may_name_its_own_type_only() {
    let world = World::default();
    let token = world.delegated();
    for (name, status) in [
        ("#microsoft.graph.educationSynchronizationProfile", 201),
        ("#microsoft.graph.educationSchool", 400),
        ("#Microsoft.Education.DataSync.educationSynchronizationProfile", 400),
        ("#microsoft.graph.synchronizationProfile", 400),
    ] {
        let mut body = support::profile("P");
        body["@odata.type"] = name.into();
        let reply = world.post(BETA, &token, &body);
        assert_eq!(reply.status, status, "{name}: {}", reply.text);
        assert_eq!(reply.text.contains("Invalid OData type specified"), status == 400, "{}", reply.text);
    }
}
