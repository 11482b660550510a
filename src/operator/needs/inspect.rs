//! Asks the API server what is really missing, and tells: the log, the readiness probe, and an Event.
//!
//! Real answers only raise a suspicion: a 403 may also be an admission webhook's, or that of a namespace that is
//! going. The judge is the server: a list with one object for a definition, `SelfSubjectAccessReview` for a
//! permission, its schemas for fields. It is asked of everything at the start, also by a standby, so that a rolling
//! update stops before the old instance is gone; then of what answers have raised, and of what is missing until it
//! is there. At rest nothing is asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::events::{Event, EventType};
use tokio::time::Instant;

use super::fields::Served;
use super::findings::{Findings, Judgement, News};
use super::notice::Suspicions;
use super::{Access, GROUP, Need, Place, VERSION, fields};
use crate::operator::events::Recorder;
use crate::operator::health::Health;
use crate::operator::kube_cluster::within;
use crate::reconcile::cluster::{ClusterError, Scope};

/// Time between two looks at what is missing, and the shortest between two looks at all.
const PAUSE: Duration = Duration::from_secs(5);

/// Looks at needs, and tells what is missing.
pub struct Inspector {
    client: Client,
    suspicions: Arc<Suspicions>,
    health: Health,
    recorder: Recorder,
    /// What people look at: the pod, or the Lease if there is none.
    regarding: ObjectReference,
    who: Option<String>,
    findings: Findings,
}

