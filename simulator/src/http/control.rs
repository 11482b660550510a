//! The simulator's own service under `/_simulator`: looking at it, setting faults, approving devices, moving time. It
//! needs no token: whoever reaches the port may do it.

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::Envelope;
use super::own::{self, Own};
use super::{Incoming, Inner, page, profiles, token};
use crate::fault::Fault;
use crate::json::Json;
use crate::model::{BadToken, SyncOutcome};

/// The page needs nothing but itself, and runs nothing but its own script.
fn policy() -> String {
    let script = page::SCRIPT_DIGEST.as_str();
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// An answer, and whether the state is to be saved now.
pub(super) struct Controlled {
    pub(super) response: Response<Bytes>,
    pub(super) save: bool,
}

type Said = Result<Value, (StatusCode, String)>;

fn refuse(status: StatusCode, sentence: impl Into<String>) -> Said {
    Err((status, sentence.into()))
}

fn bad(sentence: impl Into<String>) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, sentence.into())
}

impl Inner {
    /// Answers one own request. `real` is the time outside.
    pub(super) fn control(
        &mut self,
        own: &Own,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        real: Timestamp,
    ) -> Controlled {
        let mut save = false;
        let said = match own {
            Own::Page => return Controlled { response: self.page(envelope), save },
            // These two are written with ordered members, unlike the rest.
            Own::Requests => {
                let body = serde_json::to_vec(&self.log.all()).unwrap_or_default();
                return Controlled { response: envelope.own(StatusCode::OK, body), save };
            }
            Own::Profiles => {
                let body = Json::List(profiles(&mut self.model, envelope.now)).to_bytes();
                return Controlled { response: envelope.own(StatusCode::OK, body), save };
            }
            own => own::guard(incoming)
                .map_err(|(status, sentence)| (status, sentence.to_owned()))
                .and_then(|()| self.say(own, incoming, envelope, real, &mut save)),
        };
        Controlled { response: answer(said, incoming, envelope), save }
    }

    fn say(
        &mut self,
        own: &Own,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        real: Timestamp,
        save: &mut bool,
    ) -> Said {
        let now = envelope.now;
        match own {
            Own::Faults => Ok(json!(self.faults.all(now))),
            Own::AddFault => {
                let number = self.add_fault(Fault::from_json(&sent(incoming)?).map_err(bad)?, now);
                Ok(json!({ "number": number }))
            }
            Own::ClearFaults => {
                self.faults.clear();
                Ok(json!({}))
            }
            Own::RemoveFault(number) => {
                let removed = number.parse().is_ok_and(|number| self.faults.remove(number));
                if removed {
                    Ok(json!({}))
                } else {
                    refuse(StatusCode::NOT_FOUND, "There is no fault with this number.")
                }
            }
            Own::Devices => Ok(self.devices(now)),
            Own::JudgeDevice(code) => self.judge(code, &sent(incoming)?, now),
            Own::Time => Ok(self.time(real)),
            Own::MoveTime => self.move_time(&sent(incoming)?, real),
            Own::PlantSync => self.plant_sync(&sent(incoming)?, now),
            Own::SaveState if self.model.settings().state.is_none() => refuse(
                StatusCode::CONFLICT,
                "There is no file to save to. Start the simulator with --state FILE.",
            ),
            Own::SaveState => {
                *save = true;
                Ok(json!({ "saved": true }))
            }
            Own::RevokeTokens => self.revoke(&sent(incoming)?),
            _ => refuse(
                StatusCode::NOT_FOUND,
                "The simulator's own pages are GET /, GET /_simulator/requests, GET /_simulator/profiles, GET, POST and DELETE /_simulator/faults, GET and POST /_simulator/devicecode, GET and POST /_simulator/time, POST /_simulator/sync, POST /_simulator/tokens/revoke and POST /_simulator/state/save.",
            ),
        }
    }

    /// Sets a fault. One that looks back finds the world as it is now.
    pub(super) fn add_fault(&mut self, fault: Fault, now: Timestamp) -> u64 {
        let number = self.faults.add(fault);
        self.remember(now);
        number
    }

    fn devices(&self, now: Timestamp) -> Value {
        let shown = |device: crate::model::PendingDevice| {
            json!({
                "userCode": device.user_code, "tenantId": device.tenant,
                "clientId": device.client, "scope": device.scope,
            })
        };
        Value::Array(self.model.pending_devices(now).into_iter().map(shown).collect())
    }

