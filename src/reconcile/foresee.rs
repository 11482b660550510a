//! What the operator would do about a resource, step by step. For `edusync plan`; nothing is done.
//!
//! It looks as [`super::observe`] does and decides by [`super::decide`]; in between each step is taken in a
//! model of the tenant. Secrets are not looked at. Pure: the time is an argument.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::claims::Claims;
use super::cluster::Key;
use super::decide::{self, Action, Outlook, Standing, Verdict};
use super::observation::{ConnectionFacts, Memory, Observation, Settings, SourceSecret, is_own};
use super::observe::{adoptee, bound, is_lost, list_facts, namesakes, owner, record, wish};
use super::report::{self, Decided};
use super::trust::Trust;
use crate::api::status::{EducationSyncProfileStatus, ProfileState, SyncStatus};
use crate::api::{EducationSyncProfile, FINALIZER};
use crate::graph::RemoteProfile;
use crate::graph::sync::ProfileStatus;
use crate::graph::wire::update_bodies;
use crate::poller::{Snapshot, View};

/// No resource needs more steps.
const MOST_STEPS: usize = 8;

/// Spans have no meaning where no time passes.
const SETTINGS: Settings = Settings {
    request_timeout: Duration::ZERO,
    settle_window: Duration::ZERO,
    lease_duration: Duration::ZERO,
    probe_interval: Duration::ZERO,
    most_deletions: usize::MAX,
    refusal_retry: Duration::MAX,
};

/// What is known of a tenant and of who wants something there.
#[derive(Clone, Debug)]
pub struct World {
    /// The way to the tenant.
    pub connection: ConnectionFacts,
    /// Is it being deleted?
    pub connection_is_going: bool,
    /// All its profiles.
    pub snapshot: Snapshot,
    /// The other resources that may be seen.
    pub others: Vec<EducationSyncProfile>,
}

/// What would be done, and why no more.
#[derive(Clone, Debug)]
pub struct Foresight {
    /// What would be done, in order, each with the profile as it would be before it.
    pub steps: Vec<(Action, Option<RemoteProfile>)>,
    /// What would be said then.
    pub standing: Standing,
    /// What Graph does not accept.
    pub not_accepted: Option<Vec<String>>,
}

/// What the operator would do about this resource.
#[must_use]
pub fn foresee(resource: EducationSyncProfile, mut world: World, now: Timestamp) -> Foresight {
    let claims = claims(&resource, &world, now);
    let mut resource = ready_to_act(resource);
    // A wish that is made now is not waited for.
    (world.snapshot.began, world.snapshot.ended) = (now, now);
    for profile in world.snapshot.profiles.values_mut().map(Arc::make_mut) {
        // Whatever waits for it comes all the same.
        if profile.state == ProfileState::Provisioning {
            profile.state = ProfileState::Provisioned;
        }
    }
    let mut foresight = Foresight { steps: Vec::new(), standing: Standing::Silent, not_accepted: None };
    for _ in 0..MOST_STEPS {
        let o = look(&resource, &world, &claims, now);
        let verdict = decide::decide(&o);
        let profile = subject(&o, &verdict.action);
        let Some(next) = after(&o, &mut world, &claims, &verdict) else {
            let is_done = matches!(verdict.action, Action::Nothing);
            let is_run = matches!(verdict.action, Action::Pause { .. } | Action::Resume { .. });
            if !is_done {
                foresight.steps.push((verdict.action, profile));
            }
            // The synchronization is paused or resumed although something else is in the way.
            if is_done || is_run {
                let drift = verdict.notices.drift.filter(|drift| drift.outlook == Outlook::NotAccepted);
                foresight.not_accepted = drift.map(|drift| drift.fields).filter(|fields| !fields.is_empty());
                foresight.standing = verdict.standing;
            }
            return foresight;
        };
        foresight.steps.push((verdict.action, profile));
        resource.status = Some(next);
    }
    foresight
}

/// Who has what: what statuses say, then the wishes of those that came before.
fn claims(resource: &EducationSyncProfile, world: &World, now: Timestamp) -> Claims {
    let claims = Claims::default();
    let mut others: Vec<_> =
        world.others.iter().filter(|r| r.metadata.uid != resource.metadata.uid).collect();
    others.sort_by_key(|other| owner(other).created);
    for other in &others {
        record(&claims, other, &owner(other), now);
    }
    let way = Key::of_connection(resource);
    for other in others.into_iter().filter(|other| Key::of_connection(other) == way) {
        wish(&claims, other, Some(&world.connection.tenant), &owner(other), now);
    }
    claims
}

