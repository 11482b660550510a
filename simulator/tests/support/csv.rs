//! Uploads for tests: the container of a profile, the blob host, and six files that belong together.

use http::Request;

use super::{BETA, Reply, World};

/// Six files without a mistake, in any order of upload.
pub const GOOD: [(&str, &str); 6] = [
    ("school.csv", "SIS ID,Name\n1,Fabrikam High\n"),
    ("section.csv", "SIS ID,School SIS ID,Section Name,Term StartDate\n7,1,Biology,7/1/2017\n"),
    ("student.csv", "SIS ID,School SIS ID,Username\n100,1,oklein\n101,1,mrossi\n"),
    ("teacher.csv", "SIS ID,School SIS ID,Username\n200,1,jdoe\n"),
    ("studentenrollment.csv", "Section SIS ID,SIS ID\n7,100\n7,101\n"),
    ("teacherroster.csv", "Section SIS ID,SIS ID\n7,200\n"),
];

/// The upload URL of a profile, without the host.
#[track_caller]
pub fn upload_url(world: &World, id: &str) -> String {
    let reply = world.get(&format!("{BETA}/{id}/uploadUrl"), &world.app());
    assert_eq!(reply.status, 200, "{}", reply.text);
    let url = reply.json()["value"].as_str().unwrap().to_owned();
    url.strip_prefix("https://sim.example:8443").unwrap().to_owned()
}

/// The URL of a blob: its name goes before the query.
pub fn blob_url(url: &str, name: &str) -> String {
    let (container, query) = url.split_once('?').unwrap();
    format!("{container}/{name}?{query}")
}

/// Put Blob with all its headers.
pub fn put(world: &World, url: &str, name: &str, body: &str) -> Reply {
    world.send(put_request(&blob_url(url, name), body.len()), body.to_owned())
}

/// A good Put Blob, for tests to break.
pub fn put_request(path: &str, length: usize) -> http::request::Builder {
    Request::put(path)
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-version", "2021-08-06")
        .header("Content-Length", length)
}

/// Uploads these files, asking for a URL first.
#[track_caller]
pub fn upload(world: &World, id: &str, files: &[(&str, &str)]) {
    let url = upload_url(world, id);
    for (name, text) in files {
        let reply = put(world, &url, name, text);
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
}

/// Starts a profile.
pub fn start(world: &World, id: &str) -> Reply {
    world.call("POST", &format!("{BETA}/{id}/start"), &world.app())
}
