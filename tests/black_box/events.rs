//! Events: each says what happened, and what happens again in the same words is counted.

use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;

use crate::scene::{LOOK, PATIENCE, Scene, quick, spec};

/// Note and count of the events of one reason, oldest first.
async fn said(scene: &Scene, reason: &str) -> Vec<(String, i32)> {
    let mut events = of_reason(scene, reason).await;
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    let told = |event: Event| (event.note.unwrap_or_default(), event.series.map_or(1, |series| series.count));
    events.into_iter().map(told).collect()
}

async fn of_reason(scene: &Scene, reason: &str) -> Vec<Event> {
    let events = api(scene).list(&ListParams::default()).await.unwrap().items;
    events.into_iter().filter(|event| event.reason.as_deref() == Some(reason)).collect()
}

fn api(scene: &Scene) -> Api<Event> {
    Api::namespaced(scene.client.clone(), &scene.namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn other_words_are_another_event_and_the_same_are_counted() {
    let mut scene = Scene::without_operator("events", quick()).await;
    scene.start_operator();
    let mut wanted = spec("Contoso SDS");
    scene.create("contoso", wanted.clone()).await;
    scene.until_ready_is("contoso", "True", "Provisioned").await;

    wanted["handleSpecialCharacterConstraint"] = json!(true);
    scene.create("contoso", wanted.clone()).await;
    scene.until_said(2, 1).await;
    wanted["expirationDate"] = json!("2027-06-30");
    scene.create("contoso", wanted.clone()).await;
    scene.until_said(3, 2).await;

    let updated = said(&scene, "Updated").await;
    let is_about = |at: usize, field: &str| updated[at].0.contains(field) && updated[at].1 == 1;
    assert!(is_about(0, "handleSpecialCharacterConstraint") && is_about(1, "expirationDate"), "{updated:?}");
    let set_up = |count| vec![("The profile is set up.".to_owned(), count)];
    assert_eq!(said(&scene, "Provisioned").await, set_up(3));

    for event in of_reason(&scene, "Provisioned").await {
        api(&scene).delete(&event.name_any(), &DeleteParams::default()).await.unwrap();
    }
    wanted["expirationDate"] = json!("2027-07-31");
    scene.create("contoso", wanted).await;
    scene.until_said(1, 3).await;
    assert_eq!(said(&scene, "Provisioned").await, set_up(1), "somebody has removed the first one");
}

impl Scene {
    /// Waits until it was said so often that the profile is set up, and that it was changed.
    async fn until_said(&self, set_up: i32, updated: i32) {
        let times = async |reason| said(self, reason).await.iter().map(|(_, count)| count).sum::<i32>();
        let said_so = async || (times("Provisioned").await, times("Updated").await);
        let waited = tokio::time::timeout(PATIENCE, async {
            while said_so().await != (set_up, updated) {
                tokio::time::sleep(LOOK).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}\n{}", said_so().await, self.operator_says());
    }
}
