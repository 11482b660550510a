//! What runs a profile: pause, resume, reset, start, the address for uploads, status and errors.

use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::call::{Answer, Call, UNKNOWN_ENUM_MEMBERS};
use super::pages::{NextPage, Page, Walk, whole};
use super::{GraphClient, unreadable};
use crate::graph::blob::UploadUrl;
use crate::graph::budget::Urgency;
use crate::graph::error::{CallIds, GraphError};
use crate::graph::sync::{ErrorCounts, ProfileStatus, Severity, SyncError, VerificationMessage};
use crate::graph::throttle::Admission;

/// What the verification of the uploaded files said, and whether the synchronization started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Did it start? Any message of the severity Error means that it did not, whatever the status.
    pub started: bool,
    /// The messages.
    pub messages: Vec<VerificationMessage>,
}

/// Where files can be put.
#[derive(Clone, Debug)]
pub enum UploadTarget {
    /// Here, for an hour.
    Ready(UploadUrl),
    /// Not yet: an earlier upload is still worked on. Ask again.
    Busy,
}

/// One page of errors.
#[derive(Clone, Debug)]
pub struct SyncErrors {
    /// The errors.
    pub errors: Vec<SyncError>,
    /// Where they go on.
    pub next: Option<NextPage>,
}

impl GraphClient {
    /// Pauses the synchronization.
    ///
    /// # Errors
    /// When Graph does not accept it.
    pub async fn pause(&self, admission: Admission, id: &str) -> Result<(), GraphError> {
        self.action(admission, "pause", id).await
    }

    /// Resumes the synchronization, also one that stopped with `validationError`.
    ///
    /// # Errors
    /// When Graph does not accept it.
    pub async fn resume(&self, admission: Admission, id: &str) -> Result<(), GraphError> {
        self.action(admission, "resume", id).await
    }

    /// Starts the synchronization over, and forgets its errors. Nothing is removed from the directory.
    ///
    /// # Errors
    /// When Graph does not accept it.
    pub async fn reset(&self, admission: Admission, id: &str) -> Result<(), GraphError> {
        self.action(admission, "reset", id).await
    }

