//! The program: flags, the ready line, TLS with the written authority, the log, signals.
#![cfg(test)]

use std::process::Stdio;
use std::time::Duration;

use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_mins(1);

struct Running {
    child: Child,
    url: String,
    client: Client,
    _folder: tempfile::TempDir,
}

async fn start(flags: &[&str]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let mut child = Command::new(env!("CARGO_BIN_EXE_graph-simulator"))
        .args(["--port", "0", "--ca-file"])
        .arg(&ca_file)
        .args(flags)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    // No more than this line: what follows it is left for `end`.
    let mut out = BufReader::with_capacity(1, child.stdout.as_mut().unwrap());
    tokio::time::timeout(LIMIT, out.read_line(&mut line)).await.unwrap().unwrap();
    let url = line.trim_end().strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    let authority = Certificate::from_pem(&std::fs::read(&ca_file).unwrap()).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    Running { child, url, client, _folder: folder }
}

impl Running {
    /// Sends a signal; the exit code, the rest of standard output, and standard error.
    async fn end(mut self, signal: &str) -> (Option<i32>, String, String) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
        let (mut out, mut err) = (String::new(), String::new());
        let mut stdout = self.child.stdout.take().unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        let read = async { tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)) };
        let (read_out, read_err) = tokio::time::timeout(LIMIT, read).await.unwrap();
        assert!(read_out.is_ok() && read_err.is_ok());
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.unwrap().unwrap();
        (status.code(), out, err)
    }
}

#[tokio::test]
async fn starts_serves_logs_without_secrets_and_ends_on_sigterm() {
    let canary = "canary-77aa";
    let running = start(&[
        "--client-secret",
        "canary-77aa-client",
        "--refresh-token",
        "canary-77aa-refresh",
        "--log-bodies",
        "--log-format",
        "json",
        "--provisioning-time",
        "0s",
        "--create-status",
        "202",
    ])
    .await;
    assert!(running.url.starts_with("https://127.0.0.1:"), "{}", running.url);
    let form = "grant_type=refresh_token&client_id=22222222-2222-2222-2222-222222222222\
        &client_secret=canary-77aa-client&refresh_token=canary-77aa-refresh";
    let request = running
        .client
        .post(format!("{}/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token", running.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();

    let body = json!({
        "displayName": "P",
        "dataProvider": {
            "@odata.type": "#microsoft.graph.educationPowerSchoolDataProvider",
            "connectionUrl": "https://powerschool.fabrikam.example", "clientId": "plugin",
            "clientSecret": "canary-77aa-provider"
        },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration", "userDomains": []
        }
    });
    let create = running
        .client
        .post(format!("{}/beta/education/synchronizationProfiles", running.url))
        .bearer_auth(&token)
        .header("client-request-id", "my-own-id")
        .json(&body);
    let created = create.send().await.unwrap();
    assert_eq!(created.status(), 202);
    assert_eq!(created.json::<Value>().await.unwrap()["state"], "provisioned");

    let (code, out, err) = running.end("-TERM").await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out, "", "one line on standard output, no more");
    assert!(!err.contains(canary) && !err.contains(&token), "{err}");
    let lines: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert_eq!(answered.len(), 2, "{err}");
    assert_eq!(answered[1]["client_request_id"], "my-own-id");
    assert_eq!((&answered[1]["method"], &answered[1]["status"]), (&json!("POST"), &json!(202)));
    assert!(answered[1]["ms"].is_u64() && answered[1]["request_id"].is_string());
    assert!(answered[1]["body"].as_str().unwrap().contains("(redacted)"));
}

#[tokio::test]
async fn ends_on_sigint_and_logs_no_bodies_unless_told() {
    let running = start(&[]).await;
    let path = format!("{}/beta/education/synchronizationProfiles", running.url);
    let answer = running.client.post(path).body("telltale").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let (code, _, err) = running.end("-INT").await;
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("answered") && !err.contains("telltale"), "{err}");
}

#[tokio::test]
async fn a_second_line_names_the_port_without_tls() {
    let running = start(&["--identity-port", "0"]).await;
    let (code, out, err) = running.end("-TERM").await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("identity http://127.0.0.1:") && out.ends_with('\n'), "{out:?}");
}

