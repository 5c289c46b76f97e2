//! What mail goes out by: routes through providers, signing keys, remembered policies of other domains.

pub(crate) mod read;
pub(crate) mod write;

use pillarbox_vocabulary::Timestamp;

use crate::engine::codec::{Cursor, FixedKey, Record, put_bytes};
use crate::engine::table::{ByText, tables};
use crate::ledger::detail::Detail;

tables! {
    /// What mail goes out by.
    Tables {
        /// Ways out through a provider, by destination domain; the empty name is for all others.
        routes: ByText<'e, Route>,
        /// Signing keys by `domain/selector`.
        keys: ByText<'e, SigningKey>,
        /// MTA-STS policies by domain.
        policies: ByText<'e, StsPolicy>,
    }
}

/// How a provider's server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteTls {
    /// TLS from the start (port 465, RFC 8314).
    Implicit,
    /// STARTTLS, and nothing without it (port 587).
    StartTls,
}

/// A way out through somebody else's server, for all mail or for one domain.
#[derive(Clone, PartialEq, Eq)]
pub struct Route {
    pub host: String,
    pub port: u16,
    pub tls: RouteTls,
    /// Empty: no login.
    pub user: String,
    /// The password, sealed with a key that is not in the store.
    pub sealed: Vec<u8>,
    /// Why nothing is sent this way for now; `None` when all is well.
    pub fault: Detail,
    /// When the fault was last reported to the owner.
    pub told_at: Timestamp,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Record for Route {
    /// Version 1 had a text for `fault`.
    const VERSION: u8 = 2;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.host.as_bytes());
        out.extend_from_slice(&self.port.to_be_bytes());
        out.push(match self.tls {
            RouteTls::Implicit => 0,
            RouteTls::StartTls => 1,
        });
        put_bytes(out, self.user.as_bytes());
        put_bytes(out, &self.sealed);
        self.fault.write(out);
        self.told_at.write(out);
    }
    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Route {
            host: octets.string()?,
            port: octets.u16()?,
            tls: match octets.u8()? {
                0 => RouteTls::Implicit,
                1 => RouteTls::StartTls,
                _ => return None,
            },
            user: octets.string()?,
            sealed: octets.bytes()?.to_vec(),
            fault: if version < 2 {
                Detail::of_attempt(octets.string()?)
            } else {
                Detail::read(octets)?
            },
            told_at: Timestamp::read(octets)?,
        })
    }
}

/// How a domain's mail is signed (RFC 6376, RFC 8463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    Ed25519,
}

/// A signing key of a domain; its row's key is `domain/selector`.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub kind: KeyKind,
    /// The private key in DER (PKCS #1 for RSA, PKCS #8 for Ed25519), sealed with a key that is not in the store.
    pub sealed: Vec<u8>,
    /// The public key as it is in the DNS record: base64 without line ends.
    pub public: String,
    pub created: Timestamp,
    /// Since when it signs no more; its record stays published for a while.
    pub retired: Option<Timestamp>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kind", &self.kind)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Record for SigningKey {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self.kind {
            KeyKind::Rsa => 0,
            KeyKind::Ed25519 => 1,
        });
        put_bytes(out, &self.sealed);
        put_bytes(out, self.public.as_bytes());
        self.created.write(out);
        self.retired.unwrap_or_default().write(out);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(SigningKey {
            kind: match octets.u8()? {
                0 => KeyKind::Rsa,
                1 => KeyKind::Ed25519,
                _ => return None,
            },
            sealed: octets.bytes()?.to_vec(),
            public: octets.string()?,
            created: Timestamp::read(octets)?,
            retired: Some(Timestamp::read(octets)?).filter(|&at| at != Timestamp(0)),
        })
    }
}

/// A domain's MTA-STS policy as it was fetched (RFC 8461 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// The `id` of the TXT record it came with.
    pub id: String,
    pub text: String,
    /// Until when it counts.
    pub expires: Timestamp,
}

impl Record for StsPolicy {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.id.as_bytes());
        put_bytes(out, self.text.as_bytes());
        self.expires.write(out);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(StsPolicy {
            id: octets.string()?,
            text: octets.string()?,
            expires: Timestamp::read(octets)?,
        })
    }
}

/// LMDB has no empty keys.
pub(crate) fn route_name(domain: &str) -> String {
    if domain.is_empty() { "*".into() } else { domain.into() }
}
