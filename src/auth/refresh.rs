//! The refresh token of a connection: which one is the newest, whose turn it is to redeem it, where it is kept.
//!
//! The token service gives a new refresh token with each redemption, and may end the old one. So all
//! clients of a connection share one state, redeem one after the other, and what comes back is written to
//! the store before anything else is done with it. No request is sent from here, and where the store is
//! (a Secret, in production) is not known here.

mod memory;
mod state;

pub use memory::MemoryStore;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Mutex, MutexGuard};

use super::error::{AuthError, AuthFailure};
use state::State;

/// The connection that a refresh token belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenOwner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What is kept of a refresh token.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// The token that the user gave, from which the newest one comes.
    pub seed: SecretString,
    /// The newest token.
    pub newest: SecretString,
    /// When the token service gave it.
    pub redeemed_at: Timestamp,
}

/// The store did not do what it was asked for. The sentence holds no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// Keeps refresh tokens over a restart: in production a Secret, in simulation tests memory.
pub trait RefreshTokenStore: Send + Sync + std::fmt::Debug + 'static {
    /// What is kept for a connection, and whether it was held when that was written.
    fn read<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> BoxFuture<'a, Result<Option<(StoredToken, bool)>, StoreError>>;

    /// Keeps this for a connection, instead of what was kept before. `held`: the connection does not go
    /// before [`Self::release`] has been called, so what is kept must not go either.
    fn write<'a>(
        &'a self,
        owner: &'a TokenOwner,
        token: &'a StoredToken,
        held: bool,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Forgets what is kept for a connection that is let go.
    fn release<'a>(&'a self, owner: &'a TokenOwner) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// The refresh tokens of all connections, one state for each.
#[derive(Debug)]
pub struct RefreshTokens {
    store: Arc<dyn RefreshTokenStore>,
    by_uid: std::sync::Mutex<HashMap<String, Arc<Shared>>>,
    /// Connections without a refresh token, for which nothing is stored.
    retired: std::sync::Mutex<HashSet<String>>,
}

/// The refresh token of one connection, as grown from one seed.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    seed: SecretString,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    home: Option<(TokenOwner, Arc<dyn RefreshTokenStore>)>,
    /// Held over a redemption and the write that follows it.
    turn: Mutex<()>,
    state: std::sync::Mutex<State>,
}

/// The right to redeem the token. Nobody else redeems it, or writes it, meanwhile.
pub(super) struct Turn<'a> {
    token: &'a RefreshToken,
    _turn: MutexGuard<'a, ()>,
}

impl RefreshTokens {
    /// Tokens that are kept in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn RefreshTokenStore>) -> Self {
        Self { store, by_uid: std::sync::Mutex::default(), retired: std::sync::Mutex::default() }
    }

    /// The token of a connection whose user gave `seed`: what has grown from it, or the seed itself.
    /// Without a seed, since the user's Secret is gone, what is kept; None if nothing is.
    ///
    /// # Errors
    /// When the store cannot be read. The seed is not used instead: it may have been replaced.
    pub async fn open(
        &self,
        owner: TokenOwner,
        seed: Option<&SecretString>,
    ) -> Result<Option<RefreshToken>, StoreError> {
        lock(&self.retired).remove(&owner.uid);
        let known = lock(&self.by_uid).get(&owner.uid).cloned();
        let shared = if let Some(shared) = known {
            shared
        } else {
            let state = State::stored(self.store.read(&owner).await?);
            let home = Some((owner.clone(), Arc::clone(&self.store)));
            let shared = Arc::new(Shared { home, turn: Mutex::default(), state: state.into() });
            Arc::clone(lock(&self.by_uid).entry(owner.uid).or_insert(shared))
        };
        let seed = lock(&shared.state).grow_from(seed);
        Ok(seed.map(|seed| RefreshToken { seed, shared }))
    }

    /// Forgets a connection for good, in the store too. What is renewed after this is not kept.
    ///
    /// # Errors
    /// When the store does not take it; then the connection must not go yet.
    pub async fn release(&self, owner: &TokenOwner) -> Result<(), StoreError> {
        let shared = lock(&self.by_uid).get(&owner.uid).cloned();
        if let Some(shared) = &shared {
            lock(&shared.state).closed = true;
            // A write that is under way comes first.
            let _turn = shared.turn.lock().await;
            return self.store.release(owner).await;
        }
        self.store.release(owner).await
    }

    /// Forgets what is stored for a connection that has no refresh token, or not any more.
    ///
    /// # Errors
    /// When the store does not take it.
    pub async fn retire(&self, owner: &TokenOwner) -> Result<(), StoreError> {
        if lock(&self.retired).contains(&owner.uid) {
            return Ok(());
        }
        self.release(owner).await?;
        self.forget(&owner.uid);
        lock(&self.retired).insert(owner.uid.clone());
        Ok(())
    }

    /// Forgets a connection that is gone, here.
    pub fn forget(&self, uid: &str) {
        lock(&self.retired).remove(uid);
        if let Some(shared) = lock(&self.by_uid).remove(uid) {
            lock(&shared.state).closed = true;
        }
    }
}

