//! How people of the roster become accounts: created or matched, and with which licenses.
//!
//! The members are those of Graph's educationIdentitySynchronizationConfiguration and its kinds.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How people of the roster become accounts of the tenant.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.creation) || has(self.matching)")
        .message("identitySynchronizationConfiguration must name one of creation (new accounts) and matching (accounts that exist)"),
    validation = Rule::new("!(has(self.creation) && has(self.matching))")
        .message("identitySynchronizationConfiguration must name only one of creation (new accounts) and matching (accounts that exist), not both")
)]
pub struct IdentitySynchronizationConfiguration {
    /// Accounts are created for people who are new in the roster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation: Option<IdentityCreation>,
    /// People of the roster are matched with accounts that exist. Use this when accounts come from
    /// an on-premises directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<IdentityMatching>,
}

/// Accounts are created (Graph's educationIdentityCreationConfiguration).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityCreation {
    /// The domain of the new accounts, one for each role.
    #[schemars(length(max = 3))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["appliesTo".into()]),
        validation = Rule::new("self.size() > 0").message("userDomains must hold at least one role with its domain")
    )]
    pub user_domains: Vec<IdentityDomain>,
}

/// The domain in which accounts of one role are created.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityDomain {
    /// The role.
    pub applies_to: UserRole,
    /// The domain name, for example school.example. It must be verified in the tenant.
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = Rule::new("!self.contains('@')").message("name must be a domain without '@', for example school.example"),
        validation = Rule::new("self.contains('@') || self.matches('^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\\\.)+[A-Za-z][A-Za-z0-9-]*$')")
            .message("name must be a full domain name, for example school.example")
    )]
    pub name: String,
}

/// Accounts are matched (Graph's educationIdentityMatchingConfiguration).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityMatching {
    /// How to find the account, one entry for each role.
    #[schemars(length(max = 3))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["appliesTo".into()]),
        validation = Rule::new("self.size() > 0").message("matchingOptions must hold at least one role and how to match it")
    )]
    pub matching_options: Vec<IdentityMatchingOptions>,
}

/// How the account of a person is found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityMatchingOptions {
    /// The role.
    pub applies_to: UserRole,
    /// Property of the source that identifies the person; for CSV a column heading such as
    /// Username. Upper and lower case differ.
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()")
        .message("sourcePropertyName must be a property of the source, for CSV a column heading such as Username, without white space around it"))]
    pub source_property_name: String,
    /// Attribute of the directory to compare with, for example userPrincipalName. Upper and lower
    /// case differ.
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z][A-Za-z0-9_.]*$')")
        .message("targetPropertyName must be an attribute of the directory such as userPrincipalName: letters and digits"))]
    pub target_property_name: String,
    /// Domain that is added to the source value before comparing. Left out, the value is compared as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\\\.)+[A-Za-z][A-Za-z0-9-]*$')")
        .message("targetDomain must be a full domain name without '@', for example students.school.example"))]
    pub target_domain: Option<String>,
}

/// Licenses for new accounts of one role.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LicenseAssignment {
    /// The role.
    pub applies_to: UserRole,
    /// The licenses, as skuId values of the tenant (Graph: GET /subscribedSkus).
    #[schemars(length(max = 50), inner(length(max = 36)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.size() > 0").message("skuIds must hold at least one license"),
        validation = Rule::new("self.all(id, id.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'))")
            .message("skuIds must be GUIDs such as 6fd2c87f-b296-42f0-b197-1e91e994b900: the skuId values that Graph lists under /subscribedSkus")
    )]
    pub sku_ids: Vec<String>,
}

/// Role of a person (Graph's educationUserRole, as far as the documents name it for these types).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum UserRole {
    /// Students.
    Student,
    /// Teachers.
    Teacher,
    /// Faculty.
    Faculty,
}
