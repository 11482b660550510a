//! Names that change hands.

use std::time::Duration;

use graph_simulator::Settings;

use crate::judge;
use crate::run::begin;
use crate::users::{Deed, Replicas, act};
use crate::world::World;

/// A rename that could not be, and was taken back, left its name reserved for as long as the operator lived.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_wanted_any_more_is_free() {
    let world = World::peaceful(Settings::default());
    let replicas = Replicas::default();
    let _processes = begin(&world, &replicas, 1);
    let apply = |resource, name| Deed::Apply { resource, name, variant: 0 };
    let steps = [
        vec![Deed::Plant { name: 0 }, apply(0, 1)],
        vec![apply(0, 0)],
        vec![apply(0, 1)],
        vec![Deed::RemoveAll { name: 0 }, apply(1, 0)],
    ];
    for step in steps {
        let deeds = step.into_iter().map(|deed| (Duration::ZERO, deed)).collect();
        act(world.clone(), replicas.clone(), deeds).await;
        tokio::time::sleep(Duration::from_mins(5)).await;
    }
    assert_eq!(world.rules.made().len(), 2, "{}", world.story.text());
    assert_eq!(judge::unsettled(&world), Vec::<String>::new(), "{}", world.story.text());
    assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
}