#[tokio::test]
async fn a_wrong_flag_is_explained() {
    let program = env!("CARGO_BIN_EXE_graph-simulator");
    let output = Command::new(program).args(["--delete-time", "2"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("write a duration like 500ms, 2s, 1m or 1h"), "{err}");
}

#[tokio::test]
async fn the_state_survives_a_restart_and_clients_go_on() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let file = state.to_str().unwrap();
    let flags = ["--state", file, "--time-control", "--provisioning-time", "1h"];
    let running = start(&flags).await;
    let tenant = "11111111-1111-1111-1111-111111111111";
    let form = "grant_type=refresh_token&client_id=33333333-3333-3333-3333-333333333333\
        &refresh_token=0.example-refresh-token";
    let request = running
        .client
        .post(format!("{}/{tenant}/oauth2/v2.0/token", running.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let (token, refresh) =
        (answer["access_token"].as_str().unwrap(), answer["refresh_token"].as_str().unwrap());
    let body = json!({
        "displayName": "P",
        "dataProvider": { "@odata.type": "#microsoft.graph.educationCsvDataProvider" },
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration", "userDomains": []
        }
    });
    let collection = |url: &str| format!("{url}/beta/education/synchronizationProfiles");
    let create = running.client.post(collection(&running.url)).bearer_auth(token).json(&body);
    let id = create.send().await.unwrap().json::<Value>().await.unwrap()["id"].clone();
    let save = running.client.post(format!("{}/_simulator/state/save", running.url)).json(&json!({}));
    assert_eq!(save.send().await.unwrap().status(), 200);
    assert!(std::fs::read_to_string(&state).unwrap().contains(id.as_str().unwrap()), "saved on demand");
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let time = running.client.post(format!("{}/_simulator/time", running.url));
    assert_eq!(time.json(&json!({ "advance": "59m" })).send().await.unwrap().status(), 200);
    let client = running.client.clone();
    let (code, _, err) = running.end("-TERM").await;
    assert_eq!(code, Some(0), "{err}");

    // The old client trusts the new process, and its tokens are as good as before.
    let running = start(&flags).await;
    let read =
        || client.get(format!("{}/{}", collection(&running.url), id.as_str().unwrap())).bearer_auth(token);
    let profile: Value = read().send().await.unwrap().json().await.unwrap();
    assert_eq!((&profile["displayName"], &profile["state"]), (&json!("P"), &json!("provisioning")));
    let form = format!(
        "grant_type=refresh_token&client_id=33333333-3333-3333-3333-333333333333&refresh_token={refresh}"
    );
    let request = client
        .post(format!("{}/{tenant}/oauth2/v2.0/token", running.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    let token: Value = request.send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    let time = client.post(format!("{}/_simulator/time", running.url)).json(&json!({ "advance": "1m" }));
    assert_eq!(time.send().await.unwrap().status(), 200);
    let list = client.get(collection(&running.url)).bearer_auth(token);
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["value"][0]["state"], "provisioned", "its time went on, too");
    running.end("-TERM").await;
}

#[tokio::test]
async fn faults_of_the_command_line_strike_and_wrong_ones_are_explained() {
    let running =
        start(&["--fault", "list:503,retry-after=date:30s", "--fault", "any:slow,delay=1ms,times=always"])
            .await;
    let list = format!("{}/beta/education/synchronizationProfiles", running.url);
    assert_eq!(running.client.get(&list).send().await.unwrap().status(), 503);
    assert_eq!(running.client.get(&list).send().await.unwrap().status(), 401);
    running.end("-TERM").await;

    let program = env!("CARGO_BIN_EXE_graph-simulator");
    for (flags, part) in [
        (["--fault", "list:hiccup"], "there is no kind of fault 'hiccup'"),
        (["--client-certificate", "/dev/null"], "holds no certificate"),
        (["--federated-issuer", "https://x"], "--federated-keys"),
    ] {
        let output = Command::new(program).args(flags).output().await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(part), "{err}");
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_elses_making_is_shown_and_no_authority_written() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["simulator.school.svc".to_owned()]).unwrap();
    let files = ["tls.crt", "tls.key", "ca.pem"].map(|name| folder.path().join(name));
    std::fs::write(&files[0], made.cert.pem()).unwrap();
    std::fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_graph-simulator"))
        .args(["--port", "0", "--tls-certificate"])
        .arg(&files[0])
        .arg("--tls-key")
        .arg(&files[1])
        .arg("--ca-file")
        .arg(&files[2])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.as_mut().unwrap());
    tokio::time::timeout(LIMIT, out.read_line(&mut line)).await.unwrap().unwrap();
    let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()])
        .resolve("simulator.school.svc", ([127, 0, 0, 1], port).into())
        .no_proxy()
        .build()
        .unwrap();
    let page = client.get(format!("https://simulator.school.svc:{port}/")).send().await.unwrap();
    assert!(page.status().is_success());
    assert!(!files[2].exists());
}
