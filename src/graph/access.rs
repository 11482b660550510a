//! What a credential may do to profiles, as Graph has shown it when the credential was used.
//!
//! Nothing is asked for the sake of knowing it, and nothing is decided here: what it means for a
//! connection is said in [`crate::reconcile::connection`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::retired;
use crate::auth::AuthError;

/// What the newest use of a credential for changes has shown.
#[derive(Debug, Default)]
pub struct WriteAccess {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shown: Option<Shown>,
    is_news: bool,
}

/// What has been shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A token was given. That says nothing of a right.
    Token,
    /// The token service refuses the credential.
    NoToken(AuthError),
    /// Graph took a change, or refused it for what stood in it.
    Permitted,
    /// Graph refused the credential: 401 or 403.
    Refused {
        /// HTTP status.
        status: u16,
        /// Graph's error code, or the word of the challenge.
        code: Option<String>,
    },
}

impl WriteAccess {
    /// What has been shown, if anything has.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        self.lock().shown.clone()
    }

    /// Has the credential been refused, by Graph or by the token service?
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.lock().shown, Some(Shown::NoToken(_) | Shown::Refused { .. }))
    }

    /// Has something new been shown since this was last asked?
    pub fn take_news(&self) -> bool {
        std::mem::take(&mut self.lock().is_news)
    }

    /// Notes whether a token was given. A token service that is busy or away says nothing.
    pub fn note_token(&self, result: Result<(), &AuthError>) {
        match result {
            Err(error) if error.is_refusal() => self.note(Shown::NoToken(error.clone())),
            Err(_) => {}
            Ok(()) => {
                // A right that has been shown is not forgotten for it.
                if matches!(self.shown(), None | Some(Shown::NoToken(_))) {
                    self.note(Shown::Token);
                }
            }
        }
    }

    /// Notes what Graph said to a create, an update or a delete. Only what it says after it has looked
    /// at the credential counts: a 4xx for what stands in the request comes after that (inferred), an
    /// answer of "busy", "not here" or "no such verb" need not.
    pub(super) fn note_answer(&self, status: u16, body: &[u8], code: Option<String>) {
        match status {
            401 | 403 => self.note(Shown::Refused { status, code }),
            _ if retired(status, body) => {}
            405 | 408 | 409 | 425 | 429 => {}
            200..=299 | 400..=499 => self.note(Shown::Permitted),
            _ => {}
        }
    }

    fn note(&self, shown: Shown) {
        let mut state = self.lock();
        if !state.shown.as_ref().is_some_and(|before| says_the_same(before, &shown)) {
            state.is_news = true;
            state.shown = Some(shown);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entra's id of an attempt is new at each one, and no news.
fn says_the_same(left: &Shown, right: &Shown) -> bool {
    match (left, right) {
        (Shown::NoToken(left), Shown::NoToken(right)) => left.to_string() == right.to_string(),
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(correlation_id: &str) -> AuthError {
        let body = format!(
            r#"{{"error":"invalid_grant","error_codes":[700082],"correlation_id":"{correlation_id}"}}"#
        );
        AuthError::from_answer(400, body.as_bytes(), None)
    }

    fn shown_by(status: u16, body: &str) -> Option<Shown> {
        let access = WriteAccess::default();
        access.note_answer(status, body.as_bytes(), None);
        access.shown()
    }

    #[test]
    fn only_an_answer_that_follows_a_look_at_the_credential_proves_something() {
        for status in [200, 201, 202, 204, 400, 412, 422] {
            assert_eq!(shown_by(status, "{}"), Some(Shown::Permitted), "{status}");
        }
        for status in [401, 403] {
            assert_eq!(shown_by(status, "{}"), Some(Shown::Refused { status, code: None }), "{status}");
        }
        for status in [302, 404, 405, 408, 409, 410, 425, 429, 500, 501, 503] {
            assert_eq!(shown_by(status, "{}"), None, "{status}");
        }
        assert_eq!(shown_by(400, "Resource not found for the segment 'education'"), None, "retired");
    }

    #[test]
    fn the_same_answer_again_is_no_news() {
        let access = WriteAccess::default();
        assert!(!access.take_news());
        for _ in 0..2 {
            access.note_answer(201, b"", None);
        }
        assert!(access.take_news());
        access.note_answer(202, b"", None);
        access.note_token(Ok(()));
        assert!(!access.take_news());
        access.note_token(Err(&refusal("7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8")));
        assert!(access.take_news() && access.is_refused());
        access.note_token(Err(&refusal("8b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8")));
        assert!(!access.take_news());
    }

    #[test]
    fn a_token_ends_a_refusal_of_the_token_service_and_no_other() {
        let access = WriteAccess::default();
        access.note_token(Err(&refusal("7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8")));
        access.note_token(Ok(()));
        assert_eq!(access.shown(), Some(Shown::Token));
        access.note_answer(403, b"", None);
        access.note_token(Ok(()));
        assert!(access.is_refused());
        let busy = AuthError::from_answer(503, b"", None);
        access.note_token(Err(&busy));
        assert!(matches!(access.shown(), Some(Shown::Refused { .. })));
    }
}
