//! Entra as a model: which request gets which token, and what a token is worth later. No HTTP, no JSON; the Graph
//! side knows tokens only through [`Entra::principal`]. One file a grant; who the client is, is in `client`.

mod assertion;
mod client;
mod codes;
mod device;
mod federation;
mod identity;
mod refresh;
mod scopes;

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::Ids;
use super::permissions::{Principal, PrincipalKind};
use super::profile::has_passed;
use crate::settings::Settings;
use client::Proof;
pub(crate) use device::{DeviceStart, PendingDevice};
pub(crate) use identity::{IdentityQuery, IdentityRefusal};
use scopes::Bases;

/// The fields of a token request.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// A field, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        field.map(|(_, value)| value.as_str())
    }

    fn require(&self, name: &str) -> Result<&str, TokenRefusal> {
        self.get(name).ok_or_else(|| {
            let sentence = format!("The request body must contain the following parameter: '{name}'.");
            TokenRefusal::new(400, "invalid_request", 900_144, sentence)
        })
    }
}

/// A token response.
pub(crate) struct Issued {
    pub(crate) kind: PrincipalKind,
    pub(crate) access_token: String,
    pub(crate) expires_in: u64,
    /// When a client may ask for the next token already; for tokens that live long.
    pub(crate) refresh_in: Option<u64>,
    /// The granted scopes, with the base they were asked for; delegated tokens only.
    pub(crate) scope: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// A token error. Codes and names: Microsoft Entra authentication and authorization error codes.
pub(crate) struct TokenRefusal {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    /// The number after `AADSTS`; 0 when the documents give none.
    pub(crate) code: u32,
    pub(crate) sentence: String,
}

impl TokenRefusal {
    pub(crate) fn new(status: u16, error: &'static str, code: u32, sentence: impl Into<String>) -> Self {
        Self { status, error, code, sentence: sentence.into() }
    }
}

/// What a bearer token turned out to be, if not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum BadToken {
    Missing,
    Unknown,
    Expired,
    /// Continuous access evaluation: taken back before its end.
    Revoked,
}

/// One request for a token, and the world it is made in.
pub(crate) struct Asked<'a> {
    pub(crate) settings: &'a Settings,
    /// Key of a known tenant.
    pub(crate) tenant: &'a str,
    pub(crate) form: &'a Form,
    /// Host and port the request came to: the simulator's own addresses are as good as the public ones.
    pub(crate) authority: &'a str,
    pub(crate) now: Timestamp,
}

#[derive(Clone, Serialize, Deserialize)]
struct Access {
    principal: Principal,
    issued: Timestamp,
    lifetime: Duration,
    /// Why it is no good although its time has not come.
    #[serde(default)]
    ended: Option<BadToken>,
}

/// All tokens ever issued that may still matter.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entra {
    access: HashMap<String, Access>,
    refresh: HashMap<String, refresh::Refresh>,
    devices: Vec<device::Device>,
}

impl Entra {
    /// Answers one token request.
    pub(crate) fn token(&mut self, ids: &mut Ids, asked: &Asked<'_>) -> Result<Issued, TokenRefusal> {
        match asked.form.require("grant_type")? {
            "client_credentials" => {
                let proof = client::prove(asked)?;
                Bases::new(asked.authority).check_default(asked.form.require("scope")?)?;
                let lifetime = match proof {
                    Proof::Federated => asked.settings.long_token_lifetime,
                    Proof::Secret | Proof::Certificate => asked.settings.token_lifetime,
                };
                Ok(self.issue_app(ids, asked, lifetime))
            }
            "refresh_token" => self.refresh(ids, asked),
            device::GRANT => self.redeem_device(ids, asked),
            _ => Err(TokenRefusal::new(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type. Supported here: 'client_credentials', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'.",
            )),
        }
    }

    fn issue_app(&mut self, ids: &mut Ids, asked: &Asked<'_>, lifetime: Duration) -> Issued {
        let roles = asked.settings.app_roles.clone();
        self.issue(ids, PrincipalKind::App, asked.tenant, roles, lifetime, asked.now)
    }

    fn issue(
        &mut self,
        ids: &mut Ids,
        kind: PrincipalKind,
        tenant: &str,
        grants: Vec<String>,
        lifetime: Duration,
        now: Timestamp,
    ) -> Issued {
        // Expired tokens are kept for one more lifetime, so that they are refused as expired and not as unknown.
        self.access.retain(|_, access| !has_passed(access.issued, access.lifetime.saturating_mul(2), now));
        let access_token = ids.token("sim-access");
        let principal = Principal { kind, tenant: tenant.to_owned(), grants };
        self.access.insert(access_token.clone(), Access { principal, issued: now, lifetime, ended: None });
        let expires_in = lifetime.as_secs();
        // Half the life, for tokens of more than two hours (observed in Microsoft's examples).
        let refresh_in = (expires_in > 7200).then_some(expires_in / 2);
        Issued { kind, access_token, expires_in, refresh_in, scope: None, refresh_token: None }
    }

    /// Whom a bearer token speaks for.
    pub(crate) fn principal(&self, bearer: Option<&str>, now: Timestamp) -> Result<Principal, BadToken> {
        let access = self.access.get(bearer.ok_or(BadToken::Missing)?).ok_or(BadToken::Unknown)?;
        if let Some(why) = access.ended {
            return Err(why);
        }
        if has_passed(access.issued, access.lifetime, now) {
            return Err(BadToken::Expired);
        }
        Ok(access.principal.clone())
    }

    /// Ends access tokens before their time: one, or all. Answers how many.
    pub(crate) fn end(&mut self, token: Option<&str>, why: BadToken) -> usize {
        let chosen =
            self.access.iter_mut().filter(|(text, _)| token.is_none_or(|token| token == text.as_str()));
        chosen.map(|(_, access)| access.ended = Some(why)).count()
    }
}
