//! `GraphConnection`: the way to one tenant, with the credentials for it.
//!
//! Secrets are only ever referred to: no field of this resource may hold one.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::connection_status::{
    Access, ConnectionCredentials, ConnectionPermissions, GraphConnectionStatus,
};

/// How to reach a tenant in Microsoft Graph, and as whom.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "edusync.dev",
    version = "v1alpha1",
    kind = "GraphConnection",
    plural = "graphconnections",
    singular = "graphconnection",
    shortname = "gc",
    category = "edusync",
    namespaced,
    status = "GraphConnectionStatus",
    derive = "PartialEq",
    doc = "The way to one Microsoft 365 tenant: where Microsoft Graph is, and the credentials that edusync uses there.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantId"),
    printcolumn(
        name = "Profiles",
        type_ = "integer",
        json_path = ".status.profiles",
        description = "How many EducationSyncProfiles have a profile through this connection"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "True while Graph answers with these credentials"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.graph.endpoint", priority = 1),
    printcolumn(
        name = "Write",
        type_ = "string",
        json_path = ".status.permissions.write",
        description = "May the credentials create, change and delete profiles? Shown by use",
        priority = 1
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".status.credentials.certificateNotAfter",
        description = "When the application's certificate is over; empty for other kinds of credentials",
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
    validation = Rule::new("has(self.application) || has(self.delegated)")
        .message("a connection needs at least one credential: application (reads), delegated (needed to create and delete profiles), or both"),
    validation = Rule::new("(has(self.graph) && has(self.graph.endpoint)) == (has(oldSelf.graph) && has(oldSelf.graph.endpoint)) && (has(self.graph) && has(self.graph.dialect)) == (has(oldSelf.graph) && has(oldSelf.graph.dialect))")
        .message("graph.endpoint and graph.dialect cannot be added or taken away later: profiles are bound to them; make a new connection")
)]
pub struct GraphConnectionSpec {
    /// Directory (tenant) ID, a GUID. It cannot be changed: profiles are bound to it.
    #[schemars(length(max = 36))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')")
            .message("tenantId must be the Directory (tenant) ID, a GUID such as 6babcaad-604b-40ac-a9d7-9fd97c0b779f"),
        validation = Rule::new("self == oldSelf").message("tenantId cannot be changed: profiles are bound to it; make a new connection")
    )]
    pub tenant_id: String,

    /// Where Microsoft Graph is, and how it is spoken to. Left out: https://graph.microsoft.com, dialect Beta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<GraphEndpoint>,

    /// Where tokens come from. Left out: https://login.microsoftonline.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^https://([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\\\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(:[0-9]{1,5})?$') && (url(self).getPort() == '' || (int(url(self).getPort()) > 0 && int(url(self).getPort()) < 65536))")
        .message("authority must be https:// and a host, without a path, for example https://login.microsoftonline.com"))]
    pub authority: Option<String>,

    /// More certificate authorities to trust, in PEM form, for example of a simulator or a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_ref: Option<SecretKeyReference>,

    /// Other namespaces whose profiles may use this connection: their users then create, change and
    /// delete profiles in the tenant, without seeing a credential. A single "*" stands for all
    /// namespaces. Left out or empty: only its own namespace, which is always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.all(name, name == '*' || !format.dns1123Label().validate(name).hasValue())")
            .message("allowedNamespaces must hold names of namespaces (lower-case letters, digits and '-'), or a single '*' for all; there are no other patterns"),
        validation = Rule::new("!('*' in self) || self.size() == 1")
            .message("allowedNamespaces must not name namespaces beside '*', which stands for all: take out the one or the others")
    )]
    pub allowed_namespaces: Option<Vec<String>>,

    /// Credential of the application itself. Graph lets it read profiles, but not create, change or delete them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationCredential>,

    /// Credential of an administrator who signed in. Graph requires it to create and to delete profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<DelegatedCredential>,
}

/// Where Microsoft Graph is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GraphEndpoint {
    /// Address without version, for example https://graph.microsoft.com. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = Rule::new("self.matches('^https://([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\\\\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(:[0-9]{1,5})?$') && (url(self).getPort() == '' || (int(url(self).getPort()) > 0 && int(url(self).getPort()) < 65536))")
        .message("endpoint must be https:// and a host, without a path, for example https://graph.microsoft.com"),
        validation = Rule::new("self == oldSelf").message("graph.endpoint cannot be changed: profiles are bound to it; make a new connection")
    )]
    pub endpoint: Option<String>,

    /// Which form of the API is spoken. It cannot be changed. Beta (also when left out) is what
    /// Microsoft documents; BetaRef creates by POST to the collection's /$ref; TestEduApi is the
    /// preview of October 2017, with its older type names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("graph.dialect cannot be changed: profiles are bound to it; make a new connection"))]
    pub dialect: Option<Dialect>,

    /// How often profiles at rest are looked at, for example 60s or 5m; at least 5s, at most 1h.
    /// Left out, the operator's --poll-interval holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && self.size() > 0 && duration(self) >= duration('5s') && duration(self) <= duration('1h')")
        .message("pollInterval must be a duration from 5s to 1h, for example 60s or 5m"))]
    pub poll_interval: Option<String>,
}

