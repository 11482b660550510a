//! Faults on a real connection: what a client sees of them.
#![cfg(test)]

mod support;

use std::error::Error as _;
use std::time::Duration;

use graph_simulator::{Server, Settings};
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::{Value, json};
use support::{BETA, profile};

struct Scene {
    server: Server,
    client: Client,
    token: String,
}

async fn scene() -> Scene {
    let server = Server::start(Settings::default()).await.unwrap();
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let form = "grant_type=refresh_token&client_id=33333333-3333-3333-3333-333333333333\
        &refresh_token=0.example-refresh-token";
    let request = client
        .post(format!("{}/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token", server.url()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    Scene { server, client, token }
}

impl Scene {
    fn create(&self) -> RequestBuilder {
        let request = self.client.post(format!("{}{BETA}", self.server.url()));
        request.bearer_auth(&self.token).json(&profile("P"))
    }

    fn list(&self) -> RequestBuilder {
        self.client.get(format!("{}{BETA}", self.server.url())).bearer_auth(&self.token)
    }
}

/// The kind of the input or output error below a client's error.
fn io_kind(error: &reqwest::Error) -> Option<std::io::ErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

#[tokio::test]
async fn a_reset_before_the_commit_leaves_nothing_and_one_after_it_a_profile() {
    let scene = scene().await;
    for (spec, kept) in [("create:reset", 0), ("create:reset-after-commit", 1)] {
        scene.server.fault(spec).unwrap();
        let error = scene.create().send().await.unwrap_err();
        assert_eq!(io_kind(&error), Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
        assert_eq!(scene.server.profiles().len(), kept, "{spec}");
    }
    assert_eq!(scene.create().send().await.unwrap().status(), 201, "the next connection is whole");
    assert_eq!(scene.server.faults().iter().map(|fault| fault.struck).sum::<u32>(), 2);
}

#[tokio::test]
async fn half_an_answer_announces_all_of_it() {
    let scene = scene().await;
    scene.server.fault("create:half").unwrap();
    let answer = scene.create().send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let announced = answer.content_length().unwrap();
    let mut answer = answer;
    let mut arrived = Vec::new();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => arrived.extend_from_slice(&chunk),
            Ok(None) => panic!("the whole body arrived"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(u64::try_from(arrived.len()).unwrap(), announced / 2);
    assert!(arrived.starts_with(b"{\"@odata.context\""));
    assert_eq!(scene.server.profiles().len(), 1);
}

#[tokio::test]
async fn a_slow_answer_outlasts_the_patience_of_a_client() {
    let scene = scene().await;
    scene.server.fault("create:slow,delay=1h").unwrap();
    let error = scene.create().timeout(Duration::from_millis(200)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(scene.server.profiles().len(), 1);
    assert_eq!(scene.list().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn faults_and_time_are_set_through_the_port_and_the_server() {
    let scene = scene().await;
    let faults = format!("{}/_simulator/faults", scene.server.url());
    let set = scene.client.post(&faults).json(&json!({ "spec": "list:429,retry-after=2.128" }));
    assert_eq!(set.send().await.unwrap().status(), 200);
    let throttled = scene.list().send().await.unwrap();
    assert_eq!(
        (throttled.status().as_u16(), throttled.headers()["retry-after"].as_bytes()),
        (429, b"2.128".as_slice())
    );
    assert!(scene.server.fault("list:hiccup").unwrap_err().contains("hiccup"));
    scene.server.fault("any:500,times=always").unwrap();
    assert_eq!(scene.list().send().await.unwrap().status(), 500);
    scene.server.clear_faults();
    assert_eq!(scene.list().send().await.unwrap().status(), 200);
    scene.server.advance(Duration::from_hours(1));
    assert_eq!(scene.list().send().await.unwrap().status(), 401, "the token has expired");
}

#[tokio::test]
async fn a_server_goes_on_with_its_state_and_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { state: Some(folder.path().join("state.json")), ..Settings::default() };
    let first = Server::start(settings.clone()).await.unwrap();
    let id = first.plant(profile("P")).unwrap();
    first.advance(Duration::from_hours(1));
    first.stop().await;
    let second = Server::start(settings).await.unwrap();
    assert_eq!(second.ca_pem(), first.ca_pem());
    let kept = &second.profiles()[0];
    assert_eq!((&kept["id"], &kept["state"]), (&json!(id), &json!("provisioned")));
}

#[tokio::test]
async fn a_file_that_is_no_state_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, "my diary").unwrap();
    let settings = Settings { state: Some(path.clone()), ..Settings::default() };
    let refused = Server::start(settings).await.err().unwrap();
    assert!(format!("{refused:#}").contains("move it away"), "{refused:#}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "my diary");
}
