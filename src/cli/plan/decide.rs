//! What would become of a wish in a tenant, in words. Pure.
//!
//! The decisions are the operator's own (`reconcile::foresee`); values are looked up by the paths that it names,
//! and no secret is in what is compared.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::Value;

use super::read::Wish;
use crate::api::conditions::Reason;
use crate::api::{EducationSyncProfile, FINALIZER};
use crate::cli::claims::{Resources, trusted};
use crate::graph::RemoteProfile;
use crate::graph::difference::differences;
use crate::graph::name::NameKey;
use crate::graph::wire::applied_fields;
use crate::poller::Snapshot;
use crate::reconcile::decide::{Action as Step, Farewell, Standing, Trigger};
use crate::reconcile::foresee::{World, foresee};
use crate::reconcile::observation::{ConnectionFacts, is_to_be_deleted};

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Action {
    /// A profile would be created.
    Create,
    /// A profile would be changed.
    Change,
    /// A profile would be taken over as it is.
    Adopt,
    /// A profile would be deleted.
    Delete,
    /// Nothing but its synchronization would be changed.
    Run,
    /// A profile would stay in Graph without a resource.
    Leave,
    /// Nothing would be done, since something is in the way.
    Blocked,
    /// Nothing would be done.
    Nothing,
}

/// One field that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Where.
    pub path: String,
    /// What is there.
    pub old: Value,
    /// What would be there.
    pub new: Value,
}

/// What would become of one wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// What would be done.
    pub action: Action,
    /// Of whom: namespace/name of the resource, or nothing for a body for Graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Name of the profile.
    pub display_name: String,
    /// Id of the profile, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<String>,
    /// What would change.
    pub fields: Vec<Field>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What is known of one tenant.
pub struct Known<'a> {
    /// The way to it.
    pub connection: &'a ConnectionFacts,
    /// Is the connection being deleted?
    pub connection_is_going: bool,
    /// All its profiles.
    pub snapshot: &'a Snapshot,
    /// The resources of the cluster, and those that the files had before.
    pub resources: &'a Resources,
}

/// The resource that a wish would become in this namespace. None: it is a body for Graph.
#[must_use]
pub fn applied(
    wish: &Wish,
    namespace: &str,
    resources: &Resources,
    now: Timestamp,
) -> Option<EducationSyncProfile> {
    let mut resource = (**wish.resource.as_ref()?).clone();
    let name = wish.name.as_deref().unwrap_or_default();
    let meta = &mut resource.metadata;
    meta.namespace = Some(namespace.to_owned());
    let Some(live) = resources.find(namespace, name) else {
        meta.uid = Some(format!("{namespace}/{name}"));
        meta.generation = Some(1);
        meta.creation_timestamp = Some(Time(now));
        resource.status = None;
        return Some(resource);
    };
    let annotations = meta.annotations.take();
    *meta = live.metadata.clone();
    meta.annotations.get_or_insert_default().extend(annotations.unwrap_or_default());
    if resource.spec != live.spec {
        meta.generation = meta.generation.map(|generation| generation + 1);
    }
    resource.status.clone_from(&live.status);
    Some(resource)
}

/// What would become of a wish.
#[must_use]
pub fn decide(wish: &Wish, namespace: &str, known: &Known<'_>) -> Planned {
    let now = known.snapshot.ended;
    let mut planned = undecided(wish, namespace);
    let Some(mut resource) = applied(wish, namespace, known.resources, now) else {
        return compared(wish, known, planned);
    };
    planned.profile_id = trusted(&resource).map(|binding| binding.profile_id.clone());
    let is_observed = resource.spec.is_observed_only();
    resource.spec.management_policy = None;
    let world = World {
        connection: known.connection.clone(),
        connection_is_going: known.connection_is_going,
        snapshot: known.snapshot.clone(),
        others: known.resources.all().to_vec(),
    };
    let foresight = foresee(resource, world, now);
    let mut said = Vec::new();
    for (step, profile) in foresight.steps {
        tell(wish, step, profile, &mut planned, &mut said);
    }
    match foresight.standing {
        // How the profile does is no matter of a plan.
        Standing::Silent
        | Standing::Ready(..)
        | Standing::Waiting(Reason::Provisioning, _)
        | Standing::Stalled(Reason::ProvisioningFailed | Reason::DeletionFailed, _) => {}
        Standing::Waiting(_, message) | Standing::Stalled(_, message) => {
            planned.action = Action::Blocked;
            said.push(message);
        }
    }
    if let Some(fields) = foresight.not_accepted {
        planned.action = Action::Blocked;
        said.push(format!(
            "Microsoft Graph has accepted these fields twice and not changed them: {}",
            fields.join(", ")
        ));
    }
    planned.message = Some(said.join("; ")).filter(|said| !said.is_empty());
    if is_observed && planned.action != Action::Nothing {
        planned.action = Action::Nothing;
        planned.message = Some("managementPolicy is Observe: this would be done under Manage".to_owned());
    }
    planned
}

/// Nothing would become of a wish, and why.
#[must_use]
pub fn blocked(wish: &Wish, namespace: &str, message: String) -> Planned {
    Planned { action: Action::Blocked, message: Some(message), ..undecided(wish, namespace) }
}

fn undecided(wish: &Wish, namespace: &str) -> Planned {
    Planned {
        action: Action::Nothing,
        resource: wish.name.as_ref().map(|name| format!("{namespace}/{name}")),
        display_name: wish.display_name.clone(),
        profile_id: None,
        fields: Vec::new(),
        message: None,
    }
}

