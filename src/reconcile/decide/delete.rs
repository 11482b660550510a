//! A resource that is being deleted: the profile goes first, then the finalizer.
//!
//! Everything goes by what the status says was created, never by what the spec says now; the spec
//! only says whether the profile is to stay.

use std::time::Duration;

use jiff::Timestamp;

use super::bound::{Proof, gone, not_visible_yet};
use super::{
    Action, Farewell, Interest, Notices, Standing, Verdict, connection_problem, create, leads_elsewhere,
    set_back, standing_refusal, without_list, wording,
};
use crate::api::conditions::Reason;
use crate::api::lifecycle::DeletionPolicy;
use crate::api::status::{Binding, ProfileState};
use crate::graph::RemoteProfile;
use crate::reconcile::observation::{ConnectionFacts, Observation, is_alive};
use crate::reconcile::trust::Trust;

pub(super) fn decide(o: &Observation) -> Verdict {
    if !o.has_finalizer() {
        return Verdict::nothing();
    }
    match (without_a_call(o), open_until(o)) {
        (Some(Farewell::Retained), Some(until)) => return with_the_way_out(retained(o, until)),
        (Some(farewell), _) => return Verdict::act(Action::LetGo(farewell)),
        (None, _) => {}
    }
    let verdict = match &o.connection {
        Err(problem) => connection_problem(o, problem),
        Ok(connection) if leads_elsewhere(o, connection) => {
            Verdict::stalled(Reason::ConnectionChanged, wording::connection_changed(o))
        }
        Ok(connection) => with_connection(o, connection),
    };
    with_the_way_out(verdict)
}

/// May the resource go without asking Graph?
fn without_a_call(o: &Observation) -> Option<Farewell> {
    let status = o.status();
    if status.binding.is_none() && status.creation.is_none() && status.earlier_creations.is_empty() {
        return Some(Farewell::NeverCreated);
    }
    if o.trust != Trust::Own || o.bound_to_other.is_some() {
        return Some(Farewell::NotOurs);
    }
    let stays =
        o.resource.spec.deletion_policy() == DeletionPolicy::Retain || o.resource.spec.is_observed_only();
    stays.then_some(Farewell::Retained)
}

/// Until when an attempt to create may still have an effect. None: it has none any more.
fn open_until(o: &Observation) -> Option<Timestamp> {
    if o.status().binding.is_some() {
        return None;
    }
    let attempts = o.status().creation.iter().chain(&o.status().earlier_creations);
    attempts.map(|attempt| create::over(o, attempt)).max().filter(|over| o.now < *over)
}

/// The profile is to stay, and may yet arrive. Its name is not free before that, or somebody else makes a second one
/// of it; and that needs no more than time, should Graph be out of reach.
fn retained(o: &Observation, until: Timestamp) -> Verdict {
    let looked = match &o.connection {
        Ok(connection) if !leads_elsewhere(o, connection) => with_connection(o, connection),
        _ => Verdict::nothing(),
    };
    if looked.action != Action::Nothing {
        return looked;
    }
    let message = format!(
        "Whether Microsoft Graph created the profile is not known yet. It stays there, if there is one; this resource goes when that is known, and at {until} whatever is known."
    );
    Verdict {
        standing: Standing::Waiting(Reason::CreateUnresolved, message),
        recheck: Some(o.until(until)),
        ..looked
    }
}

fn with_connection(o: &Observation, connection: &ConnectionFacts) -> Verdict {
    if let Some(binding) = &o.status().binding {
        return bound(o, connection, binding);
    }
    // An attempt without a known end: what came of it is found out first, and then deleted.
    if let Some(attempt) = &o.status().creation {
        return match create::resolve(o, attempt) {
            Verdict { action: Action::GiveUpAttempt, .. } => {
                Verdict::act(Action::LetGo(Farewell::NeverCreated))
            }
            verdict => verdict,
        };
    }
    if !o.list_is_fresh() {
        return without_list(o);
    }
    if !o.list_is_whole() {
        return list_lacks_others(o);
    }
    create::late_arrival(o).unwrap_or_else(|| Verdict::act(Action::LetGo(Farewell::NeverCreated)))
}

fn bound(o: &Observation, connection: &ConnectionFacts, binding: &Binding) -> Verdict {
    // An API that is gone, or does not answer, is neither asked to delete nor proves anything.
    if o.list.began.is_none() || o.list.failure.is_some() {
        return without_list(o);
    }
    let Some(profile) = &o.bound else {
        return absent(o, connection, binding);
    };
    // A list that is behind the DELETE must not take the status back to before it.
    let is_behind = list_is_behind(o) || o.memory.delete_sent.is_some() && is_alive(profile.state);
    let notices = Notices { state: (!is_behind).then_some(Some(profile.state)), ..Notices::default() };
    Verdict { notices, ..listed(o, connection, binding, profile) }
}

