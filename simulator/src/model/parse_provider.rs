//! Reads the `dataProvider` of a create body, with its customizations and connection settings. Nothing else of the
//! body is read here.

use jiff::Timestamp;
use url::Url;

use super::Invalid;
use super::parse::concrete;
use super::profile::{Connection, Customization, Customizations, DataProvider, OAuth2, Secret};
use super::reader::Reader;
use super::types::{
    CONNECTION, CSV, CUSTOMIZATION, CUSTOMIZATIONS, DATA_PROVIDER, OAUTH1, OAUTH2, ONE_ROSTER, POWER_SCHOOL,
};

#[derive(Clone, Copy)]
enum Kind {
    Csv,
    OneRoster,
    PowerSchool,
}

/// The declared type is abstract, so `@odata.type` decides (beta metadata).
pub(crate) fn data_provider(reader: &Reader<'_>) -> Result<DataProvider, Invalid> {
    let choices = [(CSV, Kind::Csv), (ONE_ROSTER, Kind::OneRoster), (POWER_SCHOOL, Kind::PowerSchool)];
    match concrete(reader, DATA_PROVIDER, &choices)? {
        Kind::Csv => {
            reader.closed(CSV, &["customizations"])?;
            Ok(DataProvider::Csv { customizations: customizations(reader)? })
        }
        Kind::OneRoster => one_roster(reader),
        Kind::PowerSchool => power_school(reader),
    }
}

/// Graph docs: educationOneRosterApiDataProvider.
fn one_roster(reader: &Reader<'_>) -> Result<DataProvider, Invalid> {
    let declared =
        ["connectionUrl", "connectionSettings", "providerName", "schoolsIds", "termIds", "customizations"];
    reader.closed(ONE_ROSTER, &declared)?;
    let settings = reader.required("connectionSettings")?;
    Ok(DataProvider::OneRoster {
        connection_url: url(reader, "connectionUrl")?,
        connection: connection(&Reader::open(settings, &reader.at("connectionSettings"), reader.rules())?)?,
        provider_name: reader.optional_text("providerName")?,
        schools_ids: reader.strings("schoolsIds")?,
        term_ids: reader.strings("termIds")?,
        customizations: customizations(reader)?,
    })
}

/// Graph docs: educationSynchronizationOAuth1ConnectionSettings,
/// educationSynchronizationOAuth2ClientCredentialsConnectionSettings.
fn connection(reader: &Reader<'_>) -> Result<Connection, Invalid> {
    let oauth2 = if concrete(reader, CONNECTION, &[(OAUTH1, false), (OAUTH2, true)])? {
        reader.closed(OAUTH2, &["clientId", "clientSecret", "tokenUrl", "scope"])?;
        Some(OAuth2 { token_url: url(reader, "tokenUrl")?, scope: reader.optional_text("scope")? })
    } else {
        reader.closed(OAUTH1, &["clientId", "clientSecret"])?;
        None
    };
    Ok(Connection {
        client_id: reader.string("clientId")?.to_owned(),
        client_secret: reader.optional_text("clientSecret")?.map(Secret::new),
        oauth2,
    })
}

/// Graph docs: educationPowerSchoolDataProvider. `schoolYear` is a string there, not a number.
fn power_school(reader: &Reader<'_>) -> Result<DataProvider, Invalid> {
    let declared = [
        "connectionUrl",
        "clientId",
        "clientSecret",
        "schoolsIds",
        "schoolYear",
        "allowTeachersInMultipleSchools",
        "customizations",
    ];
    reader.closed(POWER_SCHOOL, &declared)?;
    Ok(DataProvider::PowerSchool {
        connection_url: url(reader, "connectionUrl")?,
        client_id: reader.string("clientId")?.to_owned(),
        client_secret: reader.optional_text("clientSecret")?.map(Secret::new),
        schools_ids: reader.strings("schoolsIds")?,
        school_year: reader.optional_text("schoolYear")?,
        allow_teachers_in_multiple_schools: reader.optional_bool("allowTeachersInMultipleSchools")?,
        customizations: customizations(reader)?,
    })
}

/// A required absolute http or https URL (the metadata says only "string"; that it must be a URL is inferred). The
/// value is not repeated in the message: it may hold a password.
fn url(reader: &Reader<'_>, name: &str) -> Result<String, Invalid> {
    let text = reader.string(name)?;
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text.to_owned()),
        _ => Err(Invalid::new(format!(
            "The property '{}' must be an absolute URL that starts with https:// or http://.",
            reader.at(name)
        ))),
    }
}

/// Absent or null: everything is synchronised and nothing is filled in (what the service would show then is not
/// documented). Present: the parts nobody sent are filled as the documented answers show.
fn customizations(provider: &Reader<'_>) -> Result<Option<Customizations>, Invalid> {
    let Some(value) = provider.optional("customizations") else {
        return Ok(None);
    };
    let reader = Reader::open(value, &provider.at("customizations"), provider.rules())?;
    let declared = ["school", "section", "student", "teacher", "studentEnrollment", "teacherRoster"];
    reader.declared(CUSTOMIZATIONS, &declared)?;
    let mut parts = Customizations {
        school: customization(&reader, "school")?,
        section: customization(&reader, "section")?,
        student: customization(&reader, "student")?,
        teacher: customization(&reader, "teacher")?,
        student_enrollment: customization(&reader, "studentEnrollment")?,
        teacher_roster: customization(&reader, "teacherRoster")?,
    };
    parts.fill_defaults();
    Ok(Some(parts))
}

/// Graph docs: educationSynchronizationCustomization. Column headings are any strings: the examples and the sample
/// files do not agree on them.
fn customization(parent: &Reader<'_>, name: &str) -> Result<Option<Customization>, Invalid> {
    let Some(value) = parent.optional(name) else {
        return Ok(None);
    };
    let reader = Reader::open(value, &parent.at(name), parent.rules())?;
    let declared =
        ["optionalPropertiesToSync", "synchronizationStartDate", "isSyncDeferred", "allowDisplayNameUpdate"];
    reader.declared(CUSTOMIZATION, &declared)?;
    Ok(Some(Customization {
        optional_properties: reader.optional_strings("optionalPropertiesToSync")?,
        start: start_date(&reader)?,
        deferred: reader.optional_bool("isSyncDeferred")?.unwrap_or(false),
        allow_display_name_update: reader.optional_bool("allowDisplayNameUpdate")?.unwrap_or(false),
    }))
}

/// An instant with an offset. Jiff reads more than OData writes (blanks, zone names), hence the two extra looks.
fn start_date(reader: &Reader<'_>) -> Result<Option<Timestamp>, Invalid> {
    const NAME: &str = "synchronizationStartDate";
    let Some(text) = reader.optional_string(NAME)? else {
        return Ok(None);
    };
    let instant = text.parse::<Timestamp>().ok().filter(|_| text.contains('T') && !text.contains('['));
    // "Not set" in the service's own answers; a profile may be written back as it was read.
    let is_set = |instant: Timestamp| instant.to_string() != "0001-01-01T00:00:00Z";
    instant.map(|instant| Some(instant).filter(|instant| is_set(*instant))).ok_or_else(|| {
        Invalid::new(format!(
            "The property '{}' must be a date and time with an offset, such as 2026-08-01T00:00:00Z.",
            reader.at(NAME)
        ))
    })
}
