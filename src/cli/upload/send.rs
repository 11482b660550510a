//! The files on their way to Graph, with progress; then `start`, and what its verification says.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::folder::File;
use crate::cli::access::{Reached, graph_sentence};
use crate::cli::output::{Look, Paint, Table, note, plain, size};
use crate::graph::client::{Start, UploadTarget};
use crate::graph::sync::{Severity, VerificationMessage};
use crate::graph::upload::Uploader;
use crate::graph::{GraphClient, GraphError};

/// Deadline of one block of a file.
const BLOCK_DEADLINE: Duration = Duration::from_mins(2);

/// A message of the verification, as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    description: String,
}

/// The client that may upload and start. Graph documents both for the application as well, whose token
/// is not renewed by use; where it may not, the administrator does it.
///
/// # Errors
/// When neither may.
pub async fn client<'a>(reached: &'a Reached, id: &str) -> anyhow::Result<&'a GraphClient> {
    let reads = &reached.upstream.reads;
    let ask = async |client: &GraphClient| -> Result<UploadTarget, GraphError> {
        let admission = client.ready().await?;
        client.upload_url(admission, id).await
    };
    match ask(reads).await {
        Err(GraphError::Refused { status: 401 | 403, .. }) if reached.upstream.facts.delegated => {
            Ok(&reached.upstream.writes)
        }
        Err(error @ GraphError::Refused { .. }) => {
            Err(graph_sentence("Graph gives no address for uploads", &error))
        }
        _ => Ok(reads),
    }
}

/// Uploads the files, one after the other.
///
/// # Errors
/// When one cannot be read, or is not taken.
pub async fn upload(
    client: &GraphClient,
    id: &str,
    files: &[File],
    patience: Duration,
) -> anyhow::Result<()> {
    let mut uploader = Uploader::new(client, id, BLOCK_DEADLINE, patience);
    let on_terminal = std::io::stderr().is_terminal();
    for file in files {
        let content = tokio::fs::File::open(&file.path)
            .await
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        let bar = if on_terminal { bar(file)? } else { ProgressBar::hidden() };
        uploader
            .upload(file.name, content, |bytes| bar.inc(bytes))
            .await
            .map_err(|error| anyhow!("{} is not uploaded: {error}", file.name))?;
        bar.finish();
        if !on_terminal {
            note(&format!("{} is uploaded ({})", file.name, size(file.bytes)));
        }
    }
    Ok(())
}

fn bar(file: &File) -> anyhow::Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("{msg:21} [{bar:30}] {bytes:>10} / {total_bytes:10} {bytes_per_sec}")?;
    let bar = ProgressBar::with_draw_target(Some(file.bytes), ProgressDrawTarget::stderr());
    Ok(bar.with_style(style.progress_chars("=> ")).with_message(file.name))
}

/// Verifies what was uploaded, and starts the synchronization.
///
/// # Errors
/// When Graph gives neither success nor messages.
pub async fn start(client: &GraphClient, id: &str) -> anyhow::Result<Start> {
    let sentence = |error: GraphError| {
        graph_sentence("the files are uploaded, but the synchronization could not be started", &error)
    };
    let admission = client.ready().await.map_err(sentence)?;
    client.start(admission, id).await.map_err(sentence)
}

/// The messages as they may be shown. A text that is not one of those that Microsoft documents could
/// name a pupil: it is shown only to who asked for it, or sits at a terminal.
#[must_use]
pub fn messages(messages: &[VerificationMessage], reveal: bool) -> Vec<Message> {
    let shown = |message: &VerificationMessage| {
        let text = message.description.reveal();
        let description = if reveal || is_documented(text) {
            text.to_owned()
        } else {
            "not shown, as it may name people: run it in a terminal, or with --show-texts".to_owned()
        };
        let severity = match message.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Information => "Information",
        };
        Message { severity, file_name: message.file_name.clone(), description }
    };
    messages.iter().map(shown).collect()
}

/// Is it one of the sentences of Graph's page on `start`: a number, fixed words, and a known heading?
fn is_documented(text: &str) -> bool {
    let Some((number, rest)) = text.split_once(' ') else {
        return false;
    };
    let heading = [
        ("row(s) have missing data for the field - ", ""),
        ("row(s) have an invalid format for the field - ", ""),
        ("duplicates found in column ", " which requires values to be Unique."),
        ("row(s) have referenced data not found in source. Field - ", ""),
    ]
    .into_iter()
    .find_map(|(before, after)| rest.strip_prefix(before)?.strip_suffix(after));
    number.parse::<u64>().is_ok()
        && heading.is_some_and(|heading| {
            super::format::FORMATS.iter().any(|format| format.heading(heading.as_bytes()).is_some())
        })
}

/// The messages as a table.
#[must_use]
pub fn render(messages: &[Message], paint: Paint) -> String {
    let mut table = Table::new(&["SEVERITY", "FILE", "MESSAGE"]);
    for message in messages {
        let look = match message.severity {
            "Error" => Look::Bad,
            "Warning" => Look::Doubtful,
            _ => Look::Plain,
        };
        let file = message.file_name.clone().unwrap_or_default();
        table.row(vec![(look, message.severity.to_owned()), plain(file), plain(message.description.clone())]);
    }
    table.render(paint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_documented_sentences_are_shown_unasked() {
        let read = |text: &str| {
            VerificationMessage::read(
                &json!({"type": "Error", "fileName": "student.csv", "description": text}),
            )
        };
        for text in [
            "4 row(s) have missing data for the field - SIS ID",
            "17 row(s) have referenced data not found in source. Field - Section SIS ID",
            "3 duplicates found in column Username which requires values to be Unique.",
        ] {
            assert_eq!(messages(&[read(text)], false)[0].description, text);
        }
        for text in
            ["The pupil Anna Example is unknown", "4 row(s) have missing data for the field - Anna", ""]
        {
            assert!(messages(&[read(text)], false)[0].description.contains("--show-texts"), "{text}");
            assert_eq!(messages(&[read(text)], true)[0].description, text);
        }
        let table = render(
            &messages(&[read("4 row(s) have missing data for the field - SIS ID")], false),
            Paint::none(),
        );
        assert_eq!(
            table,
            "SEVERITY  FILE         MESSAGE\nError     student.csv  4 row(s) have missing data for the field - SIS ID\n"
        );
    }
}
