//! What must hold, always and once all is quiet. Pure: each rule reads what was seen and gives sentences, one for each
//! object that breaks it.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{Profile, Slot, Standing, World};

/// What must hold at any moment.
pub(super) fn always(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    for slot in &world.slots {
        broken.extend(kept_as_written(world, slot));
    }
    let mut names = BTreeMap::<&str, Vec<&str>>::new();
    for profile in world.profiles.iter().filter(|profile| profile.state != "deleting") {
        names.entry(&profile.name).or_default().push(&profile.id);
    }
    for (name, ids) in names.iter().filter(|(_, ids)| ids.len() > 1) {
        broken.push(format!(
            "duplicate: Graph has {} profiles named {name:?}: {}",
            ids.len(),
            ids.join(", ")
        ));
    }
    let mut owners = BTreeMap::<&str, Vec<&str>>::new();
    for (name, resource) in &world.resources {
        if let Some(id) = &resource.bound {
            owners.entry(id).or_default().push(name);
        }
    }
    for (id, owners) in owners.iter().filter(|(_, owners)| owners.len() > 1) {
        broken.push(format!("the profile {id} belongs to {}", owners.join(" and ")));
    }
    broken
}

/// The operator changes no spec, and a resource goes only when it is deleted.
fn kept_as_written(world: &World, slot: &Slot) -> Option<String> {
    if slot.is_due || slot.standing != Standing::There {
        return None;
    }
    let (name, wish) = (&slot.name, slot.wish.as_ref()?);
    let Some(resource) = world.resources.get(name) else {
        return Some(format!("the resource {name} has vanished, and nobody deleted it"));
    };
    if resource.spec != *wish || resource.generation != slot.generation {
        return Some(format!(
            "the spec of {name} is not as it was applied: generation {:?}, and it was {:?}",
            resource.generation, slot.generation
        ));
    }
    None
}

/// What must hold a while after people and trouble have ended.
pub(super) fn at_rest(world: &World) -> Vec<String> {
    let mut broken = always(world);
    for slot in &world.slots {
        let name = &slot.name;
        match (world.resources.get(name), &slot.wish) {
            (None, None) => {}
            (None, Some(_)) => broken.push(format!("the resource {name} is not there")),
            (Some(_), None) => broken.push(format!("the resource {name} is deleted and does not go")),
            (Some(resource), Some(_)) if !resource.is_at_rest() => {
                let said = resource.conditions.iter();
                let said = said
                    .map(|(kind, [status, reason, message])| format!("{kind}={status} ({reason}) {message}"));
                broken.push(format!(
                    "{name} is not at rest: generation {:?}, observed {:?}; {}",
                    resource.generation,
                    resource.observed,
                    said.collect::<Vec<_>>().join("; ")
                ));
            }
            (Some(resource), Some(wish)) => {
                let bound =
                    world.profiles.iter().find(|profile| resource.bound.as_ref() == Some(&profile.id));
                let wanted = wish.get("displayName").and_then(|name| name.as_str());
                if bound.is_none_or(|profile| {
                    profile.state != "provisioned" || Some(profile.name.as_str()) != wanted
                }) {
                    broken.push(format!("{name} is Ready, but its profile in Graph is {bound:?}"));
                }
            }
        }
    }
    broken.extend(orphans(world));
    broken
}

fn orphans(world: &World) -> Vec<String> {
    let bound: BTreeSet<&str> =
        world.resources.values().filter_map(|resource| resource.bound.as_deref()).collect();
    let retained: BTreeSet<&str> =
        world.slots.iter().flat_map(|slot| &slot.retained).map(String::as_str).collect();
    let is_owned = |profile: &&Profile| {
        bound.contains(profile.id.as_str())
            || retained.contains(profile.name.as_str())
            || life_in(&profile.name).is_none()
    };
    let lonely = world.profiles.iter().filter(|profile| !is_owned(profile));
    lonely.map(|profile| format!("orphan: {profile:?} belongs to no resource")).collect()
}

/// Slot and life in a display name that `world` has made; `None` for what others make in the portal.
fn life_in(display_name: &str) -> Option<(usize, u32)> {
    let mut words = display_name.strip_prefix("School ")?.split(' ');
    let slot = words.next()?.parse().ok()?;
    let life = words.nth(1)?.parse().ok()?;
    Some((slot, life))
}

/// Judges the DELETEs that the operator sends.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    names: BTreeMap<String, String>,
    /// Slot and life of each resource whose profile is to go with it.
    asked: BTreeSet<(usize, u32)>,
    /// Sent, and not judged yet.
    sent: Vec<String>,
}

impl Deletions {
    /// The profiles that there are.
    pub(super) fn saw(&mut self, profiles: &[Profile]) {
        for profile in profiles {
            self.names.entry(profile.id.clone()).or_insert_with(|| profile.name.clone());
        }
    }

