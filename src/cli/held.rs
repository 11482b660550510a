//! `edusync held`: what the operator's finalizers hold, and what to do before it goes. The chart asks this before it is
//! uninstalled. Nothing is changed, and Graph is not asked.

use std::process::ExitCode;

use anyhow::bail;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::access::{ClusterFlags, Kube};
use super::output::{count, note, print};
use super::{attention_if, block_on};
use crate::api::{EducationSyncProfile, FINALIZER, GraphConnection, IN_USE_FINALIZER};
use crate::kubernetes::sentence;

/// Show what could not be deleted without the operator.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Look at all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "namespaces"])]
    all_namespaces: bool,
    /// Namespaces to look at, instead of the one in force.
    #[arg(value_name = "NAMESPACE", conflicts_with = "namespace")]
    namespaces: Vec<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
}

const EXAMPLES: &str = "\
Examples:
  May the operator be uninstalled?
    edusync held -A

Exit codes: 0 nothing is held; 2 something is; 1 the resources cannot be read.";

/// What to do, in the order in which it should be considered.
const REMEDY: &str = "\
with a finalizer of edusync: without the operator neither they nor their namespaces can be deleted. Before it goes:
- to delete them, do it now, while the operator runs: kubectl delete educationsyncprofiles,graphconnections --all --namespace NAMESPACE
  That deletes the profiles in Microsoft Graph too, unless spec.deletionPolicy is Retain.
- to keep them for an operator that comes back, let them be: helm uninstall --no-hooks
  What is to be deleted meanwhile waits for it, or for: edusync release --all --namespace NAMESPACE";

impl Arguments {
    /// Shows it.
    ///
    /// # Errors
    /// When the resources cannot be read.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let lines = block_on(async {
            let kube = self.cluster.connect().await?;
            let places =
                if self.namespaces.is_empty() { vec![kube.namespace.clone()] } else { self.namespaces };
            let mut lines = Vec::new();
            for namespace in places {
                let kube = Kube { client: kube.client.clone(), namespace };
                let everywhere = self.all_namespaces;
                lines.extend(held::<EducationSyncProfile>(&kube, everywhere, FINALIZER).await?);
                lines.extend(held::<GraphConnection>(&kube, everywhere, IN_USE_FINALIZER).await?);
            }
            Ok(lines)
        })?;
        if lines.is_empty() {
            note("nothing has a finalizer of edusync");
        } else {
            print(&(lines.join("\n") + "\n"))?;
            note(&format!("{} {REMEDY}", count(lines.len(), "resource")));
        }
        Ok(attention_if(!lines.is_empty()))
    }
}

/// Resources of a kind that have the finalizer.
async fn held<K>(kube: &Kube, everywhere: bool, finalizer: &str) -> anyhow::Result<Vec<String>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let kind = K::kind(&());
    let resources = match kube.list::<K>(everywhere).await {
        Ok(resources) => resources,
        // Without the definitions there are no resources either.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => bail!("cannot list {kind}s: {}", sentence(&error)),
    };
    let held = resources.iter().filter(|resource| resource.finalizers().iter().any(|name| name == finalizer));
    Ok(held
        .map(|resource| {
            format!("{kind} {}/{}", resource.namespace().unwrap_or_default(), resource.name_any())
        })
        .collect())
}
