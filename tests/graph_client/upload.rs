//! Uploads: blocks, repeats, a new address when the old one expires. The blob host is a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edusync::graph::upload::{UploadError, Uploader};
use serde_json::json;

use crate::support::{Scripted, answered_by, client_of};

const MIB: usize = 1024 * 1024;
const SAS: &str = "https://sdsexample.blob.core.windows.net/p?sv=2015-07-08&sig=";

/// Graph gives addresses with a number; `blob` answers the host's requests by their number and address.
fn host(blob: impl Fn(usize, &str) -> u16 + Send + Sync + 'static) -> Arc<Scripted> {
    let (addresses, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
    answered_by(move |request| {
        if request.uri().host() == Some("graph.microsoft.com") {
            let number = addresses.fetch_add(1, Ordering::SeqCst);
            return (200, json!({"value": format!("{SAS}{number}")}).to_string());
        }
        let number = requests.fetch_add(1, Ordering::SeqCst);
        (blob(number, &request.uri().to_string()), String::new())
    })
}

async fn upload(transport: &Arc<Scripted>, content: &[u8]) -> (Result<(), UploadError>, u64) {
    let client = client_of(transport);
    let mut uploader = Uploader::new(&client, "p", Duration::from_mins(1), Duration::from_mins(5));
    let mut arrived = 0;
    let result = uploader.upload("student.csv", content, |bytes| arrived += bytes).await;
    (result, arrived)
}

/// The body that the host ends with, put together from its requests.
fn content(transport: &Scripted) -> Vec<u8> {
    let seen = transport.seen.lock().unwrap();
    let mut blocks: std::collections::BTreeMap<String, Vec<u8>> = std::collections::BTreeMap::new();
    let mut whole = Vec::new();
    for request in seen.iter().filter(|request| request.uri().host() != Some("graph.microsoft.com")) {
        assert!(!request.headers().contains_key("authorization"), "no token goes to the blob host");
        let query = request.uri().query().unwrap_or_default();
        if query.contains("comp=blocklist") {
            let list = String::from_utf8(request.body().to_vec()).unwrap();
            whole = list
                .split("<Latest>")
                .skip(1)
                .flat_map(|rest| blocks[rest.split('<').next().unwrap()].clone())
                .collect();
        } else if let Some((_, id)) = query.split_once("blockid=") {
            blocks.insert(id.to_owned(), request.body().to_vec());
        } else {
            assert_eq!(request.headers()["x-ms-blob-type"], "BlockBlob");
            whole = request.body().to_vec();
        }
    }
    whole
}

#[tokio::test(start_paused = true)]
async fn a_small_file_is_one_request() {
    let transport = host(|_, _| 201);
    let (result, arrived) = upload(&transport, b"SIS ID,Name\r\n").await;
    result.unwrap();
    assert_eq!((transport.lines().len(), arrived), (2, 13));
    assert_eq!(transport.lines()[1], "PUT /p/student.csv?sv=2015-07-08&sig=0");
    assert_eq!(content(&transport), b"SIS ID,Name\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_large_file_goes_block_by_block() {
    let file: Vec<u8> = (0..9 * MIB).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let transport = host(|_, _| 201);
    let (result, arrived) = upload(&transport, &file).await;
    result.unwrap();
    assert_eq!(arrived, u64::try_from(file.len()).unwrap());
    // One address, three blocks, one list.
    assert_eq!(transport.lines().len(), 5);
    assert!(content(&transport) == file, "the host ends with the file");
}

#[tokio::test(start_paused = true)]
async fn exactly_one_block_is_no_list() {
    let transport = host(|_, _| 201);
    upload(&transport, &vec![b'x'; 4 * MIB]).await.0.unwrap();
    assert_eq!(transport.lines().len(), 2);
    let empty = host(|_, _| 201);
    upload(&empty, b"").await.0.unwrap();
    assert_eq!(empty.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_address_is_asked_for_again_in_the_middle_of_a_file() {
    let file = vec![b'x'; 13 * MIB];
    let transport = host(|number, address| if address.contains("sig=0") && number >= 2 { 403 } else { 201 });
    upload(&transport, &file).await.0.unwrap();
    let asked = transport.lines().iter().filter(|line| line.contains("uploadUrl")).count();
    assert_eq!(asked, 2);
    assert!(content(&transport) == file);
}

#[tokio::test(start_paused = true)]
async fn a_busy_host_is_asked_again_and_again_but_not_for_ever() {
    let transport = host(|number, _| if number < 3 { 503 } else { 201 });
    upload(&transport, b"x").await.0.unwrap();
    assert_eq!(transport.lines().len(), 5);
    let transport = host(|_, _| 500);
    let error = upload(&transport, b"x").await.0.unwrap_err();
    assert!(matches!(error, UploadError::Blob(_)), "{error}");
    assert_eq!(transport.lines().len(), 9, "one address, one request, seven repeats");
}

#[tokio::test(start_paused = true)]
async fn a_definite_no_is_not_repeated() {
    let transport = host(|_, _| 400);
    let error = upload(&transport, b"x").await.0.unwrap_err();
    assert_eq!(error.to_string(), "the blob host refused: HTTP 400");
    assert_eq!(transport.lines().len(), 2);
    let transport = host(|_, _| 403);
    let error = upload(&transport, b"x").await.0.unwrap_err();
    assert!(matches!(error, UploadError::NoValidAddress), "{error}");
    assert_eq!(transport.lines().len(), 6, "three addresses, each refused");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_upload_is_waited_for() {
    let busy = AtomicUsize::new(0);
    let transport = answered_by(move |request| match request.uri().host() {
        Some("graph.microsoft.com") if busy.fetch_add(1, Ordering::SeqCst) < 4 => (409, "{}".to_owned()),
        Some("graph.microsoft.com") => (200, json!({"value": format!("{SAS}0")}).to_string()),
        _ => (201, String::new()),
    });
    upload(&transport, b"x").await.0.unwrap();
    assert_eq!(transport.lines().len(), 6);
    let transport = answered_by(|_| (409, "{}".to_owned()));
    let error = upload(&transport, b"x").await.0.unwrap_err();
    assert!(matches!(error, UploadError::Busy), "{error}");
}

#[tokio::test(start_paused = true)]
async fn two_uploads_of_one_file_do_not_mix() {
    let transport = host(|_, _| 201);
    upload(&transport, &vec![b'a'; 9 * MIB]).await.0.unwrap();
    upload(&transport, &vec![b'b'; 9 * MIB]).await.0.unwrap();
    let blocks: std::collections::BTreeSet<String> =
        transport.lines().into_iter().filter(|line| line.contains("blockid=")).collect();
    assert_eq!(blocks.len(), 6, "no block of the one stands for one of the other");
}

#[tokio::test(start_paused = true)]
async fn the_true_cause_is_told_and_a_long_wait_is_not_waited_for() {
    let refusing = crate::support::scripted(|request| {
        assert!(request.uri().path().ends_with("/token"));
        let body = json!({"error": "invalid_client", "error_codes": [7_000_215]}).to_string();
        Ok(http::Response::builder().status(401).body(bytes::Bytes::from(body)).unwrap())
    });
    let error = upload(&refusing, b"x").await.0.unwrap_err();
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
    let busy = crate::support::scripted(|request| {
        if request.uri().path().ends_with("/token") {
            return Ok(crate::support::token_answer());
        }
        let body = json!({"value": format!("{SAS}0")}).to_string();
        let is_graph = request.uri().host() == Some("graph.microsoft.com");
        let answer =
            http::Response::builder().status(if is_graph { 200 } else { 503 }).header("retry-after", "3600");
        Ok(answer.body(bytes::Bytes::from(body)).unwrap())
    });
    let began = tokio::time::Instant::now();
    assert!(matches!(upload(&busy, b"x").await.0, Err(UploadError::Blob(_))));
    assert!(began.elapsed() < Duration::from_mins(5));
}
