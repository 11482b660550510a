//! What commands print: tables and colours for people, JSON and YAML for programs. Nothing is decided here.
//!
//! Cells come from Graph and from manifests, so what could steer a terminal is taken out of them.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

use crate::terminal::wants_colours;

/// Form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table for people.
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// How a cell looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// All is well.
    Good,
    /// Worth a look.
    Doubtful,
    /// A person must act.
    Bad,
}

/// Puts colours in, or not.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Colours if standard output is a terminal that shows them, and nobody asked for none (no-color.org).
    #[must_use]
    pub fn for_stdout() -> Self {
        Self(wants_colours(&io::stdout()))
    }

    /// No colours.
    #[cfg(test)]
    pub const fn none() -> Self {
        Self(false)
    }

    /// Colours, whatever standard output is.
    #[cfg(test)]
    pub const fn always() -> Self {
        Self(true)
    }

    /// The text in a look.
    #[must_use]
    pub fn paint(self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Plain => None,
            Look::Strong => Some("1"),
            Look::Good => Some("32"),
            Look::Doubtful => Some("33"),
            Look::Bad => Some("31"),
        };
        match code.filter(|_| self.0) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// A table of cells, each with its look.
#[derive(Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<(Look, String)>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<(Look, String)>) {
        self.rows.push(cells.into_iter().map(|(look, text)| (look, printable(&text))).collect());
    }

    /// The table as text; nothing when it has no rows.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let headings: Vec<_> = self.headings.iter().map(|text| (Look::Strong, (*text).to_owned())).collect();
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|row| row.get(column)).map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let mut text = String::new();
        for row in lines() {
            // No blanks at the end of a line.
            let last = row.iter().rposition(|(_, cell)| !cell.is_empty()).unwrap_or_default();
            for (column, (look, cell)) in row.iter().enumerate().take(last + 1) {
                text.push_str(&paint.paint(*look, cell));
                if column < last {
                    let width = widths.get(column).copied().unwrap_or_default();
                    let blanks = width.saturating_sub(cell.chars().count()) + 2;
                    text.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// A plain cell.
#[must_use]
pub fn plain(text: impl Into<String>) -> (Look, String) {
    (Look::Plain, text.into())
}

/// The text in one line, without what could steer a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Prints to standard output. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// When standard output does not take it.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Says something beside the output, on standard error.
pub fn note(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a value as JSON or YAML; for a table, what `table` makes of it.
///
/// # Errors
/// When it cannot be written.
pub fn show<T: Serialize>(form: Form, value: &T, table: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = match form {
        Form::Table => table(),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        Form::Yaml => serde_saphyr::to_string(value)?,
    };
    print(&text)
}

/// Adds a line to a text.
pub fn add_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// `1 profile`, `2 profiles`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A size as people write it.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut text = String::new();
    let (mut number, mut tenths, mut unit) = (bytes, 0, "B");
    for larger in ["KiB", "MiB", "GiB"] {
        if number < 1024 {
            break;
        }
        tenths = number % 1024 * 10 / 1024;
        number /= 1024;
        unit = larger;
    }
    // Writing into a string does not fail.
    let _ = if unit == "B" { write!(text, "{number} B") } else { write!(text, "{number}.{tenths} {unit}") };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(vec![plain("a-long-name"), (Look::Good, "well".to_owned())]);
        table.row(vec![plain("b"), plain("so\x1b[31m\nso")]);
        table.row(vec![plain("c"), plain("")]);
        assert_eq!(
            table.render(Paint::none()),
            "NAME         STATE\na-long-name  well\nb            so [31m so\nc\n"
        );
        assert!(table.render(Paint(true)).contains("\x1b[32mwell\x1b[0m"));
        assert_eq!(Table::new(&["NAME"]).render(Paint::none()), "");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(12), "12 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(3 * 1024 * 1024 * 1024), "3.0 GiB");
    }
}
