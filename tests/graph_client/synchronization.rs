//! Pause, resume, reset, start, status, errors: requests as documented, answers read tolerantly.

use edusync::api::status::SyncStatus;
use edusync::graph::client::UploadTarget;
use edusync::graph::sync::Severity;
use edusync::graph::{Certainty, GraphError};
use serde_json::json;

use crate::support::{CANARY, answered_by, answering, client_of};

#[tokio::test(start_paused = true)]
async fn actions_are_posts_without_a_body() {
    let transport = answered_by(|_| (200, String::new()));
    let client = client_of(&transport);
    client.pause(client.ready().await.unwrap(), "p").await.unwrap();
    client.resume(client.ready().await.unwrap(), "p").await.unwrap();
    client.reset(client.ready().await.unwrap(), "p").await.unwrap();
    assert_eq!(transport.lines(), ["POST …/p/pause", "POST …/p/resume", "POST …/p/reset"]);
    for request in transport.seen.lock().unwrap().iter() {
        assert!(request.body().is_empty() && !request.headers().contains_key("content-type"));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_decide_whether_a_synchronization_started() {
    let messages = |kinds: &[&str]| {
        let list: Vec<_> = kinds
            .iter()
            .map(|kind| json!({"type": kind, "fileName": "student.csv", "description": CANARY}))
            .collect();
        json!({"value": list}).to_string()
    };
    for (status, body, started, count) in [
        (200, messages(&[]), true, 0),
        (200, String::new(), true, 0),
        (204, String::new(), true, 0),
        (200, messages(&["Warning"]), true, 1),
        // The prose says 400, the example shows 200: the messages decide.
        (200, messages(&["Warning", "Error"]), false, 2),
        (400, messages(&["error"]), false, 1),
        (400, messages(&["Warning"]), false, 1),
    ] {
        let client = client_of(&answering(status, &[], &body));
        let start = client.start(client.ready().await.unwrap(), "p").await.unwrap();
        assert_eq!((start.started, start.messages.len()), (started, count), "{status} {body}");
        assert!(!format!("{start:?}").contains(CANARY));
    }
    let refused = json!({"error": {"code": "BadRequest", "message": CANARY}}).to_string();
    let client = client_of(&answering(400, &[], &refused));
    let error = client.start(client.ready().await.unwrap(), "p").await.unwrap_err();
    assert!(
        matches!(&error, GraphError::Refused { status: 400, code: Some(code), .. } if code == "BadRequest")
    );
}

#[tokio::test(start_paused = true)]
async fn messages_go_on_over_pages() {
    let first = json!({"value": [{"type": "Warning", "description": "1"}],
        "@odata.nextLink": "https://graph.microsoft.com/beta/education/synchronizationProfiles/p/start?$skiptoken=x"});
    let transport = answered_by(move |request| match request.uri().query() {
        None => (200, first.to_string()),
        Some(_) => (200, json!({"value": [{"type": "Error", "description": "2"}]}).to_string()),
    });
    let client = client_of(&transport);
    let start = client.start(client.ready().await.unwrap(), "p").await.unwrap();
    assert_eq!((start.started, start.messages.len()), (false, 2));
    assert_eq!(start.messages[1].severity, Severity::Error);
    assert_eq!(transport.lines(), ["POST …/p/start", "GET …/p/start?$skiptoken=x"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_for_uploads_is_a_secret_and_leads_to_a_blob_host() {
    let address = |url: &str| json!({"value": url}).to_string();
    let sas = "https://sdsexample.blob.core.windows.net/p?sig=canary-of-a-pupil&sp=w";
    for status in [200, 201] {
        let client = client_of(&answering(status, &[], &address(sas)));
        let target = client.upload_url(client.ready().await.unwrap(), "p").await.unwrap();
        assert!(matches!(target, UploadTarget::Ready(_)));
        assert!(!format!("{target:?}").contains(CANARY));
    }
    let client = client_of(&answering(409, &[], "{}"));
    assert!(matches!(client.upload_url(client.ready().await.unwrap(), "p").await, Ok(UploadTarget::Busy)));
    for wrong in [address("https://evil.example/p?sig=x"), address("not a URL"), "{}".to_owned()] {
        let client = client_of(&answering(200, &[], &wrong));
        let error = client.upload_url(client.ready().await.unwrap(), "p").await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_is_asked_for_with_the_header_that_shows_all_states() {
    let transport = answering(200, &[], r#"{"id":"p","status":"validating","errorCount":2}"#);
    let status = client_of(&transport).profile_status("p").await.unwrap().unwrap();
    assert_eq!((status.status, status.error_count), (SyncStatus::Validating, Some(2)));
    assert_eq!(transport.lines(), ["GET …/p/profileStatus"]);
    assert_eq!(transport.seen.lock().unwrap()[0].headers()["prefer"], "include-unknown-enum-members");
    assert_eq!(client_of(&answering(404, &[], "{}")).profile_status("p").await, Ok(None));
    assert!(client_of(&answering(200, &[], "<html>")).profile_status("p").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn errors_are_counted_over_pages_and_keep_no_name() {
    let error = |kind: &str, code: &str| json!({"id": "1", "entryType": kind, "errorCode": code, "errorMessage": CANARY, "joiningValue": CANARY, "reportableIdentifier": CANARY});
    let first = json!({"@odata.count": 3, "value": [error("Student", "UnsynchronizableChange"), error("Student", "UnsynchronizableChange")],
        "@odata.nextLink": "https://graph.microsoft.com/beta/education/synchronizationProfiles/p/errors?$skiptoken=2"});
    let second = json!({"value": [error("Teacher", CANARY)]});
    let transport = answered_by(move |request| {
        (200, if request.uri().query().is_some() { second.to_string() } else { first.to_string() })
    });
    let client = client_of(&transport);
    let counts = client.error_counts("p").await.unwrap();
    let counts: Vec<_> = counts.iter().map(|((kind, code), n)| (kind.as_str(), code.as_str(), *n)).collect();
    assert_eq!(counts, [("Student", "UnsynchronizableChange", 2), ("Teacher", "Unknown", 1)]);
    assert_eq!(transport.lines(), ["GET …/p/errors", "GET …/p/errors?$skiptoken=2"]);
    let page = client.errors("p", None).await.unwrap();
    assert!(!format!("{page:?}").contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn counts_are_plain_numbers() {
    for (body, count) in
        [("42", Some(42)), ("\u{feff}7", Some(7)), (" 0\r\n", Some(0)), ("many", None), ("", None)]
    {
        let transport = answering(200, &[], body);
        assert_eq!(client_of(&transport).count().await.ok(), count, "{body:?}");
        assert_eq!(transport.lines(), ["GET …/$count"]);
    }
    assert_eq!(client_of(&answering(200, &[], "5")).error_count("p").await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn an_id_cannot_lead_elsewhere() {
    let transport = answered_by(|_| (200, "{}".to_owned()));
    let client = client_of(&transport);
    for id in ["..", ".", ""] {
        assert!(client.get(id).await.is_err(), "{id:?}");
    }
    assert!(transport.lines().is_empty());
    let _ = client.get("a/../b?c#d").await;
    assert_eq!(transport.lines(), ["GET …/a%2F..%2Fb%3Fc%23d"]);
}

/// The POST was answered: a second start would be one too many.
#[tokio::test(start_paused = true)]
async fn a_start_whose_messages_are_cut_short_is_not_one_that_was_never_sent() {
    for status in [404, 429, 500] {
        let first = json!({"value": [{"type": "Warning"}],
            "@odata.nextLink": "https://graph.microsoft.com/beta/education/synchronizationProfiles/p/start?$skiptoken=x"});
        let transport = answered_by(move |request| match request.uri().query() {
            None => (200, first.to_string()),
            Some(_) => (status, "{}".to_owned()),
        });
        let client = client_of(&transport);
        let error = client.start(client.ready().await.unwrap(), "p").await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown, "{status}");
    }
}
