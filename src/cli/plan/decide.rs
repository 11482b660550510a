//! What would become of a wish in a tenant. Pure: it foretells what the operator's decisions would be.
//!
//! The comparison is the operator's own (`graph::difference`); values are looked up by its paths, and no
//! secret is in what is compared.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::read::Wish;
use crate::api::EducationSyncProfile;
use crate::api::lifecycle::DeletionPolicy;
use crate::cli::claims::{Resources, trusted};
use crate::graph::RemoteProfile;
use crate::graph::difference::differences;
use crate::graph::name::NameKey;
use crate::graph::wire::applied_fields;
use crate::reconcile::claims::Tenant;

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
    /// Where it is.
    pub tenant: &'a Tenant,
    /// All its profiles, by id.
    pub profiles: &'a BTreeMap<String, RemoteProfile>,
    /// The resources of the cluster.
    pub resources: &'a Resources,
}

/// Which profile a wish is about.
enum Subject<'a> {
    /// This one, which is its own already.
    Own(&'a RemoteProfile),
    /// This one, which it would take over.
    Taken(&'a RemoteProfile),
    /// None yet.
    None,
    /// Nobody can tell, or it may not be had.
    Blocked(String),
}

/// What would become of a wish.
#[must_use]
pub fn decide(wish: &Wish, namespace: &str, known: &Known<'_>) -> Planned {
    let namespace = wish.namespace.as_deref().unwrap_or(namespace);
    let live = wish.name.as_deref().and_then(|name| known.resources.find(namespace, name));
    let mut planned = undecided(wish, namespace);
    let (profile, is_taken) = match subject(wish, live, known) {
        Subject::Own(profile) => (profile, false),
        Subject::Taken(profile) => (profile, true),
        Subject::None => {
            planned.action = Action::Create;
            planned.fields = created(&wish.wanted);
            return observed(wish, planned);
        }
        Subject::Blocked(message) => return blocked(wish, namespace, message),
    };
    planned.profile_id = Some(profile.id.clone());
    planned.fields = changed(wish, live, profile);
    planned.action = match (planned.fields.is_empty(), is_taken) {
        (false, _) => Action::Change,
        (true, true) => Action::Adopt,
        (true, false) => Action::Nothing,
    };
    if is_taken {
        planned.message = Some("the profile would be taken over".to_owned());
    }
    observed(wish, planned)
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

/// With managementPolicy Observe nothing is done, but it is worth knowing what would be.
fn observed(wish: &Wish, mut planned: Planned) -> Planned {
    let only_looks = wish.resource.as_ref().is_some_and(|resource| resource.spec.is_observed_only());
    if only_looks && planned.action != Action::Nothing {
        planned.action = Action::Nothing;
        planned.message = Some("managementPolicy is Observe: this would be done under Manage".to_owned());
    }
    planned
}

fn subject<'a>(wish: &Wish, live: Option<&EducationSyncProfile>, known: &'a Known<'_>) -> Subject<'a> {
    if let Some(binding) = live.and_then(trusted) {
        let here = binding.endpoint == known.tenant.endpoint
            && binding.tenant_id.eq_ignore_ascii_case(&known.tenant.tenant_id);
        if !here {
            return Subject::Blocked(format!(
                "its profile {} is in the tenant {} at {}, where its connection does not lead",
                binding.profile_id, binding.tenant_id, binding.endpoint
            ));
        }
        return match known.profiles.get(&binding.profile_id) {
            Some(profile) => Subject::Own(profile),
            None => {
                Subject::Blocked(format!("its profile {} is not in the tenant any more", binding.profile_id))
            }
        };
    }
    let adopt = wish.resource.as_ref().and_then(|resource| resource.spec.adopt.as_ref());
    let is_live =
        |owner: &EducationSyncProfile| live.is_some_and(|live| live.metadata.uid == owner.metadata.uid);
    let owned = |profile: &RemoteProfile| {
        let owner = known.resources.owner(known.tenant, profile).filter(|owner| !is_live(owner))?;
        let meta = &owner.metadata;
        Some(format!(
            "the profile {} belongs to {}/{}",
            profile.id,
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default()
        ))
    };
    if let Some(id) = adopt.and_then(|adopt| adopt.profile_id.as_ref()) {
        return match known.profiles.get(id) {
            Some(profile) => owned(profile).map_or(Subject::Taken(profile), Subject::Blocked),
            None => Subject::Blocked(format!("the tenant has no profile {id} to take over")),
        };
    }
    let name = NameKey::of(&wish.display_name);
    let namesakes: Vec<&RemoteProfile> =
        known.profiles.values().filter(|profile| profile.name == name).collect();
    let by_name = adopt.is_some_and(|adopt| adopt.by_display_name == Some(true));
    match namesakes.as_slice() {
        [] if by_name => Subject::Blocked("the tenant has no profile of this name to take over".to_owned()),
        [] => Subject::None,
        // A body is compared with what has its name, whoever has that: who asks wants to know the difference.
        [profile] if wish.resource.is_none() => Subject::Own(profile),
        [profile] => match owned(profile) {
            Some(message) => Subject::Blocked(message),
            None if by_name => Subject::Taken(profile),
            None => Subject::Blocked(format!(
                "the tenant has a profile of this name that belongs to no resource: take it over with adopt: {{profileId: {}}}, or choose another name",
                profile.id
            )),
        },
        several => {
            let ids: Vec<&str> = several.iter().map(|profile| profile.id.as_str()).collect();
            Subject::Blocked(format!("the tenant has several profiles of this name: {}", ids.join(", ")))
        }
    }
}

/// Every field that would be set.
fn created(wanted: &Value) -> Vec<Field> {
    let paths = applied_fields(wanted);
    paths.into_iter().map(|path| Field { old: Value::Null, new: at(wanted, &path), path }).collect()
}

/// Every field that would be changed, or cleared, since the manifest had it and has it no more.
fn changed(wish: &Wish, live: Option<&EducationSyncProfile>, profile: &RemoteProfile) -> Vec<Field> {
    let actual: Value = serde_json::from_str(&profile.configuration).unwrap_or_default();
    let mut fields: Vec<Field> = differences(&wish.wanted, &actual)
        .into_iter()
        .map(|path| Field { old: at(&actual, &path), new: at(&wish.wanted, &path), path })
        .collect();
    let applied = live.and_then(|live| live.status.as_ref()).map_or(&[][..], |status| &status.applied_fields);
    let still = applied_fields(&wish.wanted);
    for path in applied.iter().filter(|path| !still.contains(path)) {
        let old = at(&actual, path);
        if !old.is_null() {
            fields.push(Field { path: path.clone(), old, new: Value::Null });
        }
    }
    fields
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
    let stays = resource.spec.deletion_policy() == DeletionPolicy::Retain || resource.spec.is_observed_only();
    let (action, message) = match (binding, stays) {
        (None, _) => (Action::Nothing, "the resource would go; it has no profile"),
        (Some(_), true) => (Action::Leave, "the resource would go, and its profile stay in Microsoft Graph"),
        (Some(_), false) => (Action::Delete, "the resource would go, and its profile with it"),
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
