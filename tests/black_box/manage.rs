//! A profile that is there is adopted, kept as the manifest says, or only observed.

use bytes::Bytes;
use edusync::api::EducationSyncProfile;
use edusync::clock::Clock;
use graph_simulator::{ProfileSettings, Settings, UpdateVerb};
use serde_json::{Value, json};

use crate::scene::{Scene, condition, foreign_body, profile_id, profile_manifest, quick, spec};

/// Flags with which lists are believed soon after an update.
const SOON: [&str; 2] = ["--settle-window", "1s"];

pub fn remote(scene: &Scene, id: &str) -> Value {
    scene.simulator.profiles().into_iter().find(|profile| profile["id"] == id).unwrap()
}

/// Somebody who is signed in as an administrator does something by hand; what Graph answered.
pub fn by_hand(scene: &Scene, method: &str, path: &str, body: &Value) -> Value {
    let (simulator, now) = (scene.simulator.simulator(), Clock::of_this_machine().now());
    let settings = scene.simulator.settings();
    let form = format!(
        "grant_type=refresh_token&client_id={}&refresh_token={}",
        settings.public_client_id, settings.refresh_token
    );
    let token = http::Request::post(format!("/{}/oauth2/v2.0/token", settings.tenant))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .unwrap();
    let token: Value = serde_json::from_slice(simulator.handle(token, now).body()).unwrap();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/beta/education/synchronizationProfiles{path}"))
        .header("authorization", format!("Bearer {}", token["access_token"].as_str().unwrap()))
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let answer = simulator.handle(request, now);
    assert!(answer.status().is_success(), "{answer:?}");
    if answer.body().is_empty() { Value::Null } else { serde_json::from_slice(answer.body()).unwrap() }
}

