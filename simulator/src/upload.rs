//! Reads the body of a request from its connection: into memory when it must be small, into a temporary file when it
//! is an upload, so that gigabytes need no more memory than a frame. Nothing is decided here.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use http::StatusCode;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::content::Content;
use crate::http::{Payload, Reading};

/// Why a body could not be read.
pub(crate) enum Unreadable {
    /// It is too large, or ended early.
    TooLarge,
    /// The answer to send instead.
    Answered(Response),
}

/// Reads a body as far as it is wanted.
pub(crate) async fn read(body: Body, reading: Reading, largest: usize) -> Result<Payload, Unreadable> {
    match reading {
        Reading::Memory => match axum::body::to_bytes(body, largest).await {
            Ok(bytes) => Ok(Payload::Memory(bytes)),
            Err(_) => Err(Unreadable::TooLarge),
        },
        Reading::Skip => {
            // A caller that is still writing may not see an answer; a small body is let in and thrown away.
            let _ = axum::body::to_bytes(body, largest).await;
            Ok(Payload::Unread)
        }
        Reading::Spool => spool(body).await.map(Payload::Spooled).map_err(|error| {
            tracing::warn!(%error, "cannot keep an upload");
            let sentence = "The upload ended early or could not be stored.\n";
            Unreadable::Answered(plain(StatusCode::INTERNAL_SERVER_ERROR, sentence))
        }),
    }
}

fn plain(status: StatusCode, sentence: &'static str) -> Response {
    let mut response = Response::new(Body::from(sentence));
    *response.status_mut() = status;
    response
}

/// Writes a body to a temporary file, which is deleted when nobody needs it any more.
async fn spool(mut body: Body) -> io::Result<Content> {
    let (file, path) = tempfile::NamedTempFile::with_prefix("graph-simulator-upload-")?.into_parts();
    let mut file = File::from_std(file);
    while let Some(bytes) = next(&mut body).await? {
        file.write_all(&bytes).await?;
    }
    file.flush().await?;
    Ok(Content::File(Arc::new(path)))
}

/// The next piece of a body; trailers are skipped.
async fn next(body: &mut Body) -> io::Result<Option<Bytes>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(io::Error::other(error)),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}
