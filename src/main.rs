//! The binary: installs the one TLS provider, parses the command line, and dispatches.

use std::process::ExitCode;

use edusync::cli::Cli;

fn main() -> ExitCode {
    // Every TLS user in the process shares this provider; it must be there before the first client.
    // An error would mean that it is there already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::read().execute() {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "edusync: {error:#}");
            ExitCode::FAILURE
        }
    }
}
