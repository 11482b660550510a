//! Refresh tokens: delegated access that goes on without a person (Microsoft identity platform: refresh tokens).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::scopes::Bases;
use super::{Asked, Entra, Issued, PrincipalKind, TokenRefusal, client};
use crate::credentials::RefreshTokenRotation;
use crate::model::ids::Ids;
use crate::model::profile::has_passed;
use crate::settings::Settings;

/// What is known of a refresh token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Refresh {
    tenant: String,
    issued: Timestamp,
    /// When it was used last; at first, when it was issued.
    used: Timestamp,
    #[serde(default)]
    revoked: bool,
}

impl Entra {
    /// The grant `refresh_token`.
    pub(super) fn refresh(&mut self, ids: &mut Ids, asked: &Asked<'_>) -> Result<Issued, TokenRefusal> {
        client::prove_if_presented(asked)?;
        let token = asked.form.require("refresh_token")?;
        self.check_refresh_token(token, asked)?;
        let bases = Bases::new(asked.authority);
        let (scopes, shown) = bases.granted(asked.form.get("scope"), &asked.settings.delegated_scopes)?;
        if let Some(refresh) = self.refresh.get_mut(&key(asked.settings, token, asked.tenant)) {
            refresh.used = asked.now;
            refresh.revoked = asked.settings.refresh_token_rotation == RefreshTokenRotation::Revoke;
        }
        Ok(self.issue_delegated(ids, asked, scopes, shown))
    }

    /// An access token for a person, with the refresh token that follows.
    pub(super) fn issue_delegated(
        &mut self,
        ids: &mut Ids,
        asked: &Asked<'_>,
        scopes: Vec<String>,
        shown: String,
    ) -> Issued {
        let lifetime = asked.settings.token_lifetime;
        let mut issued = self.issue(ids, PrincipalKind::Delegated, asked.tenant, scopes, lifetime, asked.now);
        let next = ids.token("0.sim-refresh");
        self.refresh.insert(next.clone(), Refresh::new(asked.tenant, asked.now));
        issued.scope = Some(shown);
        issued.refresh_token = Some(next);
        issued
    }

    fn check_refresh_token(&mut self, token: &str, asked: &Asked<'_>) -> Result<(), TokenRefusal> {
        let Asked { settings, tenant, now, .. } = *asked;
        if token == settings.refresh_token {
            // Nobody knows when it was obtained: its life begins when it is used first.
            let key = key(settings, token, tenant);
            self.refresh.entry(key).or_insert_with(|| Refresh::new(tenant, now));
        }
        let known = self.refresh.get(&key(settings, token, tenant));
        let Some(refresh) = known.filter(|refresh| refresh.tenant == tenant && !refresh.revoked) else {
            let sentence = "The provided grant is invalid: the refresh token is malformed, revoked or of another tenant.";
            return Err(TokenRefusal::new(400, "invalid_grant", 70_000, sentence));
        };
        if settings.refresh_token_lifetime.is_some_and(|limit| has_passed(refresh.issued, limit, now)) {
            let sentence = "The provided authorization code or refresh token has expired. Send a new interactive authorization request.";
            return Err(TokenRefusal::new(400, "invalid_grant", 70_008, sentence));
        }
        if has_passed(refresh.used, settings.refresh_token_idle, now) {
            let sentence = format!(
                "The refresh token has expired due to inactivity. The token was issued on {} and was inactive for {:#}.",
                refresh.issued,
                jiff::SignedDuration::try_from(settings.refresh_token_idle).unwrap_or_default()
            );
            return Err(TokenRefusal::new(400, "invalid_grant", 700_082, sentence));
        }
        Ok(())
    }
}

impl Refresh {
    pub(super) fn new(tenant: &str, now: Timestamp) -> Self {
        Self { tenant: tenant.to_owned(), issued: now, used: now, revoked: false }
    }
}

/// Where a token is kept. The built-in one is one token in each tenant, and is not written down itself; its digest
/// tells it from the built-in one of another command line.
fn key(settings: &Settings, token: &str, tenant: &str) -> String {
    if token == settings.refresh_token {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        format!("(built-in {}) {tenant}", URL_SAFE_NO_PAD.encode(digest.as_ref()))
    } else {
        token.to_owned()
    }
}
