//! The simulator's own addresses, which no Microsoft service has: the page at `/` and everything under `/_simulator`.
//! Only where they are and who may change something by them; what they do is in `control` and `page`.

use http::header::ORIGIN;
use http::{Method, StatusCode};

use super::route::decode;
use super::{Incoming, media_type};

/// What is asked of the simulator itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Page,
    Requests,
    Profiles,
    Faults,
    AddFault,
    ClearFaults,
    RemoveFault(String),
    Devices,
    JudgeDevice(String),
    Time,
    MoveTime,
    PlantSync,
    SaveState,
    RevokeTokens,
    Unknown,
}

/// Finds the own address, if the request is for one.
pub(crate) fn route(method: &Method, path: &str) -> Option<Own> {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = match (method.as_str(), segments.as_slice()) {
        ("GET", []) => Own::Page,
        ("GET", ["_simulator", "requests"]) => Own::Requests,
        ("GET", ["_simulator", "profiles"]) => Own::Profiles,
        ("GET", ["_simulator", "faults"]) => Own::Faults,
        ("POST", ["_simulator", "faults"]) => Own::AddFault,
        ("DELETE", ["_simulator", "faults"]) | ("POST", ["_simulator", "faults", "remove"]) => {
            Own::ClearFaults
        }
        ("DELETE", ["_simulator", "faults", number])
        | ("POST", ["_simulator", "faults", number, "remove"]) => Own::RemoveFault((*number).to_owned()),
        ("GET", ["_simulator", "devicecode"]) => Own::Devices,
        ("POST", ["_simulator", "devicecode", code]) => Own::JudgeDevice((*code).to_owned()),
        ("GET", ["_simulator", "time"]) => Own::Time,
        ("POST", ["_simulator", "time"]) => Own::MoveTime,
        ("POST", ["_simulator", "sync"]) => Own::PlantSync,
        ("POST", ["_simulator", "state", "save"]) => Own::SaveState,
        ("POST", ["_simulator", "tokens", "revoke"]) => Own::RevokeTokens,
        (_, ["_simulator", ..]) => Own::Unknown,
        _ => return None,
    };
    Some(found)
}

/// Keeps pages of other sites from changing something through a visitor's browser: it posts forms to anybody without
/// asking, but says where from; JSON and DELETE it does not send elsewhere without leave, which is never given.
pub(crate) fn guard(incoming: &Incoming<'_>) -> Result<(), (StatusCode, &'static str)> {
    if *incoming.method == Method::GET {
        return Ok(());
    }
    let own = format!("https://{}", incoming.authority);
    let origin = incoming.headers.get(ORIGIN).map(|origin| origin.as_bytes() == own.as_bytes());
    let form = is_form(incoming);
    let json = media_type(incoming.headers).as_deref() == Some("application/json");
    match origin {
        Some(false) => Err((StatusCode::FORBIDDEN, "The request comes from a page of another site.")),
        None if form => Err((
            StatusCode::FORBIDDEN,
            "A form is taken from the simulator's own page only. Send JSON with the Content-Type application/json.",
        )),
        _ if form || json || *incoming.method == Method::DELETE => Ok(()),
        _ => Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send JSON with the Content-Type application/json.")),
    }
}

/// Whether a browser's form was sent.
pub(crate) fn is_form(incoming: &Incoming<'_>) -> bool {
    media_type(incoming.headers).as_deref() == Some("application/x-www-form-urlencoded")
}