    fn judge(&mut self, code: &str, sent: &Value, now: Timestamp) -> Said {
        let approve = match sent.get("action").and_then(Value::as_str) {
            Some("approve") => true,
            Some("deny") => false,
            _ => {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "Send {\"action\": \"approve\"} or {\"action\": \"deny\"}.",
                );
            }
        };
        if self.model.judge_device(code, approve, now) {
            return Ok(json!({ "approved": approve }));
        }
        refuse(StatusCode::NOT_FOUND, "No device code with this user code is waiting.")
    }

    fn time(&mut self, real: Timestamp) -> Value {
        json!({
            "now": self.clock.at(real),
            "aheadBy": format!("{:#}", self.clock.ahead_by()),
            "stopped": self.clock.is_stopped(),
            "control": self.model.settings().time_control,
        })
    }

    fn move_time(&mut self, sent: &Value, real: Timestamp) -> Said {
        if !self.model.settings().time_control {
            return refuse(
                StatusCode::FORBIDDEN,
                "Time goes on by itself here. Start the simulator with --time-control to move or stop it.",
            );
        }
        let text = |name: &str| sent.get(name).and_then(Value::as_str);
        if let Some(by) = text("advance") {
            let by = crate::fault::parse_duration(by)
                .ok_or_else(|| bad("Write \"advance\" like 500ms, 2s, 1m or 1h."))?;
            self.clock.advance(by);
        } else if let Some(moment) = text("set") {
            let moment = moment.parse().map_err(|_| bad("Write \"set\" like 2024-09-02T08:15:30Z."))?;
            self.clock.set(moment, real);
        } else if let Some(stop) = sent.get("stop").and_then(Value::as_bool) {
            self.clock.stop(stop, real);
        } else {
            let help = "Send {\"advance\": \"1h\"}, {\"set\": \"2024-09-02T08:15:30Z\"} or {\"stop\": true}.";
            return refuse(StatusCode::BAD_REQUEST, help);
        }
        Ok(self.time(real))
    }

    /// Errors at once, and how runs that begin from now on end.
    fn plant_sync(&mut self, sent: &Value, now: Timestamp) -> Said {
        const HELP: &str = "Send {\"displayName\": \"…\"} or {\"id\": \"…\"}, with \"errors\": 3 (at once) or \"outcome\": \"success\", \"error\", \"validationError\" or \"quarantined\" (of runs to come), or both.";
        let text = |name: &str| sent.get(name).and_then(Value::as_str);
        let (profile, name) = match (text("id"), text("displayName")) {
            (Some(id), None) => (id, self.model.display_name(id).map(str::to_owned)),
            (None, Some(name)) => (name, Some(name.to_owned())),
            _ => return refuse(StatusCode::BAD_REQUEST, HELP),
        };
        let errors =
            sent.get("errors").map(|errors| errors.as_u64().and_then(|errors| usize::try_from(errors).ok()));
        let outcome = sent.get("outcome").map(|outcome| outcome.as_str().and_then(SyncOutcome::from_name));
        let nothing = errors.is_none() && outcome.is_none();
        if nothing || errors == Some(None) || outcome == Some(None) {
            return refuse(StatusCode::BAD_REQUEST, HELP);
        }
        let Some(name) = name.filter(|name| errors.is_none() || !self.model.named(name).is_empty()) else {
            return refuse(StatusCode::NOT_FOUND, "There is no such profile, whose errors these could be.");
        };
        let found = errors.flatten().map_or(0, |errors| self.model.plant_errors(profile, errors, now));
        if let Some(outcome) = outcome.flatten() {
            self.model.set_sync_outcome(&name, outcome);
        }
        Ok(json!({ "profilesWithErrors": found }))
    }

    fn revoke(&mut self, sent: &Value) -> Said {
        let token = sent.get("token").and_then(Value::as_str);
        let all = sent.get("all").is_some_and(|all| *all == Value::Bool(true) || *all == "true");
        if all == token.is_some() {
            return refuse(StatusCode::BAD_REQUEST, "Send {\"all\": true} or {\"token\": \"…\"}.");
        }
        Ok(json!({ "revoked": self.model.end_tokens(token, BadToken::Revoked) }))
    }

    fn page(&mut self, envelope: &Envelope) -> Response<Bytes> {
        let text = page::render(self, envelope.now);
        let mut response = envelope.own(StatusCode::OK, text.into_bytes());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        // The digest is Base64, so it always is a header value; without a policy nothing is sent either.
        let Ok(policy) = HeaderValue::from_str(&policy()) else {
            return envelope.own(StatusCode::INTERNAL_SERVER_ERROR, Vec::new());
        };
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        response
    }
}

/// What was sent: JSON, or a form as an object of strings.
fn sent(incoming: &Incoming<'_>) -> Result<Value, (StatusCode, String)> {
    if own::is_form(incoming) {
        let fields = token::fields(incoming).into_iter().map(|(name, value)| (name, Value::from(value)));
        return Ok(Value::Object(fields.collect()));
    }
    serde_json::from_slice(incoming.body)
        .map_err(|error| bad(format!("The request body is not valid JSON: {error}.")))
}

/// A browser that has sent a form goes back to the page; a program gets JSON.
fn answer(said: Said, incoming: &Incoming<'_>, envelope: &Envelope) -> Response<Bytes> {
    match said {
        Ok(_) if own::is_form(incoming) => {
            let mut response = envelope.own(StatusCode::SEE_OTHER, Vec::new());
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
            response
        }
        Ok(value) => envelope.own(StatusCode::OK, value.to_string().into_bytes()),
        Err((status, sentence)) => {
            envelope.own(status, json!({ "error": sentence }).to_string().into_bytes())
        }
    }
}
