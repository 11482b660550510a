//! Keys made for the test, and assertions signed with them. Written without the simulator's own JWT code.

use std::sync::LazyLock;

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

/// An RSA key and its certificate.
pub struct Signer {
    pub certificate: String,
    der: Vec<u8>,
    key: RsaKeyPair,
    spki: Vec<u8>,
}

/// The registered one.
pub static OWN: LazyLock<Signer> = LazyLock::new(Signer::new);
/// Somebody else's.
pub static OTHER: LazyLock<Signer> = LazyLock::new(Signer::new);

impl Signer {
    fn new() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        Self {
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
            key: RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap(),
            spki: rcgen::PublicKeyData::subject_public_key_info(&key),
        }
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> String {
        let text = STANDARD.encode(&self.spki);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// The public key as a key set.
    pub fn jwks(&self, kid: &str) -> String {
        let public = self.key.public_key();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        );
        json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": encode(n), "e": encode(e) }] })
            .to_string()
    }

    pub fn x5t_s256(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&digest::SHA256, &self.der))
    }

    pub fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der))
    }

    /// Signs with the algorithm that the header names.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_as(&URL_SAFE_NO_PAD, header, claims)
    }

    /// The same with `=` at the end of each part, as Microsoft's own library writes it.
    pub fn sign_padded(&self, header: &Value, claims: &Value) -> String {
        self.sign_as(&URL_SAFE, header, claims)
    }

    fn sign_as(&self, form: &GeneralPurpose, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| form.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let scheme = if header["alg"] == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(scheme, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", form.encode(signature))
    }
}
