//! TLS from the client's side: what a server's certificate must prove, by what is known of it.

use std::path::Path;
use std::sync::Arc;

use pillarbox_platform::dns::Tlsa;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::dane::{Accepts, Verifier};
use super::error::{Error, Result};

/// What TLS must prove to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS where it works, else plain: nothing is known of the host.
    Opportunistic,
    /// No TLS: it was offered and did not work, and nothing asks for it.
    Plain,
    /// TLS or nothing, with any certificate: the host says that it has TLS, in a way that proves nothing (RFC 7672
    /// §2.2).
    Encrypted,
    /// A certificate for the host's name from a known authority (MTA-STS, providers).
    Verified,
    /// The certificate that signed DNS records name (DANE).
    Dane(Vec<Tlsa>),
}

impl Security {
    /// Whether it proves who the host is.
    pub fn is_proof(&self) -> bool {
        matches!(self, Security::Verified | Security::Dane(_))
    }
}

/// The configurations, made once.
pub struct ClientTls {
    provider: Arc<CryptoProvider>,
    verified: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts the authorities that browsers trust, and those of a PEM file if one is given.
    pub fn new(further_roots: &Path) -> Result<ClientTls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if !further_roots.as_os_str().is_empty() {
            let fail = |e: &dyn std::fmt::Display| Error::Roots {
                path: further_roots.to_path_buf(),
                why: e.to_string(),
            };
            let known = roots.len();
            for certificate in CertificateDer::pem_file_iter(further_roots).map_err(|e| fail(&e))? {
                roots.add(certificate.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
            }
            if roots.len() == known {
                return Err(fail(&"no certificate in it"));
            }
        }
        let verified = builder(&provider)?.with_root_certificates(roots).with_no_client_auth();
        let any = accepting(&provider, Accepts::Any)?;
        Ok(ClientTls { verified: Arc::new(verified), any, provider })
    }

    /// The configuration for verified connections.
    pub fn verified(&self) -> Arc<ClientConfig> {
        self.verified.clone()
    }

    /// The configuration that proves what must be proven.
    pub fn config(&self, security: &Security) -> Result<Arc<ClientConfig>> {
        match security {
            Security::Opportunistic | Security::Plain | Security::Encrypted => Ok(self.any.clone()),
            Security::Verified => Ok(self.verified.clone()),
            Security::Dane(records) => accepting(&self.provider, Accepts::Named(records.clone())),
        }
    }
}

fn builder(provider: &Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(provider.clone());
    builder.with_safe_default_protocol_versions().map_err(Error::failed("setting TLS up"))
}

/// A configuration with a verifier of our own.
fn accepting(provider: &Arc<CryptoProvider>, accepts: Accepts) -> Result<Arc<ClientConfig>> {
    let verifier = Arc::new(Verifier { accepts, provider: provider.clone() });
    Ok(Arc::new(
        builder(provider)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
    ))
}
