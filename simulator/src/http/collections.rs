//! The calls that read many: lists and counts of profiles and of errors, and one error. Which options each has is said
//! here, what the options mean in `odata`.

use http::StatusCode;

use super::answer::GraphError;
use super::graph::{Answer, Call, refused};
use super::items::entity_members;
use super::odata::{self, Options, Paged, Row, Shape};
use super::render::{self, Occasion};
use super::render_sync;
use crate::json::Json;
use crate::model::errors::SyncError;
use crate::model::{Model, View};

/// Properties and navigation properties of a profile that options may name. Which ones `$filter` takes is not
/// documented; these are decided.
pub(crate) const PROFILE_FILTER: &[&str] = &["displayName", "state", "id"];
pub(crate) const PROFILE_SELECT: &[&str] = &[
    "id",
    "displayName",
    "state",
    "expirationDate",
    "handleSpecialCharacterConstraint",
    "dataProvider",
    "identitySynchronizationConfiguration",
    "licensesToAssign",
];
pub(crate) const PROFILE_EXPAND: &[&str] = &["profileStatus", "errors"];

/// Graph docs: List educationSynchronizationProfiles; `$select` and `$expand` as in the SDK.
const LIST: Shape = Shape {
    options: &["top", "skip", "count", "filter", "orderby", "select", "expand", "skiptoken"],
    filter: PROFILE_FILTER,
    order: &["displayName", "id", "state", "expirationDate"],
    select: PROFILE_SELECT,
    expand: PROFILE_EXPAND,
};
const COUNT: Shape = Shape { options: &["filter"], filter: PROFILE_FILTER, ..Shape::NONE };

const ERROR_FILTER: &[&str] =
    &["id", "entryType", "errorCode", "errorMessage", "joiningValue", "reportableIdentifier"];
const ERROR_SELECT: &[&str] = &[
    "id",
    "entryType",
    "errorCode",
    "errorMessage",
    "joiningValue",
    "recordedDateTime",
    "reportableIdentifier",
];
/// Graph docs: List educationSynchronizationErrors.
const ERRORS: Shape = Shape {
    options: &["top", "skip", "count", "filter", "orderby", "select", "skiptoken"],
    filter: ERROR_FILTER,
    order: ERROR_SELECT,
    select: ERROR_SELECT,
    expand: &[],
};
const ERRORS_COUNT: Shape = Shape { options: &["filter"], filter: ERROR_FILTER, ..Shape::NONE };
const ONE_ERROR: Shape = Shape { options: &["select"], select: ERROR_SELECT, ..Shape::NONE };

impl Row for View {
    fn position(&self) -> u64 {
        self.profile.position
    }

    fn text(&self, name: &str) -> Option<String> {
        match name {
            "displayName" => Some(self.profile.draft.display_name.clone()),
            "state" => Some(self.state.as_str().to_owned()),
            "id" => Some(self.profile.id.clone()),
            "expirationDate" => self.profile.draft.expiration_date.map(|date| date.to_string()),
            _ => None,
        }
    }
}

/// An error with its place among those of its profile.
struct Placed(u64, SyncError);

impl Row for Placed {
    fn position(&self) -> u64 {
        self.0
    }

    fn text(&self, name: &str) -> Option<String> {
        let Self(_, error) = self;
        Some(match name {
            "id" => error.id.clone(),
            "entryType" => error.entry_type.clone(),
            "errorCode" => error.code.clone(),
            "errorMessage" => error.message.clone(),
            "joiningValue" => error.joining_value.clone(),
            "reportableIdentifier" => error.reportable_identifier.clone(),
            // Instants of the same form sort as texts do.
            "recordedDateTime" => error.recorded.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
            _ => return None,
        })
    }
}

/// Graph docs: List educationSynchronizationProfiles.
pub(crate) fn list(model: &mut Model, call: &Call<'_>) -> Result<Answer, GraphError> {
    let options = super::items::profile_options(model, call, &LIST)?;
    let views = model.list(call.tenant, call.now);
    let paged = odata::page(views, &options, model.settings().page_size);
    let entity = |view: &View| {
        let members = render::profile(view, call.generation, Occasion::Read);
        Json::Object(entity_members(model, view, members, call, &options))
    };
    let values = paged.rows.iter().map(entity).collect();
    let path = "education/synchronizationProfiles";
    let context = format!("{path}{}", options.selection());
    let applied = options.expand.contains(&"profileStatus");
    Ok(collection(call, &options, &paged, (&context, path), values)
        .preferring(applied && call.incoming.unknown_members()))
}

