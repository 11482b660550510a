//! Which profiles of a tenant belong to which resources, as far as this person may see.
//!
//! Pure but for the list. It goes by what statuses and manifests say; what the operator of another
//! cluster claims cannot be seen from here.

use anyhow::anyhow;
use kube::ResourceExt as _;

use super::access::Kube;
use super::output::note;
use crate::api::EducationSyncProfile;
use crate::api::status::Binding;
use crate::graph::RemoteProfile;
use crate::graph::name::NameKey;
use crate::kubernetes::sentence;
use crate::reconcile::claims::Tenant;

/// The resources that this person may see.
#[derive(Debug)]
pub struct Resources(Vec<EducationSyncProfile>);

impl Resources {
    /// All that may be listed: of every namespace or, where that is not allowed, of this one.
    ///
    /// # Errors
    /// When not even those of this namespace may be listed.
    pub async fn read(kube: &Kube) -> anyhow::Result<Self> {
        match kube.list(true).await {
            Ok(resources) => Ok(Self(resources)),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let listed = kube.list(false).await;
                let resources = listed
                    .map_err(|error| anyhow!("cannot list EducationSyncProfiles: {}", sentence(&error)))?;
                note(&format!(
                    "note: only the namespace {} is looked at, since you may not list EducationSyncProfiles in all: what other namespaces claim is not known",
                    kube.namespace
                ));
                Ok(Self(resources))
            }
            Err(error) => Err(anyhow!("cannot list EducationSyncProfiles: {}", sentence(&error))),
        }
    }

    /// Those resources.
    #[cfg(test)]
    pub const fn of(resources: Vec<EducationSyncProfile>) -> Self {
        Self(resources)
    }

    /// One more, as if it were in the cluster; one of the same name is replaced.
    pub fn add(&mut self, resource: EducationSyncProfile) {
        let is_same = |r: &EducationSyncProfile| {
            r.namespace() == resource.namespace() && r.name_any() == resource.name_any()
        };
        self.0.retain(|known| !is_same(known));
        self.0.push(resource);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[EducationSyncProfile] {
        &self.0
    }

    /// Names that are taken in a namespace.
    pub fn names<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0
            .iter()
            .filter(move |r| r.namespace().as_deref() == Some(namespace))
            .map(kube::ResourceExt::name_any)
    }

    /// The resource of this name.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<&EducationSyncProfile> {
        self.0.iter().find(|r| r.namespace().as_deref() == Some(namespace) && r.name_any() == name)
    }

    /// The resources of a namespace.
    pub fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a EducationSyncProfile> {
        self.0.iter().filter(move |r| r.namespace().as_deref() == Some(namespace))
    }

    /// Resources with a profile in this tenant, and that profile.
    pub fn bound<'a>(
        &'a self,
        tenant: &'a Tenant,
    ) -> impl Iterator<Item = (&'a EducationSyncProfile, &'a Binding)> {
        self.0
            .iter()
            .filter_map(|resource| Some((resource, trusted(resource)?)))
            .filter(|(_, binding)| is_in(tenant, &binding.endpoint, &binding.tenant_id))
    }

    /// Who has this profile: by its binding, or by an attempt to create one of that name whose outcome is open.
    #[must_use]
    pub fn owner<'a>(
        &'a self,
        tenant: &'a Tenant,
        profile: &RemoteProfile,
    ) -> Option<&'a EducationSyncProfile> {
        let bound = self.bound(tenant).find(|(_, binding)| binding.profile_id == profile.id);
        bound.map(|(resource, _)| resource).or_else(|| {
            self.0.iter().find(|resource| {
                let status = resource.status.as_ref();
                let unbound = status.filter(|status| status.binding.is_none());
                let attempts =
                    unbound.into_iter().flat_map(|s| s.creation.iter().chain(&s.earlier_creations));
                let mut ours = attempts.filter(|attempt| {
                    is_in(tenant, &attempt.endpoint, &attempt.tenant_id)
                        && resource.metadata.uid.as_deref() == Some(attempt.uid.as_str())
                });
                ours.any(|attempt| NameKey::of(&attempt.display_name) == profile.name)
            })
        })
    }
}

/// Is it this tenant? A status may spell the id in capital letters.
pub(super) fn is_in(tenant: &Tenant, endpoint: &str, tenant_id: &str) -> bool {
    *tenant.endpoint == *endpoint && tenant.tenant_id.eq_ignore_ascii_case(tenant_id)
}

/// The binding, if it was written for this very object.
#[must_use]
pub fn trusted(resource: &EducationSyncProfile) -> Option<&Binding> {
    let binding = resource.status.as_ref()?.binding.as_ref()?;
    (resource.metadata.uid.as_deref() == Some(binding.uid.as_str())).then_some(binding)
}
