//! What people want, and how things stand: wishes are delivered to Kubernetes until they are taken, and both servers are
//! looked at. What is wished for is `churn`'s, and whether all is as it must be is `rules`'.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::manifests::{self, Object, profiles_path};
use super::stage::{Stage, TENANTS};
use crate::commands::http::{Answer, Sent};

const FIELD_MANAGER: &str = "fieldManager=soak&force=true";

/// Both sides, as they are wished for and as they were seen last.
#[derive(Default)]
pub(super) struct World {
    /// One for each resource that may be there.
    pub(super) slots: Vec<Slot>,
    /// Other objects that are not delivered yet, by path.
    pub(super) pending: BTreeMap<String, Value>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) profiles: Vec<Profile>,
}

/// A place for a resource, which is created, deleted and created again.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) number: usize,
    pub(super) tenant: usize,
    pub(super) name: String,
    /// Counts how often the place was filled; part of the display name, so that no two lives are confused.
    pub(super) life: u32,
    /// Counts names within a life.
    pub(super) revision: u32,
    /// The spec that is wished for; `None`: no resource.
    pub(super) wish: Option<Value>,
    pub(super) requested_at: Option<u64>,
    /// Whether Kubernetes has not taken the wish yet, as far as anybody knows.
    pub(super) is_due: bool,
    pub(super) standing: Standing,
    /// Of the resource when Kubernetes took the wish.
    pub(super) generation: Option<i64>,
    /// The id of a profile that somebody has deleted in the portal, until the resource has another one.
    pub(super) bereft_of: Option<String>,
    /// Names of profiles that stayed when their resource went.
    pub(super) retained: Vec<String>,
}

/// What Kubernetes has of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Gone,
    There,
    Going,
}

/// A resource as Kubernetes shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Resource {
    pub(super) generation: Option<i64>,
    pub(super) observed: Option<i64>,
    pub(super) spec: Value,
    pub(super) bound: Option<String>,
    /// Type to status, reason, message.
    pub(super) conditions: BTreeMap<String, [String; 3]>,
}

/// A profile as Graph has it.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) state: String,
}

impl Resource {
    /// Ready, said of the newest manifest, with nothing under way.
    pub(super) fn is_at_rest(&self) -> bool {
        let is_ready = self.conditions.get("Ready").is_some_and(|ready| ready[0] == "True");
        let busy = ["Reconciling", "Stalled", "Drifted", "DuplicateProfile"];
        is_ready
            && self.observed == self.generation
            && !busy.iter().any(|kind| self.conditions.contains_key(*kind))
    }
}

impl Slot {
    fn new(number: usize) -> Self {
        Self {
            number,
            tenant: number % TENANTS.len(),
            name: format!("profile-{number:03}"),
            life: 0,
            revision: 0,
            wish: None,
            requested_at: None,
            is_due: false,
            standing: Standing::Gone,
            generation: None,
            bereft_of: None,
            retained: Vec::new(),
        }
    }

    /// The name that a profile has in Graph; `rules` reads it.
    pub(super) fn display_name(&self) -> String {
        format!("School {} life {} name {}", self.number, self.life, self.revision)
    }

    /// A first wish for a new life.
    pub(super) fn begin(&mut self) {
        self.life += 1;
        self.revision = 0;
        self.wish = Some(manifests::spec(self.number, &self.display_name()));
        self.requested_at = None;
        self.is_due = true;
    }

    /// Another wish for the spec.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Value)) {
        if let Some(spec) = &mut self.wish {
            change(spec);
            self.is_due = true;
        }
    }
}

impl World {
    /// With so many places, all empty.
    pub(super) fn new(places: usize) -> Self {
        Self { slots: (0..places).map(Slot::new).collect(), ..Self::default() }
    }

    /// Wishes for another object.
    pub(super) fn wish(&mut self, object: Object) {
        self.pending.insert(object.path, object.manifest);
    }

    /// Whether Kubernetes has taken all that was wished for.
    pub(super) fn is_delivered(&self) -> bool {
        self.pending.is_empty() && self.slots.iter().all(|slot| !slot.is_due)
    }

