//! What breaks each of our own rules. A new rule of the schema needs its line here, by the beginning of its sentence.
//!
//! Each change is a JSON merge patch for the place at which the rule stands.

use serde_json::{Value, json};

use crate::complete;

const ID: &str = "3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01";

/// Beginning of a rule's sentence, and what breaks the rule in a new resource.
pub fn breaking() -> Vec<(&'static str, Vec<Value>)> {
    let mut all = members();
    all.extend(objects());
    all.extend(texts());
    all.extend(addresses());
    all
}

/// Rules about which members there may be.
fn members() -> Vec<(&'static str, Vec<Value>)> {
    let providers: Vec<Value> =
        complete::profiles().into_iter().map(|(_, spec)| spec["dataProvider"].clone()).collect();
    let two = |other: &str| {
        let all = json!({"csv": {}, "oneRoster": providers[1]["oneRoster"], "powerSchool": providers[3]["powerSchool"]});
        let mut two = all;
        two[other] = Value::Null;
        two
    };
    let domains = json!({"userDomains": [{"appliesTo": "student", "name": "a.example"}]});
    let options = json!({"matchingOptions": [{"appliesTo": "student", "sourcePropertyName": "A", "targetPropertyName": "b"}]});
    let reference = json!({"name": "a", "key": "b"});
    let oauth1 = json!({"clientId": "a", "clientSecretRef": reference});
    let oauth2 = json!({"clientId": "a", "clientSecretRef": reference, "tokenUrl": "https://a.example"});
    let none = json!({"clientSecretRef": null, "certificateRef": null, "workloadIdentity": null, "managedIdentity": null});
    vec![
        (
            "dataProvider must name exactly one",
            vec![
                json!({"csv": null, "oneRoster": null, "powerSchool": null}),
                two("csv"),
                two("oneRoster"),
                two("powerSchool"),
            ],
        ),
        (
            "identitySynchronizationConfiguration must name one of",
            vec![json!({"creation": null, "matching": null})],
        ),
        (
            "identitySynchronizationConfiguration must name only one",
            vec![json!({"creation": domains, "matching": options})],
        ),
        (
            "connectionSettings must name exactly one",
            vec![
                json!({"oauth1": null, "oauth2ClientCredentials": null}),
                json!({"oauth1": oauth1, "oauth2ClientCredentials": oauth2}),
            ],
        ),
        (
            "customizations must name at least one",
            vec![
                json!({"school": null, "section": null, "student": null, "teacher": null, "studentEnrollment": null, "teacherRoster": null}),
            ],
        ),
        (
            "studentEnrollment has no optional properties",
            vec![json!({"optionalPropertiesToSync": ["Grade"]}), json!({"optionalPropertiesToSync": []})],
        ),
        ("teacherRoster has no optional properties", vec![json!({"optionalPropertiesToSync": ["Grade"]})]),
        (
            "licensesToAssign works only with",
            vec![json!({
                "identitySynchronizationConfiguration": {"creation": null, "matching": options},
                "licensesToAssign": [{"appliesTo": "student", "skuIds": [ID]}]
            })],
        ),
        (
            "adopt needs an explicit deletionPolicy",
            vec![json!({"adopt": {"profileId": ID, "byDisplayName": null}, "deletionPolicy": null})],
        ),
        (
            "adopt must name exactly one",
            vec![
                json!({"profileId": null, "byDisplayName": null}),
                json!({"profileId": ID, "byDisplayName": true}),
                json!({"profileId": null, "byDisplayName": false}),
            ],
        ),
        (
            "triggers.start is for CSV files only",
            vec![json!({
                "dataProvider": {"csv": null, "oneRoster": null, "powerSchool": providers[3]["powerSchool"]},
                "triggers": {"start": "2026-11-22"}
            })],
        ),
        ("a connection needs at least one credential", vec![json!({"application": null, "delegated": null})]),
        ("application must name its credential", vec![none]),
        (
            "application must name only one",
            vec![
                json!({"clientSecretRef": reference, "certificateRef": {"name": "a"}}),
                json!({"clientSecretRef": reference, "workloadIdentity": {}}),
                json!({"clientSecretRef": reference, "managedIdentity": {}}),
                json!({"certificateRef": {"name": "a"}, "workloadIdentity": {}}),
                json!({"certificateRef": {"name": "a"}, "managedIdentity": {}}),
                json!({"workloadIdentity": {}, "managedIdentity": {}}),
            ],
        ),
        ("userDomains must hold at least one", vec![json!([])]),
        ("matchingOptions must hold at least one", vec![json!([])]),
        ("skuIds must hold at least one", vec![json!([])]),
        ("schoolsIds must hold at least one", vec![json!([])]),
        ("termIds must hold at least one", vec![json!([])]),
    ]
}

