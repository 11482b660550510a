//! Renewals while the old token is good, and redemptions that a stop must not cut off.

use secrecy::SecretString;
use tokio::time::Instant;

use super::*;
use crate::auth::refresh::{MemoryStore, RefreshTokens, TokenOwner};

/// Lets requests from the second one on wait so long, but never longer than their deadline.
#[derive(Debug)]
struct Slow {
    scripted: Arc<Scripted>,
    wait: Duration,
}

impl Transport for Slow {
    fn send(&self, request: Request<Bytes>, deadline: Duration) -> BoxFuture<'_, Sent> {
        let wait = if self.scripted.count() == 0 { Duration::ZERO } else { self.wait };
        let answer = self.scripted.send(request, deadline);
        Box::pin(async move {
            tokio::time::sleep(wait.min(deadline)).await;
            if wait > deadline {
                return Err(TransportError::NoAnswer("no answer in time".to_owned()));
            }
            answer.await
        })
    }
}

fn slow(credential: Credential, wait: Duration) -> (Arc<TokenSource>, Arc<Scripted>) {
    let scripted = scripted(|number, _| granted(number));
    let transport = Arc::new(Slow { scripted: Arc::clone(&scripted), wait });
    let source = TokenSource::new((LOGIN, TENANT, GRAPH), CLIENT, credential, transport, clock());
    (Arc::new(source), scripted)
}

fn secret() -> Credential {
    Credential::ClientSecret("example-secret".into())
}

/// How long a call takes, and what comes of it.
async fn timed(source: &TokenSource) -> (String, Duration) {
    let began = Instant::now();
    (token(source).await.unwrap(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_keeps_nobody_who_has_a_good_token() {
    let (source, transport) = slow(secret(), Duration::MAX);
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_mins(56)).await;
    let renewing = tokio::spawn({
        let source = Arc::clone(&source);
        async move { timed(&source).await }
    });
    tokio::task::yield_now().await;
    for _ in 0..3 {
        assert_eq!(timed(&source).await, ("token 0".to_owned(), Duration::ZERO));
    }
    assert_eq!(renewing.await.unwrap(), ("token 0".to_owned(), Duration::from_secs(10)));
    // It is tried once in thirty seconds, and nobody waits longer for it than ten.
    for (after, requests) in [(29, 2), (2, 3)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        token(&source).await.unwrap();
        assert_eq!(transport.count(), requests, "after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_renewal_that_is_slow_serves_the_next_caller() {
    let (source, transport) = slow(secret(), Duration::from_secs(5));
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_mins(56)).await;
    assert!(futures::FutureExt::now_or_never(source.token()).is_none(), "it has only begun");
    assert_eq!(timed(&source).await, ("token 0".to_owned(), Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(timed(&source).await, ("token 1".to_owned(), Duration::ZERO));
    assert_eq!(transport.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_the_old_token_was_good_ends_with_it() {
    let (source, transport) = slow(secret(), Duration::MAX);
    token(&source).await.unwrap();
    // Six seconds are left when the early attempt ends; nobody may be kept without a try after them.
    tokio::time::advance(Duration::from_secs(3599 - 16)).await;
    token(&source).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(token(&source).await.is_err());
    assert_eq!(transport.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_callers_wait_for_one_request() {
    let (source, transport) = slow(secret(), Duration::from_secs(20));
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_mins(61)).await;
    let (one, other) = tokio::join!(timed(&source), timed(&source));
    assert_eq!((one.0.as_str(), other.0.as_str()), ("token 1", "token 1"));
    assert_eq!((one.1, other.1), (Duration::from_secs(20), Duration::from_secs(20)));
    assert_eq!(transport.count(), 2);
}

fn owner() -> TokenOwner {
    TokenOwner { namespace: "school".to_owned(), name: "default".to_owned(), uid: "uid".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_redemption_is_given_its_whole_time_although_nobody_waits_so_long() {
    let tokens = RefreshTokens::new(Arc::new(MemoryStore::default()));
    let seed = SecretString::from("seed");
    let token_of_it = tokens.open(owner(), Some(&seed)).await.unwrap().unwrap();
    let credential = Credential::RefreshToken { token: token_of_it, client_secret: None };
    let (source, _) = slow(credential, Duration::from_secs(25));
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_mins(56)).await;
    assert_eq!(timed(&source).await, ("token 0".to_owned(), Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(timed(&source).await, ("token 1".to_owned(), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_redemptions_and_begins_none() {
    let store = Arc::new(MemoryStore::default());
    let tokens = RefreshTokens::new(Arc::clone(&store) as _);
    let seed = SecretString::from("seed");
    let token_of_it = tokens.open(owner(), Some(&seed)).await.unwrap().unwrap();
    let credential = Credential::RefreshToken { token: token_of_it, client_secret: None };
    let (source, transport) = slow(credential, Duration::from_secs(20));
    token(&source).await.unwrap();
    let first = store.kept(&owner()).unwrap().0.redeemed_at;
    tokio::time::advance(Duration::from_hours(25)).await;
    assert!(futures::FutureExt::now_or_never(source.token()).is_none(), "it has only begun");
    let began = Instant::now();
    tokens.finish().await;
    assert_eq!(began.elapsed(), Duration::from_secs(20));
    assert!(store.kept(&owner()).unwrap().0.redeemed_at > first, "stored before the stop goes on");
    tokio::time::advance(Duration::from_hours(2)).await;
    let error = token(&source).await.unwrap_err();
    assert!(error.to_string().contains("stopping") && !error.is_refusal(), "{error}");
    assert_eq!(transport.count(), 2);
}
