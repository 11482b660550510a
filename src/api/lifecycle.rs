//! What the operator does with a profile: manage or only observe it, run or pause it, take it over, run it anew.
//!
//! Nothing here is part of the profile itself; what the profile is stands in [`super::profile`].

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to the profile in Microsoft Graph when this resource is deleted. Delete (also when
/// left out) deletes it there; Retain leaves it there, untouched.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The profile is deleted in Graph, and the resource stays until Graph says that it is gone.
    Delete,
    /// The profile stays in Graph, and no call is made.
    Retain,
}

/// Manage (also when left out) creates the profile and keeps it as the manifest says. Observe
/// changes nothing in Microsoft Graph: the conditions tell what would be done.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagementPolicy {
    /// The profile is created, corrected and deleted.
    Manage,
    /// Nothing is changed in Graph.
    Observe,
}

/// Whether the synchronization runs. Paused pauses it, Running resumes what edusync has paused and
/// nothing else. Left out, it is let alone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronization {
    /// What edusync has paused is resumed.
    Running,
    /// It is paused.
    Paused,
}

/// An existing profile that this resource takes over: exactly one of profileId and byDisplayName.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.profileId) != (has(self.byDisplayName) && self.byDisplayName)")
    .message("adopt must name exactly one of profileId and byDisplayName: true"))]
pub struct Adoption {
    /// Id of the profile in Microsoft Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z-]+$')")
        .message("profileId must be the id of a profile, a GUID such as 3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01"))]
    pub profile_id: Option<String>,
    /// True: the one profile of the tenant that has the displayName and belongs to no resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_display_name: Option<bool>,
}

/// Things to be done once. A value that is changed asks for it; edusync answers in
/// status.handledTriggers, and does nothing for a value that it has answered.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Triggers {
    /// Changed, for example to today's date: the synchronization starts over, and its recorded
    /// errors are forgotten. Nothing is removed from the directory. Empty: nothing is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reset: Option<String>,
    /// Changed: the files that were uploaded last are verified, and synchronized if they are good.
    /// Only for CSV files. Empty: nothing is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub start: Option<String>,
}
