//! What happened in a run, in lines that a person can follow, and the rules that were broken.

use std::sync::{Arc, Mutex};

use edusync::clock::Clock;
use jiff::Timestamp;

/// What happened.
#[derive(Clone)]
pub struct Story {
    clock: Clock,
    began: Timestamp,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lines: Vec<(Timestamp, String)>,
    broken: Vec<String>,
}

impl Story {
    pub fn new(clock: Clock) -> Self {
        Self { clock, began: clock.now(), inner: Arc::default() }
    }

    /// Something happened.
    pub fn tell(&self, line: impl Into<String>) {
        self.inner.lock().unwrap().lines.push((self.clock.now(), line.into()));
    }

    /// A rule was broken.
    pub fn broken(&self, rule: impl Into<String>) {
        let rule = rule.into();
        self.tell(format!("BROKEN: {rule}"));
        self.inner.lock().unwrap().broken.push(rule);
    }

    /// The first rule that was broken.
    pub fn first_broken(&self) -> Option<String> {
        self.inner.lock().unwrap().broken.first().cloned()
    }

    /// Everything, one line each, with the seconds since the beginning.
    pub fn text(&self) -> String {
        let inner = self.inner.lock().unwrap();
        let line = |(at, line): &(Timestamp, String)| {
            let passed = at.duration_since(self.began).as_secs_f64();
            format!("{passed:10.3}  {line}\n")
        };
        inner.lines.iter().map(line).collect()
    }
}
