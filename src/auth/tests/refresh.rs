//! Renewed refresh tokens: never lost, never two at a time, and dead ones never stored.

use secrecy::SecretString;

use super::*;
use crate::auth::refresh::{MOST_IDLE, MemoryStore, RefreshTokens, StoreError, TokenOwner};

fn owner() -> TokenOwner {
    TokenOwner { namespace: "school".to_owned(), name: "default".to_owned(), uid: "uid".to_owned() }
}

/// A token service that ends a refresh token when it is redeemed, and knows one to begin with.
fn strict(first: &'static str) -> Arc<Scripted> {
    let mut good = first.to_owned();
    scripted(move |number, request| {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        if form["refresh_token"] != good {
            return refused(400, "invalid_grant", 70_000);
        }
        good = format!("renewed {number}");
        let token = format!("token {number}");
        answer(200, &json!({"expires_in": 3599, "access_token": token, "refresh_token": good}))
    })
}

async fn open(tokens: &RefreshTokens, seed: Option<&str>, transport: &Arc<Scripted>) -> TokenSource {
    let seed = seed.map(SecretString::from);
    let token = tokens.open(owner(), seed.as_ref()).await.unwrap().unwrap();
    source(Credential::RefreshToken { token, client_secret: None }, transport)
}

/// Seed and newest token in the store, and whether it is held.
type Entry = Option<(String, String, bool)>;

