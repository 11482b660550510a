//! Logs: text for a person, JSON for a machine, always on stderr, so that stdout stays for output.

use clap::ValueEnum;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FmtSpan, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::terminal::wants_colours;
use crate::trace;

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line of text.
    Text,
}

/// Begins to log. `level` is a level, or a filter such as `info,edusync::graph=debug`.
///
/// # Errors
/// When `level` is not a filter, or logging has begun already.
pub fn begin(format: LogFormat, level: &str) -> anyhow::Result<()> {
    // kube's own spans repeat what ours say. Who wants them names kube in the filter.
    let quiet = if level.contains("kube") { "" } else { ",kube=warn,kube_client=error,kube_runtime=warn" };
    // Whoever asks for it: kube's client tells bodies that it cannot read, and one may be a Secret.
    let filter = EnvFilter::try_new(format!("{level}{quiet},kube_client::client=error"))
        .map_err(|error| anyhow::anyhow!("--log-level {level} is neither a level nor a filter: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    let begun = match format {
        LogFormat::Json => {
            let lines = fmt::format().with_target(false).json().flatten_event(true);
            let lines = lines.with_current_span(true).with_span_list(false);
            builder.fmt_fields(JsonFields::new()).event_format(WithTrace(lines)).try_init()
        }
        LogFormat::Text => builder.with_ansi(wants_colours(&std::io::stderr())).try_init(),
    };
    begun.map_err(|error| anyhow::anyhow!("cannot begin to log: {error}"))
}

/// A line of JSON with the ids of the trace it belongs to, if there is one.
struct WithTrace<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let Some((trace, span)) = trace::ids() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let open = line.trim_end().strip_suffix('}').unwrap_or(&line);
        writeln!(writer, "{open},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
    }
}