    /// Somebody is about to delete the resource of this display name, and its profile with it.
    pub(super) fn asked(&mut self, display_name: &str) {
        self.asked.extend(life_in(display_name));
    }

    /// The operator has asked Graph to delete the profile of this id.
    pub(super) fn sent(&mut self, id: String) {
        self.sent.push(id);
    }

    /// DELETEs that nobody asked for. A profile that was never seen is judged when it is: `finish` says when to give up.
    pub(super) fn judge(&mut self, finish: bool) -> Vec<String> {
        let mut broken = Vec::new();
        for id in std::mem::take(&mut self.sent) {
            match self.names.get(&id).map(|name| (name, life_in(name))) {
                Some((_, Some(life))) if self.asked.contains(&life) => {}
                Some((name, _)) => {
                    broken.push(format!("a DELETE that nobody asked for: the profile {id}, {name:?}"));
                }
                None if finish => broken.push(format!("a DELETE of {id}, a profile that was never seen")),
                None => self.sent.push(id),
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::Resource;
    use super::*;

    fn profile(id: &str, name: &str) -> Profile {
        Profile { id: id.to_owned(), name: name.to_owned(), state: "provisioned".to_owned() }
    }

    /// One resource that is as it should be.
    fn quiet() -> World {
        let mut world = World::new(1);
        let slot = &mut world.slots[0];
        slot.begin();
        slot.is_due = false;
        slot.standing = Standing::There;
        slot.generation = Some(1);
        let ready = [("Ready".to_owned(), ["True", "Provisioned", ""].map(str::to_owned))];
        let resource = Resource {
            generation: Some(1),
            observed: Some(1),
            spec: slot.wish.clone().unwrap(),
            bound: Some("a".to_owned()),
            conditions: ready.into(),
        };
        world.resources.insert(slot.name.clone(), resource);
        world.profiles.push(profile("a", "School 0 life 1 name 0"));
        world
    }

    /// What the one sentence that is wrong with a world says.
    fn only(broken: Vec<String>) -> String {
        assert_eq!(broken.len(), 1, "{broken:#?}");
        broken.into_iter().next().unwrap()
    }

    #[test]
    fn nothing_is_said_of_what_is_as_it_should_be() {
        assert_eq!(at_rest(&quiet()), Vec::<String>::new());
    }

    #[test]
    fn twins_and_orphans_are_found_and_what_others_make_is_not_one() {
        let mut world = quiet();
        world.profiles.push(profile("b", "School 0 life 1 name 0"));
        assert!(always(&world)[0].contains("duplicate"));
        let mut world = quiet();
        world.profiles.push(profile("b", "School 7 life 2 name 0"));
        world.profiles.push(profile("c", "Portal 3"));
        assert!(only(at_rest(&world)).contains("orphan"));
        world.slots[0].retained.push("School 7 life 2 name 0".to_owned());
        assert_eq!(at_rest(&world), Vec::<String>::new());
    }

    #[test]
    fn a_spec_that_is_not_as_it_was_applied_is_found() {
        let mut world = quiet();
        world.slots[0].generation = Some(2);
        assert!(only(always(&world)).contains("spec"));
        // Kubernetes may have taken a wish whose answer was lost.
        world.slots[0].is_due = true;
        assert_eq!(always(&world), Vec::<String>::new());
    }

    #[test]
    fn who_needs_a_person_is_not_at_rest() {
        let mut world = quiet();
        let stalled = ["True", "AmbiguousCreate", "two"].map(str::to_owned);
        world.resources.values_mut().next().unwrap().conditions.insert("Stalled".to_owned(), stalled);
        assert!(only(at_rest(&world)).contains("AmbiguousCreate"));
    }

    #[test]
    fn a_ready_resource_without_its_profile_is_found() {
        let mut world = quiet();
        world.profiles.clear();
        assert!(only(at_rest(&world)).contains("its profile in Graph"));
    }

    #[test]
    fn deletes_are_judged_by_the_life_that_was_to_end() {
        let mut deletions = Deletions::default();
        deletions.saw(&[profile("a", "School 1 life 1 name 0"), profile("b", "School 1 life 2 name 0")]);
        deletions.asked("School 1 life 1 name 4");
        deletions.sent("a".to_owned());
        assert_eq!(deletions.judge(false), Vec::<String>::new());
        deletions.sent("b".to_owned());
        assert!(only(deletions.judge(false)).contains("nobody asked for"));
        deletions.sent("c".to_owned());
        assert_eq!(deletions.judge(false), Vec::<String>::new());
        assert!(only(deletions.judge(true)).contains("never seen"));
    }
}
