//! A resource that is moved, restored or doubled: its profile stays one, and nothing is deleted.
//!
//! Where docs/moves.md has commands, these are what is run.

use edusync::api::EducationSyncProfile;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::page::Page;
use crate::scene::{Scene, condition, profile_id, profile_manifest, quick, spec};

/// A spec that takes a profile over, and deletes it with its resource.
pub fn adopting(display_name: &str, id: &str) -> Value {
    let mut spec = spec(display_name);
    spec["deletionPolicy"] = json!("Delete");
    spec["adopt"] = json!({"profileId": id});
    spec
}

/// The page, for these two scenes in the place of the old and the new one.
fn page(old: &Scene, new: &Scene, id: &str) -> Page {
    let manifest = new.world.folder().join(format!("{}.json", new.namespace));
    let text = profile_manifest("contoso", adopting("Contoso SDS", id)).to_string();
    std::fs::write(&manifest, text).unwrap();
    Page::read("moves.md")
        .with("-n old ", &format!("-n {} ", old.namespace))
        .with("-n new ", &format!("-n {} ", new.namespace))
        .with("contoso.yaml", manifest.to_str().unwrap())
        .with("THE-ID", id)
}

/// Of all requests to Graph nothing but one create has changed anything, and its profile is still there.
fn assert_only_created(scene: &Scene, id: &str) {
    for method in ["PUT", "PATCH", "DELETE"] {
        assert!(scene.requests(method).is_empty(), "{method}\n{}", scene.operator_log());
    }
    assert_eq!(scene.requests("POST").len(), 1);
    let ids: Vec<Value> = scene.simulator.profiles().iter().map(|profile| profile["id"].clone()).collect();
    assert_eq!(ids, [id]);
}

const TO_A_NAMESPACE: &str = "To another namespace";

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_moves_to_another_namespace_with_its_profile() {
    let mut old = Scene::without_operator("old", quick()).await;
    let new = old.neighbour("new").await;
    new.write_connection().await;
    old.start_operator();
    old.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&old.until_ready_is("contoso", "True", "Provisioned").await);
    let page = page(&old, &new, &id);
    // Whoever is too quick is told who has it, and loses nothing.
    new.create("quick", spec("contoso sds")).await;
    let stalled = new.until_ready_is("quick", "False", "AlreadyClaimed").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&format!("{}/contoso", old.namespace)), "{message}");
    new.delete("quick").await;
    new.until_gone("quick").await;

    page.run(&old, TO_A_NAMESPACE, 0);
    assert_eq!(page.run(&old, TO_A_NAMESPACE, 1), id);
    page.run(&old, TO_A_NAMESPACE, 2);
    old.until_gone("contoso").await;
    old.until_events_are("contoso", &["Created", "Provisioned", "Retained"]).await;
    page.run(&old, TO_A_NAMESPACE, 3);
    page.run(&old, TO_A_NAMESPACE, 4);
    let moved = new.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&moved), id);
    assert_only_created(&old, &id);

    // From now on it is a resource like any other.
    new.delete("contoso").await;
    new.until_gone("contoso").await;
    assert!(old.simulator.profiles().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_adopts_before_the_old_one_is_gone_waits_for_it() {
    let scene = Scene::begin("move-early").await;
    let mut retained = spec("Contoso SDS");
    retained["deletionPolicy"] = json!("Retain");
    scene.create("old", retained).await;
    let id = profile_id(&scene.until_ready_is("old", "True", "Provisioned").await);
    scene.create("new", adopting("Contoso SDS", &id)).await;
    scene.until_ready_is("new", "False", "AlreadyClaimed").await;
    scene.delete("old").await;
    assert_eq!(profile_id(&scene.until_ready_is("new", "True", "Provisioned").await), id);
    assert_only_created(&scene, &id);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forgets_to_retain_is_told_what_to_do() {
    let scene = Scene::begin("move-forgot").await;
    scene.create("old", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("old", "True", "Provisioned").await);
    scene.delete("old").await;
    scene.create("contoso", adopting("Contoso SDS", &id)).await;
    scene.until_gone("old").await;
    let failed = scene.until_ready_is("contoso", "False", "AdoptionFailed").await;
    let message = condition(&failed, "Stalled").unwrap().2;
    assert!(message.contains("spec.adopt out to have"), "{message}");
    scene.create("contoso", spec("Contoso SDS")).await;
    assert_ne!(profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await), id);
    assert_eq!(scene.requests("POST").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cluster_makes_no_twin_and_takes_over_what_the_first_one_lets_go() {
    let first = Scene::begin("cluster-one").await;
    let second = first.another_cluster("cluster-two").await;
    first.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&first.until_ready_is("contoso", "True", "Provisioned").await);
    second.create("contoso", spec("Contoso SDS")).await;
    let stalled = second.until_ready_is("contoso", "False", "AlreadyExists").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&format!("spec.adopt.profileId: {id}")), "the line to add: {message}");
    // A deletion there does not touch what the first one has.
    second.delete("contoso").await;
    second.until_gone("contoso").await;

    let page = page(&first, &second, &id);
    page.run(&first, TO_A_NAMESPACE, 0);
    page.run(&first, TO_A_NAMESPACE, 2);
    first.until_gone("contoso").await;
    page.run(&second, TO_A_NAMESPACE, 3);
    let moved = second.until_ready_is("contoso", "True", "Provisioned").await;
    assert_eq!(profile_id(&moved), id);
    assert_only_created(&first, &id);
}

