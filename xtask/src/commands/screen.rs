//! How chores that are watched look: headings, commands, what they answer, long sentences. Knows nothing of what is shown; colours are
//! there on a terminal only.

use std::io::Write;

use console::{Term, style};
use textwrap::{Options, WordSeparator, WordSplitter};

/// Lines get no longer than this, however wide the window is: long ones are hard to read.
const WIDEST: usize = 110;
/// Everything below a heading stands this far in.
const INDENT: &str = "  ";

/// A part begins.
pub(crate) fn heading(text: &str) {
    line("");
    line(&style(text).bold().to_string());
}

/// Says something in a sentence, broken into lines.
pub(crate) fn sentence(text: &str) {
    for part in textwrap::wrap(text, unbroken(width().saturating_sub(INDENT.len()))) {
        line(&format!("{INDENT}{part}"));
    }
}

/// Shows a command as somebody would type it.
pub(crate) fn command(text: &str) {
    line("");
    let room = width().saturating_sub(2 * INDENT.len() + " \\".len());
    let parts = textwrap::wrap(text, unbroken(room).subsequent_indent("    "));
    for (number, part) in (1..).zip(&parts) {
        let prompt = if number == 1 { "$" } else { " " };
        let more = if number < parts.len() { " \\" } else { "" };
        line(&format!("{INDENT}{} {}", style(prompt).dim(), style(format!("{part}{more}")).cyan()));
    }
}

/// Shows what a program has answered, as it is.
pub(crate) fn answer(text: &str) {
    for part in text.trim_end().lines() {
        line(&format!("{INDENT}{part}"));
    }
}

/// A check that held.
pub(crate) fn held(text: &str) {
    line(&format!("{INDENT}{} {text}", style("✓").green()));
}

/// Shows a sentence behind a label; further lines stand below the sentence.
pub(crate) fn labelled(label: &str, text: &str) {
    let room = width().saturating_sub(INDENT.len() + label.chars().count());
    let blank = " ".repeat(label.chars().count());
    let mut lead = label;
    for part in textwrap::wrap(text, unbroken(room.max(30))) {
        line(&format!("{INDENT}{lead}{part}"));
        lead = &blank;
    }
}

pub(crate) fn line(text: &str) {
    // Whoever closed standard output does not want to read this.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Breaks lines at spaces only: a path or a flag is one word, however long.
fn unbroken(room: usize) -> Options<'static> {
    Options::new(room)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
}

fn width() -> usize {
    Term::stdout().size_checked().map_or(WIDEST, |(_, columns)| usize::from(columns).min(WIDEST))
}
