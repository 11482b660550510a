//! What is done for a connection beside its use: its refresh token is kept alive and stored, and taken
//! back in the end. What is stored, and how, is not known here.

use super::credentials::token_owner;
use super::{Upstream, Upstreams};
use crate::api::GraphConnection;
use crate::auth::refresh::{MOST_IDLE, StoreError, TokenOwner};
use crate::reconcile::cluster::Key;

impl Upstreams {
    /// Looks after a connection's refresh token: redeems it before it dies of idleness, and stores what
    /// could not be stored before, or is not there any more. `held`: the connection stays until
    /// [`Self::let_go`].
    ///
    /// # Errors
    /// Why the newest refresh token is in memory alone.
    pub async fn tend(
        &self,
        connection: &GraphConnection,
        upstream: &Upstream,
        held: bool,
    ) -> Result<(), StoreError> {
        if upstream.writes.write_access.is_refused() {
            // It may have been mended in Entra, which nobody tells. A refusal is remembered for a minute.
            let _ = upstream.writes.check_token().await;
        }
        if connection.spec.delegated.is_none() {
            self.retire(connection).await;
            return Ok(());
        }
        let tokens = &upstream.writes.tokens;
        if let Err(error) = tokens.keep_alive(MOST_IDLE).await {
            upstream.writes.write_access.note_token(Err(&error));
        }
        tokens.save(held).await
    }

    /// Takes back what is stored for a connection that has no refresh token (any more). It harms nobody if
    /// that fails, and it is tried again in the next pass, so the connection's status does not speak of it.
    async fn retire(&self, connection: &GraphConnection) {
        let owner = token_owner(connection);
        // Of a connection that is gone the token is taken back without us.
        let Some(turn) = self.lock().known_turn_of(&owner.uid) else { return };
        let retirement = {
            // Tokens are opened in this turn: one that a newer generation has is not taken away here.
            let _turn = turn.lock().await;
            if self.lock().has_newer(&owner.uid, connection.metadata.generation.unwrap_or_default()) {
                return;
            }
            self.refresh_tokens.retire(&owner)
        };
        if let Err(error) = retirement.await {
            tracing::warn!(
                namespace = owner.namespace,
                connection = owner.name,
                %error,
                "the refresh token that the connection had cannot be taken back; it is tried again"
            );
        }
    }

    /// Forgets what is stored for a connection, which is about to go.
    ///
    /// # Errors
    /// When the store does not take it; then the connection must not go yet.
    pub async fn let_go(&self, connection: &GraphConnection) -> Result<(), StoreError> {
        self.refresh_tokens.release(&token_owner(connection)).await
    }

    /// Forgets a connection that is gone.
    pub fn forget(&self, uid: &str, key: &Key) {
        let Key { namespace, name } = key.clone();
        self.refresh_tokens.gone(TokenOwner { namespace, name, uid: uid.to_owned() });
        self.drop_upstream(uid);
    }

    /// Forgets what was made of a connection after [`Self::forget`], by one who was under way.
    pub fn forget_late(&self, uid: &str, key: &Key) {
        if self.refresh_tokens.knows(uid) {
            self.forget(uid, key);
        } else {
            self.drop_upstream(uid);
        }
    }

    fn drop_upstream(&self, uid: &str) {
        let old = self.lock().forget(uid);
        if let Some(old) = old {
            self.wake_all(&old.poller);
        }
    }

    /// Returns when no refresh token is between its redemption and the store. None is redeemed after that.
    pub async fn finish(&self) {
        self.refresh_tokens.finish().await;
    }
}
