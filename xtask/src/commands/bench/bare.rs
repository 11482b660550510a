//! The limit: a client that does nothing but the writes that the operator did, to the same API server, with the same rights,
//! as fast as it can; and one that does nothing but the same POSTs. Neither decides, remembers or checks anything.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use xtask::numbers::count;
use xtask::timing::Stopwatch;

use super::hands;
use super::meter::Account;
use super::report::Figures;
use super::round::Round;
use super::shape;
use super::stage::{Behaviour, Stage};
use crate::commands::http::{Client, Sent};
use crate::commands::portal;
use crate::commands::tenant::{self, set};

/// As many resources as the operator works on at once.
const WRITERS: usize = 16;
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces";

/// What the operator wrote for one profile, to be written again for another.
pub(super) struct Pattern {
    /// Writes to the resource itself: its finalizer.
    patches: usize,
    /// Each version of its status.
    statuses: Vec<Value>,
    events: Vec<Value>,
    /// Writes beside, for all profiles together: to connections, which say how many use them, and to what they hold.
    beside: usize,
    profiles: usize,
}

impl Pattern {
    /// Of the first profile, checked against what was written for all until the last was Ready. What came later (some
    /// connections have not said yet how many use them) is not in the time that is compared.
    pub(super) fn of(round: &Round<'_>, account: &Account, last_ready: Timestamp) -> Result<Self> {
        let mut sequences = BTreeMap::<Vec<String>, usize>::new();
        for writes in account.writes_by_profile().into_values() {
            *sequences.entry(writes).or_default() += 1;
        }
        let usual = sequences.into_iter().max_by_key(|(_, number)| *number).map(|(writes, _)| writes);
        let usual = usual.context("the operator has written nothing for any profile")?;
        let seen = round.stage.profiles.versions();
        let updates = usual.iter().filter(|write| *write == "update status").count();
        ensure!(!seen.is_empty(), "no version of the first profile's status was seen");
        let statuses = seen.iter().cycle().take(updates).cloned().collect();
        let (patches, events) = (usual.len() - updates, events(round, account)?);
        let others = account
            .writes()
            .filter(|entry| entry.resource != "educationsyncprofiles" && entry.resource != "events")
            .filter(|entry| entry.time <= last_ready);
        let (beside, profiles) = (others.count(), round.shape.profiles);
        Ok(Self { patches, statuses, events, beside, profiles })
    }

    fn writes(&self) -> f64 {
        let each = count(self.beside) / count(self.profiles.max(1));
        count(self.patches + self.statuses.len() + self.events.len()) + each
    }

    /// How many of the writes beside come with this profile: evenly spread, and as many in all.
    fn beside(&self, profile: usize) -> usize {
        let until = |profiles: usize| profiles * self.beside / self.profiles.max(1);
        until(profile + 1) - until(profile)
    }
}

/// The events of the first profile, as many as there are for each profile.
fn events(round: &Round<'_>, account: &Account) -> Result<Vec<Value>> {
    let namespace = shape::namespace(0);
    let client = round.stage.hands.first().context("there are no hands")?;
    let list = client.get(&format!("{EVENTS}/{namespace}/events"))?;
    let name = shape::resource(0);
    let mut own = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    own.retain(|event| event.pointer("/regarding/name").and_then(Value::as_str) == Some(&name));
    ensure!(!own.is_empty(), "the first profile has no event");
    for event in &mut own {
        set(event, "metadata", json!({"namespace": namespace}));
        set(event, "apiVersion", json!("events.k8s.io/v1"));
        set(event, "kind", json!("Event"));
    }
    let each = account.writes_to("events") / count(round.shape.profiles.max(1));
    let wanted = (1..=64).find(|number| count(*number) + 0.5 > each).unwrap_or(1);
    Ok(own.iter().cycle().take(wanted).cloned().collect())
}

pub(super) fn run(round: &mut Round<'_>) -> Result<Figures> {
    let pattern = round.pattern.take().context("nothing was created whose writes could be repeated")?;
    round.stage.stop_operator()?;
    let step =
        round.progress.step(format!("A bare client writes the same for {} profiles", round.shape.profiles));
    let seconds = write_all(round, &pattern)?;
    step.done();
    let step = round.progress.step(format!("A bare client sends {} POSTs", round.shape.profiles));
    let posting = post_all(round)?;
    step.done();
    let mut figures = Figures::from([
        ("bare.seconds", seconds),
        ("bare.writes_per_profile", pattern.writes()),
        ("bare.posts_seconds", posting),
    ]);
    if round.created_in > 0.0 && seconds > 0.0 {
        figures.insert("bare.create_seconds", round.created_in);
        figures.insert("bare.create_ratio", round.created_in / seconds);
    }
    Ok(figures)
}

