//! A profile as Graph tells it, read tolerantly: any spelling of a type, any unknown member or state.
//!
//! Nothing that could name a person or be a secret is kept.

use serde_json::Value;

use super::name::NameKey;
use super::sync::ProfileStatus;
use crate::api::status::{IdentityKind, ProfileState, ProviderKind};

/// A profile of a tenant, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteProfile {
    /// Graph's id.
    pub id: String,
    /// Name as Graph has it.
    pub display_name: String,
    /// The name in the form in which names are compared.
    pub name: NameKey,
    /// State; a word that edusync does not know is `UnknownFutureValue`.
    pub state: ProfileState,
    /// Kind of the data provider, if it is one that edusync knows.
    pub data_provider: Option<ProviderKind>,
    /// Kind of the identity configuration, if it is one that edusync knows.
    pub identity: Option<IdentityKind>,
    /// What the caller may set, as compact JSON; it is compared with the manifest.
    pub configuration: Box<str>,
    /// Status of the synchronization, where it came with the profile. Only what lasts: not when it was
    /// last active, nor what it says.
    pub sync: Option<ProfileStatus>,
    /// Did the answer have the status at all, be it an empty one?
    pub is_expanded: bool,
}

/// Ids are GUIDs. What is longer than this fits no status, what is a step in a path leads elsewhere, and what means something
/// to a shell must not stand in a command that people copy.
fn is_id(id: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    !id.is_empty() && id.len() <= 128 && id.chars().all(is_fit) && id != "." && id != ".."
}

/// The members that a caller may set (Graph docs, educationSynchronizationProfile).
const SETTABLE: [&str; 6] = [
    "displayName",
    "dataProvider",
    "identitySynchronizationConfiguration",
    "licensesToAssign",
    "handleSpecialCharacterConstraint",
    "expirationDate",
];

impl RemoteProfile {
    /// Reads a profile. None when it has no id: then it is not a profile.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let id = value.get("id")?.as_str().filter(|id| is_id(id))?;
        let display_name = value.get("displayName").and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            id: id.to_owned(),
            display_name: display_name.to_owned(),
            name: NameKey::of(display_name),
            state: state(value.get("state").and_then(Value::as_str)),
            data_provider: kind(value.get("dataProvider")).and_then(|kind| match kind.as_str() {
                "csvdataprovider" => Some(ProviderKind::Csv),
                "onerosterapidataprovider" => Some(ProviderKind::OneRoster),
                "powerschooldataprovider" => Some(ProviderKind::PowerSchool),
                _ => None,
            }),
            identity: kind(value.get("identitySynchronizationConfiguration")).and_then(|kind| {
                match kind.as_str() {
                    "identitycreationconfiguration" => Some(IdentityKind::Creation),
                    "identitymatchingconfiguration" => Some(IdentityKind::Matching),
                    _ => None,
                }
            }),
            configuration: configuration(value),
            sync: value.get("profileStatus").and_then(ProfileStatus::read).map(ProfileStatus::lasting),
            is_expanded: value.get("profileStatus").is_some(),
        })
    }

    /// Last day of the profile; None when it has no end.
    #[must_use]
    pub fn expiration_date(&self) -> Option<String> {
        let configuration: Value = serde_json::from_str(&self.configuration).ok()?;
        let day = configuration.get("expirationDate")?.as_str()?;
        (day.len() <= 32 && !day.starts_with("0001-01-01")).then(|| day.to_owned())
    }

    /// Would a service that expands `profileStatus` show one? Before set-up is done there may be none.
    #[must_use]
    pub fn should_have_status(&self) -> bool {
        self.state == ProfileState::Provisioned
    }
}

fn state(word: Option<&str>) -> ProfileState {
    // The preview of 2017 wrote states in Pascal case.
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "provisioning" => ProfileState::Provisioning,
        "provisioned" => ProfileState::Provisioned,
        "provisioningfailed" => ProfileState::ProvisioningFailed,
        "deleting" => ProfileState::Deleting,
        "deletionfailed" => ProfileState::DeletionFailed,
        _ => ProfileState::UnknownFutureValue,
    }
}

/// The kind that `@odata.type` names, whatever its spelling: without `#`, lower case, the part after
/// the last dot, without the prefix `education`.
#[must_use]
pub fn kind(value: Option<&Value>) -> Option<String> {
    let full = value?.get("@odata.type")?.as_str()?.trim_start_matches('#').to_ascii_lowercase();
    let last = full.rsplit('.').next().unwrap_or_default();
    Some(last.strip_prefix("education").unwrap_or(last).to_owned())
}

fn configuration(value: &Value) -> Box<str> {
    let mut kept = serde_json::Map::new();
    for member in SETTABLE {
        if let Some(value) = value.get(member) {
            kept.insert(member.to_owned(), without_secrets(value));
        }
    }
    Value::Object(kept).to_string().into_boxed_str()
}

/// Whether a GET returns a client secret is documented nowhere; one that comes is dropped here.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(name, _)| !name.to_ascii_lowercase().contains("secret"))
                .map(|(name, value)| (name.clone(), without_secrets(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_secrets).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_of_a_type_is_read() {
        for spelling in [
            "#microsoft.graph.educationCsvDataProvider",
            "microsoft.graph.educationCsvDataProvider",
            "#microsoft.graph.educationcsvdataprovider",
            "#microsoft.graph.csvDataProvider",
            "#Microsoft.Education.DataSync.educationCsvDataProvider",
        ] {
            let profile =
                RemoteProfile::read(&json!({"id": "1", "dataProvider": {"@odata.type": spelling}})).unwrap();
            assert_eq!(profile.data_provider, Some(ProviderKind::Csv), "{spelling}");
        }
    }

    #[test]
    fn an_unknown_state_is_no_error() {
        for (word, state) in [
            (json!("Provisioned"), ProfileState::Provisioned),
            (json!("hibernating"), ProfileState::UnknownFutureValue),
            (json!(7), ProfileState::UnknownFutureValue),
            (json!(null), ProfileState::UnknownFutureValue),
        ] {
            assert_eq!(RemoteProfile::read(&json!({"id": "1", "state": word})).unwrap().state, state);
        }
    }

    #[test]
    fn no_secret_is_kept() {
        let profile = RemoteProfile::read(&json!({
            "id": "1",
            "dataProvider": {"connectionSettings": {"clientId": "c", "clientSecret": "canary"}},
            "profileStatus": {"statusMessage": "canary"}
        }))
        .unwrap();
        assert!(!format!("{profile:?}").contains("canary"));
    }

    #[test]
    fn without_an_id_it_is_not_a_profile() {
        assert_eq!(RemoteProfile::read(&json!({"displayName": "x"})), None);
        assert_eq!(RemoteProfile::read(&json!({"id": ""})), None);
        assert_eq!(RemoteProfile::read(&json!([])), None);
    }
}
