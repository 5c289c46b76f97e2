//! An authority of the tests' own, and a world that trusts it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::world::{World, host};
use super::zone::Zone;

/// An authority of the tests' own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn self_signed() -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    /// A server's TLS for a name, and the digest of its public key.
    pub fn server(&self, name: &str) -> (Arc<ServerConfig>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_string()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let digest = Sha256::digest(key.subject_public_key_info()).to_vec();
        let chain: Vec<CertificateDer> = vec![certificate.der().clone()];
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        (Arc::new(config.with_no_client_auth().with_single_cert(chain, private).unwrap()), digest)
    }
}

/// A world that trusts an authority, and the TLS of a server with a certificate of it.
pub async fn world_with_authority(name: &str) -> (World, Arc<ServerConfig>) {
    let (world, authority) = trusting(Zone::plain()).await;
    (world, authority.server(name).0)
}

/// A world that trusts an authority.
pub async fn trusting(zone: Zone) -> (World, Authority) {
    let authority = Authority::self_signed();
    let pem = authority.issuer.pem();
    let https = std::net::TcpListener::bind((host(200), 0)).unwrap().local_addr().unwrap().port();
    let world = World::with(zone, |config| {
        let path = config.data.with_extension("roots");
        std::fs::write(&path, pem).unwrap();
        (config.outbound.roots, config.outbound.https_port) = (path, https);
    });
    (world.await, authority)
}
