//! What is counted when it ends, however it ends: a future that is dropped, because its time is over or the process
//! ends, has no other way to say so.

use std::time::Duration;

use tokio::time::Instant;

/// How what has no other end is counted: nobody waited for it any more.
pub(super) const ABANDONED: &str = "abandoned";

/// A request that is under way, and what counts it. Dropped without an end, it counts as abandoned.
#[must_use = "what is dropped at once counts as abandoned"]
pub struct UnderWay<T: From<&'static str>, C: Fn(T, Duration)> {
    began: Instant,
    ended: Option<T>,
    count: C,
}

impl<T: From<&'static str>, C: Fn(T, Duration)> UnderWay<T, C> {
    /// Something that begins now.
    pub(super) fn counted_by(count: C) -> Self {
        Self { began: Instant::now(), ended: None, count }
    }

    /// It has ended so.
    pub fn end(mut self, how: T) {
        self.ended = Some(how);
    }
}

impl<T: From<&'static str>, C: Fn(T, Duration)> Drop for UnderWay<T, C> {
    fn drop(&mut self) {
        let how = self.ended.take().unwrap_or_else(|| ABANDONED.into());
        (self.count)(how, self.began.elapsed());
    }
}
