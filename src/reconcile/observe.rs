//! Gathers one [`Observation`]. The only reader: nobody else asks the cluster, the poller or the table.
//!
//! It changes nothing outside this process; inside, it keeps the table of claims up to date with
//! what it reads.

mod connect;
mod life;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::Context;
use super::claims::{Claims, NameClaim, Owner, Tenant};
use super::cluster::{Cluster, ClusterError, Key};
use super::observation::{
    ListFacts, Memory, Namesake, Observation, SourceSecret, is_alive, is_own, names_in, names_kept,
    tenants_in,
};
use super::trust::{Trust, read, was_not_trusted};
use crate::api::EducationSyncProfile;
use crate::api::connection::SecretKeyReference;
use crate::api::status::Binding;
use crate::graph::RemoteProfile;
use crate::graph::name::NameKey;
use crate::misplaced::hidden;
use crate::poller::{Snapshot, View};
use crate::upstream::Upstream;
pub(super) use connect::connection_of;
use connect::{connect, is_going, is_held};
pub(super) use life::is_lost;
use life::{Seen, note_life};

/// The upstream that an observation was made by, and the view that it saw.
#[derive(Debug)]
pub struct Sight {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The view.
    pub view: View,
}

/// Looks at a resource and everything that concerns it. None: the resource is gone.
pub async fn observe<C: Cluster>(context: &Context<C>, key: &Key) -> Option<(Observation, Option<Sight>)> {
    build_claims_once(context, context.clock.now());
    let (mut resource, _) = read(context, key)?;
    // What is looked at must be of one version: the way and the secret of an old spec are not those of
    // a new one. If the resource goes meanwhile, it must leave no claim behind.
    let (upstream, source_secret, trust) = loop {
        let upstream = connect(context, &resource).await;
        let source_secret = source_secret(context, &resource).await;
        let uid = resource.metadata.uid.clone();
        let (newest, trust) = read(context, key).filter(|(newest, _)| newest.metadata.uid == uid)?;
        let is_same = newest.metadata.generation == resource.metadata.generation
            && newest.metadata.deletion_timestamp == resource.metadata.deletion_timestamp;
        resource = newest;
        if is_same {
            break (upstream, source_secret, trust);
        }
    };
    let now = context.clock.now();
    let view = upstream.as_ref().map_or_else(|_| View::default(), |upstream| upstream.poller.view());
    let owner = owner(&resource);
    let bound_to_other =
        if trust == Trust::Own { record(&context.claims, &resource, &owner, now) } else { None };
    let tenant = upstream.as_ref().ok().map(|upstream| upstream.facts.tenant.clone());
    let snapshot = view.snapshot.clone();
    let bound = bound(&resource, snapshot.as_deref());
    let is_lost = tenant
        .as_ref()
        .zip(snapshot.as_deref())
        .is_some_and(|(tenant, list)| is_lost(&context.claims, tenant, list));
    let after_loss = snapshot.as_ref().map(|list| is_lost || list.profiles.is_empty());
    let memory = update_memory(context, &resource, after_loss, bound.as_ref(), now);
    let seen = Seen { bound: bound.as_ref(), is_lost, memory: &memory };
    note_life(&context.claims, &resource, &trust, tenant.as_ref(), seen, now);
    let observation = Observation {
        now,
        settings: context.settings,
        name: wish(&context.claims, &resource, tenant.as_ref(), &owner, now),
        namesakes: tenant.as_ref().map_or_else(Vec::new, |tenant| {
            namesakes(&context.claims, &resource, tenant, &owner, snapshot.as_deref())
        }),
        list: list_facts(&context.claims, &resource, tenant.as_ref(), &view, is_lost),
        connection_is_held: is_held(context, &resource),
        connection_is_going: is_going(context, &resource),
        connection: upstream.as_ref().map(|upstream| upstream.facts.clone()).map_err(Clone::clone),
        adoptee: tenant
            .as_ref()
            .and_then(|tenant| adoptee(&context.claims, &resource, tenant, &owner, snapshot.as_deref())),
        deletions: context.deletions.count(&resource, |other| context.cluster.profile(other), now),
        bound,
        bound_to_other,
        memory,
        source_secret,
        trust,
        resource,
    };
    Some((observation, upstream.ok().map(|upstream| Sight { upstream, view })))
}

