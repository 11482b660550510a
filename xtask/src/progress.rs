//! What a person sees while something takes long: one line a step, refreshed in place on a terminal, a sign of life
//! every 15 seconds elsewhere. Only the display: no step is run or timed out here.
//!
//! Lines are written to the handle of standard error, not with `eprintln!`, which the test harness captures: the first
//! `cargo test` builds Go programs for minutes and must not look dead.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::timing::Stopwatch;

/// How often a step says that it is still at work where lines cannot be refreshed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How often the line of a step is drawn again on a terminal.
const REDRAW: Duration = Duration::from_millis(120);

/// Shows steps on standard error.
#[derive(Debug, Clone)]
pub struct Progress {
    terminal: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Refreshes lines in place when standard error is a terminal, else prints a line now and then.
    #[must_use]
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// Shows that `what` has begun. The step ends with [`Step::done`]; one that is dropped is shown as failed.
    #[must_use]
    pub fn step(&self, what: impl Into<String>) -> Step {
        let what = what.into();
        let display = if self.terminal { Display::spinner(&what) } else { Display::lines(what.clone()) };
        Step { what, watch: Stopwatch::start(), display: Some(display) }
    }
}

/// Something that is under way.
#[derive(Debug)]
pub struct Step {
    what: String,
    watch: Stopwatch,
    display: Option<Display>,
}

impl Step {
    /// Shows how far it is, behind what it is.
    pub fn tell(&self, detail: &str) {
        let text = format!("{}: {detail}", self.what);
        match &self.display {
            Some(Display::Spinner(bar)) => bar.set_message(text),
            Some(Display::Lines { said, .. }) => *said.lock().unwrap_or_else(PoisonError::into_inner) = text,
            None => {}
        }
    }

    /// Ends the step well.
    pub fn done(mut self) {
        self.end("✓");
    }

    fn end(&mut self, mark: &str) {
        if let Some(display) = self.display.take() {
            display.clear();
            write_line(&format!("{mark} {} ({} s)", self.what, self.watch.elapsed().as_secs()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.end("✗");
    }
}

#[derive(Debug)]
enum Display {
    Spinner(ProgressBar),
    Lines {
        /// What the next sign of life says.
        said: Arc<Mutex<String>>,
        /// Dropping it ends the thread that shows signs of life.
        _alive: Sender<()>,
    },
}

impl Display {
    fn spinner(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        Self::Spinner(bar)
    }

    fn lines(what: String) -> Self {
        write_line(&format!("… {what}"));
        let (alive, receiver) = mpsc::channel::<()>();
        let said = Arc::new(Mutex::new(what));
        let shown = Arc::clone(&said);
        thread::spawn(move || {
            let watch = Stopwatch::start();
            while receiver.recv_timeout(SIGN_OF_LIFE) == Err(RecvTimeoutError::Timeout) {
                let said = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                write_line(&format!("… {said} ({} s so far)", watch.elapsed().as_secs()));
            }
        });
        Self::Lines { said, _alive: alive }
    }

    fn clear(self) {
        if let Self::Spinner(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn write_line(line: &str) {
    // Whoever closed standard error does not want to read this.
    let _ = writeln!(std::io::stderr(), "{line}");
}
