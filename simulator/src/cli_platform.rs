//! The part of the command line about the platform: credentials, faults, time, state. Flags, their help, and their way
//! into [`Settings`]; files that flags name are read here, so that a mistake in one is an error of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use graph_simulator::{
    ClientCertificate, EXAMPLE_CLIENT_ID, Fault, FederatedCredential, IssuerKeys, ManagedIdentity,
    RefreshTokenRotation, Settings,
};

/// Credentials, faults, time, state.
#[derive(Args)]
pub(crate) struct Platform {
    /// A certificate (PEM) with which --client-id may sign assertions instead of sending its secret; repeatable
    #[arg(long = "client-certificate", value_name = "FILE", value_parser = certificate)]
    client_certificates: Vec<ClientCertificate>,
    /// Public keys of an issuer of workload identity tokens: a JSON Web Key Set, or PEM
    #[arg(long, value_name = "FILE", value_parser = issuer_keys, requires_all = ["federated_issuer", "federated_subject"])]
    federated_keys: Option<IssuerKeys>,
    /// Issuer of workload identity tokens ("iss")
    #[arg(long, value_name = "URL", requires = "federated_keys")]
    federated_issuer: Option<String>,
    /// Subject of workload identity tokens ("sub"); its case matters
    #[arg(long, value_name = "SUBJECT", requires = "federated_keys")]
    federated_subject: Option<String>,
    /// Audience of workload identity tokens ("aud")
    #[arg(long, value_name = "AUDIENCE", default_value = "api://AzureADTokenExchange")]
    federated_audience: String,
    /// An identity for /metadata/identity/oauth2/token; the first answers requests that name none; repeatable,
    /// replaces the default
    #[arg(long = "managed-identity", value_name = "CLIENT_ID[,OBJECT_ID[,RESOURCE_ID]]", default_value = EXAMPLE_CLIENT_ID)]
    managed_identities: Vec<ManagedIdentity>,
    /// A second port, for /metadata/identity/oauth2/token alone and without TLS, as on a machine in Azure; 0 takes any
    /// free one. A second line on standard output names it: "identity http://ADDRESS:PORT"
    #[arg(long, value_name = "PORT")]
    identity_port: Option<u16>,
    /// How long tokens of workload and managed identities are good for
    #[arg(long, value_name = "DURATION", default_value = "86399s", value_parser = duration)]
    long_token_lifetime: Duration,
    /// Whether a refresh token stays good once it was used
    #[arg(long, value_enum, default_value = "keep")]
    refresh_token_rotation: Rotation,
    /// Refresh tokens end this long after they were issued; without it, never as long as they are used
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    refresh_token_lifetime: Option<Duration>,
    /// Refresh tokens end when they were not used for this long
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = duration)]
    refresh_token_idle: Duration,
    /// How long a device code waits for its approval
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    device_code_lifetime: Duration,
    /// How long to wait between two polls of a device code
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    device_code_interval: Duration,
    /// Approve device codes by themselves after this long; without it, somebody does it on the page or with curl
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    device_code_approval: Option<Duration>,

    /// Let something go wrong: CALL:KIND[,OPTION=VALUE...], see FAULTS in --help; repeatable
    #[arg(long = "fault", value_name = "SPEC")]
    faults: Vec<Fault>,
    /// Let POST /_simulator/time move time
    #[arg(long)]
    time_control: bool,
    /// Keep profiles, tokens and the certificate authority in this file over restarts; uploaded files are not kept. It
    /// holds secrets and a private key in the clear, readable for its owner only
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rotation {
    /// It stays good, as Microsoft documents it
    Keep,
    /// It is good for one use
    Revoke,
}

impl Platform {
    /// Settings in which only the platform's part is set.
    pub(crate) fn settings(&self) -> Settings {
        let federated = self.federated_keys.clone().map(|keys| FederatedCredential {
            issuer: self.federated_issuer.clone().unwrap_or_default(),
            subject: self.federated_subject.clone().unwrap_or_default(),
            audience: self.federated_audience.clone(),
            keys,
        });
        Settings {
            client_certificates: self.client_certificates.clone(),
            federated_credentials: federated.into_iter().collect(),
            identity_port: self.identity_port,
            managed_identities: self.managed_identities.clone(),
            long_token_lifetime: self.long_token_lifetime,
            refresh_token_rotation: match self.refresh_token_rotation {
                Rotation::Keep => RefreshTokenRotation::Keep,
                Rotation::Revoke => RefreshTokenRotation::Revoke,
            },
            refresh_token_lifetime: self.refresh_token_lifetime,
            refresh_token_idle: self.refresh_token_idle,
            device_code_lifetime: self.device_code_lifetime,
            device_code_interval: self.device_code_interval,
            device_code_approval: self.device_code_approval,
            faults: self.faults.clone(),
            time_control: self.time_control,
            state: self.state.clone(),
            ..Settings::default()
        }
    }
}

/// Reads a duration such as `500ms`, `2s`, `1m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let parsed = parsed.and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "write a duration like 500ms, 2s, 1m or 1h".to_owned())
}

fn certificate(path: &str) -> Result<ClientCertificate, String> {
    ClientCertificate::from_pem(&read(path)?)
}

fn issuer_keys(path: &str) -> Result<IssuerKeys, String> {
    IssuerKeys::from_text(&read(path)?)
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_a_unit_and_are_not_negative() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m"), Ok(Duration::from_mins(1)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("2").is_err());
        assert!(duration("-2s").is_err());
    }
}
