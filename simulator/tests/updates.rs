//! PUT and PATCH: what they change, what they leave, and what they refuse.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{DeleteStatus, ProfileSettings, Settings, UpdateStatus, UpdateVerb};
use serde_json::{Value, json};
use support::bodies::{full, one_roster, power_school};
use support::{BETA, PREVIEW, World, profile};

const SECOND: Duration = Duration::from_secs(1);

fn item(id: &str) -> String {
    format!("{BETA}/{id}")
}

fn with(profiles: ProfileSettings) -> World {
    World::new(Settings { profiles, ..Settings::default() })
}

#[test]
fn a_put_replaces_everything_and_sets_the_profile_up_again() {
    let mut world = World::default();
    let id = world.provisioned(&full());
    let token = world.delegated();
    let reply = world.send_json("PUT", &item(&id), &token, &profile("Renamed"));
    assert_eq!(reply.status, 202, "{}", reply.text);
    let answer = reply.json();
    assert!(answer["@odata.context"].as_str().unwrap().ends_with("synchronizationProfiles/$entity"));
    let head = (&answer["id"], &answer["displayName"], &answer["state"]);
    assert_eq!(head, (&json!(id), &json!("Renamed"), &json!("provisioning")));
    assert_eq!(answer.get("expirationDate"), None, "absent means the default");
    assert_eq!(answer["licensesToAssign"], json!([]));
    assert_eq!(answer["handleSpecialCharacterConstraint"], false);
    assert_eq!(answer["dataProvider"]["customizations"], Value::Null);
    world.pass(2 * SECOND);
    assert_eq!(world.get(&item(&id), &token).json()["state"], "provisioned");
    world.send_json("PUT", &item("no-such-id"), &token, &profile("P")).refusal(404, "NotFound");
    let refusal = world.send_json("PUT", &item(&id), &token, &json!({})).refusal(400, "BadRequest");
    assert_eq!(refusal, "The property 'displayName' is required and missing.");
    world
        .send_json("PUT", &format!("{}?$select=id", item(&id)), &token, &profile("P"))
        .refusal(400, "BadRequest");
}

#[test]
fn a_put_on_the_collection_needs_to_know_which_profile_is_meant() {
    let mut world = World::default();
    let id = world.provisioned(&profile("Once"));
    let token = world.delegated();
    let mut body = profile("Once");
    body["handleSpecialCharacterConstraint"] = json!(true);
    let reply = world.send_json("PUT", BETA, &token, &body);
    assert_eq!((reply.status.as_u16(), &reply.json()["id"]), (202, &json!(id)));
    body["displayName"] = json!("Twice");
    let refusal = world.send_json("PUT", BETA, &token, &body).refusal(400, "BadRequest");
    assert!(refusal.contains("no profile has this displayName"), "{refusal}");
    body["id"] = json!(id);
    assert_eq!(world.send_json("PUT", BETA, &token, &body).status, 202);
    world.create("Twice");
    let refusal = world.send_json("PUT", BETA, &token, &profile("Twice")).refusal(400, "BadRequest");
    assert!(refusal.contains("more than one profile"), "{refusal}");
    body["id"] = json!("no-such-id");
    world.send_json("PUT", BETA, &token, &body).refusal(404, "NotFound");
}

