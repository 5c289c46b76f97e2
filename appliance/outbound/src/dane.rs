//! DANE for SMTP (RFC 7672): the server's certificate is the one its signed DNS zone names.

use std::sync::Arc;

use pillarbox_platform::dns::Tlsa;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256, Sha512};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Records that can be used for mail (RFC 7672 §3.1.1, §3.1.3).
pub fn usable(records: Vec<Tlsa>) -> Vec<Tlsa> {
    let fits = |r: &Tlsa| match r.matching {
        0 => !r.data.is_empty(),
        1 => r.data.len() == 32,
        2 => r.data.len() == 64,
        _ => false,
    };
    records.into_iter().filter(|r| matches!(r.usage, 2 | 3) && r.selector <= 1 && fits(r)).collect()
}

/// Which certificates are accepted without an authority that browsers trust.
#[derive(Debug)]
pub enum Accepts {
    /// What the records name, and nothing else.
    Named(Vec<Tlsa>),
    /// Every one: encryption against listeners, without knowing with whom (RFC 7435).
    /// For servers that say nothing about their certificates, where the alternative is no encryption at all.
    Any,
}

/// Accepts certificates by that.
#[derive(Debug)]
pub struct Verifier {
    pub accepts: Accepts,
    pub provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn matches(record: &Tlsa, certificate: &CertificateDer) -> bool {
        let spki;
        let data: &[u8] = match record.selector {
            0 => certificate,
            _ => match EndEntityCert::try_from(certificate) {
                Ok(parsed) => {
                    spki = parsed.subject_public_key_info();
                    &spki
                }
                Err(_) => return false,
            },
        };
        match record.matching {
            0 => data == record.data,
            1 => Sha256::digest(data)[..] == record.data[..],
            _ => Sha512::digest(data)[..] == record.data[..],
        }
    }

    /// Usage 2: a certificate of the chain is the anchor, and the names must fit (RFC 7672 §3.1.2).
    fn is_below_anchor(
        &self,
        record: &Tlsa,
        end_entity: &CertificateDer,
        intermediates: &[CertificateDer],
        name: &ServerName,
        now: UnixTime,
    ) -> bool {
        let Ok(parsed) = EndEntityCert::try_from(end_entity) else { return false };
        intermediates.iter().filter(|anchor| Self::matches(record, anchor)).any(|anchor| {
            let Ok(anchor) = anchor_from_trusted_cert(anchor) else { return false };
            let (algorithms, anchors) =
                (self.provider.signature_verification_algorithms.all, [anchor]);
            let chain = parsed.verify_for_usage(
                algorithms,
                &anchors,
                intermediates,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            );
            chain.is_ok() && parsed.verify_is_valid_for_subject_name(name).is_ok()
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Accepts::Named(records) = &self.accepts else {
            return Ok(ServerCertVerified::assertion());
        };
        let is_named = records.iter().any(|record| match record.usage {
            // Usage 3: neither names nor dates matter (RFC 7672 §3.1.1).
            3 => Self::matches(record, end_entity),
            _ => self.is_below_anchor(record, end_entity, intermediates, server_name, now),
        });
        match is_named {
            true => Ok(ServerCertVerified::assertion()),
            false => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
