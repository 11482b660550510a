//! Does the operator still run? A lease that is renewed says so.
//!
//! By what is seen from here: a lease that nobody has renewed for long, or that does not change while
//! it is looked at. The clock of this machine alone is not believed.

use std::time::Duration;

use anyhow::{anyhow, bail};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::cli::access::{Kube, sentence};

/// A lease that was renewed longer ago is not held, whatever clocks say.
const LONG_AGO: Duration = Duration::from_mins(10);

/// What one look at a lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nobody holds it.
    Free,
    /// Somebody may; look again after this time.
    Again(Duration),
}

/// What a lease says by itself.
#[must_use]
pub fn look(lease: &Lease, now: Timestamp) -> Look {
    let Some(spec) =
        lease.spec.as_ref().filter(|spec| spec.holder_identity.as_deref().unwrap_or_default() != "")
    else {
        return Look::Free;
    };
    let is_old = spec
        .renew_time
        .as_ref()
        .is_some_and(|time| time.0.saturating_add(LONG_AGO).is_ok_and(|end| end < now));
    if is_old {
        return Look::Free;
    }
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(15);
    Look::Again(Duration::from_secs(seconds.min(120)) + Duration::from_secs(1))
}

/// Who holds a lease of this name, in that namespace or in any; None: nobody.
///
/// # Errors
/// When leases may not be read: then nobody can tell.
pub async fn holder(
    kube: &Kube,
    namespace: Option<&str>,
    name: &str,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    for lease in leases(kube, namespace, name).await? {
        let Look::Again(wait) = look(&lease, now) else { continue };
        tokio::time::sleep(wait).await;
        let place = lease.namespace().unwrap_or_default();
        let later = leases(kube, Some(&place), name).await?;
        let is_renewed = |later: &Lease| later.resource_version() != lease.resource_version();
        // Given back meanwhile is a change too, and not one to be afraid of.
        if later.iter().any(|later| is_renewed(later) && look(later, now) != Look::Free) {
            let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
            return Ok(Some(format!("{holder} (Lease {place}/{name})")));
        }
    }
    Ok(None)
}

async fn leases(kube: &Kube, namespace: Option<&str>, name: &str) -> anyhow::Result<Vec<Lease>> {
    let client = kube.client.clone();
    let result = if let Some(namespace) = namespace {
        let found = Api::<Lease>::namespaced(client, namespace).get_opt(name).await;
        found.map(|lease| lease.into_iter().collect())
    } else {
        let named = ListParams::default().fields(&format!("metadata.name={name}"));
        Api::<Lease>::all(client).list(&named).await.map(|list| list.items)
    };
    result.map_err(|error| match namespace {
        Some(namespace) => anyhow!("cannot read the Lease {namespace}/{name}, so nobody can tell whether the operator runs: {}", sentence(&error)),
        None => anyhow!("cannot list Leases, so nobody can tell whether the operator runs (name its namespace with --lease-namespace): {}", sentence(&error)),
    })
}

/// Refuses while somebody holds the lease.
///
/// # Errors
/// When somebody does.
pub fn refuse_if_held(holder: Option<String>) -> anyhow::Result<()> {
    match holder {
        Some(holder) => bail!(
            "the operator runs: {holder} renews its lease. It would put the finalizers back, and lets resources go by itself: use deletionPolicy: Retain, or stop it first (--force goes on all the same)"
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_lease_is_free_when_nobody_holds_it_or_it_is_old() {
        let now = "2027-01-02T03:04:05Z".parse().unwrap();
        let lease = |spec: Value| {
            serde_json::from_value::<Lease>(json!({"metadata": {"name": "edusync"}, "spec": spec})).unwrap()
        };
        let held =
            |at: &str| lease(json!({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": at}));
        assert_eq!(look(&lease(json!({})), now), Look::Free);
        assert_eq!(look(&lease(json!({"holderIdentity": ""})), now), Look::Free);
        assert_eq!(look(&held("2027-01-02T02:00:00.000000Z"), now), Look::Free);
        assert_eq!(look(&held("2027-01-02T03:04:00.000000Z"), now), Look::Again(Duration::from_secs(16)));
        assert_eq!(
            look(&held("2027-01-02T04:00:00.000000Z"), now),
            Look::Again(Duration::from_secs(16)),
            "clocks differ"
        );
    }
}
