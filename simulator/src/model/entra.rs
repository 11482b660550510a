//! The Entra token endpoint as a model: which request gets which token, and what a token is worth later. No HTTP, no
//! JSON; the Graph side knows tokens only through [`Entra::principal`].

use std::collections::HashMap;

use jiff::Timestamp;

use super::ids::Ids;
use super::permissions::{Principal, PrincipalKind};
use super::profile::has_passed;
use crate::settings::Settings;

/// The Graph base that every cloud client knows.
const PUBLIC_GRAPH: &str = "https://graph.microsoft.com";
/// Scopes that belong to sign-in and name no resource.
const SIGN_IN_SCOPES: [&str; 4] = ["offline_access", "openid", "profile", "email"];

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
    /// The granted scopes, with the base they were asked for; delegated tokens only.
    pub(crate) scope: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

/// A token error. Codes and names: Microsoft Entra authentication and authorization error codes.
pub(crate) struct TokenRefusal {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    /// The number after `AADSTS`; 0 when the sentence is the simulator's own.
    pub(crate) code: u32,
    pub(crate) sentence: String,
}

impl TokenRefusal {
    pub(crate) fn new(status: u16, error: &'static str, code: u32, sentence: impl Into<String>) -> Self {
        Self { status, error, code, sentence: sentence.into() }
    }
}

/// What a bearer token turned out to be, if not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Missing,
    Unknown,
    Expired,
}

struct Access {
    principal: Principal,
    issued: Timestamp,
}

/// All tokens ever issued that may still matter.
#[derive(Default)]
pub(crate) struct Entra {
    access: HashMap<String, Access>,
    /// Refresh token to the tenant it was issued in. Old ones stay valid, as Entra ID keeps them.
    refresh: HashMap<String, String>,
}

impl Entra {
    /// Answers one token request. `authority` is the host and port the request came to: the simulator's own Graph
    /// base is as good an audience as the public one. `tenant` must be a known tenant's key.
    pub(crate) fn token(
        &mut self,
        settings: &Settings,
        ids: &mut Ids,
        tenant: &str,
        form: &Form,
        authority: &str,
        now: Timestamp,
    ) -> Result<Issued, TokenRefusal> {
        let grant = form.require("grant_type")?;
        let bases = Bases::new(authority);
        match grant {
            "client_credentials" => {
                check_app(settings, form, tenant)?;
                bases.check_default(form.require("scope")?)?;
                Ok(self.issue(settings, ids, PrincipalKind::App, tenant, settings.app_roles.clone(), now))
            }
            "refresh_token" => {
                check_refreshing_client(settings, form, tenant)?;
                self.check_refresh_token(settings, form.require("refresh_token")?, tenant)?;
                let (scopes, shown) = bases.granted(form.get("scope"), &settings.delegated_scopes)?;
                let mut issued = self.issue(settings, ids, PrincipalKind::Delegated, tenant, scopes, now);
                let next = ids.token("0.sim-refresh");
                self.refresh.insert(next.clone(), tenant.to_owned());
                issued.scope = Some(shown);
                issued.refresh_token = Some(next);
                Ok(issued)
            }
            _ => Err(TokenRefusal::new(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type. Supported here: 'client_credentials', 'refresh_token'.",
            )),
        }
    }

    fn issue(
        &mut self,
        settings: &Settings,
        ids: &mut Ids,
        kind: PrincipalKind,
        tenant: &str,
        grants: Vec<String>,
        now: Timestamp,
    ) -> Issued {
        // Expired tokens are kept for one more lifetime, so that they are refused as expired and not as unknown.
        self.access.retain(|_, access| !has_passed(access.issued, settings.token_lifetime * 2, now));
        let access_token = ids.token("sim-access");
        let principal = Principal { kind, tenant: tenant.to_owned(), grants };
        self.access.insert(access_token.clone(), Access { principal, issued: now });
        let expires_in = settings.token_lifetime.as_secs();
        Issued { kind, access_token, expires_in, scope: None, refresh_token: None }
    }

    fn check_refresh_token(
        &self,
        settings: &Settings,
        token: &str,
        tenant: &str,
    ) -> Result<(), TokenRefusal> {
        let known =
            token == settings.refresh_token || self.refresh.get(token).is_some_and(|home| home == tenant);
        if known {
            return Ok(());
        }
        let sentence =
            "The provided grant is invalid: the refresh token is malformed, revoked or of another tenant.";
        Err(TokenRefusal::new(400, "invalid_grant", 70_000, sentence))
    }

    /// Whom a bearer token speaks for.
    pub(crate) fn principal(
        &self,
        settings: &Settings,
        bearer: Option<&str>,
        now: Timestamp,
    ) -> Result<Principal, BadToken> {
        let access = self.access.get(bearer.ok_or(BadToken::Missing)?).ok_or(BadToken::Unknown)?;
        if has_passed(access.issued, settings.token_lifetime, now) {
            return Err(BadToken::Expired);
        }
        Ok(access.principal.clone())
    }
}