/// Adds one step of the operator to the plan.
fn tell(
    wish: &Wish,
    step: Step,
    profile: Option<RemoteProfile>,
    planned: &mut Planned,
    said: &mut Vec<String>,
) {
    if let Some(profile) = &profile {
        planned.profile_id = Some(profile.id.clone());
    }
    match step {
        Step::Create => {
            planned.action = Action::Create;
            planned.profile_id = None;
            planned.fields = created(&wish.wanted);
        }
        Step::Adopt { .. } | Step::Bind { .. } => {
            planned.action = Action::Adopt;
            said.push("the profile would be taken over".to_owned());
        }
        Step::Update { fields, cleared } => {
            planned.action = Action::Change;
            let configuration = profile.map(|profile| profile.configuration).unwrap_or_default();
            let actual: Value = serde_json::from_str(&configuration).unwrap_or_default();
            if fields.is_empty() && cleared.is_empty() {
                said.push("the profile would be sent again as it is".to_owned());
            }
            planned.fields = fields
                .into_iter()
                .map(|path| Field { old: at(&actual, &path), new: at(&wish.wanted, &path), path })
                .chain(cleared.into_iter().map(|path| Field {
                    old: at(&actual, &path),
                    new: Value::Null,
                    path,
                }))
                .collect();
        }
        Step::Forget => said.push(format!(
            "its profile {} is not in the tenant any more",
            planned.profile_id.take().unwrap_or_default()
        )),
        Step::Pause { .. } => run(planned, said, "paused"),
        Step::Resume { is_paused: true, .. } => run(planned, said, "resumed"),
        Step::Trigger { trigger: Trigger::Reset, .. } => run(planned, said, "started over"),
        Step::Trigger { trigger: Trigger::Start, .. } => {
            run(planned, said, "started with the uploaded files");
        }
        Step::Delete { .. } | Step::Probe { .. } => {
            planned.action = Action::Delete;
            said.push("the resource is being deleted, and the profile with it".to_owned());
        }
        Step::LetGo(Farewell::Retained | Farewell::NotOurs) => {
            planned.action = Action::Leave;
            said.push("the resource is being deleted; the profile stays".to_owned());
        }
        _ => {}
    }
}

fn run(planned: &mut Planned, said: &mut Vec<String>, what: &str) {
    if planned.action == Action::Nothing {
        planned.action = Action::Run;
    }
    said.push(format!("the synchronization would be {what}"));
}

/// A body is compared with what has its name, whoever has that: who asks wants to know the difference.
fn compared(wish: &Wish, known: &Known<'_>, mut planned: Planned) -> Planned {
    let name = NameKey::of(&wish.display_name);
    let namesakes: Vec<&RemoteProfile> = known.snapshot.named(&name).collect();
    match namesakes.as_slice() {
        [] => {
            planned.action = Action::Create;
            planned.fields = created(&wish.wanted);
        }
        [profile] => {
            let actual: Value = serde_json::from_str(&profile.configuration).unwrap_or_default();
            let fields = differences(&wish.wanted, &actual).into_iter();
            planned.profile_id = Some(profile.id.clone());
            planned.fields = fields
                .map(|path| Field { old: at(&actual, &path), new: at(&wish.wanted, &path), path })
                .collect();
            planned.action = if planned.fields.is_empty() { Action::Nothing } else { Action::Change };
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|profile| profile.id.as_str()).collect();
            planned.action = Action::Blocked;
            planned.message =
                Some(format!("the tenant has several profiles of this name: {}", ids.join(", ")));
        }
    }
    planned
}

/// Every field that would be set.
fn created(wanted: &Value) -> Vec<Field> {
    let paths = applied_fields(wanted);
    paths.into_iter().map(|path| Field { old: Value::Null, new: at(wanted, &path), path }).collect()
}

/// The value at a path such as `dataProvider.customizations.student`. Names have no dots, but for the type's.
fn at(value: &Value, path: &str) -> Value {
    let (path, is_type) = match path.strip_suffix("@odata.type") {
        Some(rest) => (rest.trim_end_matches('.'), true),
        None => (path, false),
    };
    let mut names = path.split('.').filter(|name| !name.is_empty());
    let found = names.try_fold(value, |value, name| value.get(name));
    let found = if is_type { found.and_then(|value| value.get("@odata.type")) } else { found };
    found.cloned().unwrap_or_default()
}

/// What would become of the profile of a resource that the files do not have any more.
#[must_use]
pub fn pruned(resource: &EducationSyncProfile) -> Planned {
    let meta = &resource.metadata;
    let binding = trusted(resource);
    let mut deleted = resource.clone();
    // The operator puts it there before anything is in Graph.
    deleted.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
    deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let (action, message) = match (binding, is_to_be_deleted(&deleted)) {
        (None, _) => (Action::Nothing, "the resource would go; it has no profile"),
        (Some(_), false) => (Action::Leave, "the resource would go, and its profile stay in Microsoft Graph"),
        (Some(_), true) => (Action::Delete, "the resource would go, and its profile with it"),
    };
    Planned {
        action,
        resource: Some(format!(
            "{}/{}",
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        )),
        display_name: resource.spec.display_name.clone(),
        profile_id: binding.map(|binding| binding.profile_id.clone()),
        fields: Vec::new(),
        message: Some(message.to_owned()),
    }
}

#[cfg(test)]
mod tests;
