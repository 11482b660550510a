//! Events, and which of them say again what was just said.
//!
//! kube's recorder looks through all that it has published in six minutes at every event, keeps each as a whole, and
//! says the first note again when the next one differs. With ten thousand resources that is most of a burst's memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as Published, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Reporter};
use serde_json::{Value, json};

use crate::clock::Clock;

/// What was said so long ago is said by a new event, as client-go's recorder does.
const SERIES_ENDS_AFTER: SignedDuration = SignedDuration::from_mins(6);
/// Longest note that the server takes, in bytes.
const LONGEST_NOTE: usize = 1024;
/// Longest name that the server takes, in bytes.
const LONGEST_NAME: usize = 253;
/// So many events are remembered. In a burst of more, what is said again is a new event.
const MOST: usize = 1_000;

/// Publishes events of this process.
pub struct Recorder {
    client: Client,
    reporter: Reporter,
    clock: Clock,
    recent: Mutex<Recent>,
}

impl Recorder {
    /// A recorder that has published nothing. `reporter` names this process.
    #[must_use]
    pub fn new(client: Client, reporter: Reporter, clock: Clock) -> Self {
        Self { client, reporter, clock, recent: Mutex::default() }
    }

    /// Publishes an event about an object, in the namespace of the object.
    ///
    /// # Errors
    /// When Kubernetes does not take it. It is not sent again.
    pub async fn publish(&self, event: &Event, about: &ObjectReference) -> kube::Result<()> {
        let (now, wall_now) = (self.clock.now(), self.clock.wall_now());
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Published> = Api::namespaced(self.client.clone(), namespace);
        let said = Said::of(event, about);
        let before = self.recent().find(&said, now);
        if let Some(before) = before {
            let count = before.count.saturating_add(1);
            let name = name(said.name, before.named_at);
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(series(count, wall_now))).await {
                Ok(_) => {
                    self.recent().remember(&said, Series { count, last: now, ..before });
                    return Ok(());
                }
                // Somebody has removed it.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        api.create(&PostParams::default(), &self.first(&said, event, about, wall_now)).await?;
        self.recent().remember(&said, Series { named_at: wall_now, count: 1, last: now });
        Ok(())
    }

    fn first(&self, said: &Said<'_>, event: &Event, about: &ObjectReference, now: Timestamp) -> Published {
        let Reporter { controller, instance } = &self.reporter;
        Published {
            action: Some(event.action.clone()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                name: Some(name(said.name, now)),
                namespace: about.namespace.clone(),
                ..ObjectMeta::default()
            },
            note: Some(said.note.to_owned()),
            reason: Some(event.reason.clone()),
            regarding: Some(about.clone()),
            reporting_controller: Some(controller.clone()),
            reporting_instance: Some(instance.clone().unwrap_or_else(|| controller.clone())),
            type_: Some(named(event.type_).to_owned()),
            ..Published::default()
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an event: the object's, as much of it as fits, and the moment. client-go makes it in this way as well.
fn name(object: &str, now: Timestamp) -> String {
    let moment = format!("{:x}", now.as_nanosecond());
    let fits = cut(object, LONGEST_NAME.saturating_sub(moment.len() + 1));
    format!("{}.{moment}", fits.trim_end_matches(['.', '-']))
}

/// As much of a text as has so many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

fn named(kind: EventType) -> &'static str {
    match kind {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    }
}

fn series(count: i32, now: Timestamp) -> Value {
    json!({"series": EventSeries { count, last_observed_time: MicroTime(now) }})
}

/// What makes two events the same: they say the same about the same object.
#[derive(Clone, Copy, Debug, Hash)]
struct Said<'a> {
    uid: &'a str,
    name: &'a str,
    kind: &'static str,
    reason: &'a str,
    note: &'a str,
}

impl<'a> Said<'a> {
    fn of(event: &'a Event, about: &'a ObjectReference) -> Self {
        Self {
            uid: about.uid.as_deref().unwrap_or_default(),
            name: about.name.as_deref().unwrap_or_default(),
            kind: named(event.type_),
            reason: &event.reason,
            note: cut(event.note.as_deref().unwrap_or_default(), LONGEST_NOTE),
        }
    }
}

/// An event that was published, and how often it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Series {
    /// The moment in the event's name.
    named_at: Timestamp,
    count: i32,
    last: Timestamp,
}

impl Series {
    fn goes_on(&self, now: Timestamp) -> bool {
        now.duration_since(self.last) < SERIES_ENDS_AFTER
    }
}

/// What was said lately. Of the words themselves only two hashes with secret keys are kept, which together are the same
/// for no other words that anybody will meet.
#[derive(Debug, Default)]
struct Recent {
    keys: [RandomState; 2],
    series: HashMap<[u64; 2], Series>,
}

impl Recent {
    fn find(&self, said: &Said<'_>, now: Timestamp) -> Option<Series> {
        self.series.get(&self.hashes(said)).filter(|series| series.goes_on(now)).copied()
    }

