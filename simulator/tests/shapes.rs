//! What a create body may be, and how it comes back.
#![cfg(test)]

mod support;

use graph_simulator::Settings;
use serde_json::{Value, json};
use support::bodies::{full, matching, oauth1, one_roster, power_school};
use support::{BETA, World, profile};

#[test]
fn every_documented_shape_is_accepted_and_comes_back() {
    let world = World::default();
    let token = world.delegated();
    for body in [one_roster(), oauth1(), power_school(), matching(), full()] {
        let reply = world.post(BETA, &token, &body);
        assert_eq!(reply.status, 201, "{}", reply.text);
        assert!(!reply.text.contains("example-secret") && !reply.text.contains("consumer-secret"));
        let (sent, answer) = (&body["dataProvider"], &reply.json()["dataProvider"]);
        for name in ["@odata.type", "connectionUrl", "schoolsIds", "termIds", "schoolYear", "providerName"] {
            assert_eq!(sent[name], answer[name], "{name}");
        }
        let configuration = "identitySynchronizationConfiguration";
        assert_eq!(body[configuration], reply.json()[configuration]);
    }
}

#[test]
fn secrets_are_never_echoed_and_null_stays_null() {
    let world = World::default();
    let answer = world.post(BETA, &world.delegated(), &one_roster()).json();
    assert_eq!(answer["dataProvider"]["connectionSettings"]["clientSecret"], Value::Null);
    assert_eq!(answer["dataProvider"]["connectionSettings"]["scope"], "roster-core.readonly");
    let answer = world.post(BETA, &world.delegated(), &power_school()).json();
    assert_eq!(answer["dataProvider"]["clientSecret"], Value::Null);
    assert_eq!(answer["dataProvider"]["customizations"], Value::Null);
}

#[test]
fn a_part_that_was_sent_keeps_its_values() {
    let world = World::default();
    let answer = world.post(BETA, &world.delegated(), &full()).json();
    let parts = &answer["dataProvider"]["customizations"];
    let expected = json!({
        "optionalPropertiesToSync": null, "synchronizationStartDate": "2024-10-01T00:00:00Z",
        "isSyncDeferred": true, "allowDisplayNameUpdate": false
    });
    assert_eq!(parts["studentEnrollment"], expected);
    assert_eq!(parts["teacherRoster"]["optionalPropertiesToSync"], json!([]));
    assert_eq!(parts["student"], Value::Null);
    assert_eq!(answer["expirationDate"], "2026-03-02");
}

#[test]
fn type_names_compare_without_regard_to_case_and_come_back_canonical() {
    let world = World::default();
    let mut body = profile("Lower");
    body["dataProvider"]["@odata.type"] = json!("#microsoft.graph.educationcsvdataprovider");
    let answer = world.post(BETA, &world.delegated(), &body).json();
    assert_eq!(answer["dataProvider"]["@odata.type"], "#microsoft.graph.educationCsvDataProvider");
}

#[test]
fn a_type_name_without_hash_needs_the_switch() {
    let mut body = profile("P");
    body["dataProvider"]["@odata.type"] = json!("microsoft.graph.educationCsvDataProvider");
    let world = World::default();
    let refusal = world.post(BETA, &world.delegated(), &body).refusal(400, "BadRequest");
    assert!(refusal.contains("starts with '#'"), "{refusal}");
    let world = World::new(Settings { accept_type_without_hash: true, ..Settings::default() });
    assert_eq!(world.post(BETA, &world.delegated(), &body).status, 201);
}

#[test]
fn every_answer_of_graph_has_the_headers_of_the_samples() {
    let world = World::default();
    let token = world.app();
    for (path, status) in
        [(BETA.to_owned(), 200), (format!("{BETA}/$count"), 200), (format!("{BETA}/1"), 404)]
    {
        let reply = world.get(&path, &token);
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("strict-transport-security"), "max-age=31536000");
        let diagnostic: Value = serde_json::from_str(reply.header("x-ms-ags-diagnostic")).unwrap();
        assert!(diagnostic["ServerInfo"]["DataCenter"].is_string(), "{diagnostic}");
    }
}
