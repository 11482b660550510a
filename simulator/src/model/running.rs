//! Operations on what a profile does rather than on what it is: pause, resume, reset, planted outcomes and errors.
//! The rules of time are in `sync`; starting with files is in `uploads`.

use std::time::Duration;

use jiff::Timestamp;

use super::profile::{DataProvider, Profile, State};
use super::sync::{Plan, QUARANTINE, SyncOutcome};
use super::{Model, Refused};

/// A call that takes a profile and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Pause,
    Resume,
    Reset,
}

impl Model {
    /// Pauses, resumes or resets. In which states these calls are allowed is not documented: here in every one but
    /// `deleting`.
    pub(crate) fn control(
        &mut self,
        tenant: &str,
        id: &str,
        control: Control,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let name = self.changeable(tenant, id, now)?.draft.display_name.clone();
        let plan = self.plan(&name);
        let times = self.times();
        let profile = self.changeable(tenant, id, now)?;
        match control {
            Control::Pause => profile.sync.pause(now),
            Control::Resume => profile.sync.resume(now, times.sync),
            // What a reset restarts is a run that was: one that has not begun will, and without any there is none.
            Control::Reset if profile.sync.has_begun(now) => {
                profile.sync.begin(now.max(profile.set_up_at(times.provisioning)), plan, now, times.sync);
            }
            Control::Reset => profile.sync.clear_errors(now),
        }
        Ok(())
    }

    /// Runs of profiles with this display name that are begun or scheduled from now on end so.
    pub(crate) fn set_sync_outcome(&mut self, display_name: &str, outcome: SyncOutcome) {
        self.outcomes.insert(display_name.to_owned(), outcome);
    }

    /// Runs of profiles with this display name that are begun or scheduled from now on find so many errors.
    pub(crate) fn set_sync_errors(&mut self, display_name: &str, count: usize) {
        self.sync_errors.insert(display_name.to_owned(), count);
    }

    /// Records errors at once for every profile with this id or display name; answers how many profiles these are.
    pub(crate) fn plant_errors(&mut self, profile: &str, count: usize, now: Timestamp) -> usize {
        self.advance(now);
        let mut found = 0;
        for one in self.tenants.values_mut().flatten() {
            if one.id.eq_ignore_ascii_case(profile) || one.draft.display_name == profile {
                one.sync.plant(count, self.ids.number(), now);
                found += 1;
            }
        }
        found
    }

    /// What the next run of a profile with this display name will come to. Without a planted outcome, errors make the
    /// run end in `error`; without planted errors, an outcome that tells people to read the errors has some (decided).
    pub(super) fn plan(&mut self, display_name: &str) -> Plan {
        let errors = self.sync_errors.get(display_name).copied().unwrap_or(0);
        let outcome = self.outcomes.get(display_name).copied();
        let outcome = outcome.unwrap_or(match errors {
            0 => SyncOutcome::Success,
            QUARANTINE.. => SyncOutcome::Quarantined,
            _ => SyncOutcome::Error,
        });
        let least = match outcome {
            SyncOutcome::Success => 0,
            SyncOutcome::Error | SyncOutcome::ValidationError => 1,
            SyncOutcome::Quarantined => QUARANTINE,
        };
        Plan { outcome, errors: errors.max(least), seed: self.ids.number() }
    }

    /// Lets the first run of a profile follow its set-up: an API provider needs no `start` (scenario page "create a
    /// profile with an API provider"). A run that has begun is left alone.
    pub(super) fn schedule(&mut self, profile: &mut Profile, now: Timestamp) {
        profile.sync.unschedule(now);
        let by_itself = !matches!(profile.draft.provider, DataProvider::Csv { .. });
        if !by_itself || profile.fails || profile.sync.has_run() {
            return;
        }
        let plan = self.plan(&profile.draft.display_name);
        let times = self.times();
        profile.sync.begin(profile.set_up_at(times.provisioning), plan, now, times.sync);
    }

    /// A profile that a call may change: 404 without one, and not while it is being deleted (decided: not documented).
    pub(super) fn changeable(
        &mut self,
        tenant: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<&mut Profile, Refused> {
        self.advance(now);
        let (provisioning, delete) = (self.settings.provisioning_time, self.settings.delete_time);
        let profiles = self.tenants.get_mut(tenant);
        let found = profiles.and_then(|all| all.iter_mut().find(|one| one.id.eq_ignore_ascii_case(id)));
        match found {
            None => Err(Refused::NotFound),
            Some(profile) if profile.state_at(now, provisioning, delete) == Some(State::Deleting) => {
                Err(Refused::Conflict("The profile is being deleted and cannot be changed any more."))
            }
            Some(profile) => Ok(profile),
        }
    }

    pub(super) fn times(&self) -> Times {
        Times { provisioning: self.settings.provisioning_time, sync: self.settings.profiles.sync_time }
    }

    pub(super) fn is_provisioned(&self, profile: &Profile, now: Timestamp) -> bool {
        self.state(profile, now) == Some(State::Provisioned)
    }
}

/// The durations that the life of a profile depends on.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) provisioning: Duration,
    pub(super) sync: Duration,
}
