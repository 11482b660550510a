//! When a changed Secret is noticed, what is read for it, and how often each connection is looked at.

use std::sync::atomic::Ordering;

use kube::runtime::watcher::Event;
use serde_json::json;
use tokio::time::Instant;

use super::super::*;
use super::world::{
    Service, World, application, connection, context, context_and_writer, delegated, key, locked, place,
    upstreams, upstreams_to, world,
};
use crate::api::conditions::{READY, WRITABLE};
use crate::api::connection::{Access, GraphConnectionStatus};
use crate::poller::{FollowerKind, Interest, View};
use crate::reconcile::{Context, Next, connection as passes};

const MINUTE: Duration = Duration::from_mins(1);

/// Passes, one after the other as they ask for it, until the status is as wanted; how long that took.
async fn passes_until(
    context: &Context<World>,
    most: Duration,
    wanted: impl Fn(&GraphConnectionStatus) -> bool,
) -> Duration {
    let began = Instant::now();
    loop {
        let Next::In(wait) = passes::pass(context, &place()).await.unwrap() else { panic!("it goes on") };
        let status = context.cluster.connection(&place()).unwrap().status.clone().unwrap_or_default();
        if wanted(&status) {
            return began.elapsed();
        }
        assert!(began.elapsed() + wait <= most, "not within {most:?}, but {status:#?}");
        tokio::time::sleep(wait).await;
    }
}

fn says(status: &GraphConnectionStatus, kind: &str, holds: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == kind && condition.status == holds)
}

fn version(context: &Context<World>) -> String {
    let status = context.cluster.connection(&place()).unwrap().status.clone().unwrap();
    status.credentials.unwrap().version
}