/// Takes a resource out of the cluster as if the cluster had been lost, and returns it as a backup has it.
async fn lost(scene: &mut Scene, name: &str) -> EducationSyncProfile {
    let backup = scene.profiles().get(name).await.unwrap();
    scene.crash_operator().await;
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.profiles().patch(name, &PatchParams::default(), &none).await.unwrap();
    scene.profiles().delete(name, &DeleteParams::default()).await.unwrap();
    backup
}

/// What backup tools do: the object without what the server gave it; then, if told to, its status.
async fn restore(scene: &Scene, backup: &EducationSyncProfile, with_status: bool) {
    let mut object = backup.clone();
    object.metadata = ObjectMeta {
        name: backup.metadata.name.clone(),
        finalizers: backup.metadata.finalizers.clone(),
        ..ObjectMeta::default()
    };
    let created = scene.profiles().create(&PostParams::default(), &object).await.unwrap();
    if with_status {
        object.metadata = created.metadata;
        scene.profiles().replace_status(&backup.name_any(), &PostParams::default(), &object).await.unwrap();
    }
}

const FROM_A_BACKUP: &str = "From a backup";

#[tokio::test(flavor = "multi_thread")]
async fn restored_with_its_status_it_is_not_trusted_before_somebody_adopts() {
    let mut scene = Scene::begin("restored").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let backup = lost(&mut scene, "contoso").await;
    restore(&scene, &backup, true).await;
    scene.start_operator();
    let stalled = scene.until_ready_is("contoso", "False", "StatusNotTrusted").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&format!("spec.adopt.profileId: {id}")), "{message}");
    // Deleted in this state it takes nothing with it.
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert_only_created(&scene, &id);

    scene.crash_operator().await;
    restore(&scene, &backup, true).await;
    scene.start_operator();
    scene.until_ready_is("contoso", "False", "StatusNotTrusted").await;
    page(&scene, &scene, &id).run(&scene, FROM_A_BACKUP, 0);
    let restored = scene.until_ready_is("contoso", "True", "Provisioned").await;
    let binding = restored.status.as_ref().unwrap().binding.clone().unwrap();
    assert_eq!((Some(binding.uid), binding.profile_id), (restored.metadata.uid.clone(), id.clone()));
    assert_only_created(&scene, &id);
    // It is ours again, with all that belongs to it.
    scene.delete("contoso").await;
    scene.until_gone("contoso").await;
    assert!(scene.simulator.profiles().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_with_the_status_of_a_profile_that_is_gone_it_starts_afresh_when_told_to() {
    let mut scene = Scene::begin("restored-gone").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let backup = lost(&mut scene, "contoso").await;
    assert!(scene.simulator.remove(&id));
    restore(&scene, &backup, true).await;
    scene.start_operator();
    scene.until_ready_is("contoso", "False", "StatusNotTrusted").await;
    assert_eq!(scene.requests("POST").len(), 1);
    page(&scene, &scene, &id).run(&scene, FROM_A_BACKUP, 1);
    assert_ne!(profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await), id);
    assert_eq!(scene.requests("POST").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_without_its_status_it_finds_its_profile_and_asks() {
    let mut scene = Scene::begin("restored-bare").await;
    scene.create("contoso", spec("Contoso SDS")).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    let backup = lost(&mut scene, "contoso").await;
    restore(&scene, &backup, false).await;
    scene.start_operator();
    let stalled = scene.until_ready_is("contoso", "False", "AlreadyExists").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&format!("spec.adopt.profileId: {id}")), "{message}");
    page(&scene, &scene, &id).run(&scene, FROM_A_BACKUP, 0);
    assert_eq!(profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await), id);
    assert_only_created(&scene, &id);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_adopt_one_profile_at_once_one_gets_it_and_then_the_other() {
    let mut scene = Scene::without_operator("adopt-twice", quick()).await;
    let id = scene.simulator.plant(crate::scene::foreign_body("Contoso SDS")).unwrap();
    let mut specs = [adopting("Contoso SDS", &id), adopting("Fabrikam SDS", &id)];
    for (name, spec) in ["one", "two"].into_iter().zip(&mut specs) {
        spec["deletionPolicy"] = json!("Retain");
        spec["managementPolicy"] = json!("Observe");
        scene.create(name, spec.take()).await;
    }
    scene.start_operator();
    let states = settled(&scene).await;
    let (first, second) = match &states[..] {
        [("one", true), ("two", false)] => ("one", "two"),
        [("one", false), ("two", true)] => ("two", "one"),
        other => panic!("{other:?}"),
    };
    let stalled = scene.until_ready_is(second, "False", "AlreadyClaimed").await;
    let message = condition(&stalled, "Stalled").unwrap().2;
    assert!(message.contains(&format!("{}/{first}", scene.namespace)) && message.contains(&id), "{message}");
    scene.delete(first).await;
    assert_eq!(profile_id(&scene.until_ready_is(second, "True", "Provisioned").await), id);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert!(scene.requests(method).is_empty(), "{method}");
    }
}

