//! Makes the simulator's certificate authority and its server certificate. Fresh ones at every start, unless an
//! authority was kept ([`crate::Settings::state`]), or somebody brings a server certificate of their own. Nothing is
//! written here.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::settings::ServerCertificate;
use crate::state::Authority;

/// Names every server certificate is valid for.
pub(crate) const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What a server needs to speak TLS, and a client to believe it.
pub(crate) struct Certificates {
    /// The authority: its certificate is for clients.
    pub(crate) authority: Authority,
    /// The TLS side of the server. HTTP/1.1 only, so that cutting a connection ends the requests on it.
    pub(crate) server: Arc<ServerConfig>,
}

/// Makes a server certificate for the simulator's own names and `extra` ones, under the kept authority or a new one.
pub(crate) fn make(extra: &[String], kept: Option<&Authority>) -> Result<Certificates> {
    let ca = authority_params()?;
    let (ca_key, authority) = if let Some(kept) = kept {
        let key = KeyPair::from_pem(&kept.key).context("the key in the state file cannot be used")?;
        (key, kept.clone())
    } else {
        let key = KeyPair::generate().context("cannot make the key of the certificate authority")?;
        let certificate = ca.self_signed(&key).context("cannot make the certificate authority")?.pem();
        let authority = Authority { certificate, key: key.serialize_pem() };
        (key, authority)
    };
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().context("cannot make the key of the server certificate")?;
    let params = server_params(extra)?;
    let certificate = params.signed_by(&key, &issuer).context("cannot sign the server certificate")?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

    Ok(Certificates { authority, server: Arc::new(server(vec![certificate.der().clone()], key)?) })
}

/// The TLS side of a server that shows a certificate of somebody else's making. Both in PEM.
pub(crate) fn with(certificate: &ServerCertificate) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context("the server certificate is no PEM")?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())
        .context("the key of the server certificate is no PEM")?;
    Ok(Arc::new(server(chain, key)?))
}

fn server(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig> {
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("cannot use the server certificate")?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "graph-simulator example authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Fixed dates: a simulator under a virtual clock must not meet an expired certificate.
    params.not_before = date_time_ymd(2017, 10, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}

fn server_params(extra: &[String]) -> Result<CertificateParams> {
    let mut names: Vec<String> = OWN_NAMES.iter().map(ToString::to_string).collect();
    for name in extra {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let mut params =
        CertificateParams::new(names).context("a --san is neither a host name nor an IP address")?;
    params.distinguished_name.push(DnType::CommonName, "graph-simulator");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2017, 10, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}
