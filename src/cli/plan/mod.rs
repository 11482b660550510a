//! `edusync plan`: what would become of manifests in their tenants. Nothing is changed.

mod decide;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use kube::ResourceExt as _;
use serde_json::Value;

use super::access::{ClusterFlags, GraphFlags, Kube, graph_sentence, not_allowed};
use super::claims::Resources;
use super::connection_name::ConnectionName;
use super::output::{Form, Look, Paint, add_line, note, printable, show};
use super::{attention_if, block_on};
use crate::api::GraphConnection;
use crate::clock::Clock;
use crate::poller::Snapshot;
use crate::reconcile::cluster::Key;
use crate::reconcile::observation::ConnectionFacts;
use decide::{Action, Known, Planned, applied, blocked, decide, pruned};
use read::Wish;

/// Show what manifests would change in Microsoft Graph.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A file with manifests (YAML or JSON, several documents), or with a profile as Graph takes it; - is
    /// standard input. Can be repeated.
    #[arg(long = "filename", short = 'f', value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// The GraphConnection for a profile as Graph takes it. Manifests name their own.
    #[arg(long, default_value = "default", value_name = "[NAMESPACE/]NAME")]
    connection: ConnectionName,
    /// Show also what would become of the resources, in the namespaces of the manifests, that the files do
    /// not have.
    #[arg(long)]
    prune: bool,
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
  What would a change do?
    edusync plan -f profiles.yaml
  The same for what Kustomize or Helm makes:
    kustomize build . | edusync plan -f -
  In a pipeline, with everything that would go:
    edusync plan -f profiles.yaml --prune -o json

Nothing is changed. Secrets are neither compared nor shown.
Exit codes: 0 nothing would change; 2 something would, or something is in the way; 1 the files, the cluster or a tenant cannot be read.";

impl Arguments {
    /// Shows it.
    ///
    /// # Errors
    /// When the files, the cluster or a tenant cannot be read.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let mut wishes = Vec::new();
        for file in &self.files {
            let text = text_of(file)?;
            let (read, skipped) = read::read(&text).with_context(|| format!("in {}", file.display()))?;
            let skipped: BTreeSet<String> = skipped.into_iter().collect();
            for kind in skipped {
                note(&format!("note: {} is not looked at: only EducationSyncProfiles are", printable(&kind)));
            }
            wishes.extend(read);
        }
        let planned = block_on(async {
            let kube = self.cluster.connect().await?;
            self.plan(&kube, &wishes).await
        })?;
        show(self.output, &planned, || render(&planned, Paint::for_stdout()))?;
        Ok(attention_if(planned.iter().any(|planned| planned.action != Action::Nothing)))
    }

    async fn plan(&self, kube: &Kube, wishes: &[Wish]) -> anyhow::Result<Vec<Planned>> {
        let mut resources = Resources::read(kube).await?;
        let gone = if self.prune { gone(kube, wishes, &resources) } else { Vec::new() };
        let mut tenants: BTreeMap<Key, (GraphConnection, ConnectionFacts, Snapshot)> = BTreeMap::new();
        let mut planned = Vec::new();
        for wish in wishes {
            let namespace = wish.namespace.clone().unwrap_or_else(|| kube.namespace.clone());
            let key = wish.connection.as_ref().unwrap_or(&self.connection).from(&namespace);
            if !tenants.contains_key(&key) {
                tenants.insert(key.clone(), self.read_tenant(kube, &key).await?);
            }
            let Some((connection, facts, snapshot)) = tenants.get(&key) else { continue };
            if wish.name.is_some() && !connection.allows(&namespace) {
                planned.push(blocked(wish, &namespace, not_allowed(connection, &namespace)));
                continue;
            }
            let known = Known {
                connection: facts,
                connection_is_going: connection.metadata.deletion_timestamp.is_some(),
                snapshot,
                resources: &resources,
            };
            planned.push(decide(wish, &namespace, &known));
            // What the files have before is there when the next one comes.
            if let Some(resource) = applied(wish, &namespace, &resources, snapshot.ended) {
                resources.add(resource);
            }
        }
        planned.extend(gone);
        Ok(planned)
    }

    async fn read_tenant(
        &self,
        kube: &Kube,
        connection: &Key,
    ) -> anyhow::Result<(GraphConnection, ConnectionFacts, Snapshot)> {
        let clock = Clock::of_this_machine();
        let reached = kube.reach(connection, &self.graph).await?;
        let began = clock.now();
        let listed = reached.upstream.reads.list().await;
        let facts = reached.upstream.facts.clone();
        reached.finish().await;
        let profiles =
            listed.map_err(|error| graph_sentence("the profiles of the tenant cannot be listed", &error))?;
        Ok((reached.connection, facts, Snapshot::new(began, clock.now(), profiles)))
    }
}

