//! The resources of one kind as the API server tells of them, and when it told. A watch, since looking again and again
//! would be work for the very server that is measured.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use xtask::timing::{self, poll_until};

use crate::commands::http::Client;
use crate::commands::parts::{POLL, READY_LIMIT};

/// Objects of one kind, in all namespaces.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// By namespace and name.
    objects: HashMap<String, Object>,
    ready: usize,
    /// The object whose versions are kept, and what its status was, version by version.
    followed: Option<String>,
    versions: Vec<Value>,
    failure: Option<String>,
}

/// What is known of an object.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) is_ready: bool,
    /// When it was told first that the newest manifest is Ready.
    pub(super) ready_since: Option<Timestamp>,
    pub(super) profile_id: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Told,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    metadata: Metadata,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    namespace: String,
    name: String,
    generation: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    observed_generation: i64,
    #[serde(default)]
    conditions: Vec<Condition>,
    binding: Option<Binding>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Binding {
    profile_id: String,
}

impl Watch {
    /// Watches what is at `path`, from now on and including what is there.
    pub(super) fn start(client: &Client, path: &str) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        // Longer than any round: left to itself the server ends a watch after half an hour or an hour.
        let path = format!("{path}?watch=true&timeoutSeconds=86400");
        // The server takes a moment to serve a kind that is new to it, and answers 429 until then.
        let mut lines = client.stream(&path);
        poll_until(READY_LIMIT, POLL, || {
            if lines.is_err() {
                lines = client.stream(&path);
            }
            lines.is_ok()
        });
        let lines = lines?;
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for line in lines.lines() {
                let outcome = line.context("it broke").and_then(|line| locked(&shared).take(&line));
                if let Err(error) = outcome {
                    locked(&shared).failure = Some(format!("{error:#}"));
                    return;
                }
            }
            locked(&shared).failure = Some("it ended".to_owned());
        });
        Ok(Self { seen })
    }

    /// Fails when nothing is told any more.
    pub(super) fn check(&self) -> Result<()> {
        match &locked(&self.seen).failure {
            Some(failure) => bail!("the watch of the API server fails: {failure}"),
            None => Ok(()),
        }
    }

    /// How many are Ready by their newest manifest.
    pub(super) fn ready(&self) -> usize {
        locked(&self.seen).ready
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        locked(&self.seen).objects.len()
    }

    /// What is known of an object, by namespace and name: `namespace/name`.
    pub(super) fn get(&self, key: &str) -> Option<Object> {
        locked(&self.seen).objects.get(key).cloned()
    }

    /// Keeps every version of the status of this object from now on.
    pub(super) fn follow(&self, key: &str) {
        let mut seen = locked(&self.seen);
        seen.followed = Some(key.to_owned());
        seen.versions.clear();
    }

    /// The versions that were kept, oldest first.
    pub(super) fn versions(&self) -> Vec<Value> {
        locked(&self.seen).versions.clone()
    }
}

impl Seen {
    fn take(&mut self, line: &str) -> Result<()> {
        let event: Event = serde_json::from_str(line).context("what it tells cannot be read")?;
        let key = format!("{}/{}", event.object.metadata.namespace, event.object.metadata.name);
        let before = match event.kind.as_str() {
            "DELETED" => self.objects.remove(&key),
            "ADDED" | "MODIFIED" => {
                self.keep(&key, line)?;
                let before = self.objects.get(&key).cloned();
                let now = Object::of(&event.object, before.as_ref());
                self.ready += usize::from(now.is_ready);
                self.objects.insert(key, now);
                before
            }
            other => bail!("it tells {other}"),
        };
        self.ready -= usize::from(before.is_some_and(|before| before.is_ready));
        Ok(())
    }

    fn keep(&mut self, key: &str, line: &str) -> Result<()> {
        if self.followed.as_deref() == Some(key) {
            let whole: Value = serde_json::from_str(line)?;
            let status = whole.pointer("/object/status").cloned().unwrap_or_default();
            let is_first = status.get("observedGeneration").and_then(Value::as_i64) == Some(-1);
            if !is_first && self.versions.last() != Some(&status) {
                self.versions.push(status);
            }
        }
        Ok(())
    }
}

impl Object {
    fn of(told: &Told, before: Option<&Self>) -> Self {
        let status = told.status.as_ref();
        let is_ready = status.is_some_and(|status| {
            let is_true = |one: &Condition| one.kind == "Ready" && one.status == "True";
            status.observed_generation == told.metadata.generation && status.conditions.iter().any(is_true)
        });
        let since = before.filter(|before| before.is_ready).and_then(|before| before.ready_since);
        Self {
            is_ready,
            ready_since: is_ready.then(|| since.unwrap_or_else(timing::now)),
            profile_id: status.and_then(|status| status.binding.as_ref()).map(|it| it.profile_id.clone()),
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kind: &str, generation: i64, observed: i64, ready: &str) -> String {
        let conditions = json!([{"type": "Ready", "status": ready}]);
        let metadata = json!({"namespace": "a", "name": "b", "generation": generation});
        let status = json!({"observedGeneration": observed, "conditions": conditions});
        json!({"type": kind, "object": {"metadata": metadata, "status": status}}).to_string()
    }

    #[test]
    fn ready_is_said_of_the_newest_manifest() {
        let mut seen = Seen::default();
        let rows = [("ADDED", 1, 1, "True", 1), ("MODIFIED", 2, 1, "True", 0), ("MODIFIED", 2, 2, "True", 1)];
        for (kind, generation, observed, ready, count) in rows {
            seen.take(&told(kind, generation, observed, ready)).unwrap();
            assert_eq!(seen.ready, count, "{generation} {observed}");
        }
        let since = seen.objects["a/b"].ready_since;
        seen.take(&told("MODIFIED", 2, 2, "True")).unwrap();
        assert_eq!(seen.objects["a/b"].ready_since, since, "it has been Ready since then");
        seen.take(&told("DELETED", 2, 2, "True")).unwrap();
        assert_eq!((seen.ready, seen.objects.len()), (0, 0));
    }

    #[test]
    fn the_versions_of_one_status_are_kept() {
        let mut seen = Seen { followed: Some("a/b".to_owned()), ..Seen::default() };
        for line in
            [told("ADDED", 1, -1, "Unknown"), told("MODIFIED", 1, 1, "False"), told("MODIFIED", 1, 1, "True")]
        {
            seen.take(&line).unwrap();
            seen.take(&line).unwrap();
        }
        assert_eq!(seen.versions.len(), 2, "what the schema fills in is nobody's write");
    }
}
