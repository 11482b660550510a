//! Lists, creates, deletes: what is a clear answer, and what is not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use edusync::graph::client::Deletion;
use edusync::graph::transport::TransportError;
use edusync::graph::wire::RequestBody;
use edusync::graph::{Certainty, GraphError};
use graph_simulator::Settings;
use serde_json::json;

use crate::support::{
    CANARY, Lease, TIMEOUT, answered_by, answering, body, client, client_of, clock, create, delete, scripted,
    simulated, token_answer,
};

#[tokio::test(start_paused = true)]
async fn a_profile_is_created_listed_and_deleted() {
    let clock = clock();
    let (transport, _simulator) = simulated(Settings::default(), clock);
    let client = client(transport, clock);
    let created = create(&client, "Contoso SDS").await.unwrap();
    let listed = client.list().await.unwrap();
    assert_eq!(listed.keys().collect::<Vec<_>>(), [&created.id]);
    assert_eq!(client.get(&created.id).await.unwrap().unwrap().id, created.id);
    assert_eq!(delete(&client, &created.id).await.unwrap(), Deletion::Accepted);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(client.get(&created.id).await.unwrap(), None);
    assert_eq!(delete(&client, &created.id).await.unwrap(), Deletion::NotFound);
    assert!(client.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_page_is_read() {
    let clock = clock();
    let (transport, _simulator) = simulated(Settings { page_size: 2, ..Settings::default() }, clock);
    let client = client(Arc::clone(&transport), clock);
    for number in 0..5 {
        create(&client, &format!("Profile {number}")).await.unwrap();
    }
    let before = transport.calls.load(Ordering::SeqCst);
    assert_eq!(client.list().await.unwrap().len(), 5);
    assert_eq!(transport.calls.load(Ordering::SeqCst) - before, 3);
}

/// As at the end of the process, or when a poller is not needed any more.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_broken_off_is_counted_once() {
    let transport = answering(200, &[], r#"{"value": []}"#);
    let client = client_of(&transport);
    client.list().await.unwrap();
    transport.call_takes.store(60, Ordering::SeqCst);
    assert!(tokio::time::timeout(Duration::from_secs(20), client.list()).await.is_err());
    let text = client.metrics.text().unwrap();
    let count = "edusync_graph_request_duration_seconds_count";
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with(count)).collect();
    let line = |class: &str| format!("{count}{{operation=\"list\",class=\"{class}\"}} 1");
    assert_eq!(counted.len(), 2, "{counted:?}");
    assert!(["success", "abandoned"].iter().all(|class| counted.contains(&&*line(class))), "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_shared_and_renewed_before_it_ends() {
    let clock = clock();
    let (transport, _simulator) = simulated(Settings::default(), clock);
    let client = client(Arc::clone(&transport), clock);
    let (one, other) = tokio::join!(client.list(), client.list());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(transport.tokens.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(3_599 - 301)).await;
    client.list().await.unwrap();
    assert_eq!(transport.tokens.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    client.list().await.unwrap();
    assert_eq!(transport.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_401_is_tried_once_more_with_a_new_token() {
    let clock = clock();
    let transport = answering(401, &[], "{}");
    let client = client(Arc::clone(&transport), clock);
    let error = create(&client, "A").await.unwrap_err();
    assert_eq!((error.status(), error.certainty()), (Some(401), Certainty::No));
    assert_eq!(transport.calls.load(Ordering::SeqCst), 2);
    assert_eq!(transport.tokens.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn no_token_goes_to_another_host() {
    let page = json!({"value": [], "@odata.nextLink": "https://evil.example/beta/next"});
    let transport = answering(200, &[], &page.to_string());
    let client = client(Arc::clone(&transport), clock());
    assert!(matches!(client.list().await, Err(GraphError::Unknown { .. })));
    let redirect = answering(302, &[("location", "https://evil.example/")], "");
    let redirected = client_of(&redirect);
    let error = create(&redirected, "A").await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
    for transport in [transport, redirect] {
        assert!(!transport.seen.lock().unwrap().iter().any(|seen| seen.uri().host() == Some("evil.example")));
    }
}

/// A page whose next link has this token; none: the last.
fn page(next: Option<usize>) -> serde_json::Value {
    let link = next.map(|next| format!("https://graph.microsoft.com/beta/next?$skiptoken={next}"));
    json!({"value": [], "@odata.nextLink": link})
}

#[tokio::test(start_paused = true)]
async fn a_list_that_leads_back_to_where_it_was_is_given_up() {
    let pages = [("0", 1), ("1", 2), ("2", 1)];
    let transport = answered_by(move |request| {
        let token =
            request.uri().query().and_then(|query| query.split_once('=')).map_or("0", |(_, token)| token);
        let next = pages.iter().find(|(own, _)| *own == token).map(|(_, next)| *next);
        (200, page(next).to_string())
    });
    assert!(matches!(client_of(&transport).list().await, Err(GraphError::Unknown { .. })));
    assert_eq!(transport.calls.load(Ordering::SeqCst), 3);
}

/// Whoever waits for it holds a place in which others could have their turn.
#[tokio::test(start_paused = true)]
async fn a_list_that_goes_on_for_minutes_is_given_up() {
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let transport = answered_by(move |_| (200, page(Some(pages.fetch_add(1, Ordering::SeqCst))).to_string()));
    transport.call_takes.store(25, Ordering::SeqCst);
    let client = client_of(&transport);
    let began = tokio::time::Instant::now();
    assert!(matches!(client.list().await, Err(GraphError::Unknown { .. })));
    assert_eq!(began.elapsed(), Duration::from_mins(3));
}

#[tokio::test(start_paused = true)]
async fn whatever_asks_to_wait_is_waited_for() {
    for status in [429, 500, 503, 504] {
        let client = client_of(&answering(status, &[("retry-after", "30")], "{}"));
        assert!(client.list().await.is_err());
        assert_eq!(client.gate.closed_for(client.clock.now()), Some(Duration::from_secs(30)), "{status}");
    }
    let client = client_of(&answering(504, &[], "{}"));
    assert!(client.list().await.is_err());
    assert_eq!(client.gate.closed_for(client.clock.now()), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_clear_answer_is_unknown() {
    for (status, body_text) in [
        (201, "{}"),
        (201, "<html>"),
        (202, ""),
        (200, "[]"),
        (204, ""),
        (500, "{}"),
        (502, "<html>"),
        (504, ""),
        (409, "{}"),
    ] {
        let transport = answering(status, &[], body_text);
        let error = create(&client_of(&transport), "A").await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{status} {body_text}");
        assert_eq!(transport.calls.load(Ordering::SeqCst), 1, "a POST is never repeated");
    }
    for page in ["", "<html>", "{}", r#"{"value":{}}"#, r#"{"value":[{"displayName":"no id"}]}"#] {
        let error = client_of(&answering(200, &[], page)).list().await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_may_have_been_carried_out_unless_nothing_was_sent() {
    type Failure = fn(String) -> TransportError;
    for (failure, certainty) in [
        (TransportError::NoAnswer as Failure, Certainty::Unknown),
        (TransportError::NotConnected as Failure, Certainty::Later(None)),
    ] {
        let transport = scripted(move |request| {
            if request.uri().path().ends_with("/token") {
                return Ok(token_answer());
            }
            Err(failure("the connection is gone".to_owned()))
        });
        let error = create(&client_of(&transport), "A").await.unwrap_err();
        assert_eq!(error.certainty(), certainty);
        assert_eq!(transport.calls.load(Ordering::SeqCst), 1, "a POST is never repeated");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_back_every_call() {
    let clock = clock();
    let transport = answering(429, &[("retry-after", "2.5")], "{}");
    let client = client(Arc::clone(&transport), clock);
    let error = create(&client, "A").await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Later(Some(Duration::from_millis(2_500))));
    assert_eq!(client.list().await.unwrap_err(), GraphError::Waiting(Duration::from_millis(2_500)));
    assert!(client.ready().await.is_err());
    assert_eq!(transport.calls.load(Ordering::SeqCst), 1, "nothing is sent while Graph asks to wait");
    tokio::time::advance(Duration::from_millis(2_501)).await;
    assert!(client.ready().await.is_ok());
}

/// Whatever is sent while throttled counts against the limit, and all of a tenant wait for the same moment.
#[tokio::test(start_paused = true)]
async fn when_the_wait_is_over_one_call_goes_first() {
    let transport = answering(429, &[("retry-after", "2")], "{}");
    transport.call_takes.store(1, Ordering::SeqCst);
    let client = client_of(&transport);
    assert!(client.get("p").await.is_err());
    for asked in 2..5 {
        tokio::time::advance(Duration::from_secs(2)).await;
        let all = tokio::join!(client.get("a"), client.list(), client.ready(), client.error_count("b"));
        assert!(all.0.is_err() && all.1.is_err() && all.2.is_err() && all.3.is_err());
        assert_eq!(transport.calls.load(Ordering::SeqCst), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_that_names_no_time_holds_back_as_well() {
    let client = client_of(&answering(429, &[], "{}"));
    assert!(client.list().await.is_err());
    assert_eq!(client.list().await.unwrap_err(), GraphError::Waiting(Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_nothing_is_changed() {
    let clock = clock();
    let transport = answering(200, &[], r#"{"id":"p"}"#);
    let mut client = client(Arc::clone(&transport), clock);
    client.permission = Arc::new(Lease(false));
    let error = create(&client, "A").await.unwrap_err();
    assert!(matches!(error.certainty(), Certainty::Later(_)), "it is known that nothing was sent");
    assert!(delete(&client, "p").await.is_err());
    assert_eq!(transport.calls.load(Ordering::SeqCst), 0);
    assert!(client.get("p").await.unwrap().is_some(), "reading is no change");
}

/// A create that is on its way after its deadline may be one that its successor does not wait for.
#[tokio::test(start_paused = true)]
async fn the_time_that_a_token_takes_counts_against_the_deadline() {
    for (takes, left) in [(20, Some(10)), (40, None)] {
        let transport = answering(201, &[], r#"{"id":"p"}"#);
        let client = client_of(&transport);
        let admission = client.ready().await.unwrap();
        // The process was frozen, or waited for Kubernetes: the token has ended meanwhile.
        tokio::time::advance(Duration::from_hours(2)).await;
        transport.token_takes.store(takes, Ordering::SeqCst);
        let created = client.create(admission, &RequestBody::new(body("A")), "attempt", TIMEOUT).await;
        let sent: Vec<u64> = transport.deadlines.lock().unwrap().iter().map(Duration::as_secs).collect();
        assert_eq!(sent, left.into_iter().collect::<Vec<_>>());
        let certainty = created.map_err(|error| error.certainty());
        assert_eq!(certainty.is_ok(), left.is_some());
        assert!(certainty.is_ok() || certainty == Err(Certainty::Later(None)), "it was not sent");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_graph_wrote_in_free_text_and_no_secret_is_in_an_error() {
    let text = json!({"error": {"code": format!("no code but {CANARY}"), "message": CANARY,
        "innerError": {"message": CANARY}}})
    .to_string();
    for status in [400, 403, 404, 409, 429, 500] {
        let headers = [("request-id", "a pupil's name is no id"), ("retry-after", CANARY)];
        let client = client_of(&answering(status, &headers, &text));
        let error = create(&client, "A").await.unwrap_err();
        let shown = format!("{error:?} {error} {client:?}");
        let settings = Settings::default();
        for secret in [CANARY, "no code", "pupil", &settings.client_secret, &settings.refresh_token] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