    /// Tries once to have Kubernetes take what is due. What it does not take now, since it is away, is tried again.
    ///
    /// # Errors
    ///
    /// When Kubernetes refuses a manifest: a soak writes none that may be refused.
    pub(super) fn deliver(&mut self, stage: &Stage) -> Result<()> {
        for (path, manifest) in std::mem::take(&mut self.pending) {
            if apply(stage, &path, &manifest)?.is_none() {
                self.pending.insert(path, manifest);
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.is_due) {
            let path = format!("{}/{}", profiles_path(slot.tenant), slot.name);
            if let Some(spec) = &slot.wish {
                let manifest = manifests::profile(slot.tenant, &slot.name, slot.requested_at, spec);
                let Some(answer) = apply(stage, &path, &manifest)? else { return Ok(()) };
                slot.standing = Standing::There;
                slot.generation = answer.body.pointer("/metadata/generation").and_then(Value::as_i64);
            } else {
                match stage.kubernetes.send("DELETE", &path, Sent::default()) {
                    Ok(answer) if answer.status == 404 => slot.standing = Standing::Gone,
                    Ok(answer) if answer.is_success() => slot.standing = Standing::Going,
                    _ => return Ok(()),
                }
            }
            slot.is_due = false;
        }
        Ok(())
    }

    /// Looks at both servers. False when Kubernetes is away.
    pub(super) fn look(&mut self, stage: &Stage) -> Result<bool> {
        let profiles = stage.graph.get("/_simulator/profiles").context("the simulator does not answer")?;
        self.profiles = profiles.as_array().into_iter().flatten().filter_map(Profile::read).collect();
        let Ok(list) = stage.kubernetes.get("/apis/edusync.dev/v1alpha1/educationsyncprofiles") else {
            return Ok(false);
        };
        let items = list.get("items").and_then(Value::as_array);
        self.resources = items.into_iter().flatten().filter_map(Resource::read).collect();
        for slot in &mut self.slots {
            let seen = self.resources.get(&slot.name);
            if slot.standing == Standing::Going && seen.is_none() {
                slot.standing = Standing::Gone;
            }
            let bound = seen.and_then(|resource| resource.bound.as_ref());
            // Nobody has deleted it after all.
            let lives = |profile: &Profile| {
                Some(&profile.id) == slot.bereft_of.as_ref() && profile.state != "deleting"
            };
            if seen.is_none()
                || self.profiles.iter().any(lives)
                || (bound.is_some() && bound != slot.bereft_of.as_ref())
            {
                slot.bereft_of = None;
            }
        }
        Ok(true)
    }
}

/// `None`: it was not taken, and may be tried again.
fn apply(stage: &Stage, path: &str, manifest: &Value) -> Result<Option<Answer>> {
    let body = manifest.to_string();
    let sent = Sent { content_type: "application/apply-patch+yaml", body: &body, headers: &[] };
    let Ok(answer) = stage.kubernetes.send("PATCH", &format!("{path}?{FIELD_MANAGER}"), sent) else {
        return Ok(None);
    };
    match answer.status {
        200..300 => Ok(Some(answer)),
        400 | 404 | 422 => bail!("Kubernetes refuses the manifest at {path}: {}", answer.body),
        _ => Ok(None),
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

impl Profile {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "/id")?,
            name: text(value, "/displayName")?,
            state: text(value, "/state")?,
        })
    }
}

impl Resource {
    fn read(value: &Value) -> Option<(String, Self)> {
        let conditions = value.pointer("/status/conditions").and_then(Value::as_array);
        let conditions = conditions.into_iter().flatten().filter_map(|condition| {
            let part = |name| text(condition, name).unwrap_or_default();
            Some((text(condition, "/type")?, [part("/status"), part("/reason"), part("/message")]))
        });
        let resource = Self {
            generation: value.pointer("/metadata/generation").and_then(Value::as_i64),
            observed: value.pointer("/status/observedGeneration").and_then(Value::as_i64),
            spec: value.get("spec").cloned().unwrap_or_default(),
            bound: text(value, "/status/binding/profileId"),
            conditions: conditions.collect(),
        };
        Some((text(value, "/metadata/name")?, resource))
    }
}
