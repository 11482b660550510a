//! By which verb a profile is changed, and whether a list takes `$expand`: learnt once.

use std::sync::atomic::{AtomicBool, Ordering};

use edusync::graph::client::{Update, Updated};
use edusync::graph::learnt::UpdateVerb;
use edusync::graph::wire::RequestBody;
use edusync::graph::{Certainty, GraphClient, GraphError};
use http::Method;
use serde_json::json;

use crate::support::{answered_by, client_of};

const PROFILE: &str = r#"{"id":"p","displayName":"A","state":"provisioned"}"#;

async fn update(client: &GraphClient) -> Result<Updated, GraphError> {
    let admission = client.ready().await?;
    let put = RequestBody::new(json!({"displayName": "A", "expirationDate": null}));
    let patch = RequestBody::new(json!({"displayName": "A"}));
    client.update(admission, "p", &Update { put, patch }).await
}

#[tokio::test(start_paused = true)]
async fn put_with_the_whole_profile_is_tried_first() {
    let transport = answered_by(|_| (202, PROFILE.to_owned()));
    let client = client_of(&transport);
    assert!(matches!(update(&client).await, Ok(Updated::Accepted(Some(_)))));
    assert_eq!(transport.lines(), ["PUT …/p"]);
    assert_eq!(client.learnt.update_verb(), Some(UpdateVerb::Put));
    let seen = transport.seen.lock().unwrap();
    let body: serde_json::Value = serde_json::from_slice(seen[0].body()).unwrap();
    assert_eq!(body, json!({"displayName": "A", "expirationDate": null}));
}

