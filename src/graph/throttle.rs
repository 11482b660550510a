//! Retry-After: how it is read, and the gate that holds back every call of a tenant and application.
//!
//! Requests that are sent while throttled count against the limit (Graph docs, "throttling"), so
//! one answer of 429 holds for all of them.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The longest wait that is taken from an answer. A longer one is cut: it would look like a stop.
const LONGEST: Duration = Duration::from_hours(1);

/// Reads `Retry-After`: seconds, possibly with a fraction, a list of them, or an HTTP date.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(date) = rfc2822::parse(value) {
        let left = date.timestamp().duration_since(now);
        return Some(Duration::try_from(left).unwrap_or(Duration::ZERO).min(LONGEST));
    }
    let longest = value
        .split(',')
        .filter_map(|part| part.trim().parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
        .fold(None, |longest: Option<f64>, seconds| Some(longest.map_or(seconds, |l| l.max(seconds))))?;
    Some(Duration::from_secs_f64(longest.min(LONGEST.as_secs_f64())))
}

/// Holds back all calls of one tenant and application while Graph asks to wait.
#[derive(Debug, Default)]
pub struct Gate {
    closed_until: Mutex<Option<Timestamp>>,
}

impl Gate {
    /// How long no call may be made, if at all.
    #[must_use]
    pub fn closed_for(&self, now: Timestamp) -> Option<Duration> {
        let until = (*self.closed_until.lock().unwrap_or_else(PoisonError::into_inner))?;
        Duration::try_from(until.duration_since(now)).ok().filter(|left| !left.is_zero())
    }

    /// No call before `wait` is over. A shorter wait does not cut a longer one.
    pub fn close(&self, wait: Duration, now: Timestamp) {
        let until = now.saturating_add(wait).unwrap_or(now);
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |old| old.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, Timestamp::from_second(1_700_000_000).unwrap())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(read("5"), Some(Duration::from_secs(5)));
        assert_eq!(read("2.128"), Some(Duration::from_secs_f64(2.128)));
        assert_eq!(read("3,7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Tue, 14 Nov 2023 22:13:10 GMT"), Some(Duration::ZERO));
        assert_eq!(read("1e300"), Some(LONGEST));
        for nonsense in ["soon", "", "-3", "NaN", "inf"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_shorter_wait_does_not_open_the_gate() {
        let now = Timestamp::from_second(100).unwrap();
        let gate = Gate::default();
        assert_eq!(gate.closed_for(now), None);
        gate.close(Duration::from_secs(30), now);
        gate.close(Duration::from_secs(3), now);
        assert_eq!(gate.closed_for(now), Some(Duration::from_secs(30)));
        assert_eq!(gate.closed_for(Timestamp::from_second(130).unwrap()), None);
    }
}
