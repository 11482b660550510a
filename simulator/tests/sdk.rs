//! Requests over TLS as Microsoft's own Python SDK sends them (msgraph-beta-sdk 1.18.0), and uploads as a storage
//! client sends them. Everything takes no time here, so that nobody has to wait.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{ProfileSettings, Server, Settings};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use support::BETA;
use support::bodies::one_roster;
use support::csv::GOOD;

struct Sdk {
    server: Server,
    client: Client,
    token: String,
}

impl Sdk {
    async fn start() -> Self {
        let profiles = ProfileSettings {
            sync_time: Duration::ZERO,
            processing_time: Duration::ZERO,
            ..ProfileSettings::default()
        };
        let settings =
            Settings { provisioning_time: Duration::ZERO, page_size: 4, profiles, ..Settings::default() };
        let server = Server::start(settings).await.unwrap();
        let authority = Certificate::from_pem(server.ca_pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
        let settings = server.settings();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", &settings.public_client_id)
            .append_pair("refresh_token", &settings.refresh_token)
            .finish();
        let request = client
            .post(format!("{}/{}/oauth2/v2.0/token", server.url(), settings.tenant))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        Self { token: answer["access_token"].as_str().unwrap().to_owned(), server, client }
    }

    fn request(&self, method: Method, tail: &str) -> RequestBuilder {
        let url = format!("{}{BETA}{tail}", self.server.url());
        self.client.request(method, url).bearer_auth(&self.token).header("Accept", "application/json")
    }

    async fn get(&self, tail: &str) -> Value {
        let answer = self.request(Method::GET, tail).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert_eq!(status, 200, "{tail}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, tail: &str) -> Response {
        self.request(Method::POST, tail).send().await.unwrap()
    }

    async fn create(&self, body: &Value) -> String {
        let answer = self.request(Method::POST, "").json(body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn upload(&self, id: &str, name: &str, body: Vec<u8>) -> Response {
        let answer = self.get(&format!("/{id}/uploadUrl()")).await;
        let (container, query) = answer["value"].as_str().unwrap().split_once('?').unwrap();
        let request = self.client.put(format!("{container}/{name}?{query}"));
        let request = request.header("x-ms-blob-type", "BlockBlob").header("x-ms-version", "2021-08-06");
        request.header("Content-Type", "text/csv").body(body).send().await.unwrap()
    }
}

#[tokio::test]
async fn lists_and_counts() {
    let sdk = Sdk::start().await;
    for name in ["A", "B", "O'Neill"] {
        let mut body = one_roster();
        body["displayName"] = json!(name);
        sdk.create(&body).await;
    }
    let page = sdk.get("?$orderby=displayName&$select=id,displayName,state&$top=2&$count=true").await;
    assert_eq!((&page["@odata.count"], &page["value"][1]["displayName"]), (&json!(3), &json!("B")));
    let next = page["@odata.nextLink"].as_str().unwrap();
    let next = next.strip_prefix(&format!("{}{BETA}", sdk.server.url())).unwrap();
    assert_eq!(sdk.get(next).await["value"][0]["displayName"], "O'Neill");
    let found =
        sdk.get("?%24filter=displayName%20eq%20%27O%27%27Neill%27&%24expand=profileStatus,errors").await;
    assert_eq!(found["value"][0]["profileStatus"]["status"], "success");
    let count =
        sdk.request(Method::GET, "/$count").header("Accept", "text/plain;q=0.9").send().await.unwrap();
    assert_eq!((count.status().as_u16(), count.text().await.unwrap().as_str()), (200, "3"));
}

/// A PATCH after a read carries the whole entity: ids, states, annotations, expansions, dates with `+00:00`.
#[tokio::test]
async fn a_whole_entity_is_patched_after_a_read() {
    let sdk = Sdk::start().await;
    let mut body = one_roster();
    body["dataProvider"]["customizations"]["studentEnrollment"] =
        json!({ "synchronizationStartDate": "2030-01-01T00:00:00+00:00" });
    let id = sdk.create(&body).await;
    let mut entity = sdk.get(&format!("/{id}?$expand=profileStatus,errors")).await;
    entity["displayName"] = json!("Renamed");
    let parts = &mut entity["dataProvider"]["customizations"];
    parts["@odata.type"] = json!("#microsoft.graph.educationSynchronizationCustomizations");
    assert_eq!(parts["section"]["synchronizationStartDate"], "0001-01-01T00:00:00Z");
    parts["section"]["synchronizationStartDate"] = json!("0001-01-01T00:00:00+00:00");
    entity["dataProvider"]["connectionSettings"].as_object_mut().unwrap().remove("clientSecret");
    let answer = sdk.request(Method::PATCH, &format!("/{id}")).json(&entity).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["displayName"], &answer["id"]), (&json!("Renamed"), &json!(id)));
    let parts = &answer["dataProvider"]["customizations"];
    assert_eq!(parts["section"]["synchronizationStartDate"], "0001-01-01T00:00:00Z");
    assert_eq!(parts["studentEnrollment"]["synchronizationStartDate"], "2030-01-01T00:00:00Z");
    let wrong = sdk.request(Method::PATCH, &format!("/{id}")).json(&json!({ "expiration_date": null }));
    assert_eq!(wrong.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn actions_go_without_body_and_content_type() {
    let sdk = Sdk::start().await;
    let id = sdk.create(&one_roster()).await;
    for (action, status) in [("pause", "paused"), ("resume", "success"), ("reset", "success")] {
        let answer = sdk.post(&format!("/{id}/{action}")).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, ""));
        assert_eq!(sdk.get(&format!("/{id}/profileStatus")).await["status"], status);
    }
}

#[tokio::test]
async fn errors_are_read_page_by_page() {
    let sdk = Sdk::start().await;
    let id = sdk.create(&one_roster()).await;
    assert_eq!(sdk.server.plant_errors(&id, 10), 1);
    let mut tail = format!("/{id}/errors?$top=3&$count=true&$select=id,errorCode");
    let mut sizes = Vec::new();
    loop {
        let page = sdk.get(&tail).await;
        assert_eq!(page["@odata.count"], 10);
        sizes.push(page["value"].as_array().unwrap().len());
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        tail = next.strip_prefix(&format!("{}{BETA}", sdk.server.url())).unwrap().to_owned();
    }
    assert_eq!(sizes, [3, 3, 3, 1]);
    let count = sdk.request(Method::GET, &format!("/{id}/errors/$count")).send().await.unwrap();
    assert_eq!(count.text().await.unwrap(), "10");
    let first = sdk.get(&format!("/{id}/errors?$top=1")).await["value"][0].clone();
    let one = sdk.get(&format!("/{id}/errors/{}", first["id"].as_str().unwrap())).await;
    assert_eq!(one["joiningValue"], first["joiningValue"]);
}

#[tokio::test]
async fn files_are_uploaded_and_started() {
    let sdk = Sdk::start().await;
    let id = sdk.create(&support::profile("CSV")).await;
    // The SDK reads this answer as an error without `error`; the messages are in the raw members.
    let refused = sdk.post(&format!("/{id}/start")).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await.unwrap()["value"].as_array().unwrap().len(), 3);
    for (name, text) in GOOD {
        let answer = sdk.upload(&id, name, text.into()).await;
        assert_eq!(answer.status(), 201);
        assert!(answer.headers().contains_key("etag"));
    }
    let started = sdk.post(&format!("/{id}/start")).await;
    assert_eq!(
        (started.status().as_u16(), started.json::<Value>().await.unwrap()["value"].clone()),
        (200, json!([]))
    );
    assert_eq!(sdk.get(&format!("/{id}/profileStatus")).await["status"], "success");
}

/// Three times the memory limit of other bodies.
#[tokio::test]
async fn a_large_file_goes_through_a_temporary_file() {
    let sdk = Sdk::start().await;
    let id = sdk.create(&support::profile("Large")).await;
    for (name, text) in GOOD {
        assert_eq!(sdk.upload(&id, name, text.into()).await.status(), 201);
    }
    let padding = "x".repeat(1000);
    let rows = (100..12_500).map(|row| format!("{row},1,user{row},{padding}\n"));
    let file: String =
        std::iter::once("SIS ID,School SIS ID,Username,Middle Name\n".to_owned()).chain(rows).collect();
    assert!(file.len() > 12 * 1024 * 1024);
    assert_eq!(sdk.upload(&id, "student.csv", file.into()).await.status(), 201);
    let started = sdk.post(&format!("/{id}/start")).await;
    assert_eq!(started.json::<Value>().await.unwrap()["value"], json!([]));
}

#[tokio::test]
async fn a_refused_upload_is_answered_without_being_stored() {
    let sdk = Sdk::start().await;
    let id = sdk.create(&support::profile("P")).await;
    let url = format!("{}/_blobs/{id}/student.csv?sv=2015-07-08&sr=c&si=x&sig=x&se=x&sp=w", sdk.server.url());
    let put = |body: Vec<u8>| sdk.client.put(&url).body(body).send();
    let answer = put(b"x".to_vec()).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("<Code>AuthenticationFailed</Code>"));
    // The refusal may reach the client while it is still writing, which it may see as a cut connection.
    let answer = put(vec![b' '; 12 * 1024 * 1024]).await;
    assert!(answer.map_or(true, |answer| answer.status() == 403));
}
