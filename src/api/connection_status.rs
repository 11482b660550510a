//! The status of a `GraphConnection`: what the operator has seen of it. No secret has a field here.
//!
//! Nothing in it moves while nothing happens, so a connection at rest is not written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator knows of the connection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GraphConnectionStatus {
    /// The generation that the conditions speak of; -1 until the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many EducationSyncProfiles have a profile in Microsoft Graph through this connection. A change
    /// is shown within seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<i32>,
    /// What the credentials may do, as Microsoft Graph has shown it when they were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<ConnectionPermissions>,
    /// The credentials in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ConnectionCredentials>,
    /// Ready is True while Graph lists profiles with these credentials. Writable says whether they may
    /// create, change and delete profiles, once they have been used for it. ExpiringSoon is present only
    /// while it is True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What the credentials may do. Only use proves it: nothing is assumed, and nothing is sent to find out.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPermissions {
    /// List and get profiles.
    pub read: Access,
    /// Create, change and delete profiles.
    pub write: Access,
}

/// What Microsoft Graph said when a credential was used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It did what was asked, or looked at it and refused it for another reason.
    Allowed,
    /// It knows the credential and does not permit this (HTTP 403).
    Forbidden,
    /// It does not accept the token (HTTP 401), or the token service refuses the credential.
    Unauthorized,
    /// The credential has not been used for it.
    #[default]
    Unknown,
}

/// The credentials in use.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionCredentials {
    /// Uid and generation of the connection, as UID/GENERATION, and the versions of its Secrets. What stands
    /// in permissions has been shown with these.
    #[schemars(length(max = 512))]
    pub version: String,
    /// When the application's certificate is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<Time>,
}

impl Access {
    /// The word that stands in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "Allowed",
            Self::Forbidden => "Forbidden",
            Self::Unauthorized => "Unauthorized",
            Self::Unknown => "Unknown",
        }
    }
}
