//! What the operator's administrator allows holds before a Secret is read.

use serde_json::{Value, json};

use super::super::*;
use super::world::{application, connection, locked, upstreams, world};

/// What comes of a connection with this beside its tenant, and which Secrets are read for it.
async fn resolved(more: &Value) -> (Result<(), ConnectionProblem>, Vec<String>) {
    let (world, upstreams) = (world(), upstreams(&Arc::default()));
    let upstream = upstreams.resolve(&world, &connection(1, more)).await;
    let reads = locked(&world.reads).clone();
    (upstream.map(drop), reads)
}

fn with(member: &str, value: Value) -> Value {
    let mut spec = application();
    spec[member] = value;
    spec
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_listed_gets_no_credential() {
    for elsewhere in [
        with("graph", json!({"endpoint": "https://graph.microsoft.com.evil.example"})),
        with("graph", json!({"endpoint": "https://evil-graph.microsoft.com"})),
        with("authority", json!("https://evil.example:443")),
    ] {
        let (result, reads) = resolved(&elsewhere).await;
        assert!(matches!(result, Err(ConnectionProblem::HostNotAllowed(_))), "{elsewhere}: {result:?}");
        assert!(reads.is_empty(), "{elsewhere}: {reads:?}");
    }
    for allowed in [
        application(),
        with("graph", json!({"endpoint": "https://GRAPH.microsoft.com"})),
        with("authority", json!("https://login.microsoftonline.com:443")),
    ] {
        assert!(resolved(&allowed).await.0.is_ok(), "{allowed}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_own_identity_is_not_for_a_namespace_that_is_not_listed() {
    for member in ["workloadIdentity", "managedIdentity"] {
        let mut spec = json!({"application": {"clientId": "app"}});
        spec["application"][member] = json!({});
        let (result, _) = resolved(&spec).await;
        assert!(matches!(result, Err(ConnectionProblem::NamespaceNotAllowed(_))), "{member}: {result:?}");
    }
}
