//! Manifests from the command line: `edusync import` and `edusync plan`.

use edusync::api::EducationSyncProfile;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cli::{edusync, edusync_with};
use crate::scene::{Scene, foreign_body, profile_id, profile_manifest, quick, spec};

const HOST: [&str; 2] = ["--allowed-host", "127.0.0.1"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_passes_the_api_server_and_plans_as_a_takeover() {
    let scene = Scene::without_operator("cli-import", quick()).await;
    let first = scene.simulator.plant(foreign_body("Contoso SDS")).unwrap();
    let mut power_school = foreign_body("Power (2)");
    power_school["dataProvider"] = json!({"@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
        "connectionUrl": "https://sis.example", "clientId": "c", "clientSecret": "canary", "schoolYear": "2027"});
    scene.simulator.plant(power_school).unwrap();
    let imported = edusync(&scene, &[&["import"], &HOST[..]].concat()).await.ended_with(0);
    assert!(imported.out.contains("create secret generic power-2-source"), "{}", imported.out);
    assert!(!format!("{imported:?}").contains("canary"));
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&imported.out).unwrap();
    assert_eq!(manifests.len(), 2, "{}", imported.out);
    for manifest in &manifests {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("tests").dry_run();
        let applied: EducationSyncProfile =
            scene.profiles().patch(name, &parameters, &Patch::Apply(manifest)).await.unwrap();
        assert_eq!(serde_json::to_value(&applied.spec).unwrap(), manifest["spec"]);
    }
    let of_first = manifests.iter().find(|manifest| manifest["metadata"]["name"] == "contoso-sds").unwrap();
    assert_eq!(of_first["spec"]["adopt"]["profileId"], first);
    assert_eq!(of_first["spec"]["deletionPolicy"], "Retain");

    let planned =
        edusync_with(&scene, &[&["plan", "-f", "-", "-o", "json"], &HOST[..]].concat(), &imported.out).await;
    let planned = planned.ended_with(2).json();
    for planned in planned.as_array().unwrap() {
        assert_eq!(planned["action"], "Adopt", "{planned}");
        assert_eq!(planned["fields"], json!([]));
    }
    let one = edusync(&scene, &[&["import", "--profile-id", &first, "-o", "json"], &HOST[..]].concat()).await;
    assert_eq!(one.ended_with(0).json()["items"].as_array().unwrap().len(), 1);
    let none = edusync(&scene, &[&["import", "--profile-id", "nowhere"], &HOST[..]].concat()).await;
    assert!(none.ended_with(1).err.contains("the tenant has no profile nowhere"));
}

async fn plan(scene: &Scene, manifest: &Value, more: &[&str]) -> crate::cli::Run {
    edusync_with(scene, &[&["plan", "-f", "-"], &HOST[..], more].concat(), &manifest.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_would_be_created_changed_blocked_or_deleted() {
    let scene = Scene::begin("cli-plan").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let ready = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let same = profile_manifest("contoso", spec("Contoso SDS"));
    let nothing = plan(&scene, &same, &[]).await.ended_with(0);
    assert_eq!(nothing.out, "nothing would change\n");

    let mut other = spec("Contoso SDS");
    other["handleSpecialCharacterConstraint"] = json!(true);
    let changed = plan(&scene, &profile_manifest("contoso", other), &[]).await.ended_with(2);
    let id = profile_id(&ready);
    assert!(
        changed.out.starts_with(&format!("change   {}/contoso \"Contoso SDS\" ({id})\n", scene.namespace)),
        "{}",
        changed.out
    );
    assert!(changed.out.contains("handleSpecialCharacterConstraint: "), "{}", changed.out);

    let new = plan(&scene, &profile_manifest("new", spec("Fabrikam SDS")), &["--prune"]).await.ended_with(2);
    assert!(new.out.contains("+ displayName: \"Fabrikam SDS\""), "{}", new.out);
    assert!(new.out.ends_with("1 to create, 1 to delete\n"), "{}", new.out);

    let twin = plan(&scene, &profile_manifest("twin", spec("contoso sds")), &[]).await.ended_with(2);
    assert!(twin.out.contains(&format!("{}/contoso", scene.namespace)), "{}", twin.out);

    let body = plan(&scene, &foreign_body("Contoso SDS"), &[]).await.ended_with(0);
    assert_eq!(body.out, "nothing would change\n", "a body as Graph takes it");
    let broken = edusync_with(&scene, &["plan", "-f", "-"], "kind: [").await.ended_with(1);
    assert!(broken.err.contains("in -"), "{}", broken.err);
    assert_eq!(scene.requests("POST").len(), 1, "nothing but the profile itself was ever sent");
}
