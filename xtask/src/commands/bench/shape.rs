//! How many profiles there are, in how many tenants, and what they are called. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commands::tenant::{self, CLIENT_SECRET, Object};

/// So many profiles, so many in each tenant. Every tenant has a namespace with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shape {
    pub(super) profiles: usize,
    pub(super) per_tenant: usize,
}

impl Shape {
    pub(super) fn tenants(&self) -> usize {
        self.profiles.div_ceil(self.per_tenant.max(1)).max(1)
    }

    /// For people.
    pub(super) fn title(&self) -> String {
        let plural = |number: usize, one: &str| {
            let shown = super::figures::number(xtask::numbers::count(number), 0);
            format!("{shown} {one}{}", if number == 1 { "" } else { "s" })
        };
        format!("{}, {}", plural(self.profiles, "profile"), plural(self.tenants(), "tenant"))
    }

    /// For the head of a column: profiles, and tenants.
    pub(super) fn short(&self) -> String {
        let shown = |number| super::figures::number(xtask::numbers::count(number), 0);
        let tenants = self.tenants();
        format!(
            "{} in {} tenant{}",
            shown(self.profiles),
            shown(tenants),
            if tenants == 1 { "" } else { "s" }
        )
    }

    /// The name of its files.
    pub(super) fn file(&self, extension: &str) -> String {
        format!("{}x{}.{extension}", self.profiles, self.per_tenant)
    }

    /// In which tenant a profile is.
    pub(super) fn tenant_of(&self, profile: usize) -> usize {
        profile / self.per_tenant.max(1)
    }

    /// The resource as [`super::watch::Watch`] names it.
    pub(super) fn key(&self, profile: usize) -> String {
        format!("{}/{}", namespace(self.tenant_of(profile)), resource(profile))
    }

    /// The resource with this prefix of its name, instead of `profile`.
    pub(super) fn object(&self, profile: usize, prefix: &str, expires: Option<&str>) -> Object {
        let namespace = namespace(self.tenant_of(profile));
        let name = resource(profile).replace("profile", prefix);
        let mut spec = tenant::csv_spec(&format!("School {prefix} {profile}"));
        tenant::set(&mut spec, "expirationDate", expires.map_or(Value::Null, Value::from));
        Object {
            path: format!("{}/{name}", tenant::profiles_path(&namespace)),
            manifest: tenant::profile(&namespace, &name, &spec),
        }
    }

    /// Everything that profiles need, in the order in which it is needed: namespaces, then what is in them.
    pub(super) fn surroundings(&self, graph_url: &str, graph_ca: &str) -> [Vec<Object>; 2] {
        let names = || (0..self.tenants()).map(|tenant| (tenant, namespace(tenant)));
        let inside = names().flat_map(|(number, name)| {
            [
                tenant::authority(&name, graph_ca),
                tenant::credentials(&name, CLIENT_SECRET),
                tenant::connection(&name, &tenant_id(number), graph_url, None),
            ]
        });
        [names().map(|(_, name)| tenant::namespace(&name)).collect(), inside.collect()]
    }

    /// `wanted` of the profiles, evenly spread.
    pub(super) fn some(&self, wanted: usize) -> Vec<usize> {
        let wanted = wanted.min(self.profiles);
        (0..wanted).map(|number| number * self.profiles / wanted.max(1)).collect()
    }
}

/// The id of a tenant.
pub(super) fn tenant_id(tenant: usize) -> String {
    format!("00000000-0000-4000-8000-{tenant:012}")
}

/// The namespace of a tenant.
pub(super) fn namespace(tenant: usize) -> String {
    format!("school-{tenant:05}")
}

/// Name of the resource of a profile.
pub(super) fn resource(profile: usize) -> String {
    format!("profile-{profile:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tenant_may_have_fewer() {
        let shape = Shape { profiles: 100, per_tenant: 3 };
        assert_eq!(shape.tenants(), 34);
        assert_eq!(shape.tenant_of(99), 33);
        assert_eq!(Shape { profiles: 1, per_tenant: 300 }.tenants(), 1);
    }

    #[test]
    fn some_are_spread_over_all() {
        let shape = Shape { profiles: 10, per_tenant: 3 };
        assert_eq!(shape.some(5), [0, 2, 4, 6, 8]);
        assert_eq!(shape.some(99).len(), 10);
    }
}
