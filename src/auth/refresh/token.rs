//! The refresh token of one connection: whose turn it is, and what is stored when.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::state::State;
use super::{RefreshTokenStore, StoreError, TokenOwner, lock};
use crate::auth::error::{AuthError, AuthFailure};

/// The refresh token of one connection, as grown from one seed.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    pub(super) seed: SecretString,
    pub(super) shared: Arc<Shared>,
    pub(super) tasks: TaskTracker,
}

/// What all clients of a connection share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) home: Option<(TokenOwner, Arc<dyn RefreshTokenStore>)>,
    /// Held over a redemption and the write that follows it.
    pub(super) turn: Mutex<()>,
    pub(super) state: std::sync::Mutex<State>,
}

/// The right to redeem the token. Nobody else redeems it, or writes it, meanwhile.
pub(in crate::auth) struct Turn<'a> {
    token: &'a RefreshToken,
    _turn: MutexGuard<'a, ()>,
}

impl RefreshToken {
    /// Runs what redeems the token to its end, even if nobody waits for it, or the operator is to stop.
    ///
    /// # Errors
    /// When the operator is stopping.
    pub(in crate::auth) fn spawn<T: Send + 'static>(
        &self,
        redemption: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>, AuthError> {
        // Counted before it is asked: who waits for all of them either sees this one, or is seen here.
        let counted = self.tasks.token();
        if self.tasks.is_closed() {
            return Err(AuthError::new(AuthFailure::Unreachable("the operator is stopping".to_owned())));
        }
        Ok(tokio::spawn(async move {
            let result = redemption.await;
            drop(counted);
            result
        }))
    }

    /// Waits for the turn. What could not be stored before is tried first: soon there is even more to lose.
    pub(in crate::auth) async fn turn(&self) -> Turn<'_> {
        let turn = Turn { token: self, _turn: self.shared.turn.lock().await };
        self.shared.store_newest().await;
        turn
    }

    /// Has the token not been redeemed since `time`?
    #[must_use]
    pub fn is_idle_since(&self, time: Timestamp) -> bool {
        let state = lock(&self.shared.state);
        !state.is_closed() && state.redeemed_at().is_none_or(|redeemed| redeemed < time)
    }

    /// Stores what has not been stored, or is not there any more, and whether the connection is held.
    ///
    /// # Errors
    /// Why the newest token is in memory alone.
    pub async fn save(&self, held: bool) -> Result<(), StoreError> {
        self.shared.look().await;
        if lock(&self.shared.state).set_held(held) {
            let _turn = self.shared.turn.lock().await;
            self.shared.store_newest().await;
        }
        lock(&self.shared.state).problem().map_or(Ok(()), Err)
    }
}

impl Turn<'_> {
    /// The token to redeem.
    pub(in crate::auth) fn newest(&self) -> Result<SecretString, AuthError> {
        let newest = lock(&self.token.shared.state).newest(&self.token.seed);
        newest.ok_or_else(|| {
            // Whoever holds the old one looks at the connection again, and gets the new one.
            AuthError::new(AuthFailure::Unreachable("the refresh token has just been replaced".to_owned()))
        })
    }

    /// The token was redeemed, and this came for it. Returns when that is stored, or could not be.
    pub(in crate::auth) async fn redeemed(&self, newer: Option<SecretString>, now: Timestamp) {
        lock(&self.token.shared.state).redeemed(&self.token.seed, newer, now);
        self.token.shared.store_newest().await;
    }
}

impl Shared {
    /// Looks whether the store still has what it was given. Somebody may have deleted it, and until the
    /// next redemption a restart would begin with the seed, which may be dead.
    async fn look(&self) {
        let Some((owner, store)) = &self.home else { return };
        // Whoever has the turn now stores what is newest anyway.
        let Ok(_turn) = self.turn.try_lock() else { return };
        if !lock(&self.state).is_stored() {
            return;
        }
        match store.read(owner).await {
            Ok(found) => {
                if lock(&self.state).found(found.as_ref()) {
                    tracing::warn!(
                        namespace = owner.namespace,
                        connection = owner.name,
                        "the stored refresh token is gone or was changed; it is written again"
                    );
                }
            }
            // Nothing is known then, and nothing is wrong yet.
            Err(error) => tracing::debug!(connection = owner.name, %error, "not looked at"),
        }
    }

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
        let shared = Arc::new(Shared { home: None, turn: Mutex::default(), state: state.into() });
        Self { seed, shared, tasks: TaskTracker::new() }
    }
}

impl From<String> for RefreshToken {
    fn from(seed: String) -> Self {
        SecretString::from(seed).into()
    }
}
