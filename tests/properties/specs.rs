//! Specs that the CRD admits. Each optional field is sometimes there and sometimes not.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ROLES: [&str; 3] = ["student", "teacher", "faculty"];

fn object(members: Vec<(&'static str, Option<Value>)>) -> Value {
    let present = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect::<Map<_, _>>())
}

fn flag() -> impl Strategy<Value = Option<Value>> {
    option::of(any::<bool>().prop_map(Value::Bool))
}

/// One line of text, trimmed: letters of many scripts among them.
fn line(longest: usize) -> impl Strategy<Value = String> {
    let pattern = format!(
        "[\\p{{L}}\\p{{N}}'\"&<>\\\\(),.€😀-]([\\p{{L}}\\p{{N}} '&-]{{0,{longest}}}[\\p{{L}}\\p{{N}}])?"
    );
    proptest::string::string_regex(&pattern).unwrap()
}

fn domain() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,12}(-[a-z0-9]{1,8})?\\.(example|school\\.example|edu)"
}

fn words() -> BoxedStrategy<Value> {
    btree_set(line(20), 1..5).prop_map(|set| json!(set)).boxed()
}

fn entity() -> BoxedStrategy<Option<Value>> {
    let headings = option::of(btree_set(line(20), 0..5).prop_map(|set| json!(set)));
    option::of((headings, flag(), flag()).prop_map(|(headings, deferred, update)| {
        object(vec![
            ("optionalPropertiesToSync", headings),
            ("isSyncDeferred", deferred),
            ("allowDisplayNameUpdate", update),
        ])
    }))
    .boxed()
}

fn enrollment() -> BoxedStrategy<Option<Value>> {
    let start = option::of(
        ("202[6-9]", 1..13_u8, 1..29_u8, 0..24_u8, prop_oneof![Just("Z"), Just("+02:00"), Just(".5Z")])
            .prop_map(|(year, month, day, hour, zone)| {
                json!(format!("{year}-{month:02}-{day:02}T{hour:02}:30:00{zone}"))
            }),
    );
    option::of((start, flag(), flag()).prop_map(|(start, deferred, update)| {
        object(vec![
            ("synchronizationStartDate", start),
            ("isSyncDeferred", deferred),
            ("allowDisplayNameUpdate", update),
        ])
    }))
    .boxed()
}

fn roster() -> BoxedStrategy<Option<Value>> {
    option::of((flag(), flag()).prop_map(|(deferred, update)| {
        object(vec![("isSyncDeferred", deferred), ("allowDisplayNameUpdate", update)])
    }))
    .boxed()
}

fn customizations() -> BoxedStrategy<Option<Value>> {
    let parts = (entity(), entity(), entity(), entity(), enrollment(), roster());
    parts
        .prop_map(|(school, section, student, teacher, enrollment, roster)| {
            let all = object(vec![
                ("school", school),
                ("section", section),
                ("student", student),
                ("teacher", teacher),
                ("studentEnrollment", enrollment),
                ("teacherRoster", roster),
            ]);
            // The CRD wants at least one part.
            Some(all).filter(|all| all != &json!({}))
        })
        .boxed()
}

fn secret_ref() -> Value {
    json!({"name": "source", "key": "clientSecret"})
}

fn one_roster() -> BoxedStrategy<Value> {
    let oauth1 =
        line(20).prop_map(|client| json!({"oauth1": {"clientId": client, "clientSecretRef": secret_ref()}}));
    let oauth2 = (line(20), domain(), option::of("[a-z.:/]{1,12}( [a-z.:/]{1,12})?")).prop_map(
        |(client, host, scope)| {
            json!({"oauth2ClientCredentials": object(vec![
                ("clientId", Some(json!(client))),
                ("clientSecretRef", Some(secret_ref())),
                ("tokenUrl", Some(json!(format!("https://{host}/token")))),
                ("scope", scope.map(|scope| json!(scope))),
            ])})
        },
    );
    let settings = prop_oneof![oauth1, oauth2];
    (domain(), settings, option::of(line(30)), option::of(words()), option::of(words()), customizations())
        .prop_map(|(host, settings, provider, schools, terms, customizations)| {
            json!({"oneRoster": object(vec![
                ("connectionUrl", Some(json!(format!("https://{host}/ims/oneroster/v1p1")))),
                ("connectionSettings", Some(settings)),
                ("providerName", provider.map(|name| json!(name))),
                ("schoolsIds", schools),
                ("termIds", terms),
                ("customizations", customizations),
            ])})
        })
        .boxed()
}

