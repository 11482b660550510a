//! A deletion cannot be taken back, so what somebody said a moment before it counts, although no watch has told of it.

use std::time::Duration;

use edusync::api::EducationSyncProfile;
use graph_simulator::Settings;

use crate::judge;
use crate::rules::alive;
use crate::run::begin;
use crate::users::{Deed, Replicas, act};
use crate::world::World;

/// As [`crate::manifests::manifest`] reads it: the same manifest, with `deletionPolicy: Retain`.
const RETAIN: u64 = 38;

#[tokio::test(start_paused = true)]
async fn who_says_retain_right_after_the_deletion_is_heard() {
    let world = World::peaceful(Settings::default());
    let replicas = Replicas::default();
    let _processes = begin(&world, &replicas, 1);
    let apply = |variant| Deed::Apply { resource: 0, name: 0, variant };
    act(world.clone(), replicas.clone(), vec![(Duration::ZERO, apply(0))]).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(judge::unsettled(&world), Vec::<String>::new());
    // A watch is five milliseconds behind: it tells of the deletion before it tells of what follows.
    let deeds =
        vec![(Duration::ZERO, Deed::Delete { resource: 0 }), (Duration::from_millis(4), apply(RETAIN))];
    act(world.clone(), replicas, deeds).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    let calls = world.rules.counted().0;
    assert_eq!(calls.get("DELETE"), None, "{}", world.story.text());
    assert_eq!(alive(&world).len(), 1, "the profile stays");
    assert_eq!(world.server.list::<EducationSyncProfile>(), [], "and its resource has gone");
}