fn listed(
    o: &Observation,
    connection: &ConnectionFacts,
    binding: &Binding,
    profile: &RemoteProfile,
) -> Verdict {
    match profile.state {
        ProfileState::Deleting => deleting(),
        ProfileState::DeletionFailed if recently_asked(o, o.settings.refusal_retry) && !list_is_behind(o) => {
            Verdict {
                recheck: Some(o.settings.refusal_retry),
                ..Verdict::watching(wording::following(ProfileState::DeletionFailed), false)
            }
        }
        // The list may be from before Graph took the deletion up, however late it is looked at.
        _ if !list_is_settled(o) => deleting(),
        _ => ask(o, connection, binding),
    }
}

fn ask(o: &Observation, connection: &ConnectionFacts, binding: &Binding) -> Verdict {
    standing_refusal(o, connection)
        .or_else(|| held(o))
        .or_else(|| set_back(o))
        .unwrap_or_else(|| Verdict::act(Action::Delete { id: binding.profile_id.clone() }))
}

/// Very many at once are more likely a mistake than a wish.
fn held(o: &Observation) -> Option<Verdict> {
    let most = o.settings.most_deletions;
    (o.deletions > most && !o.is_deletion_confirmed() && o.memory.delete_sent.is_none()).then(|| {
        let message = format!(
            "{} profiles are to be deleted within ten minutes, more than {most}, so none is deleted before somebody confirms it. If it is right: kubectl annotate educationsyncprofile NAME edusync.dev/confirm-deletion=true",
            o.deletions
        );
        Verdict::watching(Standing::Stalled(Reason::DeletionHeld, message), false)
    })
}

fn recently_asked(o: &Observation, span: Duration) -> bool {
    o.memory.delete_sent.is_some_and(|sent| o.now < sent.saturating_add(span).unwrap_or(sent))
}

/// Is the list from before the last DELETE? It shows what came of the one before.
fn list_is_behind(o: &Observation) -> bool {
    o.memory.delete_sent.is_some_and(|sent| !o.list_since(sent))
}

/// Did the list begin a settle window after Graph was asked to delete? If nobody asked, any list did.
fn list_is_settled(o: &Observation) -> bool {
    let settled = |sent: Timestamp| sent.saturating_add(o.settings.settle_window).unwrap_or(sent);
    o.memory.delete_sent.is_none_or(|sent| o.list_since(settled(sent)))
}

fn deleting() -> Verdict {
    Verdict::watching(wording::following(ProfileState::Deleting), true)
}

/// The list does not have the profile: never seen, or gone?
fn absent(o: &Observation, connection: &ConnectionFacts, binding: &Binding) -> Verdict {
    let newest = o.memory.delete_sent.max(o.memory.bound_at);
    if newest.is_some_and(|time| !o.list_since(time)) || not_visible_yet(o) {
        return if o.memory.delete_sent.is_none() { ask(o, connection, binding) } else { deleting() };
    }
    if o.memory.present && !recently_asked(o, o.settings.settle_window) {
        return ask(o, connection, binding);
    }
    match gone(o, &binding.profile_id) {
        // Asked last, since each proof of another resource makes the list more whole.
        Proof::Gone if !o.list_is_whole() => list_lacks_others(o),
        Proof::Gone => Verdict::act(Action::LetGo(Farewell::Deleted)),
        Proof::Missing(verdict) => match verdict.standing {
            Standing::Silent => Verdict { standing: wording::following(ProfileState::Deleting), ..*verdict },
            _ => *verdict,
        },
    }
}

fn list_lacks_others(o: &Observation) -> Verdict {
    let message = format!(
        "Microsoft Graph's list lacks {} of {} profiles that are known to be there, so it does not prove that this one is gone. edusync goes on when the list is plausible again.",
        o.list.missing, o.list.alive
    );
    Verdict::watching(Standing::Stalled(Reason::UpstreamEmpty, message), false)
}

/// Whatever keeps a deletion from going on, the way out is said with it.
fn with_the_way_out(mut verdict: Verdict) -> Verdict {
    if let Standing::Stalled(_, message) = &mut verdict.standing
        && !message.contains("Retain")
    {
        message.push_str(wording::HOW_TO_LET_GO);
    }
    if verdict.interest.is_none() && verdict.action == Action::Nothing {
        verdict.interest = Some(Interest::Every { fast: false });
    }
    verdict
}