impl Inspector {
    /// An inspector that knows nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        suspicions: Arc<Suspicions>,
        health: Health,
        recorder: Recorder,
        regarding: ObjectReference,
    ) -> Self {
        Self { client, suspicions, health, recorder, regarding, who: None, findings: Findings::default() }
    }

    /// Looks for ever.
    pub async fn run(mut self) {
        loop {
            self.look().await;
            tokio::time::sleep(PAUSE).await;
            if self.findings.is_settled() {
                self.suspicions.told().await;
            }
        }
    }

    async fn look(&mut self) {
        let (needs, forgotten) = self.findings.due(self.suspicions.take(), Instant::now());
        let mut news: Vec<_> = forgotten.into_iter().map(|need| (need, News::NotNeeded)).collect();
        for (need, judgement) in self.judge_all(needs).await {
            news.extend(self.findings.note(&need, judgement, Instant::now()).map(|told| (need, told)));
        }
        if let Some(missing) = self.findings.missing(Instant::now()) {
            self.health.show_missing(missing);
        }
        for (need, told) in news {
            match &told {
                News::Missing(sentence) => tracing::error!(need = %need, "{sentence}"),
                News::Found => tracing::info!(need = %need, "this is there now"),
                News::NotNeeded => tracing::info!(need = %need, "nobody has asked for this of late"),
            }
            if let (Need::Definition(resource), News::Found) = (&need, &told) {
                // What has come may be an older one.
                self.suspicions.suspect(Need::Fields(resource));
            }
            self.publish(&need, told).await;
        }
    }

    async fn judge_all(&mut self, needs: BTreeSet<Need>) -> Vec<(Need, Judgement)> {
        let wants_schemas = needs.iter().any(|need| matches!(need, Need::Fields(_)));
        let schemas = if wants_schemas { self.schemas().await } else { Err(Judgement::Untold) };
        let this = &*self;
        let schemas = schemas.as_ref();
        let mut judging: FuturesUnordered<_> = needs
            .into_iter()
            .map(|need| async move {
                let judgement = this.judge(&need, schemas).await;
                (need, judgement)
            })
            .collect();
        let mut judged = Vec::new();
        while let Some(one) = judging.next().await {
            judged.push(one);
        }
        drop(judging);
        let refused = judged
            .iter()
            .any(|(need, judgement)| matches!((need, judgement), (Need::Access(_), Judgement::Missing(_))));
        if refused && self.who.is_none() {
            self.who = self.ask_who().await;
        }
        let who = self.who.as_deref().unwrap_or("the ServiceAccount of edusync");
        for (need, judgement) in &mut judged {
            if let (Need::Access(access), Judgement::Missing(sentence)) = (need, judgement) {
                *sentence = self.suspicions.place().no_permission(access, who);
            }
        }
        judged.sort_by(|(one, _), (other, _)| one.cmp(other));
        judged
    }

    async fn judge(&self, need: &Need, schemas: Result<&Served, &Judgement>) -> Judgement {
        match need {
            Need::Definition(resource) => self.judge_definition(resource).await,
            Need::Fields(resource) => match schemas.map(|schemas| fields::absent(resource, schemas)) {
                Err(untold) => untold.clone(),
                // Not served: that is another need.
                Ok(None) => Judgement::Moot,
                Ok(Some(absent)) if absent.is_empty() => Judgement::Met,
                Ok(Some(absent)) => Judgement::Missing(Place::old_definition(resource, &absent)),
            },
            Need::Access(access) => self.judge_access(access).await,
        }
    }

    async fn judge_definition(&self, resource: &str) -> Judgement {
        let kind = GroupVersionKind::gvk(GROUP, VERSION, "");
        let described = ApiResource::from_gvk_with_plural(&kind, resource);
        let api: Api<DynamicObject> = match self.suspicions.place().scopes.first() {
            Some(Scope::Namespace(namespace)) => {
                Api::namespaced_with(self.client.clone(), namespace, &described)
            }
            _ => Api::all_with(self.client.clone(), &described),
        };
        let served = async {
            match api.list_metadata(&ListParams::default().limit(1)).await {
                // Plain text, not a Status: the server has no such path.
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
                answer => answer.map(|_| true),
            }
        };
        match within(served).await {
            Ok(true) => Judgement::Met,
            Ok(false) => Judgement::Missing(Place::no_definition(resource)),
            Err(error) => no_answer(&error),
        }
    }

    async fn judge_access(&self, access: &Access) -> Judgement {
        let (resource, sub) = match access.resource.split_once('/') {
            Some((resource, sub)) => (resource, Some(sub.to_owned())),
            None => (access.resource.as_str(), None),
        };
        let attributes = ResourceAttributes {
            group: Some(access.group.clone()),
            resource: Some(resource.to_owned()),
            subresource: sub,
            verb: Some(access.verb.to_owned()),
            namespace: access.namespace.clone(),
            name: access.name.clone(),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let status = match within(api.create(&PostParams::default(), &review)).await {
            Ok(SelfSubjectAccessReview { status: Some(status), .. }) => status,
            Ok(_) => return Judgement::Untold,
            Err(error) => return no_answer(&error),
        };
        if status.allowed || self.is_limited_by_name(access).await {
            return Judgement::Met;
        }
        // Who that is, the sentence says when it is known.
        Judgement::Missing(String::new())
    }

    /// An administrator may permit certain Secrets only. One that somebody else names is then refused as is meant:
    /// its connection says so, and the operator lacks nothing.
    async fn is_limited_by_name(&self, access: &Access) -> bool {
        let (Some(namespace), "secrets", "get") = (&access.namespace, access.resource.as_str(), access.verb)
        else {
            return false;
        };
        let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.clone()) };
        let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
        let api: Api<SelfSubjectRulesReview> = Api::all(self.client.clone());
        let answer = within(api.create(&PostParams::default(), &review)).await;
        let Ok(Some(status)) = answer.map(|answer| answer.status) else { return false };
        status.resource_rules.iter().any(permits_some_secret)
    }

    async fn schemas(&self) -> Result<Served, Judgement> {
        let request = http::Request::get(fields::SCHEMAS).body(Vec::new()).map_err(|_| Judgement::Untold)?;
        let told = within(self.client.request_text(request)).await.map_err(|error| no_answer(&error))?;
        serde_json::from_str(&told).map_err(|error| {
            tracing::warn!(%error, "the schemas that the API server tells cannot be read: no one knows whether a definition is an older one");
            Judgement::Untold
        })
    }

    async fn ask_who(&self) -> Option<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let answer = within(api.create(&PostParams::default(), &SelfSubjectReview::default())).await;
        answer.ok()?.status?.user_info?.username
    }

    async fn publish(&self, need: &Need, news: News) {
        let (type_, reason, note) = match (need, news) {
            (_, News::Found) => (EventType::Normal, "Found", format!("this is there now: {need}")),
            (_, News::NotNeeded) => {
                (EventType::Normal, "NotNeeded", format!("nobody has asked for this of late: {need}"))
            }
            (Need::Definition(_), News::Missing(said)) => (EventType::Warning, "DefinitionMissing", said),
            (Need::Fields(_), News::Missing(said)) => (EventType::Warning, "DefinitionOutdated", said),
            (Need::Access(_), News::Missing(said)) => (EventType::Warning, "PermissionMissing", said),
        };
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: need.to_string().chars().take(128).collect(),
            secondary: None,
        };
        if let Err(error) = within(self.recorder.publish(&event, &self.regarding)).await {
            tracing::debug!(%error, "no event on what is missing");
        }
    }
}

/// A definite no is an answer, even if it is not the one that was asked for.
const fn no_answer(error: &ClusterError) -> Judgement {
    match error {
        ClusterError::Other(_) => Judgement::Unanswered,
        ClusterError::Conflict
        | ClusterError::NotFound
        | ClusterError::Refused(_)
        | ClusterError::Unusable(_) => Judgement::Untold,
    }
}

fn permits_some_secret(rule: &ResourceRule) -> bool {
    let has = |list: &Option<Vec<String>>, wanted: &str| {
        list.iter().flatten().any(|entry| entry == wanted || entry == "*")
    };
    has(&rule.api_groups, "")
        && has(&rule.resources, "secrets")
        && rule.verbs.iter().any(|verb| verb == "get" || verb == "*")
}
