//! Reads the body of a create into a [`Draft`]: the profile, its identity configuration, its licences. Data providers
//! are read in `parse_provider`. Every rule of refusal about a body is in one of these two files or in `reader`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use uuid::Uuid;

use super::Invalid;
use super::parse_provider::data_provider;
use super::profile::{Domain, Draft, IdentityConfiguration, License, MatchingOptions, UserRole};
use super::reader::{Reader, Rules};
use super::types::{
    DOMAIN, IDENTITY, IDENTITY_CREATION, IDENTITY_MATCHING, LICENSE, MATCHING_OPTIONS, PROFILE, TypeName,
    names, resolve,
};

/// Members of the profile a caller may send. The last four are the service's: the generated page
/// "Add synchronizationProfiles" lists `id` and `state` in its create table, so they are ignored, not refused.
const PROFILE_MEMBERS: [&str; 10] = [
    "displayName",
    "dataProvider",
    "identitySynchronizationConfiguration",
    "licensesToAssign",
    "handleSpecialCharacterConstraint",
    "expirationDate",
    "id",
    "state",
    "errors",
    "profileStatus",
];

/// Reads a create body (Graph docs: Create educationSynchronizationProfile; types: beta metadata).
pub(crate) fn draft(body: &Value, rules: Rules) -> Result<Draft, Invalid> {
    let profile = Reader::open(body, "", rules)?;
    profile.declared(PROFILE, &PROFILE_MEMBERS)?;
    Ok(Draft {
        display_name: profile.string("displayName")?.to_owned(),
        provider: data_provider(&Reader::open(profile.required("dataProvider")?, "dataProvider", rules)?)?,
        identity: identity(&profile)?,
        licenses: profile.objects("licensesToAssign", profile.collection("licensesToAssign")?, license)?,
        handle_special_characters: profile.optional_bool("handleSpecialCharacterConstraint")?,
        expiration_date: expiration_date(&profile)?,
    })
}

/// Finds out which concrete type an object of an abstract declared type is.
pub(crate) fn concrete<T: Copy>(
    reader: &Reader<'_>,
    base: TypeName,
    choices: &[(TypeName, T)],
) -> Result<T, Invalid> {
    let Rules { generation, accept_type_without_hash, .. } = reader.rules();
    let Some(given) = reader.type_annotation()? else {
        return Err(Invalid::new(format!(
            "The property '{}' needs an '@odata.type', because its declared type {} is abstract. Name one of: {}.",
            reader.path(),
            base.qualified(generation),
            names(choices, generation)
        )));
    };
    resolve(given, base, choices, generation, accept_type_without_hash)
}

#[derive(Clone, Copy)]
enum IdentityKind {
    Creation,
    Matching,
}

fn identity(profile: &Reader<'_>) -> Result<IdentityConfiguration, Invalid> {
    const NAME: &str = "identitySynchronizationConfiguration";
    let reader = Reader::open(profile.required(NAME)?, NAME, profile.rules())?;
    let choices = [(IDENTITY_CREATION, IdentityKind::Creation), (IDENTITY_MATCHING, IdentityKind::Matching)];
    match concrete(&reader, IDENTITY, &choices)? {
        IdentityKind::Creation => {
            reader.closed(IDENTITY_CREATION, &["userDomains"])?;
            let items = reader.required_collection("userDomains")?;
            reader.objects("userDomains", items, domain).map(IdentityConfiguration::Creation)
        }
        IdentityKind::Matching => {
            reader.closed(IDENTITY_MATCHING, &["matchingOptions"])?;
            let items = reader.required_collection("matchingOptions")?;
            reader.objects("matchingOptions", items, matching).map(IdentityConfiguration::Matching)
        }
    }
}

/// Graph docs: educationIdentityDomain. The name is written without `@`.
fn domain(reader: &Reader<'_>) -> Result<Domain, Invalid> {
    reader.declared(DOMAIN, &["appliesTo", "name"])?;
    let name = reader.string("name")?;
    if name.trim().is_empty() || name.contains(|letter: char| letter == '@' || letter.is_whitespace()) {
        return Err(Invalid::new(format!(
            "The property '{}' must be a domain name, without '@' and without blanks.",
            reader.at("name")
        )));
    }
    Ok(Domain { applies_to: role(reader, reader.required("appliesTo")?)?, name: name.to_owned() })
}

/// Graph docs: educationIdentityMatchingOptions.
fn matching(reader: &Reader<'_>) -> Result<MatchingOptions, Invalid> {
    let declared = ["appliesTo", "sourcePropertyName", "targetPropertyName", "targetDomain"];
    reader.declared(MATCHING_OPTIONS, &declared)?;
    Ok(MatchingOptions {
        applies_to: role(reader, reader.required("appliesTo")?)?,
        source: reader.string("sourcePropertyName")?.to_owned(),
        target: reader.string("targetPropertyName")?.to_owned(),
        target_domain: reader.optional_text("targetDomain")?,
    })
}

/// Graph docs: educationSynchronizationLicenseAssignment.
fn license(reader: &Reader<'_>) -> Result<License, Invalid> {
    reader.declared(LICENSE, &["appliesTo", "skuIds"])?;
    let sku_ids = reader.strings("skuIds")?;
    if let Some(index) = sku_ids.iter().position(|id| !is_guid(id)) {
        return Err(Invalid::new(format!(
            "The property '{}' must be a GUID with hyphens, the skuId of a subscribed SKU.",
            reader.item("skuIds", index)
        )));
    }
    let applies_to = reader.optional("appliesTo").map(|value| role(reader, value)).transpose()?;
    Ok(License { applies_to, sku_ids })
}

fn is_guid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// `student`, `teacher`, `faculty` in camel case; `none` and `unknownFutureValue` of the enumeration make no sense
/// here and are refused (Graph docs name only the three).
fn role(reader: &Reader<'_>, value: &Value) -> Result<UserRole, Invalid> {
    let found = value.as_str().and_then(|text| UserRole::ALL.into_iter().find(|role| role.as_str() == text));
    found.ok_or_else(|| {
        Invalid::new(format!(
            "The property '{}' must be one of the strings 'student', 'teacher', 'faculty'.",
            reader.at("appliesTo")
        ))
    })
}

/// `YYYY-MM-DD`, at most 18 months after the creation; null never expires (both in the reference of the resource, the
/// limit in the SDK's comments of 2024).
fn expiration_date(profile: &Reader<'_>) -> Result<Option<Date>, Invalid> {
    let Some(text) = profile.optional_string("expirationDate")? else {
        return Ok(None);
    };
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
    let date = date.ok_or_else(|| {
        Invalid::new("The property 'expirationDate' must be a date of the form YYYY-MM-DD.".to_owned())
    })?;
    let limit = latest_expiration(profile.rules().now);
    if date > limit {
        return Err(Invalid::new(format!(
            "The property 'expirationDate' must be at most 18 months after the creation, so not after {limit}."
        )));
    }
    Ok(Some(date))
}

fn latest_expiration(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date().saturating_add(18.months())
}