async fn begin(name: &str, settings: Settings) -> Scene {
    let mut scene = Scene::without_operator(name, settings).await.with_flags(&SOON);
    scene.start_operator();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_manifest_is_sent_with_one_put_and_a_removed_field_is_cleared() {
    let scene = begin("update", quick()).await;
    let mut wanted = spec("Contoso SDS");
    wanted["expirationDate"] = json!("2027-06-30");
    wanted["dataProvider"] =
        json!({"csv": {"customizations": {"student": {"optionalPropertiesToSync": ["Grade"]}}}});
    let id = {
        scene.create("contoso", wanted.clone()).await;
        profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await)
    };
    wanted["dataProvider"]["csv"]["customizations"]["student"]["optionalPropertiesToSync"] =
        json!(["Grade", "State ID"]);
    wanted.as_object_mut().unwrap().remove("expirationDate");
    scene.create("contoso", wanted).await;
    scene.until_events_are("contoso", &["Created", "Provisioned", "Updated"]).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&ready), id);
    let remote = remote(&scene, &id);
    assert_eq!(remote["expirationDate"], Value::Null);
    assert_eq!(
        remote["dataProvider"]["customizations"]["student"]["optionalPropertiesToSync"],
        json!(["Grade", "State ID"])
    );
    assert_eq!((scene.requests("PUT").len(), scene.requests("PATCH").len()), (1, 0));
    assert_eq!(condition(&ready, "Drifted"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_put_gets_a_patch() {
    let profiles = ProfileSettings { update_verbs: vec![UpdateVerb::Patch], ..ProfileSettings::default() };
    let scene = begin("patch", Settings { profiles, ..quick() }).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    for value in [true, false] {
        let mut wanted = spec("Contoso SDS");
        wanted["handleSpecialCharacterConstraint"] = json!(value);
        scene.create("contoso", wanted).await;
        scene
            .eventually("it has the value", |scene| {
                scene.simulator.profiles()[0]["handleSpecialCharacterConstraint"] == value
            })
            .await;
    }
    assert_eq!((scene.requests("PUT").len(), scene.requests("PATCH").len()), (1, 2), "learnt once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_in_the_portal_is_put_back() {
    let scene = begin("portal", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    // Somebody else renames it.
    let body = json!({"displayName": "Renamed in the portal"});
    by_hand(&scene, "PATCH", &format!("/{id}"), &body);
    scene
        .eventually("it has its name again", |scene| remote(scene, &id)["displayName"] == "Contoso SDS")
        .await;
    scene.until_events_are("contoso", &["Created", "Provisioned", "Updated"]).await;
    assert_eq!(scene.requests("PUT").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_knows_better_gets_no_third_put() {
    let scene = begin("ignored", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    scene.simulator.fault("update:ignored,times=always").unwrap();
    let mut wanted = spec("Contoso SDS");
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    scene.create("contoso", wanted.clone()).await;
    let is_given_up = |profile: &EducationSyncProfile| {
        condition(profile, "Drifted")
            .is_some_and(|(value, reason, _)| value == "True" && reason == "NotAccepted")
    };
    let given_up = scene.until("contoso", "given up", is_given_up).await;
    let (_, _, message) = condition(&given_up, "Drifted").unwrap();
    assert!(message.contains("handleSpecialCharacterConstraint twice"), "{message}");
    assert_eq!(scene.requests("PUT").len(), 2);
    // Longer than a settle window.
    scene.lists_pass(4).await;
    assert_eq!(scene.requests("PUT").len(), 2, "nothing more is sent");
    let at_rest = scene.profiles().get("contoso").await.unwrap();
    assert_eq!(condition(&at_rest, "Ready").unwrap().1, "Provisioned");
    assert!(is_given_up(&at_rest), "it stays so");

    // Another generation is sent again, and given up again after as many updates.
    wanted["displayName"] = json!("Contoso Roster");
    scene.create("contoso", wanted.clone()).await;
    let generation = at_rest.metadata.generation.unwrap() + 1;
    let again = scene.until("contoso", "given up again", |profile| {
        let observed = profile.status.as_ref().and_then(|status| status.observed_generation);
        let message = condition(profile, "Drifted").map(|(_, _, message)| message);
        observed == Some(generation)
            && is_given_up(profile)
            && message.is_some_and(|message| message.contains("displayName"))
    });
    again.await;
    assert_eq!(scene.requests("PUT").len(), 4);
    scene.simulator.clear_faults();
    wanted["handleSpecialCharacterConstraint"] = json!(false);
    scene.create("contoso", wanted).await;
    scene.eventually("it has its name", |scene| remote(scene, &id)["displayName"] == "Contoso Roster").await;
    scene.until("contoso", "as it should be", |profile| condition(profile, "Drifted").is_none()).await;
    assert_eq!(scene.requests("PUT").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_keeps_the_profile_and_frees_the_old_name() {
    let scene = begin("rename", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    scene.create("taken", spec("Fabrikam SDS")).await;
    scene.until_ready_is("taken", "True", "Provisioned").await;
    scene.create("contoso", spec("fabrikam sds")).await;
    scene.until_ready_is("contoso", "False", "AlreadyClaimed").await;
    scene.create("contoso", spec("Contoso Roster")).await;
    scene
        .eventually("it has the new name", |scene| remote(scene, &id)["displayName"] == "Contoso Roster")
        .await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&ready), id);
    scene.create("next", spec("Contoso SDS")).await;
    scene.until_ready_is("next", "True", "Provisioned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_changes_nothing() {
    let scene = begin("observe", quick()).await;
    let mut wanted = spec("Contoso SDS");
    wanted["managementPolicy"] = json!("Observe");
    scene.create("contoso", wanted.clone()).await;
    scene.until_ready_is("contoso", "False", "WouldCreate").await;
    let id = scene.simulator.plant(foreign_body("Other name")).unwrap();
    wanted["adopt"] = json!({"profileId": id});
    wanted["deletionPolicy"] = json!("Delete");
    scene.create("contoso", wanted).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let observed = scene.until("contoso", "drifted", |profile| condition(profile, "Drifted").is_some()).await;
    let (_, reason, message) = condition(&observed, "Drifted").unwrap();
    assert_eq!(reason, "Differs");
    assert!(message.contains("displayName") && message.contains("Observe"), "{message}");
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert!(scene.requests(method).is_empty(), "{method}");
    }
    assert_eq!(scene.simulator.profiles().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_adopted_and_made_what_the_manifest_says() {
    let scene = begin("adopt", quick()).await;
    let id = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    let mut wanted = spec("Contoso SDS");
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    scene.create("contoso", wanted.clone()).await;
    let stalled = scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    let (_, _, message) = condition(&stalled, "Ready").unwrap();
    assert!(message.contains(&format!("spec.adopt.profileId: {id}")), "the line to add is said: {message}");

    wanted["adopt"] = json!({"byDisplayName": true});
    let refused = scene.apply::<EducationSyncProfile>(profile_manifest("contoso", wanted.clone())).await;
    assert!(refused.unwrap_err().to_string().contains("adopt needs an explicit deletionPolicy"));
    wanted["deletionPolicy"] = json!("Delete");
    scene.create("contoso", wanted).await;
    scene
        .eventually("it is made what the manifest says", |scene| {
            remote(scene, &id)["handleSpecialCharacterConstraint"] == true
        })
        .await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&ready), id);
    assert!(scene.requests("POST").is_empty());
    // A second resource cannot take it as well.
    let mut second = spec("Another");
    second["adopt"] = json!({"profileId": id});
    second["deletionPolicy"] = json!("Retain");
    scene.create("second", second).await;
    scene.until_ready_is("second", "False", "AlreadyClaimed").await;
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().iter().all(|profile| profile["id"] != id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_named_and_left_alone() {
    let scene = begin("twin", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let twin = scene.simulator.plant(foreign_body("contoso sds")).unwrap();
    let is_told = |profile: &_| condition(profile, "DuplicateProfile").is_some();
    let told = scene.until("contoso", "told of its twin", is_told).await;
    let (status, reason, message) = condition(&told, "DuplicateProfile").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "SameName"));
    assert!(message.contains(&twin) && !message.contains(&id), "{message}");
    assert_eq!((condition(&told, "Ready").unwrap().0, profile_id(&told)), ("True".to_owned(), id.clone()));
    scene.until_events_are("contoso", &["Created", "Provisioned", "DuplicateProfile"]).await;

    // Not even a deletion touches it.
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    let left: Vec<Value> = scene.simulator.profiles();
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!(twin)));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let calls = scene.requests(method);
        assert!(calls.iter().all(|call| !call.path.contains(&twin)), "{method}: {calls:?}");
    }
    assert_eq!(scene.requests("POST").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_somebody_deleted_is_created_again() {
    let scene = begin("recreated", quick()).await;
    scene.create("other", spec("Fabrikam SDS")).await;
    scene.until_ready_is("other", "True", "Provisioned").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    scene.simulator.remove(&id);
    let again = scene.until("contoso", "with another profile", |profile| {
        profile.status.as_ref().and_then(|status| status.binding.as_ref()).is_some_and(|b| b.profile_id != id)
    });
    again.await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert!(scene.events("contoso").await.contains(&"ProfileVanished".to_owned()));
    assert_eq!(scene.requests("POST").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_tenant_is_not_believed_before_somebody_confirms() {
    let scene = begin("emptied", quick()).await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    scene.simulator.remove(&id);
    let stalled = scene.until_ready_is("contoso", "False", "UpstreamEmpty").await;
    let (_, _, message) = condition(&stalled, "Ready").unwrap();
    assert!(message.contains(&format!("edusync.dev/confirm-gone={id}")), "{message}");
    assert_eq!(scene.requests("POST").len(), 1);
    let mut manifest = profile_manifest("contoso", spec("Contoso SDS"));
    manifest["metadata"]["annotations"] = json!({"edusync.dev/confirm-gone": id});
    scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("POST").len(), 2);
}

/// Its list is empty, and it says 404 of each profile: were that believed, there would be twins when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_has_lost_its_profiles_gets_no_new_ones_before_it_has_found_them() {
    let scene = begin("lostall", quick()).await;
    for (name, display_name) in [("contoso", "Contoso SDS"), ("fabrikam", "Fabrikam SDS")] {
        scene.create(name, spec(display_name)).await;
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    scene.simulator.fault("list:empty-list,times=always").unwrap();
    scene.simulator.fault("get:404,times=always").unwrap();
    for name in ["contoso", "fabrikam"] {
        scene.until_ready_is(name, "False", "UpstreamEmpty").await;
    }
    scene.create("third", spec("Third SDS")).await;
    scene.until_ready_is("third", "False", "UpstreamEmpty").await;
    scene.until_connection_is("False", "UpstreamEmpty").await;
    assert_eq!(scene.requests("POST").len(), 2);
    scene.simulator.clear_faults();
    for name in ["contoso", "fabrikam", "third"] {
        scene.until_ready_is(name, "True", "Provisioned").await;
    }
    scene.until_connection_is("True", "Connected").await;
    assert_eq!(scene.requests("POST").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_profile_is_sent_again_when_it_is_corrected_or_asked_for() {
    let scene = begin("sentagain", quick()).await;
    scene.simulator.fail_provisioning("Contoso SDS");
    scene.create("contoso", spec("Contoso SDS")).await;
    scene.until_ready_is("contoso", "False", "ProvisioningFailed").await;
    let mut manifest = profile_manifest("contoso", spec("Contoso SDS"));
    manifest["metadata"]["annotations"] = json!({"reconcile.edusync.dev/requestedAt": "one"});
    scene.apply::<EducationSyncProfile>(manifest).await.unwrap();
    scene.eventually("it is sent again", |scene| scene.requests("PUT").len() == 1).await;
    scene.until_ready_is("contoso", "False", "ProvisioningFailed").await;
    scene.create("contoso", spec("Contoso Roster")).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(scene.requests("PUT").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_adopts() {
    let scene = begin("adoptexample", quick()).await;
    let id = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    let file = xtask::repository_root().join("examples/adopt.yaml");
    let mut apply =
        scene.world.kubectl(["apply", "--namespace", &scene.namespace, "-f", file.to_str().unwrap()]);
    let output = apply.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let adopted = scene.until("adopt", "as it should be", |profile| {
        let ready = condition(profile, "Ready").is_some_and(|(value, _, _)| value == "True");
        ready && profile.status.as_ref().is_some_and(|status| !status.applied_fields.is_empty())
    });
    assert_eq!(profile_id(&adopted.await), id);
}