    async fn action(
        &self,
        _admission: Admission,
        operation: &'static str,
        id: &str,
    ) -> Result<(), GraphError> {
        let url = self.item(&[id, operation])?;
        let answer = self.call(self.change_call(operation, Method::POST, url)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.into_error()) }
    }

    /// Verifies the uploaded files and starts the synchronization.
    ///
    /// # Errors
    /// When Graph answers neither with success nor with messages.
    pub async fn start(&self, admission: Admission, id: &str) -> Result<Start, GraphError> {
        let url = self.item(&[id, "start"])?;
        let answer = self.call(self.change_call("start", Method::POST, url)).await?;
        // Each further page has one of its own.
        drop(admission);
        let accepted = answer.status.is_success();
        if !accepted && answer.status != StatusCode::BAD_REQUEST {
            return Err(answer.into_error());
        }
        let mut messages = Vec::new();
        // Messages decide, whatever the status: the documents show errors with 200 and with 400.
        let body = answer.json();
        let has_messages = body.as_ref().and_then(|body| body.get("value")).is_some_and(Value::is_array);
        match (has_messages, accepted) {
            (true, _) => {}
            (false, true) if answer.body.is_empty() || body.is_some() => {
                return Ok(Start { started: true, messages });
            }
            (false, true) => return Err(unreadable("success that is not JSON", answer.ids)),
            (false, false) => return Err(answer.into_error()),
        }
        let mut page = self.read_page(&answer)?;
        let mut walk = Walk::default();
        let further = async {
            loop {
                messages.extend(page.items.iter().map(VerificationMessage::read));
                let Some(NextPage(next)) = walk.on(page.items.len(), page.next.take())? else {
                    return Ok(());
                };
                page = self.further_messages(next, &answer.ids).await?;
            }
        };
        whole(further).await?;
        let started = accepted && messages.iter().all(|message| message.severity != Severity::Error);
        Ok(Start { started, messages })
    }

    /// Whatever goes wrong with a further page, the POST was answered: it must not pass for one that
    /// was never sent, or was refused.
    async fn further_messages(&self, next: Url, ids: &CallIds) -> Result<Page, GraphError> {
        let lost = |_| unreadable("the messages of the verification are not complete", ids.clone());
        let _admission = self.admit(Urgency::Change).await.map_err(lost)?;
        match self.page(self.read_call("start.page", next)).await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(answer)) => Err(lost(answer.into_error())),
            Err(error) => Err(lost(error)),
        }
    }

    /// Asks where the files of a CSV profile can be put. It needs the right to write.
    ///
    /// # Errors
    /// When Graph gives no address.
    pub async fn upload_url(&self, _admission: Admission, id: &str) -> Result<UploadTarget, GraphError> {
        let url = self.item(&[id, "uploadUrl"])?;
        let answer = self.call(self.read_call("uploadUrl", url)).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(UploadTarget::Busy);
        }
        if !answer.status.is_success() {
            return Err(answer.into_error());
        }
        let address = answer.json().and_then(|body| body.get("value")?.as_str().map(str::to_owned));
        let Some(address) = address else {
            return Err(unreadable("no address for uploads", answer.ids));
        };
        let address = UploadUrl::parse(&address, &self.endpoint)
            .ok_or_else(|| unreadable("an address for uploads that is no blob host's", answer.ids))?;
        Ok(UploadTarget::Ready(address))
    }

    /// Status of the synchronization; None while the profile has none.
    ///
    /// # Errors
    /// When Graph does not answer clearly.
    pub async fn profile_status(&self, id: &str) -> Result<Option<ProfileStatus>, GraphError> {
        let _admission = self.may_read(Urgency::Poll).await?;
        let url = self.item(&[id, "profileStatus"])?;
        let call = Call { prefer: Some(UNKNOWN_ENUM_MEMBERS), ..self.read_call("profileStatus", url) };
        let answer = self.call(call).await?;
        match answer.status {
            StatusCode::OK => match answer.json() {
                Some(body) => Ok(ProfileStatus::read(&body)),
                None => Err(unreadable("the status is not JSON", answer.ids)),
            },
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.into_error()),
        }
    }

    /// A page of the errors of the synchronization: the first, or the one at `next`.
    ///
    /// # Errors
    /// When the page does not come or cannot be read.
    pub async fn errors(&self, id: &str, next: Option<NextPage>) -> Result<SyncErrors, GraphError> {
        let _admission = self.may_read(Urgency::Poll).await?;
        let url = match next {
            Some(NextPage(url)) => url,
            None => self.item(&[id, "errors"])?,
        };
        match self.page(self.read_call("errors", url)).await? {
            Ok(page) => {
                Ok(SyncErrors { errors: page.items.iter().map(SyncError::read).collect(), next: page.next })
            }
            Err(answer) => Err(answer.into_error()),
        }
    }

    /// How many errors the synchronization has.
    ///
    /// # Errors
    /// When Graph does not answer with a number.
    pub async fn error_count(&self, id: &str) -> Result<u64, GraphError> {
        self.count_at("errors.count", self.item(&[id, "errors", "$count"])?).await
    }

    /// One error, or None when Graph says 404.
    ///
    /// # Errors
    /// When Graph does not answer clearly.
    pub async fn error(&self, id: &str, error_id: &str) -> Result<Option<SyncError>, GraphError> {
        let _admission = self.may_read(Urgency::Poll).await?;
        let url = self.item(&[id, "errors", error_id])?;
        let answer = self.call(self.read_call("errors.get", url)).await?;
        match answer.status {
            StatusCode::OK => {
                read_error(&answer).ok_or_else(|| unreadable("the error is not JSON", answer.ids))
            }
            StatusCode::NOT_FOUND => return Ok(None),
            _ => Err(answer.into_error()),
        }
        .map(Some)
    }

    /// All errors, counted by kind of entry and code. Nothing that names a person is kept.
    ///
    /// # Errors
    /// When a page does not come or cannot be read.
    pub async fn error_counts(&self, id: &str) -> Result<ErrorCounts, GraphError> {
        let mut counts = ErrorCounts::new();
        let (mut next, mut walk) = (None, Walk::default());
        let count = async {
            loop {
                let page = self.errors(id, next.take()).await?;
                next = walk.on(page.errors.len(), page.next)?;
                for error in page.errors {
                    *counts.entry((error.entry_type, error.error_code)).or_default() += 1;
                }
                if next.is_none() {
                    return Ok(());
                }
            }
        };
        whole(count).await?;
        Ok(counts)
    }
}

fn read_error(answer: &Answer) -> Option<SyncError> {
    answer.json().filter(Value::is_object).map(|value| SyncError::read(&value))
}
