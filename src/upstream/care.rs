//! What is done for a connection beside its use: its refresh token is kept alive and stored, and taken
//! back in the end. What is stored, and how, is not known here.

use super::credentials::token_owner;
use super::{Loaded, Upstream, Upstreams};
use crate::api::GraphConnection;
use crate::auth::refresh::{MOST_IDLE, StoreError};

impl Upstreams {
    /// Looks after a connection's refresh token: redeems it before it dies of idleness, and stores what
    /// could not be stored before. `held`: the connection stays until [`Self::let_go`].
    ///
    /// # Errors
    /// Why the newest refresh token is in memory alone.
    pub async fn tend(
        &self,
        connection: &GraphConnection,
        upstream: &Upstream,
        held: bool,
    ) -> Result<(), StoreError> {
        if connection.spec.delegated.is_none() {
            return self.refresh_tokens.retire(&token_owner(connection)).await;
        }
        let tokens = &upstream.writes.tokens;
        // What is wrong with the credential shows where it is used; the log has it already.
        let _ = tokens.keep_alive(MOST_IDLE).await;
        tokens.save(held).await
    }

    /// Forgets what is stored for a connection, which is about to go.
    ///
    /// # Errors
    /// When the store does not take it; then the connection must not go yet.
    pub async fn let_go(&self, connection: &GraphConnection) -> Result<(), StoreError> {
        self.refresh_tokens.release(&token_owner(connection)).await
    }

    /// Forgets a connection that is gone.
    pub async fn forget(&self, uid: &str) {
        self.refresh_tokens.forget(uid);
        let mut inner = self.inner.lock().await;
        let old = inner.by_uid.remove(uid);
        drop(inner);
        if let Some(Loaded { result: Ok(old), .. }) = old {
            self.wake_all(&old.poller);
        }
    }
}
