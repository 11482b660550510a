//! What people do all the time: which wish comes next is drawn from a seed. Nothing is delivered or judged here.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::draw::weighted;
use super::manifests::{self, Object, set};
use super::rules::Deletions;
use super::stage::{Stage, TENANTS};
use super::world::{Slot, Standing, World};
use crate::commands::portal::{self, Portal};

/// How long a Secret stays wrong.
const WRONG_FOR: Duration = Duration::from_secs(20);
/// More profiles of nobody than this are not made.
const MOST_FOREIGN: u64 = 9;
/// Share of the places that are filled while people are busy, in percent.
const FILLED: usize = 80;

/// People at work.
pub(super) struct Churn {
    rng: Rng,
    portal: Portal,
    graph_url: String,
    /// Objects that are mended later.
    later: Vec<(Duration, Object)>,
    foreign: u64,
    /// What was done how often.
    pub(super) done: BTreeMap<&'static str, u64>,
}

/// What may be done, and how often in comparison.
const WORK: [(u32, (&str, Work)); 10] = [
    (20, ("resources deleted", Churn::delete)),
    (24, ("specs changed", Churn::edit)),
    (14, ("profiles renamed", Churn::rename)),
    (10, ("synchronizations paused or resumed", Churn::pause)),
    (10, ("looks requested (requestedAt)", Churn::request)),
    (6, ("resets triggered", Churn::reset)),
    (8, ("profiles changed in the portal", Churn::edit_in_portal)),
    (4, ("profiles deleted in the portal", Churn::delete_in_portal)),
    (2, ("profiles made in the portal", Churn::make_in_portal)),
    (2, ("Secrets and connections changed", Churn::change_secret)),
];

const CREATED: &str = "resources created";

type Work = fn(&mut Churn, &mut Hands<'_>) -> Option<()>;

/// What people have before them.
pub(super) struct Hands<'a> {
    pub(super) world: &'a mut World,
    pub(super) stage: &'a Stage,
    pub(super) deletions: &'a mut Deletions,
    /// Since the start.
    pub(super) now: Duration,
}

