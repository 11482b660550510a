//! What the documents leave open and only the service can tell, learnt once for each
//! tenant, application and dialect.
//!
//! All of it can be lost: it is then learnt again, at the cost of one call.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// How an existing profile is changed. The documents name both (Graph docs: update by PUT, generated
/// reference and SDK: PATCH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateVerb {
    /// PUT with the whole profile.
    Put,
    /// PATCH with what changes.
    Patch,
}

/// So often in a row a list that was allowed may be refused before that is believed.
const SLIPS: u32 = 2;
/// That a list does not take `$expand` is learnt anew after this time: the service may have got it, or have had a bad
/// moment when it was asked.
const RELEARN: Duration = Duration::from_hours(24);

/// What has been learnt.
#[derive(Debug, Default)]
pub struct Learnt {
    /// Whether it takes it, and when that was learnt.
    expand: Mutex<Option<(bool, Timestamp)>>,
    /// How often in a row a list was refused that was allowed before.
    expand_refused: AtomicU32,
    update: Mutex<Option<UpdateVerb>>,
}

impl Learnt {
    /// Does a list take `$expand=profileStatus`? None: not known yet, or not any more.
    #[must_use]
    pub fn expand(&self, now: Timestamp) -> Option<bool> {
        let (allowed, at) = (*self.expand.lock().unwrap_or_else(PoisonError::into_inner))?;
        let holds = allowed || at.saturating_add(RELEARN).is_ok_and(|end| now < end);
        holds.then_some(allowed)
    }

    /// A list was refused that was allowed before. True: so often by now that it is no slip.
    pub(super) fn expand_is_refused(&self) -> bool {
        self.expand_refused.fetch_add(1, Ordering::Relaxed) >= SLIPS
    }

    /// A list came with it.
    pub(super) fn expand_is_taken(&self) {
        self.expand_refused.store(0, Ordering::Relaxed);
    }

    pub(super) fn set_expand(&self, allowed: bool, now: Timestamp) {
        *self.expand.lock().unwrap_or_else(PoisonError::into_inner) = Some((allowed, now));
    }

    /// By which verb a profile is changed. None: not known yet.
    #[must_use]
    pub fn update_verb(&self) -> Option<UpdateVerb> {
        *self.update.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget_update_verb(&self) {
        *self.update.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn set_update_verb(&self, verb: UpdateVerb) {
        *self.update.lock().unwrap_or_else(PoisonError::into_inner) = Some(verb);
    }
}
