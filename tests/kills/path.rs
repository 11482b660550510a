//! The paths of a resource: how each begins, what is asked, and when it is done.

use std::time::Duration;

use edusync::api::EducationSyncProfile;
use edusync::api::status::SyncStatus;
use graph_simulator::{ProfileSettings, Settings};
use serde_json::{Value, json};

use crate::scene::{Scene, condition, foreign_body, power_school, quick, spec};

/// What a resource goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// From the start of the first operator, its tokens and its connection included.
    Create,
    Adopt,
    /// With another name.
    Update,
    Pause,
    Delete,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Create, Self::Adopt, Self::Update, Self::Pause, Self::Delete];

    /// How many profiles edusync makes.
    pub fn creates(self) -> usize {
        usize::from(self != Self::Adopt)
    }

    /// A synchronization that is to be paused must not end before.
    pub fn settings() -> Settings {
        let profiles = ProfileSettings { sync_time: Duration::from_hours(1), ..ProfileSettings::default() };
        Settings { profiles, ..quick() }
    }

    /// What is there before the first operator.
    pub async fn prepare(self, scene: &Scene) {
        match self {
            Self::Create => {}
            Self::Adopt => drop(scene.simulator.plant(foreign_body("Contoso SDS")).unwrap()),
            Self::Update | Self::Delete => drop(scene.create("contoso", spec("Contoso SDS")).await),
            Self::Pause => {
                let wanted = power_school(scene).await;
                scene.create("contoso", wanted).await;
            }
        }
    }

    /// Is the operator at work before anything is asked?
    pub fn begins_with_a_running_operator(self) -> bool {
        self != Self::Create
    }

    /// May it be asked now?
    pub fn is_prepared(self, scene: &Scene, now: Option<&EducationSyncProfile>) -> bool {
        match self {
            Self::Create => true,
            Self::Adopt => scene.lists() > 0,
            Self::Update | Self::Delete => now.is_some_and(is_ready),
            Self::Pause => now.is_some_and(|now| is_ready(now) && sync(now).is_some()),
        }
    }

    /// Asks for it; the resource as it was asked for.
    pub async fn ask(self, scene: &Scene) -> Option<EducationSyncProfile> {
        let wanted = match self {
            Self::Create => spec("Contoso SDS"),
            Self::Adopt => adopting(),
            Self::Update => renamed(),
            Self::Pause => {
                let now = scene.profiles().get("contoso").await.unwrap();
                let mut wanted = serde_json::to_value(&now.spec).unwrap();
                wanted["synchronization"] = json!("Paused");
                wanted
            }
            Self::Delete => {
                scene.delete("contoso").await;
                return None;
            }
        };
        Some(scene.create("contoso", wanted).await)
    }

    /// Is all as it was asked for, in Kubernetes and in Graph?
    pub fn is_done(self, scene: &Scene, now: Option<&EducationSyncProfile>) -> bool {
        let profiles = scene.simulator.profiles();
        let Some(now) = now else {
            return self == Self::Delete;
        };
        let sent = |field: &str, value: Value| profiles.iter().any(|profile| profile[field] == value);
        match self {
            Self::Create => is_ready(now),
            Self::Adopt => is_ready(now) && sent("handleSpecialCharacterConstraint", json!(true)),
            Self::Update => is_ready(now) && sent("displayName", json!("Contoso renamed")),
            Self::Pause => {
                let by_us = now.status.as_ref().is_some_and(|status| status.paused_by_manifest == Some(true));
                is_ready(now) && by_us && sync(now) == Some(SyncStatus::Paused)
            }
            Self::Delete => false,
        }
    }
}

fn renamed() -> Value {
    let mut wanted = spec("Contoso renamed");
    wanted["expirationDate"] = json!("2027-06-30");
    wanted
}

fn adopting() -> Value {
    let mut wanted = spec("Contoso SDS");
    wanted["handleSpecialCharacterConstraint"] = json!(true);
    wanted["adopt"] = json!({"byDisplayName": true});
    wanted["deletionPolicy"] = json!("Delete");
    wanted
}

/// Ready, and that is said of the newest manifest, with nothing left to do.
fn is_ready(now: &EducationSyncProfile) -> bool {
    let is_seen =
        now.status.as_ref().is_some_and(|status| status.observed_generation == now.metadata.generation);
    let ready = condition(now, "Ready").is_some_and(|ready| ready.0 == "True");
    is_seen && ready && ["Reconciling", "Drifted"].iter().all(|kind| condition(now, kind).is_none())
}

fn sync(now: &EducationSyncProfile) -> Option<SyncStatus> {
    Some(now.status.as_ref()?.sync.as_ref()?.status)
}
