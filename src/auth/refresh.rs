//! The refresh token of a connection: which one is the newest, whose turn it is to redeem it, where it is kept.
//!
//! The token service gives a new refresh token with each redemption, and may end the old one. So all
//! clients of a connection share one state, redeem one after the other, and what comes back is written to
//! the store before anything else is done with it. No request is sent from here, and where the store is
//! (a Secret, in production) is not known here.

mod memory;
mod state;
mod token;

pub use memory::MemoryStore;
pub use token::RefreshToken;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use state::{Standing, State};
use token::Shared;

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
    known: std::sync::Mutex<Known>,
    /// What must not be cut off in the middle.
    tasks: TaskTracker,
    /// The process ends: nothing is put off any more.
    ending: CancellationToken,
}

#[derive(Debug, Default)]
struct Known {
    by_uid: HashMap<String, Arc<Shared>>,
    /// Connections for which nothing is stored (any more).
    without: HashSet<String>,
}

impl RefreshTokens {
    /// Tokens that are kept in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn RefreshTokenStore>) -> Self {
        Self {
            store,
            known: std::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
        }
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
        let shared = match self.in_use(&owner.uid).await {
            Some(shared) => shared,
            None => self.read(owner).await?,
        };
        let seed = lock(&shared.state).grow_from(seed);
        Ok(seed.map(|seed| RefreshToken { seed, shared, tasks: self.tasks.clone() }))
    }

    /// The state of a connection, if it is not one that is being taken back. That comes to its end first,
    /// or it would take back what a new state stores.
    async fn in_use(&self, uid: &str) -> Option<Arc<Shared>> {
        let shared = lock(&self.known).by_uid.get(uid).cloned()?;
        if lock(&shared.state).is_retired() {
            let _turn = shared.turn.lock().await;
            return None;
        }
        Some(shared)
    }

    async fn read(&self, owner: TokenOwner) -> Result<Arc<Shared>, StoreError> {
        let state = State::stored(self.store.read(&owner).await?);
        let uid = owner.uid.clone();
        let fresh = self.shared(owner, state);
        let mut known = lock(&self.known);
        known.without.remove(&uid);
        let entry = known.by_uid.entry(uid).or_insert_with(|| Arc::clone(&fresh));
        if lock(&entry.state).is_retired() {
            *entry = fresh;
        }
        Ok(Arc::clone(entry))
    }

    fn shared(&self, owner: TokenOwner, state: State) -> Arc<Shared> {
        let home = Some((owner, Arc::clone(&self.store)));
        Arc::new(Shared { home, turn: Mutex::default(), state: state.into() })
    }

    /// Forgets a connection for good, in the store too. What is renewed after this is not kept.
    ///
    /// # Errors
    /// When the store does not take it; then the connection must not go yet.
    pub async fn release(&self, owner: &TokenOwner) -> Result<(), StoreError> {
        let shared = lock(&self.known).by_uid.get(&owner.uid).cloned();
        take_back(&*self.store, owner, shared.as_deref(), Standing::LetGo).await?;
        lock(&self.known).without.insert(owner.uid.clone());
        Ok(())
    }

    /// Forgets what is stored for a connection that has no refresh token, or not any more. From this call
    /// on – not from when it is awaited – whoever opens the token begins with a new state.
    ///
    /// # Errors
    /// When the store does not take it.
    pub fn retire<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + 'a {
        let retired = self.retired(owner);
        async move {
            let Some(retired) = retired else { return Ok(()) };
            take_back(&*self.store, owner, Some(&retired), Standing::Retired).await?;
            let mut known = lock(&self.known);
            // A new state is not ours to forget.
            if known.by_uid.get(&owner.uid).is_some_and(|now| Arc::ptr_eq(now, &retired)) {
                known.by_uid.remove(&owner.uid);
                known.without.insert(owner.uid.clone());
            }
            Ok(())
        }
    }

    /// The state of a connection, closed; or one that stands for it, so that it can be waited for. None:
    /// nothing is stored.
    fn retired(&self, owner: &TokenOwner) -> Option<Arc<Shared>> {
        let mut known = lock(&self.known);
        if known.without.contains(&owner.uid) {
            return None;
        }
        let stands_for_it = || self.shared(owner.clone(), State::stored(None));
        let shared = known.by_uid.entry(owner.uid.clone()).or_insert_with(stands_for_it);
        lock(&shared.state).close(Standing::Retired);
        Some(Arc::clone(shared))
    }

    /// Forgets a connection that is gone. Without a finalizer it went without a [`Self::release`], and what
    /// is stored for it would stay for as long as other connections need the store: it is taken back now,
    /// if that can be done.
    pub fn gone(&self, owner: TokenOwner) {
        let (shared, is_stored) = {
            let mut known = lock(&self.known);
            (known.by_uid.remove(&owner.uid), !known.without.remove(&owner.uid))
        };
        if let Some(shared) = &shared {
            lock(&shared.state).close(Standing::LetGo);
        }
        if !is_stored {
            return;
        }
        let (store, ending) = (Arc::clone(&self.store), self.ending.clone());
        self.tasks.spawn(async move {
            let mut pause = TAKE_BACK_AGAIN;
            while let Err(error) = take_back(&*store, &owner, shared.as_deref(), Standing::LetGo).await {
                let is_last = pause > TAKE_BACK_AGAIN * 64 || ending.is_cancelled();
                tracing::warn!(
                    namespace = owner.namespace,
                    connection = owner.name,
                    %error,
                    is_last,
                    "the refresh token of a connection that is gone is still in the store"
                );
                if is_last {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = ending.cancelled() => {}
                }
                pause *= 2;
            }
        });
    }

    /// Is anything known of a connection's token?
    #[must_use]
    pub fn knows(&self, uid: &str) -> bool {
        let known = lock(&self.known);
        known.by_uid.contains_key(uid) || known.without.contains(uid)
    }

    /// Begins no redemption any more, and returns when those under way have ended and are stored.
    pub async fn finish(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Closes the state of a connection, and takes back what the store has of it.
async fn take_back(
    store: &dyn RefreshTokenStore,
    owner: &TokenOwner,
    shared: Option<&Shared>,
    standing: Standing,
) -> Result<(), StoreError> {
    let Some(shared) = shared else {
        return store.release(owner).await;
    };
    lock(&shared.state).close(standing);
    // A write that is under way comes first.
    let _turn = shared.turn.lock().await;
    store.release(owner).await
}

/// Time between the first two tries to take back what is stored for a connection that is gone.
const TAKE_BACK_AGAIN: Duration = Duration::from_secs(5);

/// A token is to be redeemed at least so often: unused for long, it dies.
pub const MOST_IDLE: Duration = Duration::from_hours(6 * 24);

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
