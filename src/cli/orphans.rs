//! `edusync orphans`: profiles of a tenant that no resource claims, and resources whose profile is gone.

use std::process::ExitCode;

use kube::ResourceExt as _;
use serde::Serialize;

use super::access::{ClusterFlags, GraphFlags, Reached, graph_sentence};
use super::claims::Resources;
use super::connection_name::ConnectionName;
use super::output::{Form, Look, Paint, Table, add_line, plain, show};
use super::{attention_if, block_on};
use crate::upstream::tenant_of;

/// List profiles that no resource claims, and resources whose profile is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The GraphConnection that leads to the tenant.
    #[arg(long, default_value = "default", value_name = "[NAMESPACE/]NAME")]
    connection: ConnectionName,
    /// Form of the output.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Form,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    graph: GraphFlags,
}

const EXAMPLES: &str = "\
Examples:
  What is in the tenant that nobody manages?
    edusync orphans --connection default --namespace school
  Take such a profile over:
    edusync import --connection default --profile-id 3f0b1c52-8a5e-4e0d-9c5f-7d2f1b8e6a01 | kubectl apply -f -

Resources of all namespaces are looked at, as far as you may list them. Those of another cluster are not known.
Exit codes: 0 none; 2 some; 1 the tenant or the resources cannot be read.";

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// Profiles without a resource.
    unclaimed: Vec<Unclaimed>,
    /// Resources without a profile.
    gone: Vec<Gone>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Unclaimed {
    profile_id: String,
    display_name: String,
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gone {
    namespace: String,
    name: String,
    profile_id: String,
    display_name: String,
}

impl Arguments {
    /// Lists them.
    ///
    /// # Errors
    /// When the tenant or the resources cannot be read.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let found = block_on(async {
            let kube = self.cluster.connect().await?;
            let resources = Resources::read(&kube).await?;
            let reached = kube.reach(&self.connection.from(&kube.namespace), &self.graph).await?;
            let found = find(&reached, &resources).await;
            reached.finish().await;
            found
        })?;
        show(self.output, &found, || render(&found, Paint::for_stdout()))?;
        Ok(attention_if(!found.unclaimed.is_empty() || !found.gone.is_empty()))
    }
}

async fn find(reached: &Reached, resources: &Resources) -> anyhow::Result<Found> {
    let tenant = tenant_of(&reached.connection);
    let client = &reached.upstream.reads;
    let listed = client
        .list()
        .await
        .map_err(|error| graph_sentence("the profiles of the tenant cannot be listed", &error))?;
    let unclaimed = listed
        .values()
        .filter(|profile| resources.owner(&tenant, profile).is_none())
        .map(|profile| Unclaimed {
            profile_id: profile.id.clone(),
            display_name: profile.display_name.clone(),
            state: profile.state.as_str(),
        })
        .collect();
    let mut gone = Vec::new();
    for (resource, binding) in resources.bound(&tenant) {
        if listed.contains_key(&binding.profile_id) {
            continue;
        }
        // A list alone proves nothing: the profile's own address has to say so as well.
        let there = client.get(&binding.profile_id).await.map_err(|error| {
            graph_sentence(&format!("the profile {} cannot be read", binding.profile_id), &error)
        })?;
        if there.is_none() {
            gone.push(Gone {
                namespace: resource.namespace().unwrap_or_default(),
                name: resource.name_any(),
                profile_id: binding.profile_id.clone(),
                display_name: binding.display_name.clone(),
            });
        }
    }
    Ok(Found { unclaimed, gone })
}

fn render(found: &Found, paint: Paint) -> String {
    let mut profiles = Table::new(&["PROFILE ID", "DISPLAY NAME", "STATE"]);
    for profile in &found.unclaimed {
        let (id, name) = (profile.profile_id.clone(), profile.display_name.clone());
        profiles.row(vec![plain(id), plain(name), plain(profile.state)]);
    }
    let mut resources = Table::new(&["NAMESPACE", "RESOURCE", "PROFILE ID", "DISPLAY NAME"]);
    for gone in &found.gone {
        resources.row(vec![
            plain(gone.namespace.clone()),
            plain(gone.name.clone()),
            plain(gone.profile_id.clone()),
            plain(gone.display_name.clone()),
        ]);
    }
    let mut text = String::new();
    for (heading, table) in [
        ("profiles that no resource claims (edusync import takes them over):", profiles.render(paint)),
        ("resources whose profile is gone from Microsoft Graph:", resources.render(paint)),
    ] {
        if !table.is_empty() {
            add_line(&mut text, &paint.paint(Look::Doubtful, heading));
            add_line(&mut text, &table);
        }
    }
    if text.is_empty() {
        "no orphans: every profile has its resource, and every resource its profile\n".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_orphans_are_shown() {
        let unclaimed = vec![Unclaimed {
            profile_id: "1".to_owned(),
            display_name: "Old".to_owned(),
            state: "provisioned",
        }];
        let gone = vec![Gone {
            namespace: "school".to_owned(),
            name: "contoso".to_owned(),
            profile_id: "2".to_owned(),
            display_name: "Contoso".to_owned(),
        }];
        assert_eq!(
            render(&Found { unclaimed, gone }, Paint::none()),
            "profiles that no resource claims (edusync import takes them over):\n\
             PROFILE ID  DISPLAY NAME  STATE\n\
             1           Old           provisioned\n\
             \n\
             resources whose profile is gone from Microsoft Graph:\n\
             NAMESPACE  RESOURCE  PROFILE ID  DISPLAY NAME\n\
             school     contoso   2           Contoso\n\
             \n"
        );
        let none = Found { unclaimed: Vec::new(), gone: Vec::new() };
        assert!(render(&none, Paint::none()).starts_with("no orphans"));
    }
}
