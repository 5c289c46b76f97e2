//! Who is signed in and how: browsers, links for new passwords, second factors, the last sign-ins.

pub(crate) mod read;
pub(crate) mod write;

use std::net::IpAddr;

use pillarbox_vocabulary::Timestamp;

use crate::engine::codec::{Cursor, FixedKey, Record, put_bytes, put_strings};
use crate::engine::table::{ByText, Keyed, tables};
use crate::ids::AccountId;
use crate::ledger::Service;

tables! {
    /// Who is signed in, and the ways back in.
    Tables {
        /// Signed-in browsers by the hash of their token.
        sessions: ByText<'e, WebSession>,
        /// Links for new passwords by the hash of what they contain.
        links: ByText<'e, OneTimeLink>,
        factors: Keyed<'e, AccountId, SecondFactor>,
        /// The last sign-ins of each account.
        sign_ins: Keyed<'e, SignInKey, SignIn>,
    }
}

/// A signed-in browser; its row's key is the hash of the token in its cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSession {
    pub account: AccountId,
    /// Must come back with every form.
    pub form_token: String,
    pub created: Timestamp,
    pub seen: Timestamp,
    /// What the browser called itself, shortened.
    pub agent: String,
}

impl std::fmt::Debug for WebSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSession")
            .field("account", &self.account)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Record for WebSession {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        put_bytes(out, self.form_token.as_bytes());
        self.created.write(out);
        self.seen.write(out);
        put_bytes(out, self.agent.as_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(WebSession {
            account: AccountId::read(octets)?,
            form_token: octets.string()?,
            created: Timestamp::read(octets)?,
            seen: Timestamp::read(octets)?,
            agent: octets.string()?,
        })
    }
}

/// A link with which a person chooses a new password, once; its row's key is the hash of what the link contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OneTimeLink {
    pub account: AccountId,
    pub expires: Timestamp,
}

impl Record for OneTimeLink {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.expires.write(out);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(OneTimeLink { account: AccountId::read(octets)?, expires: Timestamp::read(octets)? })
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
        f.debug_struct("SecondFactor")
            .field("recovery", &self.recovery.len())
            .finish_non_exhaustive()
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
        Some(SecondFactor {
            sealed: octets.bytes()?.to_vec(),
            recovery: octets.strings()?,
            last_step: octets.u64()?,
        })
    }
}

/// Sign-ins of an account in order of time; of several within a second the last one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignInKey {
    pub account: AccountId,
    pub at: Timestamp,
}

impl FixedKey for SignInKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.at.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(SignInKey { account: AccountId::read(octets)?, at: Timestamp::read(octets)? })
    }
}

/// Somebody signed in, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    pub peer: IpAddr,
    /// What it was for.
    pub service: Service,
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
        put_bytes(out, self.service.as_str().as_bytes());
        put_bytes(out, self.device.as_bytes());
        out.push(u8::from(self.is_accepted));
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let peer = octets.bytes()?;
        let v4 = || <[u8; 4]>::try_from(peer).map(IpAddr::from).ok();
        let v6 = || <[u8; 16]>::try_from(peer).map(IpAddr::from).ok();
        Some(SignIn {
            peer: v4().or_else(v6)?,
            service: Service::of(&octets.string()?).unwrap_or(Service::Box),
            device: octets.string()?,
            is_accepted: octets.u8()? != 0,
        })
    }
}