impl Churn {
    pub(super) fn new(seed: u64, graph_url: &str) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            portal: Portal::default(),
            graph_url: graph_url.to_owned(),
            later: Vec::new(),
            foreign: 0,
            done: BTreeMap::new(),
        }
    }

    /// Does one thing. What cannot be done just now is left.
    pub(super) fn step(&mut self, hands: &mut Hands<'_>) {
        self.mend(hands);
        let filled = hands.world.slots.iter().filter(|slot| slot.wish.is_some()).count();
        let wants_more = filled * 100 < hands.world.slots.len() * FILLED;
        if wants_more && self.rng.u32(..2) == 0 {
            self.perform(hands, CREATED, Self::create);
        } else if let Some((name, work)) = weighted(&mut self.rng, &WORK) {
            self.perform(hands, name, work);
        }
    }

    /// Does it if it can be done, and counts it.
    fn perform(&mut self, hands: &mut Hands<'_>, name: &'static str, work: Work) -> bool {
        let is_done = work(self, hands).is_some();
        if is_done {
            *self.done.entry(name).or_default() += 1;
        }
        is_done
    }

    /// Fills every place, and mends every Secret: how it is before a rest.
    pub(super) fn level(&mut self, hands: &mut Hands<'_>) {
        hands.now = Duration::MAX;
        self.mend(hands);
        while self.perform(hands, CREATED, Self::create) {}
    }

    fn mend(&mut self, hands: &mut Hands<'_>) {
        let later = std::mem::take(&mut self.later);
        let (due, later): (Vec<_>, Vec<_>) = later.into_iter().partition(|(at, _)| *at <= hands.now);
        self.later = later;
        for (_, object) in due {
            hands.world.wish(object);
        }
    }

    /// One of the slots for which this holds.
    fn pick<'a>(&mut self, slots: &'a mut [Slot], holds: impl Fn(&Slot) -> bool) -> Option<&'a mut Slot> {
        let fitting: Vec<usize> =
            slots.iter().enumerate().filter(|(_, slot)| holds(slot)).map(|(place, _)| place).collect();
        let place = *self.rng.choice(&fitting)?;
        slots.get_mut(place)
    }

    fn pick_settled<'a>(&mut self, slots: &'a mut [Slot]) -> Option<&'a mut Slot> {
        self.pick(slots, |slot| slot.wish.is_some() && !slot.is_due)
    }

    fn create(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let World { slots, profiles, .. } = &mut *hands.world;
        let slot =
            self.pick(slots, |slot| slot.wish.is_none() && !slot.is_due && slot.standing == Standing::Gone)?;
        let waits = |name: &String| {
            profiles.iter().any(|profile| profile.name == *name && profile.state == "provisioned")
        };
        if let Some(place) = slot.retained.iter().position(waits) {
            // What stayed is taken over by the next one.
            let mut spec = manifests::spec(slot.number, &slot.retained.swap_remove(place));
            set(&mut spec, "adopt", json!({"byDisplayName": true}));
            slot.wish = Some(spec);
            slot.is_due = true;
        } else {
            slot.begin();
        }
        Some(())
    }

    fn delete(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let World { slots, resources, .. } = &mut *hands.world;
        let slot = self.pick_settled(slots)?;
        let spec = slot.wish.as_ref()?;
        let name = spec.get("displayName")?.as_str()?.to_owned();
        if spec.get("deletionPolicy").and_then(Value::as_str) == Some("Retain") {
            // Only when it is known which profile stays.
            let seen = resources.get(&slot.name)?;
            let is_known =
                slot.bereft_of.is_none() && seen.is_at_rest() && seen.generation == slot.generation;
            if !is_known {
                return None;
            }
            slot.retained.push(name);
        } else {
            hands.deletions.asked(&name);
        }
        slot.wish = None;
        slot.is_due = true;
        Some(())
    }

    fn edit(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let which = self.rng.u32(..3);
        let number = self.rng.u32(1..28);
        let slot = self.pick_settled(&mut hands.world.slots)?;
        slot.change(|spec| match which {
            0 => set(spec, "expirationDate", json!(format!("2027-02-{number:02}"))),
            1 => {
                let now = spec.get("handleSpecialCharacterConstraint") == Some(&json!(true));
                set(spec, "handleSpecialCharacterConstraint", if now { Value::Null } else { json!(true) });
            }
            _ => {
                let domains = json!({"creation": {"userDomains": [
                    {"appliesTo": "student", "name": format!("students{number}.school.example")},
                ]}});
                set(spec, "identitySynchronizationConfiguration", domains);
            }
        });
        Some(())
    }

    fn rename(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let slot = self.pick(&mut hands.world.slots, |slot| {
            let is_adopting = slot.wish.as_ref().is_some_and(|spec| spec.get("adopt").is_some());
            slot.wish.is_some() && !slot.is_due && !is_adopting
        })?;
        slot.revision += 1;
        let name = slot.display_name();
        slot.change(|spec| set(spec, "displayName", json!(name)));
        Some(())
    }

    fn pause(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let slot = self.pick_settled(&mut hands.world.slots)?;
        slot.change(|spec| {
            let is_paused = spec.get("synchronization") == Some(&json!("Paused"));
            set(spec, "synchronization", json!(if is_paused { "Running" } else { "Paused" }));
        });
        Some(())
    }

    fn request(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let slot = self.pick_settled(&mut hands.world.slots)?;
        slot.requested_at = Some(slot.requested_at.unwrap_or_default() + 1);
        slot.is_due = true;
        Some(())
    }

    fn reset(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let value = self.rng.u32(..).to_string();
        let slot = self.pick_settled(&mut hands.world.slots)?;
        slot.change(|spec| set(spec, "triggers", json!({"reset": value})));
        Some(())
    }

    /// Which profile a slot has, if it is known: the place, the tenant, the id.
    fn known_profile(&mut self, world: &mut World) -> Option<(usize, usize, String)> {
        let World { slots, resources, .. } = world;
        let slot = self.pick_settled(slots)?;
        Some((slot.number, slot.tenant, resources.get(&slot.name)?.bound.clone()?))
    }

    fn edit_in_portal(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let (_, tenant, id) = self.known_profile(hands.world)?;
        let number = self.rng.u32(1..28);
        let body = json!({"expirationDate": format!("2027-03-{number:02}")});
        self.portal.edit(&hands.stage.graph, TENANTS.get(tenant)?, &id, &body).then_some(())
    }

    /// One at a time in each tenant: edusync takes two that are missing at once for a fault of the service, and waits for
    /// a person (`UpstreamEmpty`).
    fn delete_in_portal(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let (place, tenant, id) = self.known_profile(hands.world)?;
        if hands.world.slots.iter().any(|slot| slot.tenant == tenant && slot.bereft_of.is_some()) {
            return None;
        }
        let slot = hands.world.slots.get_mut(place)?;
        // Who asks to take a profile over gets no other one.
        if slot.wish.as_ref()?.get("adopt").is_some() {
            return None;
        }
        // Said before: the answer may be lost.
        slot.bereft_of = Some(id.clone());
        self.portal.delete(&hands.stage.graph, TENANTS.get(tenant)?, &id).then_some(())
    }

    fn make_in_portal(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        if self.foreign >= MOST_FOREIGN {
            return None;
        }
        self.foreign += 1;
        let tenant = TENANTS.get(self.rng.usize(..TENANTS.len()))?;
        self.portal
            .create(&hands.stage.graph, tenant, &portal::csv_body(&format!("Portal {}", self.foreign)))
            .then_some(())
    }

    /// A wrong client secret for a while, or another one for the sources.
    fn change_secret(&mut self, hands: &mut Hands<'_>) -> Option<()> {
        let tenant = self.rng.usize(..TENANTS.len());
        if self.rng.bool() {
            // One mistake at a time.
            if !self.later.is_empty() {
                return None;
            }
            // With the connection, since a change of that is noticed at once.
            hands.world.wish(manifests::credentials(tenant, "wrong"));
            hands.world.wish(manifests::connection(tenant, &self.graph_url, "7s"));
            let at = hands.now + WRONG_FOR;
            self.later.push((at, manifests::credentials(tenant, manifests::CLIENT_SECRET)));
            self.later.push((at, manifests::connection(tenant, &self.graph_url, "5s")));
            return Some(());
        }
        let value = self.rng.u32(..).to_string();
        hands.world.wish(manifests::source_secret(tenant, &value));
        for slot in hands.world.slots.iter_mut().filter(|slot| slot.tenant == tenant && slot.wish.is_some()) {
            slot.requested_at = Some(slot.requested_at.unwrap_or_default() + 1);
            slot.is_due = true;
        }
        Some(())
    }
}