fn kept(store: &MemoryStore) -> Entry {
    let (token, held) = store.kept(&owner())?;
    Some((token.seed.expose_secret().to_owned(), token.newest.expose_secret().to_owned(), held))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what is kept, if anything is")]
fn entry(seed: &str, newest: &str, held: bool) -> Entry {
    Some((seed.to_owned(), newest.to_owned(), held))
}

#[tokio::test(start_paused = true)]
async fn a_renewed_token_is_stored_and_used_after_a_restart() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let before = RefreshTokens::new(Arc::clone(&store) as _);
    token(&open(&before, Some("seed"), &transport).await).await.unwrap();
    assert_eq!(kept(&store), entry("seed", "renewed 0", false));
    assert_eq!(transport.form(0)["scope"], format!("{GRAPH}/EduAdministration.ReadWrite offline_access"));

    let after = RefreshTokens::new(Arc::clone(&store) as _);
    token(&open(&after, Some("seed"), &transport).await).await.unwrap();
    assert_eq!(transport.form(1)["refresh_token"], "renewed 0");
    assert_eq!(kept(&store), entry("seed", "renewed 1", false));

    // With the namespace the user's Secret goes; what is stored serves to the end.
    let at_the_end = RefreshTokens::new(Arc::clone(&store) as _);
    token(&open(&at_the_end, None, &transport).await).await.unwrap();
    assert_eq!(transport.form(2)["refresh_token"], "renewed 1");
    assert!(
        RefreshTokens::new(Arc::new(MemoryStore::default())).open(owner(), None).await.unwrap().is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_seed_replaces_what_grew_from_the_old_one() {
    let (store, old, new) = (Arc::new(MemoryStore::default()), strict("old"), strict("new"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let outdated = open(&tokens, Some("old"), &old).await;
    token(&outdated).await.unwrap();
    let current = open(&tokens, Some("new"), &new).await;
    assert_eq!(kept(&store), entry("old", "renewed 0", false), "until the new one is redeemed");
    token(&current).await.unwrap();
    assert_eq!(kept(&store), entry("new", "renewed 0", false));

    // Whoever still has the old one can neither redeem it nor write over the new one.
    tokio::time::advance(Duration::from_hours(1)).await;
    let error = token(&outdated).await.unwrap_err();
    assert!(!error.is_refusal(), "{error}");
    assert_eq!(old.count(), 1);
    assert_eq!(kept(&store), entry("new", "renewed 0", false));
}

#[tokio::test(start_paused = true)]
async fn two_clients_of_one_connection_never_redeem_one_token_twice() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let one = open(&tokens, Some("seed"), &transport).await;
    let other = open(&tokens, Some("seed"), &transport).await;
    let (first, second) = tokio::join!(one.token(), other.token());
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(transport.form(1)["refresh_token"], "renewed 0");
    assert_eq!(kept(&store), entry("seed", "renewed 1", false));
}

#[tokio::test(start_paused = true)]
async fn a_redemption_that_nobody_waits_for_any_more_is_stored_all_the_same() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&tokens, Some("seed"), &transport).await;
    assert!(futures::FutureExt::now_or_never(source.token()).is_none(), "it has only begun");
    token(&source).await.unwrap();
    assert_eq!((transport.count(), kept(&store)), (1, entry("seed", "renewed 0", false)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_stays_in_memory_and_is_tried_again() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&tokens, Some("seed"), &transport).await;
    let error = StoreError("the Secret cannot be written".to_owned());
    store.refuse(Some(error.clone()));
    token(&source).await.unwrap();
    assert_eq!(source.save(false).await, Err(error.clone()));
    assert_eq!(kept(&store), None);
    // At the connection's next pass,
    store.refuse(None);
    assert_eq!(source.save(false).await, Ok(()));
    assert_eq!(kept(&store), entry("seed", "renewed 0", false));
    // or at the next request, before the token is redeemed.
    store.refuse(Some(error));
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();
    assert_eq!(transport.form(1)["refresh_token"], "renewed 0", "the newest one is in memory");
    store.refuse(None);
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();
    assert_eq!(kept(&store), entry("seed", "renewed 2", false));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_no_reason_to_begin_with_the_seed() {
    let store = Arc::new(MemoryStore::default());
    store.refuse(Some(StoreError("away".to_owned())));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    assert!(tokens.open(owner(), Some(&"seed".into())).await.is_err());
    store.refuse(None);
    assert!(tokens.open(owner(), Some(&"seed".into())).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_token_does_not_die_of_idleness() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&tokens, Some("seed"), &transport).await;
    // How old a seed is nobody knows.
    source.keep_alive(MOST_IDLE).await.unwrap();
    source.keep_alive(MOST_IDLE).await.unwrap();
    assert_eq!(transport.count(), 1);
    let restarted = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&restarted, Some("seed"), &transport).await;
    for (after, requests) in [(0, 1), (6 * 24 - 1, 1), (2, 2), (1, 2)] {
        tokio::time::advance(Duration::from_hours(after)).await;
        // Sources have clocks of their own here, which begin when they are made: the same moment.
        source.keep_alive(MOST_IDLE).await.unwrap();
        assert_eq!(transport.count(), requests, "after {after} h");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_new_token_keeps_the_old_one() {
    let store = Arc::new(MemoryStore::default());
    let transport = scripted(|number, _| granted(number));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&tokens, Some("seed"), &transport).await;
    token(&source).await.unwrap();
    assert_eq!(kept(&store), entry("seed", "seed", false), "when it was redeemed is worth knowing");
    let first = store.kept(&owner()).unwrap().0.redeemed_at;
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();
    assert_eq!(store.kept(&owner()).unwrap().0.redeemed_at, first, "but not each hour");
}

#[tokio::test(start_paused = true)]
async fn the_store_learns_who_is_held_and_forgets_who_is_let_go() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let source = open(&tokens, Some("seed"), &transport).await;
    source.save(true).await.unwrap();
    assert_eq!(kept(&store), None, "there is nothing to store");
    token(&source).await.unwrap();
    assert_eq!(kept(&store), entry("seed", "renewed 0", true));
    tokens.release(&owner()).await.unwrap();
    assert_eq!(kept(&store), None);
    // A client that is still in use goes on, and leaves nothing behind.
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();
    source.save(true).await.unwrap();
    assert_eq!(kept(&store), None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_no_refresh_token_any_more_leaves_none_behind() {
    let (store, transport) = (Arc::new(MemoryStore::default()), strict("seed"));
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    token(&open(&tokens, Some("seed"), &transport).await).await.unwrap();
    tokens.retire(&owner()).await.unwrap();
    assert_eq!(kept(&store), None);
    store.refuse(Some(StoreError("the store is not asked again".to_owned())));
    tokens.retire(&owner()).await.unwrap();
    store.refuse(None);
    // It may come back, and begins anew.
    let again = strict("seed");
    token(&open(&tokens, Some("seed"), &again).await).await.unwrap();
    assert_eq!(kept(&store), entry("seed", "renewed 0", false));
    tokens.retire(&owner()).await.unwrap();
    assert_eq!(kept(&store), None);
}