/// Rules about names of objects.
fn objects() -> Vec<(&'static str, Vec<Value>)> {
    let names =
        || vec![json!(""), json!("Upper"), json!("two words"), json!("-a"), json!("a_b"), json!("a/b")];
    vec![
        ("connectionRef.name must be the name", names()),
        (
            "connectionRef.namespace must be the name",
            vec![json!(""), json!("School"), json!("a.b"), json!("-a")],
        ),
        (
            "allowedNamespaces must hold names",
            vec![json!([""]), json!(["school-*"]), json!(["School"]), json!(["a.b"])],
        ),
        ("allowedNamespaces must not name", vec![json!(["*", "school"])]),
        ("certificateRef.name must be the name", names()),
        ("name must be the name of a Secret", names()),
        ("the Secret edusync-refresh-tokens", vec![json!("edusync-refresh-tokens")]),
        ("key must be a key", vec![json!(""), json!("two words"), json!("a/b"), json!("é")]),
    ]
}

/// Rules about a text.
fn texts() -> Vec<(&'static str, Vec<Value>)> {
    let padded = || vec![json!(""), json!(" "), json!(" before"), json!("after "), json!("line\n")];
    let guids = || {
        vec![
            json!(""),
            json!("contoso.example"),
            json!("6babcaad604b40aca9d79fd97c0b779f"),
            json!("6babcaad-604b-40ac-a9d7-9fd97c0b779g"),
        ]
    };
    vec![
        ("displayName must not be empty", vec![json!("")]),
        ("displayName must not begin or end", vec![json!(" a"), json!("a "), json!(" "), json!("\u{a0}a")]),
        (
            "displayName must be one line",
            vec![json!("a\tb"), json!("a\nb"), json!("a\u{7f}b"), json!("a\u{0}b")],
        ),
        ("providerName must not be empty", padded()),
        ("schoolYear must not be empty", padded()),
        ("clientId must not be empty", padded()),
        ("sourcePropertyName must be a property", padded()),
        (
            "targetPropertyName must be an attribute",
            vec![json!(""), json!("user name"), json!("1a"), json!("a-b")],
        ),
        (
            "optionalPropertiesToSync must hold column",
            vec![json!([""]), json!([" Grade"]), json!(["Grade", "Title "])],
        ),
        ("schoolsIds must not hold", vec![json!([""]), json!([" 55"]), json!(["55", "56 "])]),
        ("termIds must not hold", vec![json!([""]), json!([" a"]), json!(["a", "b\n"])]),
        ("skuIds must be GUIDs", vec![json!(["A3"]), json!([ID, "ENTERPRISEPACK"]), json!([""])]),
        (
            "profileId must be the id",
            vec![json!(""), json!("Contoso SDS"), json!("a/b"), json!("a?b"), json!("..")],
        ),
        (
            "expirationDate must be a day",
            vec![
                json!(""),
                json!("30.06.2027"),
                json!("2027-02-30"),
                json!("2027-6-1"),
                json!("06/30/2027"),
                json!("2027-13-01"),
                json!("tomorrow"),
            ],
        ),
        (
            "synchronizationStartDate must be a time",
            vec![
                json!(""),
                json!("2027-08-15"),
                json!("2027-08-15T00:00:00"),
                json!("2027-08-15 00:00:00Z"),
                json!("soon"),
            ],
        ),
        (
            "scope must be words",
            vec![
                json!(""),
                json!(" a"),
                json!("a "),
                json!("a  b"),
                json!("a\"b"),
                json!("a\tb"),
                json!("é"),
            ],
        ),
        ("tenantId must be the Directory", guids()),
        ("clientId must be the Application", guids()),
        (
            "pollInterval must be a duration",
            vec![
                json!(""),
                json!("often"),
                json!("60"),
                json!("4s"),
                json!("61m"),
                json!("2h"),
                json!("-60s"),
                json!("1.5m"),
                json!("1d"),
                json!("500ms"),
                // Go would read these two, but not the operator.
                json!("30s1m"),
                json!("5s5s"),
                json!("999999999999999s"),
            ],
        ),
    ]
}

