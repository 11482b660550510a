//! `edusync import`: manifests for profiles that exist in a tenant already.

mod manifest;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use serde_json::json;

use super::access::{ClusterFlags, GraphFlags, Reached, graph_sentence, not_allowed};
use super::block_on;
use super::claims::Resources;
use super::connection_name::ConnectionName;
use super::output::{note, print};
use crate::graph::RemoteProfile;
use crate::upstream::tenant_of;
use manifest::{Manifest, Place, manifest, resource_name};

/// Write manifests for profiles that exist already.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The GraphConnection that leads to the tenant.
    #[arg(long, default_value = "default", value_name = "[NAMESPACE/]NAME")]
    connection: ConnectionName,
    /// Id of a profile. Can be repeated. Left out: all profiles that no resource claims.
    #[arg(long = "profile-id", value_name = "ID")]
    profile_ids: Vec<String>,
    /// Form of the output.
    #[arg(long, short, value_enum, default_value = "yaml")]
    output: Form,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    graph: GraphFlags,
}

/// Form of the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// YAML documents with comments.
    Yaml,
    /// One List.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  All profiles that no resource claims, into a file for Git:
    edusync import --connection default --namespace school > profiles.yaml
  The same for a connection of another namespace that allows this one:
    edusync import --connection district/default --namespace school > profiles.yaml
  One of them, at once:
    edusync import --profile-id 3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01 | kubectl apply -f -

Nothing is changed, neither in Graph nor in Kubernetes. The manifests have deletionPolicy: Retain.
Exit codes: 0 done; 1 a profile cannot be read, or not be written as a manifest.";

impl Arguments {
    /// Writes them.
    ///
    /// # Errors
    /// When a profile that was asked for cannot be read or written as a manifest.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let kube = self.cluster.connect().await?;
            let resources = Resources::read(&kube).await?;
            let reached = kube.reach(&self.connection.from(&kube.namespace), &self.graph).await?;
            let found = self.profiles(&reached, &resources).await;
            reached.finish().await;
            self.write(&found?, &reached, &kube.namespace, &resources)
        })
    }

    async fn profiles(&self, reached: &Reached, resources: &Resources) -> anyhow::Result<Vec<RemoteProfile>> {
        let tenant = tenant_of(&reached.connection);
        let client = &reached.upstream.reads;
        if self.profile_ids.is_empty() {
            let listed = client
                .list()
                .await
                .map_err(|error| graph_sentence("the profiles of the tenant cannot be listed", &error))?;
            let is_free = |profile: &RemoteProfile| match resources.owner(&tenant, profile) {
                Some(owner) => {
                    let (namespace, name) = (owner.namespace().unwrap_or_default(), owner.name_any());
                    note(&format!("note: {} is left out, since {namespace}/{name} has it", profile.id));
                    false
                }
                None => true,
            };
            return Ok(listed.into_values().filter(is_free).collect());
        }
        let mut found = Vec::new();
        for id in &self.profile_ids {
            let profile = client
                .get(id)
                .await
                .map_err(|error| graph_sentence(&format!("the profile {id} cannot be read"), &error))?;
            let profile = profile.with_context(|| format!("the tenant has no profile {id}"))?;
            if let Some(owner) = resources.owner(&tenant, &profile) {
                let (namespace, name) = (owner.namespace().unwrap_or_default(), owner.name_any());
                note(&format!(
                    "warning: {id} belongs to {namespace}/{name} already; a second resource will not get it"
                ));
            }
            found.push(profile);
        }
        Ok(found)
    }

    fn write(
        &self,
        profiles: &[RemoteProfile],
        reached: &Reached,
        namespace: &str,
        resources: &Resources,
    ) -> anyhow::Result<ExitCode> {
        let tenant = tenant_of(&reached.connection).tenant_id;
        let connection = self.connection.from(namespace);
        if !reached.connection.allows(namespace) {
            note(&format!("warning: {}", not_allowed(&reached.connection, namespace)));
        }
        let mut taken: BTreeSet<String> = resources.names(namespace).collect();
        let (mut text, mut items) = (String::new(), Vec::new());
        let mut failed = 0;
        for profile in profiles {
            let name = resource_name(&profile.display_name, &profile.id, &|name| taken.contains(name));
            let place = Place { namespace, name: &name, connection: &connection };
            let manifest: Manifest = match manifest(profile, place) {
                Ok(manifest) => manifest,
                // The others are still of use.
                Err(error) => {
                    note(&format!("the profile {} cannot be imported: {error:#}", profile.id));
                    failed += 1;
                    continue;
                }
            };
            taken.insert(name);
            match self.output {
                Form::Yaml => text.push_str(&manifest.to_yaml(profile, &tenant)?),
                Form::Json => items.push(serde_json::to_value(&manifest)?),
            }
        }
        if self.output == Form::Json {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            text = format!("{}\n", serde_json::to_string_pretty(&list)?);
        }
        print(&text)?;
        if profiles.is_empty() {
            note("there is no profile that no resource claims");
        }
        ensure!(failed == 0, "{failed} of {} profiles could not be imported", profiles.len());
        Ok(ExitCode::SUCCESS)
    }
}
