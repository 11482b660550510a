//! The two documents the simulator is held to: Microsoft's create page of October 2017 and the generated page
//! "Add synchronizationProfiles" of July 2021.
#![cfg(test)]

mod support;

use graph_simulator::{CreateStatus, Settings};
use serde_json::Value;
use support::{BETA, PREVIEW, REQUEST_2017, REQUEST_2021, RESPONSE_2017, World, profile};

/// The documented answer, with the id the simulator chose.
fn documented(id: &Value) -> Value {
    let mut expected: Value = serde_json::from_str(RESPONSE_2017).unwrap();
    expected["id"] = id.clone();
    expected
}

#[test]
fn the_request_of_2017_gets_the_response_of_2017_property_for_property() {
    for (create_status, status) in [(CreateStatus::Created, 201), (CreateStatus::Accepted, 202)] {
        let world = World::new(Settings { create_status, ..Settings::default() });
        let reply = world.post_text(PREVIEW, &world.delegated(), REQUEST_2017);
        assert_eq!(reply.status, status);
        let answer = reply.json();
        assert!(uuid::Uuid::try_parse(answer["id"].as_str().unwrap()).is_ok());
        assert_eq!(answer, documented(&answer["id"]));
    }
}

#[test]
fn members_stand_in_the_order_of_the_document() {
    let world = World::default();
    let reply = world.post_text(PREVIEW, &world.delegated(), REQUEST_2017);
    let expected =
        RESPONSE_2017.replace("86904b1e-c7d0-4ead-b13a-98f11fc400ee", reply.json()["id"].as_str().unwrap());
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(without_blanks(&reply.text), without_blanks(&expected));
}

#[test]
fn both_roots_show_the_same_profile_in_their_own_spelling() {
    let world = World::default();
    let token = world.delegated();
    let id = world.post_text(PREVIEW, &token, REQUEST_2017).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.get(&format!("{PREVIEW}/{id}"), &token).json(), documented(&Value::from(id.clone())));
    let beta = world.get(&format!("{BETA}/{id}"), &token).json();
    assert_eq!(beta["dataProvider"]["@odata.type"], "#microsoft.graph.educationCsvDataProvider");
    let identity = &beta["identitySynchronizationConfiguration"];
    assert_eq!(identity["@odata.type"], "#microsoft.graph.educationIdentityCreationConfiguration");
    assert_eq!(
        beta["@odata.context"],
        "https://sim.example:8443/beta/$metadata#education/synchronizationProfiles/$entity"
    );
}

#[test]
fn each_root_takes_only_its_own_type_names() {
    let world = World::default();
    let token = world.delegated();
    let refusal = world.post_text(BETA, &token, REQUEST_2017).refusal(400, "BadRequest");
    assert_eq!(refusal, "Invalid OData type specified: \"microsoft.graph.csvDataProvider\"");
    let refusal = world.post(PREVIEW, &token, &profile("P")).refusal(400, "BadRequest");
    assert_eq!(refusal, "Invalid OData type specified: \"microsoft.graph.educationCsvDataProvider\"");
}

#[test]
fn the_example_of_2021_is_refused_for_its_abstract_types() {
    for accept_ref_post in [false, true] {
        let world = World::new(Settings { accept_ref_post, ..Settings::default() });
        let refusal = world.post_text(BETA, &world.delegated(), REQUEST_2021).refusal(400, "BadRequest");
        let expected = "Invalid OData type specified: \"microsoft.graph.educationSynchronizationDataProvider\". The type is abstract";
        assert!(refusal.starts_with(expected), "{refusal}");
        assert_eq!(world.simulator.profiles(world.now).len(), 0);
    }
}

/// The request of 2021 with every placeholder replaced by a value of its kind; `id` and `state` are still sent.
fn repaired_2021() -> Value {
    let mut body: Value = serde_json::from_str(REQUEST_2021).unwrap();
    let whole = profile("Display Name value");
    body["id"] = "38548bd1-8bd1-3854-d18b-5438d18b5438".into();
    body["dataProvider"] = whole["dataProvider"].clone();
    body["identitySynchronizationConfiguration"] = whole["identitySynchronizationConfiguration"].clone();
    body["licensesToAssign"][0]["appliesTo"] = "student".into();
    body["licensesToAssign"][0]["skuIds"][0] = "6fd2c87f-b296-42f0-b197-1e91e994b900".into();
    body
}

#[test]
fn posting_to_ref_is_refused_unless_the_compatibility_mode_is_on() {
    let world = World::default();
    let token = world.delegated();
    let path = format!("{BETA}/$ref");
    let refusal = world.post(&path, &token, &repaired_2021()).refusal(400, "BadRequest");
    assert!(refusal.contains("Post the profile to the collection itself"), "{refusal}");
    assert_eq!(world.simulator.profiles(world.now).len(), 0);

    let world = World::new(Settings { accept_ref_post: true, ..Settings::default() });
    let token = world.delegated();
    let refusal = world.post_text(&path, &token, REQUEST_2021).refusal(400, "BadRequest");
    assert!(refusal.contains("abstract"), "{refusal}");
    let reply = world.post(&path, &token, &repaired_2021());
    assert_eq!(reply.status, 201, "{}", reply.text);
    let answer = reply.json();
    assert_ne!(answer["id"], "38548bd1-8bd1-3854-d18b-5438d18b5438", "the service chooses the id");
    assert_eq!(answer["state"], "provisioning", "the service chooses the state");
    assert_eq!(answer["handleSpecialCharacterConstraint"], true);
}
