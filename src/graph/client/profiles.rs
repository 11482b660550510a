//! Profiles: list, count, get, create, update, delete.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

use super::call::{Answer, Call, UNKNOWN_ENUM_MEMBERS};
use super::pages::{NextPage, Walk, whole};
use super::{GraphClient, unreadable};
use crate::api::connection::Dialect;
use crate::graph::RemoteProfile;
use crate::graph::budget::Urgency;
use crate::graph::error::{CallIds, GraphError, retired};
use crate::graph::learnt::UpdateVerb;
use crate::graph::throttle::Admission;
use crate::graph::wire::RequestBody;

/// All profiles of a tenant, by id.
type Profiles = BTreeMap<String, RemoteProfile>;

/// What Graph said to a DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Accepted: Graph is deleting.
    Accepted,
    /// There is no such profile.
    NotFound,
}

/// A change of an existing profile, in both forms; which one the service takes is learnt.
#[derive(Debug)]
pub struct Update {
    /// The whole profile, for PUT.
    pub put: RequestBody,
    /// What changes, for PATCH.
    pub patch: RequestBody,
}

/// What Graph said to an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Accepted, with the profile if the answer has it.
    Accepted(Option<Box<RemoteProfile>>),
    /// There is no such profile.
    NotFound,
}

impl GraphClient {
    /// All profiles of the tenant, by id: every page, or an error.
    ///
    /// # Errors
    /// When a page does not come or cannot be read; `Retired` when the collection is gone.
    pub async fn list(&self) -> Result<Profiles, GraphError> {
        self.list_all(false).await
    }

