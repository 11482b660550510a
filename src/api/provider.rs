//! Where the roster data comes from: CSV files, a OneRoster service, or PowerSchool.
//!
//! The members are those of Graph's educationSynchronizationDataProvider and its kinds; secrets are
//! only ever referred to. What few resources have is boxed, or each of thousands would have room for all of it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::connection::SecretKeyReference;
use super::customizations::Customizations;

/// Where the roster data comes from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.csv), has(self.oneRoster), has(self.powerSchool)].filter(named, named).size() == 1")
        .message("dataProvider must name exactly one provider: csv, oneRoster or powerSchool"),
    validation = Rule::new("has(self.csv) == has(oldSelf.csv) && has(self.oneRoster) == has(oldSelf.oneRoster) && has(self.powerSchool) == has(oldSelf.powerSchool)")
        .message("the kind of dataProvider cannot be changed: a profile keeps its kind of source; make a new resource")
)]
pub struct DataProvider {
    /// Six CSV files, uploaded for each synchronization. An empty object, `csv: {}`, synchronizes
    /// every property of every file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvDataProvider>,
    /// A service that speaks OneRoster 1.1. It is synchronized again and again, without uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_roster: Option<Box<OneRosterDataProvider>>,
    /// PowerSchool. It is synchronized again and again, without uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_school: Option<Box<PowerSchoolDataProvider>>,
}

/// The CSV provider of School Data Sync (Graph's educationCsvDataProvider).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CsvDataProvider {
    /// What to synchronize of each file. Left out, everything is synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customizations: Option<Box<Customizations>>,
}

/// A OneRoster 1.1 service (Graph's educationOneRosterApiDataProvider).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OneRosterDataProvider {
    /// Base address of the service, for example https://oneroster.school.example/ims/oneroster/v1p1.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains('@') && (url(self).getPort() == '' || (int(url(self).getPort()) > 0 && int(url(self).getPort()) < 65536))")
        .message("connectionUrl must be an https:// address without user name or password, for example https://oneroster.school.example/ims/oneroster/v1p1"))]
    pub connection_url: String,
    /// How School Data Sync signs in at the service: exactly one member.
    pub connection_settings: OneRosterConnectionSettings,
    /// Name of the provider, as the OneRoster specification lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()").message("providerName must not be empty, nor begin or end with white space"))]
    pub provider_name: Option<String>,
    /// The schools to synchronize, as sourcedIds of orgs. Left out, all schools are synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500), inner(length(max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.size() > 0").message("schoolsIds must hold at least one sourcedId; leave it out to synchronize all schools"),
        validation = Rule::new("self.all(id, id.size() > 0 && id == id.trim())").message("schoolsIds must not hold empty ids, nor ids with white space around them")
    )]
    pub schools_ids: Option<Vec<String>>,
    /// The terms to synchronize, as sourcedIds of academic sessions (OneRoster: GET /terms).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.size() > 0").message("termIds must hold at least one sourcedId; leave it out to let School Data Sync choose"),
        validation = Rule::new("self.all(id, id.size() > 0 && id == id.trim())").message("termIds must not hold empty ids, nor ids with white space around them")
    )]
    pub term_ids: Option<Vec<String>>,
    /// What to synchronize of each kind of entry. Left out, everything is synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customizations: Option<Box<Customizations>>,
}

/// How School Data Sync signs in at a OneRoster service.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.oauth1) != has(self.oauth2ClientCredentials)")
    .message("connectionSettings must name exactly one of oauth1 and oauth2ClientCredentials"))]
pub struct OneRosterConnectionSettings {
    /// OAuth 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth1: Option<OAuth1Settings>,
    /// OAuth 2.0 with client credentials.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "oauth2ClientCredentials")]
    pub oauth2_client_credentials: Option<OAuth2Settings>,
}

/// OAuth 1.0 (Graph's educationSynchronizationOAuth1ConnectionSettings).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth1Settings {
    /// Client ID (consumer key).
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()").message("clientId must not be empty, nor begin or end with white space"))]
    pub client_id: String,
    /// The key of a Secret, in the same namespace, that holds the client secret.
    pub client_secret_ref: SecretKeyReference,
}

/// OAuth 2.0 (Graph's educationSynchronizationOAuth2ClientCredentialsConnectionSettings).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2Settings {
    /// Client ID.
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()").message("clientId must not be empty, nor begin or end with white space"))]
    pub client_id: String,
    /// The key of a Secret, in the same namespace, that holds the client secret.
    pub client_secret_ref: SecretKeyReference,
    /// Where the service gives tokens, for example https://oneroster.school.example/oauth/token.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains('@') && (url(self).getPort() == '' || (int(url(self).getPort()) > 0 && int(url(self).getPort()) < 65536))")
        .message("tokenUrl must be an https:// address without user name or password, for example https://oneroster.school.example/oauth/token"))]
    pub token_url: String,
    /// Scopes to ask for, separated by single blanks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("self.matches('^[!#-\\\\[\\\\]-~]+( [!#-\\\\[\\\\]-~]+)*$')")
        .message("scope must be words separated by single blanks (RFC 6749, section 3.3)"))]
    pub scope: Option<String>,
}

/// PowerSchool (Graph's educationPowerSchoolDataProvider).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PowerSchoolDataProvider {
    /// Address of the PowerSchool server, for example https://powerschool.school.example.
    #[schemars(length(max = 1024))]
    #[x_kube(validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains('@') && (url(self).getPort() == '' || (int(url(self).getPort()) > 0 && int(url(self).getPort()) < 65536))")
        .message("connectionUrl must be an https:// address without user name or password, for example https://powerschool.school.example"))]
    pub connection_url: String,
    /// Client ID.
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()").message("clientId must not be empty, nor begin or end with white space"))]
    pub client_id: String,
    /// The key of a Secret, in the same namespace, that holds the client secret.
    pub client_secret_ref: SecretKeyReference,
    /// The schools to synchronize. Left out, all schools are synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500), inner(length(max = 128)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = Rule::new("self.size() > 0").message("schoolsIds must hold at least one school; leave it out to synchronize all schools"),
        validation = Rule::new("self.all(id, id.size() > 0 && id == id.trim())").message("schoolsIds must not hold empty ids, nor ids with white space around them")
    )]
    pub schools_ids: Option<Vec<String>>,
    /// The school year to synchronize, for example "2027".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.size() > 0 && self == self.trim()").message("schoolYear must not be empty, nor begin or end with white space"))]
    pub school_year: Option<String>,
    /// True: one teacher may have several identifiers in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_teachers_in_multiple_schools: Option<bool>,
    /// What to synchronize of each kind of entry. Left out, everything is synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customizations: Option<Box<Customizations>>,
}

impl DataProvider {
    /// The Secret that holds the client secret of the source, where the source needs one.
    #[must_use]
    pub fn client_secret_ref(&self) -> Option<&SecretKeyReference> {
        if let Some(one_roster) = &self.one_roster {
            let settings = &one_roster.connection_settings;
            let oauth1 = settings.oauth1.as_ref().map(|oauth1| &oauth1.client_secret_ref);
            let oauth2 = settings.oauth2_client_credentials.as_ref().map(|oauth2| &oauth2.client_secret_ref);
            return oauth1.or(oauth2);
        }
        self.power_school.as_ref().map(|power_school| &power_school.client_secret_ref)
    }
}
