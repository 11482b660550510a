//! `uploadUrl` and the blob host behind it: who may write, what a write must look like, how it is refused.
#![cfg(test)]

mod support;

use std::time::Duration;

use graph_simulator::{ProfileSettings, Settings, UploadUrlStatus};
use http::Request;
use support::bodies::one_roster;
use support::csv::{GOOD, blob_url, put, put_request, start, upload, upload_url};
use support::{BETA, Reply, World, profile};

const SECOND: Duration = Duration::from_secs(1);

fn ready() -> (World, String, String) {
    let mut world = World::default();
    let id = world.provisioned(&profile("P"));
    let url = upload_url(&world, &id);
    (world, id, url)
}

/// The code of an error of the blob host, in the header and in the body.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.header("x-ms-error-code")), (status, code), "{}", reply.text);
    assert_eq!(reply.header("content-type"), "application/xml");
    assert!(reply.text.contains(&format!("<Error><Code>{code}</Code><Message>")), "{}", reply.text);
    assert!(reply.text.contains(reply.header("x-ms-request-id")), "{}", reply.text);
}

#[test]
fn the_url_has_the_documented_form_in_both_spellings() {
    let (world, id, url) = ready();
    let rest = url
        .strip_prefix(&format!("/_blobs/{id}?sv=2015-07-08&sr=c&si=SharedAccessPolicy_20240902081532&sig="));
    let (signature, rest) = rest.unwrap().split_once('&').unwrap();
    assert_eq!(rest, "se=2024-09-02T09%3A15%3A32Z&sp=w");
    assert!(signature.ends_with("%3D") && signature.len() == 46, "{signature}");
    let reply = world.get(&format!("{BETA}('{id}')/uploadUrl()"), &world.app());
    assert_eq!(reply.json()["@odata.context"], "https://sim.example:8443/beta/$metadata#String");
    assert_ne!(reply.json()["value"], format!("https://sim.example:8443{url}"), "each call makes a new one");
    let profiles =
        ProfileSettings { upload_url_status: UploadUrlStatus::Created, ..ProfileSettings::default() };
    let mut world = World::new(Settings { profiles, ..Settings::default() });
    let id = world.provisioned(&profile("P"));
    assert_eq!(world.get(&format!("{BETA}/{id}/uploadUrl"), &world.app()).status, 201);
}

#[test]
fn only_a_provisioned_csv_profile_takes_uploads() {
    let mut world = World::default();
    let api = world.provisioned(&one_roster());
    let early = world.create("Early");
    for id in [&api, &early] {
        let refusal = world.get(&format!("{BETA}/{id}/uploadUrl"), &world.app()).refusal(400, "BadRequest");
        assert_eq!(refusal, "Only a provisioned profile that uses CSV files takes uploads.");
        let refusal = start(&world, id).refusal(400, "BadRequest");
        assert_eq!(refusal, "The profile must be provisioned and use CSV files before it can be started.");
    }
    world.get(&format!("{BETA}/no-such-id/uploadUrl"), &world.app()).refusal(404, "NotFound");
    world.call("POST", &format!("{BETA}/{api}/uploadUrl"), &world.app()).refusal(405, "MethodNotAllowed");
}

#[test]
fn uploads_wait_while_a_start_is_processed() {
    let (mut world, id, _) = ready();
    upload(&world, &id, &GOOD);
    assert_eq!(start(&world, &id).status, 200);
    let path = format!("{BETA}/{id}/uploadUrl");
    let refusal = world.get(&path, &world.app()).refusal(409, "Conflict");
    assert_eq!(refusal, "Upload is blocked while an earlier request for this profile is processed.");
    start(&world, &id).refusal(409, "Conflict");
    world.pass(SECOND);
    assert_eq!(world.get(&path, &world.app()).status, 200);
}

