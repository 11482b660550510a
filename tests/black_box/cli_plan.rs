//! What `edusync plan` says is what the operator then does in Graph: the methods, and the fields that change.

use std::collections::BTreeSet;

use edusync::api::EducationSyncProfile;
use serde_json::{Value, json};

use crate::cli::edusync_with;
use crate::moves::adopting;
use crate::scene::{Scene, condition, foreign_body, profile_id, profile_manifest, spec};

/// The plan of one manifest.
async fn plan(scene: &Scene, manifest: &Value) -> Value {
    let arguments = ["plan", "-f", "-", "-o", "json", "--allowed-host", "127.0.0.1"];
    let run = edusync_with(scene, &arguments, &manifest.to_string()).await;
    assert!(run.code == 0 || run.code == 2, "{run:?}");
    run.json()[0].clone()
}

/// Paths at which two profiles differ, but for when they are set up. A list is one value, and so is what was not there at all.
fn differing(before: &Value, after: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    walk("", before, after, &mut paths);
    paths.retain(|path| path != "setUpDateTime");
    paths.sort();
    paths
}

fn walk(path: &str, before: &Value, after: &Value, paths: &mut Vec<String>) {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        if before != after {
            paths.push(path.to_owned());
        }
        return;
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told_elsewhere = ["state", "profileStatus", "@odata.type"];
    for name in names.into_iter().filter(|name| !told_elsewhere.contains(&name.as_str())) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(&path, before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null), paths);
    }
}

/// Is this what the plan said? The service adds what the manifest leaves to it.
fn holds(wanted: &Value, there: &Value) -> bool {
    match (wanted.as_object(), there.as_object()) {
        (Some(wanted), Some(there)) => {
            wanted.iter().all(|(name, value)| there.get(name).is_some_and(|there| holds(value, there)))
        }
        _ => wanted == there,
    }
}

/// Changes to Graph with their paths' ends, without ids.
fn changes(scene: &Scene) -> Vec<String> {
    let all = scene.simulator.requests();
    let changes = all.iter().filter(|r| r.method != "GET" && !r.path.contains("/oauth2/"));
    changes
        .map(|r| match r.path.rsplit('/').next().unwrap() {
            end if end.len() == 36 || end == "synchronizationProfiles" => r.method.clone(),
            end => format!("{} {end}", r.method),
        })
        .collect()
}

fn profile(scene: &Scene, id: &Value) -> Value {
    scene.simulator.profiles().into_iter().find(|profile| profile["id"] == *id).unwrap_or_default()
}

/// Plans a manifest, applies it, lets the operator act, and compares.
fn agrees<'a>(
    scene: &'a Scene,
    spec: &'a Value,
    action: &'a str,
    expected: &'a [&'a str],
) -> futures::future::LocalBoxFuture<'a, Value> {
    Box::pin(compare(scene, spec, action, expected))
}

