//! What is known of one connection's refresh token. Pure: no lock, no store, no clock.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{StoreError, StoredToken};

/// A redemption that brought no new token is written down only when the last note is older than this.
const NOTE_AFTER: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(super) struct State {
    /// None until there is a seed.
    grown: Option<Grown>,
    /// What has grown from the seed before this one, until this one is redeemed.
    before: Option<Box<Grown>>,
    /// Why the store is behind.
    problem: Option<StoreError>,
    /// Does the connection stay until it is let go? None: nobody has said yet.
    held: Option<bool>,
    /// What the store was told of that.
    stored_held: Option<bool>,
    standing: Standing,
}

/// What has grown from a seed. A seed that is replaced by a wrong one comes back, and its own token may be dead by then.
#[derive(Debug)]
struct Grown {
    seed: SecretString,
    newest: SecretString,
    redeemed_at: Option<Timestamp>,
    /// The time of redemption that the store has.
    noted_at: Option<Timestamp>,
    /// The store is behind.
    dirty: bool,
}

impl Grown {
    /// Nothing yet. What the store has is of another seed, and harmless: whoever reads it compares.
    fn from_seed(seed: &SecretString) -> Self {
        Self { seed: seed.clone(), newest: seed.clone(), redeemed_at: None, noted_at: None, dirty: false }
    }

    fn is_from(&self, seed: &SecretString) -> bool {
        self.seed.expose_secret() == seed.expose_secret()
    }

    fn redeemed(&mut self, newer: Option<SecretString>, now: Timestamp) {
        let noted_lately =
            self.noted_at.is_some_and(|noted| noted.saturating_add(NOTE_AFTER).is_ok_and(|end| now < end));
        self.dirty = self.dirty || newer.is_some() || !noted_lately;
        self.redeemed_at = Some(now);
        if let Some(newer) = newer {
            self.newest = newer;
        }
    }
}

/// Is what comes of the token stored?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is.
    Open,
    /// Not any more: the connection has no refresh token now. It may get one again, in another state.
    Retired,
    /// Never again: the connection goes.
    LetGo,
}

impl State {
    pub(super) fn stored(stored: Option<(StoredToken, bool)>) -> Self {
        let (stored, stored_held) = stored.unzip();
        let grown = stored.map(|StoredToken { seed, newest, redeemed_at }| Grown {
            seed,
            newest,
            redeemed_at: Some(redeemed_at),
            noted_at: Some(redeemed_at),
            dirty: false,
        });
        Self { grown, before: None, problem: None, held: stored_held, stored_held, standing: Standing::Open }
    }

    /// Takes a seed, which replaces everything if it is another one. If it is the one before, and no token of the one
    /// between was redeemed, what has grown from it is in force again. Returns the seed in force.
    pub(super) fn grow_from(&mut self, seed: Option<&SecretString>) -> Option<SecretString> {
        if let Some(seed) = seed.filter(|seed| !self.is_from(seed)) {
            let (back, other) = match self.before.take() {
                Some(before) if before.is_from(seed) => (Some(*before), None),
                other => (None, other),
            };
            let left = self.grown.replace(back.unwrap_or_else(|| Grown::from_seed(seed)));
            self.before = left.filter(|left| left.redeemed_at.is_some()).map(Box::new).or(other);
            self.problem = None;
        }
        self.grown.as_ref().map(|grown| grown.seed.clone())
    }

    /// When a token of the seed in force was last redeemed.
    pub(super) fn redeemed_at(&self) -> Option<Timestamp> {
        self.grown.as_ref()?.redeemed_at
    }

    /// The store is behind.
    fn is_dirty(&self) -> bool {
        self.grown.as_ref().is_some_and(|grown| grown.dirty)
    }