/// Waits until "one" and "two" are ready or stalled, and says which of them are ready.
async fn settled(scene: &Scene) -> Vec<(&'static str, bool)> {
    let mut settled = Vec::new();
    for name in ["one", "two"] {
        let profile = scene.until(name, "settled", |profile| {
            let is = |kind| condition(profile, kind).is_some_and(|(status, ..)| status == "True");
            is("Ready") || is("Stalled")
        });
        settled.push((name, condition(&profile.await, "Ready").unwrap().0 == "True"));
    }
    settled
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_with_one_name_at_the_same_moment_one_is_created_and_then_the_next() {
    let scene = Scene::begin("same-moment").await;
    scene.until_connection_is("True", "Connected").await;
    let names: Vec<String> = (0..6).map(|number| format!("contoso-{number}")).collect();
    futures::future::join_all(names.iter().map(|name| scene.create(name, spec("Contoso SDS")))).await;
    let bound = async || {
        let all = scene.profiles().list(&ListParams::default()).await.unwrap().items;
        all.into_iter().filter(|p| p.status.as_ref().is_some_and(|s| s.binding.is_some())).collect::<Vec<_>>()
    };
    scene.eventually("one is created", |scene| scene.requests("POST").len() == 1).await;
    scene.lists_pass(3).await;
    let has_it = bound().await;
    assert_eq!(has_it.len(), 1);
    let first = has_it[0].name_any();
    for name in names.iter().filter(|name| **name != first) {
        scene.until_ready_is(name, "False", "AlreadyClaimed").await;
    }
    assert_eq!(scene.requests("POST").len(), 1);
    scene.delete(&first).await;
    scene.until_gone(&first).await;
    scene.eventually("the next one is created", |scene| scene.requests("POST").len() == 2).await;
    scene.lists_pass(3).await;
    assert_eq!(bound().await.len(), 1);
    assert_eq!((scene.requests("POST").len(), scene.simulator.profiles().len()), (2, 1));
}

#[test]
fn the_page_says_what_a_manifest_needs() {
    let text = std::fs::read_to_string(xtask::repository_root().join("docs/moves.md")).unwrap();
    let added = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let added: Value = serde_saphyr::from_str(added).unwrap();
    let mut wanted = spec("Contoso SDS");
    wanted.as_object_mut().unwrap().extend(added["spec"].as_object().unwrap().clone());
    assert_eq!(wanted, adopting("Contoso SDS", "THE-ID"));
}
