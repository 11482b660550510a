//! What a simulator can be told: identities, times, switches. Values only; how they arrive (flags, tests) and what
//! they cause is elsewhere.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::{ClientCertificate, FederatedCredential, ManagedIdentity, RefreshTokenRotation};
use crate::fault::Fault;
use crate::settings_profiles::ProfileSettings;

/// Id of the built-in tenant. An obvious example value.
pub const EXAMPLE_TENANT: &str = "11111111-1111-1111-1111-111111111111";
/// Client id of the built-in app registration that has a secret.
pub const EXAMPLE_CLIENT_ID: &str = "22222222-2222-2222-2222-222222222222";
/// Client id of the built-in app registration without a secret (a "public client").
pub const EXAMPLE_PUBLIC_CLIENT_ID: &str = "33333333-3333-3333-3333-333333333333";
/// Secret of the built-in app registration.
pub const EXAMPLE_CLIENT_SECRET: &str = "example-client-secret";
/// Refresh token of the built-in administrator.
pub const EXAMPLE_REFRESH_TOKEN: &str = "0.example-refresh-token";

/// Status of an accepted create. The prose of the create page says 202, every example on it says 201
/// (Graph docs: Create educationSynchronizationProfile).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreateStatus {
    /// `201 Created`, as in the examples.
    #[default]
    Created,
    /// `202 Accepted`, as in the prose.
    Accepted,
}

/// A certificate that the server shows instead of one of its own making.
#[derive(Clone)]
pub struct ServerCertificate {
    /// The certificate, and those between it and its authority; PEM.
    pub chain: String,
    /// Its private key; PEM.
    pub key: String,
}

