//! Turns method and path into a call. Every path and verb the simulator knows is in this file; what a call does is not.

use http::Method;

use super::blob::Target;
use crate::model::{Control, Generation, Need};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The token endpoint of a tenant.
    Token { tenant: String },
    /// The simulator's own pages; the rest of the path.
    Own(String),
    /// The blob host behind `uploadUrl`.
    Blob(Target),
    /// A batch; the version of everything in it.
    Batch(&'static str),
    /// Microsoft Graph.
    Graph(Result<GraphCall, Lost>),
}

/// A Graph call with the permission it needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GraphCall {
    pub(crate) generation: Generation,
    pub(crate) action: Action,
    pub(crate) need: Need,
}

/// What a Graph call does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List,
    Count,
    Create,
    /// `POST …/$ref`, the request line of the generated page "Add synchronizationProfiles".
    CreateRef,
    PutCollection,
    Get(String),
    Put(String),
    Patch(String),
    Delete(String),
    Control(String, Control),
    Start(String),
    UploadUrl(String),
    Status(String),
    Errors(String),
    ErrorsCount(String),
    /// A profile and an error.
    Error(String, String),
    /// `subscribedSkus`; the version in the path.
    Skus(&'static str),
    /// Documented, but the simulator does not have it.
    NotBuilt(&'static str),
}

/// Why a Graph path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Version(String),
    Segment(String),
    Method,
}

const COLLECTION: &str = "synchronizationProfiles";

/// Finds the route. Empty segments (a trailing slash) do not count.
pub(crate) fn route(method: &Method, path: &str) -> Route {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [tenant, "oauth2", "v2.0", "token"] => Route::Token { tenant: (*tenant).to_owned() },
        ["_blobs", container, rest @ ..] => {
            Route::Blob(Target { container: (*container).to_owned(), blob: rest.join("/") })
        }
        ["beta", "$batch"] => Route::Batch("beta"),
        ["v1.0", "$batch"] => Route::Batch("v1.0"),
        ["_simulator", rest @ ..] => Route::Own(rest.join("/")),
        [version, rest @ ..] => Route::Graph(graph(method, version, rest)),
        [] => Route::Graph(Err(Lost::Version(String::new()))),
    }
}

/// `/beta` and its preview of 2017. `v1.0` never had the collection.
fn graph(method: &Method, version: &str, rest: &[&str]) -> Result<GraphCall, Lost> {
    let generation = match version {
        "beta" => Some(Generation::Beta),
        "testEduApi" => Some(Generation::Preview),
        "v1.0" => None,
        other => return Err(Lost::Version(other.to_owned())),
    };
    if let ["subscribedSkus"] = rest
        && generation != Some(Generation::Preview)
    {
        let version = if generation.is_some() { "beta" } else { "v1.0" };
        let (action, need) = only("GET", method, Action::Skus(version), Need::Token)?;
        return Ok(GraphCall { generation: Generation::Beta, action, need });
    }
    let ["education", rest @ ..] = rest else {
        return Err(unknown(rest.first().copied()));
    };
    let Some(generation) = generation else {
        return Err(unknown(rest.first().copied()));
    };
    let Some((head, tail)) = rest.split_first() else {
        return Ok(GraphCall {
            generation,
            action: Action::NotBuilt("the education root"),
            need: Need::Read,
        });
    };
    let (action, need) = match key(head) {
        Some(id) => item(method, id, tail)?,
        None if *head == COLLECTION => below_collection(method, tail)?,
        None => return Err(unknown(Some(head))),
    };
    Ok(GraphCall { generation, action, need })
}

/// `synchronizationProfiles('id')` is the same as `synchronizationProfiles/id` (OData: URL conventions, keys).
fn key(segment: &str) -> Option<&str> {
    segment.strip_prefix(COLLECTION)?.strip_prefix("('")?.strip_suffix("')")
}

