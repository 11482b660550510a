//! What becomes of a refresh token when the connection has none any more, or goes.

use crate::auth::refresh::{StoreError, StoredToken, TokenOwner};
use crate::reconcile::cluster::Key;

use super::super::*;
use super::world::{application, clock, connection, delegated, upstreams, world};

fn owner() -> TokenOwner {
    TokenOwner { namespace: "school".to_owned(), name: "default".to_owned(), uid: "uid".to_owned() }
}

fn place() -> Key {
    Key { namespace: "school".to_owned(), name: "default".to_owned() }
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
async fn a_connection_that_went_without_being_let_go_leaves_nothing() {
    let store = store_with_a_token().await;
    let upstreams = upstreams(&store);
    upstreams.resolve(&world(), &connection(1, &delegated("good"))).await.unwrap();
    upstreams.forget("uid", &place()).await;
    upstreams.finish().await;
    assert!(store.kept(&owner()).is_none());
}
