//! What is written to Graph: the bodies of create and update, in exactly the documented spelling of each dialect.
//!
//! Reading is the business of [`super::profile`], which is tolerant; this is strict. A body may hold
//! a client secret, so it leaves this module as a [`RequestBody`]; what is compared or shown holds none.

mod body;
mod update;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

pub use body::RequestBody;
pub use update::{applied_fields, update, update_bodies};

use crate::api::connection::Dialect;
use crate::api::customizations::Customizations;
use crate::api::identity::IdentitySynchronizationConfiguration;
use crate::api::profile::EducationSyncProfileSpec;
use crate::api::provider::{
    DataProvider, OneRosterConnectionSettings, OneRosterDataProvider, PowerSchoolDataProvider,
};
use crate::api::status::{IdentityKind, ProviderKind};

/// The body that creates the profile: only what the user set, and nothing that the service decides.
/// `secret` is the client secret of the source, where the source needs one.
#[must_use]
pub fn create_body(
    spec: &EducationSyncProfileSpec,
    dialect: Dialect,
    secret: Option<&SecretString>,
) -> RequestBody {
    RequestBody::new(body(spec, dialect, secret))
}

/// What the user set, without any secret: what a profile is compared with.
#[must_use]
pub fn wanted(spec: &EducationSyncProfileSpec) -> Value {
    body(spec, Dialect::Beta, None)
}

fn body(spec: &EducationSyncProfileSpec, dialect: Dialect, secret: Option<&SecretString>) -> Value {
    let mut body = Map::new();
    body.insert("displayName".into(), json!(spec.display_name));
    body.insert("dataProvider".into(), data_provider(&spec.data_provider, dialect, secret));
    body.insert(
        "identitySynchronizationConfiguration".into(),
        identity(&spec.identity_synchronization_configuration, dialect),
    );
    insert_some(&mut body, "licensesToAssign", spec.licenses_to_assign.as_ref());
    insert_some(&mut body, "handleSpecialCharacterConstraint", spec.handle_special_character_constraint);
    insert_some(&mut body, "expirationDate", spec.expiration_date.as_ref());
    Value::Object(body)
}

/// Kind of the provider that the spec asks for.
#[must_use]
pub const fn provider_kind(provider: &DataProvider) -> ProviderKind {
    match provider {
        DataProvider { one_roster: Some(_), .. } => ProviderKind::OneRoster,
        DataProvider { power_school: Some(_), .. } => ProviderKind::PowerSchool,
        _ => ProviderKind::Csv,
    }
}

/// Kind of the identity configuration that the spec asks for.
#[must_use]
pub const fn identity_kind(configuration: &IdentitySynchronizationConfiguration) -> IdentityKind {
    if configuration.matching.is_some() { IdentityKind::Matching } else { IdentityKind::Creation }
}

fn data_provider(provider: &DataProvider, dialect: Dialect, secret: Option<&SecretString>) -> Value {
    if let Some(one_roster) = &provider.one_roster {
        return one_roster_provider(one_roster, dialect, secret);
    }
    if let Some(power_school) = &provider.power_school {
        return power_school_provider(power_school, dialect, secret);
    }
    let mut object = typed(dialect, "CsvDataProvider");
    let customizations = provider.csv.as_ref().and_then(|csv| csv.customizations.as_deref());
    insert_some(&mut object, "customizations", customizations.map(customizations_object));
    Value::Object(object)
}

/// Graph docs, educationOneRosterApiDataProvider.
fn one_roster_provider(
    provider: &OneRosterDataProvider,
    dialect: Dialect,
    secret: Option<&SecretString>,
) -> Value {
    let mut object = typed(dialect, "OneRosterApiDataProvider");
    object.insert("connectionUrl".into(), json!(provider.connection_url));
    let settings = connection_settings(&provider.connection_settings, dialect, secret);
    object.insert("connectionSettings".into(), settings);
    insert_some(&mut object, "providerName", provider.provider_name.as_ref());
    insert_some(&mut object, "schoolsIds", provider.schools_ids.as_ref());
    insert_some(&mut object, "termIds", provider.term_ids.as_ref());
    insert_some(&mut object, "customizations", provider.customizations.as_deref().map(customizations_object));
    Value::Object(object)
}

