//! Public halves of credentials, as an administrator registers them: certificates, issuers of federated tokens,
//! managed identities. Read here, once, from PEM or JWKS text; which request they let through is the model's business.
//! No private key is ever taken.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// Audience of a federated token, unless told otherwise.
pub(crate) const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// A certificate registered for the app registration with credentials.
#[derive(Clone)]
pub struct ClientCertificate {
    /// base64url of the SHA-1 digest, as in `x5t`.
    pub(crate) sha1: String,
    /// base64url of the SHA-256 digest, as in `x5t#S256`.
    pub(crate) sha256: String,
    pub(crate) key: DecodingKey,
}

impl ClientCertificate {
    /// Reads the first certificate of a PEM text. Anything else in it, such as a private key, is not looked at.
    ///
    /// # Errors
    /// A sentence for the person who wrote the file.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "It holds no certificate in PEM (\"-----BEGIN CERTIFICATE-----\").".to_owned())?;
        let parsed = webpki::EndEntityCert::try_from(&der)
            .map_err(|error| format!("The certificate cannot be read: {error}."))?;
        let fingerprint =
            |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der.as_ref()).as_ref());
        Ok(Self {
            sha1: fingerprint(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: fingerprint(&digest::SHA256),
            key: rsa_key(parsed.subject_public_key_info().as_ref())
                .ok_or("The certificate has no RSA key. Entra takes PS256 and RS256 only.")?,
        })
    }
}

/// The keys with which an issuer of federated tokens (a Kubernetes cluster) signs.
#[derive(Clone)]
pub struct IssuerKeys(pub(crate) Vec<(Option<String>, DecodingKey)>);

impl IssuerKeys {
    /// Reads a JSON Web Key Set (as the issuer publishes it) or RSA public keys in PEM.
    ///
    /// # Errors
    /// A sentence for the person who wrote the file.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let keys = if text.trim_start().starts_with('{') { Self::jwks(text)? } else { Self::pem(text)? };
        if keys.is_empty() {
            return Err("It holds no RSA public key. Give a JSON Web Key Set, or PEM with \"-----BEGIN PUBLIC KEY-----\".".to_owned());
        }
        Ok(Self(keys))
    }

    fn jwks(text: &str) -> Result<Vec<(Option<String>, DecodingKey)>, String> {
        let set: JwkSet =
            serde_json::from_str(text).map_err(|error| format!("It is not a JSON Web Key Set: {error}."))?;
        let rsa = set.keys.iter().filter_map(|jwk| {
            let key = DecodingKey::from_jwk(jwk).ok()?;
            (key.family() == jsonwebtoken::AlgorithmFamily::Rsa).then(|| (jwk.common.key_id.clone(), key))
        });
        Ok(rsa.collect())
    }

    fn pem(text: &str) -> Result<Vec<(Option<String>, DecodingKey)>, String> {
        let mut keys = Vec::new();
        for key in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()) {
            let key = key.map_err(|error| format!("The public key cannot be read: {error:?}."))?;
            keys.extend(rsa_key(key.as_ref()).map(|key| (None, key)));
        }
        Ok(keys)
    }
}

/// The key of a `SubjectPublicKeyInfo`, if its algorithm is `rsaEncryption`.
fn rsa_key(info: &[u8]) -> Option<DecodingKey> {
    // The object identifier 1.2.840.113549.1.1.1, with its tag and length.
    const RSA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let is_rsa = info.windows(RSA.len()).take(8).any(|part| part == RSA);
    is_rsa.then(|| DecodingKey::from_rsa_der(info))
}

/// A federated credential of the app registration: whose tokens are taken in place of a secret.
#[derive(Clone)]
pub struct FederatedCredential {
    /// `iss` of the token.
    pub issuer: String,
    /// `sub` of the token, compared with regard to case.
    pub subject: String,
    /// `aud` of the token.
    pub audience: String,
    /// The issuer's keys.
    pub keys: IssuerKeys,
}

impl FederatedCredential {
    /// One with the audience that Microsoft recommends, `api://AzureADTokenExchange`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>, keys: IssuerKeys) -> Self {
        Self { issuer: issuer.into(), subject: subject.into(), audience: EXCHANGE_AUDIENCE.to_owned(), keys }
    }
}

/// An identity assigned to the machine that asks `/metadata/identity/oauth2/token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// Selected by `client_id`; shown in the answer.
    pub client_id: String,
    /// Selected by `object_id`.
    pub object_id: Option<String>,
    /// Selected by `msi_res_id`.
    pub resource_id: Option<String>,
}

impl FromStr for ManagedIdentity {
    type Err = String;

    /// Reads `CLIENT_ID[,OBJECT_ID[,RESOURCE_ID]]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts =
            text.split(',').map(|part| Some(part.trim().to_owned()).filter(|part| !part.is_empty()));
        let client_id = parts.next().flatten();
        let client_id = client_id.ok_or("write CLIENT_ID, or CLIENT_ID,OBJECT_ID,RESOURCE_ID")?;
        let (object_id, resource_id) = (parts.next().flatten(), parts.next().flatten());
        if parts.next().is_some() {
            return Err("there are at most three parts: CLIENT_ID,OBJECT_ID,RESOURCE_ID".to_owned());
        }
        Ok(Self { client_id, object_id, resource_id })
    }
}

/// What happens to a refresh token that has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefreshTokenRotation {
    /// It stays good, as Microsoft documents it.
    #[default]
    Keep,
    /// It is good for one use.
    Revoke,
}

impl fmt::Display for RefreshTokenRotation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Keep => "keep",
            Self::Revoke => "revoke",
        })
    }
}
