//! The spellings of `@odata.type`, per generation of the API. Only names live here, no properties.

use super::Invalid;

/// Which generation of the API a request came through; it decides the spelling of type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// `/beta`: names with the `education` prefix (Graph docs, beta metadata).
    Beta,
    /// `/testEduApi`: the preview of October 2017, names without that prefix (`synchronizationProfile_create.md`).
    Preview,
}

/// A type of the API, by the name the beta metadata gives it, without namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeName(pub(crate) &'static str);

/// The profile itself.
pub(crate) const PROFILE: TypeName = TypeName("educationSynchronizationProfile");
/// Abstract base of the data providers.
pub(crate) const DATA_PROVIDER: TypeName = TypeName("educationSynchronizationDataProvider");
/// CSV files.
pub(crate) const CSV: TypeName = TypeName("educationCsvDataProvider");
/// `OneRoster` 1.1.
pub(crate) const ONE_ROSTER: TypeName = TypeName("educationOneRosterApiDataProvider");
/// `PowerSchool`.
pub(crate) const POWER_SCHOOL: TypeName = TypeName("educationPowerSchoolDataProvider");
/// Abstract base of the `OneRoster` connection settings.
pub(crate) const CONNECTION: TypeName = TypeName("educationSynchronizationConnectionSettings");
/// OAuth 1.0 for `OneRoster`.
pub(crate) const OAUTH1: TypeName = TypeName("educationSynchronizationOAuth1ConnectionSettings");
/// OAuth 2 client credentials for `OneRoster`.
pub(crate) const OAUTH2: TypeName =
    TypeName("educationSynchronizationOAuth2ClientCredentialsConnectionSettings");
/// Abstract base of the identity configurations.
pub(crate) const IDENTITY: TypeName = TypeName("educationIdentitySynchronizationConfiguration");
/// New accounts are made.
pub(crate) const IDENTITY_CREATION: TypeName = TypeName("educationIdentityCreationConfiguration");
/// Existing accounts are matched.
pub(crate) const IDENTITY_MATCHING: TypeName = TypeName("educationIdentityMatchingConfiguration");
/// One domain of an identity creation.
pub(crate) const DOMAIN: TypeName = TypeName("educationIdentityDomain");
/// One rule of an identity matching.
pub(crate) const MATCHING_OPTIONS: TypeName = TypeName("educationIdentityMatchingOptions");
/// One licence assignment.
pub(crate) const LICENSE: TypeName = TypeName("educationSynchronizationLicenseAssignment");
/// The six parts of a customization.
pub(crate) const CUSTOMIZATIONS: TypeName = TypeName("educationSynchronizationCustomizations");
/// One part of a customization.
pub(crate) const CUSTOMIZATION: TypeName = TypeName("educationSynchronizationCustomization");

impl TypeName {
    /// The name as this generation spells it, with namespace, without `#`.
    pub(crate) fn qualified(self, generation: Generation) -> String {
        let name = match generation {
            Generation::Beta => self.0.to_owned(),
            Generation::Preview => without_prefix(self.0),
        };
        format!("microsoft.graph.{name}")
    }

    /// The name as it stands in `@odata.type`.
    pub(crate) fn annotation(self, generation: Generation) -> String {
        format!("#{}", self.qualified(generation))
    }

    /// Whether `given` (without `#`) names this type. The SDK and the service compare names without regard to case
    /// (Microsoft's sample client sent all-lower-case names in production).
    fn is(self, given: &str, generation: Generation) -> bool {
        self.qualified(generation).eq_ignore_ascii_case(given)
    }
}

fn without_prefix(name: &str) -> String {
    let rest = name.strip_prefix("education").unwrap_or(name);
    let mut letters = rest.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// Picks the concrete type that `given` names, where the declared type is abstract.
///
/// Refusals: service namespace names are answered "Invalid OData type specified" (observed, docs issue 17889); abstract
/// types cannot be instantiated (inferred: OData); a missing `#` is not documented as accepted and thus a switch.
pub(crate) fn resolve<T: Copy>(
    given: &str,
    declared: TypeName,
    choices: &[(TypeName, T)],
    generation: Generation,
    accept_without_hash: bool,
) -> Result<T, Invalid> {
    let bare = given.strip_prefix('#').unwrap_or(given);
    let refuse = |why: &str| Err(Invalid::new(format!("Invalid OData type specified: \"{bare}\"{why}")));
    if declared.is(bare, generation) {
        return refuse(&format!(". The type is abstract; name one of: {}.", names(choices, generation)));
    }
    let Some((_, choice)) = choices.iter().find(|(name, _)| name.is(bare, generation)) else {
        return refuse("");
    };
    if bare.len() == given.len() && !accept_without_hash {
        return refuse(". A type name starts with '#' here.");
    }
    Ok(*choice)
}

/// The choices as a sentence part, for messages.
pub(crate) fn names<T>(choices: &[(TypeName, T)], generation: Generation) -> String {
    let names: Vec<String> = choices.iter().map(|(name, _)| name.annotation(generation)).collect();
    names.join(", ")
}

/// Checks the optional `@odata.type` of a member whose declared type is concrete: it may be absent, may lack the `#`
/// (the generated page "Add synchronizationProfiles" writes it so), but must not name another type.
pub(crate) fn check_declared(given: &str, declared: TypeName, generation: Generation) -> Result<(), Invalid> {
    let bare = given.strip_prefix('#').unwrap_or(given);
    if declared.is(bare, generation) {
        return Ok(());
    }
    Err(Invalid::new(format!(
        "Invalid OData type specified: \"{bare}\". The declared type is {}.",
        declared.qualified(generation)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDERS: [(TypeName, u8); 2] = [(CSV, 1), (ONE_ROSTER, 2)];

    fn pick(given: &str, generation: Generation) -> Result<u8, Invalid> {
        resolve(given, DATA_PROVIDER, &PROVIDERS, generation, false)
    }

    #[test]
    fn each_generation_takes_only_its_own_names_in_any_case() {
        assert_eq!(pick("#microsoft.graph.educationCsvDataProvider", Generation::Beta).ok(), Some(1));
        assert_eq!(
            pick("#microsoft.graph.educationonerosterapidataprovider", Generation::Beta).ok(),
            Some(2)
        );
        assert_eq!(pick("#microsoft.graph.oneRosterApiDataProvider", Generation::Preview).ok(), Some(2));
        assert!(pick("#microsoft.graph.csvDataProvider", Generation::Beta).is_err());
        assert!(pick("#microsoft.graph.educationCsvDataProvider", Generation::Preview).is_err());
    }

    #[test]
    fn a_missing_hash_is_a_switch() {
        let bare = "microsoft.graph.educationCsvDataProvider";
        assert!(pick(bare, Generation::Beta).is_err());
        assert_eq!(resolve(bare, DATA_PROVIDER, &PROVIDERS, Generation::Beta, true).ok(), Some(1));
    }

    #[test]
    fn the_preview_drops_the_prefix() {
        assert_eq!(
            IDENTITY_CREATION.annotation(Generation::Preview),
            "#microsoft.graph.identityCreationConfiguration"
        );
    }
}