/// Which form of the API is spoken. It cannot be changed. Beta (also when left out) is what
/// Microsoft documents; BetaRef creates by POST to the collection's /$ref; TestEduApi is the
/// preview of October 2017, with its older type names.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `/beta/education/synchronizationProfiles`.
    Beta,
    /// As Beta, but profiles are created by POST to `…/$ref`.
    BetaRef,
    /// `/testEduApi/education/synchronizationProfiles`, with type names without the prefix `education`.
    TestEduApi,
}

/// A credential of the application itself.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.clientSecretRef) || has(self.certificateRef) || has(self.workloadIdentity) || has(self.managedIdentity)")
        .message("application must name its credential: clientSecretRef, certificateRef, workloadIdentity or managedIdentity"),
    validation = Rule::new("[has(self.clientSecretRef), has(self.certificateRef), has(self.workloadIdentity), has(self.managedIdentity)].filter(given, given).size() <= 1")
        .message("application must name only one of clientSecretRef, certificateRef, workloadIdentity and managedIdentity")
)]
pub struct ApplicationCredential {
    /// Application (client) ID, a GUID.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')")
        .message("clientId must be the Application (client) ID, a GUID"))]
    pub client_id: String,
    /// The key of a Secret that holds the client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyReference>,
    /// A Secret of type kubernetes.io/tls with an RSA key and the certificate that the application has in Entra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ref: Option<CertificateReference>,
    /// The operator's own workload identity. Only in namespaces that the operator's administrator lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
    /// A managed identity of the node that the operator runs on; clientId is the identity's. Only in
    /// namespaces that the operator's administrator lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<ManagedIdentity>,
}

/// A Secret of type `kubernetes.io/tls` in the same namespace, as cert-manager writes it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReference {
    /// Name of the Secret, with the keys tls.crt (the application's certificate first) and tls.key (RSA).
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
        .message("certificateRef.name must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.'"))]
    pub name: String,
}

/// The operator's own workload identity. It has nothing to set.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkloadIdentity {}

/// A managed identity of the node that the operator runs on. It has nothing to set.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManagedIdentity {}

/// A credential of an administrator who signed in.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DelegatedCredential {
    /// Application (client) ID through which the administrator signed in, a GUID.
    #[schemars(length(max = 36))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')")
        .message("clientId must be the Application (client) ID, a GUID"))]
    pub client_id: String,
    /// The key of a Secret that holds the administrator's refresh token. The Secret is never written to.
    pub refresh_token_ref: SecretKeyReference,
    /// The key of a Secret that holds the application's client secret; only for confidential clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyReference>,
}

/// A key of a Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = Rule::new("!format.dns1123Subdomain().validate(self).hasValue()")
            .message("name must be the name of a Secret in this namespace: lower-case letters, digits, '-' and '.'"),
        validation = Rule::new("self != 'edusync-refresh-tokens'")
            .message("the Secret edusync-refresh-tokens is edusync's own and is named nowhere: put the secret into a Secret of yours")
    )]
    pub name: String,
    /// Key within the Secret's data.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
        .message("key must be a key of the Secret's data: letters, digits, '-', '_' and '.'"))]
    pub key: String,
}

impl GraphConnection {
    /// May profiles of this namespace use the connection?
    #[must_use]
    pub fn allows(&self, namespace: &str) -> bool {
        let listed = self.spec.allowed_namespaces.iter().flatten();
        self.metadata.namespace.as_deref() == Some(namespace)
            || listed.into_iter().any(|allowed| allowed == "*" || allowed == namespace)
    }
}

impl GraphConnectionSpec {
    /// Address of Graph in force.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.graph
            .as_ref()
            .and_then(|graph| graph.endpoint.as_deref())
            .unwrap_or("https://graph.microsoft.com")
    }

    /// Address of the token service in force.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_deref().unwrap_or("https://login.microsoftonline.com")
    }

    /// Is this key of a Secret one of the connection's credentials?
    #[must_use]
    pub fn refers_to(&self, reference: &SecretKeyReference) -> bool {
        let application = self.application.as_ref();
        let delegated = self.delegated.as_ref();
        let certificate = application.and_then(|a| a.certificate_ref.as_ref());
        let keys = [
            application.and_then(|a| a.client_secret_ref.as_ref()),
            delegated.map(|d| &d.refresh_token_ref),
            delegated.and_then(|d| d.client_secret_ref.as_ref()),
        ];
        certificate.is_some_and(|certificate| certificate.name == reference.name)
            || keys.into_iter().flatten().any(|key| key == reference)
    }

    /// Dialect in force.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.graph.as_ref().and_then(|graph| graph.dialect).unwrap_or(Dialect::Beta)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connection_serves_its_own_namespace_and_those_that_it_lists() {
        let allows = |listed: serde_json::Value, namespace: &str| {
            let connection: GraphConnection = serde_json::from_value(json!({
                "apiVersion": "edusync.dev/v1alpha1", "kind": "GraphConnection",
                "metadata": {"name": "default", "namespace": "district"},
                "spec": {"tenantId": "6babcaad-604b-40ac-a9d7-9fd97c0b779f", "allowedNamespaces": listed}
            }))
            .unwrap();
            connection.allows(namespace)
        };
        for listed in [json!(null), json!([]), json!(["school"])] {
            assert!(allows(listed.clone(), "district"), "{listed}");
            assert!(!allows(listed.clone(), "elsewhere") && !allows(listed.clone(), ""), "{listed}");
        }
        assert!(allows(json!(["a", "school"]), "school") && allows(json!(["*"]), "school"));
        assert!(!allows(json!(["school"]), "schools"));
    }
}
