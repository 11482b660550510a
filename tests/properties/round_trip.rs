//! A spec, through wire types and simulator and back, equals itself on the fields that were set.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edusync::api::connection::Dialect;
use edusync::api::profile::EducationSyncProfileSpec;
use edusync::auth::{Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::client::Permission;
use edusync::graph::difference::differences;
use edusync::graph::transport::{Transport, TransportError};
use edusync::graph::wire::{create_body, wanted};
use edusync::graph::{GraphClient, RemoteProfile};
use futures::future::BoxFuture;
use graph_simulator::{Settings, Simulator};
use http::{Request, Response};
use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::Value;

use crate::cases;
use crate::specs::spec;

struct InProcess(Simulator, Clock);

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess")
    }
}

impl Transport for InProcess {
    fn send(
        &self,
        request: Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = self.0.handle(request, self.1.now());
        Box::pin(async move { Ok(answer) })
    }
}

#[derive(Debug)]
struct Leader;

impl Permission for Leader {
    fn may_write(&self) -> bool {
        true
    }
}

fn client(dialect: Dialect) -> GraphClient {
    let clock = Clock::starting_at("2026-11-22T00:00:00Z".parse::<Timestamp>().unwrap());
    let settings = Settings { accept_ref_post: true, ..Settings::default() };
    let (tenant, id) = (settings.tenant.clone(), settings.client_id.clone());
    let credential = Credential::RefreshToken {
        token: settings.refresh_token.clone().into(),
        client_secret: Some(settings.client_secret.clone().into()),
    };
    let transport: Arc<dyn Transport> = Arc::new(InProcess(Simulator::new(settings), clock));
    let place = ("https://graph.example", tenant.as_str(), "https://graph.example");
    let tokens = TokenSource::new(place, &id, credential, Arc::clone(&transport), clock);
    GraphClient {
        endpoint: "https://graph.example".to_owned(),
        dialect,
        tokens: Arc::new(tokens),
        gate: Arc::default(),
        learnt: Arc::default(),
        write_access: Arc::default(),
        transport,
        permission: Arc::new(Leader),
        clock,
        request_timeout: Duration::from_secs(30),
    }
}

/// Holds `actual` everything that `wanted` sets? Stricter than the comparison for drift: lists keep their order.
fn holds(wanted: &Value, actual: &Value) -> bool {
    match (wanted, actual) {
        (Value::Object(wanted), Value::Object(actual)) => wanted.iter().all(|(name, value)| {
            name == "clientSecret" || actual.get(name).is_some_and(|actual| holds(value, actual))
        }),
        (Value::Array(wanted), Value::Array(actual)) => {
            wanted.len() == actual.len()
                && wanted.iter().zip(actual).all(|(wanted, actual)| holds(wanted, actual))
        }
        (Value::String(wanted), Value::String(actual)) if wanted != actual => {
            let time = |text: &str| text.parse::<Timestamp>();
            time(wanted).is_ok_and(|wanted| time(actual).is_ok_and(|actual| wanted == actual))
        }
        (wanted, actual) => wanted == actual,
    }
}

fn check(spec: &EducationSyncProfileSpec, dialect: Dialect, profile: &RemoteProfile) {
    let actual: Value = serde_json::from_str(&profile.configuration).unwrap();
    assert_eq!(differences(&wanted(spec), &actual), Vec::<String>::new());
    if dialect == Dialect::Beta {
        assert!(holds(&wanted(spec), &actual), "{} is not in {actual}", wanted(spec));
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn what_was_set_comes_back(manifest in spec(), dialect in proptest::sample::select(&[Dialect::Beta, Dialect::BetaRef, Dialect::TestEduApi][..])) {
        let spec: EducationSyncProfileSpec = serde_json::from_value(manifest.clone()).unwrap();
        // The resource itself loses nothing on its way through the API server.
        prop_assert_eq!(serde_json::to_value(&spec).unwrap(), manifest);
        let secret = spec.data_provider.client_secret_ref().map(|_| SecretString::from("canary-secret"));
        let body = create_body(&spec, dialect, secret.as_ref());
        prop_assert_eq!(body.expose().to_string().contains("canary-secret"), secret.is_some());
        let shown = format!("{body:?} {}", wanted(&spec));
        prop_assert!(!shown.contains("canary-secret"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let profiles = runtime.block_on(async move {
            let client = client(dialect);
            let admission = client.ready().await.unwrap();
            let created = client.create(admission, &body, "attempt", Duration::from_secs(30)).await.unwrap();
            let read = client.get(&created.id).await.unwrap().unwrap();
            let listed = client.list().await.unwrap().remove(&created.id).unwrap();
            [created, read, listed]
        });
        for profile in &profiles {
            check(&spec, dialect, profile);
        }
    }
}
