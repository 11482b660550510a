//! Signed assertions: reading a JWT, and the rules for one signed with a registered certificate (Microsoft identity
//! platform: certificate credentials). The time is an argument; keys come ready from the settings.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::{Asked, TokenRefusal};
use crate::credentials::ClientCertificate;

/// The clock of a client may be off by this much, as Entra allows.
const SKEW_SECONDS: i64 = 300;
/// RFC 7515 wants no padding, but Microsoft's own library sends it and the service takes it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A JWT that was read, but not believed yet.
pub(super) struct Jwt<'a> {
    header: Value,
    claims: Value,
    /// What the signature is about.
    message: &'a str,
    signature: &'a str,
}

impl<'a> Jwt<'a> {
    /// Reads `header.claims.signature`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let read = |part: &str| {
            let value: Value = serde_json::from_slice(&BASE64.decode(part).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            header: read(header)?,
            claims: read(claims)?,
            message,
            signature: signature.trim_end_matches('='),
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str().map(|text| text.trim_end_matches('='))
    }

    /// A claim that is a string.
    pub(super) fn claim(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Every audience; `aud` may be a string or a list.
    pub(super) fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn names_a_certificate(&self) -> bool {
        ["x5t", "x5t#S256", "x5c"].iter().any(|name| self.header.get(name).is_some())
    }

    pub(super) fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        let good = jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm);
        good.unwrap_or(false)
    }

    /// `exp` is required, `nbf` is not: Microsoft's own library leaves it out.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), TokenRefusal> {
        let seconds = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        let moment = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN);
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are enough, and `as` saturates")]
        let whole = |name: &str| seconds(name).map(|value| value as i64);
        let expires = whole("exp").unwrap_or(i64::MIN).saturating_add(SKEW_SECONDS);
        let begins = whole("nbf").unwrap_or(i64::MIN).saturating_sub(SKEW_SECONDS);
        if begins <= now.as_second() && now.as_second() < expires {
            return Ok(());
        }
        let until = whole("exp").map_or_else(|| "(no exp)".to_owned(), |exp| moment(exp).to_string());
        let sentence = format!(
            "Assertion is not within its valid time range. Current time: {now}, expiry time of assertion: {until}."
        );
        Err(TokenRefusal::new(401, "invalid_client", 500_133, sentence))
    }
}

pub(super) fn malformed() -> TokenRefusal {
    let sentence = "JWT token is invalid or malformed.";
    TokenRefusal::new(400, "invalid_request", 50_027, sentence)
}

/// An assertion that names a certificate.
pub(super) fn check(jwt: &Jwt<'_>, asked: &Asked<'_>) -> Result<(), TokenRefusal> {
    let (certificate, algorithm) = signer(jwt, &asked.settings.client_certificates)?;
    if !jwt.is_signed_by(&certificate.key, algorithm) {
        return Err(bad_signature("The signature does not match the certificate it names"));
    }
    let client = asked.settings.client_id.as_str();
    let audiences = token_endpoints(asked);
    let addressed = |given: &&str| audiences.iter().any(|good| good.eq_ignore_ascii_case(given));
    if !jwt.audiences().iter().any(addressed) {
        return Err(invalid(&format!("its audience must be the token endpoint, {}", audiences.join(" or "))));
    }
    for name in ["iss", "sub"] {
        if jwt.claim(name) != client {
            return Err(invalid(&format!("its '{name}' must be the client id")));
        }
    }
    if jwt.claim("jti").is_empty() {
        return Err(invalid("it has no 'jti'"));
    }
    jwt.check_time(asked.now)
}

/// PS256 goes with the SHA-256 thumbprint, RS256 with the SHA-1 one.
fn signer<'c>(
    jwt: &Jwt<'_>,
    registered: &'c [ClientCertificate],
) -> Result<(&'c ClientCertificate, Algorithm), TokenRefusal> {
    let find = |given: &str, of: fn(&ClientCertificate) -> &str| {
        registered.iter().find(|certificate| of(certificate) == given)
    };
    let (found, algorithm) = match (jwt.header("alg"), jwt.header("x5t#S256"), jwt.header("x5t")) {
        (Some("PS256"), Some(print), _) => (find(print, |one| &one.sha256), Algorithm::PS256),
        (Some("RS256"), _, Some(print)) => (find(print, |one| &one.sha1), Algorithm::RS256),
        _ => return Err(bad_signature("Use PS256 with 'x5t#S256', or RS256 with 'x5t'")),
    };
    if let Some(found) = found {
        return Ok((found, algorithm));
    }
    // A chain asks to be judged by its subject and issuer. No subject is registered here.
    if jwt.header.get("x5c").is_some() {
        let sentence = "Invalid certificate - subject name in certificate is not authorized.";
        return Err(TokenRefusal::new(401, "invalid_client", 700_030, sentence));
    }
    Err(bad_signature("The key was not found: no certificate with this thumbprint is registered"))
}

/// The token endpoint under its public name and under the one the caller used.
fn token_endpoints(asked: &Asked<'_>) -> [String; 2] {
    ["login.microsoftonline.com", asked.authority]
        .map(|host| format!("https://{host}/{}/oauth2/v2.0/token", asked.tenant))
}

pub(super) fn bad_signature(reason: &str) -> TokenRefusal {
    let sentence = format!("Client assertion contains an invalid signature. [Reason - {reason}.]");
    TokenRefusal::new(401, "invalid_client", 700_027, sentence)
}

fn invalid(why: &str) -> TokenRefusal {
    TokenRefusal::new(401, "invalid_client", 50_013, format!("Assertion is invalid: {why}."))
}
