//! A person in the portal: changes profiles in Graph past the operator, with a token of their own.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::http::{Answer, Client, Sent};
use super::tenant::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};

/// The `client-request-id` of the person's requests in the simulator's log.
pub(super) const MARK: &str = "portal";
pub(super) const COLLECTION: &str = "/beta/education/synchronizationProfiles";

/// The person, signed in to each tenant that they have been to.
#[derive(Debug, Default)]
pub(super) struct Portal {
    tokens: HashMap<String, String>,
}

impl Portal {
    /// Creates a profile. False when Graph did not take it.
    pub(super) fn create(&mut self, graph: &Client, tenant: &str, body: &Value) -> bool {
        self.call(graph, tenant, "POST", COLLECTION, Some(body))
    }

    /// Changes some properties of a profile.
    pub(super) fn edit(&mut self, graph: &Client, tenant: &str, id: &str, body: &Value) -> bool {
        self.call(graph, tenant, "PATCH", &format!("{COLLECTION}/{id}"), Some(body))
    }

    /// Deletes a profile.
    pub(super) fn delete(&mut self, graph: &Client, tenant: &str, id: &str) -> bool {
        self.call(graph, tenant, "DELETE", &format!("{COLLECTION}/{id}"), None)
    }

    /// Whatever goes wrong, the person gives up and signs in anew the next time.
    fn call(&mut self, graph: &Client, tenant: &str, method: &str, path: &str, body: Option<&Value>) -> bool {
        let answer = self.try_call(graph, tenant, method, path, body);
        let done = answer.as_ref().is_ok_and(Answer::is_success);
        if !done {
            self.tokens.remove(tenant);
        }
        done
    }

    fn try_call(
        &mut self,
        graph: &Client,
        tenant: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        if !self.tokens.contains_key(tenant) {
            self.tokens.insert(tenant.to_owned(), sign_in(graph, tenant)?);
        }
        let bearer = format!("Bearer {}", self.tokens.get(tenant).map_or("", String::as_str));
        let headers = [("authorization", bearer.as_str()), ("client-request-id", MARK)];
        let text = body.map(Value::to_string).unwrap_or_default();
        let content_type = if body.is_some() { "application/json" } else { "" };
        graph.send(method, path, Sent { content_type, body: &text, headers: &headers })
    }
}

/// A token of the person's for a tenant.
pub(super) fn sign_in(graph: &Client, tenant: &str) -> Result<String> {
    let form = format!(
        "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={REFRESH_TOKEN}"
    );
    let sent = Sent {
        content_type: "application/x-www-form-urlencoded",
        body: &form,
        headers: &[("client-request-id", MARK)],
    };
    let answer = graph.send("POST", &format!("/{tenant}/oauth2/v2.0/token"), sent)?.wanted()?;
    let token = answer.get("access_token").and_then(Value::as_str);
    token.map(str::to_owned).context("the token service gave no token")
}

/// A profile as somebody makes it in the portal.
pub(super) fn csv_body(display_name: &str) -> Value {
    json!({
        "displayName": display_name,
        "dataProvider": {"@odata.type": "#microsoft.graph.educationCsvDataProvider"},
        "identitySynchronizationConfiguration": {
            "@odata.type": "#microsoft.graph.educationIdentityCreationConfiguration",
            "userDomains": [{"appliesTo": "student", "name": "school.example"}],
        },
    })
}
