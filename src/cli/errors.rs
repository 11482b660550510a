//! `edusync errors`: the errors of a synchronization in detail, page by page.
//!
//! Beside `upload`, the one place that reveals what Graph says about people: on the terminal of who asked
//! for it, with rights of their own.

use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use super::access::{ClusterFlags, GraphFlags, graph_sentence};
use super::block_on;
use super::output::{Look, Paint, Table, note, plain, print, printable};
use crate::graph::GraphClient;
use crate::graph::sync::SyncError;

/// Show the errors of a profile's synchronization in detail.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The EducationSyncProfile.
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// How many errors are shown at most; 0: all.
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    limit: usize,
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
  The errors of the last synchronization:
    edusync errors --profile contoso --namespace school
  All of them, for a spreadsheet:
    edusync errors --profile contoso --limit 0 -o csv > errors.csv

The output names pupils and teachers: keep it where such data may be.

Exit codes: 0 done, also without errors; 1 they cannot be read.";

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table for people, one for each page of Graph.
    Table,
    /// Comma-separated values, with headings.
    Csv,
    /// One JSON document.
    Json,
}

/// An error in the open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    recorded_date_time: Option<Timestamp>,
    entry_type: &'a str,
    error_code: &'a str,
    reportable_identifier: &'a str,
    joining_value: &'a str,
    error_message: &'a str,
    id: Option<&'a str>,
}

const HEADINGS: [&str; 6] = ["RECORDED", "ENTRY", "CODE", "IDENTIFIER", "JOINING VALUE", "MESSAGE"];

impl<'a> Shown<'a> {
    fn of(error: &'a SyncError) -> Self {
        Self {
            recorded_date_time: error.recorded,
            entry_type: &error.entry_type,
            error_code: &error.error_code,
            reportable_identifier: error.reportable_identifier.reveal(),
            joining_value: error.joining_value.reveal(),
            error_message: error.message.reveal(),
            id: error.id.as_deref(),
        }
    }

    fn recorded(&self) -> String {
        self.recorded_date_time.map(|time| time.strftime("%F %T").to_string()).unwrap_or_default()
    }
}

impl Arguments {
    /// Shows them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        block_on(async {
            let kube = self.cluster.connect().await?;
            let (_, binding, reached) = kube.reach_profile(&self.profile, &self.graph).await?;
            let result = self.show(&reached.upstream.reads, &binding.profile_id).await;
            reached.finish().await;
            result
        })?;
        Ok(ExitCode::SUCCESS)
    }

    async fn show(&self, client: &GraphClient, id: &str) -> anyhow::Result<()> {
        let mut next = None;
        let mut kept: Vec<SyncError> = Vec::new();
        let mut shown = 0;
        loop {
            let page = client
                .errors(id, next)
                .await
                .map_err(|error| graph_sentence("the errors cannot be read", &error))?;
            let mut errors = page.errors;
            let left = if self.limit == 0 { usize::MAX } else { self.limit - shown };
            let is_cut = errors.len() > left;
            errors.truncate(left);
            if shown == 0 && !errors.is_empty() {
                note("note: the output names pupils and teachers; keep it where such data may be");
            }
            let is_first = shown == 0;
            shown += errors.len();
            match self.output {
                Form::Table => print(&table(&errors, Paint::for_stdout()))?,
                Form::Csv => print(&csv(&errors, is_first)?)?,
                Form::Json => kept.extend(errors),
            }
            let is_full = self.limit != 0 && shown == self.limit;
            next = page.next;
            if next.is_none() || is_full {
                if is_cut || next.is_some() {
                    note(&format!("there are more than these {shown}: --limit 0 shows all"));
                }
                break;
            }
        }
        if self.output == Form::Json {
            let errors: Vec<Shown<'_>> = kept.iter().map(Shown::of).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&errors)?))?;
        } else if shown == 0 {
            note("the synchronization has no errors");
        }
        Ok(())
    }
}

fn table(errors: &[SyncError], paint: Paint) -> String {
    let mut table = Table::new(&HEADINGS);
    for error in errors.iter().map(Shown::of) {
        table.row(vec![
            plain(error.recorded()),
            plain(error.entry_type),
            (Look::Bad, error.error_code.to_owned()),
            plain(error.reportable_identifier),
            plain(error.joining_value),
            plain(error.error_message),
        ]);
    }
    table.render(paint)
}

fn csv(errors: &[SyncError], with_headings: bool) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    if with_headings {
        writer.write_record([
            "recordedDateTime",
            "entryType",
            "errorCode",
            "reportableIdentifier",
            "joiningValue",
            "errorMessage",
        ])?;
    }
    for error in errors.iter().map(Shown::of) {
        let recorded = error.recorded_date_time.map(|time| time.to_string()).unwrap_or_default();
        writer.write_record([
            recorded.as_str(),
            error.entry_type,
            error.error_code,
            &cell(error.reportable_identifier),
            &cell(error.joining_value),
            &cell(error.error_message),
        ])?;
    }
    let bytes = writer.into_inner().context("the errors cannot be written as CSV")?;
    String::from_utf8(bytes).context("the errors cannot be written as CSV")
}

/// A spreadsheet must not take a text from outside for a formula (OWASP, "CSV injection").
fn cell(text: &str) -> String {
    let text = printable(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors() -> Vec<SyncError> {
        vec![SyncError::read(
            &json!({"id": "1", "entryType": "Student", "errorCode": "UnsynchronizableChange",
            "recordedDateTime": "2027-01-02T03:04:05Z", "reportableIdentifier": "anna", "joiningValue": "=anna@school.example",
            "errorMessage": "No account, or two"}),
        )]
    }

    #[test]
    fn what_a_person_asked_for_is_shown_to_them() {
        assert_eq!(
            table(&errors(), Paint::none()),
            "RECORDED             ENTRY    CODE                    IDENTIFIER  JOINING VALUE         MESSAGE\n\
             2027-01-02 03:04:05  Student  UnsynchronizableChange  anna        =anna@school.example  No account, or two\n"
        );
    }

    #[test]
    fn a_spreadsheet_calculates_nothing() {
        assert_eq!(
            csv(&errors(), true).unwrap(),
            "recordedDateTime,entryType,errorCode,reportableIdentifier,joiningValue,errorMessage\n\
             2027-01-02T03:04:05Z,Student,UnsynchronizableChange,anna,'=anna@school.example,\"No account, or two\"\n"
        );
        assert_eq!(csv(&[], false).unwrap(), "");
    }
}
