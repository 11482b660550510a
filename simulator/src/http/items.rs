//! The calls on one profile that read or replace it: create, get, PUT, PATCH, delete, `profileStatus`. What a body may
//! be is the model's business; `$`-options are read in `odata`.

use http::StatusCode;
use serde_json::Value;

use super::answer::GraphError;
use super::collections::{PROFILE_EXPAND, PROFILE_SELECT};
use super::graph::{Answer, Call, json_body, no_options, refused};
use super::odata::{self, Options, Shape};
use super::render::{self, Members, Occasion};
use super::render_sync;
use crate::json::Json;
use crate::model::{Generation, Model, View};
use crate::settings::CreateStatus;
use crate::settings_profiles::{DeleteStatus, EarlyStatus, ExpandRule, UpdateStatus, UpdateVerb};

/// Options of a get, as the SDK has them.
const ITEM: Shape =
    Shape { options: &["select", "expand"], select: PROFILE_SELECT, expand: PROFILE_EXPAND, ..Shape::NONE };
const STATUS: Shape = Shape {
    options: &["select"],
    select: &[
        "id",
        "status",
        "lastSynchronizationDateTime",
        "lastActivityDateTime",
        "errorCount",
        "statusMessage",
    ],
    ..Shape::NONE
};

/// Graph docs: Create educationSynchronizationProfile.
pub(crate) fn create(model: &mut Model, call: &Call<'_>) -> Result<Answer, GraphError> {
    no_options(call.incoming)?;
    let body = json_body(call.incoming)?;
    let created = model.create(call.tenant, &body, call.generation, call.now);
    let view = created.map_err(|invalid| GraphError::bad_request(invalid.into_sentence()))?;
    let status = match model.settings().create_status {
        CreateStatus::Created => StatusCode::CREATED,
        CreateStatus::Accepted => StatusCode::ACCEPTED,
    };
    let members = render::profile(&view, call.generation, Occasion::Created);
    Ok(Answer::Created(status, entity(call, "", members)))
}

/// Graph docs: Get an educationSynchronizationProfile.
pub(crate) fn get(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    let options = profile_options(model, call, &ITEM)?;
    let view = call.view(model, id)?;
    let members = render::profile(&view, call.generation, Occasion::Read);
    let members = entity_members(model, &view, members, call, &options);
    let applied = options.expand.contains(&"profileStatus") && call.incoming.unknown_members();
    let body = entity(call, &options.selection(), members);
    Ok(Answer::Body(StatusCode::OK, body).preferring(applied))
}