    /// From now on nothing is stored. Who is let go is not called back.
    pub(super) fn close(&mut self, standing: Standing) {
        if self.standing != Standing::LetGo {
            self.standing = standing;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.standing != Standing::Open
    }

    pub(super) fn is_retired(&self) -> bool {
        self.standing == Standing::Retired
    }

    /// Does the store have everything, as far as is known here?
    pub(super) fn is_stored(&self) -> bool {
        !self.is_dirty() && self.redeemed_at().is_some() && !self.is_closed()
    }

    /// This is in the store. True: it should be something else, and is to be written again.
    pub(super) fn found(&mut self, found: Option<&(StoredToken, bool)>) -> bool {
        if !self.is_stored() {
            return false;
        }
        let Some(grown) = &mut self.grown else { return false };
        grown.dirty = !found.is_some_and(|(stored, _)| {
            grown.is_from(&stored.seed) && grown.newest.expose_secret() == stored.newest.expose_secret()
        });
        self.stored_held = found.map(|(_, held)| *held);
        grown.dirty
    }

    /// Why the newest token is not in the store.
    pub(super) fn problem(&self) -> Option<StoreError> {
        self.problem.clone().filter(|_| self.is_dirty() && !self.is_closed())
    }

    fn is_from(&self, seed: &SecretString) -> bool {
        self.grown.as_ref().is_some_and(|grown| grown.is_from(seed))
    }

    /// The newest token, for one who knows the seed in force.
    pub(super) fn newest(&self, seed: &SecretString) -> Option<SecretString> {
        self.grown.as_ref().filter(|grown| grown.is_from(seed)).map(|grown| grown.newest.clone())
    }

    /// A token of this seed was redeemed. What comes late, of a seed that has been replaced, is kept for its return.
    pub(super) fn redeemed(&mut self, seed: &SecretString, newer: Option<SecretString>, now: Timestamp) {
        if let Some(grown) = self.grown.as_mut().filter(|grown| grown.is_from(seed)) {
            grown.redeemed(newer, now);
            self.before = None;
        } else if let Some(before) = self.before.as_mut().filter(|before| before.is_from(seed)) {
            before.redeemed(newer, now);
        }
    }

    /// Says whether the connection is held. True: there is something to store.
    pub(super) fn set_held(&mut self, held: bool) -> bool {
        self.held = Some(held);
        let differs = self.stored_held != self.held;
        if let Some(grown) = &mut self.grown {
            grown.dirty |= differs && grown.redeemed_at.is_some();
        }
        self.is_dirty() && !self.is_closed()
    }

    /// What the store does not have yet.
    pub(super) fn unstored(&self) -> Option<(StoredToken, bool)> {
        let grown = self.grown.as_ref().filter(|grown| grown.dirty && !self.is_closed())?;
        let (seed, newest) = (grown.seed.clone(), grown.newest.clone());
        let token = StoredToken { seed, newest, redeemed_at: grown.redeemed_at? };
        Some((token, self.held.unwrap_or_default()))
    }

    /// What came of a write. Only who has the turn changes the token, so what was written is the newest
    /// – unless there is a new seed, of which nothing has been written.
    pub(super) fn written(&mut self, held: bool, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {
                if let Some(grown) = &mut self.grown {
                    grown.dirty = self.held.unwrap_or_default() != held;
                    grown.noted_at = grown.redeemed_at;
                }
                self.stored_held = Some(held);
                self.problem = None;
            }
            Err(error) => self.problem = Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_comes_back_unused_has_what_grew_from_it() {
        let token = |text: &str| SecretString::from(text);
        let newest = |state: &State, seed: &str| {
            state.newest(&token(seed)).map(|newest| newest.expose_secret().to_owned())
        };
        let mut state = State::stored(None);
        state.grow_from(Some(&token("a")));
        state.redeemed(&token("a"), Some(token("a2")), Timestamp::UNIX_EPOCH);
        for wrong in ["b", "c"] {
            state.grow_from(Some(&token(wrong)));
            assert_eq!((newest(&state, wrong).as_deref(), state.unstored().is_none()), (Some(wrong), true));
        }
        state.grow_from(Some(&token("a")));
        assert_eq!(newest(&state, "a").as_deref(), Some("a2"));
        assert_eq!(state.unstored().unwrap().0.newest.expose_secret(), "a2", "it was not stored yet");

        state.grow_from(Some(&token("b")));
        state.redeemed(&token("a"), Some(token("a3")), Timestamp::UNIX_EPOCH);
        state.grow_from(Some(&token("a")));
        assert_eq!(newest(&state, "a").as_deref(), Some("a3"), "it was under way when the seed was replaced");

        state.grow_from(Some(&token("b")));
        state.redeemed(&token("b"), None, Timestamp::UNIX_EPOCH);
        state.grow_from(Some(&token("a")));
        assert_eq!(newest(&state, "a").as_deref(), Some("a"), "the new one was good, and the old one is new");
    }
}