#[test]
fn a_good_put_is_answered_as_azure_does() {
    let (world, _, url) = ready();
    let reply = put(&world, &url, "school.csv", "SIS ID,Name\n");
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (201, ""));
    assert_eq!(reply.header("last-modified"), "Mon, 02 Sep 2024 08:15:32 GMT");
    assert_eq!(reply.header("x-ms-version"), "2021-08-06");
    let etag = reply.header("etag");
    assert!(etag.starts_with("\"0x8") && etag.ends_with('"'), "{etag}");
    assert!(uuid::Uuid::try_parse(reply.header("x-ms-request-id")).is_ok());
}

#[test]
fn an_altered_or_expired_signature_is_refused() {
    let (mut world, id, url) = ready();
    let (container, query) = url.split_once('?').unwrap();
    let altered = [
        url.replace("sp=w", "sp=rw"),
        url.replace("sr=c", "sr=b"),
        url.replace("sv=2015-07-08", "sv=2021-08-06"),
        url.replace("09%3A15", "10%3A15"),
        url.replace("sig=", "sig=0"),
        url.replace("Policy_", "Policy_x"),
        url.replace("&sp=w", ""),
        container.to_owned() + "?",
        url.replace(&id, "other"),
        format!("/_blobs/{}?{query}", id.to_ascii_uppercase()),
    ];
    for wrong in altered {
        let reply = put(&world, &wrong, "school.csv", "x");
        refused(&reply, 403, "AuthenticationFailed");
        assert!(reply.text.contains("<AuthenticationErrorDetail>"), "{}", reply.text);
    }
    world.pass(Duration::from_secs(3599));
    assert_eq!(put(&world, &url, "school.csv", "x").status, 201);
    world.pass(SECOND);
    let reply = put(&world, &url, "school.csv", "x");
    refused(&reply, 403, "AuthenticationFailed");
    assert!(reply.text.contains("Expiry [2024-09-02T09:15:32Z] - Current [2024-09-02T09:15:32Z]"));
    assert_eq!(put(&world, &upload_url(&world, &id), "school.csv", "x").status, 201);
}

#[test]
fn a_url_dies_with_its_profile() {
    let (mut world, id, url) = ready();
    world.call("DELETE", &format!("{BETA}/{id}"), &world.delegated());
    world.pass(world.simulator.settings().delete_time);
    world.get(BETA, &world.app());
    refused(&put(&world, &url, "school.csv", "x"), 403, "AuthenticationFailed");
}

#[test]
fn the_url_only_writes() {
    let (world, _, url) = ready();
    put(&world, &url, "school.csv", "x");
    let blob = blob_url(&url, "school.csv");
    for method in ["GET", "DELETE"] {
        refused(&world.call(method, &blob, ""), 403, "AuthorizationPermissionMismatch");
    }
    assert_eq!(world.call("HEAD", &blob, "").status, 403);
    let list = format!("{url}&restype=container&comp=list");
    refused(&world.call("GET", &list, ""), 403, "AuthorizationPermissionMismatch");
    refused(
        &world.call("PUT", &format!("{url}&restype=container"), ""),
        403,
        "AuthorizationPermissionMismatch",
    );
    refused(&world.call("POST", &blob, ""), 405, "UnsupportedHttpVerb");
    refused(&world.call("PUT", &blob, &world.app()), 400, "InvalidAuthenticationInfo");
}

#[test]
fn headers_of_a_put_are_checked() {
    let (world, _, url) = ready();
    let blob = blob_url(&url, "school.csv");
    let send = |headers: &[(&str, &str)]| {
        let request =
            headers.iter().fold(Request::put(&blob), |request, (name, value)| request.header(*name, *value));
        world.send(request, "x")
    };
    let (kind, version, length) =
        (("x-ms-blob-type", "BlockBlob"), ("x-ms-version", "2015-07-08"), ("content-length", "1"));
    assert_eq!(send(&[kind, version, length]).status, 201);
    refused(&send(&[version, length]), 400, "MissingRequiredHeader");
    refused(&send(&[kind, length]), 400, "MissingRequiredHeader");
    refused(&send(&[kind, version]), 411, "MissingContentLengthHeader");
    refused(&send(&[("x-ms-blob-type", "PageBlob"), version, length]), 400, "InvalidHeaderValue");
    for wrong in ["2014-02-14", "latest", "2015-7-8"] {
        refused(&send(&[kind, ("x-ms-version", wrong), length]), 400, "InvalidHeaderValue");
    }
    let reply = send(&[kind, version, ("content-length", "67108865")]);
    refused(&reply, 413, "RequestBodyTooLarge");
    assert!(reply.text.contains("<MaxLimit>67108864</MaxLimit>"), "{}", reply.text);
}

