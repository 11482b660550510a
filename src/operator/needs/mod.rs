//! What the operator needs of the cluster: definitions and permissions. What is missing, and what to do.
//!
//! The pure words are here, and what is known from one look to the next is in `findings`. What real answers show is
//! seen in [`notice`]; [`inspect`] asks the server whether it is really so, and tells people.

pub mod fields;
mod findings;
pub mod inspect;
pub mod notice;

use std::collections::BTreeSet;
use std::fmt;

use crate::reconcile::cluster::Scope;

/// The API group of our resources.
pub const GROUP: &str = "edusync.dev";
/// The version of it that this program speaks.
pub const VERSION: &str = "v1alpha1";
/// Our resources, as paths name them.
pub const RESOURCES: [&str; 2] = ["educationsyncprofiles", "graphconnections"];

/// A request, as the rules of a Role speak of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Access {
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource, with its subresource after a slash.
    pub resource: String,
    /// Namespace; none: in all of them.
    pub namespace: Option<String>,
    /// Name; none: any.
    pub name: Option<String>,
}

impl Access {
    fn new(verb: &'static str, group: &str, resource: &str, namespace: Option<&str>) -> Self {
        Self {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    /// Verb and resource, a subresource after a slash, as rules of a Role have them.
    fn what(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        let (resource, sub) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        let slash = if sub.is_empty() { "" } else { "/" };
        format!("{} {resource}{dot}{}{slash}{sub}", self.verb, self.group)
    }
}

/// One thing that the operator needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// The `CustomResourceDefinition` of this resource.
    Definition(&'static str),
    /// All fields in that definition.
    Fields(&'static str),
    /// A permission.
    Access(Access),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Definition(resource) => write!(f, "definition {resource}.{GROUP}"),
            Self::Fields(resource) => write!(f, "fields {resource}.{GROUP}"),
            Self::Access(access) => write!(f, "permission {}", access.what()),
        }
    }
}

/// Where the operator works: this decides which permissions it needs, and which Role gives them.
#[derive(Clone, Debug)]
pub struct Place {
    /// What it looks into.
    pub scopes: Vec<Scope>,
    /// Namespace of its Lease, and of the pod.
    pub home: String,
}

impl Place {
    fn sees_all(&self) -> bool {
        self.scopes.contains(&Scope::All)
    }

    /// Everything that is asked for at the start. Secrets are left out: an administrator may permit them namespace
    /// by namespace, or name by name, so that only a real answer tells whether one is missing.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Need> {
        let mut needs: BTreeSet<Need> = RESOURCES
            .into_iter()
            .flat_map(|resource| [Need::Definition(resource), Need::Fields(resource)])
            .collect();
        for scope in &self.scopes {
            let namespace = match scope {
                Scope::All => None,
                Scope::Namespace(namespace) => Some(namespace.as_str()),
            };
            let mut need = |verb, group, resource: &str| {
                needs.insert(Need::Access(Access::new(verb, group, resource, namespace)));
            };
            for resource in RESOURCES {
                for verb in ["list", "watch", "patch"] {
                    need(verb, GROUP, resource);
                }
                need("update", GROUP, &format!("{resource}/status"));
            }
            need("get", GROUP, "educationsyncprofiles");
            need("create", "events.k8s.io", "events");
            need("patch", "events.k8s.io", "events");
        }
        for verb in ["get", "create", "update"] {
            let access = Access::new(verb, "coordination.k8s.io", "leases", Some(&self.home));
            needs.insert(Need::Access(access));
        }
        needs
    }

    /// What a request that was refused may have been refused for, if the operator needs it.
    #[must_use]
    pub fn need_of(&self, refused: Access) -> Option<Need> {
        if refused.group.is_empty() && refused.resource == "secrets" {
            return Some(Need::Access(refused));
        }
        // One line for all namespaces, not one for each: the ClusterRole gives it for all.
        let is_lease = refused.resource == "leases";
        let namespace = if self.sees_all() && !is_lease { None } else { refused.namespace };
        let need = Need::Access(Access { namespace, name: None, ..refused });
        self.needs().contains(&need).then_some(need)
    }

