//! The keys and certificates of one control plane: an authority, the API server's certificate, and the key pair that
//! signs tokens of service accounts. The API server could generate its own certificate, but then the order in which
//! files appear would matter, and not every TLS client takes a self-signed leaf as its root.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::write_private;

/// Names that clients may call the API server by.
const SERVER_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "kubernetes.default.svc"];

/// Writes `server.crt`, `server.key`, `service-accounts.key` and `service-accounts.pub` into `folder` and gives the
/// authority as PEM. The authority's own key is kept nowhere.
pub(super) fn write(folder: &Path) -> Result<String> {
    let authority = authority().context("cannot generate a certificate authority")?;
    let (certificate, key) = server(&authority).context("cannot generate the API server's certificate")?;
    let tokens = KeyPair::generate().context("cannot generate the key that signs tokens")?;
    write_private(&folder.join("server.crt"), &certificate)?;
    write_private(&folder.join("server.key"), &key)?;
    write_private(&folder.join("service-accounts.key"), &tokens.serialize_pem())?;
    write_private(&folder.join("service-accounts.pub"), &tokens.public_key_pem())?;
    Ok(authority.pem())
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "edusync test control plane");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn server(authority: &CertifiedIssuer<'static, KeyPair>) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(SERVER_NAMES.map(String::from))?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
