//! A synchronization profile as the service keeps it: plain data and the one rule of its life, which state it has at
//! which time. No JSON here, neither reading nor writing.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::sync::Sync;

/// Member of `educationUserRole` that this API takes (Graph docs: educationIdentityDomain, educationIdentityMatchingOptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UserRole {
    Student,
    Teacher,
    Faculty,
}

impl UserRole {
    pub(crate) const ALL: [Self; 3] = [Self::Student, Self::Teacher, Self::Faculty];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::Faculty => "faculty",
        }
    }
}

/// Member of `educationSynchronizationProfileState` that a profile can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Set-up is under way.
    Provisioning,
    /// Set-up is done.
    Provisioned,
    /// Set-up failed; it stays so.
    ProvisioningFailed,
    /// A delete was accepted; the profile will vanish.
    Deleting,
    /// The delete was given up; it may be asked for again.
    DeletionFailed,
}

impl State {
    /// The name in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::ProvisioningFailed => "provisioningFailed",
            Self::Deleting => "deleting",
            Self::DeletionFailed => "deletionFailed",
        }
    }
}

/// A value that is kept (in a state file, too), but never answered nor printed. Whether the service returns `clientSecret` is not
/// documented, so nobody may rely on it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// One part of the customizations, after the service has filled it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customization {
    /// `None` means all properties.
    pub(crate) optional_properties: Option<Vec<String>>,
    /// `None` is answered as `0001-01-01T00:00:00Z`.
    pub(crate) start: Option<Timestamp>,
    pub(crate) deferred: bool,
    pub(crate) allow_display_name_update: bool,
}

/// The six parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customizations {
    pub(crate) school: Option<Customization>,
    pub(crate) section: Option<Customization>,
    pub(crate) student: Option<Customization>,
    pub(crate) teacher: Option<Customization>,
    pub(crate) student_enrollment: Option<Customization>,
    pub(crate) teacher_roster: Option<Customization>,
}

/// What the service fills in for a teacher part that was not sent, in this order (answers of
/// `synchronizationProfile_create.md` and of Graph docs: Create educationSynchronizationProfile).
const TEACHER_DEFAULTS: [&str; 7] =
    ["State ID", "Teacher Number", "Status", "Middle Name", "Secondary Email", "Title", "Qualification"];

impl Customizations {
    /// Fills the parts that the documented answers show though nobody sent them. `school`, `section` and `student`
    /// stay absent: no create answer shows them filled.
    pub(crate) fn fill_defaults(&mut self) {
        let filled = |names: &[&str]| Customization {
            optional_properties: Some(names.iter().map(ToString::to_string).collect()),
            ..Customization::default()
        };
        self.teacher.get_or_insert_with(|| filled(&TEACHER_DEFAULTS));
        self.student_enrollment.get_or_insert_with(|| filled(&[]));
        self.teacher_roster.get_or_insert_with(|| filled(&[]));
    }
}

/// How the service signs in at a `OneRoster` service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Connection {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    /// `None` for OAuth 1.0.
    pub(crate) oauth2: Option<OAuth2>,
}

/// What OAuth 2 client credentials need besides the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OAuth2 {
    pub(crate) token_url: String,
    pub(crate) scope: Option<String>,
}

/// Where the roster comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DataProvider {
    Csv {
        customizations: Option<Customizations>,
    },
    OneRoster {
        connection_url: String,
        connection: Connection,
        provider_name: Option<String>,
        schools_ids: Vec<String>,
        term_ids: Vec<String>,
        customizations: Option<Customizations>,
    },
    PowerSchool {
        connection_url: String,
        client_id: String,
        client_secret: Option<Secret>,
        schools_ids: Vec<String>,
        school_year: Option<String>,
        allow_teachers_in_multiple_schools: Option<bool>,
        customizations: Option<Customizations>,
    },
}

/// A domain for new accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Domain {
    pub(crate) applies_to: UserRole,
    pub(crate) name: String,
}

/// How to find an existing account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MatchingOptions {
    pub(crate) applies_to: UserRole,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) target_domain: Option<String>,
}

/// How people of the roster become accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum IdentityConfiguration {
    Creation(Vec<Domain>),
    Matching(Vec<MatchingOptions>),
}

/// Licences for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct License {
    pub(crate) applies_to: Option<UserRole>,
    pub(crate) sku_ids: Vec<String>,
}

/// What a caller may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) display_name: String,
    pub(crate) expiration_date: Option<Date>,
    pub(crate) handle_special_characters: Option<bool>,
    pub(crate) provider: DataProvider,
    pub(crate) identity: IdentityConfiguration,
    pub(crate) licenses: Vec<License>,
}

/// A profile with what the service knows about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: String,
    /// Position in the list; grows with every create, so that paging survives deletes.
    pub(crate) position: u64,
    pub(crate) created: Timestamp,
    /// Decided at the create, so that the outcome does not depend on when somebody looks.
    pub(crate) fails: bool,
    pub(crate) deleting_since: Option<Timestamp>,
    /// The delete under way will end in `deletionFailed`.
    #[serde(default)]
    pub(crate) deletion_fails: bool,
    pub(crate) draft: Draft,
    /// When the last set-up began: at the create, or at the last update.
    pub(crate) set_up_since: Timestamp,
    /// How much longer than usual a set-up takes.
    #[serde(default)]
    pub(crate) extra_set_up: Duration,
    /// Whether an earlier set-up than the last has ended well.
    pub(crate) was_provisioned: bool,
    pub(crate) sync: Sync,
}

impl Profile {
    /// The state at `now`, or `None` when the profile is gone.
    ///
    /// `provisioning`, then `provisioned` or `provisioningFailed`; after a delete `deleting`, then gone (states: Graph
    /// docs, educationSynchronizationProfile; the way from `deleting` to 404 is inferred).
    pub(crate) fn state_at(&self, now: Timestamp, provisioning: Duration, delete: Duration) -> Option<State> {
        if let Some(since) = self.deleting_since {
            return match (has_passed(since, delete, now), self.deletion_fails) {
                (false, _) => Some(State::Deleting),
                (true, false) => None,
                (true, true) => Some(State::DeletionFailed),
            };
        }
        Some(
            match (
                has_passed(self.set_up_since, provisioning.saturating_add(self.extra_set_up), now),
                self.fails,
            ) {
                (false, _) => State::Provisioning,
                (true, false) => State::Provisioned,
                (true, true) => State::ProvisioningFailed,
            },
        )
    }
}

impl Profile {
    /// When the last set-up ends.
    pub(crate) fn set_up_at(&self, provisioning: Duration) -> Timestamp {
        let length = provisioning.saturating_add(self.extra_set_up);
        self.set_up_since.saturating_add(length).unwrap_or(Timestamp::MAX)
    }
}

/// A number between 0 and 1 that an id decides, the same in each run.
pub(crate) fn share_of(id: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let [first, second, ..] = hasher.finish().to_be_bytes();
    f64::from(u16::from_be_bytes([first, second])) / f64::from(u16::MAX)
}

/// Whether `span` has passed since `start`. A span beyond the end of time never passes.
pub(crate) fn has_passed(start: Timestamp, span: Duration, now: Timestamp) -> bool {
    start.checked_add(span).is_ok_and(|end| now >= end)
}
