//! Turns method and path into a call. Every path and verb the simulator knows is in this file; what a call does is not.

use http::Method;

use crate::model::{Generation, Need};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The token endpoint of a tenant.
    Token { tenant: String },
    /// The simulator's own pages; the rest of the path.
    Own(String),
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
    Create,
    /// `POST …/$ref`, the request line of the generated page "Add synchronizationProfiles".
    CreateRef,
    Get(String),
    Delete(String),
    /// Documented, but this version of the simulator does not have it.
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
            "PUT" => Ok((Action::NotBuilt("PUT on the collection"), Need::Change)),
            _ => Err(Lost::Method),
        },
        ["$ref"] => only("POST", method, Action::CreateRef, Need::Change),
        ["$count"] => only("GET", method, Action::NotBuilt("$count"), Need::Read),
        [id, tail @ ..] if !id.starts_with('$') => item(method, id, tail),
        [other, ..] => Err(unknown(Some(other))),
    }
}

fn item(method: &Method, id: &str, tail: &[&str]) -> Result<(Action, Need), Lost> {
    let Some((head, deeper)) = tail.split_first() else {
        return match method.as_str() {
            "GET" => Ok((Action::Get(id.to_owned()), Need::Read)),
            "DELETE" => Ok((Action::Delete(id.to_owned()), Need::Change)),
            "PUT" => Ok((Action::NotBuilt("PUT"), Need::Change)),
            "PATCH" => Ok((Action::NotBuilt("PATCH"), Need::Change)),
            _ => Err(Lost::Method),
        };
    };
    let (verb, name, need) = match *head {
        "pause" => ("POST", "pause", Need::Run),
        "resume" => ("POST", "resume", Need::Run),
        "reset" => ("POST", "reset", Need::Run),
        "start" => ("POST", "start", Need::Run),
        // A GET that needs write permission, in every source.
        "uploadUrl" | "uploadUrl()" => ("GET", "uploadUrl", Need::Run),
        "profileStatus" => ("GET", "profileStatus", Need::Read),
        // The documents spell this one in three ways.
        errors if errors.eq_ignore_ascii_case("errors") => ("GET", "errors", Need::Read),
        other => return Err(unknown(Some(other))),
    };
    match deeper {
        [_, too_deep, ..] => Err(unknown(Some(too_deep))),
        [too_deep] if name != "errors" => Err(unknown(Some(too_deep))),
        _ => only(verb, method, Action::NotBuilt(name), need),
    }
}

fn only(verb: &str, method: &Method, action: Action, need: Need) -> Result<(Action, Need), Lost> {
    if method.as_str() == verb { Ok((action, need)) } else { Err(Lost::Method) }
}

fn unknown(segment: Option<&str>) -> Lost {
    Lost::Segment(segment.unwrap_or("").to_owned())
}

/// Resolves percent-encoding. What is not valid UTF-8 afterwards can match no name and no id.
pub(super) fn decode(segment: &str) -> String {
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
    fn documented_calls_that_are_not_built_are_told_from_undocumented_verbs() {
        let base = "/beta/education/synchronizationProfiles";
        let not_built = [
            ("PUT", ""),
            ("GET", "/$count"),
            ("PUT", "/1"),
            ("PATCH", "/1"),
            ("POST", "/1/pause"),
            ("POST", "/1/resume"),
            ("POST", "/1/reset"),
            ("POST", "/1/start"),
            ("GET", "/1/uploadUrl"),
            ("GET", "/1/uploadUrl()"),
            ("GET", "/1/profileStatus"),
            ("GET", "/1/errors"),
            ("GET", "/1/Errors"),
            ("GET", "/1/errors/$count"),
            ("GET", "/1/errors/2"),
        ];
        for (method, tail) in not_built {
            let answer = action(method, &format!("{base}{tail}"));
            assert!(matches!(answer, Ok(Action::NotBuilt(_))), "{method} {tail}: {answer:?}");
        }
        let refused = [
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/1"),
            ("GET", "/$ref"),
            ("GET", "/1/start"),
            ("POST", "/1/uploadUrl"),
            ("POST", "/1/errors"),
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
