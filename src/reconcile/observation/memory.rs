//! What a process remembers of a resource between two looks: what no status tells. No I/O, no client, no clock.

use jiff::Timestamp;

use crate::graph::RemoteProfile;
use crate::graph::sync::ProfileStatus;

/// What this process remembers of a resource. All of it can be lost at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Id of the profile that most of this is about.
    pub profile_id: Option<String>,
    /// Since when this process looks for the outcome of an attempt.
    pub resolving: Option<(String, Timestamp)>,
    /// When this process bound the profile, or first looked for it.
    pub bound_at: Option<Timestamp>,
    /// When Graph last told this process of the profile alone: in the answer to its create, or on its own URL before it
    /// was bound. A list from before may show what came before.
    pub told_at: Option<Timestamp>,
    /// Has a list shown the bound profile?
    pub seen: bool,
    /// When this process last changed the profile.
    pub updated_at: Option<Timestamp>,
    /// Generation of the resource that was sent then.
    pub updated_generation: i64,
    /// When this process last paused, resumed or started the synchronization.
    pub run_at: Option<Timestamp>,
    /// Status of the synchronization, as its own URL told it.
    pub sync: Option<ProfileStatus>,
    /// When that was answered. None: not since our last call that changes it.
    pub sync_at: Option<Timestamp>,
    /// It was asked for since, and something went wrong that may pass.
    pub sync_retry: Option<Retry>,
    /// Errors that could not be counted by kind, or not so that the status can hold them.
    pub errors_looked_for: Option<LookForErrors>,
    /// When this process asked for the deletion.
    pub delete_sent: Option<Timestamp>,
    /// Answers of 404 on the profile's own URL since it was last seen.
    pub absences: u32,
    /// When the last of them came.
    pub last_absence: Option<Timestamp>,
    /// Did the profile's own URL show it, although no list did?
    pub present: bool,
    /// Was the last list empty, or one of a service that has lost its list?
    pub after_loss: bool,
    /// Graph has put a change of the profile off.
    pub setback: Option<Retry>,
    /// Graph has put off what runs its synchronization, which keeps no change of the profile waiting.
    pub run_setback: Option<Retry>,
    /// The request for which a list has been asked.
    pub asked_for: Option<String>,
}

/// Something that failed, and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often in a row it failed.
    pub failed: u32,
    /// From then on.
    pub again: Timestamp,
}

/// A look for the errors of a synchronization that has not told what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookForErrors {
    /// How many there were by then.
    pub count: u64,
    /// None: it is not tried again.
    pub retry: Option<Retry>,
}

impl Memory {
    /// What is known of the synchronization of the profile.
    #[must_use]
    pub fn sync_of<'a>(&'a self, profile: &'a RemoteProfile) -> Option<&'a ProfileStatus> {
        if profile.is_expanded { profile.sync.as_ref() } else { self.sync.as_ref() }
    }

    /// What was learned of another profile says nothing of this one, however the status came to name it: the answer to
    /// the write that changed it may have been lost.
    pub fn turn_to(&mut self, profile_id: Option<&str>) {
        if self.profile_id.as_deref() == profile_id {
            return;
        }
        let Self { resolving, setback, run_setback, asked_for, .. } = std::mem::take(self);
        let profile_id = profile_id.map(str::to_owned);
        *self = Self { profile_id, resolving, setback, run_setback, asked_for, ..Self::default() };
    }

    /// Takes note of a list: is everything lost, and how does it show the profile?
    pub fn note_list(&mut self, is_lost: bool, bound: Option<&RemoteProfile>) {
        if self.after_loss && !is_lost {
            // What the service said then proves nothing of what it has found again.
            (self.absences, self.last_absence) = (0, None);
        }
        self.after_loss = is_lost;
        let Some(profile) = bound else { return };
        self.seen = true;
        (self.absences, self.last_absence) = (0, None);
        self.present = false;
        if self.sync_of(profile).is_none_or(|sync| sync.error_count == Some(0)) {
            // As many as before may come again, and they are others.
            self.errors_looked_for = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_404_from_while_everything_was_lost_proves_nothing_once_it_is_not() {
        let absent =
            || Memory { absences: 2, last_absence: Some(Timestamp::UNIX_EPOCH), ..Memory::default() };
        let mut memory = absent();
        memory.note_list(false, None);
        assert_eq!(memory, absent());
        memory.note_list(true, None);
        assert_eq!(memory.absences, 2);
        memory.note_list(false, None);
        assert_eq!(memory, Memory::default());
    }

    #[test]
    fn errors_are_looked_for_again_when_there_were_none_meanwhile() {
        let profile = |errors: u64| {
            let status = json!({"status": "error", "errorCount": errors});
            RemoteProfile::read(&json!({"id": "p", "state": "provisioned", "profileStatus": status})).unwrap()
        };
        let refused = Some(LookForErrors { count: 3, retry: None });
        let mut memory = Memory { errors_looked_for: refused, ..Memory::default() };
        memory.note_list(false, Some(&profile(3)));
        assert_eq!(memory.errors_looked_for, refused);
        memory.note_list(false, Some(&profile(0)));
        assert_eq!(memory.errors_looked_for, None);
    }
}
