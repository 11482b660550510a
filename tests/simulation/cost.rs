//! What an hour at rest costs, call by call, in a world where nothing goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use graph_simulator::{ExpandRule, Settings};

use crate::judge;
use crate::run::{begin, in_paused_time};
use crate::users::{Deed, Replicas, act};
use crate::world::World;

/// Calls to Graph and writes to Kubernetes within an hour, of three profiles in one tenant.
fn an_hour_at_rest(expand: ExpandRule) -> (BTreeMap<String, u64>, u64) {
    in_paused_time(async {
        let mut settings = Settings::default();
        settings.profiles.expand = expand;
        let world = World::peaceful(settings);
        let replicas = Replicas::default();
        let _processes = begin(&world, &replicas, 1);
        let deeds = (0..3).map(|number| {
            (Duration::from_secs(1), Deed::Apply { resource: number, name: number, variant: 0 })
        });
        act(world.clone(), replicas, deeds.collect()).await;
        // Long enough for everything to come to rest, the first synchronization included.
        tokio::time::sleep(Duration::from_mins(30)).await;
        assert_eq!(judge::unsettled(&world), Vec::<String>::new());
        let before = world.rules.counted();
        tokio::time::sleep(Duration::from_hours(1)).await;
        let after = world.rules.counted();
        assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
        let more = |(kind, count): (String, u64)| {
            let count = count - before.0.get(&kind).copied().unwrap_or_default();
            (kind, count)
        };
        (after.0.into_iter().map(more).filter(|(_, count)| *count > 0).collect(), after.1 - before.1)
    })
}

#[test]
fn an_hour_of_three_profiles_is_sixty_lists_and_no_write() {
    let (calls, writes) = an_hour_at_rest(ExpandRule::Allow);
    assert_eq!(calls, BTreeMap::from([("list".to_owned(), 60)]), "twenty for each profile");
    assert_eq!(writes, 0);
}

#[test]
fn without_expand_it_is_four_looks_more_for_each_profile() {
    let (calls, writes) = an_hour_at_rest(ExpandRule::Refuse);
    assert_eq!(calls, BTreeMap::from([("list".to_owned(), 60), ("GET".to_owned(), 12)]));
    assert_eq!(writes, 0);
}
