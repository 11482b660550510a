//! `edusync upload`: checks the CSV files of a profile, uploads them, starts the synchronization and follows it.

mod check;
mod findings;
mod folder;
mod follow;
mod format;
mod send;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kube::ResourceExt as _;
use serde::Serialize;

use super::access::{ClusterFlags, GraphFlags, Reached};
use super::output::{Form, Paint, count, note, show};
use super::run::duration;
use super::{attention_if, block_on};
use crate::api::EducationSyncProfile;
use crate::api::status::{ProfileState, SyncStatus};
use folder::{Checked, File};
use follow::Standing;

/// Check, upload and synchronize the CSV files of a profile.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The folder with school.csv, student.csv, teacher.csv and, all three or none, section.csv,
    /// studentenrollment.csv and teacherroster.csv. Names may be in any case.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The EducationSyncProfile that the files are for.
    #[arg(long, value_name = "NAME", required_unless_present = "check_only")]
    profile: Option<String>,
    /// Only check the files, on this machine. Nothing is sent, and neither Kubernetes nor Graph is asked.
    #[arg(long)]
    check_only: bool,
    /// Upload although the check found errors. Microsoft's own verification still decides.
    #[arg(long, conflicts_with = "check_only")]
    despite_findings: bool,
    /// Wait until the synchronization is over.
    #[arg(long)]
    wait: bool,
    /// How long to wait for the synchronization, and for an earlier upload that is still worked on.
    #[arg(long, default_value = "2h", value_parser = duration, value_name = "DURATION")]
    timeout: Duration,
    /// Time between two looks at the synchronization.
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    interval: Duration,
    /// How many places are shown of each kind of finding.
    #[arg(long, default_value_t = 10, value_name = "NUMBER")]
    show: usize,
    /// Show every text of Microsoft's verification, also when this is not a terminal. They may name people.
    #[arg(long)]
    show_texts: bool,
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
  Check the files alone, for example before a commit or in a pipeline:
    edusync upload ./csv --check-only
  Check, upload, start, and wait until the directory is up to date:
    edusync upload ./csv --profile contoso --namespace school --wait

Exit codes: 0 done; 2 the files have errors, by this check or by Microsoft's, and nothing has started; 1 anything else.";

/// What is printed.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    files: Vec<File>,
    findings: Vec<findings::Finding>,
    uploaded: bool,
    started: bool,
    messages: Vec<send::Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synchronization: Option<Synchronization>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Synchronization {
    status: SyncStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_count: Option<u64>,
}

impl Arguments {
    /// Does it.
    ///
    /// # Errors
    /// When the files cannot be read, or Kubernetes or Graph does not do its part.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Checked { files, findings } = folder::check_folder(&self.folder, self.show)?;
        let mut report = Report { files, findings, ..Report::default() };
        let paint = Paint::for_stdout();
        if self.output == Form::Table {
            super::output::print(&self.checked(&report, paint))?;
        }
        let has_errors = findings::has_errors(&report.findings);
        if self.check_only || (has_errors && !self.despite_findings) {
            self.print(&report)?;
            if has_errors && !self.check_only {
                note("nothing is uploaded: correct the files, or add --despite-findings");
            }
            return Ok(attention_if(has_errors));
        }
        block_on(async {
            let profile = self.profile.clone().context("--profile is missing")?;
            let kube = self.cluster.connect().await?;
            let (resource, binding, reached) = kube.reach_profile(&profile, &self.graph).await?;
            takes_files(&resource)?;
            let result = self.run(&reached, &binding.profile_id, &mut report).await;
            reached.finish().await;
            let code = result?;
            self.print(&report)?;
            Ok(code)
        })
    }

    async fn run(&self, reached: &Reached, id: &str, report: &mut Report) -> anyhow::Result<ExitCode> {
        let client = send::client(reached, id).await?;
        send::upload(client, id, &report.files, self.timeout).await?;
        report.uploaded = true;
        // What Graph says of the run before must not be taken for ours.
        let before = client.profile_status(id).await.ok().flatten();
        let start = send::start(client, id).await?;
        report.started = start.started;
        let reveal = self.show_texts || std::io::stdout().is_terminal();
        report.messages = send::messages(&start.messages, reveal);
        let is_table = self.output == Form::Table;
        if is_table {
            super::output::print(&send::render(&report.messages, Paint::for_stdout()))?;
        }
        if !start.started {
            note("Microsoft's verification found errors: the synchronization has not started");
            return Ok(attention_if(true));
        }
        if is_table {
            super::output::print("the synchronization has started\n")?;
        }
        if !self.wait {
            return Ok(ExitCode::SUCCESS);
        }
        let (standing, status) =
            follow::follow(client, id, before.as_ref(), self.interval, self.timeout).await?;
        report.synchronization =
            Some(Synchronization { status: status.status, error_count: status.error_count });
        if is_table {
            let errors = usize::try_from(status.error_count.unwrap_or_default()).unwrap_or(usize::MAX);
            let text = format!(
                "the synchronization is over: {}, {}\n",
                status.status.as_str(),
                count(errors, "error")
            );
            super::output::print(&text)?;
        }
        if standing == Standing::Failed {
            note("the synchronization did not succeed: edusync errors shows why, entry by entry");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn checked(&self, report: &Report, paint: Paint) -> String {
        let rows = report.files.iter().map(|file| {
            format!("{} ({} {})", file.name, file.rows, if file.rows == 1 { "row" } else { "rows" })
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let rows = if rows.is_empty() { format!("no files in {}", self.folder.display()) } else { rows };
        format!("checked: {rows}\n{}", findings::render(&report.findings, paint))
    }

    /// As JSON or YAML it is one document at the end; the table was printed as it came.
    fn print(&self, report: &Report) -> anyhow::Result<()> {
        show(self.output, report, String::new)
    }
}

/// Files are for CSV profiles that are set up.
fn takes_files(resource: &EducationSyncProfile) -> anyhow::Result<()> {
    let name = resource.name_any();
    ensure!(
        resource.spec.data_provider.csv.is_some(),
        "the profile {name} does not take files: only profiles with dataProvider.csv do, the others fetch their data themselves"
    );
    match resource.status.as_ref().and_then(|status| status.state) {
        Some(ProfileState::Provisioned) | None => Ok(()),
        Some(state) => bail!(
            "the profile {name} is {} in Microsoft Graph, and takes files only when it is provisioned (kubectl wait --for=condition=Ready esp/{name})",
            state.as_str()
        ),
    }
}
