//! A person in the portal: changes profiles in Graph past the operator, with a token of their own.

use anyhow::{Context, Result};
use serde_json::Value;

use super::manifests::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};
use super::stage::{Stage, TENANTS};
use crate::commands::http::{Answer, Sent};

/// The person's requests in the simulator's log begin so.
pub(super) const MARK: &str = "portal";
const COLLECTION: &str = "/beta/education/synchronizationProfiles";

/// The person, signed in to each tenant.
#[derive(Debug, Default)]
pub(super) struct Portal {
    tokens: [Option<String>; TENANTS.len()],
}

impl Portal {
    /// Creates a profile. False when Graph did not take it.
    pub(super) fn create(&mut self, stage: &Stage, tenant: usize, body: &Value) -> bool {
        self.call(stage, tenant, "POST", COLLECTION, Some(body))
    }

    /// Changes some properties of a profile.
    pub(super) fn edit(&mut self, stage: &Stage, tenant: usize, id: &str, body: &Value) -> bool {
        self.call(stage, tenant, "PATCH", &format!("{COLLECTION}/{id}"), Some(body))
    }

    /// Deletes a profile.
    pub(super) fn delete(&mut self, stage: &Stage, tenant: usize, id: &str) -> bool {
        self.call(stage, tenant, "DELETE", &format!("{COLLECTION}/{id}"), None)
    }

    /// Whatever goes wrong, the person gives up and signs in anew the next time.
    fn call(&mut self, stage: &Stage, tenant: usize, method: &str, path: &str, body: Option<&Value>) -> bool {
        let answer = self.try_call(stage, tenant, method, path, body);
        let done = answer.as_ref().is_ok_and(Answer::is_success);
        if !done && let Some(token) = self.tokens.get_mut(tenant) {
            *token = None;
        }
        done
    }

    fn try_call(
        &mut self,
        stage: &Stage,
        tenant: usize,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let token = self.tokens.get_mut(tenant).context("there is no such tenant")?;
        if token.is_none() {
            *token = Some(sign_in(stage, tenant)?);
        }
        let bearer = format!("Bearer {}", token.as_deref().unwrap_or_default());
        let headers = [("authorization", bearer.as_str()), ("client-request-id", MARK)];
        let text = body.map(Value::to_string).unwrap_or_default();
        let content_type = if body.is_some() { "application/json" } else { "" };
        stage.graph.send(method, path, Sent { content_type, body: &text, headers: &headers })
    }
}

fn sign_in(stage: &Stage, tenant: usize) -> Result<String> {
    let tenant = TENANTS.get(tenant).context("there is no such tenant")?;
    let form = format!(
        "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={REFRESH_TOKEN}"
    );
    let sent = Sent {
        content_type: "application/x-www-form-urlencoded",
        body: &form,
        headers: &[("client-request-id", MARK)],
    };
    let answer = stage.graph.send("POST", &format!("/{tenant}/oauth2/v2.0/token"), sent)?.wanted()?;
    let token = answer.get("access_token").and_then(Value::as_str);
    token.map(str::to_owned).context("the token service gave no token")
}