/// Applies all, and writes for each what the operator wrote, as soon as it is there. How long that took.
fn write_all(round: &Round<'_>, pattern: &Pattern) -> Result<f64> {
    let shape = round.shape;
    let profiles: Vec<usize> = (0..shape.profiles).collect();
    let writers = round.stage.as_operator(WRITERS)?;
    let (sender, receiver) = mpsc::channel::<(usize, String, Value)>();
    let (receiver, sender) = (Mutex::new(receiver), Mutex::new(Some(sender)));
    let watch = Stopwatch::start();
    thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter()
            .map(|writer| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        // Nobody applies any more.
                        let Ok((profile, path, applied)) = next else { return Ok(()) };
                        write(writer, &path, applied, pattern)?;
                        write_beside(writer, shape.tenant_of(profile), profile, pattern.beside(profile))?;
                    }
                })
            })
            .collect();
        let applied = hands::each(&round.stage.hands, &profiles, |client, profile| {
            let object = shape.object(*profile, "bare", None);
            let applied = hands::apply_one(client, &object)?;
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            // When nobody takes it, somebody has failed and says why.
            let _ = sender.as_ref().map(|sender| sender.send((*profile, object.path, applied)));
            Ok(())
        });
        sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        for writer in writing {
            writer.join().ok().context("a writer has panicked")??;
        }
        applied
    })?;
    Ok(watch.elapsed().as_secs_f64())
}

/// Everything for one resource.
fn write(client: &Client, path: &str, mut now: Value, pattern: &Pattern) -> Result<()> {
    for number in 0..pattern.patches {
        // A finalizer would have to be taken off again; this is as large.
        let body = annotation(&number.to_string());
        let sent = Sent { content_type: "application/merge-patch+json", body: &body, headers: &[] };
        now = client.send("PATCH", path, sent)?.wanted()?;
    }
    for status in &pattern.statuses {
        set(&mut now, "status", status.clone());
        let body = now.to_string();
        let sent = Sent { content_type: "application/json", body: &body, headers: &[] };
        now = client.send("PUT", &format!("{path}/status"), sent)?.wanted()?;
    }
    let text = |pointer: &str| now.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    for (number, event) in pattern.events.iter().enumerate() {
        let mut event = event.clone();
        set(&mut event, "metadata", json!({"namespace": namespace, "name": format!("{name}.{number}")}));
        if let Some(regarding) = event.get_mut("regarding") {
            set(regarding, "namespace", json!(namespace));
            set(regarding, "name", json!(name));
        }
        client.post(&format!("{EVENTS}/{namespace}/events"), &event)?;
    }
    Ok(())
}

fn annotation(value: &str) -> String {
    json!({"metadata": {"annotations": {"edusync.dev/bare": value}}}).to_string()
}

/// Writes to a connection, each another one: what changes nothing is not stored, and costs less.
fn write_beside(client: &Client, tenant: usize, profile: usize, times: usize) -> Result<()> {
    let path = tenant::connection_path(&shape::namespace(tenant));
    for number in 0..times {
        let body = annotation(&format!("{profile}/{number}"));
        let sent = Sent { content_type: "application/merge-patch+json", body: &body, headers: &[] };
        client.send("PATCH", &path, sent)?.wanted()?;
    }
    Ok(())
}

/// Creates as many profiles in a simulator that has none. How long that took, without getting tokens.
fn post_all(round: &Round<'_>) -> Result<f64> {
    let shape = round.shape;
    let mut simulator = round.stage.second_simulator(&shape, Behaviour::PROMPT)?;
    let clients = Stage::clients_of(&simulator, WRITERS)?;
    let first = clients.first().context("there is no client")?;
    let tokens = (0..shape.tenants()).map(|tenant| portal::sign_in(first, &shape::tenant_id(tenant)));
    let tokens = tokens.collect::<Result<Vec<_>>>()?;
    let profiles: Vec<usize> = (0..shape.profiles).collect();
    let watch = Stopwatch::start();
    hands::each(&clients, &profiles, |client, profile| {
        let body = portal::csv_body(&format!("Bare {profile}")).to_string();
        let token = tokens.get(shape.tenant_of(*profile)).map_or("", String::as_str);
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let sent = Sent { content_type: "application/json", body: &body, headers: &headers };
        client.send("POST", portal::COLLECTION, sent)?.wanted().map(drop)
    })?;
    let seconds = watch.elapsed().as_secs_f64();
    simulator.stop()?;
    Ok(seconds)
}
