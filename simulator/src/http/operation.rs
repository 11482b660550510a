//! Gives each call the name that faults, the log and the page know it by. It looks at method and path only; whether
//! such a call exists, and what it does, is `route`'s business.

use http::Method;

use super::route::decode;
use crate::fault::Operation;

/// What a request is, for faults and for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) operation: Operation,
    /// Id of the profile it is about.
    pub(crate) id: Option<String>,
}

const COLLECTION: &str = "synchronizationProfiles";

/// Names a request.
pub(crate) fn name(method: &Method, path: &str, query: Option<&str>) -> Named {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let of = |operation| Named { operation, id: None };
    match segments.as_slice() {
        [_, "oauth2", "v2.0", "token"] => of(Operation::Token),
        [_, "oauth2", "v2.0", "devicecode"] => of(Operation::DeviceCode),
        ["metadata", "identity", "oauth2", "token"] => of(Operation::Identity),
        ["beta" | "testEduApi", "education", head, rest @ ..] => match (key(head), rest) {
            (Some(id), rest) => item(method, id, rest),
            (None, _) if *head != COLLECTION => of(Operation::Other),
            (None, []) => of(collection(method, query)),
            (None, ["$count"]) => of(Operation::Count),
            (None, ["$ref"]) => of(Operation::Create),
            (None, [id, rest @ ..]) => item(method, id, rest),
        },
        // A container is named after its profile.
        ["_blobs", container, ..] => Named { operation: Operation::Blob, id: Some((*container).to_owned()) },
        _ => of(Operation::Other),
    }
}

fn key(segment: &str) -> Option<&str> {
    segment.strip_prefix(COLLECTION)?.strip_prefix("('")?.strip_suffix("')")
}

fn collection(method: &Method, query: Option<&str>) -> Operation {
    let later = url::form_urlencoded::parse(query.unwrap_or("").as_bytes())
        .any(|(name, _)| matches!(name.as_ref(), "$skiptoken" | "skiptoken"));
    match method.as_str() {
        "GET" if later => Operation::ListPage,
        "GET" => Operation::List,
        "POST" => Operation::Create,
        "PUT" | "PATCH" => Operation::Update,
        _ => Operation::Other,
    }
}

fn item(method: &Method, id: &str, rest: &[&str]) -> Named {
    let operation = match (method.as_str(), rest) {
        ("GET", []) => Operation::Get,
        ("PUT" | "PATCH", []) => Operation::Update,
        ("DELETE", []) => Operation::Delete,
        (_, ["pause"]) => Operation::Pause,
        (_, ["resume"]) => Operation::Resume,
        (_, ["reset"]) => Operation::Reset,
        (_, ["start"]) => Operation::Start,
        (_, ["uploadUrl" | "uploadUrl()"]) => Operation::UploadUrl,
        (_, ["profileStatus"]) => Operation::ProfileStatus,
        (_, [errors, ..]) if errors.eq_ignore_ascii_case("errors") => Operation::Errors,
        _ => Operation::Other,
    };
    Named { operation, id: Some(id.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_name() {
        let base = "/beta/education/synchronizationProfiles";
        let cases = [
            ("GET", "", "list"),
            ("GET", "?$top=1&$skiptoken=after-1", "list.page"),
            ("GET", "?$skip=2", "list"),
            ("GET", "?%24skiptoken=after-1", "list.page"),
            ("POST", "", "create"),
            ("POST", "/$ref", "create"),
            ("GET", "/$count", "count"),
            ("PUT", "", "update"),
            ("GET", "/1", "get"),
            ("GET", "('1')", "get"),
            ("PUT", "/1", "update"),
            ("PATCH", "/1", "update"),
            ("DELETE", "/1", "delete"),
            ("POST", "/1/pause", "pause"),
            ("POST", "/1/resume", "resume"),
            ("POST", "/1/reset", "reset"),
            ("POST", "/1/start", "start"),
            ("GET", "/1/uploadUrl()", "uploadUrl"),
            ("GET", "/1/profileStatus", "profileStatus"),
            ("GET", "/1/Errors/$count", "errors"),
            ("GET", "/1/stop", "other"),
        ];
        let named = |method: &str, whole: &str| {
            let (path, query) =
                whole.split_once('?').map_or((whole, None), |(path, query)| (path, Some(query)));
            name(&Method::from_bytes(method.as_bytes()).unwrap(), path, query)
        };
        for (method, tail, expected) in cases {
            let found = named(method, &format!("{base}{tail}"));
            assert_eq!(found.operation.as_str(), expected, "{method} {tail}");
            let about_one = tail.contains('1') && !tail.contains('?');
            assert_eq!(found.id.as_deref(), about_one.then_some("1"), "{method} {tail}");
        }
        assert_eq!(named("POST", "/t/oauth2/v2.0/token").operation, Operation::Token);
        assert_eq!(named("POST", "/t/oauth2/v2.0/devicecode").operation, Operation::DeviceCode);
        assert_eq!(named("GET", "/metadata/identity/oauth2/token?x=1").operation, Operation::Identity);
        let blob = named("PUT", "/_blobs/c/school.csv?sv=1&s%69g=x");
        assert_eq!((blob.operation, blob.id.as_deref()), (Operation::Blob, Some("c")));
        assert_eq!(named("GET", "/v1.0/users").operation, Operation::Other);
    }
}
