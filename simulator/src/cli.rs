//! The command line of the program: flags, their help, and their way into [`Settings`]. Nothing is started here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use graph_simulator::{
    CreateStatus, EXAMPLE_CLIENT_ID, EXAMPLE_CLIENT_SECRET, EXAMPLE_PUBLIC_CLIENT_ID, EXAMPLE_REFRESH_TOKEN,
    EXAMPLE_TENANT, ProfileSettings, ServerCertificate, Settings,
};

use crate::cli_platform::{Platform, duration};
use crate::cli_profiles::ProfileFlags;

/// A strict simulator of Microsoft Graph's classic School Data Sync API
/// (education/synchronizationProfiles, retired on 2024-12-31) and of the Entra token endpoint.
///
/// It listens with TLS, under a certificate authority it makes at each start (--state keeps it), and prints
/// one line on standard output once it does: "ready https://ADDRESS:PORT". Logs go to standard error.
/// Graph, the Entra token endpoint and the managed identity endpoint are all at that address; a browser
/// finds a page there that shows profiles, requests and faults. --identity-port serves the managed identity
/// endpoint without TLS besides, and prints a second line: "identity http://ADDRESS:PORT".
#[derive(Parser)]
#[command(version, after_long_help = long_help(), after_help = SHORT)]
pub(crate) struct Cli {
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Where to write the certificate authority that clients must trust (PEM)
    #[arg(long, value_name = "FILE", default_value = "graph-simulator-ca.pem")]
    pub(crate) ca_file: PathBuf,
    /// A further name or IP address for the server certificate, besides localhost, 127.0.0.1 and `::1`; repeatable
    #[arg(long = "san", value_name = "NAME")]
    sans: Vec<String>,
    /// Show this certificate instead of one of its own making (PEM); then no authority is written to --ca-file
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "sans")]
    tls_certificate: Option<PathBuf>,
    /// The private key of --tls-certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,

    /// Id of the tenant
    #[arg(long, value_name = "ID", default_value = EXAMPLE_TENANT)]
    tenant: String,
    /// Id of a further tenant, in which the same clients are registered; repeatable
    #[arg(long = "extra-tenant", value_name = "ID")]
    extra_tenants: Vec<String>,
    /// Client id of the app registration with credentials (client credentials, refresh tokens, device codes)
    #[arg(long, value_name = "ID", default_value = EXAMPLE_CLIENT_ID)]
    client_id: String,
    /// Client id of the app registration without a secret (refresh tokens, device codes)
    #[arg(long, value_name = "ID", default_value = EXAMPLE_PUBLIC_CLIENT_ID)]
    public_client_id: String,
    /// Secret of --client-id
    #[arg(long, value_name = "SECRET", default_value = EXAMPLE_CLIENT_SECRET)]
    client_secret: String,
    /// Refresh token of an administrator who has signed in already
    #[arg(long, value_name = "TOKEN", default_value = EXAMPLE_REFRESH_TOKEN)]
    refresh_token: String,
    /// An application permission consented to; repeatable, replaces the default
    #[arg(long = "app-role", value_name = "ROLE", default_value = "EduAdministration.ReadWrite.All")]
    app_roles: Vec<String>,
    /// A delegated permission consented to; repeatable, replaces the default
    #[arg(long = "delegated-scope", value_name = "SCOPE", default_value = "EduAdministration.ReadWrite")]
    delegated_scopes: Vec<String>,
    /// How long an access token is good for
    #[arg(long, value_name = "DURATION", default_value = "3599s", value_parser = duration)]
    token_lifetime: Duration,

    #[command(flatten)]
    platform: Platform,

    /// How long a new profile stays "provisioning"
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    provisioning_time: Duration,
    /// Up to so much longer it takes, for each profile another time
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    provisioning_spread: Duration,
    /// How long a deleted profile stays "deleting" before it is gone
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    delete_time: Duration,
    /// Profiles created with this display name end in "provisioningFailed"; repeatable
    #[arg(long = "fail-provisioning", value_name = "DISPLAYNAME")]
    fail_provisioning: Vec<String>,
    /// Status of an accepted create: Microsoft's examples say 201, the prose says 202
    #[arg(long, value_enum, default_value = "201")]
    create_status: Status,
    /// Take POST .../$ref with a full profile as a create, as a generated page has it; otherwise 400
    #[arg(long)]
    accept_ref_post: bool,
    /// Take type names without the leading '#' ("microsoft.graph.educationCsvDataProvider"); otherwise 400
    #[arg(long)]
    accept_type_without_hash: bool,
    /// Largest page of a list, and the page size when the caller does not send $top
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    page_size: usize,

    /// Log request bodies too, and keep them for /_simulator/requests; secrets in them are always replaced
    #[arg(long)]
    log_bodies: bool,
    /// Form of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,

    // Groups come last: their heading holds until the next.
    #[command(flatten)]
    profiles: ProfileFlags,
}

