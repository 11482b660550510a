//! A large file is uploaded in constant memory, over TLS, to the simulator in a process of its own.
//!
//! `cargo test` uploads 256 MiB. `EDUSYNC_UPLOAD_MIB=2048 cargo test --test upload_memory` uploads 2 GiB.

#![cfg(test)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edusync::api::connection::Dialect;
use edusync::auth::{Credential, TokenSource};
use edusync::clock::Clock;
use edusync::graph::GraphClient;
use edusync::graph::client::Always;
use edusync::graph::transport::{HttpTransport, Transport};
use edusync::graph::upload::Uploader;
use edusync::graph::wire::RequestBody;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use xtask::guard::{self, Guarded};

const MIB: u64 = 1024 * 1024;
/// What an upload may need beyond what the idle process has.
const MOST: u64 = 40 * MIB;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The simulator as its users run it; its address is the last word of its first line.
fn simulator(folder: &Path) -> (Guarded, String) {
    let programs = xtask::cargo::build(&["graph-simulator"], xtask::cargo::Build::Debug).unwrap();
    let log = folder.join("simulator.log");
    let ca = folder.join("ca.pem");
    let arguments = ["--port", "0", "--provisioning-time", "1ms", "--ca-file", ca.to_str().unwrap()];
    let environment = [("TMPDIR", folder)];
    let running =
        guard::spawn(programs.path("graph-simulator").unwrap(), arguments, &log, environment).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        if let Some(address) = text.lines().find_map(|line| line.strip_prefix("ready ")) {
            return (running, address.to_owned());
        }
        assert!(Instant::now() < deadline, "the simulator does not start: {text}");
        std::thread::yield_now();
    }
}

fn client(endpoint: &str, ca: &Path) -> GraphClient {
    use graph_simulator::{EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_REFRESH_TOKEN, EXAMPLE_TENANT};
    let pem = std::fs::read(ca).unwrap();
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(Some(&pem)).unwrap());
    let clock = Clock::of_this_machine();
    let credential =
        Credential::RefreshToken { token: EXAMPLE_REFRESH_TOKEN.to_owned().into(), client_secret: None };
    let place = (endpoint, EXAMPLE_TENANT, endpoint);
    let tokens = TokenSource::new(place, EXAMPLE_PUBLIC_CLIENT_ID, credential, Arc::clone(&transport), clock);
    GraphClient::new(endpoint, Dialect::Beta, tokens, transport, Arc::new(Always), clock)
}

/// The most memory that this process has had since [`forget_peak`], in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// The peak begins anew at what is used now (the kernel's `/proc/self/clear_refs`).
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_needs_little_memory_however_large_the_file() {
    if !Path::new("/proc/self/clear_refs").exists() {
        println!("memory cannot be measured here: there is no /proc");
        return;
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let size = std::env::var("EDUSYNC_UPLOAD_MIB").map_or(256, |text| text.parse().unwrap()) * MIB;
    let folder = tempfile::tempdir().unwrap();
    let (_simulator, endpoint) = simulator(folder.path());
    let client = client(&endpoint, &folder.path().join("ca.pem"));
    let body = RequestBody::new(json!({
        "displayName": "Large",
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}]
        }
    }));
    let admission = client.ready().await.unwrap();
    let profile = client.create(admission, &body, "attempt", TIMEOUT).await.unwrap();
    let mut uploader = Uploader::new(&client, &profile.id, Duration::from_mins(1), Duration::from_mins(1));
    // Idle is a process that has done all of it once.
    uploader.upload("school.csv", &b"SIS ID,Name\r\n1,A\r\n"[..], |_| ()).await.unwrap();
    forget_peak();
    let idle = peak();
    let mut arrived = 0;
    let content = tokio::io::repeat(b'x').take(size);
    uploader.upload("student.csv", content, |bytes| arrived += bytes).await.unwrap();
    assert_eq!(arrived, size);
    let over = peak().saturating_sub(idle);
    println!("{} MiB uploaded; idle {} KiB, at most {} KiB more", size / MIB, idle / 1024, over / 1024);
    assert!(over < MOST, "the upload needed {} MiB", over / MIB);
}
