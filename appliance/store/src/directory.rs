//! Who has a mailbox here: accounts, credentials, domains, addresses.

pub(crate) mod read;
pub(crate) mod write;

use pillarbox_vocabulary::Timestamp;
use pillarbox_vocabulary::text::one_line;

use crate::engine::codec::{Cursor, FixedKey, Record, put_bytes, put_strings};
use crate::engine::table::{ByText, Keyed, tables};
use crate::ids::{AccountId, DeviceKey};

tables! {
    /// Who has a mailbox here.
    Tables {
        accounts: Keyed<'e, AccountId, Account>,
        credentials: Keyed<'e, DeviceKey, Credential>,
        /// By lowercased domain name.
        domains: ByText<'e, DomainRecord>,
        /// By canonical address, or `@domain` for a catch-all.
        addresses: ByText<'e, AddressTarget>,
    }
}

/// The part of an address behind its last `@` (RFC 5321 §2.3.11); empty where there is none.
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Characters of a name that are kept.
const NAME_CHARS: usize = 200;

/// A name that people gave (of a person, a device, a folder), fit for header fields, lists and terminals: on one line,
/// without control characters and marks that turn the writing direction, blanks in runs as one.
pub fn clean_name(name: &str) -> String {
    let text = one_line(name);
    let text: String =
        text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    text.trim().chars().take(NAME_CHARS).collect()
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
    pub created: Timestamp,
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
        self.created.write(out);
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
            // Older releases took whatever was typed in.
            name: clean_name(&octets.string()?),
            created: Timestamp::read(octets)?,
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

/// A way to log in to an account.
/// The password itself is never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The person's name for the device; empty for the account's own password.
    pub label: String,
    /// A PHC string (`$argon2id$…`) or `sha256:` with 64 hex digits for a random device password.
    pub hash: String,
    pub created: Timestamp,
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
        self.created.write(out);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Credential {
            label: octets.string()?,
            hash: octets.string()?,
            created: Timestamp::read(octets)?,
        })
    }
}

/// A domain the box accepts mail for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRecord {
    pub created: Timestamp,
}

impl Record for DomainRecord {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.created.write(out);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(DomainRecord { created: Timestamp::read(octets)? })
    }
}

/// What an address stands for.
/// The catch-all of a domain is the address `@domain`.
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

/// Prefix of the marks for accounts whose mail is still to be deleted.
pub(crate) const PURGE: &str = "purge:";

#[cfg(test)]
mod name_tests {
    use super::*;

    #[test]
    fn names_stay_on_one_line() {
        let table = [
            ("Ann Lee", "Ann Lee"),
            ("Ann\r\nBcc: evil@x.test", "Ann Bcc: evil@x.test"),
            ("  Ann \t\0  Lee\n", "Ann Lee"),
            ("Jörg\u{2028}Müller\u{85}", "Jörg Müller"),
            ("\u{202e}nnA", "nnA"),
            ("李 明", "李 明"),
            ("\r\n", ""),
        ];
        for (typed, kept) in table {
            assert_eq!(clean_name(typed), kept, "{typed:?}");
        }
        assert_eq!(clean_name(&"ü".repeat(1000)).chars().count(), NAME_CHARS);
    }
}
