//! Writes profiles as JSON, in the spelling and member order of the generation that asked. It decides nothing about
//! a profile; defaults were filled when it was created.

use crate::json::Json;
use crate::model::View;
use crate::model::profile::{
    Connection, Customization, Customizations, DataProvider, Domain, IdentityConfiguration, License,
    MatchingOptions, UserRole,
};
use crate::model::types::{self, Generation, TypeName};

/// "Not set", as the service writes it (Graph docs and `synchronizationProfile_create.md`, answers).
pub(crate) const UNSET_DATE: &str = "0001-01-01T00:00:00Z";

/// The members of an object, in order.
pub(crate) type Members = Vec<(&'static str, Json)>;

/// Which of the documented answers a profile is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The answer of a create: members nobody sent are left out, as in its examples.
    Created,
    /// An answer of get or list: `handleSpecialCharacterConstraint` is there even if nobody sent it, as in their examples.
    Read,
}

/// The members of a profile, without `@odata.context`.
pub(crate) fn profile(view: &View, generation: Generation, occasion: Occasion) -> Members {
    let draft = &view.profile.draft;
    let id = ("id", Json::from(view.profile.id.as_str()));
    let name = ("displayName", Json::from(draft.display_name.as_str()));
    let state = ("state", Json::from(view.state.as_str()));
    let mut members = match generation {
        Generation::Beta => vec![id, name, state],
        Generation::Preview => vec![name, state, id],
    };
    if let Some(date) = draft.expiration_date {
        members.push(("expirationDate", Json::from(date.to_string())));
    }
    let shown_if_unset = occasion == Occasion::Read && generation == Generation::Beta;
    if let Some(flag) = draft.handle_special_characters.or_else(|| shown_if_unset.then_some(false)) {
        members.push(("handleSpecialCharacterConstraint", Json::Bool(flag)));
    }
    members.push(("dataProvider", provider(&draft.provider, generation)));
    members.push(("identitySynchronizationConfiguration", identity(&draft.identity, generation)));
    members.push(("licensesToAssign", Json::List(draft.licenses.iter().map(license).collect())));
    members
}

fn typed(name: TypeName, generation: Generation, members: Members) -> Json {
    let annotation = ("@odata.type", Json::from(name.annotation(generation)));
    Json::Object(std::iter::once(annotation).chain(members).collect())
}

fn provider(provider: &DataProvider, generation: Generation) -> Json {
    match provider {
        DataProvider::Csv { customizations: parts } => {
            typed(types::CSV, generation, vec![("customizations", customizations(parts.as_ref()))])
        }
        DataProvider::OneRoster {
            connection_url,
            connection: settings,
            provider_name,
            schools_ids,
            term_ids,
            customizations: parts,
        } => {
            let members = vec![
                ("connectionUrl", Json::from(connection_url.as_str())),
                ("providerName", Json::text_or_null(provider_name.as_deref())),
                ("schoolsIds", Json::texts(schools_ids)),
                ("termIds", Json::texts(term_ids)),
                ("connectionSettings", connection(settings, generation)),
                ("customizations", customizations(parts.as_ref())),
            ];
            typed(types::ONE_ROSTER, generation, members)
        }
        DataProvider::PowerSchool {
            connection_url,
            client_id,
            client_secret: _,
            schools_ids,
            school_year,
            allow_teachers_in_multiple_schools,
            customizations: parts,
        } => {
            let members = vec![
                ("connectionUrl", Json::from(connection_url.as_str())),
                ("clientId", Json::from(client_id.as_str())),
                ("clientSecret", Json::Null),
                ("schoolsIds", Json::texts(schools_ids)),
                ("schoolYear", Json::text_or_null(school_year.as_deref())),
                ("allowTeachersInMultipleSchools", Json::bool_or_null(*allow_teachers_in_multiple_schools)),
                ("customizations", customizations(parts.as_ref())),
            ];
            typed(types::POWER_SCHOOL, generation, members)
        }
    }
}

/// `clientSecret` is always null in an answer: whether the service returns it is not documented, so nobody may rely
/// on it.
fn connection(settings: &Connection, generation: Generation) -> Json {
    let mut members =
        vec![("clientId", Json::from(settings.client_id.as_str())), ("clientSecret", Json::Null)];
    let Some(oauth2) = &settings.oauth2 else {
        return typed(types::OAUTH1, generation, members);
    };
    members.push(("tokenUrl", Json::from(oauth2.token_url.as_str())));
    members.push(("scope", Json::text_or_null(oauth2.scope.as_deref())));
    typed(types::OAUTH2, generation, members)
}

fn customizations(parts: Option<&Customizations>) -> Json {
    let Some(parts) = parts else { return Json::Null };
    let named = [
        ("school", &parts.school),
        ("section", &parts.section),
        ("student", &parts.student),
        ("teacher", &parts.teacher),
        ("studentEnrollment", &parts.student_enrollment),
        ("teacherRoster", &parts.teacher_roster),
    ];
    let shown = named.into_iter().filter_map(|(name, part)| Some((name, customization(part.as_ref()?))));
    Json::Object(shown.collect())
}

fn customization(part: &Customization) -> Json {
    let start = part.start.map_or_else(|| UNSET_DATE.to_owned(), |start| start.to_string());
    Json::Object(vec![
        ("optionalPropertiesToSync", part.optional_properties.as_deref().map_or(Json::Null, Json::texts)),
        ("synchronizationStartDate", Json::from(start)),
        ("isSyncDeferred", Json::Bool(part.deferred)),
        ("allowDisplayNameUpdate", Json::Bool(part.allow_display_name_update)),
    ])
}

fn identity(configuration: &IdentityConfiguration, generation: Generation) -> Json {
    match configuration {
        IdentityConfiguration::Creation(domains) => {
            let one = |domain: &Domain| {
                Json::Object(vec![
                    ("appliesTo", Json::from(domain.applies_to.as_str())),
                    ("name", Json::from(domain.name.as_str())),
                ])
            };
            let list = Json::List(domains.iter().map(one).collect());
            typed(types::IDENTITY_CREATION, generation, vec![("userDomains", list)])
        }
        IdentityConfiguration::Matching(options) => {
            let one = |option: &MatchingOptions| {
                Json::Object(vec![
                    ("appliesTo", Json::from(option.applies_to.as_str())),
                    ("sourcePropertyName", Json::from(option.source.as_str())),
                    ("targetPropertyName", Json::from(option.target.as_str())),
                    ("targetDomain", Json::text_or_null(option.target_domain.as_deref())),
                ])
            };
            let list = Json::List(options.iter().map(one).collect());
            typed(types::IDENTITY_MATCHING, generation, vec![("matchingOptions", list)])
        }
    }
}

fn license(license: &License) -> Json {
    Json::Object(vec![
        ("appliesTo", Json::text_or_null(license.applies_to.map(UserRole::as_str))),
        ("skuIds", Json::texts(&license.sku_ids)),
    ])
}
