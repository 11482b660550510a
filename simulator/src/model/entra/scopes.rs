//! Scopes: which resource and which permissions a token request asks for. No tokens here.

use super::TokenRefusal;

/// The Graph base that every cloud client knows.
pub(super) const PUBLIC_GRAPH: &str = "https://graph.microsoft.com";
/// Scopes that belong to sign-in and name no resource.
const SIGN_IN_SCOPES: [&str; 4] = ["offline_access", "openid", "profile", "email"];

/// The Graph bases a scope may start with.
pub(super) struct Bases([String; 2]);

impl Bases {
    pub(super) fn new(authority: &str) -> Self {
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
    pub(super) fn check_default(&self, scope: &str) -> Result<(), TokenRefusal> {
        match self.split(scope) {
            Some((_, ".default")) => Ok(()),
            _ => {
                Err(invalid_scope("Client credentials need the scope https://graph.microsoft.com/.default."))
            }
        }
    }

    /// Whether this is the App ID URI of Graph, as the managed identity endpoint takes it.
    pub(super) fn is_resource(&self, resource: &str) -> bool {
        self.0.iter().any(|base| resource.strip_suffix('/').unwrap_or(resource) == base)
    }

    /// The permissions a refresh asks for, and how the answer shows them. No scope and `.default` mean all consented
    /// ones.
    pub(super) fn granted(
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
