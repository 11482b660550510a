//! Workload identity: a token of a Kubernetes cluster in place of a secret (Microsoft identity platform: workload
//! identity federation). It must match a registered credential in issuer, audience and subject.

use jsonwebtoken::Algorithm;

use super::assertion::{self, Jwt};
use super::{Asked, TokenRefusal};
use crate::credentials::FederatedCredential;

/// An assertion that names no certificate.
pub(super) fn check(jwt: &Jwt<'_>, asked: &Asked<'_>) -> Result<(), TokenRefusal> {
    let credential = matching(jwt, &asked.settings.federated_credentials)?;
    if jwt.header("alg") != Some("RS256") {
        return Err(assertion::bad_signature("A federated token is signed with RS256"));
    }
    let keys = &credential.keys.0;
    let named = jwt.header("kid");
    let fits = |kid: &Option<String>| kid.is_none() || named.is_none() || kid.as_deref() == named;
    if !keys.iter().any(|(kid, key)| fits(kid) && jwt.is_signed_by(key, Algorithm::RS256)) {
        return Err(assertion::bad_signature("No key of the issuer has made this signature"));
    }
    jwt.check_time(asked.now)
}

/// The registered credential this token fits, or the first thing that does not.
fn matching<'c>(
    jwt: &Jwt<'_>,
    registered: &'c [FederatedCredential],
) -> Result<&'c FederatedCredential, TokenRefusal> {
    if registered.is_empty() {
        let sentence = "No matching federated identity record found for presented assertion.";
        return Err(TokenRefusal::new(400, "invalid_request", 70_021, sentence));
    }
    let (issuer, subject) = (jwt.claim("iss"), jwt.claim("sub"));
    let audiences = jwt.audiences();
    let mut left: Vec<&FederatedCredential> = registered.iter().filter(|one| one.issuer == issuer).collect();
    if left.is_empty() {
        return Err(mismatch(700_211, "issuer", issuer));
    }
    left.retain(|one| audiences.contains(&one.audience.as_str()));
    if left.is_empty() {
        return Err(mismatch(700_212, "audience", &audiences.join(" ")));
    }
    if let Some(found) = left.iter().find(|one| one.subject == subject) {
        return Ok(found);
    }
    if left.iter().any(|one| one.subject.eq_ignore_ascii_case(subject)) {
        let sentence = format!(
            "No matching federated identity record found for presented assertion subject '{subject}'. The subject is compared with regard to case."
        );
        return Err(TokenRefusal::new(401, "invalid_client", 7_002_138, sentence));
    }
    Err(mismatch(700_213, "subject", subject))
}

fn mismatch(code: u32, what: &str, given: &str) -> TokenRefusal {
    let sentence =
        format!("No matching federated identity record found for presented assertion {what} '{given}'.");
    TokenRefusal::new(401, "invalid_client", code, sentence)
}
