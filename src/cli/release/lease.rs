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

use crate::cli::access::Kube;
use crate::kubernetes::sentence;
use crate::operator::lease::{LABEL, WATCHES};

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

/// Where to look for leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// In this namespace; None: in all.
    pub namespace: Option<&'a str>,
    /// Of this name; None: all that have an operator's label.
    pub name: Option<&'a str>,
}

/// Who holds a lease of an operator that cares for the namespace of `kube`; None: nobody.
///
/// # Errors
/// When leases may not be read: then nobody can tell.
pub async fn holder(kube: &Kube, place: Place<'_>, now: Timestamp) -> anyhow::Result<Option<String>> {
    let first = leases(kube, place).await?;
    let waits = first.iter().filter_map(|lease| match look(lease, now) {
        Look::Free => None,
        Look::Again(wait) => Some(wait),
    });
    let Some(wait) = waits.max() else { return Ok(None) };
    tokio::time::sleep(wait).await;
    let later = leases(kube, place).await?;
    // Given back meanwhile is a change too, and not one to be afraid of.
    let renewed = later.into_iter().filter(|later| look(later, now) != Look::Free).find(|later| {
        let before = first.iter().find(|lease| lease.metadata.uid == later.metadata.uid);
        before.is_none_or(|before| before.resource_version() != later.resource_version())
    });
    Ok(renewed.map(|lease| {
        let place = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        format!("{holder} (Lease {place})")
    }))
}

async fn leases(kube: &Kube, place: Place<'_>) -> anyhow::Result<Vec<Lease>> {
    let parameters = match place.name {
        Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
        None => ListParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1)),
    };
    let client = kube.client.clone();
    let api = match place.namespace {
        Some(namespace) => Api::<Lease>::namespaced(client, namespace),
        None => Api::all(client),
    };
    let listed = api.list(&parameters).await.map_err(|error| {
        let hint =
            if place.namespace.is_none() { " (name its namespace with --lease-namespace)" } else { "" };
        anyhow!(
            "cannot list Leases, so nobody can tell whether the operator runs{hint}: {}",
            sentence(&error)
        )
    })?;
    // Whoever names a lease means that one.
    let is_named = place.name.is_some();
    Ok(listed.items.into_iter().filter(|lease| is_named || cares_for(lease, &kube.namespace)).collect())
}

/// Does the operator of this lease watch the namespace?
fn cares_for(lease: &Lease, namespace: &str) -> bool {
    lease
        .annotations()
        .get(WATCHES)
        .is_none_or(|watched| watched.split(',').any(|watched| watched == namespace))
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

    #[test]
    fn an_operator_of_another_namespace_is_none_of_our_business() {
        let lease = |annotations: Value| {
            serde_json::from_value::<Lease>(json!({"metadata": {"name": "l", "annotations": annotations}}))
                .unwrap()
        };
        assert!(cares_for(&lease(json!({})), "school"), "it watches all");
        assert!(cares_for(&lease(json!({"edusync.dev/watches": "other,school"})), "school"));
        assert!(!cares_for(&lease(json!({"edusync.dev/watches": "other"})), "school"));
    }
}
