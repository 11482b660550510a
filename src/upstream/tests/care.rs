//! What becomes of a refresh token when the connection has none any more, or goes.

use futures::FutureExt as _;
use kube::runtime::watcher::Event;

use crate::api::conditions::READY;
use crate::auth::refresh::{StoreError, StoredToken, TokenOwner};
use crate::reconcile::connection as passes;

use super::super::*;
use super::world::{
    application, clock, connection, context, context_and_writer, delegated, locked, place, upstreams, world,
};

fn owner() -> TokenOwner {
    TokenOwner { namespace: "school".to_owned(), name: "default".to_owned(), uid: "uid".to_owned() }
}

async fn store_with_a_token() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let kept = StoredToken { seed: "good-seed".into(), newest: "renewed".into(), redeemed_at: clock().now() };
    store.write(&owner(), &kept, true).await.unwrap();
    store
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_taken_back_is_no_news_of_a_connection_that_has_none() {
    let (store, world) = (store_with_a_token().await, world());
    let upstreams = upstreams(&store);
    let connection = connection(1, &application());
    let upstream = upstreams.resolve(&world, &connection).await.unwrap();
    store.refuse(Some(StoreError("away".to_owned())));
    assert_eq!(upstreams.tend(&connection, &upstream, false).await, Ok(()));
    store.refuse(None);
    assert!(store.kept(&owner()).is_some());
    assert_eq!(upstreams.tend(&connection, &upstream, false).await, Ok(()));
    assert!(store.kept(&owner()).is_none(), "the next pass takes it back");
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_does_not_take_back_what_a_newer_generation_has() {
    let (store, world) = (store_with_a_token().await, world());
    let upstreams = upstreams(&store);
    let old = connection(1, &application());
    let upstream = upstreams.resolve(&world, &old).await.unwrap();
    upstreams.resolve(&world, &connection(2, &delegated("good"))).await.unwrap();
    upstreams.tend(&old, &upstream, true).await.unwrap();
    assert!(store.kept(&owner()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_held_back_says_by_what_and_how_to_let_it_go() {
    let (store, world) = (store_with_a_token().await, world());
    let mut going = connection(2, &delegated("good"));
    going.metadata.finalizers = Some(vec!["edusync.dev/in-use".to_owned()]);
    going.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(clock().now()));
    let context = context(world, going, upstreams(&store));
    let refusal = "the Secret edusync-refresh-tokens of the namespace school cannot be written: no";
    store.refuse(Some(StoreError(refusal.to_owned())));
    assert!(passes::pass(&context, &place()).await.is_err(), "it is tried again soon");
    let told = context.cluster.connection(&place()).unwrap();
    let conditions = told.status.as_ref().unwrap().conditions.clone();
    let ready = conditions.into_iter().find(|condition| condition.type_ == READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "DeletionFailed"));
    for part in [refusal, "edusync.dev/in-use off that Secret", "off this connection"] {
        assert!(ready.message.contains(part), "{}", ready.message);
    }
    assert!(passes::has_finalizer(&told));
    assert_eq!(locked(&context.cluster.port.notices).len(), 1);
    store.refuse(None);
    passes::pass(&context, &place()).await.unwrap();
    assert!(!passes::has_finalizer(&context.cluster.connection(&place()).unwrap()));
    assert!(store.kept(&owner()).is_none());
}

/// Thousands come and go in the life of a process.
#[tokio::test(start_paused = true)]
async fn of_a_connection_that_is_gone_nothing_is_remembered() {
    let connection = connection(1, &application());
    let (context, mut writer) =
        context_and_writer(world(), connection.clone(), Vec::new(), upstreams(&Arc::default()));
    passes::pass(&context, &place()).await.unwrap();
    let upstream = context.upstreams.resolve(&context.cluster.port, &connection).await.unwrap();
    assert_eq!(upstream.poller.followers().len(), 1);
    // The pass waits for its turn when the connection goes.
    let turn = context.upstreams.lock().turn_of("uid");
    let held = turn.lock().await;
    let key = place();
    let mut pass = std::pin::pin!(passes::pass(&context, &key));
    assert!(pass.as_mut().now_or_never().is_none());
    writer.apply_watcher_event(&Event::Delete(connection));
    context.forget_connection("uid", &place());
    drop(held);
    pass.await.unwrap();
    assert_eq!(upstream.poller.followers(), []);
    assert!(context.upstreams.in_use("uid").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_went_without_being_let_go_leaves_nothing() {
    let store = store_with_a_token().await;
    let upstreams = upstreams(&store);
    upstreams.resolve(&world(), &connection(1, &delegated("good"))).await.unwrap();
    upstreams.forget("uid", &place());
    upstreams.finish().await;
    assert!(store.kept(&owner()).is_none());
}