/// The client secret of the source. While something waits for it, it is read at every look;
/// otherwise every quarter of an hour, so that a changed one is noticed.
async fn source_secret<C: Cluster>(context: &Context<C>, resource: &EducationSyncProfile) -> SourceSecret {
    let needed = resource.metadata.deletion_timestamp.is_none() && !resource.spec.is_observed_only();
    let Some(reference) = resource.spec.data_provider.client_secret_ref().filter(|_| needed) else {
        return SourceSecret::NotNeeded;
    };
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    if let Some(message) = belongs_to_connection(context, resource, reference) {
        return SourceSecret::Missing(message);
    }
    let refused = resource.status.as_ref().is_some_and(|status| status.refusal.is_some());
    let at_rest = binding(resource).is_some() && !refused;
    if let Some(known) = context.known_secret(uid, reference, at_rest) {
        return SourceSecret::Here(known);
    }
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    let SecretKeyReference { name, key } = reference;
    let needs = |but: String| {
        let message = format!("spec.dataProvider needs the key {key} of the Secret {name}, but {but}");
        hidden(message, [name, key])
    };
    match context.cluster.port.secret(namespace, name, key).await {
        Ok(secret) => {
            context.know_secret(uid, reference, secret.clone());
            SourceSecret::Here(secret)
        }
        Err(ClusterError::NotFound) => SourceSecret::Missing(needs(format!(
            "the namespace {namespace} has no such Secret, or the Secret no such key. Create it; edusync then goes on by itself."
        ))),
        Err(ClusterError::Unusable(what)) => SourceSecret::Missing(needs(format!(
            "{what}. Put the client secret of the source there; edusync then goes on by itself."
        ))),
        Err(error) => {
            let message = needs(format!("it cannot be read: {error}."));
            match error {
                ClusterError::Refused(_) => SourceSecret::Missing(message),
                _ => SourceSecret::Unreadable(message),
            }
        }
    }
}

/// A credential of a connection is not for a source: whoever may write a profile, but read no
/// Secret, could have it sent to an address of theirs.
fn belongs_to_connection<C: Cluster>(
    context: &Context<C>,
    resource: &EducationSyncProfile,
    reference: &SecretKeyReference,
) -> Option<String> {
    let namespace = &resource.metadata.namespace;
    let connections = context.cluster.connections();
    let owner = connections
        .iter()
        .filter(|connection| connection.metadata.namespace == *namespace)
        .filter(|connection| connection.spec.refers_to(reference))
        // Of several always the same one, or the message would change from pass to pass.
        .min_by_key(|connection| connection.metadata.name.clone())?;
    let SecretKeyReference { name, key } = reference;
    let message = format!(
        "spec.dataProvider names the key {key} of the Secret {name}, which is a credential of the GraphConnection {}. Put the client secret of the source into a Secret of its own.",
        owner.metadata.name.as_deref().unwrap_or_default()
    );
    Some(hidden(message, [name, key]))
}

/// Which profile belongs to a resource, as its status says.
fn binding(resource: &EducationSyncProfile) -> Option<&Binding> {
    resource.status.as_ref()?.binding.as_ref()
}

/// Where a profile is.
pub(super) fn place(binding: &Binding) -> Tenant {
    Tenant::new(&binding.endpoint, &binding.tenant_id)
}

/// Builds the table of claims of all resources, before anything is decided by it: what is there or may come
/// first, attempts that were given up then, and by age.
pub(super) fn build_claims_once<C: Cluster>(context: &Context<C>, now: Timestamp) {
    context.claims_built.get_or_init(|| build_claims(context, now));
}

fn build_claims<C: Cluster>(context: &Context<C>, now: Timestamp) {
    let mut resources = context.cluster.profiles();
    resources.sort_by_key(|resource| {
        let meta = &resource.metadata;
        let status = resource.status.as_ref();
        let is_established = status.is_some_and(|s| s.binding.is_some() || s.creation.is_some());
        let created = meta.creation_timestamp.as_ref().map(|time| time.0);
        (!is_established, created, meta.namespace.clone(), meta.name.clone())
    });
    for resource in resources {
        record(&context.claims, &resource, &owner(&resource), now);
    }
}

/// Enters what the resource's status says. Some: another resource has its profile.
pub(super) fn record(
    claims: &Claims,
    resource: &EducationSyncProfile,
    owner: &Owner,
    now: Timestamp,
) -> Option<Owner> {
    let status =
        resource.status.as_ref().filter(|status| is_own(status, &owner.uid) && !was_not_trusted(status))?;
    for tenant in tenants_in(status) {
        claims.record_names(&tenant, &names_kept(resource, &tenant), owner, now);
    }
    let binding = status.binding.as_ref()?;
    let tenant = place(binding);
    // After a restart the status is all that tells of life; a list without the profile is suspicious.
    let alive = status.state.is_some_and(is_alive) && resource.metadata.deletion_timestamp.is_none();
    claims.claim_profile(&tenant, &binding.profile_id, owner, alive.then_some(now))
}