fn below_collection(method: &Method, tail: &[&str]) -> Result<(Action, Need), Lost> {
    match tail {
        [] => match method.as_str() {
            "GET" => Ok((Action::List, Need::Read)),
            "POST" => Ok((Action::Create, Need::Change)),
            "PUT" => Ok((Action::PutCollection, Need::Change)),
            _ => Err(Lost::Method),
        },
        ["$ref"] => only("POST", method, Action::CreateRef, Need::Change),
        ["$count"] => only("GET", method, Action::Count, Need::Read),
        [id, tail @ ..] if !id.starts_with('$') => item(method, id, tail),
        [other, ..] => Err(unknown(Some(other))),
    }
}

fn item(method: &Method, id: &str, tail: &[&str]) -> Result<(Action, Need), Lost> {
    let id = id.to_owned();
    let Some((head, deeper)) = tail.split_first() else {
        return match method.as_str() {
            "GET" => Ok((Action::Get(id), Need::Read)),
            "DELETE" => Ok((Action::Delete(id), Need::Change)),
            "PUT" => Ok((Action::Put(id), Need::Change)),
            "PATCH" => Ok((Action::Patch(id), Need::Change)),
            _ => Err(Lost::Method),
        };
    };
    if let Some(error) = below_errors(head, deeper)? {
        let action = match error {
            Below::All => Action::Errors(id),
            Below::Count => Action::ErrorsCount(id),
            Below::One(error) => Action::Error(id, error),
        };
        return only("GET", method, action, Need::Read);
    }
    let (verb, action, need) = match *head {
        "pause" => ("POST", Action::Control(id, Control::Pause), Need::Run),
        "resume" => ("POST", Action::Control(id, Control::Resume), Need::Run),
        "reset" => ("POST", Action::Control(id, Control::Reset), Need::Run),
        "start" => ("POST", Action::Start(id), Need::Run),
        // A GET that needs write permission, in every source. The SDK writes the parentheses.
        "uploadUrl" | "uploadUrl()" => ("GET", Action::UploadUrl(id), Need::Run),
        "profileStatus" => ("GET", Action::Status(id), Need::Read),
        other => return Err(unknown(Some(other))),
    };
    match deeper.first() {
        Some(too_deep) => Err(unknown(Some(too_deep))),
        None => only(verb, method, action, need),
    }
}

/// What below `errors` is meant.
enum Below {
    All,
    Count,
    One(String),
}

/// The documents spell this segment in three ways, so its case does not matter here. `None` for other segments.
fn below_errors(head: &str, deeper: &[&str]) -> Result<Option<Below>, Lost> {
    let (name, rest) = head.split_at_checked("errors".len()).unwrap_or((head, ""));
    if !name.eq_ignore_ascii_case("errors") {
        return Ok(None);
    }
    let key = rest.strip_prefix("('").and_then(|rest| rest.strip_suffix("')"));
    match (key, deeper) {
        (Some(id), []) => Ok(Some(Below::One(id.to_owned()))),
        (None, _) if !rest.is_empty() => Ok(None),
        (None, []) => Ok(Some(Below::All)),
        (None, ["$count"]) => Ok(Some(Below::Count)),
        (None, [id]) if !id.starts_with('$') => Ok(Some(Below::One((*id).to_owned()))),
        (Some(_), [too_deep, ..]) | (None, [_, too_deep, ..] | [too_deep]) => Err(unknown(Some(too_deep))),
    }
}

fn only(verb: &str, method: &Method, action: Action, need: Need) -> Result<(Action, Need), Lost> {
    if method.as_str() == verb { Ok((action, need)) } else { Err(Lost::Method) }
}

fn unknown(segment: Option<&str>) -> Lost {
    Lost::Segment(segment.unwrap_or("").to_owned())
}

