//! The client's side: it builds the request of the example, and understands the answer.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edusync::api::connection::Dialect;
use edusync::api::profile::EducationSyncProfileSpec;
use edusync::auth::{Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::blob::{BlobClient, UploadUrl};
use edusync::graph::client::{Deletion, Permission, Update, Updated, UploadTarget};
use edusync::graph::difference::differences;
use edusync::graph::transport::{Transport, TransportError};
use edusync::graph::wire::{RequestBody, create_body, wanted};
use edusync::graph::{GraphClient, GraphError, RemoteProfile};
use futures::future::BoxFuture;
use http::{Request, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::check;
use crate::exchange::{Exchange, PROFILE, without_nulls};
use crate::manifests::{csv, manifest, spec};

const OTHER: &str = "c2a7d9e4-1f36-4b8a-8a55-0e9b4c7d2f10";
const ERROR: &str = "5b0f6f0e-6d1b-4f2f-8f43-1a2b3c4d5e6f";
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the client does not send, and need not understand.
const EXCUSED: [(&str, &str); 3] = [
    ("platform-batch", "the client sends no batches: one LIST serves a tenant, and changes go one by one"),
    ("platform-batch-400", "the client sends no batches"),
    ("platform-subscribed-skus", "licences are named by their ids in the manifest; the client looks none up"),
];

static PLAYED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn read(name: &str) -> Exchange {
    PLAYED.lock().unwrap().insert(name.to_owned());
    Exchange::read(name)
}

#[tokio::test(start_paused = true)]
async fn the_client_builds_every_request_and_understands_every_answer() {
    creates().await;
    reads().await;
    a_list_goes_on().await;
    changes().await;
    a_patch().await;
    runs().await;
    errors().await;
    uploads().await;
    answers_of_requests_that_are_never_sent();
    crate::tokens::client(read).await;
    check("client", &PLAYED.lock().unwrap(), &EXCUSED);
}

/// Gives tokens, and answers each call with the example.
#[derive(Debug)]
struct Replay {
    answer: Response<Bytes>,
    seen: Mutex<Vec<Request<Bytes>>>,
}

impl Transport for Replay {
    fn send(
        &self,
        request: Request<Bytes>,
        _deadline: Duration,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = if request.uri().path().ends_with("/token") {
            let body = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "token"});
            Response::new(Bytes::from(body.to_string()))
        } else {
            self.seen.lock().unwrap().push(request);
            self.answer.clone()
        };
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

fn client(dialect: Dialect, transport: &Arc<Replay>) -> GraphClient {
    let transport: Arc<dyn Transport> = Arc::clone(transport) as Arc<dyn Transport>;
    let clock = Clock::starting_at(Timestamp::from_second(1_725_264_930).unwrap());
    let place = ("https://login.microsoftonline.com", "tenant", "https://graph.microsoft.com");
    let credential = Credential::ClientSecret(SecretString::from("example-secret"));
    let tokens = TokenSource::new(place, "client", credential, Arc::clone(&transport), clock);
    GraphClient {
        endpoint: "https://graph.microsoft.com".to_owned(),
        dialect,
        tokens: Arc::new(tokens),
        gate: Arc::default(),
        learnt: Arc::default(),
        write_access: Arc::default(),
        transport,
        permission: Arc::new(Leader),
        clock,
        request_timeout: TIMEOUT,
    }
}

/// Plays one example, and returns what was understood as a line of text.
async fn play<F, R>(name: &str, dialect: Dialect, aside: &[&str], call: F) -> String
where
    F: FnOnce(GraphClient) -> R,
    R: Future<Output = String>,
{
    let exchange = read(name);
    let replay = Arc::new(Replay { answer: exchange.answer(), seen: Mutex::default() });
    let understood = call(client(dialect, &replay)).await;
    let seen = replay.seen.lock().unwrap();
    exchange.assert_sent(name, &seen[0], aside);
    understood
}

fn shown(profile: &RemoteProfile) -> String {
    format!("{} {:?} {}", profile.display_name, profile.data_provider.unwrap(), profile.state.as_str())
}

fn failed<T>(result: Result<T, GraphError>) -> String {
    let error = result.err().expect("an error is understood");
    let code = match &error {
        GraphError::Refused { code, .. } => code.clone().unwrap_or_default(),
        _ => String::new(),
    };
    format!("{:?} {:?} {code}", error.certainty(), error.status()).trim_end().to_owned()
}

async fn create(name: &str, dialect: Dialect, aside: &[&str]) -> String {
    let (manifest, secret) = manifest(name);
    let spec: EducationSyncProfileSpec = serde_json::from_value(manifest).unwrap();
    let secret = secret.map(SecretString::from);
    let body = create_body(&spec, dialect, secret.as_ref());
    play(name, dialect, aside, |client| async move {
        let admission = client.ready().await.unwrap();
        match client.create(admission, &body, "7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8", TIMEOUT).await {
            Ok(profile) => {
                let actual: Value = serde_json::from_str(&profile.configuration).unwrap();
                assert_eq!(differences(&wanted(&spec), &actual), Vec::<String>::new(), "{name}");
                shown(&profile)
            }
            Err(error) => failed::<()>(Err(error)),
        }
    })
    .await
}

async fn creates() {
    for (name, expected) in [
        ("education-profiles-create-csv-creation", "Fabrikam ISD roster Csv provisioning"),
        ("education-profiles-create-csv-matching", "Fabrikam ISD match only Csv provisioning"),
        ("education-profiles-create-oneroster-oauth1", "Fabrikam OneRoster OAuth1 OneRoster provisioning"),
        ("education-profiles-create-oneroster-oauth2", "Fabrikam OneRoster OAuth2 OneRoster provisioning"),
        ("education-profiles-create-powerschool", "Fabrikam PowerSchool PowerSchool provisioning"),
        ("education-profiles-create-403-app-only", "No Some(403) Forbidden"),
    ] {
        assert_eq!(create(name, Dialect::Beta, &[]).await, expected, "{name}");
    }
    // Types that the client never writes: their answers are understood all the same.
    for (name, expected) in [
        ("education-profiles-create-400-odata-type", "No Some(400) BadRequest"),
        ("legacy-odata-type-lowercase", "Fabrikam ISD roster Csv provisioning"),
    ] {
        assert_eq!(create(name, Dialect::Beta, &["body"]).await, expected, "{name}");
    }
    let preview = create("legacy-testeduapi-create", Dialect::TestEduApi, &[]).await;
    assert_eq!(preview, "Fabrikam ISD roster Csv provisioning");
}

async fn reads() {
    let list = |client: GraphClient| async move {
        let profiles = client.list().await;
        match profiles {
            Ok(profiles) => profiles.values().map(shown).collect::<Vec<_>>().join(", "),
            Err(error) => failed::<()>(Err(error)),
        }
    };
    for (name, expected) in [
        ("education-profiles-list-last-page", "Old profile Csv deleting"),
        ("education-profiles-list-500", "Unknown None"),
        ("education-profiles-list-filter", ""),
        ("platform-error-401", "No Some(401) InvalidAuthenticationToken"),
        ("platform-error-403", "No Some(403) Authorization_RequestDenied"),
        ("platform-error-412", "No Some(412) PreconditionFailed"),
        ("platform-error-429", "Later(Some(2.128s)) Some(429)"),
        ("platform-error-503", "Unknown None"),
        ("platform-error-504", "Unknown None"),
    ] {
        // The client never filters or sets a page size: it reads the whole list, by next links.
        assert_eq!(play(name, Dialect::Beta, &["query", "if-match"], list).await, expected, "{name}");
    }
    // Another collection of Graph: its answer is one that ours may give as well.
    let identity = play("platform-error-429-identity", Dialect::Beta, &["url"], list).await;
    assert_eq!(identity, "Later(Some(15s)) Some(429)");
    let get = |client: GraphClient| async move {
        client.get(PROFILE).await.unwrap().map_or_else(|| "nothing".to_owned(), |profile| shown(&profile))
    };
    for (name, expected) in [
        ("education-profiles-get", "Fabrikam ISD roster Csv provisioned"),
        ("education-profiles-get-deleting", "Fabrikam ISD roster Csv deleting"),
        ("education-profiles-get-404", "nothing"),
    ] {
        assert_eq!(play(name, Dialect::Beta, &[], get).await, expected, "{name}");
    }
    let expanded = |client: GraphClient| async move {
        client.get(PROFILE).await.unwrap().unwrap().sync.unwrap().status.as_str().to_owned()
    };
    assert_eq!(play("education-profiles-get-expand", Dialect::Beta, &["query"], expanded).await, "success");
    let count = |client: GraphClient| async move { client.count().await.unwrap().to_string() };
    assert_eq!(play("education-profiles-count", Dialect::Beta, &[], count).await, "3");
}

/// The next link of the example is followed as it came.
async fn a_list_goes_on() {
    let exchange = read("education-profiles-list");
    let replay = Arc::new(Replay { answer: exchange.answer(), seen: Mutex::default() });
    let client = client(Dialect::Beta, &replay);
    // Each page leads to the next: stopped after a few.
    let _ = tokio::time::timeout(Duration::from_millis(1), client.list()).await;
    let seen = replay.seen.lock().unwrap();
    exchange.assert_sent("education-profiles-list", &seen[0], &["query"]);
    assert_eq!(seen[1].uri().to_string(), exchange.response.body["@odata.nextLink"].as_str().unwrap());
}

async fn changes() {
    let delete = |client: GraphClient| async move {
        let deletion = client.delete(client.ready().await.unwrap(), PROFILE).await.unwrap();
        assert_eq!(deletion, Deletion::Accepted);
        String::new()
    };
    play("education-profiles-delete", Dialect::Beta, &[], delete).await;
    for name in ["education-profiles-pause", "education-profiles-resume", "education-profiles-reset"] {
        let act = |client: GraphClient| async move {
            let admission = client.ready().await.unwrap();
            match name.rsplit('-').next().unwrap() {
                "pause" => client.pause(admission, PROFILE).await,
                "resume" => client.resume(admission, PROFILE).await,
                _ => client.reset(admission, PROFILE).await,
            }
            .unwrap();
            String::new()
        };
        play(name, Dialect::Beta, &[], act).await;
    }
    let mut renamed = spec("Fabrikam ISD roster 2024-25", csv(), true);
    renamed["displayName"] = json!("Fabrikam ISD roster 2024-25");
    let renamed: EducationSyncProfileSpec = serde_json::from_value(renamed).unwrap();
    let put = |client: GraphClient| async move {
        let body = create_body(&renamed, Dialect::Beta, None);
        let update = Update { put: body, patch: RequestBody::new(json!({})) };
        updated(client.update(client.ready().await.unwrap(), PROFILE, &update).await)
    };
    let expected = "Fabrikam ISD roster 2024-25 Csv provisioning";
    assert_eq!(play("education-profiles-update-put-item", Dialect::Beta, &[], put).await, expected);
}

fn updated(result: Result<Updated, GraphError>) -> String {
    match result.unwrap() {
        Updated::Accepted(Some(profile)) => shown(&profile),
        other => panic!("{other:?}"),
    }
}

/// PATCH comes after a refused PUT; then its request is that of the example.
async fn a_patch() {
    let name = "education-profiles-update-patch-item";
    let exchange = read(name);
    let refusing = Arc::new(Replay { answer: status(405), seen: Mutex::default() });
    let refused = client(Dialect::Beta, &refusing);
    let update = || Update {
        put: RequestBody::new(json!({})),
        patch: RequestBody::new(json!({"displayName": "Fabrikam ISD roster 2024-25"})),
    };
    assert!(refused.update(refused.ready().await.unwrap(), PROFILE, &update()).await.is_err());
    exchange.assert_sent(name, &refusing.seen.lock().unwrap()[1], &[]);
    let answering = Arc::new(Replay { answer: exchange.answer(), seen: Mutex::default() });
    let client = client(Dialect::Beta, &answering);
    let result = client.update(client.ready().await.unwrap(), PROFILE, &update()).await;
    assert_eq!(updated(result), "Fabrikam ISD roster 2024-25 Csv provisioning");
}

fn status(status: u16) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::new()).unwrap()
}

