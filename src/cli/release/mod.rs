//! `edusync release`: lets resources go whose operator is gone already. Graph is not asked, and keeps what it has.

mod lease;

use std::io::{BufRead, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::access::{ClusterFlags, Kube};
use super::block_on;
use super::output::{note, print, printable};
use crate::api::{EducationSyncProfile, FINALIZER, GraphConnection, IN_USE_FINALIZER};
use crate::clock::Clock;
use crate::kubernetes::sentence;
use crate::operator::refresh_tokens::SECRET;

/// Take the finalizers off resources whose operator is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Names of profiles.
    #[arg(value_name = "PROFILE", required_unless_present = "all", conflicts_with = "all")]
    profiles: Vec<String>,
    /// All profiles of the namespace, then its connections and the Secret edusync-refresh-tokens.
    #[arg(long)]
    all: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Do it although the operator runs, or nobody can tell.
    #[arg(long)]
    force: bool,
    /// Namespace of the operator's Lease. Left out: it is looked for in all.
    #[arg(long, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// Name of the operator's Lease. Left out: every Lease of an operator that watches the namespace is looked at.
    #[arg(long, value_name = "NAME")]
    lease_name: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

const EXAMPLES: &str = "\
Examples:
  The operator was uninstalled too early, and a namespace cannot be deleted:
    edusync release --all --namespace school
  One resource, without a question:
    edusync release contoso --namespace school --yes

What is in Microsoft Graph stays there; its ids are printed. Nothing is deleted in Kubernetes either: what was to be
deleted there goes by itself afterwards. While the operator runs, use deletionPolicy: Retain instead.
Exit codes: 0 done; 1 refused, declined, or not everything could be let go.";

impl Arguments {
    /// Does it.
    ///
    /// # Errors
    /// When the operator runs, the person does not agree, or Kubernetes does not take it.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let kube = self.cluster.connect().await?;
            let profiles = self.profiles(&kube).await?;
            let now = Clock::of_this_machine().now();
            if !self.force {
                let place = lease::Place {
                    namespace: self.lease_namespace.as_deref(),
                    name: self.lease_name.as_deref(),
                };
                lease::refuse_if_held(lease::holder(&kube, place, now).await?)?;
            }
            for profile in &profiles {
                print(&left(profile))?;
            }
            if profiles.is_empty() && !self.all {
                note("nothing to do: none of these has the finalizer");
                return Ok(ExitCode::SUCCESS);
            }
            if !self.yes && !agrees(&kube.namespace)? {
                bail!("declined: nothing is changed");
            }
            self.release(&kube, &profiles).await
        })
    }

    async fn profiles(&self, kube: &Kube) -> anyhow::Result<Vec<EducationSyncProfile>> {
        let mut profiles: Vec<EducationSyncProfile> = Vec::new();
        if self.all {
            let listed = kube.list(false).await;
            profiles =
                listed.map_err(|error| anyhow!("cannot list EducationSyncProfiles: {}", sentence(&error)))?;
        }
        for name in &self.profiles {
            profiles.push(kube.get(name).await?);
        }
        profiles.retain(|profile| profile.finalizers().iter().any(|name| name == FINALIZER));
        Ok(profiles)
    }

    async fn release(&self, kube: &Kube, profiles: &[EducationSyncProfile]) -> anyhow::Result<ExitCode> {
        let mut failed = 0;
        let mut said = |what: &str, result: anyhow::Result<()>| match result {
            Ok(()) => note(&format!("{what} is let go")),
            Err(error) => {
                note(&format!("{what} is not let go: {error:#}"));
                failed += 1;
            }
        };
        for profile in profiles {
            let result = take_off(&kube.api(), profile, FINALIZER).await;
            said(&format!("EducationSyncProfile {}", profile.name_any()), result);
        }
        if self.all {
            // In this order: a connection is needed as long as a profile is.
            let connections: Vec<GraphConnection> = kube
                .list(false)
                .await
                .map_err(|error| anyhow!("cannot list GraphConnections: {}", sentence(&error)))?;
            for connection in connections.iter().filter(|connection| has(*connection)) {
                let result = take_off(&kube.api(), connection, IN_USE_FINALIZER).await;
                said(&format!("GraphConnection {}", connection.name_any()), result);
            }
            let secret = kube.api::<Secret>().get_opt(SECRET).await;
            let secret =
                secret.map_err(|error| anyhow!("cannot read the Secret {SECRET}: {}", sentence(&error)))?;
            if let Some(secret) = secret.filter(has) {
                let result = take_off(&kube.api(), &secret, IN_USE_FINALIZER).await;
                said(&format!("Secret {SECRET}"), result);
            }
        }
        ensure!(failed == 0, "{failed} could not be let go");
        Ok(ExitCode::SUCCESS)
    }
}

