//! Somebody else writes a resource at the very moment at which it is created: what was done to Graph is stored all the
//! same, and what was decided by an older spec is not done. Otherwise a later pass would mend it, so that nothing else here
//! would notice.

use std::time::Duration;

use graph_simulator::Settings;

use crate::choices::{Bounds, Choices, Path};
use crate::run::{begin, drive, in_paused_time};
use crate::users::{Deed, Replicas, act};
use crate::world::World;

const ONE_FAULT: Bounds = Bounds { faults: 1, detours: 0 };

/// What happened while a resource was created with these deviations, and the decisions that there were.
fn create(deviations: &[(usize, usize)]) -> (String, Path) {
    in_paused_time(async {
        let choices = Choices::following(Path::deviating(deviations, ONE_FAULT));
        let trouble = Duration::from_secs(20);
        let world = World::new(choices.clone(), 100, trouble, Duration::from_secs(4));
        let deed = Deed::Apply { resource: 0, name: 0, variant: 0 };
        drive(&world, 1, vec![(Duration::from_millis(500), deed)]).await;
        assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
        (world.story.text(), choices.path())
    })
}

/// Or it could be deleted while its create is on the way, and nobody would know the profile.
#[test]
fn a_resource_is_held_before_its_intent_is_stored() {
    let (story, _) = create(&[]);
    let place = |what: &str| story.lines().position(|line| line.contains(what));
    let (held, intent) = (place(" is held").unwrap_or(usize::MAX), place(" creation=true").unwrap());
    assert!(held < intent, "{story}");
}

#[test]
fn an_id_is_stored_although_somebody_else_writes_at_the_same_moment() {
    let (_, usual) = create(&[]);
    let mut touched = 0;
    for (at, options) in usual.options.iter().enumerate() {
        for option in 1..*options {
            let (story, _) = create(&[(at, option)]);
            if story.contains(": Touched\n") {
                touched += 1;
                assert!(story.contains(": Created "), "{story}");
                assert!(!story.contains(": Recovered "), "{story}");
            }
        }
    }
    assert!(touched >= 3, "finalizer, intent and id: {touched}");
}

/// What happened while a resource was created, and renamed so many milliseconds after it was applied.
fn rename(after: u64) -> String {
    in_paused_time(async move {
        let world = World::peaceful(Settings::default());
        let replicas = Replicas::default();
        let _processes = begin(&world, &replicas, 1);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let apply = |name| Deed::Apply { resource: 0, name, variant: 0 };
        let deeds = vec![(Duration::ZERO, apply(0)), (Duration::from_millis(after), apply(1))];
        act(world.clone(), replicas, deeds).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
        world.story.text()
    })
}

#[test]
fn nothing_is_created_by_a_spec_that_was_changed_before_the_intent_was_stored() {
    let mut between = 0;
    for after in 100..160 {
        let story = rename(after);
        let place = |what: &str| story.lines().position(|line| line.contains(what));
        let renamed = place("people: Apply { resource: 0, name: 1").unwrap();
        if place(" creation=true").unwrap() < renamed {
            continue;
        }
        between += usize::from(place(" is held").is_some_and(|held| held < renamed));
        assert!(!story.contains("(String(\"Contoso\"))"), "after {after} ms:\n{story}");
    }
    assert!(between > 0, "somebody has written between the finalizer and the intent");
}
