//! Upload of the CSV files of a profile: file by file, block by block, in constant memory.
//!
//! What may be repeated is repeated here, as a file of gigabytes must not fail because of one answer:
//! a block that is sent twice is still one block. A changed address is asked for when the old one
//! expires, which it does after an hour (Graph docs, uploadUrl).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::blob::{BlobClient, BlobError, UploadId, UploadUrl};
use super::client::{GraphClient, UploadTarget};
use super::error::{Certainty, GraphError};

/// Size of a block. Two of them are in memory at most: one being read, one being sent.
const BLOCK: usize = 4 * 1024 * 1024;
/// So many blocks a file may have (Azure Blob REST API, Put Block).
const MOST_BLOCKS: u32 = 50_000;
/// Repeats of one request, with pauses that double from a second on: two minutes altogether.
const REPEATS: u32 = 7;
/// Pause while an earlier upload is still worked on.
const WHILE_BUSY: Duration = Duration::from_secs(10);

/// The files that School Data Sync reads. Their names are in lower case: blob names are
/// case-sensitive (Graph docs, answers of `start`).
pub const FILES: [&str; 6] =
    ["school.csv", "section.csv", "student.csv", "teacher.csv", "studentenrollment.csv", "teacherroster.csv"];

/// An upload that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Graph gave no address.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The blob host did not take it.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The file cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// Name of the file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file has more blocks than a blob can have.
    #[error("{0} is larger than the blob host takes (195 GiB)")]
    TooLarge(String),
    /// An earlier upload is worked on for longer than we wait.
    #[error("an earlier upload of this profile is still being processed; try again later")]
    Busy,
    /// Every new address was refused at once.
    #[error(
        "the blob host refuses every address that Microsoft Graph gives; check the clock of this machine"
    )]
    NoValidAddress,
}

/// Uploads the files of one profile.
#[derive(Debug)]
pub struct Uploader<'a> {
    client: &'a GraphClient,
    blobs: BlobClient,
    profile: String,
    /// How long an earlier upload is waited for.
    patience: Duration,
    address: Option<UploadUrl>,
}

/// A request to the blob host, which can be made again as it is.
enum Piece {
    Whole(Bytes),
    Block(UploadId, u32, Bytes),
    List(UploadId, u32),
}

impl<'a> Uploader<'a> {
    /// An uploader for a profile. `deadline` is that of one block.
    #[must_use]
    pub fn new(client: &'a GraphClient, profile: &str, deadline: Duration, patience: Duration) -> Self {
        let blobs =
            BlobClient { transport: std::sync::Arc::clone(&client.transport), clock: client.clock, deadline };
        Self { client, blobs, profile: profile.to_owned(), patience, address: None }
    }

    /// Uploads one file under `name`; `progress` hears of each block that has arrived, in bytes.
    ///
    /// # Errors
    /// When the file cannot be read, or is not taken after all repeats.
    pub async fn upload<R: AsyncRead + Unpin + Send>(
        &mut self,
        name: &str,
        mut content: R,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<(), UploadError> {
        let unreadable = |source| UploadError::Read { file: name.to_owned(), source };
        let mut block = read_block(&mut content).await.map_err(unreadable)?;
        let mut next = read_block(&mut content).await.map_err(unreadable)?;
        if next.is_empty() {
            let size = size_of(&block);
            self.send(name, &Piece::Whole(block)).await?;
            progress(size);
            return Ok(());
        }
        let upload = UploadId::unique();
        let mut number = 0;
        while !block.is_empty() {
            if number == MOST_BLOCKS {
                return Err(UploadError::TooLarge(name.to_owned()));
            }
            let size = size_of(&block);
            self.send(name, &Piece::Block(upload, number, block)).await?;
            progress(size);
            number += 1;
            block = std::mem::take(&mut next);
            if !block.is_empty() {
                next = read_block(&mut content).await.map_err(unreadable)?;
            }
        }
        self.send(name, &Piece::List(upload, number)).await
    }

    /// Sends a piece, again and again where that can help.
    async fn send(&mut self, name: &str, piece: &Piece) -> Result<(), UploadError> {
        let began = tokio::time::Instant::now();
        let mut failures = 0;
        let mut refused_addresses = 0;
        loop {
            let address = self.address().await?;
            let result = match piece {
                Piece::Whole(content) => self.blobs.put_blob(&address, name, content.clone()).await,
                Piece::Block(upload, number, content) => {
                    self.blobs.put_block(&address, name, (*upload, *number), content.clone()).await
                }
                Piece::List(upload, blocks) => {
                    self.blobs.put_block_list(&address, name, *upload, *blocks).await
                }
            };
            match result {
                Ok(()) => return Ok(()),
                Err(BlobError::Expired) => {
                    self.address = None;
                    refused_addresses += 1;
                    if refused_addresses > 2 {
                        return Err(UploadError::NoValidAddress);
                    }
                }
                Err(BlobError::Unavailable { what, retry_after }) if failures < REPEATS => {
                    let pause = retry_after.unwrap_or_else(|| growing(failures));
                    if began.elapsed() + pause > self.patience {
                        return Err(BlobError::Unavailable { what, retry_after }.into());
                    }
                    tracing::warn!(file = name, what, "the blob host did not take a block; trying again");
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The address in hand, or a new one; an earlier upload is waited for.
    async fn address(&mut self) -> Result<UploadUrl, UploadError> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        let began = tokio::time::Instant::now();
        let mut failures = 0;
        loop {
            let (pause, what) = match self.ask().await {
                Ok(UploadTarget::Ready(address)) => {
                    self.address = Some(address.clone());
                    return Ok(address);
                }
                Ok(UploadTarget::Busy) => (WHILE_BUSY, UploadError::Busy),
                // A look is not a change: whatever came of it, it can be repeated.
                Err(error) if may_pass(&error) && failures < REPEATS => {
                    failures += 1;
                    (error.retry_after().unwrap_or_else(|| growing(failures)), error.into())
                }
                Err(error) => return Err(error.into()),
            };
            if began.elapsed() + pause > self.patience {
                return Err(what);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self) -> Result<UploadTarget, GraphError> {
        let admission = self.client.ready().await?;
        self.client.upload_url(admission, &self.profile).await
    }
}

/// Credentials that are refused are refused again.
fn may_pass(error: &GraphError) -> bool {
    let refused = matches!(error, GraphError::NoToken(error) if error.is_refusal());
    !refused && error.certainty() != Certainty::No
}

fn growing(failures: u32) -> Duration {
    Duration::from_secs(1) * 2_u32.pow(failures.min(6))
}

fn size_of(block: &Bytes) -> u64 {
    u64::try_from(block.len()).unwrap_or(u64::MAX)
}

/// The next block: a whole one, or less at the end, or nothing after it.
async fn read_block<R: AsyncRead + Unpin>(content: &mut R) -> std::io::Result<Bytes> {
    let mut block = BytesMut::with_capacity(BLOCK);
    let mut limited = content.take(u64::try_from(BLOCK).unwrap_or(u64::MAX));
    // A full buffer must not be read into once more: it would grow.
    while block.len() < BLOCK && limited.read_buf(&mut block).await? > 0 {}
    Ok(block.freeze())
}
