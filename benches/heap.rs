//! The operator with an allocator that keeps books. When it is asked to end it writes what is alive at that moment, and who
//! asked for it, beside itself, in the form of DHAT: any of its viewers opens the file. `cargo xtask bench --scenario heap`
//! runs it and says what it found. Nothing is measured here, and nothing else differs from the operator.

#![allow(clippy::expect_used, reason = "a benchmark ends at once when its world is not as it should be")]

use std::process::ExitCode;
use std::thread;

use edusync::cli::Cli;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Deep enough to leave the libraries that are called by all.
const FRAMES: usize = 48;

fn main() -> anyhow::Result<ExitCode> {
    // An error would mean that it is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let file = std::env::current_exe()?.with_extension("json");
    let profiler = dhat::Profiler::builder().file_name(file).trim_backtraces(Some(FRAMES)).build();
    let books = thread::spawn(move || {
        told_to_end();
        // Nobody can allocate or free while it writes, so the operator's own way to its end is not in it.
        drop(profiler);
    });
    let code = Cli::read().execute()?;
    books.join().map_err(|_| anyhow::anyhow!("the books are not written"))?;
    Ok(code)
}

/// Waits for SIGTERM, of which the operator hears as well.
fn told_to_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there is a runtime").block_on(async {
        signal(SignalKind::terminate()).expect("signals can be listened to").recv().await;
    });
}