/// `$count` of the collection. It answers text, whatever the caller accepts (the SDK accepts it with a low quality).
pub(crate) fn count(model: &mut Model, call: &Call<'_>) -> Result<Answer, GraphError> {
    let options = odata::options(call.incoming, &COUNT)?;
    let views = model.list(call.tenant, call.now);
    Ok(Answer::Text(odata::page(views, &options, usize::MAX).total.to_string()))
}

/// Graph docs: List educationSynchronizationErrors.
pub(crate) fn errors(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    let options = odata::options(call.incoming, &ERRORS)?;
    let (id, errors) = placed(model, call, id)?;
    let paged = odata::page(errors, &options, model.settings().page_size);
    let values = paged.rows.iter().map(|Placed(_, error)| shown(error, &options)).collect();
    let context = format!("education/synchronizationProfiles('{id}')/errors{}", options.selection());
    let path = format!("education/synchronizationProfiles/{id}/errors");
    Ok(collection(call, &options, &paged, (&context, &path), values))
}

/// `$count` of the errors.
pub(crate) fn errors_count(model: &mut Model, call: &Call<'_>, id: &str) -> Result<Answer, GraphError> {
    let options = odata::options(call.incoming, &ERRORS_COUNT)?;
    let (_, errors) = placed(model, call, id)?;
    Ok(Answer::Text(odata::page(errors, &options, usize::MAX).total.to_string()))
}

/// One error by id, as the SDK asks for it.
pub(crate) fn error(
    model: &mut Model,
    call: &Call<'_>,
    id: &str,
    error_id: &str,
) -> Result<Answer, GraphError> {
    let options = odata::options(call.incoming, &ONE_ERROR)?;
    let (id, errors) = placed(model, call, id)?;
    let found = errors.iter().find(|Placed(_, error)| error.id.eq_ignore_ascii_case(error_id));
    let Some(Placed(_, error)) = found else {
        let message = "The profile has no error with this id.";
        return Err(GraphError::new(StatusCode::NOT_FOUND, "NotFound", message));
    };
    let path = format!("education/synchronizationProfiles('{id}')/errors{}/$entity", options.selection());
    let context = ("@odata.context", Json::from(call.context(&path)));
    let Json::Object(members) = shown(error, &options) else { return Ok(Answer::Empty(StatusCode::OK)) };
    Ok(Answer::Body(StatusCode::OK, Json::Object(std::iter::once(context).chain(members).collect())))
}

/// The errors of a profile with their places, and the profile's id as it is written.
fn placed(model: &mut Model, call: &Call<'_>, id: &str) -> Result<(String, Vec<Placed>), GraphError> {
    let (id, errors) = model.errors(call.tenant, id, call.now).map_err(refused)?;
    Ok((id, (1..).zip(errors).map(|(place, error)| Placed(place, error)).collect()))
}

fn shown(error: &SyncError, options: &Options) -> Json {
    let members = render_sync::error(error).into_iter();
    Json::Object(members.filter(|(name, _)| options.selects(name)).collect())
}

/// A collection answer (Graph docs: paging); `names` are what its context says, and its path.
fn collection<T>(
    call: &Call<'_>,
    options: &Options,
    paged: &Paged<T>,
    (context, path): (&str, &str),
    values: Vec<Json>,
) -> Answer {
    let mut members = vec![("@odata.context", Json::from(call.context(context)))];
    // As for directory resources (Graph docs: paging), the count stands on the first page only.
    if options.count && options.is_first_page() {
        members.push(("@odata.count", Json::Number(paged.total)));
    }
    if let Some(next) = &paged.next {
        let link = format!("{}/{path}?{}", call.root(), options.next_query(next));
        members.push(("@odata.nextLink", Json::from(link)));
    }
    members.push(("value", Json::List(values)));
    Answer::Body(StatusCode::OK, Json::Object(members))
}
