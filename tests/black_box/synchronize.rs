//! The synchronization is mirrored, paused and resumed, and run anew when a trigger asks.

use edusync::api::EducationSyncProfile;
use edusync::api::status::SyncStatus;
use graph_simulator::{ExpandRule, ProfileSettings, Settings, SyncOutcome};
use serde_json::json;

use crate::scene::{Scene, condition, power_school, quick, spec};

fn settings(expand: ExpandRule) -> Settings {
    let sync_time = std::time::Duration::from_secs(1);
    Settings { profiles: ProfileSettings { expand, sync_time, ..ProfileSettings::default() }, ..quick() }
}

async fn begin(name: &str, settings: Settings) -> Scene {
    let mut scene = Scene::without_operator(name, settings).await.with_flags(&["--settle-window", "1s"]);
    scene.start_operator();
    scene
}

pub fn is(status: SyncStatus) -> impl Fn(&EducationSyncProfile) -> bool {
    move |profile| {
        let sync = profile.status.as_ref().and_then(|status| status.sync.as_ref());
        sync.is_some_and(|sync| sync.status == status)
    }
}

fn calls(scene: &Scene, end: &str) -> usize {
    let all = scene.simulator.requests();
    all.iter().filter(|request| request.path.ends_with(end) && request.status < 300).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_synchronization_comes_with_the_list() {
    let scene = begin("expanded", settings(ExpandRule::Allow)).await;
    let spec = power_school(&scene).await;
    scene.create("contoso", spec).await;
    let done = scene.until("contoso", "synchronized", is(SyncStatus::Success)).await;
    assert_eq!(condition(&done, "Synchronized").unwrap().1, "SyncSucceeded");
    assert!(done.status.unwrap().sync.unwrap().last_synchronization.is_some());
    assert_eq!(calls(&scene, "/profileStatus"), 0, "no call of its own");
    let mut get = scene.world.kubectl(["get", "esp", "--namespace", &scene.namespace]);
    let table = String::from_utf8(get.output().unwrap().stdout).unwrap();
    assert!(table.contains("success"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_list_does_not_bring_it_a_call_does() {
    for (name, rule) in [("refused", ExpandRule::Refuse), ("ignored", ExpandRule::Ignore)] {
        let scene = begin(name, settings(rule)).await;
        let spec = power_school(&scene).await;
        scene.create("contoso", spec).await;
        scene.until_ready_is("contoso", "True", "Provisioned").await;
        scene.eventually("asked for", |scene| calls(scene, "/profileStatus") == 1).await;
        scene.until("contoso", "known", |profile| profile.status.as_ref().unwrap().sync.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_counted_by_kind_and_name_nobody() {
    let scene = begin("syncerrors", settings(ExpandRule::Allow)).await;
    scene.simulator.set_sync_errors("Contoso SDS", 6);
    scene.simulator.set_sync_outcome("Contoso SDS", SyncOutcome::Error);
    let spec = power_school(&scene).await;
    scene.create("contoso", spec).await;
    let failed = scene
        .until("contoso", "with counted errors", |profile| {
            !profile.status.as_ref().unwrap().errors.is_empty() && is(SyncStatus::Error)(profile)
        })
        .await;
    let text = serde_json::to_string(&failed).unwrap();
    let status = failed.status.clone().unwrap();
    assert_eq!(status.errors.iter().map(|errors| errors.count).sum::<i64>(), 6);
    assert_eq!(status.sync.unwrap().error_count, Some(6));
    assert!(!text.contains("fabrikam.example"), "no person is named: {text}");
    let (value, reason, _) = condition(&failed, "Synchronized").unwrap();
    assert_eq!((value.as_str(), reason.as_str()), ("False", "SyncFailed"));
    assert_eq!(condition(&failed, "Ready").unwrap().0, "True", "Ready follows provisioning");
    assert_eq!(calls(&scene, "/errors"), 1);
    assert!(!scene.operator_log().contains("fabrikam.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_edusync_has_paused_it_resumes() {
    let long = std::time::Duration::from_hours(1);
    let profiles = ProfileSettings { sync_time: long, ..ProfileSettings::default() };
    let scene = begin("pause", Settings { profiles, ..quick() }).await;
    let mut spec = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    scene
        .until("contoso", "running", |p| p.status.as_ref().and_then(|status| status.sync.as_ref()).is_some())
        .await;
    spec["synchronization"] = json!("Paused");
    scene.create("contoso", spec.clone()).await;
    let paused = scene.until("contoso", "paused", is(SyncStatus::Paused)).await;
    assert_eq!(paused.status.unwrap().paused_by_manifest, Some(true));
    spec["synchronization"] = json!("Running");
    scene.create("contoso", spec).await;
    let resumed = scene.until("contoso", "resumed", |profile| {
        profile.status.as_ref().unwrap().paused_by_manifest.is_none() && !is(SyncStatus::Paused)(profile)
    });
    resumed.await;
    assert_eq!((calls(&scene, "/pause"), calls(&scene, "/resume")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_answered_once_and_not_at_the_first_sight() {
    let mut scene = begin("trigger", settings(ExpandRule::Allow)).await;
    let mut spec = power_school(&scene).await;
    spec["triggers"] = json!({"reset": "one"});
    scene.create("contoso", spec.clone()).await;
    scene.until("contoso", "synchronized", is(SyncStatus::Success)).await;
    assert_eq!(calls(&scene, "/reset"), 0, "what is there from the beginning asks for nothing");
    spec["triggers"] = json!({"reset": "two"});
    scene.create("contoso", spec).await;
    let answered = scene.until("contoso", "answered", |profile| {
        let handled = profile.status.as_ref().and_then(|status| status.handled_triggers.clone());
        handled.and_then(|handled| handled.reset).as_deref() == Some("two")
    });
    answered.await;
    scene.eventually("reset", |scene| calls(scene, "/reset") == 1).await;
    scene.kill_operator();
    scene.start_operator();
    scene.until("contoso", "synchronized again", is(SyncStatus::Success)).await;
    scene.lists_pass(2).await;
    assert_eq!(calls(&scene, "/reset"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_files_says_what_is_missing() {
    let scene = begin("start", settings(ExpandRule::Allow)).await;
    let mut spec = spec("Contoso SDS");
    scene.create("contoso", spec.clone()).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    spec["triggers"] = json!({"start": "now"});
    scene.create("contoso", spec).await;
    scene.until_events_are("contoso", &["Created", "Provisioned", "NotStarted"]).await;
    let all = scene.simulator.requests();
    assert_eq!(all.iter().filter(|request| request.path.ends_with("/start")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_profile_is_told_ahead() {
    let scene = begin("expiry", quick()).await;
    let mut spec = spec("Contoso SDS");
    let soon = edusync::clock::Clock::of_this_machine().now() + std::time::Duration::from_hours(24 * 30);
    let day = soon.strftime("%Y-%m-%d").to_string();
    spec["expirationDate"] = json!(day);
    scene.create("contoso", spec).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let told = scene.until("contoso", "told", |profile| condition(profile, "ExpiringSoon").is_some()).await;
    assert!(condition(&told, "ExpiringSoon").unwrap().2.contains(&day));
    assert_eq!(told.status.unwrap().expiration_date, Some(day));
}