/// Graph docs, educationSynchronizationConnectionSettings and its kinds.
fn connection_settings(
    settings: &OneRosterConnectionSettings,
    dialect: Dialect,
    secret: Option<&SecretString>,
) -> Value {
    let mut object = if let Some(oauth2) = &settings.oauth2_client_credentials {
        let mut object = typed(dialect, "SynchronizationOAuth2ClientCredentialsConnectionSettings");
        object.insert("clientId".into(), json!(oauth2.client_id));
        object.insert("tokenUrl".into(), json!(oauth2.token_url));
        insert_some(&mut object, "scope", oauth2.scope.as_ref());
        object
    } else {
        let mut object = typed(dialect, "SynchronizationOAuth1ConnectionSettings");
        let client_id = settings.oauth1.as_ref().map(|oauth1| &oauth1.client_id);
        insert_some(&mut object, "clientId", client_id);
        object
    };
    insert_some(&mut object, "clientSecret", secret.map(ExposeSecret::expose_secret));
    Value::Object(object)
}

/// Graph docs, educationPowerSchoolDataProvider.
fn power_school_provider(
    provider: &PowerSchoolDataProvider,
    dialect: Dialect,
    secret: Option<&SecretString>,
) -> Value {
    let mut object = typed(dialect, "PowerSchoolDataProvider");
    object.insert("connectionUrl".into(), json!(provider.connection_url));
    object.insert("clientId".into(), json!(provider.client_id));
    insert_some(&mut object, "clientSecret", secret.map(ExposeSecret::expose_secret));
    insert_some(&mut object, "schoolsIds", provider.schools_ids.as_ref());
    insert_some(&mut object, "schoolYear", provider.school_year.as_ref());
    insert_some(&mut object, "allowTeachersInMultipleSchools", provider.allow_teachers_in_multiple_schools);
    insert_some(&mut object, "customizations", provider.customizations.as_deref().map(customizations_object));
    Value::Object(object)
}

fn customizations_object(customizations: &Customizations) -> Value {
    let mut object = Map::new();
    insert_some(&mut object, "school", customizations.school.as_ref());
    insert_some(&mut object, "section", customizations.section.as_ref());
    insert_some(&mut object, "student", customizations.student.as_ref());
    insert_some(&mut object, "teacher", customizations.teacher.as_ref());
    insert_some(&mut object, "studentEnrollment", customizations.student_enrollment.as_ref());
    insert_some(&mut object, "teacherRoster", customizations.teacher_roster.as_ref());
    Value::Object(object)
}

fn identity(configuration: &IdentitySynchronizationConfiguration, dialect: Dialect) -> Value {
    if let Some(matching) = &configuration.matching {
        let mut object = typed(dialect, "IdentityMatchingConfiguration");
        let mut options = json!(matching.matching_options);
        for option in options.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            // Said, so that one that is taken out of the manifest is a difference (Graph docs: null compares as it is).
            option.entry("targetDomain").or_insert(Value::Null);
        }
        object.insert("matchingOptions".into(), options);
        return Value::Object(object);
    }
    let mut object = typed(dialect, "IdentityCreationConfiguration");
    if let Some(creation) = &configuration.creation {
        object.insert("userDomains".into(), json!(creation.user_domains));
    }
    Value::Object(object)
}

/// An object that begins with its type, as Graph requires where the declared type is abstract
/// (Graph docs, resource pages of the data providers and identity configurations).
fn typed(dialect: Dialect, name: &str) -> Map<String, Value> {
    let full = match dialect {
        Dialect::Beta | Dialect::BetaRef => format!("#microsoft.graph.education{name}"),
        // The preview of October 2017 had no prefix, and began with a lower-case letter.
        Dialect::TestEduApi => {
            let (first, rest) = name.split_at(1);
            format!("#microsoft.graph.{}{rest}", first.to_ascii_lowercase())
        }
    };
    Map::from_iter([("@odata.type".to_owned(), Value::String(full))])
}

/// The members of the resource have Graph's own names, so serde's form of a value is Graph's form.
fn insert_some<T: serde::Serialize>(object: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests;