async fn compare(scene: &Scene, spec: &Value, action: &str, expected: &[&str]) -> Value {
    let manifest = profile_manifest("contoso", spec.clone());
    let planned = plan(scene, &manifest).await;
    assert_eq!(planned["action"], action, "{planned}");
    let before = profile(scene, &planned["profileId"]);
    let so_far = changes(scene).len();
    let applied: EducationSyncProfile = scene.apply(manifest).await.unwrap();
    let generation = applied.metadata.generation;
    scene.eventually("it is done", |scene| changes(scene).len() >= so_far + expected.len()).await;
    let settled = scene.until("contoso", "settled", |profile| {
        let status = profile.status.as_ref();
        let is_seen = status.is_some_and(|status| status.observed_generation == generation);
        is_seen
            && status.is_some_and(|s| s.unaccepted.is_none())
            && condition(profile, "Reconciling").is_none()
    });
    let settled = settled.await;
    scene.lists_pass(2).await;
    assert_eq!(changes(scene).split_off(so_far), expected, "{planned}\n{}", scene.operator_log());

    let mut foretold: Vec<String> = planned["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap().to_owned())
        .collect();
    foretold.sort();
    match action {
        "Create" => assert_eq!(settled.status.unwrap().applied_fields, foretold),
        "Change" => {
            let after = profile(scene, &planned["profileId"]);
            assert_eq!(differing(&before, &after), foretold, "{planned}");
            for field in planned["fields"].as_array().unwrap() {
                let place = format!("/{}", field["path"].as_str().unwrap().replace('.', "/"));
                assert_eq!(before.pointer(&place).unwrap_or(&Value::Null), &field["old"], "{field}");
                let there = after.pointer(&place).unwrap_or(&Value::Null);
                assert!(holds(&field["new"], there), "{field}, but {there}");
            }
        }
        "Blocked" => {
            let said = condition(&settled, "Stalled").unwrap().2;
            assert_eq!(planned["message"], said, "the operator's own words");
        }
        _ => {}
    }
    // Whoever asks again is told that there is nothing left to do.
    let again = plan(scene, &profile_manifest("contoso", spec.clone())).await;
    let left = if action == "Blocked" { "Blocked" } else { "Nothing" };
    assert_eq!(again["action"], left, "{again}");
    planned
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_for_a_life_is_what_happens() {
    let scene = Scene::begin("plan-life").await;
    let mut wanted = spec("Contoso SDS");
    wanted["expirationDate"] = json!("2027-06-30");
    agrees(&scene, &wanted, "Create", &["POST"]).await;
    // Three fields, one of them deep in the provider.
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    wanted["expirationDate"] = json!("2027-07-31");
    wanted["dataProvider"] =
        json!({"csv": {"customizations": {"student": {"optionalPropertiesToSync": ["Grade"]}}}});
    let planned = agrees(&scene, &wanted, "Change", &["PUT"]).await;
    assert_eq!(planned["fields"].as_array().unwrap().len(), 3, "{planned}");
    // One that is taken out, and a new name.
    wanted.as_object_mut().unwrap().remove("expirationDate");
    agrees(&scene, &wanted, "Change", &["PUT"]).await;
    wanted["displayName"] = json!("Contoso Roster");
    agrees(&scene, &wanted, "Change", &["PUT"]).await;
    // Only looking changes nothing, and letting it stay neither.
    wanted["managementPolicy"] = json!("Observe");
    wanted["displayName"] = json!("Contoso Observed");
    agrees(&scene, &wanted, "Nothing", &[]).await;
    wanted["managementPolicy"] = json!("Manage");
    wanted["displayName"] = json!("Contoso Roster");
    wanted["deletionPolicy"] = json!("Retain");
    agrees(&scene, &wanted, "Nothing", &[]).await;

    let other = profile_manifest("other", spec("Fabrikam SDS")).to_string();
    let arguments = ["plan", "-f", "-", "--prune", "-o", "json", "--allowed-host", "127.0.0.1"];
    let pruned = edusync_with(&scene, &arguments, &other).await.ended_with(2).json();
    assert_eq!(pruned[1]["action"], "Leave", "{pruned}");
    let so_far = changes(&scene).len();
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_eq!(changes(&scene).len(), so_far);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_about_the_profiles_of_others_is_what_happens() {
    let mut scene = Scene::begin("plan-others").await;
    let theirs = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    agrees(&scene, &spec("contoso sds"), "Blocked", &[]).await;
    // Taken over with two fields that differ.
    let mut wanted = adopting("contoso sds", &theirs);
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    let planned = agrees(&scene, &wanted, "Change", &["PUT"]).await;
    assert_eq!(planned["message"], "the profile would be taken over");
    scene.create("fabrikam", spec("Fabrikam SDS")).await;
    scene.until_ready_is("fabrikam", "True", "Provisioned").await;
    wanted["displayName"] = json!("Fabrikam SDS");
    agrees(&scene, &wanted, "Blocked", &[]).await;
    wanted["displayName"] = json!("contoso sds");
    agrees(&scene, &wanted, "Nothing", &[]).await;
    // Somebody deletes it in the portal, and the manifest asks for none that is there.
    let id = profile_id(&scene.profiles().get("contoso").await.unwrap());
    scene.crash_operator().await;
    assert!(scene.simulator.remove(&id));
    let planned = plan(&scene, &profile_manifest("contoso", spec("Contoso SDS"))).await;
    assert_eq!(planned["action"], "Create", "{planned}");
    scene.start_operator();
    scene.create("contoso", spec("Contoso SDS")).await;
    scene
        .eventually("it is there again", |scene| changes(scene).last().is_some_and(|last| last == "POST"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_changes_nothing_and_two_wishes_for_one_name() {
    let scene = Scene::begin("plan-adopt").await;
    scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    let mut wanted = spec("Contoso SDS");
    wanted["deletionPolicy"] = json!("Retain");
    wanted["adopt"] = json!({"byDisplayName": true});
    agrees(&scene, &wanted, "Adopt", &[]).await;
    let twice = json!({"kind": "List", "items": [
        profile_manifest("one", spec("Fabrikam SDS")), profile_manifest("two", spec("fabrikam sds"))
    ]});
    let arguments = ["plan", "-f", "-", "-o", "json", "--allowed-host", "127.0.0.1"];
    let planned = edusync_with(&scene, &arguments, &twice.to_string()).await.ended_with(2).json();
    let actions = [&planned[0]["action"], &planned[1]["action"]];
    assert_eq!(actions, ["Create", "Blocked"], "{planned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_planned_and_happens() {
    let scene = Scene::begin("plan-pause").await;
    let mut wanted = spec("Contoso SDS");
    agrees(&scene, &wanted, "Create", &["POST"]).await;
    wanted["synchronization"] = json!("Paused");
    let planned = agrees(&scene, &wanted, "Run", &["POST pause"]).await;
    assert_eq!(planned["message"], "the synchronization would be paused");
    wanted["triggers"] = json!({"reset": "today"});
    agrees(&scene, &wanted, "Run", &["POST reset"]).await;
    wanted["synchronization"] = json!("Running");
    agrees(&scene, &wanted, "Run", &["POST resume"]).await;
}
