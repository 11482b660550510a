//! What happens beyond the bound: a request, or a list, that is later than the settle window. No client of this API can
//! tell that from a request that was lost; what counts is that nothing is lost silently, and nothing deleted.

use std::time::Duration;

use edusync::api::EducationSyncProfile;
use edusync::api::conditions::DUPLICATE_PROFILE;
use graph_simulator::Settings;

use crate::judge::{self, condition};
use crate::manifests::key;
use crate::process::SETTLE_WINDOW;
use crate::rules::{alive, bound_id};
use crate::run::begin;
use crate::users::{Deed, Replicas, act};
use crate::world::World;

/// A world in which a create goes astray, and is sent again.
async fn a_create_strays(time: Duration, list_is_behind: bool) -> std::sync::Arc<World> {
    let world = World::peaceful(Settings::default());
    let replicas = Replicas::default();
    let mut processes = begin(&world, &replicas, 1);
    *world.stray.lock().unwrap() = Some(time);
    if list_is_behind {
        let fault = "list:lag,by=400s,times=always".parse().unwrap();
        world.simulator.add_fault(fault, world.clock.now());
    }
    let deeds = vec![(Duration::from_secs(1), Deed::Apply { resource: 0, name: 0, variant: 0 })];
    act(world.clone(), replicas, deeds).await;
    tokio::time::sleep(SETTLE_WINDOW * 3).await;
    world.simulator.clear_faults();
    tokio::time::sleep(time + SETTLE_WINDOW * 3).await;
    // Its processes end with the test.
    processes.detach_all();
    world
}

/// The resource is Ready with the profile that it has, and tells of the other one.
fn told_of_the_other_one(world: &World) {
    let resource = world.server.get::<EducationSyncProfile>(&key(0)).unwrap();
    let bound = bound_id(&resource).unwrap();
    let both = alive(world);
    assert_eq!(both.len(), 2, "none is deleted, and no third one made: {}", world.story.text());
    let other = both.keys().find(|id| **id != bound).unwrap();
    let told = condition(&resource, DUPLICATE_PROFILE).unwrap();
    assert_eq!(told.status, "True");
    assert!(told.message.contains(other.as_str()), "{}", told.message);
    assert_eq!(condition(&resource, "Ready").unwrap().status, "True");
}

async fn a_person_deletes_the_other_one(world: &World) {
    let bound = bound_id(&world.server.get(&key(0)).unwrap()).unwrap();
    for id in alive(world).keys().filter(|id| **id != bound) {
        assert!(world.simulator.remove(id, world.clock.now()));
    }
    tokio::time::sleep(SETTLE_WINDOW * 2).await;
    let resource = world.server.get::<EducationSyncProfile>(&key(0)).unwrap();
    assert!(condition(&resource, DUPLICATE_PROFILE).is_none_or(|told| told.status != "True"));
    assert_eq!(judge::unsettled(world), Vec::<String>::new());
    assert_eq!(bound_id(&resource), Some(bound));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_arrives_after_the_settle_window_is_told_of() {
    let world = a_create_strays(SETTLE_WINDOW * 3, false).await;
    told_of_the_other_one(&world);
    a_person_deletes_the_other_one(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_lists_show_after_the_settle_window_is_told_of() {
    let world = a_create_strays(Duration::from_secs(40), true).await;
    told_of_the_other_one(&world);
    a_person_deletes_the_other_one(&world).await;
}

/// Within the window nobody has to know: it is found, and taken for what it is.
#[tokio::test(start_paused = true)]
async fn a_create_that_arrives_within_the_settle_window_is_the_only_one() {
    let world = a_create_strays(Duration::from_secs(100), false).await;
    assert_eq!(alive(&world).len(), 1, "{}", world.story.text());
    assert_eq!(world.story.first_broken(), None);
    assert_eq!(judge::unsettled(&world), Vec::<String>::new());
}
