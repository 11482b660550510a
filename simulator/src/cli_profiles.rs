//! The flags about profiles, uploads and syncs, and their way into [`ProfileSettings`]. One block of `cli`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use graph_simulator::{
    DeleteStatus, EarlyStatus, ExpandRule, ProfileSettings, StartErrorStatus, SyncOutcome, UpdateStatus,
    UpdateVerb, UploadUrlStatus,
};

use crate::cli::duration;

/// Profiles, uploads and syncs. Most of these are switches where Microsoft's documents disagree.
#[derive(Args)]
#[command(next_help_heading = "Profiles and syncs")]
pub(crate) struct ProfileFlags {
    /// Status of an accepted update. The update page says 202 (PUT), the generated stub of July 2021 200 (PATCH):
    /// that is "documented"
    #[arg(long, value_enum, default_value = "documented")]
    update_status: Update,
    /// Verbs that update a profile; others are answered 405. The pages have PUT, the stub and the SDK PATCH
    #[arg(long, value_enum, value_name = "VERBS", value_delimiter = ',', default_value = "put,patch")]
    update_verbs: Vec<Verb>,
    /// Status of an accepted delete: 202 on the delete page, 204 in the generated stub of July 2021
    #[arg(long, value_enum, default_value = "202")]
    delete_status: Delete,
    /// What $expand does on list and get: only the SDK has it
    #[arg(long, value_enum, default_value = "allow")]
    expand: Expand,
    /// Status of a start whose files have errors: 400 in the prose of the start page, 200 in its example
    #[arg(long, value_enum, default_value = "400")]
    start_error_status: StartError,
    /// Status of profileStatus before a profile was ever provisioned; 200 answers a status of null. Not documented
    #[arg(long, value_enum, default_value = "404")]
    early_status: Early,
    /// Status of uploadUrl: 200 in the prose of its page, 201 in its example
    #[arg(long, value_enum, default_value = "200")]
    upload_url_status: UploadUrl,
    /// Answer profileStatus as {"value": [...]}, as the generated stub of July 2021 describes it
    #[arg(long)]
    wrap_profile_status: bool,
    /// Take names of uploaded files in any case. The start page has lower case only, the sample files are mixed
    #[arg(long)]
    any_file_name_case: bool,
    /// How long the URL of uploadUrl is good for; the uploadUrl page says one hour
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    sas_lifetime: Duration,
    /// How long after a start the next uploadUrl and start are answered 409 (documented without a duration)
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    processing_time: Duration,
    /// Rows a CSV file may have: 2,000,000 on the newer limits page, 500,000 on the older
    #[arg(long, value_name = "COUNT", default_value_t = 2_000_000)]
    max_csv_rows: u64,
    /// How long a sync run takes: a tenth extracts, a tenth validates, the rest is in progress
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    sync_time: Duration,
    /// Sync runs of profiles with this display name find so many errors; repeatable. They end in "error", unless
    /// --sync-outcome says otherwise, and in "quarantined" from 15000 on
    #[arg(long = "sync-error", value_name = "DISPLAYNAME=COUNT", value_parser = planted_errors)]
    sync_errors: Vec<(String, usize)>,
    /// Sync runs of profiles with this display name end so (success, error, validationError, quarantined); repeatable
    #[arg(long = "sync-outcome", value_name = "DISPLAYNAME=OUTCOME", value_parser = outcome)]
    sync_outcomes: Vec<(String, SyncOutcome)>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Update {
    Documented,
    #[value(name = "200")]
    Ok,
    #[value(name = "202")]
    Accepted,
    #[value(name = "204")]
    NoContent,
}

#[derive(Clone, Copy, ValueEnum)]
enum Verb {
    Put,
    Patch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Delete {
    #[value(name = "202")]
    Accepted,
    #[value(name = "204")]
    NoContent,
}

#[derive(Clone, Copy, ValueEnum)]
enum Expand {
    Allow,
    Refuse,
    Ignore,
}

#[derive(Clone, Copy, ValueEnum)]
enum StartError {
    #[value(name = "400")]
    BadRequest,
    #[value(name = "200")]
    Ok,
}

#[derive(Clone, Copy, ValueEnum)]
enum Early {
    #[value(name = "404")]
    NotFound,
    #[value(name = "200")]
    Empty,
}

#[derive(Clone, Copy, ValueEnum)]
enum UploadUrl {
    #[value(name = "200")]
    Ok,
    #[value(name = "201")]
    Created,
}

/// Splits at the last `=`: a display name may hold one.
fn named(text: &str) -> Result<(&str, &str), String> {
    let parts = text.rsplit_once('=').filter(|(name, _)| !name.is_empty());
    parts.ok_or_else(|| "write a display name, '=', and a value".to_owned())
}

fn planted_errors(text: &str) -> Result<(String, usize), String> {
    let (name, count) = named(text)?;
    let count = count.parse().map_err(|_| "write a whole number after '='".to_owned())?;
    Ok((name.to_owned(), count))
}

fn outcome(text: &str) -> Result<(String, SyncOutcome), String> {
    let (name, outcome) = named(text)?;
    let found = SyncOutcome::ALL.into_iter().find(|one| one.name() == outcome);
    let found =
        found.ok_or_else(|| "after '=' write success, error, validationError or quarantined".to_owned())?;
    Ok((name.to_owned(), found))
}

impl From<&ProfileFlags> for ProfileSettings {
    fn from(flags: &ProfileFlags) -> Self {
        let verb = |verb: &Verb| match verb {
            Verb::Put => UpdateVerb::Put,
            Verb::Patch => UpdateVerb::Patch,
        };
        Self {
            update_status: match flags.update_status {
                Update::Documented => UpdateStatus::Documented,
                Update::Ok => UpdateStatus::Ok,
                Update::Accepted => UpdateStatus::Accepted,
                Update::NoContent => UpdateStatus::NoContent,
            },
            update_verbs: flags.update_verbs.iter().map(verb).collect(),
            delete_status: match flags.delete_status {
                Delete::Accepted => DeleteStatus::Accepted,
                Delete::NoContent => DeleteStatus::NoContent,
            },
            expand: match flags.expand {
                Expand::Allow => ExpandRule::Allow,
                Expand::Refuse => ExpandRule::Refuse,
                Expand::Ignore => ExpandRule::Ignore,
            },
            start_error_status: match flags.start_error_status {
                StartError::BadRequest => StartErrorStatus::BadRequest,
                StartError::Ok => StartErrorStatus::Ok,
            },
            early_status: match flags.early_status {
                Early::NotFound => EarlyStatus::NotFound,
                Early::Empty => EarlyStatus::Empty,
            },
            upload_url_status: match flags.upload_url_status {
                UploadUrl::Ok => UploadUrlStatus::Ok,
                UploadUrl::Created => UploadUrlStatus::Created,
            },
            wrap_profile_status: flags.wrap_profile_status,
            any_file_name_case: flags.any_file_name_case,
            sas_lifetime: flags.sas_lifetime,
            processing_time: flags.processing_time,
            max_csv_rows: flags.max_csv_rows,
            sync_time: flags.sync_time,
            sync_errors: flags.sync_errors.clone(),
            sync_outcomes: flags.sync_outcomes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_flag_reaches_the_settings() {
        let line = "graph-simulator --update-status 204 --update-verbs patch --delete-status 204 --expand ignore \
            --start-error-status 200 --early-status 200 --upload-url-status 201 --wrap-profile-status \
            --any-file-name-case --sas-lifetime 5m --processing-time 0s --max-csv-rows 500000 --sync-time 1m \
            --sync-error P=3 --sync-outcome P=success";
        let settings = graph_simulator::Settings::from(&Cli::parse_from(line.split_ascii_whitespace()));
        let expected = ProfileSettings {
            update_status: UpdateStatus::NoContent,
            update_verbs: vec![UpdateVerb::Patch],
            delete_status: DeleteStatus::NoContent,
            expand: ExpandRule::Ignore,
            start_error_status: StartErrorStatus::Ok,
            early_status: EarlyStatus::Empty,
            upload_url_status: UploadUrlStatus::Created,
            wrap_profile_status: true,
            any_file_name_case: true,
            sas_lifetime: Duration::from_mins(5),
            processing_time: Duration::ZERO,
            max_csv_rows: 500_000,
            sync_time: Duration::from_mins(1),
            sync_errors: vec![("P".to_owned(), 3)],
            sync_outcomes: vec![("P".to_owned(), SyncOutcome::Success)],
        };
        assert_eq!(format!("{:?}", settings.profiles), format!("{expected:?}"));
    }

    #[test]
    fn planted_outcomes_name_a_profile_and_a_value() {
        assert_eq!(planted_errors("A = B=3"), Ok(("A = B".to_owned(), 3)));
        let expected = ("P".to_owned(), SyncOutcome::ValidationError);
        assert_eq!(outcome("P=validationError"), Ok(expected));
        assert!(
            planted_errors("=3").is_err() && planted_errors("P=x").is_err() && outcome("P=paused").is_err()
        );
    }
}