/// Form of the log.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Status {
    #[value(name = "201")]
    Created,
    #[value(name = "202")]
    Accepted,
}

/// The end of the short help.
const SHORT: &str = "--help explains each option, has examples with curl, and lists every kind of fault.";

/// The end of the long help.
fn long_help() -> String {
    format!("{EXAMPLES}\n{}", graph_simulator::faults_help())
}

const EXAMPLES: &str = r#"EXAMPLES
  Start it on any free port, with profiles that take a minute to provision:

    graph-simulator --port 0 --ca-file ca.pem --provisioning-time 1m

  Get a delegated token (create, update and delete need one; app-only tokens may only read and run):

    curl --cacert ca.pem https://127.0.0.1:8443/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token \
      -d grant_type=refresh_token -d client_id=33333333-3333-3333-3333-333333333333 \
      -d refresh_token=0.example-refresh-token

  Get an app-only token:

    curl --cacert ca.pem https://127.0.0.1:8443/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token \
      -d grant_type=client_credentials -d client_id=22222222-2222-2222-2222-222222222222 \
      -d client_secret=example-client-secret -d scope=https://graph.microsoft.com/.default

  List profiles:

    curl --cacert ca.pem -H "Authorization: Bearer $TOKEN" \
      https://127.0.0.1:8443/beta/education/synchronizationProfiles

  Upload a file of a CSV profile and verify it (the URL is good for an hour; put the file name before the '?'):

    curl --cacert ca.pem -H "Authorization: Bearer $TOKEN" \
      https://127.0.0.1:8443/beta/education/synchronizationProfiles/$ID/uploadUrl
    curl --cacert ca.pem -T student.csv -H 'x-ms-blob-type: BlockBlob' -H 'x-ms-version: 2021-08-06' \
      "https://127.0.0.1:8443/_blobs/$ID/student.csv?$QUERY"
    curl --cacert ca.pem -H "Authorization: Bearer $TOKEN" -X POST \
      https://127.0.0.1:8443/beta/education/synchronizationProfiles/$ID/start

  Lose the answer of the next create, throttle the third list, let tokens be refused once:

    graph-simulator --fault create:504-after-commit --fault 'list:429,retry-after=2.128,after=2' \
      --fault any:token-revoked

  Set a fault in a running simulator, and see how often it has struck:

    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/faults --json '{"spec": "get:503,times=3"}'
    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/faults

  Let a sync end in errors: three at once, and runs to come in "error":

    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/sync --json '{"id": "'$ID'", "errors": 3, "outcome": "error"}'

  Start a device code, and ask for its token (authorization_pending until it is approved):

    curl --cacert ca.pem https://127.0.0.1:8443/11111111-1111-1111-1111-111111111111/oauth2/v2.0/devicecode \
      -d client_id=33333333-3333-3333-3333-333333333333 -d scope=https://graph.microsoft.com/.default
    curl --cacert ca.pem https://127.0.0.1:8443/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token \
      -d grant_type=urn:ietf:params:oauth:grant-type:device_code -d device_code=$DEVICE_CODE \
      -d client_id=33333333-3333-3333-3333-333333333333

  Approve a device code; let a day pass (--time-control); save the state (--state):

    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/devicecode/CODE --json '{"action": "approve"}'
    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/time --json '{"advance": "24h"}'
    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/state/save --json '{}'

  Try a client with a certificate, one with a workload identity, and one with a managed identity:

    graph-simulator --client-certificate client.pem
    graph-simulator --federated-keys jwks.json --federated-issuer https://oidc.cluster.example/ \
      --federated-subject system:serviceaccount:edusync:edusync
    graph-simulator --identity-port 8081
    curl -H 'Metadata: true' \
      'http://127.0.0.1:8081/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com'

  See what clients have asked, and what is there (no token needed):

    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/requests
    curl --cacert ca.pem https://127.0.0.1:8443/_simulator/profiles

