//! The synchronization is mirrored, paused and resumed, and run anew when a trigger asks.

use edusync::api::EducationSyncProfile;
use edusync::api::status::SyncStatus;
use edusync::clock::Clock;
use graph_simulator::{ExpandRule, ProfileSettings, Settings, SyncOutcome};
use serde_json::json;

use crate::cli::edusync;
use crate::manage::by_hand;
use crate::proxy::{Deed, Wanted};
use crate::scene::{COLLECTION, Scene, condition, power_school, profile_id, quick, spec};

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

/// Status and reason of the condition `Synchronized`.
fn synchronized(profile: &EducationSyncProfile) -> (String, String) {
    let (status, reason, _) = condition(profile, "Synchronized").unwrap();
    (status, reason)
}

fn no(reason: &str) -> (String, String) {
    ("False".to_owned(), reason.to_owned())
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
    let mut spec = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    let with_counted_errors = |profile: &EducationSyncProfile| {
        !profile.status.as_ref().unwrap().errors.is_empty() && is(SyncStatus::Error)(profile)
    };
    let failed = scene.until("contoso", "with counted errors", with_counted_errors).await;
    let text = serde_json::to_string(&failed).unwrap();
    let status = failed.status.clone().unwrap();
    assert_eq!(status.errors.iter().map(|errors| errors.count).sum::<i64>(), 6);
    assert_eq!(status.sync.unwrap().error_count, Some(6));
    assert!(!text.contains("fabrikam.example"), "no person is named: {text}");
    assert_eq!(synchronized(&failed), no("SyncFailed"));
    assert_eq!(condition(&failed, "Ready").unwrap().0, "True", "Ready follows provisioning");
    assert_eq!(calls(&scene, "/errors"), 1);

    // The next run begins without errors, and finds as many; a first look at them fails.
    scene.simulator.fault("errors:503,times=1").unwrap();
    spec["triggers"] = json!({"reset": "again"});
    scene.create("contoso", spec).await;
    let without = |profile: &EducationSyncProfile| profile.status.as_ref().unwrap().errors.is_empty();
    scene.until("contoso", "without errors", without).await;
    scene.until("contoso", "with errors of another run", with_counted_errors).await;
    assert_eq!(calls(&scene, "/errors"), 2);
    let tried = scene.simulator.requests().iter().filter(|request| request.path.ends_with("/errors")).count();
    assert_eq!(tried, 3);
    assert!(!scene.operator_log().contains("fabrikam.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_school_data_sync_has_stopped_says_what_a_person_must_do_and_that_helps() {
    let scene = begin("stopped", settings(ExpandRule::Allow)).await;
    let mut spec = power_school(&scene).await;
    let stops = [
        (
            "doubtful",
            SyncOutcome::ValidationError,
            "ValidationError",
            "resume the synchronization in School Data Sync",
        ),
        ("overrun", SyncOutcome::Quarantined, "Quarantined", "set spec.triggers.reset to a new value"),
    ];
    for (name, outcome, ..) in stops {
        scene.simulator.set_sync_outcome(name, outcome);
        spec["displayName"] = json!(name);
        scene.create(name, spec.clone()).await;
    }
    let mut ids = Vec::new();
    for (name, _, reason, advice) in stops {
        let says_so =
            |profile: &_| condition(profile, "Synchronized").is_some_and(|(_, said, _)| said == reason);
        let stopped = scene.until(name, reason, says_so).await;
        assert_eq!(synchronized(&stopped), no(reason));
        let message = condition(&stopped, "Synchronized").unwrap().2;
        assert!(message.contains("Mend the source") && message.contains(advice), "{message}");
        assert_eq!(condition(&stopped, "Ready").unwrap().0, "True", "Ready follows provisioning");
        scene.until_events_are(name, &["Created", "Provisioned", reason]).await;
        let troubled = edusync(&scene, &["status"]).await.ended_with(2).out;
        assert!(troubled.contains(&format!("Synchronized: {message}")), "{troubled}");
        ids.push(profile_id(&stopped));
    }
    scene.lists_pass(3).await;
    let changed: usize = ["/pause", "/resume", "/reset", "/start"].map(|end| calls(&scene, end)).iter().sum();
    assert_eq!(changed, 0, "edusync does nothing about it by itself");

    // What the sentences advise.
    by_hand(&scene, "POST", &format!("/{}/resume", ids[0]), &json!({}));
    scene.simulator.set_sync_outcome("overrun", SyncOutcome::Success);
    spec["triggers"] = json!({"reset": "mended"});
    scene.create("overrun", spec).await;
    for (name, ..) in stops {
        let done = scene.until(name, "synchronized", is(SyncStatus::Success)).await;
        assert_eq!(synchronized(&done), ("True".to_owned(), "SyncSucceeded".to_owned()));
    }
    edusync(&scene, &["status"]).await.ended_with(0);
}

/// Synchronizations that do not end during a test.
pub fn endless() -> Settings {
    let sync_time = std::time::Duration::from_hours(1);
    Settings { profiles: ProfileSettings { sync_time, ..ProfileSettings::default() }, ..quick() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_edusync_has_paused_it_resumes() {
    let scene = begin("pause", endless()).await;
    let mut spec = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    let running = scene
        .until("contoso", "running", |p| p.status.as_ref().and_then(|status| status.sync.as_ref()).is_some())
        .await;
    assert_eq!(synchronized(&running), no("SyncRunning"));
    spec["synchronization"] = json!("Paused");
    scene.create("contoso", spec.clone()).await;
    let paused = scene.until("contoso", "paused", is(SyncStatus::Paused)).await;
    assert_eq!(synchronized(&paused), no("SyncPaused"));
    edusync(&scene, &["status"]).await.ended_with(0);
    assert_eq!(paused.status.unwrap().paused_by_manifest, Some(true));
    spec["synchronization"] = json!("Running");
    scene.create("contoso", spec).await;
    let resumed = scene.until("contoso", "resumed", |profile| {
        profile.status.as_ref().unwrap().paused_by_manifest.is_none() && !is(SyncStatus::Paused)(profile)
    });
    assert_eq!(synchronized(&resumed.await), no("SyncRunning"));
    assert_eq!((calls(&scene, "/pause"), calls(&scene, "/resume")), (1, 1));
}

/// Somebody has to stop it now, and must hear that it goes on. An update that was refused as well is no reason not to try.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_graph_refuses_is_told_and_tried_beside_a_refused_update() {
    let scene = begin("norest", endless()).await;
    let mut spec = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    scene.simulator.fault("update:403,times=always").unwrap();
    scene.simulator.fault("pause:403,times=1").unwrap();
    spec["displayName"] = json!("Contoso Roster");
    spec["synchronization"] = json!("Paused");
    scene.create("contoso", spec.clone()).await;
    scene.until("contoso", "paused", is(SyncStatus::Paused)).await;
    scene.until_ready_is("contoso", "False", "Forbidden").await;
    let events = scene.events("contoso").await;
    assert!(events.contains(&"NotPaused".to_owned()), "{events:?}");
    assert_eq!(calls(&scene, "/pause"), 1);
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
    scene.crash_operator().await;
    scene.start_operator();
    scene.until("contoso", "synchronized again", is(SyncStatus::Success)).await;
    scene.lists_pass(2).await;
    assert_eq!(calls(&scene, "/reset"), 1);
}

/// A second reset would start the synchronization over, although it is about to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_graph_has_carried_out_at_a_crash_is_not_sent_again() {
    let mut scene = Scene::behind_proxies("resetkilled", settings(ExpandRule::Allow)).await;
    scene.start_operator();
    let mut spec = power_school(&scene).await;
    scene.create("contoso", spec.clone()).await;
    scene.until("contoso", "synchronized", is(SyncStatus::Success)).await;
    let name = "Graph POST synchronizationProfiles/*/reset".to_owned();
    scene.gate().count(Some(Wanted { name, before: 0, deed: Deed::KillAfter }));
    spec["triggers"] = json!({"reset": "one"});
    scene.create("contoso", spec).await;
    assert_eq!(scene.gate().struck().await, Deed::KillAfter);
    scene.crash_operator().await;
    scene.start_operator();
    let answered = scene.until("contoso", "answered", |profile| {
        let status = profile.status.clone().unwrap_or_default();
        status.handled_triggers.and_then(|handled| handled.reset).as_deref() == Some("one")
    });
    answered.await;
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

/// Somebody uploads files by another tool than edusync, which starts nothing.
fn upload(scene: &Scene, id: &str) {
    let address = by_hand(scene, "GET", &format!("/{id}/uploadUrl"), &json!({}));
    let address: http::Uri = address["value"].as_str().unwrap().parse().unwrap();
    let (path, query) = (address.path(), address.query().unwrap());
    for file in std::fs::read_dir(xtask::repository_root().join("examples/csv")).unwrap() {
        let file = file.unwrap();
        let blob = file.file_name().into_string().unwrap();
        let text = std::fs::read(file.path()).unwrap();
        let put = http::Request::put(format!("{path}/{blob}?{query}"))
            .header("content-length", text.len())
            .header("x-ms-blob-type", "BlockBlob")
            .header("x-ms-version", "2015-07-08")
            .body(text.into())
            .unwrap();
        let answer = scene.simulator.simulator().handle(put, Clock::of_this_machine().now());
        assert!(answer.status().is_success(), "{blob}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_synchronizes_what_is_uploaded_once() {
    let mut scene = begin("started", settings(ExpandRule::Allow)).await;
    let mut spec = spec("Contoso SDS");
    scene.create("contoso", spec.clone()).await;
    let id = profile_id(&scene.until_ready_is("contoso", "True", "Provisioned").await);
    upload(&scene, &id);
    spec["triggers"] = json!({"start": "now"});
    scene.create("contoso", spec).await;
    let done = scene.until("contoso", "synchronized", is(SyncStatus::Success)).await;
    let handled = done.status.unwrap().handled_triggers.unwrap();
    assert_eq!((handled.start.as_deref(), handled.reset), (Some("now"), None));
    let events = ["Created", "Provisioned", "Started", "SyncSucceeded"];
    scene.until_events_are("contoso", &events).await;

    scene.crash_operator().await;
    scene.start_operator();
    scene.lists_pass(3).await;
    let starts = scene.requests("POST").into_iter().filter(|request| request.path.ends_with("/start"));
    let starts: Vec<_> = starts.map(|request| (request.path, request.status)).collect();
    assert_eq!(starts, [(format!("{COLLECTION}/{id}/start"), 200)]);
    scene.until_events_are("contoso", &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_profile_is_told_ahead() {
    let scene = begin("expiry", quick()).await;
    let mut spec = spec("Contoso SDS");
    let soon = Clock::of_this_machine().now() + std::time::Duration::from_hours(24 * 30);
    let day = soon.strftime("%Y-%m-%d").to_string();
    spec["expirationDate"] = json!(day);
    scene.create("contoso", spec).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;
    let told = scene.until("contoso", "told", |profile| condition(profile, "ExpiringSoon").is_some()).await;
    assert!(condition(&told, "ExpiringSoon").unwrap().2.contains(&day));
    assert_eq!(told.status.unwrap().expiration_date, Some(day));
}
