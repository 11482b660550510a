//! How a run has to end: every resource as it should be, and nothing in Graph that nobody wanted.

use edusync::api::{CONFIRM_GONE, EducationSyncProfile, GraphConnection};
use edusync::graph::name::NameKey;
use edusync::reconcile::cluster::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::rules::{alive, bound_id};
use crate::watches::name;
use crate::world::World;

/// What is not as it should be (yet).
pub fn unsettled(world: &World) -> Vec<String> {
    let resources = world.server.list::<EducationSyncProfile>();
    let alive = alive(world);
    let mut wrong: Vec<String> = Vec::new();
    for resource in &resources {
        if let Some(what) = resource_is_wrong(world, resource, &resources) {
            let ready = condition(resource, "Ready");
            let ready = ready.map(|ready| format!("{} {}: {}", ready.status, ready.reason, ready.message));
            wrong.push(format!("{}: {what} ({})", name(&Key::of(resource)), ready.unwrap_or_default()));
        }
    }
    for connection in world.server.list::<GraphConnection>() {
        let conditions = connection.status.iter().flat_map(|status| &status.conditions);
        if !conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
            wrong.push("the connection is not Ready".to_owned());
        }
    }
    let retained = world.rules.retained();
    for (id, made) in world.rules.made() {
        let bound = resources.iter().any(|resource| bound_id(resource).is_some_and(|bound| bound == id));
        if alive.contains_key(&id) && !bound && !retained.contains(&id) && !retained.contains(&made.uid) {
            wrong.push(format!("the profile {id}, made for {}, belongs to nobody", made.uid));
        }
    }
    wrong
}

fn is_called(profile: &serde_json::Value, name: &NameKey) -> bool {
    NameKey::of(profile["displayName"].as_str().unwrap_or_default()) == *name
}

fn resource_is_wrong(
    world: &World,
    resource: &EducationSyncProfile,
    all: &[EducationSyncProfile],
) -> Option<String> {
    if resource.metadata.deletion_timestamp.is_some() {
        return Some("is still being deleted".to_owned());
    }
    let Some(ready) = condition(resource, "Ready") else { return Some("was not looked at".to_owned()) };
    if ready.observed_generation != resource.metadata.generation {
        return Some("was not looked at since it was changed".to_owned());
    }
    let wanted = NameKey::of(&resource.spec.display_name);
    // Whoever has the name has a profile, or waits for a person.
    let has_name = |other: &EducationSyncProfile| {
        let bound = other.status.as_ref().and_then(|status| status.binding.as_ref());
        let waits = condition(other, "Ready").is_some_and(|ready| {
            ["AlreadyExists", "WouldCreate", "AdoptionFailed"].contains(&ready.reason.as_str())
        });
        // Graph may know a name that a dead process gave it and never stored.
        let in_graph = bound.and_then(|bound| alive(world).remove(&bound.profile_id));
        other.metadata.uid != resource.metadata.uid
            && (bound.is_some_and(|bound| NameKey::of(&bound.display_name) == wanted)
                || in_graph.is_some_and(|profile| is_called(&profile, &wanted))
                || (waits || other.spec.is_observed_only())
                    && NameKey::of(&other.spec.display_name) == wanted)
    };
    let is_taken = || alive(world).values().any(|profile| is_called(profile, &wanted));
    let free = || {
        let bound: Vec<String> = all.iter().filter_map(bound_id).collect();
        let is_free = |(id, profile): &(&String, &serde_json::Value)| {
            !bound.contains(id) && is_called(profile, &wanted)
        };
        alive(world).iter().filter(is_free).count()
    };
    let waits_rightly = match ready.reason.as_str() {
        "WouldCreate" => resource.spec.is_observed_only() && !is_taken(),
        "AdoptionFailed" => resource.spec.adopt.is_some() && free() != 1,
        "AlreadyClaimed" => all.iter().any(has_name),
        "AlreadyExists" => is_taken(),
        _ => false,
    };
    let Some(id) = bound_id(resource) else {
        return (!waits_rightly).then(|| "has no profile".to_owned());
    };
    let alive = alive(world);
    let Some(profile) = alive.get(&id) else {
        let is_told = resource.spec.is_observed_only() && ready.reason == "ProfileNotFound";
        return (!is_told).then(|| format!("its profile {id} is gone"));
    };
    if waits_rightly {
        return None;
    }
    if resource.spec.is_observed_only() {
        return None;
    }
    if profile["displayName"] != resource.spec.display_name.as_str() {
        return Some(format!("is {} in Graph", profile["displayName"]));
    }
    let asked = resource.spec.triggers.as_ref().and_then(|triggers| triggers.reset.as_ref());
    let handled =
        resource.status.as_ref().and_then(|status| status.handled_triggers.as_ref()?.reset.as_ref());
    if asked.is_some() && asked != handled {
        return Some("was asked to start over, and has not".to_owned());
    }
    (ready.status != "True").then(|| "is not Ready".to_owned())
}

pub fn condition<'a>(resource: &'a EducationSyncProfile, kind: &str) -> Option<&'a Condition> {
    resource.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Somebody on call does what the status asks a person to do.
pub fn on_call(world: &World) {
    for resource in world.server.list::<EducationSyncProfile>() {
        let asks = ["Ready", "Stalled"].iter().any(|kind| {
            condition(&resource, kind).is_some_and(|condition| condition.reason == "UpstreamEmpty")
        });
        let Some(id) = bound_id(&resource).filter(|_| asks) else { continue };
        if resource.annotations().get(CONFIRM_GONE) == Some(&id) {
            continue;
        }
        world.story.tell(format!("people: confirm that {id} is gone"));
        world.server.edit::<EducationSyncProfile>(&Key::of(&resource), |resource| {
            resource.annotations_mut().insert(CONFIRM_GONE.to_owned(), id);
        });
    }
}
