//! The state file: what a simulator needs to go on after a restart. Written whole and exchanged at once, readable for
//! its owner only: tokens, secrets and the key of the certificate authority are in it, in the clear.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::http::SavedSimulator;

/// Raised when older files can no longer be read.
const VERSION: u32 = 1;
const NOTE: &str =
    "State of graph-simulator. It holds tokens, secrets and a private key. Do not put real ones in.";

/// The certificate authority, so that clients may go on trusting it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Authority {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The file.
#[derive(Serialize, Deserialize)]
pub(crate) struct StateFile {
    note: String,
    version: u32,
    pub(crate) authority: Authority,
    pub(crate) simulator: SavedSimulator,
}

impl StateFile {
    pub(crate) fn new(authority: Authority, simulator: SavedSimulator) -> Self {
        Self { note: NOTE.to_owned(), version: VERSION, authority, simulator }
    }

    /// Reads the file; `None` when there is none yet.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        let shown = path.display();
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read the state file {shown}"))?,
        };
        let state: Self = serde_json::from_slice(&bytes).with_context(|| {
            format!("{shown} is no state file of this version; move it away to start anew")
        })?;
        if state.version != VERSION {
            bail!(
                "{shown} is a state file of version {}; this program reads version {VERSION}",
                state.version
            );
        }
        Ok(Some(state))
    }

    /// Writes beside the file and then takes its place, so that there is always a whole one.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let write = || -> Result<()> {
            let mut name = path.file_name().context("the path names no file")?.to_owned();
            name.push(".new");
            let beside = path.with_file_name(name);
            // Left over from a process that was killed while writing; its mode is not known.
            if let Err(error) = fs::remove_file(&beside)
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error.into());
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write the state file {}", path.display()))
    }
}
