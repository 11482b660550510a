//! The profiles as they change: `kubectl get --watch`, with a line for what a person would notice. The lines of kubectl
//! itself come for every write and do not stay aligned.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context, Result};
use console::style;
use serde::Deserialize;
use serde_json::Value;
use xtask::timing::Stopwatch;

use crate::commands::screen;

/// A client program that goes when its reader does.
pub(super) struct Client(pub(super) Child);

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Shows the profiles of a namespace whenever one has changed.
pub(super) struct Watch {
    /// Ends with the watch.
    _kubectl: Client,
    events: Receiver<Event>,
    shown: BTreeMap<String, Row>,
    since: Stopwatch,
}

/// What `kubectl get --watch --output-watch-events` writes.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// The columns of `kubectl get educationsyncprofiles`, without the age.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    state: String,
    ready: String,
    reason: String,
}

impl Watch {
    /// Starts `command`, a `kubectl get --watch --output-watch-events --output=json`.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run kubectl")?;
        let stdout = child.stdout.take().context("kubectl has no standard output")?;
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            let stream = serde_json::Deserializer::from_reader(BufReader::new(stdout)).into_iter::<Event>();
            for event in stream.map_while(Result::ok) {
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Ok(Self { _kubectl: Client(child), events, shown: BTreeMap::new(), since: Stopwatch::start() })
    }

    /// Shows the head of the table. The seconds count from here.
    pub(super) fn begin(&mut self) {
        self.since = Stopwatch::start();
        let head = format!("{:>5}  {:<18} {:<13} {:<6} {}", "SEC", "NAME", "STATE", "READY", "REASON");
        screen::line("");
        screen::answer(&style(head).dim().to_string());
    }

    /// Shows what has changed since the last time.
    pub(super) fn show_news(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            let Some(name) = text(&event.object, "/metadata/name") else {
                continue;
            };
            let row = Row::of(&event);
            if self.shown.get(&name) == Some(&row) {
                continue;
            }
            let line = format!(
                "{:>5.1}  {name:<18} {:<13} {} {}",
                self.since.elapsed().as_secs_f32(),
                row.state,
                row.ready_in_colour(),
                row.reason
            );
            screen::answer(&line);
            self.shown.insert(name, row);
        }
    }
}

impl Row {
    fn of(event: &Event) -> Self {
        if event.kind == "DELETED" {
            return Self { state: "(gone)".to_owned(), ready: String::new(), reason: String::new() };
        }
        let ready = event
            .object
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .and_then(|all| all.iter().find(|one| text(one, "/type").as_deref() == Some("Ready")));
        let column = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        Self {
            state: column(text(&event.object, "/status/state")),
            ready: column(ready.and_then(|condition| text(condition, "/status"))),
            reason: column(ready.and_then(|condition| text(condition, "/reason"))),
        }
    }

    /// Padded before it is coloured: the codes of a colour count as characters.
    fn ready_in_colour(&self) -> String {
        let padded = format!("{:<6}", self.ready);
        match self.ready.as_str() {
            "True" => style(padded).green().to_string(),
            "False" => style(padded).yellow().to_string(),
            _ => padded,
        }
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(kind: &str, object: Value) -> Row {
        Row::of(&Event { kind: kind.to_owned(), object })
    }

    #[test]
    fn a_profile_nobody_has_looked_at_has_empty_columns() {
        let row = row("ADDED", json!({ "status": { "observedGeneration": -1 } }));
        assert_eq!((row.state.as_str(), row.ready.as_str(), row.reason.as_str()), ("-", "-", "-"));
    }

    #[test]
    fn the_columns_are_those_of_the_ready_condition() {
        let status = json!({
            "state": "provisioning",
            "conditions": [
                { "type": "Reconciling", "status": "True", "reason": "Creating" },
                { "type": "Ready", "status": "False", "reason": "Provisioning" },
            ],
        });
        let row = row("MODIFIED", json!({ "status": status }));
        assert_eq!(
            (row.state.as_str(), row.ready.as_str(), row.reason.as_str()),
            ("provisioning", "False", "Provisioning")
        );
    }
}
