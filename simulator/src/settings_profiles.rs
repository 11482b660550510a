//! What a simulator can be told about profiles, uploads and syncs: the switches where Microsoft's documents disagree,
//! times, and planted outcomes. Values only, as in `settings`, of which this is one block.

use std::time::Duration;

use crate::model::SyncOutcome;

/// Status of an accepted update. The page of the update says 202 (PUT), the generated stub of July 2021 says 200
/// (PATCH).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateStatus {
    /// 202 with the profile for PUT, 200 with the profile for PATCH.
    #[default]
    Documented,
    /// 200 with the profile for both.
    Ok,
    /// 202 with the profile for both.
    Accepted,
    /// 204 without a body for both.
    NoContent,
}

/// A verb that updates a profile. No document has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateVerb {
    /// `PUT` on the item and on the collection.
    Put,
    /// `PATCH` on the item.
    Patch,
}

/// Status of an accepted delete: 202 in the docs, 204 in the generated stub of July 2021.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeleteStatus {
    /// `202 Accepted`.
    #[default]
    Accepted,
    /// `204 No Content`.
    NoContent,
}

/// What `$expand` does on list and get. Only the SDK has it there; the pages of the documents do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpandRule {
    /// It works.
    #[default]
    Allow,
    /// 400, `invalidQueryOption`.
    Refuse,
    /// It is ignored silently, as some Graph services do with options they do not have.
    Ignore,
}

/// Status of a `start` whose verification found errors: 400 in the prose of the page, 200 in its example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartErrorStatus {
    /// `400 Bad Request`.
    #[default]
    BadRequest,
    /// `200 OK`.
    Ok,
}

/// What `profileStatus` answers before a profile has ever been provisioned. Not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyStatus {
    /// 404.
    #[default]
    NotFound,
    /// 200 with a `status` of null.
    Empty,
}

/// Status of `uploadUrl`: 200 in the prose of the page, 201 in its example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UploadUrlStatus {
    /// `200 OK`.
    #[default]
    Ok,
    /// `201 Created`.
    Created,
}

/// The block "profiles and syncs" of [`crate::Settings`].
#[derive(Clone, Debug)]
pub struct ProfileSettings {
    /// Status of an accepted update.
    pub update_status: UpdateStatus,
    /// Verbs that update; the others are answered 405.
    pub update_verbs: Vec<UpdateVerb>,
    /// Status of an accepted delete.
    pub delete_status: DeleteStatus,
    /// What `$expand` does on list and get.
    pub expand: ExpandRule,
    /// Status of a `start` with error messages.
    pub start_error_status: StartErrorStatus,
    /// What `profileStatus` answers before the first provisioning has ended.
    pub early_status: EarlyStatus,
    /// Status of `uploadUrl`.
    pub upload_url_status: UploadUrlStatus,
    /// Answer `profileStatus` as `{"value": [status]}`, as the generated stub of July 2021 describes it.
    pub wrap_profile_status: bool,
    /// Take names of uploaded files in any case; otherwise only lower case passes the verification.
    pub any_file_name_case: bool,
    /// How long the URL of `uploadUrl` is good for; one hour is documented.
    pub sas_lifetime: Duration,
    /// How long after a `start` the next `uploadUrl` and `start` are answered 409. No duration is documented.
    pub processing_time: Duration,
    /// Rows a CSV file may have; 2,000,000 on the newer page, 500,000 on the older.
    pub max_csv_rows: u64,
    /// How long a sync run takes in all. No duration is documented.
    pub sync_time: Duration,
    /// Display names with the number of errors that each sync run of such a profile finds.
    pub sync_errors: Vec<(String, usize)>,
    /// Display names with the way in which each sync run of such a profile ends.
    pub sync_outcomes: Vec<(String, SyncOutcome)>,
}

impl Default for ProfileSettings {
    fn default() -> Self {
        Self {
            update_status: UpdateStatus::default(),
            update_verbs: vec![UpdateVerb::Put, UpdateVerb::Patch],
            delete_status: DeleteStatus::default(),
            expand: ExpandRule::default(),
            start_error_status: StartErrorStatus::default(),
            early_status: EarlyStatus::default(),
            upload_url_status: UploadUrlStatus::default(),
            wrap_profile_status: false,
            any_file_name_case: false,
            sas_lifetime: Duration::from_hours(1),
            processing_time: Duration::from_secs(1),
            max_csv_rows: 2_000_000,
            sync_time: Duration::from_secs(10),
            sync_errors: Vec::new(),
            sync_outcomes: Vec::new(),
        }
    }
}