DURATIONS are written like 500ms, 2s, 1m, 1h.

All built-in ids and secrets are examples and protect nothing. Do not put real ones in.
"#;

impl Cli {
    /// The settings, with the certificate that the command line names.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let certificate = match self.tls_certificate.as_ref().zip(self.tls_key.as_ref()) {
            Some((chain, key)) => Some(ServerCertificate { chain: read(chain)?, key: read(key)? }),
            None => None,
        };
        Ok(Settings { certificate, ..Settings::from(self) })
    }
}

impl From<&Cli> for Settings {
    fn from(cli: &Cli) -> Self {
        Self {
            bind: cli.bind,
            port: cli.port,
            sans: cli.sans.clone(),
            tenant: cli.tenant.clone(),
            extra_tenants: cli.extra_tenants.clone(),
            client_id: cli.client_id.clone(),
            public_client_id: cli.public_client_id.clone(),
            client_secret: cli.client_secret.clone(),
            refresh_token: cli.refresh_token.clone(),
            app_roles: cli.app_roles.clone(),
            delegated_scopes: cli.delegated_scopes.clone(),
            token_lifetime: cli.token_lifetime,
            provisioning_time: cli.provisioning_time,
            provisioning_spread: cli.provisioning_spread,
            delete_time: cli.delete_time,
            fail_provisioning: cli.fail_provisioning.clone(),
            create_status: match cli.create_status {
                Status::Created => CreateStatus::Created,
                Status::Accepted => CreateStatus::Accepted,
            },
            accept_ref_post: cli.accept_ref_post,
            accept_type_without_hash: cli.accept_type_without_hash,
            page_size: cli.page_size,
            profiles: ProfileSettings::from(&cli.profiles),
            log_bodies: cli.log_bodies,
            ..cli.platform.settings()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_has_the_defaults_of_the_library() {
        Cli::command().debug_assert();
        let settings = Settings::from(&Cli::parse_from(["graph-simulator"]));
        let defaults = Settings::default();
        assert_eq!(settings.token_lifetime, defaults.token_lifetime);
        assert_eq!(settings.provisioning_time, defaults.provisioning_time);
        assert_eq!(settings.provisioning_spread, defaults.provisioning_spread);
        assert_eq!(settings.delete_time, defaults.delete_time);
        assert_eq!(settings.page_size, defaults.page_size);
        assert_eq!(settings.app_roles, defaults.app_roles);
        assert_eq!(settings.delegated_scopes, defaults.delegated_scopes);
        assert_eq!(settings.create_status, defaults.create_status);
        assert_eq!(format!("{:?}", settings.profiles), format!("{:?}", defaults.profiles));
        assert_eq!(settings.managed_identities, defaults.managed_identities);
        assert_eq!(settings.identity_port, defaults.identity_port);
        assert_eq!(settings.long_token_lifetime, defaults.long_token_lifetime);
        assert_eq!(settings.refresh_token_rotation, defaults.refresh_token_rotation);
        assert_eq!(settings.refresh_token_lifetime, defaults.refresh_token_lifetime);
        assert_eq!(settings.refresh_token_idle, defaults.refresh_token_idle);
        assert_eq!(settings.device_code_lifetime, defaults.device_code_lifetime);
        assert_eq!(settings.device_code_interval, defaults.device_code_interval);
        assert_eq!(settings.device_code_approval, defaults.device_code_approval);
        assert!(!settings.time_control && settings.state.is_none() && settings.faults.is_empty());
    }

    #[test]
    fn the_help_names_every_built_in_identity() {
        let help = Cli::command().render_long_help().to_string();
        let named = [
            EXAMPLE_TENANT,
            EXAMPLE_CLIENT_ID,
            EXAMPLE_PUBLIC_CLIENT_ID,
            EXAMPLE_CLIENT_SECRET,
            EXAMPLE_REFRESH_TOKEN,
        ];
        for name in named {
            assert!(help.contains(name), "{name} is missing in --help");
        }
        assert!(help.contains("STATUS-after-commit") && help.contains("deletion-failed"), "{help}");
    }
}
