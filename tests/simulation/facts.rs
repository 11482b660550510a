//! What was done to Graph is stored, whoever else writes at the same moment. If it were not, the next pass would find
//! the profile again, so that nothing else here would notice.

use std::time::Duration;

use crate::choices::{Choices, Path};
use crate::run::drive;
use crate::users::Deed;
use crate::world::World;

/// What happened while a resource was created with these deviations, and the decisions that there were.
fn create(deviations: &[(usize, usize)]) -> (String, Path) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let choices = Choices::following(Path::deviating(deviations));
        let trouble = Duration::from_secs(20);
        let world = World::new(choices.clone(), 100, trouble, Duration::from_secs(4));
        let deed = Deed::Apply { resource: 0, name: 0, variant: 0 };
        drive(&world, 1, vec![(Duration::from_millis(500), deed)]).await;
        assert_eq!(world.story.first_broken(), None, "{}", world.story.text());
        (world.story.text(), choices.path())
    })
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
