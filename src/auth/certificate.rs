//! A certificate and its key into client assertions (RFC 7523), as Entra wants them: PS256, `x5t#S256`.
//!
//! The pair is checked when it is read, so that a wrong Secret is explained before Entra refuses it.
//! No request is sent from here.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::error::{AuthError, Unusable};

/// Life of an assertion in seconds; Entra's documents suggest five to ten minutes.
const LIFE: i64 = 300;

/// A certificate that belongs to an application, with its key.
pub struct ClientCertificate {
    key: EncodingKey,
    thumbprint: String,
    not_after: Timestamp,
}

/// Why a pair of certificate and key cannot be used. The sentence goes on after "the Secret NAME: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No certificate in PEM form.
    #[error("tls.crt holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// Something, but no certificate.
    #[error("the first certificate in tls.crt cannot be read")]
    BadCertificate,
    /// No key in PEM form.
    #[error("tls.key holds no private key in PEM form (PKCS#8 or PKCS#1, without a password)")]
    NoKey,
    /// A key of another kind.
    #[error("the key in tls.key is not RSA with 2048 bits at least; Entra takes no other kind")]
    NotRsa,
    /// Certificate and key are not a pair.
    #[error(
        "the key in tls.key does not belong to the first certificate in tls.crt; the application's certificate must come first in a chain"
    )]
    NoPair,
    /// The certificate is over.
    #[error(
        "the certificate in tls.crt expired at {0}: renew it, and upload the new one to the application in Entra"
    )]
    Expired(Timestamp),
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    iat: i64,
    exp: i64,
}

impl ClientCertificate {
    /// Reads a pair in PEM form: the application's certificate (others may follow) and its RSA key.
    /// `now` is wall time, as in all of this: Entra compares it with its own.
    ///
    /// # Errors
    /// A sentence for the person who made the Secret.
    pub fn from_pem(
        certificates: &SecretString,
        key: &SecretString,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let leaf = CertificateDer::from_pem_slice(certificates.expose_secret().as_bytes())
            .map_err(|_| CertificateError::NoCertificate)?;
        let (_, certificate) =
            X509Certificate::from_der(&leaf).map_err(|_| CertificateError::BadCertificate)?;
        let not_after = end(certificate.validity().not_after.timestamp());
        let text = key.expose_secret();
        let public = public_key(text)?;
        if certificate.public_key().subject_public_key.data.as_ref() != public.as_slice() {
            return Err(CertificateError::NoPair);
        }
        if not_after <= now {
            return Err(CertificateError::Expired(not_after));
        }
        let key = EncodingKey::from_rsa_pem(text.as_bytes()).map_err(|_| CertificateError::NotRsa)?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &leaf));
        Ok(Self { key, thumbprint, not_after })
    }

    /// When the certificate is over.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// A fresh proof, for this token service alone, that the application has the key.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        token_url: &str,
        now: Timestamp,
    ) -> Result<SecretString, AuthError> {
        if self.not_after <= now {
            return Err(AuthError::unusable(Unusable::CertificateExpired(self.not_after)));
        }
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        let issued = now.as_second();
        let claims = Claims {
            aud: token_url,
            iss: client_id,
            sub: client_id,
            jti: uuid::Uuid::new_v4().to_string(),
            nbf: issued,
            iat: issued,
            exp: issued.saturating_add(LIFE),
        };
        let signed = jsonwebtoken::encode(&header, &claims, &self.key);
        signed.map(SecretString::from).map_err(|_| AuthError::unusable(Unusable::CannotSign))
    }
}

/// When a certificate is over. The last second of the year 9999 says "never" (RFC 5280, 4.1.2.5); it lies
/// behind the last one that a `Timestamp` can hold, and nothing else does.
fn end(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// The public half of a private key, in the form that a certificate has it.
fn public_key(pem: &str) -> Result<Vec<u8>, CertificateError> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertificateError::NoKey)?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(CertificateError::NotRsa),
    };
    Ok(pair.map_err(|_| CertificateError::NotRsa)?.public_key().as_ref().to_vec())
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}