async fn runs() {
    for (name, id, expected) in [
        ("education-profiles-start-ok", PROFILE, "started, 0 messages"),
        ("education-profiles-start-warnings", PROFILE, "started, 1 messages"),
        ("education-profiles-start-errors", PROFILE, "not started, 3 messages"),
        ("education-profiles-start-400-odata", OTHER, "No Some(400) BadRequest"),
    ] {
        let start = |client: GraphClient| async move {
            match client.start(client.ready().await.unwrap(), id).await {
                Ok(start) => {
                    let not = if start.started { "" } else { "not " };
                    format!("{not}started, {} messages", start.messages.len())
                }
                Err(error) => failed::<()>(Err(error)),
            }
        };
        assert_eq!(play(name, Dialect::Beta, &[], start).await, expected, "{name}");
    }
    for state in ["error", "inprogress", "paused", "quarantined", "success", "validationerror"] {
        assert_eq!(status_of(&format!("education-status-{state}"), &[]).await.to_ascii_lowercase(), state);
    }
    assert_eq!(status_of("education-status-extracting-with-prefer", &[]).await, "extracting");
    assert_eq!(status_of("education-status-unknown-without-prefer", &[]).await, "unknownFutureValue");
}

async fn status_of(name: &str, aside: &[&str]) -> String {
    play(name, Dialect::Beta, aside, |client| async move {
        client.profile_status(PROFILE).await.unwrap().unwrap().status.as_str().to_owned()
    })
    .await
}