fn power_school() -> BoxedStrategy<Value> {
    (domain(), line(20), option::of(words()), option::of("20[0-9]{2}"), flag(), customizations())
        .prop_map(|(host, client, schools, year, several, customizations)| {
            json!({"powerSchool": object(vec![
                ("connectionUrl", Some(json!(format!("https://{host}")))),
                ("clientId", Some(json!(client))),
                ("clientSecretRef", Some(secret_ref())),
                ("schoolsIds", schools),
                ("schoolYear", year.map(|year| json!(year))),
                ("allowTeachersInMultipleSchools", several),
                ("customizations", customizations),
            ])})
        })
        .boxed()
}

fn provider() -> BoxedStrategy<Value> {
    let csv = customizations().prop_map(|parts| json!({"csv": object(vec![("customizations", parts)])}));
    prop_oneof![csv, one_roster(), power_school()].boxed()
}

fn roles() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(&ROLES[..], 1..=3)
}

fn matching() -> BoxedStrategy<Value> {
    let option = (line(20), "[A-Za-z][A-Za-z0-9]{0,20}", option::of(domain()));
    (roles(), vec(option, 3))
        .prop_map(|(roles, options)| {
            let options: Vec<Value> = roles
                .iter()
                .zip(options)
                .map(|(role, (source, target, domain))| {
                    object(vec![
                        ("appliesTo", Some(json!(role))),
                        ("sourcePropertyName", Some(json!(source))),
                        ("targetPropertyName", Some(json!(target))),
                        ("targetDomain", domain.map(|domain| json!(domain))),
                    ])
                })
                .collect();
            json!({"matching": {"matchingOptions": options}})
        })
        .boxed()
}

fn creation() -> BoxedStrategy<Value> {
    (roles(), vec(domain(), 3))
        .prop_map(|(roles, domains)| {
            let domains: Vec<Value> = roles
                .iter()
                .zip(domains)
                .map(|(role, name)| json!({"appliesTo": role, "name": name}))
                .collect();
            json!({"creation": {"userDomains": domains}})
        })
        .boxed()
}

fn licenses() -> BoxedStrategy<Value> {
    let ids = btree_set("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", 1..4);
    (roles(), vec(ids, 3))
        .prop_map(|(roles, ids)| {
            roles.iter().zip(ids).map(|(role, ids)| json!({"appliesTo": role, "skuIds": ids})).collect()
        })
        .boxed()
}

/// A spec that the CRD admits.
pub fn spec() -> BoxedStrategy<Value> {
    let identity =
        prop_oneof![(creation(), option::of(licenses())), matching().prop_map(|matching| (matching, None)),];
    let day = option::of(
        ("2027-(0[1-9]|1[0-2])", 1..29_u8).prop_map(|(month, day)| json!(format!("{month}-{day:02}"))),
    );
    (line(60), provider(), identity, flag(), day)
        .prop_map(|(name, provider, (identity, licenses), characters, day)| {
            object(vec![
                ("displayName", Some(json!(name))),
                ("dataProvider", Some(provider)),
                ("identitySynchronizationConfiguration", Some(identity)),
                ("licensesToAssign", licenses),
                ("handleSpecialCharacterConstraint", characters),
                ("expirationDate", day),
            ])
        })
        .boxed()
}