/// Client credentials: the client must be the confidential one and prove it.
fn check_app(settings: &Settings, form: &Form, tenant: &str) -> Result<(), TokenRefusal> {
    let client = form.require("client_id")?;
    if client == settings.public_client_id {
        let sentence = "A public client has no credentials and cannot use the client credentials grant.";
        return Err(TokenRefusal::new(400, "unauthorized_client", 700_025, sentence));
    }
    if client != settings.client_id {
        return Err(unknown_client(client, tenant));
    }
    if form.get("client_assertion").is_some() {
        let sentence =
            "This version of the simulator does not check client assertions. Send client_secret instead.";
        return Err(TokenRefusal::new(501, "invalid_request", 0, sentence));
    }
    match form.get("client_secret") {
        None => Err(TokenRefusal::new(
            401,
            "invalid_client",
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )),
        Some(secret) => check_secret(settings, secret),
    }
}

/// Refresh token: either client; a secret is optional but must be right when it is there.
fn check_refreshing_client(settings: &Settings, form: &Form, tenant: &str) -> Result<(), TokenRefusal> {
    let client = form.require("client_id")?;
    let secret = form.get("client_secret");
    if client == settings.public_client_id {
        return match secret {
            None => Ok(()),
            Some(_) => Err(TokenRefusal::new(
                401,
                "invalid_client",
                700_025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            )),
        };
    }
    if client != settings.client_id {
        return Err(unknown_client(client, tenant));
    }
    secret.map_or(Ok(()), |secret| check_secret(settings, secret))
}

fn check_secret(settings: &Settings, secret: &str) -> Result<(), TokenRefusal> {
    if secret == settings.client_secret {
        return Ok(());
    }
    Err(TokenRefusal::new(401, "invalid_client", 7_000_215, "Invalid client secret provided."))
}

fn unknown_client(client: &str, tenant: &str) -> TokenRefusal {
    // A client id that is not a GUID may be a secret in the wrong field; it is not repeated.
    let shown = if uuid::Uuid::try_parse(client).is_ok() { client } else { "(not a GUID)" };
    let sentence =
        format!("Application with identifier '{shown}' was not found in the directory '{tenant}'.");
    TokenRefusal::new(400, "unauthorized_client", 700_016, sentence)
}

/// The Graph bases a scope may start with.
struct Bases([String; 2]);

impl Bases {
    fn new(authority: &str) -> Self {
        Self([PUBLIC_GRAPH.to_owned(), format!("https://{authority}")])
    }

    /// Splits `{base}/{permission}`. A scope without any base means Microsoft Graph (Microsoft identity platform:
    /// scopes and permissions).
    fn split<'a>(&self, scope: &'a str) -> Option<(&str, &'a str)> {
        let with_base = self.0.iter().find_map(|base| {
            let permission = scope.strip_prefix(base.as_str())?.strip_prefix('/')?;
            Some((base.as_str(), permission))
        });
        with_base.or_else(|| (!scope.contains('/')).then_some((PUBLIC_GRAPH, scope)))
    }

    /// The only scope of client credentials is `{base}/.default` (Microsoft identity platform: client credentials flow).
    fn check_default(&self, scope: &str) -> Result<(), TokenRefusal> {
        match self.split(scope) {
            Some((_, ".default")) => Ok(()),
            _ => {
                Err(invalid_scope("Client credentials need the scope https://graph.microsoft.com/.default."))
            }
        }
    }

    /// The permissions a refresh asks for, and how the answer shows them. No scope and `.default` mean all consented
    /// ones.
    fn granted(
        &self,
        scope: Option<&str>,
        consented: &[String],
    ) -> Result<(Vec<String>, String), TokenRefusal> {
        let mut base = PUBLIC_GRAPH;
        let mut asked = Vec::new();
        for part in scope.unwrap_or("").split_ascii_whitespace().filter(|part| !SIGN_IN_SCOPES.contains(part))
        {
            let (found, permission) = self
                .split(part)
                .ok_or_else(|| invalid_scope("A scope names a resource other than Microsoft Graph."))?;
            base = found;
            if permission != ".default" && !consented.iter().any(|known| known == permission) {
                return Err(TokenRefusal::new(
                    400,
                    "invalid_grant",
                    65_001,
                    "The user or administrator has not consented to use the application with one of the scopes asked for.",
                ));
            }
            asked.push(permission.to_owned());
        }
        let all = asked.is_empty() || asked.iter().any(|permission| permission == ".default");
        let granted = if all { consented.to_vec() } else { asked };
        let shown: Vec<String> = granted.iter().map(|permission| format!("{base}/{permission}")).collect();
        Ok((granted, shown.join(" ")))
    }
}

fn invalid_scope(why: &str) -> TokenRefusal {
    let sentence = format!("The provided value for the input parameter 'scope' is not valid. {why}");
    TokenRefusal::new(400, "invalid_scope", 70_011, sentence)
}