/// The owner entry of a resource.
pub(super) fn owner(resource: &EducationSyncProfile) -> Owner {
    let meta = &resource.metadata;
    Owner {
        uid: meta.uid.as_deref().unwrap_or_default().into(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    }
}

/// The name that a resource wants, if it wants another one than it has. Who has no way to create a profile must not
/// keep a name from others that have one.
pub(super) fn wish(
    claims: &Claims,
    resource: &EducationSyncProfile,
    tenant: Option<&Tenant>,
    owner: &Owner,
    now: Timestamp,
) -> Option<NameClaim> {
    let is_deleted = resource.metadata.deletion_timestamp.is_some();
    if !is_deleted {
        give_up_names(claims, resource);
    }
    let wants = !is_deleted && (binding(resource).is_none() || is_renamed(resource));
    let Some(tenant) = tenant.filter(|_| wants) else {
        claims.give_up_wishes(&owner.uid);
        return None;
    };
    let wanted = NameKey::of(&resource.spec.display_name);
    Some(claims.wish(tenant, &wanted, owner, now))
}

/// Gives up the names that the status does not have any more. While a profile is renamed both are kept.
pub(super) fn give_up_names(claims: &Claims, resource: &EducationSyncProfile) {
    if is_renamed(resource) {
        return;
    }
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    let tenants = resource.status.as_ref().map(tenants_in).unwrap_or_default();
    let kept = tenants
        .iter()
        .flat_map(|tenant| names_kept(resource, tenant).into_iter().map(|name| (tenant.clone(), name)));
    claims.forget_names(&kept.collect(), uid);
}

/// Has its profile another name than the spec wants?
fn is_renamed(resource: &EducationSyncProfile) -> bool {
    let wanted = NameKey::of(&resource.spec.display_name);
    binding(resource).is_some_and(|binding| NameKey::of(&binding.display_name) != wanted)
}

/// The profile that spec.adopt names by its id, if the list has it.
pub(super) fn adoptee(
    claims: &Claims,
    resource: &EducationSyncProfile,
    tenant: &Tenant,
    owner: &Owner,
    snapshot: Option<&Snapshot>,
) -> Option<Namesake> {
    let id = resource.spec.adopt.as_ref()?.profile_id.as_ref()?;
    let profile = snapshot?.profiles.get(id)?;
    let claimed_by = claims.owner_of(tenant, id).filter(|claimant| claimant.uid != owner.uid);
    Some(Namesake { profile: RemoteProfile::clone(profile), claimed_by })
}

pub(super) fn bound(resource: &EducationSyncProfile, snapshot: Option<&Snapshot>) -> Option<RemoteProfile> {
    snapshot?.profiles.get(&binding(resource)?.profile_id).map(|profile| RemoteProfile::clone(profile))
}

pub(super) fn namesakes(
    claims: &Claims,
    resource: &EducationSyncProfile,
    tenant: &Tenant,
    owner: &Owner,
    snapshot: Option<&Snapshot>,
) -> Vec<Namesake> {
    let Some(snapshot) = snapshot else {
        return Vec::new();
    };
    let mut names: BTreeSet<NameKey> = BTreeSet::from([NameKey::of(&resource.spec.display_name)]);
    names.extend(resource.status.iter().flat_map(|status| names_in(status, tenant)));
    let own = binding(resource).map(|binding| &binding.profile_id);
    let mut namesakes = Vec::new();
    // What has a name that another resource tries to create by now is what came of that.
    for name in names.iter().filter(|name| !claims.is_established_by_other(tenant, name, &owner.uid)) {
        for profile in snapshot.named(name) {
            if Some(&profile.id) == own {
                continue;
            }
            // What the table says is ours and the status does not is still to be bound: a write may
            // have failed, or a status may have been taken back.
            let claimed_by = claims.owner_of(tenant, &profile.id);
            let claimed_by = claimed_by.filter(|claimant| claimant.uid != owner.uid);
            namesakes.push(Namesake { profile: profile.clone(), claimed_by });
        }
    }
    namesakes
}

pub(super) fn list_facts(
    claims: &Claims,
    resource: &EducationSyncProfile,
    tenant: Option<&Tenant>,
    view: &View,
    lost: bool,
) -> ListFacts {
    let failure = view.failure.clone();
    let (Some(tenant), Some(snapshot)) = (tenant, &view.snapshot) else {
        return ListFacts { failure, ..ListFacts::default() };
    };
    // Our own profile proves nothing about itself.
    let own = binding(resource).map(|binding| binding.profile_id.as_str());
    let (alive, missing) =
        claims.alive(tenant, snapshot.began, |id| Some(id) == own || snapshot.profiles.contains_key(id));
    ListFacts {
        began: Some(snapshot.began),
        ended: Some(snapshot.ended),
        failure,
        alive,
        missing,
        empty: snapshot.profiles.is_empty(),
        lost,
    }
}

/// `after_loss`: does the list show nothing, or nothing of what is known? None: there is no list.
fn update_memory<C: Cluster>(
    context: &Context<C>,
    resource: &EducationSyncProfile,
    after_loss: Option<bool>,
    bound: Option<&RemoteProfile>,
    now: Timestamp,
) -> Memory {
    let uid = resource.metadata.uid.as_deref().unwrap_or_default();
    let open = resource.status.as_ref().and_then(|status| status.creation.as_ref());
    context.remember(uid, |memory| {
        memory.turn_to(binding(resource).map(|binding| binding.profile_id.as_str()));
        match (open, &memory.resolving) {
            (None, _) => memory.resolving = None,
            (Some(attempt), Some((known, _))) if *known == attempt.attempt => {}
            (Some(attempt), _) => memory.resolving = Some((attempt.attempt.clone(), now)),
        }
        if binding(resource).is_some() {
            // After a restart a profile that no list shows may still be one that is not visible yet.
            memory.bound_at.get_or_insert(now);
        }
        if let Some(after_loss) = after_loss {
            memory.note_list(after_loss, bound);
        }
        memory.clone()
    })
}

#[cfg(test)]
mod tests;
