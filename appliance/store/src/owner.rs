//! Values that belong to running the box: what the owner chose, ways back in, second factors, sign-ins, hours.

use std::net::IpAddr;

use crate::codec::{Cursor, FixedKey, Record, put_bytes, put_strings, put_varint};
use crate::key::AccountId;

/// A choice of the owner, as text; what it means is the business of whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(pub String);

impl Record for Setting {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.0.as_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        octets.string().map(Setting)
    }
}

/// A link with which somebody chooses a new password, once; its row's key is the hash of what stands in the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneTimeLink {
    pub account: AccountId,
    /// Seconds since 1970.
    pub expires: u64,
}

impl Record for OneTimeLink {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        out.extend_from_slice(&self.expires.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(OneTimeLink { account: AccountId::read(octets)?, expires: octets.u64()? })
    }
}

/// An account's second factor: a time-based code (RFC 6238).
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The shared secret, sealed with a key that is not in the store.
    pub sealed: Vec<u8>,
    /// Hashes of the recovery codes that were not used yet.
    pub recovery: Vec<String>,
    /// The time step of the last code taken: no code counts twice (RFC 6238 §5.2).
    pub last_step: u64,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("recovery", &self.recovery.len()).finish_non_exhaustive()
    }
}

impl Record for SecondFactor {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.sealed);
        put_strings(out, &self.recovery);
        out.extend_from_slice(&self.last_step.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(SecondFactor { sealed: octets.bytes()?.to_vec(), recovery: octets.strings()?, last_step: octets.u64()? })
    }
}

/// Sign-ins of an account in order of time; of several within a second the last one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignInKey {
    pub account: AccountId,
    /// Seconds since 1970.
    pub at: u64,
}

impl FixedKey for SignInKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.at.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(SignInKey { account: AccountId::read(octets)?, at: octets.u64()? })
    }
}

/// Somebody signed in, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub peer: IpAddr,
    /// `web`, `pop3`, `submission`.
    pub service: String,
    /// The device's name or what the browser calls itself.
    pub device: String,
    pub is_accepted: bool,
}

impl Record for SignIn {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        let octets = match self.peer {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        put_bytes(out, &octets);
        put_bytes(out, self.service.as_bytes());
        put_bytes(out, self.device.as_bytes());
        out.push(u8::from(self.is_accepted));
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let peer = octets.bytes()?;
        let v4 = || <[u8; 4]>::try_from(peer).map(IpAddr::from).ok();
        let v6 = || <[u8; 16]>::try_from(peer).map(IpAddr::from).ok();
        Some(SignIn { peer: v4().or_else(v6)?, service: octets.string()?, device: octets.string()?, is_accepted: octets.u8()? != 0 })
    }
}

/// What happened within an hour, and how things stood at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub delivered: u64,
    pub relayed: u64,
    pub refused: u64,
    pub bounced: u64,
    /// Recipients in the queue, and how long the oldest of them waits, in seconds.
    pub queued: u64,
    pub oldest: u64,
    /// Octets used on the data partition.
    pub disk: u64,
    /// The place in the ledger up to which was counted.
    pub ledger: u64,
}

impl Record for Hour {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for number in [self.delivered, self.relayed, self.refused, self.bounced, self.queued, self.oldest, self.disk, self.ledger] {
            put_varint(out, number);
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Hour {
            delivered: octets.varint()?,
            relayed: octets.varint()?,
            refused: octets.varint()?,
            bounced: octets.varint()?,
            queued: octets.varint()?,
            oldest: octets.varint()?,
            disk: octets.varint()?,
            ledger: octets.varint()?,
        })
    }
}
