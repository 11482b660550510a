//! What real answers of the API server show: a layer around kube's client that sees every request and the status of
//! its answer, and decides nothing. Bodies and headers go by unread.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use tokio::sync::Notify;
use tower::{Layer, Service};

use super::{Access, GROUP, Need, Place, RESOURCES};

/// What may be missing, until somebody has looked.
#[derive(Debug)]
pub struct Suspicions {
    place: Place,
    open: Mutex<BTreeSet<Need>>,
    told: Notify,
}

impl Suspicions {
    /// At the beginning everything may be missing.
    #[must_use]
    pub fn new(place: Place) -> Self {
        let open = Mutex::new(place.needs());
        Self { place, open, told: Notify::new() }
    }

    /// Where the operator works.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Takes what may be missing.
    pub fn take(&self) -> BTreeSet<Need> {
        std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something new may be missing.
    pub async fn told(&self) {
        self.told.notified().await;
    }

    /// Something may be missing.
    pub fn suspect(&self, need: Need) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(need);
        self.told.notify_one();
    }

    fn answered(&self, asked: Option<Access>, status: StatusCode) {
        let suspect = match (asked, status) {
            (Some(access), StatusCode::NOT_FOUND) => definition(&access),
            (Some(access), StatusCode::FORBIDDEN) => self.place.need_of(access),
            _ => None,
        };
        if let Some(need) = suspect {
            self.suspect(need);
        }
    }
}

/// A collection that is not there means that its definition is not.
fn definition(access: &Access) -> Option<Need> {
    let is_collection = access.group == GROUP && matches!(access.verb, "list" | "watch");
    let resource = RESOURCES.into_iter().find(|resource| is_collection && access.resource == *resource)?;
    Some(Need::Definition(resource))
}

/// What a request asks for, in the words of a Role. None: nothing that rules for resources speak of.
#[must_use]
pub fn access_of(method: &Method, path: &str, query: Option<&str>) -> Option<Access> {
    let mut parts = path.trim_matches('/').split('/');
    let group = match parts.next()? {
        "api" => String::new(),
        "apis" => parts.next()?.to_owned(),
        _ => return None,
    };
    let _version = parts.next()?;
    let mut rest: Vec<&str> = parts.collect();
    let namespace = match *rest.as_slice() {
        ["namespaces", namespace, _, ..] => {
            rest.drain(..2);
            Some(namespace.to_owned())
        }
        _ => None,
    };
    let (resource, name) = match *rest.as_slice() {
        [resource] => (resource.to_owned(), None),
        [resource, name] => (resource.to_owned(), Some(name.to_owned())),
        [resource, name, sub] => (format!("{resource}/{sub}"), Some(name.to_owned())),
        _ => return None,
    };
    let watches =
        query.is_some_and(|query| query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1")));
    let verb = match (method.as_str(), &name) {
        ("GET", None) if watches => "watch",
        ("GET", None) => "list",
        ("GET", Some(_)) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        _ => return None,
    };
    Some(Access { verb, group, resource, namespace, name })
}

/// Lets [`Suspicions`] see the answers.
#[derive(Clone, Debug)]
pub struct NoticeLayer(pub Arc<Suspicions>);

impl<S> Layer<S> for NoticeLayer {
    type Service = Notice<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Notice { inner, suspicions: Arc::clone(&self.0) }
    }
}

/// See [`NoticeLayer`].
#[derive(Debug)]
pub struct Notice<S> {
    inner: S,
    suspicions: Arc<Suspicions>,
}

impl<S, B> Service<Request<Body>> for Notice<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asked = access_of(request.method(), request.uri().path(), request.uri().query());
        let answer = self.inner.call(request);
        let suspicions = Arc::clone(&self.suspicions);
        Box::pin(async move {
            let answer = answer.await?;
            suspicions.answered(asked, answer.status());
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, path: &str, query: Option<&str>) -> String {
        let Some(access) = access_of(method, path, query) else { return "nothing".to_owned() };
        let Access { verb, group, resource, namespace, name } = access;
        format!("{verb} {group} {resource} {} {}", namespace.unwrap_or_default(), name.unwrap_or_default())
    }

    #[test]
    fn a_request_is_put_into_the_words_of_a_role() {
        let profiles = "/apis/edusync.dev/v1alpha1/educationsyncprofiles";
        assert_eq!(
            asked(&Method::GET, profiles, Some("limit=500")),
            "list edusync.dev educationsyncprofiles  "
        );
        assert_eq!(
            asked(&Method::GET, profiles, Some("&watch=true&timeoutSeconds=290")),
            "watch edusync.dev educationsyncprofiles  "
        );
        assert_eq!(
            asked(
                &Method::PUT,
                "/apis/edusync.dev/v1alpha1/namespaces/school/graphconnections/default/status",
                None
            ),
            "update edusync.dev graphconnections/status school default"
        );
        assert_eq!(
            asked(&Method::GET, "/api/v1/namespaces/school/secrets/graph", None),
            "get  secrets school graph"
        );
        assert_eq!(asked(&Method::GET, "/api/v1/namespaces/school", None), "get  namespaces  school");
        assert_eq!(
            asked(&Method::POST, "/apis/events.k8s.io/v1/namespaces/school/events", None),
            "create events.k8s.io events school "
        );
        for path in ["/openapi/v3/apis/edusync.dev/v1alpha1", "/version", "/", "/apis"] {
            assert_eq!(asked(&Method::GET, path, None), "nothing", "{path}");
        }
    }

    #[test]
    fn only_a_collection_that_is_missing_tells_of_a_definition() {
        let place = Place { scopes: vec![crate::reconcile::cluster::Scope::All], home: "edusync".to_owned() };
        let suspicions = Suspicions::new(place);
        assert!(
            suspicions.take().contains(&Need::Definition("graphconnections")),
            "at first nothing is known"
        );
        let get = |path: &str| access_of(&Method::GET, path, None);
        let object = get("/apis/edusync.dev/v1alpha1/namespaces/a/graphconnections/default");
        suspicions.answered(object, StatusCode::NOT_FOUND);
        suspicions.answered(get("/apis/edusync.dev/v1alpha1/graphconnections"), StatusCode::OK);
        assert_eq!(suspicions.take(), BTreeSet::new());
        suspicions.answered(get("/apis/edusync.dev/v1alpha1/graphconnections"), StatusCode::NOT_FOUND);
        assert_eq!(suspicions.take(), BTreeSet::from([Need::Definition("graphconnections")]));
    }
}