#[test]
fn a_blob_can_come_in_blocks() {
    let (world, id, url) = ready();
    upload(&world, &id, &GOOD);
    let blob = blob_url(&url, "school.csv");
    let block = |block: &str, body: &str| {
        world.send(put_request(&format!("{blob}&comp=block&blockid={block}"), body.len()), body.to_owned())
    };
    let commit =
        |list: &str| world.send(put_request(&format!("{blob}&comp=blocklist"), list.len()), list.to_owned());
    assert_eq!(block("QQ%3D%3D", "1,Fabrikam High\n").status, 201);
    assert_eq!(block("Qg%3D%3D", "SIS ID,Na").status, 201);
    assert_eq!(block("Qw%3D%3D", "me\n").status, 201);
    refused(&block("AAAAAAAA", "x"), 400, "InvalidBlobOrBlock");
    refused(&block("A", "x"), 400, "InvalidQueryParameterValue");
    refused(&commit("<BlockList><Latest>RA==</Latest></BlockList>"), 400, "InvalidBlockList");
    refused(&commit("{}"), 400, "InvalidXmlDocument");
    let list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>Qg==</Latest><Latest>Qw==</Latest>\
        <Uncommitted>QQ==</Uncommitted></BlockList>";
    assert_eq!(commit(list).status, 201);
    refused(&commit(list), 400, "InvalidBlockList");
    let metadata = world.send(put_request(&format!("{blob}&comp=metadata"), 0), "");
    refused(&metadata, 400, "InvalidQueryParameterValue");
    assert_eq!(start(&world, &id).json()["value"], serde_json::json!([]));
}

#[test]
fn neither_signatures_nor_contents_reach_the_log() {
    let mut world = World::new(Settings { log_bodies: true, ..Settings::default() });
    let id = world.provisioned(&profile("P"));
    let url = upload_url(&world, &id);
    put(&world, &url, "student.csv", "canary-5d1e");
    let shown = world.get("/_simulator/requests", "").text;
    let signature = url.split_once("sig=").unwrap().1.split_once('&').unwrap().0;
    assert!(
        shown.contains("sig=(redacted)") && !shown.contains(signature) && !shown.contains("canary-5d1e"),
        "{shown}"
    );
}

#[test]
fn a_blob_is_not_replaced_for_who_does_not_want_it() {
    let (world, _, url) = ready();
    let path = blob_url(&url, "school.csv");
    let only_new = || put_request(&path, 1).header("If-None-Match", "*");
    assert_eq!(world.send(only_new(), "a").status, 201);
    refused(&world.send(only_new(), "b"), 409, "BlobAlreadyExists");
    assert_eq!(world.send(put_request(&path, 1), "b").status, 201);
}

#[test]
fn faults_of_the_blob_host_have_the_code_of_their_status() {
    let (world, _, url) = ready();
    let codes = [
        (403, "AuthenticationFailed"),
        (404, "ContainerNotFound"),
        (409, "ContainerBeingDeleted"),
        (413, "RequestBodyTooLarge"),
        (500, "InternalError"),
        (503, "ServerBusy"),
        (504, "OperationTimedOut"),
    ];
    for (status, code) in codes {
        world.simulator.add_fault(format!("blob:{status}").parse().unwrap(), world.now);
        refused(&put(&world, &url, "school.csv", "x"), status, code);
    }
}