    /// One sentence on a definition that is not there.
    #[must_use]
    pub fn no_definition(resource: &str) -> String {
        format!(
            "the CustomResourceDefinition {resource}.{GROUP} is not installed, or does not serve {VERSION}: {APPLY}"
        )
    }

    /// One sentence on a definition that lacks what this version writes.
    #[must_use]
    pub fn old_definition(resource: &str, absent: &[String]) -> String {
        let shown = absent.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = match absent.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "the CustomResourceDefinition {resource}.{GROUP} is of another version than edusync {}, and lacks {shown}{more}, so that what is written there is lost: {APPLY}",
            env!("CARGO_PKG_VERSION")
        )
    }

    /// One sentence on a permission that `who` does not have.
    #[must_use]
    pub fn no_permission(&self, access: &Access, who: &str) -> String {
        let Access { verb, group, resource, namespace, name } = access;
        let at_home = namespace.as_deref() == Some(self.home.as_str());
        let role = match namespace {
            Some(namespace) if !self.sees_all() || (at_home && resource == "leases") => {
                format!("Role of namespace {namespace}")
            }
            _ => "ClusterRole".to_owned(),
        };
        let named = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let place = namespace
            .as_ref()
            .map_or_else(|| "in all namespaces".to_owned(), |namespace| format!("in namespace {namespace}"));
        format!(
            "{who} may not {}{named} {place}: a {role} that is bound to it needs the rule {{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}; `helm upgrade` with rbac.create=true puts it back (templates/rbac.yaml of the chart)",
            access.what()
        )
    }
}

const APPLY: &str = "`helm upgrade` with crds.enabled=true, or `kubectl apply --server-side --force-conflicts -f crds/` of this version";

#[cfg(test)]
mod tests {
    use super::*;

    fn place(scopes: &[&str]) -> Place {
        let scopes = Scope::of(&scopes.iter().map(ToString::to_string).collect());
        Place { scopes, home: "edusync-system".to_owned() }
    }

    #[test]
    fn a_refusal_in_one_namespace_is_one_of_all_where_the_cluster_role_permits() {
        let refused = Access {
            name: Some("contoso".to_owned()),
            ..Access::new("patch", GROUP, "graphconnections", Some("school"))
        };
        let everywhere = Need::Access(Access::new("patch", GROUP, "graphconnections", None));
        assert_eq!(place(&[]).need_of(refused.clone()), Some(everywhere));
        let here = Need::Access(Access::new("patch", GROUP, "graphconnections", Some("school")));
        assert_eq!(place(&["school"]).need_of(refused.clone()), Some(here));
        assert_eq!(place(&["other"]).need_of(refused), None, "nobody needs that");
        let lease = Access::new("update", "coordination.k8s.io", "leases", Some("edusync-system"));
        assert_eq!(place(&[]).need_of(lease.clone()), Some(Need::Access(lease)));
        let secret =
            Access { name: Some("graph".to_owned()), ..Access::new("get", "", "secrets", Some("school")) };
        assert_eq!(place(&[]).need_of(secret.clone()), Some(Need::Access(secret)));
        assert_eq!(place(&[]).need_of(Access::new("delete", "", "pods", None)), None);
    }

    #[test]
    fn sentences_say_what_to_do() {
        let access = Access::new("update", GROUP, "graphconnections/status", None);
        assert_eq!(
            place(&[]).no_permission(&access, "system:serviceaccount:edusync-system:edusync"),
            "system:serviceaccount:edusync-system:edusync may not update graphconnections.edusync.dev/status in all namespaces: a ClusterRole that is bound to it needs the rule {apiGroups: [\"edusync.dev\"], resources: [\"graphconnections/status\"], verbs: [\"update\"]}; `helm upgrade` with rbac.create=true puts it back (templates/rbac.yaml of the chart)",
        );
        let lease = Access::new("get", "coordination.k8s.io", "leases", Some("edusync-system"));
        let said = place(&[]).no_permission(&lease, "edusync");
        assert!(
            said.contains("in namespace edusync-system: a Role of namespace edusync-system that"),
            "{said}"
        );
        let fields = ["status.a", "status.b", "status.c", "status.d"].map(str::to_owned);
        let said = Place::old_definition("graphconnections", &fields);
        assert!(said.contains("lacks status.a, status.b, status.c and 1 more, so"), "{said}");
    }
}