/// Which update a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update<'a> {
    /// Graph docs: Update (PUT on the collection).
    PutCollection,
    /// Scenario page "update a profile" (PUT on the item).
    Put(&'a str),
    /// The generated stub of July 2021, and the SDK.
    Patch(&'a str),
}

/// Updates a profile.
pub(crate) fn update(model: &mut Model, call: &Call<'_>, update: Update<'_>) -> Result<Answer, GraphError> {
    let verb = if matches!(update, Update::Patch(_)) { UpdateVerb::Patch } else { UpdateVerb::Put };
    if !model.settings().profiles.update_verbs.contains(&verb) {
        return Err(GraphError::method_not_allowed());
    }
    no_options(call.incoming)?;
    let body = json_body(call.incoming)?;
    let (id, body) = match update {
        Update::PutCollection => (model.meant(call.tenant, &body, call.now).map_err(refused)?, body),
        Update::Put(id) => (id.to_owned(), body),
        Update::Patch(id) => {
            let view = call.view(model, id)?;
            (id.to_owned(), patched(&view, call.generation, body))
        }
    };
    let replaced = model.replace(call.tenant, &id, &body, call.generation, call.now);
    let view = replaced.map_err(refused)?;
    let status = match (model.settings().profiles.update_status, verb) {
        (UpdateStatus::NoContent, _) => return Ok(Answer::Empty(StatusCode::NO_CONTENT)),
        (UpdateStatus::Ok, _) | (UpdateStatus::Documented, UpdateVerb::Patch) => StatusCode::OK,
        (UpdateStatus::Accepted, _) | (UpdateStatus::Documented, UpdateVerb::Put) => StatusCode::ACCEPTED,
    };
    let members = render::profile(&view, call.generation, Occasion::Read);
    Ok(Answer::Body(status, entity(call, "", members)))
}

/// The whole body that a partial one means: what it leaves out stays as it is, null clears (OData: PATCH).
fn patched(view: &View, generation: Generation, patch: Value) -> Value {
    if !patch.is_object() {
        return patch;
    }
    let members = render::profile(view, generation, Occasion::Created);
    let mut whole = serde_json::to_value(Json::Object(members)).unwrap_or(Value::Null);
    merge(&mut whole, patch);
    whole
}

/// Merges objects member by member, unless the patch names another type than the one there: then it is a new object.
fn merge(whole: &mut Value, patch: Value) {
    match (whole, patch) {
        (Value::Object(whole), Value::Object(patch)) => {
            if !same_type(whole.get("@odata.type"), patch.get("@odata.type")) {
                *whole = patch;
                return;
            }
            for (name, value) in patch {
                merge(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, patch) => *whole = patch,
    }
}

fn same_type(there: Option<&Value>, sent: Option<&Value>) -> bool {
    let bare = |value: &Value| value.as_str().map(|name| name.trim_start_matches('#').to_ascii_lowercase());
    match (there, sent) {
        (Some(there), Some(sent)) => bare(there) == bare(sent),
        _ => true,
    }
}

/// Graph docs: Delete an educationSynchronizationProfile.
pub(crate) fn delete(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    no_options(call.incoming)?;
    if !model.delete(call.tenant, id, call.now) {
        return Err(GraphError::not_found());
    }
    Ok(Answer::Empty(match model.settings().profiles.delete_status {
        DeleteStatus::Accepted => StatusCode::ACCEPTED,
        DeleteStatus::NoContent => StatusCode::NO_CONTENT,
    }))
}

/// Graph docs: Get the status of an educationSynchronizationProfile.
pub(crate) fn status(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    let options = odata::options(call.incoming, &STATUS)?;
    let view = call.view(model, id)?;
    let settings = &model.settings().profiles;
    let Some(report) = view.status.clone().or_else(|| {
        let early = settings.early_status == EarlyStatus::Empty;
        early.then(|| view.profile.sync.report(call.now, settings.sync_time))
    }) else {
        let message = "The profile has no status before it is provisioned.";
        return Err(GraphError::new(StatusCode::NOT_FOUND, "NotFound", message));
    };
    let id = view.profile.id.as_str();
    let shown = render_sync::status(id, &report, call.incoming.unknown_members()).into_iter();
    let shown: Members = shown.filter(|(name, _)| options.selects(name)).collect();
    let path = format!("education/synchronizationProfiles('{id}')/profileStatus{}", options.selection());
    let body = if settings.wrap_profile_status {
        let context = ("@odata.context", Json::from(call.context(&path)));
        Json::Object(vec![context, ("value", Json::List(vec![Json::Object(shown)]))])
    } else {
        let context = Json::from(call.context(&format!("{path}/$entity")));
        Json::Object(std::iter::once(("@odata.context", context)).chain(shown).collect())
    };
    Ok(Answer::Body(StatusCode::OK, body).preferring(call.incoming.unknown_members()))
}

/// The options of a call that answers profiles, with what the switch says about `$expand`.
pub(crate) fn profile_options(model: &Model, call: &Call<'_>, shape: &Shape) -> Result<Options, GraphError> {
    let mut options = odata::options(call.incoming, shape)?;
    match model.settings().profiles.expand {
        ExpandRule::Allow => {}
        ExpandRule::Ignore => options.expand.clear(),
        ExpandRule::Refuse if options.expand.is_empty() => {}
        ExpandRule::Refuse => {
            return Err(GraphError::query_option("The query option '$expand' is not supported here."));
        }
    }
    Ok(options)
}

/// The members that are selected, and those that are expanded. Expanded errors end after a page, with a link.
pub(crate) fn entity_members(
    model: &Model,
    view: &View,
    members: Members,
    call: &Call<'_>,
    options: &Options,
) -> Members {
    let id = view.profile.id.as_str();
    let mut shown: Members = members.into_iter().filter(|(name, _)| options.selects(name)).collect();
    if options.expand.contains(&"profileStatus") {
        let status = view.status.as_ref().map_or(Json::Null, |report| {
            Json::Object(render_sync::status(id, report, call.incoming.unknown_members()))
        });
        shown.push(("profileStatus", status));
    }
    if options.expand.contains(&"errors") {
        let size = model.settings().page_size.max(1);
        let errors = view.profile.sync.errors(call.now, model.settings().profiles.sync_time);
        let first = errors.iter().take(size).map(|error| Json::Object(render_sync::error(error)));
        shown.push(("errors", Json::List(first.collect())));
        if errors.len() > size {
            let root = call.root();
            let link = format!("{root}/education/synchronizationProfiles/{id}/errors?$skip={size}");
            shown.push(("errors@odata.nextLink", Json::from(link)));
        }
    }
    shown
}

/// A single profile. The preview's answers carry no `@odata.context` (`synchronizationProfile_create.md`).
fn entity(call: &Call<'_>, selection: &str, members: Members) -> Json {
    let path = format!("education/synchronizationProfiles{selection}/$entity");
    let context =
        (call.generation == Generation::Beta).then(|| ("@odata.context", Json::from(call.context(&path))));
    Json::Object(context.into_iter().chain(members).collect())
}
