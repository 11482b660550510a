//! Lists that are behind, within the bound: what they still show must not be taken for what an attempt has made.

use std::time::Duration;

use graph_simulator::Settings;

use crate::judge;
use crate::manifests::{key, twin_body};
use crate::process::SETTLE_WINDOW;
use crate::rules::{alive, bound_id};
use crate::run::begin;
use crate::users::{Deed, Replicas, act};
use crate::world::World;

/// Found by chance (seeds 606666 and 619061): the profile that had gone was bound, and that of the attempt was nobody's
/// for ever.
#[tokio::test(start_paused = true)]
async fn a_profile_that_has_gone_is_not_what_an_attempt_has_made() {
    let world = World::peaceful(Settings::default());
    let gone = world.simulator.plant(&twin_body(), world.clock.now()).unwrap();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(world.simulator.remove(&gone, world.clock.now()));

    let replicas = Replicas::default();
    let _processes = begin(&world, &replicas, 1);
    *world.stray.lock().unwrap() = Some(Duration::from_secs(5));
    act(world.clone(), replicas, vec![(Duration::ZERO, Deed::Apply { resource: 0, name: 0, variant: 0 })])
        .await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let made: Vec<String> = alive(&world).into_keys().collect();
    assert_eq!(made.len(), 1, "the create has arrived: {}", world.story.text());
    // The answer is waited for until its deadline; the lists of the ten seconds after that are older than the create.
    world.simulator.add_fault("list:lag,by=38s,times=always".parse().unwrap(), world.clock.now());
    tokio::time::sleep(SETTLE_WINDOW).await;
    world.simulator.clear_faults();
    tokio::time::sleep(SETTLE_WINDOW).await;

    let bound = bound_id(&world.server.get(&key(0)).unwrap());
    assert_eq!(bound.as_ref(), made.first(), "{}", world.story.text());
    assert_eq!(alive(&world).into_keys().collect::<Vec<_>>(), made);
    assert_eq!(judge::unsettled(&world), Vec::<String>::new());
}
