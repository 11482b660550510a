//! Connections that lose their refresh token, or whose store loses it.

use futures::FutureExt as _;
use secrecy::SecretString;
use tokio::sync::Notify;

use super::*;
use crate::auth::refresh::{
    MemoryStore, RefreshToken, RefreshTokenStore, RefreshTokens, StoreError, StoredToken, TokenOwner,
};

/// A store whose releases wait until they are let through.
#[derive(Debug, Default)]
struct Gated {
    memory: MemoryStore,
    through: Notify,
}

impl RefreshTokenStore for Gated {
    fn read<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> BoxFuture<'a, Result<Option<(StoredToken, bool)>, StoreError>> {
        self.memory.read(owner)
    }

    fn write<'a>(
        &'a self,
        owner: &'a TokenOwner,
        token: &'a StoredToken,
        held: bool,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.write(owner, token, held)
    }

    fn release<'a>(&'a self, owner: &'a TokenOwner) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.through.notified().await;
            self.memory.release(owner).await
        }
        .boxed()
    }
}

fn owner() -> TokenOwner {
    TokenOwner { namespace: "school".to_owned(), name: "default".to_owned(), uid: "uid".to_owned() }
}

async fn open(tokens: &RefreshTokens) -> RefreshToken {
    tokens.open(owner(), Some(&SecretString::from("seed"))).await.unwrap().unwrap()
}

/// A client with a token service that gives a new refresh token each time.
fn client(token: RefreshToken) -> TokenSource {
    let transport = scripted(|number, _| {
        let renewed = format!("renewed {number}");
        answer(200, &json!({"access_token": "access", "expires_in": 3599, "refresh_token": renewed}))
    });
    source(Credential::RefreshToken { token, client_secret: None }, &transport)
}

fn newest(store: &MemoryStore) -> Option<(String, bool)> {
    store.kept(&owner()).map(|(token, held)| (token.newest.expose_secret().to_owned(), held))
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_while_the_old_one_is_taken_back_is_stored() {
    let store = Arc::new(Gated::default());
    let tokens = Arc::new(RefreshTokens::new(Arc::clone(&store) as _));
    let retiring = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.retire(&owner()).await }
    });
    tokio::task::yield_now().await;
    let opening = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { open(&tokens).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!opening.is_finished(), "what it stored could be taken back with the old one");
    store.through.notify_one();
    retiring.await.unwrap().unwrap();
    let source = client(opening.await.unwrap());
    token(&source).await.unwrap();
    source.save(true).await.unwrap();
    assert_eq!(newest(&store.memory), Some(("renewed 0".to_owned(), true)));
    // It was not marked as one without a token either: when it goes again, it is taken back again.
    store.through.notify_one();
    tokens.retire(&owner()).await.unwrap();
    assert_eq!(newest(&store.memory), None);
}

#[tokio::test(start_paused = true)]
async fn whoever_opens_after_a_taking_back_that_failed_gets_a_new_state() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let before = client(open(&tokens).await);
    token(&before).await.unwrap();
    let away = StoreError("away".to_owned());
    store.refuse(Some(away.clone()));
    assert_eq!(tokens.retire(&owner()).await, Err(away));
    store.refuse(None);
    let again = client(open(&tokens).await);
    token(&again).await.unwrap();
    assert_eq!(again.save(true).await, Ok(()));
    assert_eq!(newest(&store), Some(("renewed 0".to_owned(), true)));
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&again).await.unwrap();
    assert_eq!(newest(&store), Some(("renewed 1".to_owned(), true)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_is_not_opened_anew() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    token(&client(open(&tokens).await)).await.unwrap();
    tokens.release(&owner()).await.unwrap();
    token(&client(open(&tokens).await)).await.unwrap();
    assert_eq!(newest(&store), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_has_lost_is_written_again_at_the_next_look() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = client(open(&tokens).await);
    token(&source).await.unwrap();
    source.save(true).await.unwrap();
    let whole = Some(("renewed 0".to_owned(), true));
    store.release(&owner()).await.unwrap();
    source.save(true).await.unwrap();
    assert_eq!(newest(&store), whole, "somebody deleted it");
    let (kept, _) = store.kept(&owner()).unwrap();
    store.write(&owner(), &StoredToken { newest: "spoilt".into(), ..kept.clone() }, true).await.unwrap();
    source.save(true).await.unwrap();
    assert_eq!(newest(&store), whole, "somebody wrote over it");
    store.write(&owner(), &kept, false).await.unwrap();
    source.save(true).await.unwrap();
    assert_eq!(newest(&store), whole, "somebody took the finalizer off");
    // Not to be able to look is no reason to say that the token is in memory alone.
    store.refuse(Some(StoreError("away".to_owned())));
    assert_eq!(source.save(true).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_connection_that_is_gone_is_taken_back() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = client(open(&tokens).await);
    token(&source).await.unwrap();
    tokens.gone(owner());
    tokens.finish().await;
    assert_eq!(newest(&store), None);
    // A process that began when it was gone already knows nothing of it but that it is gone.
    let kept = StoredToken { seed: "a".into(), newest: "b".into(), redeemed_at: Timestamp::UNIX_EPOCH };
    store.write(&owner(), &kept, false).await.unwrap();
    let restarted = RefreshTokens::new(Arc::clone(&store) as _);
    restarted.gone(owner());
    restarted.finish().await;
    assert_eq!(newest(&store), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_let_go_is_not_taken_back_twice() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    token(&client(open(&tokens).await)).await.unwrap();
    tokens.release(&owner()).await.unwrap();
    let kept = StoredToken { seed: "a".into(), newest: "b".into(), redeemed_at: Timestamp::UNIX_EPOCH };
    store.write(&owner(), &kept, false).await.unwrap();
    tokens.gone(owner());
    tokens.finish().await;
    assert!(newest(&store).is_some(), "the store was not asked");
}