    /// As [`Self::list`], with the status of each profile's synchronization where the service allows
    /// `$expand`. Whether it does is learnt: a refusal costs one call a day.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn list_with_status(&self) -> Result<Profiles, GraphError> {
        let takes_it = self.learnt.expand(self.clock.now());
        if takes_it == Some(false) {
            return self.list_all(false).await;
        }
        let unknown = takes_it.is_none();
        match self.list_all(true).await {
            Ok(profiles) => {
                self.learnt.expand_is_taken();
                // Some services ignore options that they do not have (Graph docs, "query parameters").
                if profiles.values().any(|profile| profile.is_expanded) {
                    self.learnt.set_expand(true, self.clock.now());
                } else if unknown && profiles.values().any(RemoteProfile::should_have_status) {
                    self.learnt.set_expand(false, self.clock.now());
                }
                Ok(profiles)
            }
            Err(GraphError::Retired { .. }) if unknown => self.list_unexpanded().await,
            // What was allowed once is not forbidden by one answer.
            Err(GraphError::Refused { status: 400, .. }) if unknown || self.learnt.expand_is_refused() => {
                self.list_unexpanded().await
            }
            Err(error) => Err(error),
        }
    }

    /// Learns that a list does not take `$expand`, if it comes without.
    async fn list_unexpanded(&self) -> Result<Profiles, GraphError> {
        let profiles = self.list_all(false).await?;
        self.learnt.set_expand(false, self.clock.now());
        tracing::info!(endpoint = &*self.endpoint, "the list does not take $expand=profileStatus");
        Ok(profiles)
    }

    async fn list_all(&self, with_status: bool) -> Result<Profiles, GraphError> {
        whole(self.all_pages(with_status)).await
    }

    async fn all_pages(&self, with_status: bool) -> Result<Profiles, GraphError> {
        let (mut profiles, mut walk) = (BTreeMap::new(), Walk::default());
        let mut url = self.collection()?;
        if with_status {
            url.set_query(Some("$expand=profileStatus"));
        }
        loop {
            let _admission = self.may_read(Urgency::Poll).await?;
            let mut call = self.read_call("list", url);
            call.prefer = with_status.then_some(UNKNOWN_ENUM_MEMBERS);
            let page = match self.page(call).await? {
                Ok(page) => page,
                Err(answer) if retired(answer.status.as_u16(), &answer.body) => {
                    return Err(GraphError::Retired { status: answer.status.as_u16(), ids: answer.ids });
                }
                Err(answer) => return Err(answer.into_error()),
            };
            for item in &page.items {
                let profile = RemoteProfile::read(item)
                    .ok_or_else(|| unreadable("a profile without id in the list", CallIds::default()))?;
                // A list is not a snapshot: a profile can come twice while pages are read.
                profiles.insert(profile.id.clone(), profile);
            }
            match walk.on(page.items.len(), page.next)? {
                Some(NextPage(next)) => url = next,
                None => return Ok(profiles),
            }
        }
    }

    /// How many profiles the tenant has.
    ///
    /// # Errors
    /// When Graph does not answer with a number.
    pub async fn count(&self) -> Result<u64, GraphError> {
        self.count_at("count", self.item(&["$count"])?).await
    }

    pub(super) async fn count_at(&self, operation: &'static str, url: Url) -> Result<u64, GraphError> {
        let _admission = self.may_read(Urgency::Poll).await?;
        let call = Call { accept: "text/plain", ..self.read_call(operation, url) };
        let answer = self.call(call).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.into_error());
        }
        // Some OData services put a byte order mark before the number.
        let text = String::from_utf8_lossy(&answer.body);
        let number = text.trim_start_matches('\u{feff}').trim().parse();
        number.map_err(|_| unreadable("a count that is no number", answer.ids))
    }

    /// One profile, or None when Graph says 404.
    ///
    /// # Errors
    /// When Graph does not say clearly whether the profile is there.
    pub async fn get(&self, id: &str) -> Result<Option<RemoteProfile>, GraphError> {
        let _admission = self.may_read(Urgency::Change).await?;
        let answer = self.call(self.read_call("get", self.item(&[id])?)).await?;
        match answer.status {
            StatusCode::OK => match answer.profile() {
                Some(profile) => Ok(Some(profile)),
                None => Err(unreadable("a profile without id", answer.ids)),
            },
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.into_error()),
        }
    }

    /// Creates a profile: one POST, with `attempt` as its `client-request-id`.
    ///
    /// Any of 200, 201 and 202 with a body that holds an id is a success: the documents disagree
    /// about the status.
    ///
    /// # Errors
    /// When there is no such answer. [`GraphError::certainty`] says whether the profile may exist.
    pub async fn create(
        &self,
        _admission: Admission,
        body: &RequestBody,
        attempt: &str,
        deadline: Duration,
    ) -> Result<RemoteProfile, GraphError> {
        let url = match self.dialect {
            Dialect::BetaRef => self.item(&["$ref"])?,
            Dialect::Beta | Dialect::TestEduApi => self.collection()?,
        };
        let call = Call {
            body: Some(body),
            client_request_id: attempt.to_owned(),
            deadline,
            ..self.change_call("create", Method::POST, url)
        };
        let answer = self.change(call).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => match answer.profile() {
                Some(profile) => Ok(profile),
                None => Err(unreadable("success without the profile's id", answer.ids)),
            },
            _ => Err(answer.into_error()),
        }
    }

    /// Changes a profile: PUT with the whole of it or, where the service has no PUT, PATCH with what
    /// changes. Never PUT on the collection, which names no profile.
    ///
    /// # Errors
    /// When Graph does not accept the change.
    pub async fn update(
        &self,
        admission: Admission,
        id: &str,
        update: &Update,
    ) -> Result<Updated, GraphError> {
        let known = self.learnt.update_verb();
        let first = known.unwrap_or(UpdateVerb::Put);
        let answer = self.send_update(admission, id, first, update).await?;
        let is_there = match answer.status.as_u16() {
            405 | 501 => None,
            // 404 to a verb can mean that only the verb is not there.
            404 if known.is_none() => Some(self.get(id).await?.is_some()),
            _ => return self.learn_update(first, answer),
        };
        if is_there == Some(false) {
            return Ok(Updated::NotFound);
        }
        self.learnt.forget_update_verb();
        let second = if first == UpdateVerb::Put { UpdateVerb::Patch } else { UpdateVerb::Put };
        let answer = self.send_update(self.ready().await?, id, second, update).await?;
        if answer.status == StatusCode::NOT_FOUND && is_there == Some(true) {
            // The profile was there a moment ago: it is the call that is not.
            return Err(answer.into_error());
        }
        self.learn_update(second, answer)
    }

    /// A verb is learnt from nothing but a change that was accepted.
    fn learn_update(&self, verb: UpdateVerb, answer: Answer) -> Result<Updated, GraphError> {
        let updated = read_update(answer)?;
        if matches!(updated, Updated::Accepted(_)) {
            self.learnt.set_update_verb(verb);
        }
        Ok(updated)
    }

    async fn send_update(
        &self,
        _admission: Admission,
        id: &str,
        verb: UpdateVerb,
        update: &Update,
    ) -> Result<Answer, GraphError> {
        let (method, body) = match verb {
            UpdateVerb::Put => (Method::PUT, &update.put),
            UpdateVerb::Patch => (Method::PATCH, &update.patch),
        };
        let call = Call { body: Some(body), ..self.change_call("update", method, self.item(&[id])?) };
        self.change(call).await
    }

    /// Asks Graph to delete a profile: one DELETE.
    ///
    /// # Errors
    /// When Graph neither accepts nor says that there is no such profile.
    pub async fn delete(&self, _admission: Admission, id: &str) -> Result<Deletion, GraphError> {
        let answer = self.change(self.change_call("delete", Method::DELETE, self.item(&[id])?)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(Deletion::Accepted),
            StatusCode::NOT_FOUND => Ok(Deletion::NotFound),
            _ => Err(answer.into_error()),
        }
    }
}

fn read_update(answer: Answer) -> Result<Updated, GraphError> {
    match answer.status {
        StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
            Ok(Updated::Accepted(answer.profile().map(Box::new)))
        }
        StatusCode::NOT_FOUND => Ok(Updated::NotFound),
        _ => Err(answer.into_error()),
    }
}