    fn remember(&mut self, said: &Said<'_>, series: Series) {
        let hashes = self.hashes(said);
        if self.series.len() >= MOST && !self.series.contains_key(&hashes) {
            let now = series.last;
            self.series.retain(|_, series| series.goes_on(now));
            if self.series.len() >= MOST {
                self.series.clear();
            }
        }
        self.series.insert(hashes, series);
    }

    fn hashes(&self, said: &Said<'_>) -> [u64; 2] {
        self.keys.each_ref().map(|key| key.hash_one(said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(note: &str) -> Event {
        Event {
            type_: EventType::Normal,
            reason: "Updated".to_owned(),
            note: Some(note.to_owned()),
            action: "Update".to_owned(),
            secondary: None,
        }
    }

    fn said<'a>(uid: &'a str, note: &'a str) -> Said<'a> {
        Said { uid, name: "contoso", kind: "Normal", reason: "Updated", note }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn series(count: i32, last: Timestamp) -> Series {
        Series { named_at: at(0), count, last }
    }

    #[test]
    fn the_same_words_about_the_same_object_are_one_event_for_six_minutes() {
        let mut recent = Recent::default();
        recent.remember(&said("u", "Changed state."), series(1, at(0)));
        assert_eq!(recent.find(&said("u", "Changed state."), at(5)), Some(series(1, at(0))));
        assert_eq!(recent.find(&said("u", "Changed displayName."), at(5)), None, "other words");
        assert_eq!(recent.find(&said("v", "Changed state."), at(5)), None, "another object");
        let warning = Said { kind: "Warning", ..said("u", "Changed state.") };
        assert_eq!(recent.find(&warning, at(5)), None, "another type");
        assert_eq!(recent.find(&said("u", "Changed state."), at(6)), None, "it was long ago");
        recent.remember(&said("u", "Changed state."), series(2, at(5)));
        assert_eq!(recent.find(&said("u", "Changed state."), at(10)), Some(series(2, at(5))));
    }

    #[test]
    fn what_the_server_would_refuse_is_cut() {
        let note = "校".repeat(400);
        let about = ObjectReference::default();
        assert_eq!(Said::of(&event(&note), &about).note.len(), 1023, "no character is cut in two");
        assert_eq!(Said::of(&event("Ready."), &about).note, "Ready.");
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(name("contoso", now), "contoso.18e91efd5bd38000");
        let dotted = format!("{}.{}", "a".repeat(235), "b".repeat(17));
        assert_eq!(name(&dotted, now), format!("{}.18e91efd5bd38000", "a".repeat(235)));
    }

    #[test]
    fn no_more_is_remembered_than_a_thousand_and_old_ones_go_first() {
        let mut recent = Recent::default();
        for number in 0..MOST {
            let minute = if number == 0 { 7 } else { 0 };
            recent.remember(&said(&number.to_string(), "Ready."), series(1, at(minute)));
        }
        assert_eq!(recent.series.len(), MOST);
        recent.remember(&said("new", "Ready."), series(1, at(8)));
        assert_eq!(recent.series.len(), 2, "the others are over");
        for number in 2..MOST {
            recent.remember(&said(&number.to_string(), "Ready."), series(1, at(8)));
        }
        recent.remember(&said("new", "Ready."), series(2, at(8)));
        assert_eq!(recent.series.len(), MOST, "what is said again takes no room");
        for number in 0..5 * MOST {
            recent.remember(&said(&number.to_string(), "Ready."), series(1, at(8)));
            assert!(recent.series.len() <= MOST);
        }
    }
}
