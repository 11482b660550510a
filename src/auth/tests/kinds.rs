//! What each kind of credential sends, and how answers are kept.

use std::io::Write as _;

use super::*;

fn secret() -> Credential {
    Credential::ClientSecret("example-secret".into())
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_is_sent_as_the_documents_say() {
    let transport = scripted(|number, _| granted(number));
    assert_eq!(token(&source(secret(), &transport)).await.unwrap(), "token 0");
    assert_eq!(transport.uri(0), format!("{LOGIN}/{TENANT}/oauth2/v2.0/token"));
    let form = transport.form(0);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], CLIENT);
    assert_eq!(form["client_secret"], "example-secret");
    assert_eq!(form["scope"], format!("{GRAPH}/.default"));
    assert_eq!(form.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_federated_token_is_read_for_every_request() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "first").unwrap();
    let transport = scripted(|number, _| granted(number));
    let credential = Credential::WorkloadIdentity { token_file: Some(file.path().to_owned()) };
    let source = source(credential, &transport);
    token(&source).await.unwrap();
    std::fs::write(file.path(), "second").unwrap();
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();
    for (number, text) in ["first", "second"].into_iter().enumerate() {
        let form = transport.form(number);
        assert_eq!(form["client_assertion"], text);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form["scope"], format!("{GRAPH}/.default"));
        assert!(!form.contains_key("client_secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_federated_token_the_webhooks_label_is_named() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for file in [None, Some("no-such-file".into()), Some(empty.path().to_owned())] {
        let transport = scripted(|number, _| granted(number));
        let error = token(&source(Credential::WorkloadIdentity { token_file: file }, &transport)).await;
        let error = error.unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert!(error.remedy().contains("azure.workload.identity/use: \"true\""));
        assert_eq!(transport.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_federated_credential_is_asked_for_again_each_minute() {
    let transport = scripted(|number, _| match number {
        0 => refused(400, "invalid_request", 70_021),
        _ => granted(number),
    });
    let source = source(secret(), &transport);
    let error = token(&source).await.unwrap_err();
    assert!(error.remedy().contains("some minutes"), "{}", error.remedy());
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(token(&source).await.unwrap_err(), error, "remembered, not asked for again");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&source).await.unwrap(), "token 1");
}

fn managed() -> Credential {
    Credential::ManagedIdentity { endpoint: "http://169.254.169.254".to_owned() }
}

/// An access token as Entra makes them, of this tenant.
fn jwt(tenant: &str) -> String {
    use base64::Engine as _;
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.signature", encode("{}".to_owned()), encode(json!({"tid": tenant}).to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_managed_identity_asks_the_node_and_reads_numbers_as_text() {
    let transport = scripted(|number, _| {
        let end = (START + 86_400 * (i64::try_from(number).unwrap() + 1)).to_string();
        let mut body = json!({"access_token": jwt(TENANT), "expires_on": end, "token_type": "Bearer"});
        if number == 0 {
            body["expires_in"] = json!("86399");
        }
        answer(200, &body)
    });
    let source = source(managed(), &transport);
    assert_eq!(token(&source).await.unwrap(), jwt(TENANT));
    assert_eq!(
        transport.uri(0),
        format!(
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph.example&client_id={CLIENT}"
        )
    );
    let metadata = transport.requests.lock().unwrap()[0].headers()["metadata"].clone();
    assert_eq!(metadata, "true");
    for (after, requests) in [(86_399 - 301, 1), (2, 2), (86_400 - 600, 2), (600, 3)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        token(&source).await.unwrap();
        assert_eq!(transport.count(), requests, "after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_identity_refuses_and_a_busy_one_does_not() {
    for (status, refusal) in
        [(400, true), (403, false), (404, false), (410, false), (429, false), (500, false), (504, false)]
    {
        let body = json!({"error": "invalid_request", "error_description": "Identity not found"});
        let transport = scripted(move |_, _| answer(status, &body));
        let error = token(&source(managed(), &transport)).await.unwrap_err();
        assert_eq!(error.is_refusal(), refusal, "{status}");
    }
    let other = "11111111-1111-1111-1111-111111111111";
    let transport =
        scripted(move |_, _| answer(200, &json!({"access_token": jwt(other), "expires_in": "60"})));
    let error = token(&source(managed(), &transport)).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("another tenant"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn refresh_in_is_honoured_and_a_failed_early_renewal_costs_nothing() {
    let transport = scripted(|number, _| match number {
        0 => answer(200, &json!({"access_token": "old", "expires_in": "86399", "refresh_in": 43_199})),
        1 | 2 => answer(500, &json!({})),
        _ => granted(number),
    });
    let source = source(secret(), &transport);
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_secs(43_198)).await;
    token(&source).await.unwrap();
    assert_eq!(transport.count(), 1);
    for (after, requests, text) in [(1, 2, "old"), (29, 2, "old"), (2, 3, "old"), (31, 4, "token 3")] {
        tokio::time::advance(Duration::from_secs(after)).await;
        assert_eq!((token(&source).await.unwrap().as_str(), transport.count()), (text, requests));
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_token_service_is_left_alone_for_as_long_as_it_asks() {
    let transport = scripted(|number, _| match number {
        0 => Ok(Response::builder().status(429).header("retry-after", "17").body(Bytes::new()).unwrap()),
        _ => granted(number),
    });
    let source = source(secret(), &transport);
    let error = token(&source).await.unwrap_err();
    assert_eq!((error.is_refusal(), error.wait()), (false, Some(Duration::from_secs(17))));
    tokio::time::advance(Duration::from_secs(16)).await;
    assert!(token(&source).await.is_err());
    assert_eq!(transport.count(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&source).await.unwrap(), "token 1");
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_at_once_share_one_request_and_a_discarded_token_is_renewed() {
    let transport = scripted(|number, _| granted(number));
    let source = source(secret(), &transport);
    let (one, other) = tokio::join!(source.token(), source.token());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(Arc::ptr_eq(&one, &other));
    source.discard(&one).await;
    source.discard(&other).await;
    assert_eq!(token(&source).await.unwrap(), "token 1");
    assert_eq!(transport.count(), 2);
}
