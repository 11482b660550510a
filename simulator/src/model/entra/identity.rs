//! Managed identities: the token endpoint of a machine in Azure (Azure docs: how to use managed identities to acquire
//! an access token). It is asked without a secret; who may reach it is who is trusted.

use super::scopes::Bases;
use super::{Asked, Entra, Issued};
use crate::credentials::ManagedIdentity;
use crate::model::ids::Ids;
use crate::settings::Settings;
use crate::tls::OWN_NAMES;

/// The query of a request.
pub(crate) struct IdentityQuery {
    pub(crate) api_version: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) scope: bool,
    pub(crate) client_id: Option<String>,
    pub(crate) object_id: Option<String>,
    pub(crate) resource_id: Option<String>,
}

/// Why there is no token: `error` and `error_description`.
pub(crate) struct IdentityRefusal(pub(crate) &'static str, pub(crate) &'static str);

/// The oldest version that gives tokens.
const OLDEST: &str = "2018-02-01";

impl Entra {
    /// A token for an identity of the machine, and whose it is.
    pub(crate) fn identity(
        &mut self,
        ids: &mut Ids,
        query: &IdentityQuery,
        asked: &Asked<'_>,
    ) -> Result<(Issued, String), IdentityRefusal> {
        let invalid = |why| IdentityRefusal("invalid_request", why);
        let version = query.api_version.as_deref().unwrap_or("");
        if version.is_empty() {
            return Err(invalid("The query parameter 'api-version' is missing"));
        }
        // Dates in this form compare like their texts.
        if version < OLDEST {
            return Err(invalid("The api-version is older than 2018-02-01"));
        }
        if query.scope {
            return Err(invalid("This endpoint takes 'resource', not 'scope'"));
        }
        let resource =
            query.resource.as_deref().ok_or_else(|| invalid("The query parameter 'resource' is missing"))?;
        if !Bases::new(asked.authority).is_resource(resource) && !is_own(resource, asked.settings) {
            let why = "The resource is not Microsoft Graph; write it without /.default";
            return Err(IdentityRefusal("invalid_resource", why));
        }
        let identity = find(query, &asked.settings.managed_identities)?;
        let issued = self.issue_app(ids, asked, asked.settings.long_token_lifetime);
        Ok((issued, identity.client_id.clone()))
    }
}

/// Whether this is the simulator under one of its own names. The port does not matter, since whoever asks without TLS
/// came to another port than that of Graph.
fn is_own(resource: &str, settings: &Settings) -> bool {
    let Ok(url) = url::Url::parse(resource) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let names = OWN_NAMES.into_iter().chain(settings.sans.iter().map(String::as_str));
    let mut names = names.map(str::to_owned).chain([settings.bind.to_string()]);
    url.scheme() == "https"
        && url.path() == "/"
        && url.query().is_none()
        && names.any(|name| name.eq_ignore_ascii_case(host))
}

/// At most one selector may be given; without any, the first identity answers.
fn find<'i>(
    query: &IdentityQuery,
    assigned: &'i [ManagedIdentity],
) -> Result<&'i ManagedIdentity, IdentityRefusal> {
    let same = |asked: &str, own: Option<&str>| own.is_some_and(|own| own.eq_ignore_ascii_case(asked));
    let selectors = [&query.client_id, &query.object_id, &query.resource_id];
    if selectors.iter().filter(|selector| selector.is_some()).count() > 1 {
        let why = "Only one of client_id, object_id and msi_res_id may be given";
        return Err(IdentityRefusal("invalid_request", why));
    }
    let found = match (&query.client_id, &query.object_id, &query.resource_id) {
        (Some(id), ..) => assigned.iter().find(|one| same(id, Some(&one.client_id))),
        (_, Some(id), _) => assigned.iter().find(|one| same(id, one.object_id.as_deref())),
        (.., Some(id)) => assigned.iter().find(|one| same(id, one.resource_id.as_deref())),
        _ => assigned.first(),
    };
    // Real answers have this text with error `invalid_request`.
    found.ok_or(IdentityRefusal("invalid_request", "Identity not found"))
}
