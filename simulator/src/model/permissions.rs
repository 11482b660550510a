//! Who may do what: the permission table of the API. No tokens here, only their contents.

use serde::Serialize;

/// Whether a token speaks for an application or for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// App-only: the token carries `roles`.
    App,
    /// On behalf of a signed-in administrator: the token carries `scp`.
    Delegated,
}

/// What a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) kind: PrincipalKind,
    /// Key of the tenant the token was issued in.
    pub(crate) tenant: String,
    /// The `roles` or the `scp` of the token.
    pub(crate) grants: Vec<String>,
}

/// What a call needs, as far as permissions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any valid token (decided for calls of other parts of Graph, whose permissions are not simulated).
    Token,
    /// Look at profiles, their status, their errors.
    Read,
    /// Pause, resume, reset, start, and ask for an upload URL.
    Run,
    /// Create, change, delete. No application permission has ever existed for these.
    Change,
}

/// The permission sections of the Graph docs pages of educationSynchronizationProfile, one row a need:
/// (delegated permissions, application permissions).
fn sufficient(need: Need) -> (&'static [&'static str], &'static [&'static str]) {
    const READ: &str = "EduAdministration.Read";
    const WRITE: &str = "EduAdministration.ReadWrite";
    const READ_ALL: &str = "EduAdministration.Read.All";
    const WRITE_ALL: &str = "EduAdministration.ReadWrite.All";
    match need {
        Need::Token => (&[], &[]),
        Need::Read => (&[READ, WRITE], &[READ_ALL, WRITE_ALL]),
        Need::Run => (&[WRITE], &[WRITE_ALL]),
        Need::Change => (&[WRITE], &[]),
    }
}

impl Principal {
    /// Whether this token is enough.
    pub(crate) fn may(&self, need: Need) -> bool {
        let (delegated, application) = sufficient(need);
        let enough = match self.kind {
            PrincipalKind::Delegated => delegated,
            PrincipalKind::App => application,
        };
        need == Need::Token || self.grants.iter().any(|grant| enough.contains(&grant.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documents() {
        let rows = [
            (PrincipalKind::Delegated, "EduAdministration.Read", [true, false, false]),
            (PrincipalKind::Delegated, "EduAdministration.ReadWrite", [true, true, true]),
            (PrincipalKind::App, "EduAdministration.Read.All", [true, false, false]),
            (PrincipalKind::App, "EduAdministration.ReadWrite.All", [true, true, false]),
            (PrincipalKind::App, "EduAdministration.ReadWrite", [false, false, false]),
            (PrincipalKind::Delegated, "User.Read", [false, false, false]),
        ];
        for (kind, grant, expected) in rows {
            let principal = Principal { kind, tenant: String::new(), grants: vec![grant.to_owned()] };
            let actual = [Need::Read, Need::Run, Need::Change].map(|need| principal.may(need));
            assert_eq!(actual, expected, "{kind:?} {grant}");
        }
    }
}
