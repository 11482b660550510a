//! A store in memory, for tests and for whoever has no other. It forgets with the process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};

use super::{RefreshTokenStore, StoreError, StoredToken, TokenOwner};

/// Keeps tokens in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<TokenOwner, (StoredToken, bool)>,
    refusal: Option<StoreError>,
}

impl MemoryStore {
    /// What is kept for a connection, and whether it is held.
    #[must_use]
    pub fn kept(&self, owner: &TokenOwner) -> Option<(StoredToken, bool)> {
        self.with(|inner| inner.kept.get(owner).cloned())
    }

    /// Every call from now on fails with this; None: none does.
    pub fn refuse(&self, error: Option<StoreError>) {
        self.with(|inner| inner.refusal = error);
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer<'a, R: Send + 'a>(
        &self,
        change: impl FnOnce(&mut Inner) -> R,
    ) -> BoxFuture<'a, Result<R, StoreError>> {
        let result = self.with(|inner| match &inner.refusal {
            Some(error) => Err(error.clone()),
            None => Ok(change(inner)),
        });
        ready(result).boxed()
    }
}

impl RefreshTokenStore for MemoryStore {
    fn read<'a>(
        &'a self,
        owner: &'a TokenOwner,
    ) -> BoxFuture<'a, Result<Option<(StoredToken, bool)>, StoreError>> {
        self.answer(|inner| inner.kept.get(owner).cloned())
    }

    fn write<'a>(
        &'a self,
        owner: &'a TokenOwner,
        token: &'a StoredToken,
        held: bool,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|inner| {
            inner.kept.insert(owner.clone(), (token.clone(), held));
        })
    }

    fn release<'a>(&'a self, owner: &'a TokenOwner) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|inner| {
            inner.kept.remove(owner);
        })
    }
}