/// Resolves percent-encoding. What is not valid UTF-8 afterwards can match no name and no id.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let hex = hex.filter(|pair| first == b'%' && pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let decoded = hex.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(method: &str, path: &str) -> Result<Action, Lost> {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        match route(&method, path) {
            Route::Graph(call) => call.map(|call| call.action),
            other => panic!("{other:?} is no Graph route"),
        }
    }

    #[test]
    fn both_key_forms_name_the_same_profile() {
        let expected = Ok(Action::Get("some-id".to_owned()));
        assert_eq!(action("GET", "/beta/education/synchronizationProfiles/some-id"), expected);
        assert_eq!(action("GET", "/beta/education/synchronizationProfiles('some-id')"), expected);
        assert_eq!(action("GET", "/testEduApi/education/synchronizationProfiles(%27some-id%27)/"), expected);
    }

    #[test]
    fn every_documented_call_has_a_route_and_other_verbs_have_none() {
        let base = "/beta/education/synchronizationProfiles";
        let id = || "1".to_owned();
        let calls = [
            ("GET", "/$count", Action::Count),
            ("PUT", "", Action::PutCollection),
            ("PUT", "/1", Action::Put(id())),
            ("PATCH", "/1", Action::Patch(id())),
            ("POST", "/1/pause", Action::Control(id(), Control::Pause)),
            ("POST", "/1/resume", Action::Control(id(), Control::Resume)),
            ("POST", "('1')/reset", Action::Control(id(), Control::Reset)),
            ("POST", "/1/start", Action::Start(id())),
            ("GET", "/1/uploadUrl", Action::UploadUrl(id())),
            ("GET", "/1/uploadUrl()", Action::UploadUrl(id())),
            ("GET", "/1/profileStatus", Action::Status(id())),
            ("GET", "/1/errors", Action::Errors(id())),
            ("GET", "/1/Errors", Action::Errors(id())),
            ("GET", "/1/errors/$count", Action::ErrorsCount(id())),
            ("GET", "/1/errors/2", Action::Error(id(), "2".to_owned())),
            ("GET", "('1')/errors('2')", Action::Error(id(), "2".to_owned())),
        ];
        for (method, tail, expected) in calls {
            assert_eq!(action(method, &format!("{base}{tail}")), Ok(expected), "{method} {tail}");
        }
        let refused = [
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/1"),
            ("GET", "/$ref"),
            ("GET", "/1/start"),
            ("POST", "/1/uploadUrl"),
            ("POST", "/1/errors"),
            ("PATCH", "/1/errors/2"),
            ("DELETE", "/1/errors/2"),
            ("PATCH", "/1/profileStatus"),
            ("DELETE", "/1/profileStatus"),
            ("HEAD", ""),
        ];
        for (method, tail) in refused {
            assert_eq!(action(method, &format!("{base}{tail}")), Err(Lost::Method), "{method} {tail}");
        }
    }

    #[test]
    fn unknown_segments_and_versions_are_named() {
        let cases = [
            ("/beta/users", Lost::Segment("users".to_owned())),
            ("/beta/education/synchronizationprofiles", Lost::Segment("synchronizationprofiles".to_owned())),
            ("/beta/education/synchronizationProfiles/1/stop", Lost::Segment("stop".to_owned())),
            ("/beta/education/synchronizationProfiles/1/pause/2", Lost::Segment("2".to_owned())),
            ("/beta/education/synchronizationProfiles/1/errorses", Lost::Segment("errorses".to_owned())),
            ("/beta/education/synchronizationProfiles/1/errors/2/3", Lost::Segment("3".to_owned())),
            ("/beta/education/synchronizationProfiles/$value", Lost::Segment("$value".to_owned())),
            ("/v1.0/education/synchronizationProfiles", Lost::Segment(COLLECTION.to_owned())),
            ("/v2/education", Lost::Version("v2".to_owned())),
        ];
        for (path, lost) in cases {
            assert_eq!(action("GET", path), Err(lost), "{path}");
        }
    }
}