fn has<K: ResourceExt>(resource: &K) -> bool {
    resource.finalizers().iter().any(|name| name == IN_USE_FINALIZER)
}

/// Takes a finalizer off exactly this version: what somebody else has added meanwhile stays.
async fn take_off<K>(api: &Api<K>, resource: &K, finalizer: &str) -> anyhow::Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let kept: Vec<&String> = resource.finalizers().iter().filter(|name| *name != finalizer).collect();
    let version = resource.resource_version();
    let patch = json!({"metadata": {"finalizers": kept, "resourceVersion": version}});
    match api.patch(&resource.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        // Gone is what was wanted.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(anyhow!("{}", sentence(&error))),
    }
}

/// What of a resource stays in Graph.
fn left(profile: &EducationSyncProfile) -> String {
    let name = profile.name_any();
    let status = profile.status.as_ref();
    if let Some(binding) = status.and_then(|status| status.binding.as_ref()) {
        return format!(
            "{name}: the profile {} \"{}\" stays in the tenant {} at {}\n",
            binding.profile_id,
            printable(&binding.display_name),
            binding.tenant_id,
            binding.endpoint
        );
    }
    let attempts =
        status.into_iter().flat_map(|status| status.creation.iter().chain(&status.earlier_creations));
    let lines = attempts.map(|attempt| {
        format!(
            "{name}: a profile \"{}\" may have been created in the tenant {} at {}: the attempt {} has no known outcome\n",
            printable(&attempt.display_name),
            attempt.tenant_id,
            attempt.endpoint,
            attempt.attempt
        )
    });
    let text: String = lines.collect();
    if text.is_empty() { format!("{name}: has no profile in Microsoft Graph\n") } else { text }
}

fn agrees(namespace: &str) -> anyhow::Result<bool> {
    ensure!(std::io::stdin().is_terminal(), "nobody is there to ask: add --yes");
    note(&format!(
        "Take the finalizers off in the namespace {namespace}? edusync forgets these profiles for good. (yes/no)"
    ));
    is_yes(std::io::stdin().lock())
}

/// Nothing but a whole "yes" is one.
fn is_yes(mut answers: impl BufRead) -> anyhow::Result<bool> {
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn profile(status: &Value) -> EducationSyncProfile {
        serde_json::from_value(json!({"metadata": {"name": "contoso"}, "status": status,
            "spec": {"displayName": "C", "dataProvider": {"csv": {}}, "identitySynchronizationConfiguration": {}}}))
        .unwrap()
    }

    #[test]
    fn what_stays_in_graph_is_told_with_id_and_tenant() {
        let binding = json!({"uid": "u", "endpoint": "https://graph.microsoft.com", "tenantId": "t", "profileId": "p", "displayName": "Contoso"});
        assert_eq!(
            left(&profile(&json!({"binding": binding}))),
            "contoso: the profile p \"Contoso\" stays in the tenant t at https://graph.microsoft.com\n"
        );
        let attempt = json!({"attempt": "a", "uid": "u", "endpoint": "https://graph.microsoft.com", "tenantId": "t", "displayName": "Contoso",
            "dataProvider": "csv", "identitySynchronizationConfiguration": "creation", "notAfter": "2027-01-02T03:04:05Z"});
        let text = left(&profile(&json!({"creation": attempt})));
        assert!(
            text.contains("may have been created in the tenant t") && text.contains("the attempt a"),
            "{text}"
        );
        assert_eq!(left(&profile(&json!({}))), "contoso: has no profile in Microsoft Graph\n");
    }

    #[test]
    fn whoever_does_not_say_yes_declines() {
        for (answer, yes) in [
            ("yes\n", true),
            (" YES ", true),
            ("no\nyes\n", false),
            ("y\n", false),
            ("\n", false),
            ("", false),
        ] {
            assert_eq!(is_yes(answer.as_bytes()).unwrap(), yes, "{answer:?}");
        }
    }
}