#[tokio::test(start_paused = true)]
async fn at_rest_a_changed_secret_is_noticed_within_a_quarter_of_an_hour() {
    let context =
        context(world(), connection(1, &application()), upstreams_to(Service::default(), &Arc::default()));
    passes_until(&context, 2 * MINUTE, |status| says(status, READY, "True")).await;
    let before = version(&context);
    locked(&context.cluster.port.reads).clear();
    // A pass that comes a moment before the Secret is due does not put the reading off.
    tokio::time::sleep(10 * MINUTE).await;
    passes::pass(&context, &place()).await.unwrap();
    context.cluster.port.put("graph", "secret", Some("a renewed one"));
    let noticed = |status: &GraphConnectionStatus| {
        status.credentials.as_ref().is_some_and(|credentials| credentials.version != before)
    };
    // The new credentials are shown when the first list with them has come.
    passes_until(&context, 7 * MINUTE, noticed).await;
    assert_eq!(*locked(&context.cluster.port.reads), ["graph"], "it was read once, and no other");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_waited_for_is_noticed_within_a_minute() {
    let world = world();
    world.put("graph", "secret", None);
    let context =
        context(world, connection(1, &application()), upstreams_to(Service::default(), &Arc::default()));
    passes_until(&context, Duration::ZERO, |status| says(status, READY, "False")).await;
    tokio::time::sleep(MINUTE / 2).await;
    context.cluster.port.put("graph", "secret", Some("it is here"));
    let reads = locked(&context.cluster.port.reads).len();
    // The pass that follows the failed one, a minute after it.
    tokio::time::sleep(MINUTE / 2).await;
    passes::pass(&context, &place()).await.unwrap();
    assert!(locked(&context.cluster.port.reads).len() > reads);
    passes_until(&context, MINUTE, |status| says(status, READY, "True")).await;
    assert!(locked(&context.cluster.port.reads).iter().all(|name| name == "graph"));
}

/// A CA bundle that is wrong looks like a Graph that cannot be reached.
#[tokio::test(start_paused = true)]
async fn while_graph_cannot_be_reached_a_changed_secret_is_noticed_within_a_minute() {
    let context = context(world(), connection(1, &application()), upstreams(&Arc::default()));
    passes_until(&context, 2 * MINUTE, |status| says(status, READY, "False")).await;
    let before = version(&context);
    context.cluster.port.put("graph", "ca", Some("the right certificates"));
    // It is said with the first list, or its failure, that the new ones have brought.
    let noticed = |status: &GraphConnectionStatus| status.credentials.as_ref().unwrap().version != before;
    passes_until(&context, 2 * MINUTE, noticed).await;
}

#[tokio::test(start_paused = true)]
async fn an_administrator_who_signs_in_again_is_noticed_within_a_minute() {
    let service = Service::default();
    locked(&service.refused).insert("good-seed".to_owned());
    let mut both = application();
    both.as_object_mut().unwrap().extend(delegated("good").as_object().unwrap().clone());
    let context = context(world(), connection(1, &both), upstreams_to(service, &Arc::default()));
    let refused =
        |status: &GraphConnectionStatus| says(status, READY, "True") && says(status, WRITABLE, "False");
    passes_until(&context, 2 * MINUTE, refused).await;
    // At rest and refused it is looked at each minute, and nothing is written.
    let quiet = context.cluster.connection(&place()).unwrap();
    for _ in 0..10 {
        let next = passes::pass(&context, &place()).await.unwrap();
        assert_eq!(next, Next::In(MINUTE));
        tokio::time::sleep(MINUTE).await;
    }
    assert!(Arc::ptr_eq(&quiet, &context.cluster.connection(&place()).unwrap()), "not one write");
    context.cluster.port.put("graph", "good", Some("another-seed"));
    let mended = |status: &GraphConnectionStatus| {
        status.permissions.unwrap().write == Access::Unknown && !says(status, WRITABLE, "False")
    };
    passes_until(&context, MINUTE, mended).await;
    assert!(locked(&context.cluster.port.reads).iter().all(|name| name == "graph"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_mended_in_entra_is_noticed_without_a_new_secret() {
    let service = Service::default();
    locked(&service.refused).insert("good-seed".to_owned());
    let refused = Arc::clone(&service.refused);
    let store = Arc::default();
    let first = context(world(), connection(1, &delegated("good")), upstreams_to(service.clone(), &store));
    passes_until(&first, 2 * MINUTE, |status| says(status, WRITABLE, "False")).await;
    // Another process, which has been told nothing but by the status.
    let kept = first.cluster.connection(&place()).unwrap();
    let second = context(world(), (*kept).clone(), upstreams_to(service, &store));
    locked(&refused).clear();
    passes_until(&second, 2 * MINUTE, |status| {
        says(status, READY, "True") && !says(status, WRITABLE, "False")
    })
    .await;
}

/// Else the alert on old lists would speak of a connection whose resources need none: one whose profile belongs to another
/// resource, or whose deletion is refused.
#[tokio::test(start_paused = true)]
async fn the_age_of_the_newest_list_is_told_while_lists_are_needed() {
    let (world, service) = (world(), Service::default());
    let upstreams = upstreams_to(service, &Arc::default());
    let upstream = upstreams.resolve(&world, &connection(1, &application())).await.unwrap();
    let follow = |interest| {
        let (namespace, name) = ("school".to_owned(), "contoso".to_owned());
        let follower = Follower { kind: FollowerKind::Profile, namespace, name };
        upstream.poller.follow(follower, interest, &View::default());
    };
    let age = || {
        let last = upstreams.in_use("uid").unwrap().last_list?;
        Some(Duration::try_from(upstreams.clock.now().duration_since(last)).unwrap())
    };
    assert_eq!(age(), None, "nobody follows");
    for interest in [Interest::Health, Interest::Presence] {
        follow(interest);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(age(), None, "whoever follows so needs no list");
    }
    follow(Interest::Every { fast: false });
    assert_eq!(age(), Some(Duration::ZERO), "it counts from when lists began to be needed");
    tokio::time::sleep(2 * MINUTE).await;
    assert!(age().unwrap() <= MINUTE, "{:?}", age());
    follow(Interest::Health);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(age(), None);
    follow(Interest::Every { fast: false });
    assert_eq!(age(), Some(Duration::ZERO), "an hour in which none was needed counts for nothing");
}

/// Else a tenant that nobody asks for any more would be asked at each interval, for as long as nobody mends the new spec.
#[tokio::test(start_paused = true)]
async fn where_a_connection_no_longer_leads_is_not_asked() {
    let service = Service::default();
    service.is_broken.store(true, Ordering::Relaxed);
    let first = connection(1, &application());
    let (context, mut writer) =
        context_and_writer(world(), first, Vec::new(), upstreams_to(service.clone(), &Arc::default()));
    passes_until(&context, 10 * MINUTE, |status| says(status, READY, "False")).await;
    let before = lists(&service);
    tokio::time::sleep(10 * MINUTE).await;
    assert!(lists(&service) > before, "it is asked while it fails");
    let mut wrong = application();
    wrong["application"]["clientSecretRef"] = key("nothing");
    let mut edited = connection(2, &wrong);
    edited.metadata.resource_version = Some("100".to_owned());
    writer.apply_watcher_event(&Event::Apply(edited));
    passes::pass(&context, &place()).await.unwrap();
    let before = lists(&service);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(lists(&service), before);
}

fn lists(service: &Service) -> usize {
    locked(&service.lists).values().sum()
}

#[tokio::test(start_paused = true)]
async fn each_connection_has_an_interval_of_its_own() {
    let (world, service) = (world(), Service::default());
    let upstreams = upstreams_to(service.clone(), &Arc::default());
    let mut in_use = Vec::new();
    let intervals =
        [("a", json!({"pollInterval": "5s"})), ("b", json!({"pollInterval": "5m"})), ("c", json!({}))];
    for (tenant, graph) in intervals {
        let mut spec = application();
        (spec["tenantId"], spec["graph"]) = (json!(tenant), graph);
        let mut connection = connection(1, &spec);
        connection.metadata.uid = Some(tenant.to_owned());
        let upstream = upstreams.resolve(&world, &connection).await.unwrap();
        let follower =
            Follower { kind: FollowerKind::Profile, namespace: "school".to_owned(), name: tenant.to_owned() };
        upstream.poller.follow(follower, Interest::Every { fast: false }, &View::default());
        in_use.push(upstream);
    }
    // The first list of each falls on a moment of its own.
    tokio::time::sleep(6 * MINUTE).await;
    let before = locked(&service.lists).clone();
    tokio::time::sleep(Duration::from_hours(1)).await;
    let lists = locked(&service.lists).clone();
    let made: Vec<usize> = ["a", "b", "c"].map(|tenant| lists[tenant] - before[tenant]).to_vec();
    assert_eq!(made, [720, 12, 60], "the one that says nothing has the operator's");
}