/// What would become of the resources that the files do not have.
fn gone(kube: &Kube, wishes: &[Wish], resources: &Resources) -> Vec<Planned> {
    let of = |wish: &Wish| wish.namespace.clone().unwrap_or_else(|| kube.namespace.clone());
    let manifests = wishes.iter().filter(|wish| wish.name.is_some());
    let namespaces: BTreeSet<String> = manifests.clone().map(of).collect();
    let kept: BTreeSet<(String, String)> =
        manifests.filter_map(|wish| Some((of(wish), wish.name.clone()?))).collect();
    let mut planned = Vec::new();
    for namespace in &namespaces {
        let gone = resources
            .in_namespace(namespace)
            .filter(|resource| !kept.contains(&(namespace.clone(), resource.name_any())));
        planned.extend(gone.map(pruned));
    }
    planned
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The plan for people.
fn render(planned: &[Planned], paint: Paint) -> String {
    let mut text = String::new();
    for planned in
        planned.iter().filter(|planned| planned.action != Action::Nothing || planned.message.is_some())
    {
        let (word, look) = word(planned.action);
        let subject = planned.resource.as_deref().unwrap_or("profile");
        let id = planned.profile_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        let name = printable(&planned.display_name);
        add_line(&mut text, &format!("{} {subject} \"{name}\"{id}", paint.paint(look, &format!("{word:8}"))));
        if let Some(message) = &planned.message {
            add_line(&mut text, &format!("  {}", printable(message)));
        }
        for field in &planned.fields {
            let (old, new) = (printable(&field.old.to_string()), printable(&field.new.to_string()));
            let path = printable(&field.path);
            let line = match (&field.old, &field.new) {
                (Value::Null, _) => paint.paint(Look::Good, &format!("  + {path}: {new}")),
                (_, Value::Null) => paint.paint(Look::Bad, &format!("  - {path}: {old}")),
                _ => paint.paint(Look::Doubtful, &format!("  ~ {path}: {old} -> {new}")),
            };
            add_line(&mut text, &line);
        }
        text.push('\n');
    }
    let actions = [
        Action::Create,
        Action::Change,
        Action::Adopt,
        Action::Run,
        Action::Delete,
        Action::Leave,
        Action::Blocked,
    ];
    let counts = actions.into_iter().filter_map(|action| {
        let number = planned.iter().filter(|planned| planned.action == action).count();
        let what = match action {
            Action::Blocked => "in the way".to_owned(),
            action => format!("to {}", word(action).0),
        };
        (number > 0).then(|| format!("{number} {what}"))
    });
    let counts: Vec<String> = counts.collect();
    add_line(
        &mut text,
        &if counts.is_empty() { "nothing would change".to_owned() } else { counts.join(", ") },
    );
    text
}

const fn word(action: Action) -> (&'static str, Look) {
    match action {
        Action::Create => ("create", Look::Good),
        Action::Change => ("change", Look::Doubtful),
        Action::Adopt => ("adopt", Look::Doubtful),
        Action::Run => ("run", Look::Doubtful),
        Action::Delete => ("delete", Look::Bad),
        Action::Leave => ("leave", Look::Plain),
        Action::Blocked => ("blocked", Look::Bad),
        Action::Nothing => ("nothing", Look::Plain),
    }
}