/// Everything a simulator can be told. `Settings::default()` is a working simulator with example identities.
///
/// It deliberately has no `Debug`: it holds secrets.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// Address to listen on.
    pub bind: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// A second port, for the managed identity endpoint alone, and without TLS as on a machine in Azure; 0 takes any
    /// free one. `None`: the endpoint is at `port` only.
    pub identity_port: Option<u16>,
    /// Names and addresses the server certificate is valid for, besides `localhost`, `127.0.0.1` and `::1`.
    pub sans: Vec<String>,
    /// What the server shows; `None`: a certificate under an authority of its own.
    pub certificate: Option<ServerCertificate>,
    /// Id of the tenant.
    pub tenant: String,
    /// Further tenants, in which the same clients are registered.
    pub extra_tenants: Vec<String>,
    /// App registration with credentials: client credentials, refresh tokens, device codes.
    pub client_id: String,
    /// App registration without a secret: refresh tokens, device codes.
    pub public_client_id: String,
    /// Secret of `client_id`.
    pub client_secret: String,
    /// Refresh token that an administrator of each tenant has already obtained.
    pub refresh_token: String,
    /// Application permissions (`roles`) consented to; default `EduAdministration.ReadWrite.All`.
    pub app_roles: Vec<String>,
    /// Delegated permissions (`scp`) consented to; default `EduAdministration.ReadWrite`.
    pub delegated_scopes: Vec<String>,
    /// How long an access token is good for; default 3599 s, as in Microsoft's examples.
    pub token_lifetime: Duration,
    /// How long a profile stays `provisioning`. No duration is documented.
    pub provisioning_time: Duration,
    /// Up to so much longer it takes, for each profile another time, which its id decides. Decided: no duration is documented.
    pub provisioning_spread: Duration,
    /// How long a profile stays `deleting`. No duration is documented.
    pub delete_time: Duration,
    /// Profiles created with one of these display names end in `provisioningFailed`.
    pub fail_provisioning: Vec<String>,
    /// Status of an accepted create.
    pub create_status: CreateStatus,
    /// Compatibility: treat `POST …/$ref` with a full profile as a create, instead of answering 400.
    pub accept_ref_post: bool,
    /// Compatibility: take type names without the leading `#` where a type must be named.
    pub accept_type_without_hash: bool,
    /// Largest page of a list, and the page size when the caller names none. No page size is documented.
    pub page_size: usize,
    /// Profiles and syncs.
    pub profiles: ProfileSettings,
    /// Value of `Retry-After` on the 429 and 503 of [`crate::Simulator::set_unavailable`].
    pub retry_after: Duration,
    /// Keep (redacted) request bodies in the request log.
    pub log_bodies: bool,
    /// How many requests the log keeps; the oldest go first.
    pub log_capacity: usize,
    /// Seed for ids and tokens; `None` for fresh randomness.
    pub seed: Option<u64>,

    // The platform: credentials, faults, time, state.
    /// Certificates of `client_id`, to prove itself by a signed assertion instead of the secret.
    pub client_certificates: Vec<ClientCertificate>,
    /// Federated credentials of `client_id` (workload identity).
    pub federated_credentials: Vec<FederatedCredential>,
    /// Identities of the machine, for the managed identity endpoint; the first answers requests that name none.
    pub managed_identities: Vec<ManagedIdentity>,
    /// How long tokens of workload and managed identities are good for; default 86399 s, as in Microsoft's examples.
    pub long_token_lifetime: Duration,
    /// What happens to a refresh token that has been used.
    pub refresh_token_rotation: RefreshTokenRotation,
    /// Refresh tokens end this long after they were issued; `None`: never, as long as they are used.
    pub refresh_token_lifetime: Option<Duration>,
    /// Refresh tokens end when they were not used for this long; default 90 days.
    pub refresh_token_idle: Duration,
    /// How long a device code waits for its approval; default 15 minutes.
    pub device_code_lifetime: Duration,
    /// How long to wait between two polls of a device code; default 5 s.
    pub device_code_interval: Duration,
    /// Device codes are approved by themselves after this long; `None`: somebody must approve them.
    pub device_code_approval: Option<Duration>,
    /// Faults that are set from the start.
    pub faults: Vec<Fault>,
    /// `POST /_simulator/time` moves time.
    pub time_control: bool,
    /// Where a [`crate::Server`] keeps its state over restarts. The file holds tokens and secrets, all in the clear.
    pub state: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            identity_port: None,
            sans: Vec::new(),
            certificate: None,
            tenant: EXAMPLE_TENANT.to_owned(),
            extra_tenants: Vec::new(),
            client_id: EXAMPLE_CLIENT_ID.to_owned(),
            public_client_id: EXAMPLE_PUBLIC_CLIENT_ID.to_owned(),
            client_secret: EXAMPLE_CLIENT_SECRET.to_owned(),
            refresh_token: EXAMPLE_REFRESH_TOKEN.to_owned(),
            app_roles: vec!["EduAdministration.ReadWrite.All".to_owned()],
            delegated_scopes: vec!["EduAdministration.ReadWrite".to_owned()],
            token_lifetime: Duration::from_secs(3599),
            provisioning_time: Duration::from_secs(2),
            provisioning_spread: Duration::ZERO,
            delete_time: Duration::from_secs(2),
            fail_provisioning: Vec::new(),
            create_status: CreateStatus::default(),
            accept_ref_post: false,
            accept_type_without_hash: false,
            page_size: 100,
            profiles: ProfileSettings::default(),
            retry_after: Duration::from_secs(1),
            log_bodies: false,
            log_capacity: 10_000,
            seed: None,
            client_certificates: Vec::new(),
            federated_credentials: Vec::new(),
            managed_identities: vec![ManagedIdentity {
                client_id: EXAMPLE_CLIENT_ID.to_owned(),
                object_id: None,
                resource_id: None,
            }],
            long_token_lifetime: Duration::from_secs(86_399),
            refresh_token_rotation: RefreshTokenRotation::default(),
            refresh_token_lifetime: None,
            refresh_token_idle: Duration::from_hours(90 * 24),
            device_code_lifetime: Duration::from_mins(15),
            device_code_interval: Duration::from_secs(5),
            device_code_approval: None,
            faults: Vec::new(),
            time_control: false,
            state: None,
        }
    }
}
