//! `EducationSyncProfile`: one synchronization profile of one tenant, as its owner wants it.
//!
//! Only what the operator acts on is a field: a field that is accepted and ignored would be a lie.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::identity::{IdentitySynchronizationConfiguration, LicenseAssignment};
use super::lifecycle::{Adoption, DeletionPolicy, ManagementPolicy, Synchronization, Triggers};
use super::provider::DataProvider;
use super::status::EducationSyncProfileStatus;

/// What the profile is, in Microsoft Graph's own property names, and which connection leads to its tenant.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "edusync.dev",
    version = "v1alpha1",
    kind = "EducationSyncProfile",
    plural = "educationsyncprofiles",
    singular = "educationsyncprofile",
    shortname = "esp",
    category = "edusync",
    namespaced,
    status = "EducationSyncProfileStatus",
    derive = "PartialEq",
    doc = "A School Data Sync profile of a Microsoft 365 tenant. edusync creates it in Microsoft Graph, follows it until it is provisioned, and shows its state in the status.",
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "State of the profile in Microsoft Graph"
    ),
    printcolumn(
        name = "Sync",
        type_ = "string",
        json_path = ".status.sync.status",
        description = "State of the synchronization in Microsoft Graph"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "True once the profile is provisioned"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why Ready is what it is"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName", priority = 1),
    printcolumn(
        name = "Profile ID",
        type_ = "string",
        json_path = ".status.binding.profileId",
        priority = 1
    ),
    printcolumn(name = "Connection", type_ = "string", json_path = ".spec.connectionRef.name", priority = 1),
    printcolumn(name = "Errors", type_ = "integer", json_path = ".status.sync.errorCount", priority = 1),
    printcolumn(
        name = "Last Sync",
        type_ = "date",
        json_path = ".status.sync.lastSynchronization",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.licensesToAssign) || has(self.identitySynchronizationConfiguration.creation)")
        .message("licensesToAssign works only with identitySynchronizationConfiguration.creation: Microsoft assigns licenses to accounts that School Data Sync creates, not to accounts that it matches")
        .field_path(".licensesToAssign"),
    validation = Rule::new("!has(self.adopt) || has(self.deletionPolicy)")
        .message("adopt needs an explicit deletionPolicy: say whether the profile that is taken over is deleted with this resource (Delete) or stays (Retain)")
        .field_path(".adopt"),
    validation = Rule::new("!has(self.triggers) || !has(self.triggers.start) || self.triggers.start == '' || has(self.dataProvider.csv)")
        .message("triggers.start is for CSV files only: a synchronization with OneRoster or PowerSchool starts by itself")
        .field_path(".triggers")
)]
pub struct EducationSyncProfileSpec {
    /// The GraphConnection that leads to the tenant. Left out, it is the connection named "default" of
    /// the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_ref: Option<ConnectionReference>,

    /// Name of the profile in Microsoft Graph. edusync keeps it unique within the tenant, ignoring
    /// case: it is the key by which a profile is found again when an answer was lost.
    #[schemars(length(max = 256))]
    #[x_kube(
        validation = Rule::new("self.size() > 0").message("displayName must not be empty: it is the name of the profile in Microsoft Graph"),
        validation = Rule::new("self == self.trim()").message("displayName must not begin or end with white space"),
        validation = Rule::new("!self.matches('[\\\\x00-\\\\x1f\\\\x7f]')").message("displayName must be one line of text, without tabs or other control characters")
    )]
    pub display_name: String,

    /// Where the roster data comes from: exactly one member.
    pub data_provider: DataProvider,

    /// How people in the roster become accounts of the tenant: exactly one member.
    pub identity_synchronization_configuration: IdentitySynchronizationConfiguration,

    /// Licenses for the accounts that the synchronization creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["appliesTo".into()]))]
    pub licenses_to_assign: Option<Vec<LicenseAssignment>>,

    /// True: School Data Sync itself replaces characters that the directory does not support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle_special_character_constraint: Option<bool>,

    /// Last day of the profile, as YYYY-MM-DD. Microsoft Graph takes a day at most 18 months after
    /// the profile is created; without it the profile does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    #[x_kube(validation = Rule::new("!format.date().validate(self).hasValue()")
        .message("expirationDate must be a day of the calendar, written as YYYY-MM-DD, for example 2027-06-30"))]
    pub expiration_date: Option<String>,

    /// What happens to the profile in Microsoft Graph when this resource is deleted. Delete (also
    /// when left out) deletes it there; Retain leaves it there, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Manage (also when left out) creates the profile and keeps it as this manifest says. Observe
    /// changes nothing in Microsoft Graph: the conditions tell what would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_policy: Option<ManagementPolicy>,

    /// Whether the synchronization runs. Paused pauses it, Running resumes what edusync has paused
    /// and nothing else. Left out, it is let alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronization: Option<Synchronization>,

    /// Takes over a profile that exists already, instead of creating one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adoption>,

    /// Things to be done once, when a value is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Triggers>,
}

/// Names a GraphConnection, of the same namespace or of another one that allows it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReference {
    /// Name of the GraphConnection.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("connectionRef.name must be the name of a GraphConnection: lower-case letters, digits, '-' and '.'"))]
    pub name: String,
    /// Namespace of the GraphConnection, which must list this resource's namespace in its
    /// allowedNamespaces. Left out, it is this resource's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("!format.dns1123Label().validate(self).hasValue()")
        .message("connectionRef.namespace must be the name of a namespace: lower-case letters, digits and '-'; leave it out for a connection of the same namespace"))]
    pub namespace: Option<String>,
}

impl EducationSyncProfileSpec {
    /// Name of the connection in force: the one referred to, else "default".
    #[must_use]
    pub fn connection_name(&self) -> &str {
        self.connection_ref.as_ref().map_or("default", |reference| reference.name.as_str())
    }

    /// Namespace of the connection, if one is named.
    #[must_use]
    pub fn connection_namespace(&self) -> Option<&str> {
        self.connection_ref.as_ref()?.namespace.as_deref()
    }

    /// The deletion policy in force.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or(DeletionPolicy::Delete)
    }

    /// Is nothing to be changed in Graph?
    #[must_use]
    pub fn is_observed_only(&self) -> bool {
        self.management_policy == Some(ManagementPolicy::Observe)
    }

    /// The value of the trigger for a reset, if one is asked for.
    #[must_use]
    pub fn reset_trigger(&self) -> Option<&str> {
        self.triggers.as_ref()?.reset.as_deref().filter(|value| !value.is_empty())
    }

    /// The value of the trigger for a start, if one is asked for.
    #[must_use]
    pub fn start_trigger(&self) -> Option<&str> {
        self.triggers.as_ref()?.start.as_deref().filter(|value| !value.is_empty())
    }
}