/// Rules about an address or a domain.
fn addresses() -> Vec<(&'static str, Vec<Value>)> {
    let hosts = || {
        vec![
            json!(""),
            json!("graph.example"),
            json!("http://graph.example"),
            json!("https://"),
            json!("https://graph.example/"),
            json!("https://graph.example/beta"),
            json!("https://user@graph.example"),
            json!("https://graph.example?a=b"),
            json!("https://graph.example:"),
            json!("https://graph.example:99999"),
            json!("https://graph.example:0"),
            json!("https://.."),
            json!("https://-a.example"),
            json!("https://two words.example"),
        ]
    };
    let urls = || {
        vec![
            json!(""),
            json!("sis.example"),
            json!("http://sis.example"),
            json!("ftp://sis.example"),
            json!("https://"),
            json!("https://user:password@sis.example"),
            json!("https://two words.example"),
            json!("/ims/oneroster"),
            json!("https://sis.example:99999"),
        ]
    };
    let domains = || {
        vec![
            json!(""),
            json!("school"),
            json!("school.example."),
            json!(".example"),
            json!("a..b"),
            json!("a_b.example"),
            json!("https://a.example"),
            json!("a b.example"),
        ]
    };
    let with_at = vec![json!("a@school.example"), json!("@school.example")];
    vec![
        ("endpoint must be https", hosts()),
        ("authority must be https", hosts()),
        ("connectionUrl must be", urls()),
        ("tokenUrl must be", urls()),
        ("name must be a domain without", with_at.clone()),
        ("name must be a full domain", domains()),
        ("targetDomain must be a full domain", domains().into_iter().chain(with_at).collect()),
    ]
}

/// Beginning of a rule's sentence, and the changes of an existing resource that break the rule: merge patches for its spec.
pub fn changing() -> Vec<(&'static str, Vec<Value>)> {
    let providers: Vec<Value> =
        complete::profiles().into_iter().map(|(_, spec)| spec["dataProvider"].clone()).collect();
    vec![
        (
            "the kind of dataProvider cannot be changed",
            vec![
                json!({"dataProvider": {"csv": null, "oneRoster": providers[1]["oneRoster"]}}),
                json!({"dataProvider": {"csv": null, "powerSchool": providers[3]["powerSchool"]}}),
            ],
        ),
        ("tenantId cannot be changed", vec![json!({"tenantId": ID})]),
        (
            "graph.endpoint cannot be changed",
            vec![json!({"graph": {"endpoint": "https://graph.microsoft.us"}})],
        ),
        (
            "graph.dialect cannot be changed",
            vec![json!({"graph": {"dialect": "BetaRef"}}), json!({"graph": {"dialect": "TestEduApi"}})],
        ),
        (
            "graph.endpoint and graph.dialect cannot be added",
            vec![
                json!({"graph": null}),
                json!({"graph": {"dialect": null}}),
                json!({"graph": {"endpoint": null}}),
            ],
        ),
    ]
}
