//! Wishes against tenants, as a table.

use serde_json::json;

use super::*;
use crate::api::connection::Dialect;
use crate::cli::output::Paint;
use crate::cli::plan::read::read;
use crate::cli::plan::render;
use crate::reconcile::claims::Tenant;

const ENDPOINT: &str = "https://graph.microsoft.com";

fn resource(name: &str, more: &Value) -> Value {
    let mut spec = json!({
        "displayName": "Contoso", "dataProvider": {"csv": {}},
        "identitySynchronizationConfiguration": {"creation": {"userDomains": [{"appliesTo": "student", "name": "school.example"}]}}
    });
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    json!({"apiVersion": "edusync.dev/v1alpha1", "kind": "EducationSyncProfile",
        "metadata": {"name": name, "namespace": "school", "uid": name}, "spec": spec})
}

fn bound(mut resource: Value, id: &str, applied: &[&str]) -> EducationSyncProfile {
    let uid = resource["metadata"]["uid"].clone();
    resource["status"] = json!({"appliedFields": applied, "binding": {"uid": uid, "endpoint": ENDPOINT, "tenantId": "t",
        "profileId": id, "displayName": "Contoso"}});
    serde_json::from_value(resource).unwrap()
}

fn profile(id: &str, more: &Value) -> RemoteProfile {
    let mut body = json!({"id": id, "state": "provisioned", "displayName": "Contoso",
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider", "customizations": null},
        "identitySynchronizationConfiguration": {"@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}]}});
    for (member, value) in more.as_object().unwrap() {
        body[member] = value.clone();
    }
    RemoteProfile::read(&body).unwrap()
}

fn planned(document: &Value, resources: Vec<EducationSyncProfile>, profiles: Vec<RemoteProfile>) -> Planned {
    planned_by(document, resources, profiles, false)
}

fn planned_by(
    document: &Value,
    resources: Vec<EducationSyncProfile>,
    profiles: Vec<RemoteProfile>,
    connection_is_going: bool,
) -> Planned {
    let (wishes, _) = read(&document.to_string()).unwrap();
    let connection = ConnectionFacts {
        tenant: Tenant::new(ENDPOINT, "t"),
        dialect: Dialect::Beta,
        fingerprint: String::new(),
        delegated: true,
    };
    let profiles = profiles.into_iter().map(|profile| (profile.id.clone(), profile)).collect();
    let now = "2027-01-02T03:04:05Z".parse().unwrap();
    let snapshot = Snapshot::new(now, now, profiles);
    let resources = Resources::of(resources);
    let known =
        Known { connection: &connection, connection_is_going, snapshot: &snapshot, resources: &resources };
    decide(&wishes[0], "school", &known)
}

#[test]
fn each_wish_has_its_outcome() {
    let none = json!({});
    let plain = resource("contoso", &none);
    let there = || profile("p1", &none);
    let action = |document: &Value, resources, profiles| planned(document, resources, profiles).action;
    assert_eq!(action(&plain, vec![], vec![]), Action::Create);
    assert_eq!(action(&plain, vec![], vec![there()]), Action::Blocked, "a namesake");
    assert_eq!(action(&plain, vec![bound(plain.clone(), "p1", &[])], vec![there()]), Action::Nothing);
    let vanished = |profiles| planned(&plain, vec![bound(plain.clone(), "p1", &[])], profiles);
    assert_eq!(vanished(vec![]).action, Action::Blocked, "a tenant that is suddenly empty");
    let again = vanished(vec![profile("p2", &json!({"displayName": "Other"}))]);
    assert_eq!(again.action, Action::Create);
    assert_eq!(again.message.as_deref(), Some("its profile p1 is not in the tenant any more"));
    let adopting = |adopt: Value| resource("contoso", &json!({"adopt": adopt, "deletionPolicy": "Retain"}));
    assert_eq!(action(&adopting(json!({"profileId": "p1"})), vec![], vec![there()]), Action::Adopt);
    assert_eq!(action(&adopting(json!({"profileId": "p2"})), vec![], vec![there()]), Action::Blocked);
    assert_eq!(action(&adopting(json!({"byDisplayName": true})), vec![], vec![there()]), Action::Adopt);
    let other = bound(resource("other", &none), "p1", &[]);
    let taken = planned(&adopting(json!({"profileId": "p1"})), vec![other], vec![there()]);
    assert!(taken.message.as_ref().is_some_and(|message| message.contains("school/other")), "{taken:?}");
    let observing = resource("contoso", &json!({"managementPolicy": "Observe"}));
    assert_eq!(action(&observing, vec![], vec![]), Action::Nothing);
}

#[test]
fn a_change_is_told_field_by_field() {
    let wish = resource("contoso", &json!({"handleSpecialCharacterConstraint": true}));
    let live = bound(resource("contoso", &json!({})), "p1", &["displayName", "expirationDate"]);
    let there =
        profile("p1", &json!({"handleSpecialCharacterConstraint": false, "expirationDate": "2027-06-30"}));
    let planned = planned(&wish, vec![live], vec![there]);
    assert_eq!(
        render(&[planned], Paint::none()),
        "change   school/contoso \"Contoso\" (p1)\n\
         \x20 ~ handleSpecialCharacterConstraint: false -> true\n\
         \x20 - expirationDate: \"2027-06-30\"\n\
         \n\
         1 to change\n"
    );
}

#[test]
fn a_creation_lists_what_would_be_set() {
    let planned = planned(&resource("contoso", &json!({})), vec![], vec![]);
    assert_eq!(
        render(&[planned], Paint::none()),
        "create   school/contoso \"Contoso\"\n\
         \x20 + displayName: \"Contoso\"\n\
         \x20 + identitySynchronizationConfiguration.userDomains: [{\"appliesTo\":\"student\",\"name\":\"school.example\"}]\n\
         \n\
         1 to create\n"
    );
}

#[test]
fn a_body_for_graph_is_compared_with_its_namesake() {
    let body = json!({"displayName": "contoso", "dataProvider": {"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
        "clientSecret": "canary", "clientId": "c"}});
    let changed = planned(&body, vec![], vec![profile("p1", &json!({}))]);
    assert_eq!(changed.action, Action::Change);
    let text = render(&[changed], Paint::none());
    assert!(text.contains("dataProvider.@odata.type: \"#microsoft.graph.educationCsvDataProvider\" -> \"#microsoft.graph.educationPowerSchoolDataProvider\""), "{text}");
    assert!(!text.contains("canary"));
}

#[test]
fn what_goes_with_its_resource_and_what_stays() {
    let delete = bound(resource("a", &json!({})), "p1", &[]);
    let retain = bound(resource("b", &json!({"deletionPolicy": "Retain"})), "p1", &[]);
    assert_eq!(pruned(&delete).action, Action::Delete);
    assert_eq!(pruned(&retain).action, Action::Leave);
}

#[test]
fn colours_tell_what_is_new_what_changes_and_what_goes() {
    let field = |path: &str, old: Value, new: Value| Field { path: path.to_owned(), old, new };
    let planned = |action, fields| Planned {
        action,
        resource: Some("school/contoso".to_owned()),
        display_name: "Contoso".to_owned(),
        profile_id: None,
        fields,
        message: None,
    };
    let fields = vec![
        field("a", Value::Null, json!(1)),
        field("b", json!(1), json!("\u{1b}[31m")),
        field("c", json!(1), Value::Null),
    ];
    let all = [planned(Action::Change, fields), planned(Action::Delete, Vec::new())];
    let text = render(&all, Paint::always());
    assert_eq!(
        text,
        "\x1b[33mchange  \x1b[0m school/contoso \"Contoso\"\n\
         \x1b[32m  + a: 1\x1b[0m\n\
         \x1b[33m  ~ b: 1 -> \"\\u001b[31m\"\x1b[0m\n\
         \x1b[31m  - c: 1\x1b[0m\n\
         \n\
         \x1b[31mdelete  \x1b[0m school/contoso \"Contoso\"\n\
         \n\
         1 to change, 1 to delete\n"
    );
    assert!(!render(&all, Paint::none()).contains('\x1b'));
}

#[test]
fn through_a_connection_that_is_being_deleted_nothing_is_created() {
    let document = resource("a", &json!({}));
    let planned = planned_by(&document, Vec::new(), Vec::new(), true);
    assert_eq!(planned.action, Action::Blocked);
    assert!(planned.message.unwrap().contains("is being deleted"));
}

#[test]
fn a_pause_hides_nothing_that_is_in_the_way() {
    let document = resource("a", &json!({"displayName": "Fabrikam", "synchronization": "Paused"}));
    let before = bound(resource("a", &json!({})), "p", &["displayName"]);
    let taken = profile("q", &json!({"displayName": "Fabrikam"}));
    let planned = planned(&document, vec![before], vec![profile("p", &json!({})), taken]);
    let message = planned.message.unwrap();
    assert_eq!(planned.action, Action::Blocked, "{message}");
    assert!(message.contains("no resource owns it"), "{message}");
}