async fn errors() {
    let page = |client: GraphClient| async move {
        let page = client.errors(PROFILE, None).await.unwrap();
        assert!(page.next.is_some());
        page.errors
            .iter()
            .map(|error| format!("{} {}", error.entry_type, error.error_code))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let shown = play("education-errors-list", Dialect::Beta, &["query"], page).await;
    assert_eq!(shown, "Student UnsynchronizableChange, Teacher AzureActiveDirectoryInvalidUserUsageLocation");
    let one = |client: GraphClient| async move {
        let error = client.error(PROFILE, ERROR).await.unwrap().unwrap();
        format!("{} {}", error.entry_type, error.error_code)
    };
    assert_eq!(play("education-errors-get", Dialect::Beta, &[], one).await, "Student UnsynchronizableChange");
    let count = |client: GraphClient| async move { client.error_count(PROFILE).await.unwrap().to_string() };
    assert_eq!(play("education-errors-count", Dialect::Beta, &[], count).await, "3");
}

async fn uploads() {
    let target = |client: GraphClient| async move {
        match client.upload_url(client.ready().await.unwrap(), PROFILE).await.unwrap() {
            UploadTarget::Ready(_) => "ready".to_owned(),
            UploadTarget::Busy => "busy".to_owned(),
        }
    };
    assert_eq!(play("education-profiles-uploadurl", Dialect::Beta, &[], target).await, "ready");
    assert_eq!(play("education-profiles-uploadurl-409", Dialect::Beta, &[], target).await, "busy");
    let exchange = read("education-csv-blob-put");
    let sas = read("education-profiles-uploadurl").response.body["value"].as_str().unwrap().to_owned();
    let put = |client: GraphClient| async move {
        let url = UploadUrl::parse(&sas, "https://graph.microsoft.com").unwrap();
        let blobs = BlobClient { transport: client.transport, clock: client.clock, deadline: TIMEOUT };
        let content = Bytes::from(exchange.request.raw_body.unwrap());
        blobs.put_blob(&url, "student.csv", content).await.unwrap();
        String::new()
    };
    // Our version of the protocol is a later one than the documents ask for at least.
    play("education-csv-blob-put", Dialect::Beta, &["x-ms-version"], put).await;
}

/// The answer of the older spelling is read; the request is one that names no profile, and never sent.
fn answers_of_requests_that_are_never_sent() {
    for (name, expected) in [
        ("legacy-odata-type-without-hash", "Fabrikam ISD roster Csv provisioned"),
        ("education-profiles-update-put-collection", "Fabrikam ISD roster 2024-25 Csv provisioning"),
        ("seed0-create-ref-path", "Fabrikam seed-0 shape Csv provisioning"),
    ] {
        let answer = read(name).response.body;
        assert_eq!(RemoteProfile::read(&answer).as_ref().map(shown).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(without_nulls(&json!({"a": null, "b": [{"c": null}]})), json!({"b": [{}]}));
}
