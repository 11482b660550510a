//! Everybody else in a run: people who write manifests, people in the portal, and whoever keeps processes running.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use edusync::api::lifecycle::ManagementPolicy;
use edusync::api::{EducationSyncProfile, REQUESTED_AT};
use kube::ResourceExt;
use serde_json::json;

use crate::manifests::{NAMES, NAMESPACE, connection, foreign_body, key, manifest};
use crate::process::Process;
use crate::rules::alive;
use crate::world::{CLIENT_SECRET, REFRESH_TOKEN, World};

/// What somebody does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Applies a manifest.
    Apply { resource: usize, name: usize, variant: u64 },
    /// Applies a manifest that takes over the one profile of its name.
    Adopt { name: usize },
    /// Applies a manifest that changes nothing in Graph.
    Observe { resource: usize, name: usize },
    /// Asks for the synchronization to start over.
    Reset { resource: usize },
    /// Deletes a resource.
    Delete { resource: usize },
    /// Asks for a pass.
    Request { resource: usize },
    /// Creates a profile in the portal, of another kind than any manifest has.
    Plant { name: usize },
    /// Deletes a profile in the portal.
    Remove { number: u64 },
    /// Deletes every profile of a name in the portal.
    RemoveAll { name: usize },
    /// The client secret is replaced by a wrong one; later by the right one.
    WrongSecret,
    /// The Secret is deleted; later it is back.
    NoSecret,
    /// The connection names a tenant that does not exist; later the right one.
    WrongTenant,
    /// Graph is away for a while.
    Away { seconds: u64 },
    /// The pod of a replica is replaced.
    Terminate,
    /// The pod of a replica is killed.
    Kill,
}

/// The right Secret.
pub fn right_secret(world: &World) {
    let values = [("clientSecret", CLIENT_SECRET), ("refreshToken", REFRESH_TOKEN)];
    world.server.put_secret(NAMESPACE, "graph", &values);
}

/// Processes that run now.
pub type Replicas = Arc<Mutex<Vec<Arc<Process>>>>;

/// Keeps one replica running: whatever ends is started again.
pub async fn keep_running(world: Arc<World>, replicas: Replicas, number: usize) {
    for start in 1_u32.. {
        let process = Arc::new(Process::new(format!("edusync-{number}-{start}")));
        let tell = |what| {
            let second = world.clock.now().as_second();
            world.order.iter().for_each(|order| order.begin(&process.identity, what, second));
        };
        tell("runs");
        replicas.lock().unwrap().push(Arc::clone(&process));
        process.live(&world).await;
        tell("has ended");
        replicas.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &process));
        tokio::time::sleep(world.choices.between(500, 20_000)).await;
        world.order.iter().for_each(|order| order.forget(&process.identity));
    }
}

/// What people do in a run that comes from a seed, in order.
pub fn deeds(world: &World, span: Duration) -> Vec<(Duration, Deed)> {
    let choices = &world.choices;
    let resources = 1 + choices.below(3);
    let resource = || usize::try_from(choices.below(resources)).unwrap();
    let name = || choices.choose(&[6, 3, 1, 1]);
    let mut deeds: Vec<(Duration, Deed)> = Vec::new();
    for number in 0..resources {
        let deed = Deed::Apply {
            resource: usize::try_from(number).unwrap(),
            name: name(),
            variant: choices.below(210),
        };
        deeds.push((choices.between(0, 3_000), deed));
    }
    let end = u64::try_from(span.as_millis()).unwrap();
    for _ in 0..choices.below(9) {
        let deed = match choices.choose(&[8, 6, 3, 3, 4, 1, 1, 2, 2, 4, 2, 2, 3, 1]) {
            0 => Deed::Apply { resource: resource(), name: name(), variant: choices.below(210) },
            1 => Deed::Delete { resource: resource() },
            2 => Deed::Request { resource: resource() },
            3 => Deed::Plant { name: name() },
            4 => Deed::Remove { number: choices.below(8) },
            5 => Deed::WrongSecret,
            6 => Deed::NoSecret,
            7 => Deed::Away { seconds: choices.below(120) },
            8 => Deed::Terminate,
            9 => Deed::Kill,
            10 => Deed::Adopt { name: name() },
            11 => Deed::Observe { resource: resource(), name: name() },
            12 => Deed::Reset { resource: resource() },
            _ => Deed::WrongTenant,
        };
        // Nothing is broken at the very moment at which everything is repaired.
        deeds.push((choices.between(0, end).min(span.saturating_sub(Duration::from_millis(1))), deed));
    }
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}

