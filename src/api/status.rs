//! The status of an `EducationSyncProfile`: what the operator knows and must remember.
//!
//! Free text from Graph never has a field here, since it may name pupils. What the next start of
//! the operator needs in order to act rightly stands here, and nowhere else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::sync::{ErrorCount, HandledTriggers, SyncState, SyncStatus};

/// What the operator knows of the profile.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EducationSyncProfileStatus {
    /// The generation that the conditions speak of; -1 until the operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the profile in Microsoft Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ProfileState>,
    /// The profile in Graph that belongs to this resource. Everything that is done to the profile
    /// goes by this record, never by what the spec says now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// An attempt to create the profile whose outcome is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation: Option<CreationAttempt>,
    /// Earlier attempts that were given up without a proof that they failed. They stay until a
    /// profile is bound, so that a profile that turns up late is still recognised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub earlier_creations: Vec<CreationAttempt>,
    /// The synchronization, as Microsoft Graph tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncState>,
    /// Errors of the last synchronization, counted by kind of entry and code. The errors themselves
    /// may name people, so they are not shown here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub errors: Vec<ErrorCount>,
    /// The fields of the manifest that Microsoft Graph has been given. One that is removed from the
    /// manifest later is cleared there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 256)))]
    pub applied_fields: Vec<String>,
    /// Version of the Secret of the source, as it was given to Microsoft Graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub applied_secret_version: Option<String>,
    /// Updates that Microsoft Graph accepted and that left the same difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaccepted: Option<UnacceptedUpdate>,
    /// Last day of the profile, as Microsoft Graph has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub expiration_date: Option<String>,
    /// True while the synchronization is paused because this manifest said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by_manifest: Option<bool>,
    /// The values of spec.triggers that have been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_triggers: Option<HandledTriggers>,
    /// The last definite refusal by Microsoft Graph. No further call is made for the same spec and connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // Few resources have one, and each would have room for it.
    pub refusal: Option<Box<Refusal>>,
    /// The last value of the annotation reconcile.edusync.dev/requestedAt that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready is True once the profile is provisioned. Reconciling and Stalled are present only
    /// while they are True: the operator is at work, or a person has to act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// An update that did not last.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UnacceptedUpdate {
    /// The fields that still differ.
    #[schemars(length(max = 128), inner(length(max = 256)))]
    pub fields: Vec<String>,
    /// Generation of the resource that was sent.
    pub generation: i64,
    /// How many updates were accepted.
    pub updates: i32,
}

/// State of a profile (Graph's educationSynchronizationProfileState).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum ProfileState {
    /// Graph is setting the profile up.
    Provisioning,
    /// The profile is set up.
    Provisioned,
    /// Setting up failed.
    ProvisioningFailed,
    /// Graph is deleting the profile.
    Deleting,
    /// Deleting failed.
    DeletionFailed,
    /// A state that edusync does not know. It counts as in progress.
    UnknownFutureValue,
}

impl ProfileState {
    /// Graph's own word for the state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::ProvisioningFailed => "provisioningFailed",
            Self::Deleting => "deleting",
            Self::DeletionFailed => "deletionFailed",
            Self::UnknownFutureValue => "unknownFutureValue",
        }
    }
}

/// Which profile belongs to this resource, and where it is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// Uid of the resource that the profile was bound to. A copied or restored resource has
    /// another uid, and its binding is not trusted.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Address of Graph.
    #[schemars(length(max = 253))]
    pub endpoint: String,
    /// Tenant.
    #[schemars(length(max = 36))]
    pub tenant_id: String,
    /// Id of the profile in Graph.
    #[schemars(length(max = 128))]
    pub profile_id: String,
    /// Name under which the profile was created.
    #[schemars(length(max = 256))]
    pub display_name: String,
}

/// An attempt to create a profile, recorded before anything is sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CreationAttempt {
    /// Identifies the attempt; also sent to Graph as client-request-id.
    #[schemars(length(max = 64))]
    pub attempt: String,
    /// Uid of the resource that made the attempt.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// Address of Graph.
    #[schemars(length(max = 253))]
    pub endpoint: String,
    /// Tenant.
    #[schemars(length(max = 36))]
    pub tenant_id: String,
    /// Name of the profile that was asked for.
    #[schemars(length(max = 256))]
    pub display_name: String,
    /// Kind of the data provider that was asked for.
    pub data_provider: ProviderKind,
    /// Kind of the identity configuration that was asked for.
    pub identity_synchronization_configuration: IdentityKind,
    /// After this time nothing of the attempt is sent any more.
    pub not_after: Time,
}

/// Kind of a data provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum ProviderKind {
    /// CSV files.
    Csv,
    /// A OneRoster service.
    OneRoster,
    /// PowerSchool.
    PowerSchool,
}

/// Kind of an identity configuration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum IdentityKind {
    /// Accounts are created.
    Creation,
    /// Accounts are matched.
    Matching,
}

/// A definite refusal by Microsoft Graph.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Generation of the resource that was refused.
    pub generation: i64,
    /// Uid and generation of the connection that was used, as UID/GENERATION, and the versions of its Secrets.
    #[schemars(length(max = 512))]
    pub connection: String,
    /// HTTP status of the answer.
    #[schemars(with = "i32")]
    pub status: u16,
    /// Graph's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub code: Option<String>,
    /// Graph's request-id, for a support case with Microsoft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub request_id: Option<String>,
    /// The client-request-id that edusync sent.
    #[schemars(length(max = 64))]
    pub client_request_id: String,
    /// When Graph refused.
    pub time: Time,
}
