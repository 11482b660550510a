//! A new client secret of a source is noticed although nothing else happens.

use std::time::Duration;

use edusync::api::EducationSyncProfile;
use graph_simulator::Settings;
use serde_json::{Value, json};

use crate::judge;
use crate::manifests::{NAMESPACE, key, manifest};
use crate::run::begin;
use crate::users::Replicas;
use crate::world::World;

/// As the documents promise, and some seconds for the passes that lead to the update.
const NOTICED: Duration = Duration::from_secs(15 * 60 + 10);

#[tokio::test(start_paused = true)]
async fn a_new_secret_of_a_source_is_sent_within_a_quarter_of_an_hour() {
    let world = World::peaceful(Settings::default());
    let _processes = begin(&world, &Replicas::default(), 1);
    let give = |value| world.server.put_secret(NAMESPACE, "sis", &[("clientSecret", value)]);
    give("canary-1");
    let mut resource = manifest(0, 0, 0);
    resource.spec.data_provider = serde_json::from_value(json!({"powerSchool": {
        "connectionUrl": "https://powerschool.school.example", "clientId": "sds", "schoolYear": "2027",
        "schoolsIds": ["55"], "clientSecretRef": {"name": "sis", "key": "clientSecret"},
    }}))
    .unwrap();
    world.server.apply(resource, world.clock.now());
    tokio::time::sleep(Duration::from_mins(30)).await;
    assert_eq!(judge::unsettled(&world), Vec::<String>::new());

    for (number, value) in ["canary-2", "canary-3"].into_iter().enumerate() {
        // Whenever within the quarter it comes.
        tokio::time::sleep(Duration::from_mins(7)).await;
        give(value);
        tokio::time::sleep(NOTICED).await;
        let updates = world.rules.updates();
        let secret = |body: &Value| body.pointer("/dataProvider/clientSecret").cloned();
        assert_eq!(updates.len(), number + 1, "{}", world.story.text());
        assert_eq!(updates.last().and_then(secret), Some(json!(value)));
        let (version, _) = world.server.secret(NAMESPACE, "sis").unwrap();
        let resources = world.server.list::<EducationSyncProfile>();
        let applied = resources.iter().find(|one| one.metadata.name.as_deref() == Some(&*key(0).name));
        let status = applied.and_then(|resource| resource.status.as_ref());
        let applied = status.and_then(|status| status.applied_secret_version.clone());
        assert_eq!(applied, Some(version.to_string()));
    }
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(world.rules.updates().len(), 2, "and not once more");
    assert_eq!(judge::unsettled(&world), Vec::<String>::new());
    assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
}