/// People do what they do, and in the end repair what they broke.
pub async fn act(world: Arc<World>, replicas: Replicas, deeds: Vec<(Duration, Deed)>) {
    let mut passed = Duration::ZERO;
    for (at, deed) in deeds {
        tokio::time::sleep(at.saturating_sub(passed)).await;
        passed = at.max(passed);
        if let Some(order) = &world.order {
            order.schedule.turn(format!("{deed:?}")).await;
        }
        world.story.tell(format!("people: {deed:?}"));
        carry_out(&world, &replicas, &deed);
    }
}

/// Whatever was broken on purpose is whole again. True: a Secret was, and it may take a quarter of an hour
/// until its new version is noticed.
pub fn repair(world: &World) -> bool {
    world.simulator.set_unavailable(None);
    world.server.apply(connection(world), world.clock.now());
    let is_right = world.server.secret(NAMESPACE, "graph").is_some_and(|(version, _)| version == 1);
    if !is_right {
        right_secret(world);
    }
    !is_right
}

fn carry_out(world: &Arc<World>, replicas: &Replicas, deed: &Deed) {
    let (now, server) = (world.clock.now(), &world.server);
    match deed {
        Deed::Apply { resource, name, variant } => server.apply(manifest(*resource, *name, *variant), now),
        Deed::Adopt { name } => {
            let mut adopting = manifest(0, *name, 0);
            adopting.spec.adopt = serde_json::from_value(json!({"byDisplayName": true})).unwrap();
            adopting.spec.deletion_policy = serde_json::from_value(json!("Retain")).unwrap();
            server.apply(adopting, now);
        }
        Deed::Observe { resource, name } => {
            let mut observing = manifest(*resource, *name, 0);
            observing.spec.management_policy = Some(ManagementPolicy::Observe);
            server.apply(observing, now);
        }
        Deed::Reset { resource } => {
            server.edit::<EducationSyncProfile>(&key(*resource), |profile| {
                profile.spec.triggers = serde_json::from_value(json!({"reset": now.to_string()})).unwrap();
            });
        }
        Deed::WrongTenant => {
            let mut wrong = connection(world);
            wrong.spec.tenant_id = "00000000-0000-4000-8000-000000000000".to_owned();
            server.apply(wrong, now);
        }
        Deed::Delete { resource } => server.delete::<EducationSyncProfile>(&key(*resource), now),
        Deed::Request { resource } => server.edit::<EducationSyncProfile>(&key(*resource), |profile| {
            profile.annotations_mut().insert(REQUESTED_AT.to_owned(), now.to_string());
        }),
        Deed::Plant { name } => {
            let planted = world.simulator.plant(&foreign_body(NAMES[*name % NAMES.len()]), now);
            world.story.tell(format!("people: planted {planted:?}"));
        }
        Deed::Remove { number } => {
            let ids: Vec<String> = alive(world).into_keys().collect();
            if let Some(id) = ids.get(usize::try_from(*number).unwrap() % ids.len().max(1)) {
                world.simulator.remove(id, now);
                world.story.tell(format!("people: removed {id}"));
            }
        }
        Deed::RemoveAll { name } => {
            let all = alive(world).into_iter();
            for (id, _) in all.filter(|(_, profile)| profile["displayName"] == NAMES[*name % NAMES.len()]) {
                world.simulator.remove(&id, now);
            }
        }
        Deed::WrongSecret => {
            let values = [("clientSecret", "canary-wrong"), ("refreshToken", REFRESH_TOKEN)];
            server.put_secret(NAMESPACE, "graph", &values);
        }
        Deed::NoSecret => server.delete_secret(NAMESPACE, "graph"),
        Deed::Away { seconds } => {
            world.simulator.set_unavailable(Some(503));
            let (world, seconds) = (Arc::clone(world), *seconds);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                world.simulator.set_unavailable(None);
            });
        }
        Deed::Terminate | Deed::Kill => {
            let replicas = replicas.lock().unwrap();
            if !replicas.is_empty() {
                let process = world.choices.one_of(&replicas);
                world.story.tell(format!("people: it is {}", process.identity));
                if matches!(deed, Deed::Kill) { process.kill() } else { process.stop.cancel() }
            }
        }
    }
}
