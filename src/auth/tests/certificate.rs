//! Assertions, checked with another implementation's eyes, and Secrets that hold no usable pair.

use base64::Engine as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::SecretString;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::auth::{CertificateError, ClientCertificate};

fn now() -> Timestamp {
    Timestamp::from_second(START).unwrap()
}

fn read(certificates: &str, key: &str) -> Result<ClientCertificate, CertificateError> {
    ClientCertificate::from_pem(&certificates.into(), &key.into(), now())
}

/// The same key as older tools write it.
fn pkcs1(key: &str) -> SecretString {
    let der = jsonwebtoken::EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_bytes());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n")).into()
}

#[tokio::test(start_paused = true)]
async fn the_assertion_is_what_entra_documents() {
    let pair = Pair::shared();
    let certificate = read(&pair.certificate.pem(), &pair.key.serialize_pem()).unwrap();
    let transport = scripted(|number, _| granted(number));
    let source = source(Credential::Certificate(Arc::new(certificate)), &transport);
    token(&source).await.unwrap();
    tokio::time::advance(Duration::from_hours(1)).await;
    token(&source).await.unwrap();

    let url = format!("{LOGIN}/{TENANT}/oauth2/v2.0/token");
    let mut ids = Vec::new();
    for (number, issued) in [(0, START), (1, START + 3600)] {
        let form = transport.form(number);
        assert_eq!(form["grant_type"], "client_credentials");
        let mut validation = Validation::new(Algorithm::PS256);
        validation.set_audience(&[&url]);
        validation.validate_exp = false;
        let (_, parsed) =
            x509_parser::certificate::X509Certificate::from_der(pair.certificate.der()).unwrap();
        let key = DecodingKey::from_rsa_der(&parsed.public_key().subject_public_key.data);
        let decoded = jsonwebtoken::decode::<Value>(&form["client_assertion"], &key, &validation).unwrap();
        let claims = decoded.claims;
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
        assert_eq!((&claims["nbf"], &claims["iat"]), (&json!(issued), &json!(issued)));
        assert_eq!(claims["exp"], json!(issued + 300));
        assert_eq!(decoded.header.typ.as_deref(), Some("JWT"));
        // SHA-256 of the DER form, by the hand of another library.
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.certificate.der());
        let thumbprint = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
        assert_eq!(decoded.header.x5t_s256.as_deref(), Some(thumbprint.as_str()));
        assert_eq!(decoded.header.x5t, None);
        ids.push(claims["jti"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

/// What stands in the assertion of a request.
fn claims(transport: &Scripted, number: usize) -> Value {
    let assertion = transport.form(number)["client_assertion"].clone();
    jsonwebtoken::dangerous::insecure_decode::<Value>(&assertion).unwrap().claims
}

#[tokio::test(start_paused = true)]
async fn the_assertion_follows_the_machine_whose_clock_was_corrected() {
    let pair = Pair::shared();
    let certificate = read(&pair.certificate.pem(), &pair.key.serialize_pem()).unwrap();
    let transport = scripted(|number, _| granted(number));
    let stepped = clock().with_wall(|| Timestamp::from_second(START + 7200).unwrap());
    let port = Arc::clone(&transport) as Arc<dyn Transport>;
    let credential = Credential::Certificate(Arc::new(certificate));
    let source = TokenSource::new((LOGIN, TENANT, GRAPH), CLIENT, credential, port, stepped);
    token(&source).await.unwrap();
    let claims = claims(&transport, 0);
    assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(START + 7200), &json!(START + 7500)));
}

#[test]
fn a_certificate_without_an_end_is_read() {
    let key = Pair::shared().key.serialize_pem();
    let mut parameters = rcgen::CertificateParams::default();
    // RFC 5280, 4.1.2.5: 99991231235959Z.
    parameters.not_after = rcgen::date_time_ymd(9999, 12, 31) + Duration::from_secs(24 * 3600 - 1);
    let certificate = parameters.self_signed(&rcgen::KeyPair::from_pem(&key).unwrap()).unwrap();
    assert_eq!(read(&certificate.pem(), &key).unwrap().not_after(), Timestamp::MAX);
}

#[test]
fn both_forms_of_the_key_and_a_chain_are_read() {
    let pair = Pair::shared();
    let other = Pair::new(rcgen::KeyPair::generate().unwrap(), 2030);
    let pkcs8 = pair.key.serialize_pem();
    let chain = format!("{}{}", pair.certificate.pem(), other.certificate.pem());
    for key in [pkcs8.as_str(), pkcs1(&pkcs8).expose_secret()] {
        let certificate = read(&chain, key).unwrap();
        assert_eq!(certificate.not_after().to_string(), "2030-01-01T00:00:00Z");
    }
}

#[test]
fn a_pair_that_cannot_be_used_is_told_apart() {
    let pair = Pair::shared();
    let (certificate, key) = (pair.certificate.pem(), pair.key.serialize_pem());
    let elliptic = Pair::new(rcgen::KeyPair::generate().unwrap(), 2030);
    let reversed = format!("{}{certificate}", elliptic.certificate.pem());
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let expired = Pair::new(rcgen::KeyPair::from_pem(&key).unwrap(), 2024);
    let end = Timestamp::from_second(1_704_067_200).unwrap();
    for (certificates, key, error) in [
        ("", key.as_str(), CertificateError::NoCertificate),
        (&key, &key, CertificateError::NoCertificate),
        (broken, &key, CertificateError::BadCertificate),
        (&certificate, "", CertificateError::NoKey),
        (&certificate, encrypted, CertificateError::NoKey),
        (&certificate, &certificate, CertificateError::NoKey),
        (&elliptic.certificate.pem(), &elliptic.key.serialize_pem(), CertificateError::NotRsa),
        (&elliptic.certificate.pem(), &key, CertificateError::NoPair),
        (&reversed, &key, CertificateError::NoPair),
        (&expired.certificate.pem(), &key, CertificateError::Expired(end)),
    ] {
        assert_eq!(read(certificates, key).unwrap_err(), error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_ends_while_it_is_in_use_is_not_shown_any_more() {
    let pair = Pair::shared();
    let certificate = read(&pair.certificate.pem(), &pair.key.serialize_pem()).unwrap();
    let transport = scripted(|number, _| granted(number));
    let source = source(Credential::Certificate(Arc::new(certificate)), &transport);
    tokio::time::advance(Duration::from_hours(24 * 365 * 6)).await;
    let error = token(&source).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("2030-01-01"), "{error}");
    assert_eq!(transport.count(), 0);
}
