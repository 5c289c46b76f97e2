//! What a certificate says: its names, its issuer, its time.

use pillarbox_vocabulary::Timestamp;
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::{Error, Result};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// DNS names among its alternative names (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    /// Organisation of the issuer, else its common name; empty where there is neither.
    pub issuer: String,
    pub starts: Timestamp,
    pub ends: Timestamp,
    /// Issued by the name it is for.
    pub is_self_signed: bool,
    /// SHA-256 over the certificate, in hex with colons: what a browser shows.
    pub fingerprint: String,
}

impl Facts {
    /// Whether a name is one of the certificate's (RFC 6125 §6.4).
    pub fn names(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => {
                host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix))
            }
            None => name.eq_ignore_ascii_case(host),
        })
    }

    /// Whether other servers believe it, for this name at this time.
    pub fn is_believed(&self, host: &str, now: Timestamp) -> bool {
        !self.is_self_signed && self.ends > now && self.names(host)
    }
}

/// Reads a certificate.
pub(super) fn facts(der: &CertificateDer) -> Result<Facts> {
    let (_, certificate) = X509Certificate::from_der(der)
        .map_err(|e| Error::NotACertificate { why: e.to_string() })?;
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| &extension.value.general_names);
    let name = |name: &GeneralName| match name {
        GeneralName::DNSName(name) => Some(name.to_string()),
        _ => None,
    };
    let moment =
        |time: x509_parser::time::ASN1Time| Timestamp(u64::try_from(time.timestamp()).unwrap_or(0));
    let issuer = certificate.issuer();
    let organisation =
        issuer.iter_organization().chain(issuer.iter_common_name()).find_map(|o| o.as_str().ok());
    let fingerprint = Sha256::digest(der)
        .iter()
        .map(|octet| format!("{octet:02X}"))
        .collect::<Vec<_>>()
        .join(":");
    Ok(Facts {
        names: names.map(|names| names.iter().filter_map(name).collect()).unwrap_or_default(),
        issuer: organisation.unwrap_or_default().to_string(),
        starts: moment(certificate.validity().not_before),
        ends: moment(certificate.validity().not_after),
        is_self_signed: certificate.issuer() == certificate.subject(),
        fingerprint,
    })
}