/// The finalizer is no step worth telling, and a status that is not to be trusted may count as not there.
fn ready_to_act(mut resource: EducationSyncProfile) -> EducationSyncProfile {
    let finalizers = resource.metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|name| name == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    let uid = resource.metadata.uid.clone().unwrap_or_default();
    let is_trusted = resource.status.as_ref().is_none_or(|status| is_own(status, &uid));
    if !is_trusted && resource.spec.adopt.is_some() {
        resource.status = None;
    }
    resource
}

fn look(resource: &EducationSyncProfile, world: &World, claims: &Claims, now: Timestamp) -> Observation {
    let tenant = &world.connection.tenant;
    let owner = owner(resource);
    let trust = match &resource.status {
        Some(status) if !is_own(status, &owner.uid) => Trust::Foreign,
        _ => Trust::Own,
    };
    let bound_to_other = record(claims, resource, &owner, now);
    let snapshot = Some(&world.snapshot);
    let view = View { snapshot: Some(Arc::new(world.snapshot.clone())), ..View::default() };
    Observation {
        now,
        settings: SETTINGS,
        name: wish(claims, resource, Some(tenant), &owner, now),
        namesakes: namesakes(claims, resource, tenant, &owner, snapshot),
        list: list_facts(claims, resource, Some(tenant), &view, is_lost(claims, tenant, &world.snapshot)),
        connection: Ok(world.connection.clone()),
        connection_is_held: true,
        connection_is_going: world.connection_is_going,
        adoptee: adoptee(claims, resource, tenant, &owner, snapshot),
        deletions: 0,
        bound: bound(resource, snapshot),
        bound_to_other,
        memory: memory(resource, now),
        source_secret: SourceSecret::NotNeeded,
        trust,
        resource: Arc::new(resource.clone()),
    }
}

/// As if the operator had looked for long: what is absent is gone, and what it has paused is paused.
fn memory(resource: &EducationSyncProfile, now: Timestamp) -> Memory {
    let status = resource.status.as_ref();
    let is_paused = status.is_some_and(|status| status.paused_by_manifest == Some(true));
    let paused = ProfileStatus {
        status: SyncStatus::Paused,
        last_synchronization: None,
        last_activity: None,
        error_count: None,
        message: None,
    };
    Memory {
        seen: true,
        absences: decide::ABSENCES_THAT_PROVE,
        resolving: status.and_then(|s| s.creation.as_ref()).map(|attempt| (attempt.attempt.clone(), now)),
        sync: is_paused.then_some(paused),
        sync_at: Some(now),
        ..Memory::default()
    }
}

fn subject(o: &Observation, action: &Action) -> Option<RemoteProfile> {
    match action {
        Action::Adopt { id } | Action::Bind { id } => {
            let mut candidates = o.adoptee.iter().chain(&o.namesakes);
            candidates
                .find(|candidate| candidate.profile.id == *id)
                .map(|candidate| candidate.profile.clone())
        }
        _ => o.bound.clone(),
    }
}

/// The status after a step, which is taken in the model. None: nothing more is to be foreseen.
fn after(
    o: &Observation,
    world: &mut World,
    claims: &Claims,
    verdict: &Verdict,
) -> Option<EducationSyncProfileStatus> {
    let tenant = &world.connection.tenant;
    match &verdict.action {
        Action::Adopt { id } | Action::Bind { id } => {
            let profile = subject(o, &verdict.action)?;
            claims.claim_profile(tenant, id, &owner(&o.resource), None);
            let report = match &verdict.action {
                Action::Adopt { .. } => report::adopted(o, tenant, &profile),
                _ => report::found(o, &profile),
            };
            Some(report.status)
        }
        Action::Update { fields, cleared } => {
            let profile = Arc::make_mut(world.snapshot.profiles.get_mut(&o.bound.as_ref()?.id)?);
            let (spec, read) = (&o.resource.spec, &profile.configuration);
            let bodies = update_bodies(spec, world.connection.dialect, None, read, cleared);
            profile.configuration = bodies.put.expose().to_string().into();
            // One that failed is sent again once.
            profile.state = ProfileState::Provisioned;
            (profile.display_name, profile.name) =
                (spec.display_name.clone(), crate::graph::name::NameKey::of(&spec.display_name));
            Some(report::updated(&o.resource, &Decided::by(o), (fields, cleared), None, o.now).status)
        }
        Action::Forget => {
            let binding = o.status().binding.as_ref()?;
            claims.release_profile(tenant, &binding.profile_id, o.uid());
            Some(report::vanished(o).status)
        }
        Action::Trigger { trigger, value, .. } => {
            let mut status = o.status().clone();
            report::answer(&mut status, *trigger, value);
            Some(status)
        }
        _ => None,
    }
}
