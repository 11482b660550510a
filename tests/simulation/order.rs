//! What a run in which every order is tried has beside its world: the schedule, and all that tells one state of it from
//! another.
//!
//! A process is told apart by what it was told of each thing and in which order, as long as it has something to do;
//! when it has heard everything there is to hear, by what went wrong for it and by what it has changed. Ids that were
//! made by chance get a name for who brought them into the world, so that chance makes no difference.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use edusync::api::{EducationSyncProfile, GraphConnection};
use serde_json::Value;

use crate::schedule::{Around, Schedule, Visited};
use crate::world::World;

/// Lists are behind by no more than this where every order is tried, so older changes make no difference to them.
const LAG: i64 = 6;

/// The thing that lists are about.
pub const LISTS: &str = "lists";

/// What a run has where every order is tried.
pub struct Order {
    pub schedule: Schedule,
    names: Mutex<BTreeMap<String, String>>,
    told: Mutex<BTreeMap<String, Told>>,
    /// What changed in Graph, and when.
    changes: Mutex<Vec<(i64, String)>>,
}

/// What a process was told.
#[derive(Clone, Default, Hash)]
struct Told {
    /// What it can never forget: when it began, what went wrong, what it has changed.
    scars: u64,
    /// Of each thing, what it was told and in which order.
    things: BTreeMap<String, u64>,
    /// Calls that have not come to their end.
    calls: usize,
}

impl Order {
    pub fn new(visited: Option<Arc<Visited>>) -> Self {
        Self {
            schedule: Schedule::new(visited),
            names: Mutex::default(),
            told: Mutex::default(),
            changes: Mutex::default(),
        }
    }

    /// A process begins, or has ended.
    pub fn begin(&self, process: &str, what: &str, second: i64) {
        let told = Told { scars: hash_of(&(what, second)), ..Told::default() };
        self.told.lock().unwrap().insert(process.to_owned(), told);
    }

    /// The place of a process is taken by its successor.
    pub fn forget(&self, process: &str) {
        self.told.lock().unwrap().remove(process);
    }

    /// Something went wrong for a process, or it is changing something.
    pub fn scar(&self, process: &str, what: &str, moment: i64) {
        self.change(process, |told| told.scars = hash_of(&(told.scars, what, moment)));
    }

    /// A process calls.
    pub fn call(&self, process: &str) {
        self.change(process, |told| told.calls += 1);
    }

    /// A call has come to its end.
    pub fn end_call(&self, process: &str) {
        self.change(process, |told| told.calls = told.calls.saturating_sub(1));
    }

    /// A process was told this about that thing.
    pub fn tell(&self, process: &str, thing: &str, what: &str, moment: i64) {
        self.change(process, |told| {
            let before = told.things.entry(thing.to_owned()).or_default();
            // Of lists the newest one counts.
            let base = if thing == LISTS { 0 } else { *before };
            *before = hash_of(&(base, what, moment));
        });
    }

    fn change(&self, process: &str, change: impl FnOnce(&mut Told)) {
        self.told.lock().unwrap().get_mut(process).map(change);
    }

    /// Nothing waits: who waits for no answer either has to remember no more than the newest list.
    fn rest(&self) {
        for told in self.told.lock().unwrap().values_mut().filter(|told| told.calls == 0) {
            told.things.retain(|thing, _| thing == LISTS);
        }
    }

    /// A text in which each id of chance has its name. New ones are named for the thing that they are about.
    pub fn name_ids(&self, thing: &str, text: &str) -> String {
        let mut names = self.names.lock().unwrap();
        let count = names.values().filter(|name| name.starts_with(thing)).count();
        let mut text_so_far = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, id)) = first_id(rest) {
            text_so_far.push_str(&rest[..at]);
            let place = text_so_far.len();
            let new = || format!("{thing}#{count}.{place}");
            text_so_far.push_str(names.entry(id.to_owned()).or_insert_with(new));
            rest = &rest[at + id.len()..];
        }
        text_so_far + rest
    }

    /// Graph has changed.
    pub fn changed(&self, world: &World) {
        let profiles = self.graph(world);
        self.changes.lock().unwrap().push((world.clock.now().as_millisecond(), profiles));
    }

    fn graph(&self, world: &World) -> String {
        let mut profiles = world.simulator.profiles(world.clock.now());
        profiles.sort_by_key(|profile| profile["displayName"].to_string());
        self.name_ids("", &Value::from(profiles).to_string())
    }

    /// Everything on which the rest of a run depends, as one number.
    pub fn state(&self, world: &World) -> u64 {
        let now = world.clock.now().as_millisecond();
        let resources = world.server.list::<EducationSyncProfile>();
        let connections = world.server.list::<GraphConnection>();
        let kubernetes = serde_json::to_string(&(resources, connections, world.server.lease())).unwrap();
        let faults = world.simulator.faults(world.clock.now());
        let changes = self.changes.lock().unwrap();
        let recent: Vec<_> = changes.iter().filter(|(at, _)| now - at < LAG * 1_000).collect();
        hash_of(&(
            now,
            world.choices.left(),
            self.name_ids("", &kubernetes),
            self.graph(world),
            format!("{faults:?}"),
            recent,
            self.schedule.waiting(),
            &*self.told.lock().unwrap(),
        ))
    }
}

impl Around for World {
    fn is_open(&self) -> bool {
        self.is_troubled()
    }

    fn state(&self) -> u64 {
        self.order.as_ref().map_or(0, |order| order.state(self))
    }

    fn rest(&self) {
        self.order.iter().for_each(Order::rest);
    }
}

pub fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The first UUID of a text, and where it is.
fn first_id(text: &str) -> Option<(usize, &str)> {
    const LENGTH: usize = 36;
    let is_id = |id: &str| {
        id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let starts = 0..=text.len().checked_sub(LENGTH)?;
    starts.filter_map(|at| Some((at, text.get(at..at + LENGTH)?))).find(|(_, id)| is_id(id))
}

#[test]
fn ids_are_found_and_named_for_who_brought_them() {
    let order = Order::new(None);
    let id = "10e2c468-65e9-4746-94d7-973c5c2a449c";
    let text = format!("the profile {id}, and {id} again: ä");
    let named = order.name_ids("one", &text);
    assert_eq!(named, "the profile one#0.12, and one#0.12 again: ä");
    assert_eq!(named, order.name_ids("two", &text));
    let other = order.name_ids("one", "the profile 83f91ca7-864a-4135-b6b9-aeef0d2df7ab");
    assert_eq!(other, "the profile one#1.12");
}
