//! A sign-in with a device code, from the prompt to each of its ends.

use super::*;
use crate::auth::device_code::{DeviceLogin, Poll};

fn begun() -> Sent {
    answer(
        200,
        &json!({
            "device_code": "device", "user_code": "ABCD-EFGH",
            "verification_uri": "https://login.example/device", "expires_in": 900, "interval": 5,
            "message": "Open the page and enter the code ABCD-EFGH."
        }),
    )
}

fn word(word: &str) -> Sent {
    answer(400, &json!({"error": word, "error_description": "canary", "error_codes": [1]}))
}

/// A sign-in whose polls are answered so, one after the other; the last answer stays.
async fn begin(polls: Vec<fn() -> Sent>) -> (DeviceLogin, Arc<Scripted>) {
    let transport = scripted(move |number, _| match number {
        0 => begun(),
        _ => polls[(number - 1).min(polls.len() - 1)](),
    });
    let port = Arc::clone(&transport) as Arc<dyn Transport>;
    let login = DeviceLogin::begin((LOGIN, TENANT, GRAPH), (CLIENT, None), port, clock()).await.unwrap();
    (login, transport)
}

#[tokio::test(start_paused = true)]
async fn a_confidential_client_shows_its_secret_with_each_request() {
    let transport = scripted(move |number, _| if number == 0 { begun() } else { done() });
    let port = Arc::clone(&transport) as Arc<dyn Transport>;
    let client = (CLIENT, Some("secret".into()));
    let mut login = DeviceLogin::begin((LOGIN, TENANT, GRAPH), client, port, clock()).await.unwrap();
    assert!(matches!(login.poll().await.unwrap(), Poll::Done(_)));
    for number in 0..2 {
        assert_eq!(transport.form(number)["client_secret"], "secret");
    }
    assert!(!format!("{login:?}").contains("\"secret\""));
}

fn done() -> Sent {
    answer(200, &json!({"access_token": "access", "expires_in": 3599, "refresh_token": "refresh"}))
}

#[tokio::test(start_paused = true)]
async fn the_administrator_is_shown_a_code_and_a_refresh_token_comes_of_it() {
    let (mut login, transport) =
        begin(vec![|| word("authorization_pending"), || word("slow_down"), || answer(503, &json!({})), done])
            .await;
    let prompt = login.prompt();
    assert_eq!(prompt.user_code, "ABCD-EFGH");
    assert_eq!(prompt.verification_uri, "https://login.example/device");
    assert!(prompt.message.contains("enter the code"));
    assert_eq!(prompt.expires_at, Timestamp::from_second(START + 900).unwrap());
    let waits = Mutex::new(Vec::new());
    let wait = async |time: Duration| {
        waits.lock().unwrap().push(time.as_secs());
        tokio::time::advance(time).await;
    };
    let Poll::Done(token) = login.finish(wait).await.unwrap() else { panic!("not done") };
    assert_eq!(token.expose_secret(), "refresh");
    assert_eq!(*waits.lock().unwrap(), [5, 5, 10, 15], "slower when asked to, or when nobody answers");
    assert_eq!(transport.uri(0), format!("{LOGIN}/{TENANT}/oauth2/v2.0/devicecode"));
    assert_eq!(transport.form(0)["scope"], format!("{GRAPH}/EduAdministration.ReadWrite offline_access"));
    let poll = transport.form(1);
    assert_eq!(poll["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    assert_eq!((poll["device_code"].as_str(), poll["client_id"].as_str()), ("device", CLIENT));
    assert!(!poll.contains_key("client_secret"), "a public client has none");
}

#[tokio::test(start_paused = true)]
async fn every_other_end_is_told_apart() {
    let (mut login, _) = begin(vec![|| word("authorization_declined")]).await;
    assert!(matches!(login.poll().await.unwrap(), Poll::Declined));
    let (mut login, _) = begin(vec![|| word("expired_token")]).await;
    assert!(matches!(login.poll().await.unwrap(), Poll::Expired));
    let (mut login, _) = begin(vec![|| word("bad_verification_code")]).await;
    assert!(login.poll().await.unwrap_err().is_refusal());
    let (mut login, transport) = begin(vec![|| word("authorization_pending")]).await;
    assert!(matches!(login.poll().await.unwrap(), Poll::Pending));
    tokio::time::advance(Duration::from_mins(15)).await;
    assert!(matches!(login.poll().await.unwrap(), Poll::Expired));
    assert_eq!(transport.count(), 2, "a code that is over is not asked for");
}
