//! Ctrl-C, and what it means when. Ends nothing itself: whoever waits asks here, gives up, and drops what it holds.

use std::fmt;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// What a shell reports of a program that SIGINT has ended.
pub(crate) const EXIT_CODE: u8 = 130;

/// Whether somebody has pressed Ctrl-C. SIGTERM counts as that too.
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    deferred: Arc<AtomicBool>,
}

/// The error of a wait that Ctrl-C has ended.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("stopped by Ctrl-C")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupt {
    pub(crate) fn install() -> Result<Self> {
        let interrupt = Self { asked: Arc::default(), deferred: Arc::default() };
        let (asked, deferred) = (Arc::clone(&interrupt.asked), Arc::clone(&interrupt.deferred));
        ctrlc::set_handler(move || {
            let again = asked.swap(true, Ordering::SeqCst);
            // A second one is impatient. What is guarded ends all the same.
            if again || !deferred.load(Ordering::SeqCst) {
                process::exit(EXIT_CODE.into());
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(interrupt)
    }

    /// From now on programs run that should be ended one after the other: Ctrl-C ends the next wait, and no longer
    /// this process at once.
    pub(crate) fn defer(&self) {
        self.deferred.store(true, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Fails after Ctrl-C.
    pub(crate) fn check(&self) -> Result<()> {
        if self.asked() {
            return Err(Interrupted.into());
        }
        Ok(())
    }
}
