//! The calls that make a profile do something: pause, resume, reset, `uploadUrl`, `start`. What they do is in the
//! model; here is how they are answered.

use http::StatusCode;

use super::answer::GraphError;
use super::graph::{Answer, Call, no_options, refused};
use super::{Incoming, blob, render_sync};
use crate::json::Json;
use crate::model::verify::MessageKind;
use crate::model::{Control, Model};
use crate::settings_profiles::{StartErrorStatus, UploadUrlStatus};

/// An action takes no body. The empty object is taken, too: a batch cannot do without one (Graph docs: JSON batching).
fn no_body(incoming: &Incoming<'_>) -> Result<(), GraphError> {
    let body = incoming.body.trim_ascii();
    let empty = body.is_empty()
        || serde_json::from_slice::<serde_json::Map<_, _>>(body).is_ok_and(|members| members.is_empty());
    if empty { Ok(()) } else { Err(GraphError::bad_request("This action takes no request body.")) }
}

/// Graph docs: educationSynchronizationProfile: pause, resume, reset.
pub(crate) fn control(
    model: &mut Model,
    call: &Call<'_>,
    id: &str,
    control: Control,
) -> Result<Answer, GraphError> {
    no_options(call.incoming)?;
    no_body(call.incoming)?;
    model.control(call.tenant, id, control, call.now).map_err(refused)?;
    Ok(Answer::Empty(StatusCode::OK))
}

/// Graph docs: educationSynchronizationProfile: uploadUrl. The URL is on the simulator's own host.
pub(crate) fn upload_url(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    no_options(call.incoming)?;
    let view = call.view(model, id)?;
    let grant = model.grant_upload(call.tenant, id, call.now).map_err(refused)?;
    let status = match model.settings().profiles.upload_url_status {
        UploadUrlStatus::Ok => StatusCode::OK,
        UploadUrlStatus::Created => StatusCode::CREATED,
    };
    let url = blob::container_url(&call.incoming.authority, &view.profile.id, &grant);
    let context = Json::from(call.context("String"));
    Ok(Answer::Body(status, Json::Object(vec![("@odata.context", context), ("value", Json::from(url))])))
}

/// Graph docs: educationSynchronizationProfile: start.
pub(crate) fn start(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    no_options(call.incoming)?;
    no_body(call.incoming)?;
    let messages = model.start(call.tenant, id, call.now).map_err(refused)?;
    let failed = messages.iter().any(|message| message.kind == MessageKind::Error);
    let status = match model.settings().profiles.start_error_status {
        StartErrorStatus::BadRequest if failed => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let kind = "Collection(microsoft.graph.educationFileSynchronizationVerificationMessage)";
    let context = Json::from(call.context(kind));
    let value = Json::List(messages.iter().map(render_sync::message).collect());
    Ok(Answer::Body(status, Json::Object(vec![("@odata.context", context), ("value", value)])))
}
