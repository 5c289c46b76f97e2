//! The proof that an authority asks for over TLS (RFC 8737).

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert, WantsServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ConfigBuilder, ServerConfig};
use rustls_pki_types::PrivateKeyDer;

use crate::error::{Error, Result};

/// The protocol with which an authority asks for its proof (RFC 8737 §4).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers with the proof when that is asked for, with the usual certificate else.
#[derive(Debug)]
struct Proof {
    proof: Arc<CertifiedKey>,
    usual: Arc<ServerConfig>,
}

impl ResolvesServerCert for Proof {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks = hello.alpn().is_some_and(|mut protocols| protocols.any(|p| p == ACME_TLS));
        if asks { Some(self.proof.clone()) } else { self.usual.cert_resolver.resolve(hello) }
    }
}

/// What connections get while an authority asks for a proof about `name`; `base` is without certificates yet.
pub(super) fn proof_config(
    base: ConfigBuilder<ServerConfig, WantsServerCert>,
    name: &str,
    digest: &[u8],
    usual: Arc<ServerConfig>,
) -> Result<Arc<ServerConfig>> {
    const MAKING: &str = "making the proof";
    let mut params =
        rcgen::CertificateParams::new(vec![name.to_string()]).map_err(Error::failed(MAKING))?;
    params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
    let key = rcgen::KeyPair::generate().map_err(Error::failed(MAKING))?;
    let certificate = params.self_signed(&key).map_err(Error::failed(MAKING))?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(Error::failed(MAKING))?;
    let signing =
        rustls::crypto::ring::sign::any_supported_type(&private).map_err(Error::failed(MAKING))?;
    let proof = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing));
    let mut config = base.with_cert_resolver(Arc::new(Proof { proof, usual }));
    config.alpn_protocols = vec![ACME_TLS.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
