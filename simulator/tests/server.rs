//! The simulator behind TLS: what needs a socket and cannot be seen in process.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{Server, Settings};
use reqwest::{Certificate, Client};
use serde_json::Value;
use support::{BETA, profile};

async fn start() -> (Server, Client) {
    let server = Server::start(Settings::default()).await.unwrap();
    let client = client(&server);
    (server, client)
}

fn client(server: &Server) -> Client {
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap()
}

async fn token(server: &Server, client: &Client) -> String {
    let settings = server.settings();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", &settings.public_client_id)
        .append_pair("refresh_token", &settings.refresh_token)
        .finish();
    let request = client
        .post(format!("{}/{}/oauth2/v2.0/token", server.url(), settings.tenant))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Waits until the server holds this many profiles; the test's own time limit ends it otherwise.
async fn until_profiles(server: &Server, count: usize) {
    let wait = async {
        while server.profiles().len() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

fn create(server: &Server, client: &Client, token: &str) -> tokio::task::JoinHandle<reqwest::Result<u16>> {
    let request = client.post(format!("{}{BETA}", server.url())).bearer_auth(token).json(&profile("P"));
    tokio::spawn(async move { Ok(request.send().await?.status().as_u16()) })
}

#[tokio::test]
async fn answers_over_tls_with_links_to_itself() {
    let (server, client) = start().await;
    let token = token(&server, &client).await;
    server.plant(profile("A")).unwrap();
    server.plant(profile("B")).unwrap();
    let list = client.get(format!("{}{BETA}?$top=1", server.url())).bearer_auth(&token);
    let page: Value = list.send().await.unwrap().json().await.unwrap();
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(&server.url()), "{next}");
    let page: Value = client.get(next).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert_eq!(page["value"][0]["displayName"], "B");
    assert_eq!(server.requests().len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_held_create_is_committed_and_answered_later() {
    let (server, client) = start().await;
    let token = token(&server, &client).await;
    server.hold_create_answers(true);
    let held = create(&server, &client, &token);
    until_profiles(&server, 1).await;
    let read = client.get(format!("{}{BETA}", server.url())).bearer_auth(&token).send().await.unwrap();
    assert_eq!(read.status(), 200, "only creates are held");
    assert!(!held.is_finished());
    server.hold_create_answers(false);
    assert_eq!(held.await.unwrap().unwrap(), 201);
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_held_create_leaves_the_profile_behind() {
    let (server, client) = start().await;
    let token = token(&server, &client).await;
    server.hold_create_answers(true);
    let held = create(&server, &client, &token);
    until_profiles(&server, 1).await;
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    assert_eq!(server.profiles()[0]["displayName"], "P");
    server.stop().await;
}

#[tokio::test]
async fn a_closed_server_refuses_and_cuts_and_comes_back_with_its_state() {
    let (server, client) = start().await;
    let token = token(&server, &client).await;
    let id = server.plant(profile("A")).unwrap();
    server.hold_create_answers(true);
    let cut = create(&server, &client, &token);
    until_profiles(&server, 2).await;

    server.close().await;
    assert!(cut.await.unwrap().is_err(), "open connections are cut");
    let refused = client.get(server.url()).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    assert!(server.remove(&id), "the state goes on without a port");

    server.reopen().await.unwrap();
    server.reopen().await.unwrap();
    let list = client.get(format!("{}{BETA}", server.url())).bearer_auth(&token).send().await.unwrap();
    let page: Value = list.json().await.unwrap();
    assert_eq!(page["value"].as_array().unwrap().len(), 1);
    assert_eq!(page["value"][0]["displayName"], "P");
}

#[tokio::test]
async fn strangers_to_the_authority_do_not_trust_it() {
    let (server, _) = start().await;
    let (other, _) = start().await;
    let refused = client(&other).get(server.url()).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
}

#[tokio::test]
async fn further_names_are_in_the_certificate_and_wrong_ones_are_named() {
    let settings = Settings { sans: vec!["graph-simulator.demo.svc".to_owned()], ..Settings::default() };
    let server = Server::start(settings).await.unwrap();
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
    let address = server.url().trim_start_matches("https://").parse().unwrap();
    let client = Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .resolve("graph-simulator.demo.svc", address)
        .build()
        .unwrap();
    let url = format!("https://graph-simulator.demo.svc:{}/_simulator/profiles", address.port());
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);

    let settings = Settings { sans: vec!["not a näme".to_owned()], ..Settings::default() };
    let refused = Server::start(settings).await.err().unwrap();
    assert!(refused.to_string().contains("--san"), "{refused}");
}

const IDENTITY: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";

/// Asks without TLS for a token for the simulator's own Graph.
async fn ask_the_machine(server: &Server, at: &str) -> reqwest::Result<reqwest::Response> {
    let client = Client::builder().no_proxy().build().unwrap();
    client.get(format!("{at}{IDENTITY}&resource={}", server.url())).header("Metadata", "true").send().await
}

#[tokio::test]
async fn the_managed_identity_endpoint_answers_without_tls_and_nothing_else_does() {
    let (bare, _) = start().await;
    assert_eq!(bare.identity_url(), None);
    let server = Server::start(Settings { identity_port: Some(0), ..Settings::default() }).await.unwrap();
    let plain = server.identity_url().unwrap();
    assert!(plain.starts_with("http://127.0.0.1:"), "{plain}");
    let answer = ask_the_machine(&server, &plain).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let list = client(&server).get(format!("{}{BETA}", server.url()));
    let list = list.bearer_auth(answer["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(list.status(), 200, "the token is good at the other port");

    let client = Client::builder().no_proxy().build().unwrap();
    let without_header = client.get(format!("{plain}{IDENTITY}")).send().await.unwrap();
    assert_eq!(without_header.status(), 400);
    let post = client.post(format!("{plain}{IDENTITY}")).header("Metadata", "true").send().await.unwrap();
    assert_eq!(post.status(), 405);
    for path in ["/", "/_simulator/requests", BETA, "/metadata/identity", "/metadata/instance"] {
        let answer = client.get(format!("{plain}{path}")).header("Metadata", "true").send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(server.requests().len(), 4, "a token, a list, two refusals");
}

#[tokio::test]
async fn faults_and_outages_reach_the_port_without_tls() {
    let server = Server::start(Settings { identity_port: Some(0), ..Settings::default() }).await.unwrap();
    let plain = server.identity_url().unwrap();
    server.fault("identity:410").unwrap();
    server.fault("identity:reset").unwrap();
    assert_eq!(ask_the_machine(&server, &plain).await.unwrap().status(), 410);
    let reset = ask_the_machine(&server, &plain).await.unwrap_err();
    assert!(reset.is_request() && !reset.is_connect(), "{reset:?}");
    server.close().await;
    assert!(ask_the_machine(&server, &plain).await.unwrap_err().is_connect());
    server.reopen().await.unwrap();
    assert_eq!(server.identity_url().as_ref(), Some(&plain));
    assert_eq!(ask_the_machine(&server, &plain).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let (server, client) = start().await;
    let huge = vec![b' '; 5 * 1024 * 1024];
    let request = client.post(format!("{}{BETA}", server.url())).header("client-request-id", "mine");
    // The refusal may reach the client while it is still writing, which it may see as a cut connection.
    if let Ok(answer) = request.body(huge).send().await {
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["connection"]),
            (413, &"close".parse().unwrap())
        );
        let id = answer.headers()["request-id"].clone();
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["code"], "RequestEntityTooLarge");
        assert_eq!(error["error"]["innerError"]["request-id"], id.to_str().unwrap());
    }
    let logged = server.requests().pop().unwrap();
    assert_eq!(
        (logged.status, logged.operation, logged.client_request_id.as_deref()),
        (413, "create", Some("mine"))
    );
}
