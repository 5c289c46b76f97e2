//! Values of the directory tables: accounts, credentials, domains, addresses.

use crate::codec::{Cursor, FixedKey, Record, put_bytes, put_strings};
use crate::key::AccountId;

/// The part of an address behind its last `@` (RFC 5321 §2.3.11); empty where there is none.
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What happens to mail that POP3 devices have deleted from their view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxPolicy {
    /// Nothing: a deletion hides the message from that device only.
    Keep,
    /// It moves to Trash this many days after the first device deleted it.
    TrashAfter { days: u16 },
    /// It is deleted for good once every device has deleted it.
    DeleteWhenAll,
}

/// An account: a mailbox with an address to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The full address in canonical form: also the user name.
    pub address: String,
    /// The person's name; may be empty.
    pub name: String,
    /// Seconds since 1970.
    pub created: u64,
    pub policy: MailboxPolicy,
    /// The next device number to give out; numbers are never reused.
    pub next_device: u16,
    /// The next folder number to give out.
    pub next_folder: u32,
}

impl Record for Account {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.address.as_bytes());
        put_bytes(out, self.name.as_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
        let (kind, days) = match self.policy {
            MailboxPolicy::Keep => (0, 0),
            MailboxPolicy::TrashAfter { days } => (1, days),
            MailboxPolicy::DeleteWhenAll => (2, 0),
        };
        out.push(kind);
        out.extend_from_slice(&u16::to_be_bytes(days));
        out.extend_from_slice(&self.next_device.to_be_bytes());
        out.extend_from_slice(&self.next_folder.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Account {
            address: octets.string()?,
            name: octets.string()?,
            created: octets.u64()?,
            policy: match (octets.u8()?, octets.u16()?) {
                (0, _) => MailboxPolicy::Keep,
                (1, days) => MailboxPolicy::TrashAfter { days },
                (2, _) => MailboxPolicy::DeleteWhenAll,
                _ => return None,
            },
            next_device: octets.u16()?,
            next_folder: octets.u32()?,
        })
    }
}

/// A way to log in to an account. The password itself is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The person's name for the device; empty for the account's own password.
    pub label: String,
    /// A PHC string (`$argon2id$…`) or `sha256:` with 64 hex digits for a random device password.
    pub hash: String,
    /// Seconds since 1970.
    pub created: u64,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Record for Credential {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.label.as_bytes());
        put_bytes(out, self.hash.as_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Credential { label: octets.string()?, hash: octets.string()?, created: octets.u64()? })
    }
}

/// A domain the box accepts mail for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRecord {
    /// Seconds since 1970.
    pub created: u64,
}

impl Record for DomainRecord {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.created.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(DomainRecord { created: octets.u64()? })
    }
}

/// What an address stands for. The catch-all of a domain is the address `@domain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressTarget {
    /// The mailbox of one account.
    Account(AccountId),
    /// Other addresses, in canonical form.
    Alias(Vec<String>),
}

impl Record for AddressTarget {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            AddressTarget::Account(account) => {
                out.push(0);
                account.write(out);
            }
            AddressTarget::Alias(targets) => {
                out.push(1);
                put_strings(out, targets);
            }
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        match octets.u8()? {
            0 => AccountId::read(octets).map(AddressTarget::Account),
            1 => octets.strings().map(AddressTarget::Alias),
            _ => None,
        }
    }
}

/// A signed-in browser; its row's key is the hash of the token in its cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct WebSession {
    pub account: AccountId,
    /// Must come back with every form.
    pub form_token: String,
    /// Seconds since 1970.
    pub created: u64,
    pub seen: u64,
    /// What the browser called itself, shortened.
    pub agent: String,
}

impl std::fmt::Debug for WebSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSession").field("account", &self.account).field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Record for WebSession {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        put_bytes(out, self.form_token.as_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.seen.to_be_bytes());
        put_bytes(out, self.agent.as_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(WebSession {
            account: AccountId::read(octets)?,
            form_token: octets.string()?,
            created: octets.u64()?,
            seen: octets.u64()?,
            agent: octets.string()?,
        })
    }
}
