//! Updates of a profile. What a body may be is decided in `parse`; how a partial body becomes a whole one is the
//! business of `http`, which knows how a profile is written.

use jiff::Timestamp;
use serde_json::Value;

use super::profile::{DataProvider, Profile, State};
use super::reader::Rules;
use super::types::Generation;
use super::{Model, Refused, View, parse};

impl Model {
    /// From now on the values of a profile stay as they are, although its updates are accepted; or they do not.
    pub(crate) fn ignore_updates(&mut self, ignore: bool) {
        self.ignores_updates = ignore;
    }

    /// Replaces what a caller may set. The profile is set up again; its sync goes on as it was (scenario page
    /// "update a profile"). The limit of `expirationDate` counts from the creation.
    pub(crate) fn replace(
        &mut self,
        tenant: &str,
        id: &str,
        body: &Value,
        generation: Generation,
        now: Timestamp,
    ) -> Result<View, Refused> {
        let accept_type_without_hash = self.settings.accept_type_without_hash;
        let created = self.changeable(tenant, id, now)?.created;
        let rules = Rules { generation, accept_type_without_hash, now: created };
        let mut draft = parse::draft(body, rules).map_err(Refused::Invalid)?;
        let mut profile = self.changeable(tenant, id, now)?.clone();
        if self.ignores_updates {
            draft = profile.draft.clone();
        }
        let fails = self.failing.contains(&draft.display_name);
        keep_secret(&mut draft.provider, &profile.draft.provider);
        // After a delete that failed the update brings the profile back; what it was before counts.
        (profile.deleting_since, profile.deletion_fails) = (None, false);
        profile.was_provisioned |= self.is_provisioned(&profile, now);
        profile.draft = draft;
        profile.fails = fails;
        profile.set_up_since = now;
        profile.sync.touch(now);
        self.schedule(&mut profile, now);
        *self.changeable(tenant, id, now)? = profile.clone();
        self.view(&profile, now).ok_or(Refused::NotFound)
    }

    /// Which profile a PUT on the collection means. The documents name none: here it is the one of the `id` in the
    /// body, and without that the only one with this display name (decided).
    pub(crate) fn meant(&mut self, tenant: &str, body: &Value, now: Timestamp) -> Result<String, Refused> {
        if let Some(id) = body.get("id").and_then(Value::as_str) {
            return self.get(tenant, id, now).map(|view| view.profile.id).ok_or(Refused::NotFound);
        }
        let name = body.get("displayName").and_then(Value::as_str).unwrap_or_default();
        self.advance(now);
        let all = self.tenants.get(tenant).map_or(&[][..], Vec::as_slice);
        // One that is on its way out is not meant: it could not be changed.
        let stays = |profile: &&Profile| self.state(profile, now) != Some(State::Deleting);
        let mut named = all.iter().filter(|one| one.draft.display_name == name).filter(stays);
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.id.clone()),
            (first, _) => Err(Refused::invalid(format!(
                "A PUT on the collection does not say which profile it means: the body has no 'id', and {} profile has this displayName. Put to synchronizationProfiles/{{id}}, or send the id in the body.",
                if first.is_some() { "more than one" } else { "no" }
            ))),
        }
    }
}

/// A secret that a body leaves out, or sends as the null that every answer shows, stays as it was, as long as it is for
/// the same client (decided: a profile may be written back as it was read).
fn keep_secret(new: &mut DataProvider, old: &DataProvider) {
    let (new, old, same) = match (new, old) {
        (
            DataProvider::OneRoster { connection: new, .. },
            DataProvider::OneRoster { connection: old, .. },
        ) => {
            let same = new.client_id == old.client_id;
            (&mut new.client_secret, &old.client_secret, same)
        }
        (
            DataProvider::PowerSchool { client_id, client_secret, .. },
            DataProvider::PowerSchool { client_id: old_id, client_secret: old, .. },
        ) => {
            let same = client_id == old_id;
            (client_secret, old, same)
        }
        _ => return,
    };
    if same && new.is_none() {
        new.clone_from(old);
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::{Connection, Secret};
    use super::*;

    fn provider(client_id: &str, secret: Option<&str>) -> DataProvider {
        let secret = secret.map(|secret| Secret::new(secret.to_owned()));
        DataProvider::OneRoster {
            connection_url: "https://sis.fabrikam.example".to_owned(),
            connection: Connection { client_id: client_id.to_owned(), client_secret: secret, oauth2: None },
            provider_name: None,
            schools_ids: Vec::new(),
            term_ids: Vec::new(),
            customizations: None,
        }
    }

    #[test]
    fn a_secret_that_is_left_out_stays_with_its_client() {
        let old = provider("a", Some("old"));
        let rows = [("a", None, Some("old")), ("a", Some("new"), Some("new")), ("b", None, None)];
        for (client, sent, kept) in rows {
            let mut new = provider(client, sent);
            keep_secret(&mut new, &old);
            assert_eq!(new, provider(client, kept), "{client}");
        }
        let mut csv = DataProvider::Csv { customizations: None };
        keep_secret(&mut csv, &old);
        assert_eq!(csv, DataProvider::Csv { customizations: None });
    }
}