#[test]
fn a_patch_changes_what_it_names_and_null_clears() {
    let mut world = World::default();
    let id = world.provisioned(&full());
    let token = world.delegated();
    let before = world.get(&item(&id), &token).json();
    let reply = world.send_json("PATCH", &item(&id), &token, &json!({ "displayName": "Renamed" }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    let mut expected = before.clone();
    expected["displayName"] = json!("Renamed");
    expected["state"] = json!("provisioning");
    assert_eq!(reply.json(), expected);
    let reply = world.send_json("PATCH", &item(&id), &token, &json!({ "expirationDate": null }));
    assert_eq!(reply.json().get("expirationDate"), None);
    let student = json!({ "optionalPropertiesToSync": ["Grade"] });
    let patch = json!({ "dataProvider": { "customizations": { "student": student } } });
    let answer = world.send_json("PATCH", &item(&id), &token, &patch).json();
    let parts = &answer["dataProvider"]["customizations"];
    assert_eq!(parts["student"]["optionalPropertiesToSync"], json!(["Grade"]));
    assert_eq!(parts["studentEnrollment"], before["dataProvider"]["customizations"]["studentEnrollment"]);
    for (patch, part) in [
        (json!({ "displayName": null }), "must not be null"),
        (json!({ "licensesToAssign": null }), "must be an array"),
        (json!({ "expiration_date": null }), "'expiration_date' does not exist"),
        (json!({ "dataProvider": { "connectionUrl": "https://x.example" } }), "dataProvider.connectionUrl"),
        (json!([]), "must be an object"),
    ] {
        let refusal = world.send_json("PATCH", &item(&id), &token, &patch).refusal(400, "BadRequest");
        assert!(refusal.contains(part), "{refusal}");
    }
    world.send_json("PATCH", &item("no-such-id"), &token, &json!({})).refusal(404, "NotFound");
}

#[test]
fn a_patch_with_another_type_is_a_new_object() {
    let mut world = World::default();
    let id = world.provisioned(&full());
    let patch = json!({ "dataProvider": power_school()["dataProvider"] });
    let reply = world.send_json("PATCH", &item(&id), &world.delegated(), &patch);
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json()["dataProvider"]["schoolYear"], "2024");
}

#[test]
fn the_limit_of_the_expiration_date_counts_from_the_creation() {
    let mut world = World::default();
    let id = world.provisioned(&profile("P"));
    world.pass(Duration::from_hours(24 * 60));
    let token = world.delegated();
    let patch = |date: &str| world.send_json("PATCH", &item(&id), &token, &json!({ "expirationDate": date }));
    assert_eq!(patch("2026-03-02").status, 200);
    assert!(patch("2026-03-03").refusal(400, "BadRequest").contains("not after 2026-03-02"));
}

/// Whether the stored secret is still there cannot be seen from outside, which is the point; the saved state of a
/// simulator shows no more. What can be seen is that a body as it was read is taken.
#[test]
fn a_profile_can_be_written_back_as_it_was_read() {
    let mut world = World::default();
    for body in [one_roster(), power_school(), full()] {
        let id = world.provisioned(&body);
        let token = world.delegated();
        let read = world.get(&format!("{}?$expand=profileStatus,errors", item(&id)), &token).json();
        for (method, status) in [("PUT", 202), ("PATCH", 200)] {
            let reply = world.send_json(method, &item(&id), &token, &read);
            assert_eq!(reply.status, status, "{}", reply.text);
            world.pass(2 * SECOND);
            let mut again = world.get(&item(&id), &token).json();
            again["errors"] = read["errors"].clone();
            again["profileStatus"] = read["profileStatus"].clone();
            assert_eq!(again, read, "{method}");
        }
    }
}

#[test]
fn statuses_and_verbs_are_switches() {
    let rows = [
        (UpdateStatus::Documented, [202, 200]),
        (UpdateStatus::Ok, [200, 200]),
        (UpdateStatus::Accepted, [202, 202]),
        (UpdateStatus::NoContent, [204, 204]),
    ];
    for (update_status, expected) in rows {
        let mut world = with(ProfileSettings { update_status, ..ProfileSettings::default() });
        let id = world.provisioned(&profile("P"));
        for (method, status) in ["PUT", "PATCH"].into_iter().zip(expected) {
            let reply = world.send_json(method, &item(&id), &world.delegated(), &profile("P"));
            assert_eq!((reply.status.as_u16(), reply.text.is_empty()), (status, status == 204), "{method}");
        }
    }
    for (only, refused) in [(UpdateVerb::Put, ["PATCH"].as_slice()), (UpdateVerb::Patch, &["PUT"])] {
        let mut world = with(ProfileSettings { update_verbs: vec![only], ..ProfileSettings::default() });
        let id = world.provisioned(&profile("P"));
        for method in refused {
            let reply = world.send_json(method, &item(&id), &world.delegated(), &profile("P"));
            reply.refusal(405, "MethodNotAllowed");
        }
    }
    let mut world =
        with(ProfileSettings { delete_status: DeleteStatus::NoContent, ..ProfileSettings::default() });
    let id = world.provisioned(&profile("P"));
    assert_eq!(world.call("DELETE", &item(&id), &world.delegated()).status, 204);
}

#[test]
fn a_profile_that_is_being_deleted_takes_no_changes() {
    let mut world = World::default();
    let id = world.provisioned(&profile("P"));
    let token = world.delegated();
    world.call("DELETE", &item(&id), &token);
    world.send_json("PUT", &item(&id), &token, &profile("P")).refusal(409, "Conflict");
    world.send_json("PATCH", &item(&id), &token, &json!({})).refusal(409, "Conflict");
    for action in ["pause", "resume", "reset", "start"] {
        world.call("POST", &format!("{}/{action}", item(&id)), &token).refusal(409, "Conflict");
    }
    world.get(&format!("{}/uploadUrl", item(&id)), &token).refusal(409, "Conflict");
}

#[test]
fn an_update_needs_json_and_says_so() {
    let mut world = World::default();
    let id = world.provisioned(&profile("P"));
    let token = world.delegated();
    for method in ["PUT", "PATCH"] {
        world.call(method, &item(&id), &token).refusal(415, "UnsupportedMediaType");
        let request = http::Request::builder()
            .method(method)
            .uri(item(&id))
            .header("Authorization", format!("Bearer {token}"))
            .header("Content-Type", "application/json");
        world.send(request, "{").refusal(400, "BadRequest");
    }
}

#[test]
fn an_update_can_mend_and_break_the_set_up() {
    let mut world =
        World::new(Settings { fail_provisioning: vec!["Broken".to_owned()], ..Settings::default() });
    let id = world.provisioned(&profile("Broken"));
    let token = world.delegated();
    assert_eq!(world.get(&item(&id), &token).json()["state"], "provisioningFailed");
    for (name, state) in [("Mended", "provisioned"), ("Broken", "provisioningFailed")] {
        world.send_json("PATCH", &item(&id), &token, &json!({ "displayName": name }));
        world.pass(2 * SECOND);
        assert_eq!(world.get(&item(&id), &token).json()["state"], state);
    }
}

#[test]
fn the_preview_updates_in_its_own_spelling() {
    let mut world = World::default();
    let id = world.provisioned(&profile("P"));
    let path = format!("{PREVIEW}/{id}");
    let rename = json!({ "displayName": "Q" });
    let answer = world.send_json("PATCH", &path, &world.delegated(), &rename).json();
    assert_eq!(answer["dataProvider"]["@odata.type"], "#microsoft.graph.csvDataProvider");
    assert_eq!((&answer["displayName"], answer.get("@odata.context")), (&json!("Q"), None));
    world.send_json("PUT", &path, &world.delegated(), &profile("P")).refusal(400, "BadRequest");
}
