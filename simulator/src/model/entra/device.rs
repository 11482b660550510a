//! The device code flow: a person approves elsewhere what a program has asked for (Microsoft identity platform: device
//! authorization grant).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::scopes::Bases;
use super::{Asked, Entra, Issued, TokenRefusal, client};
use crate::model::ids::Ids;
use crate::model::profile::has_passed;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What a person has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Verdict {
    Pending,
    Approved,
    Declined,
}

/// One device code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Device {
    code: String,
    user_code: String,
    tenant: String,
    client: String,
    scopes: Vec<String>,
    shown: String,
    started: Timestamp,
    polled: Option<Timestamp>,
    verdict: Verdict,
}

/// The answer to the start of the flow.
pub(crate) struct DeviceStart {
    pub(crate) device_code: String,
    pub(crate) user_code: String,
    pub(crate) expires_in: u64,
    pub(crate) interval: u64,
}

/// A device code somebody may approve.
pub(crate) struct PendingDevice {
    pub(crate) user_code: String,
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) scope: String,
}

impl Entra {
    /// `POST /{tenant}/oauth2/v2.0/devicecode`.
    pub(crate) fn start_device(
        &mut self,
        ids: &mut Ids,
        asked: &Asked<'_>,
    ) -> Result<DeviceStart, TokenRefusal> {
        client::prove_or_public(asked)?;
        let scope = asked.form.require("scope")?;
        let (scopes, shown) =
            Bases::new(asked.authority).granted(Some(scope), &asked.settings.delegated_scopes)?;
        let device_code = ids.token("sim-device");
        let user_code = ids.user_code();
        self.devices.retain(|device| {
            !has_passed(device.started, asked.settings.device_code_lifetime.saturating_mul(2), asked.now)
        });
        self.devices.push(Device {
            code: device_code.clone(),
            user_code: user_code.clone(),
            tenant: asked.tenant.to_owned(),
            client: asked.form.require("client_id")?.to_owned(),
            scopes,
            shown,
            started: asked.now,
            polled: None,
            verdict: Verdict::Pending,
        });
        Ok(DeviceStart {
            device_code,
            user_code,
            expires_in: asked.settings.device_code_lifetime.as_secs(),
            interval: asked.settings.device_code_interval.as_secs(),
        })
    }

    /// The grant `device_code`: one poll.
    pub(super) fn redeem_device(&mut self, ids: &mut Ids, asked: &Asked<'_>) -> Result<Issued, TokenRefusal> {
        client::prove_or_public(asked)?;
        let (client, code) = (asked.form.require("client_id")?, asked.form.require("device_code")?);
        let found = self
            .devices
            .iter_mut()
            .find(|device| device.code == code && device.tenant == asked.tenant && device.client == client);
        let Some(device) = found else {
            let sentence = "The provided value for the input parameter 'device_code' is not valid.";
            return Err(TokenRefusal::new(400, "bad_verification_code", 70_018, sentence));
        };
        let before = device.polled.replace(asked.now);
        let settings = asked.settings;
        if has_passed(device.started, settings.device_code_lifetime, asked.now) {
            let sentence = "The device code has expired. Start again.";
            return Err(TokenRefusal::new(400, "expired_token", 70_019, sentence));
        }
        let approved_by_itself =
            settings.device_code_approval.is_some_and(|after| has_passed(device.started, after, asked.now));
        match device.verdict {
            Verdict::Declined => {
                let sentence = "The end user denied the authorization request.";
                Err(TokenRefusal::new(400, "authorization_declined", 0, sentence))
            }
            Verdict::Pending if !approved_by_itself => {
                let early = before
                    .is_some_and(|before| !has_passed(before, settings.device_code_interval, asked.now));
                Err(if early { too_fast() } else { pending() })
            }
            Verdict::Pending | Verdict::Approved => {
                let (scopes, shown) = (device.scopes.clone(), device.shown.clone());
                // A code is good for one token.
                self.devices.retain(|device| device.code != code);
                Ok(self.issue_delegated(ids, asked, scopes, shown))
            }
        }
    }

    /// A person approves or declines. False when no such code is waiting.
    pub(crate) fn judge_device(
        &mut self,
        user_code: &str,
        approve: bool,
        lifetime: std::time::Duration,
        now: Timestamp,
    ) -> bool {
        let plain = |code: &str| code.replace('-', "");
        let mut waiting = self.devices.iter_mut().filter(|device| device.waits(lifetime, now));
        let Some(device) =
            waiting.find(|device| plain(&device.user_code).eq_ignore_ascii_case(&plain(user_code)))
        else {
            return false;
        };
        device.verdict = if approve { Verdict::Approved } else { Verdict::Declined };
        true
    }

    /// Every code that waits for a person.
    pub(crate) fn pending_devices(
        &self,
        lifetime: std::time::Duration,
        now: Timestamp,
    ) -> Vec<PendingDevice> {
        let waiting = self.devices.iter().filter(|device| device.waits(lifetime, now));
        waiting
            .map(|device| PendingDevice {
                user_code: device.user_code.clone(),
                tenant: device.tenant.clone(),
                client: device.client.clone(),
                scope: device.shown.clone(),
            })
            .collect()
    }
}

impl Device {
    fn waits(&self, lifetime: std::time::Duration, now: Timestamp) -> bool {
        self.verdict == Verdict::Pending && !has_passed(self.started, lifetime, now)
    }
}

fn pending() -> TokenRefusal {
    let sentence = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
    TokenRefusal::new(400, "authorization_pending", 70_016, sentence)
}

/// RFC 8628 has this error; Microsoft's page does not give its number.
fn too_fast() -> TokenRefusal {
    let sentence = "The device polls faster than the interval it was given.";
    TokenRefusal::new(400, "slow_down", 0, sentence)
}