#[tokio::test(start_paused = true)]
async fn where_put_is_not_there_patch_is_learnt() {
    for refusal in [405, 501, 404] {
        let transport = answered_by(move |request| match *request.method() {
            Method::PUT => (refusal, "{}".to_owned()),
            _ => (200, PROFILE.to_owned()),
        });
        let client = client_of(&transport);
        assert!(matches!(update(&client).await, Ok(Updated::Accepted(Some(_)))), "{refusal}");
        assert!(update(&client).await.is_ok());
        // A 404 may mean that only the verb is not there: the profile itself is asked for.
        let first = if refusal == 404 { vec!["PUT …/p", "GET …/p"] } else { vec!["PUT …/p"] };
        let expected = [first, vec!["PATCH …/p", "PATCH …/p"]].concat();
        assert_eq!(transport.lines(), expected, "{refusal}");
        assert_eq!(client.learnt.update_verb(), Some(UpdateVerb::Patch));
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_is_gone_is_not_patched() {
    let transport = answered_by(|_| (404, "{}".to_owned()));
    assert_eq!(update(&client_of(&transport)).await, Ok(Updated::NotFound));
    assert_eq!(transport.lines(), ["PUT …/p", "GET …/p"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_learnt_from_what_is_no_answer() {
    for (status, certainty) in [(400, Certainty::No), (504, Certainty::Unknown), (500, Certainty::Unknown)] {
        let transport = answered_by(move |_| (status, "<html>".to_owned()));
        let client = client_of(&transport);
        assert_eq!(update(&client).await.unwrap_err().certainty(), certainty);
        assert_eq!((transport.lines().len(), client.learnt.update_verb()), (1, None), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_comes_with_the_list_where_that_is_allowed() {
    let transport = answered_by(|_| {
        (200, json!({"value": [{"id": "p", "state": "provisioned", "profileStatus": {"status": "extracting"}}]}).to_string())
    });
    let client = client_of(&transport);
    let listed = client.list_with_status().await.unwrap();
    assert_eq!(listed["p"].sync.as_ref().unwrap().status.as_str(), "extracting");
    assert_eq!(
        (transport.lines(), client.learnt.expand(client.clock.now())),
        (vec!["GET …?$expand=profileStatus".to_owned()], Some(true))
    );
    // Without this header the early states are hidden.
    let prefer = transport.seen.lock().unwrap()[0].headers()["prefer"].clone();
    assert_eq!(prefer, "include-unknown-enum-members");
}

#[tokio::test(start_paused = true)]
async fn a_refused_or_ignored_expand_is_learnt_and_costs_one_call() {
    let plain = json!({"value": [{"id": "p", "state": "provisioned"}]}).to_string();
    for refusal in [Some(400), Some(501), None] {
        let body = plain.clone();
        let transport = answered_by(move |request| match (request.uri().query(), refusal) {
            (Some(_), Some(status)) => (status, "{}".to_owned()),
            _ => (200, body.clone()),
        });
        let client = client_of(&transport);
        assert_eq!(client.list_with_status().await.unwrap().len(), 1);
        assert_eq!(client.learnt.expand(client.clock.now()), Some(false), "{refusal:?}");
        let before = transport.lines().len();
        client.list_with_status().await.unwrap();
        assert_eq!(transport.lines()[before..], ["GET …"]);
        // The service may have had a bad moment then.
        tokio::time::advance(std::time::Duration::from_hours(24)).await;
        let before = transport.lines().len();
        client.list_with_status().await.unwrap();
        assert_eq!(transport.lines()[before], "GET …?$expand=profileStatus");
        assert_eq!(transport.lines().len() - before, 1 + usize::from(refusal.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expand_that_is_withdrawn_is_missed_at_its_third_refusal_in_a_row() {
    let refuses = std::sync::Arc::new(AtomicBool::new(false));
    let transport = answered_by({
        let refuses = refuses.clone();
        move |request| match request.uri().query() {
            Some(_) if refuses.load(Ordering::SeqCst) => (400, "{}".to_owned()),
            Some(_) => {
                let sync = json!({"id": "p", "state": "provisioned", "profileStatus": {"status": "success"}});
                (200, json!({"value": [sync]}).to_string())
            }
            None => (200, json!({"value": [{"id": "p", "state": "provisioned"}]}).to_string()),
        }
    });
    let client = client_of(&transport);
    let lists = async |count: usize| {
        let mut came = 0;
        for _ in 0..count {
            came += usize::from(client.list_with_status().await.is_ok());
        }
        came
    };
    assert_eq!(lists(1).await, 1);
    refuses.store(true, Ordering::SeqCst);
    assert_eq!(lists(2).await, 0, "what was allowed once is not forbidden by one answer");
    refuses.store(false, Ordering::SeqCst);
    assert_eq!(lists(1).await, 1);
    refuses.store(true, Ordering::SeqCst);
    assert_eq!(lists(3).await, 1);
    assert_eq!(client.learnt.expand(client.clock.now()), Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_teaches_nothing_about_expand() {
    for status in [400, 404, 500, 503] {
        let client = client_of(&answered_by(move |_| (status, "{}".to_owned())));
        assert!(client.list_with_status().await.is_err());
        assert_eq!(client.learnt.expand(client.clock.now()), None, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_learnt_from_a_404_and_a_wrong_lesson_is_unlearnt() {
    let transport = answered_by(|request| match *request.method() {
        Method::GET => (200, PROFILE.to_owned()),
        _ => (404, "{}".to_owned()),
    });
    let client = client_of(&transport);
    assert_eq!(update(&client).await.unwrap_err().status(), Some(404), "it is there, and cannot be changed");
    assert_eq!(client.learnt.update_verb(), None);

    let put_works = AtomicBool::new(false);
    let transport = answered_by(move |request| {
        let is_put = *request.method() == Method::PUT;
        let takes = is_put == put_works.load(Ordering::SeqCst);
        put_works.store(true, Ordering::SeqCst);
        if takes { (200, PROFILE.to_owned()) } else { (405, "{}".to_owned()) }
    });
    let client = client_of(&transport);
    // PUT is refused, and right after it nothing but PUT is taken.
    assert!(update(&client).await.is_err());
    assert!(update(&client).await.is_ok());
    assert_eq!(client.learnt.update_verb(), Some(UpdateVerb::Put));
}

#[tokio::test(start_paused = true)]
async fn what_was_allowed_once_is_not_forbidden_by_one_answer() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let transport = answered_by(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        1 => (400, "{}".to_owned()),
        _ => (
            200,
            json!({"value": [{"id": "p", "state": "provisioned", "profileStatus": {"status": "success"}}]})
                .to_string(),
        ),
    });
    let client = client_of(&transport);
    client.list_with_status().await.unwrap();
    assert!(client.list_with_status().await.is_err());
    assert_eq!(client.learnt.expand(client.clock.now()), Some(true));
    assert!(client.list_with_status().await.unwrap()["p"].sync.is_some());
}