impl RefreshToken {
    /// Waits for the turn. What could not be stored before is tried first: soon there is even more to lose.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let turn = Turn { token: self, _turn: self.shared.turn.lock().await };
        self.shared.store_newest().await;
        turn
    }

    /// Has the token not been redeemed since `time`?
    #[must_use]
    pub fn is_idle_since(&self, time: Timestamp) -> bool {
        let state = lock(&self.shared.state);
        !state.closed && state.redeemed_at.is_none_or(|redeemed| redeemed < time)
    }

    /// Stores what has not been stored, and whether the connection is held.
    ///
    /// # Errors
    /// Why the newest token is in memory alone.
    pub async fn save(&self, held: bool) -> Result<(), StoreError> {
        if lock(&self.shared.state).set_held(held) {
            let _turn = self.shared.turn.lock().await;
            self.shared.store_newest().await;
        }
        lock(&self.shared.state).problem().map_or(Ok(()), Err)
    }
}

impl Turn<'_> {
    /// The token to redeem.
    pub(super) fn newest(&self) -> Result<SecretString, AuthError> {
        let newest = lock(&self.token.shared.state).newest(&self.token.seed);
        newest.ok_or_else(|| {
            // Whoever holds the old one looks at the connection again, and gets the new one.
            AuthError::new(AuthFailure::Unreachable("the refresh token has just been replaced".to_owned()))
        })
    }

    /// The token was redeemed, and this came for it. Returns when that is stored, or could not be.
    pub(super) async fn redeemed(&self, newer: Option<SecretString>, now: Timestamp) {
        lock(&self.token.shared.state).redeemed(&self.token.seed, newer, now);
        self.token.shared.store_newest().await;
    }
}

impl Shared {
    /// To be called by whoever has the turn.
    async fn store_newest(&self) {
        let Some((owner, store)) = &self.home else { return };
        let Some((token, held)) = lock(&self.state).unstored() else { return };
        let result = store.write(owner, &token, held).await;
        if let Err(error) = &result {
            tracing::warn!(
                namespace = owner.namespace,
                connection = owner.name,
                %error,
                "the renewed refresh token is in memory alone; storing it is tried again"
            );
        }
        lock(&self.state).written(held, result);
    }
}

/// A token that is kept nowhere.
impl From<SecretString> for RefreshToken {
    fn from(seed: SecretString) -> Self {
        let mut state = State::stored(None);
        let seed = state.grow_from(Some(&seed)).unwrap_or(seed);
        Self { seed, shared: Arc::new(Shared { home: None, turn: Mutex::default(), state: state.into() }) }
    }
}

impl From<String> for RefreshToken {
    fn from(seed: String) -> Self {
        SecretString::from(seed).into()
    }
}

/// A token is to be redeemed at least so often: unused for long, it dies.
pub const MOST_IDLE: Duration = Duration::from_hours(6 * 24);

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
