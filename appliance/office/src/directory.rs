//! The people of the box: how one is added, and which passwords are good enough.
//! Pages, set-up file and command line add people and set passwords by these functions only.

use pillarbox_store::{AddAccount, MailboxPolicy, Store};
use pillarbox_vocabulary::{Address, Timestamp};

use crate::auth::hash;

/// What becomes of mail that programs deleted, unless somebody says otherwise: it moves to Trash after so many days.
pub const USUAL_POLICY: MailboxPolicy = MailboxPolicy::TrashAfter { days: USUAL_DAYS };
pub const USUAL_DAYS: u16 = 30;
/// Characters of a person's name that are kept.
const NAME: usize = 100;

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// Made here: to be shown once to whoever it is for.
    Made,
    /// Somebody chose it.
    Chosen(String),
    /// The hash of an export.
    Hashed(String),
}

/// Why a password can't be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has fewer characters than [`hash::SHORTEST`].
    TooShort,
    /// It is no hash of an export.
    NoHash,
    /// The system failed at it.
    Failed(String),
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unusable::TooShort => {
                write!(f, "the password needs at least {} characters", hash::SHORTEST)
            }
            Unusable::NoHash => f.write_str("this is no password_hash of an export"),
            Unusable::Failed(why) => f.write_str(why),
        }
    }
}

impl From<Unusable> for pillarbox_store::Error {
    fn from(unusable: Unusable) -> Self {
        pillarbox_store::Error::Invalid { why: unusable.to_string() }
    }
}

impl Password {
    /// A password that somebody chose, if it is good enough.
    /// Costs nothing.
    pub fn chosen(text: impl Into<String>) -> Result<Password, Unusable> {
        let text = text.into();
        if text.chars().count() < hash::SHORTEST {
            Err(Unusable::TooShort)
        } else {
            Ok(Password::Chosen(text))
        }
    }

    /// A hash as `settings export` writes it.
    pub fn hashed(text: impl Into<String>) -> Result<Password, Unusable> {
        let text = text.into();
        if text.starts_with("$argon2id$") {
            Ok(Password::Hashed(text))
        } else {
            Err(Unusable::NoHash)
        }
    }

    /// What is stored of it.
    /// Blocks for a noticeable time.
    pub fn prepare(self) -> Result<Prepared, Unusable> {
        let (text, made) = match self {
            Password::Hashed(hash) => return Ok(Prepared { hash, made: None }),
            Password::Chosen(text) => (text, false),
            Password::Made => {
                (hash::generate().map_err(|error| Unusable::Failed(error.to_string()))?, true)
            }
        };
        let hash = hash::password(&text).map_err(|error| Unusable::Failed(error.to_string()))?;
        Ok(Prepared { hash, made: made.then_some(text) })
    }
}

/// A password ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub hash: String,
    /// The password itself where it was made here, to be shown once.
    pub made: Option<String>,
}

/// The change that adds a person with a mailbox.
/// The store refuses it where the address is taken, or its domain none of ours.
pub fn person(
    address: &Address,
    name: &str,
    password: &Prepared,
    policy: MailboxPolicy,
    at: Timestamp,
) -> AddAccount {
    AddAccount {
        address: address.canonical(),
        name: clean_name(name),
        hash: password.hash.clone(),
        policy,
        at,
    }
}

/// The domain that is meant where none is typed; empty where there is none.
pub async fn first_domain(store: &Store) -> String {
    let domains = store.read_off_thread(|r| r.domains()).await.unwrap_or_default();
    domains.into_iter().next().unwrap_or_default()
}

/// A name as it is kept: one line of at most [`NAME`] characters.
pub fn clean_name(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_enough_or_refused() {
        assert_eq!(Password::chosen("123456789"), Err(Unusable::TooShort));
        assert_eq!(
            Password::chosen("äöüäöüäöü"),
            Err(Unusable::TooShort),
            "characters count, not octets"
        );
        assert!(Password::chosen("äöüäöüäöüä").is_ok());
        assert_eq!(Password::hashed("5f4dcc3b5aa765d61d8327deb882cf99"), Err(Unusable::NoHash));
        let made = Password::Made.prepare().unwrap();
        assert!(hash::matches(&made.hash, &made.made.unwrap()));
        let chosen = Password::chosen("a short sentence").unwrap().prepare().unwrap();
        assert!(chosen.made.is_none() && hash::matches(&chosen.hash, "a short sentence"));
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(clean_name(" Ann\r\nBcc: x@y.test\0 "), "AnnBcc: x@y.test");
        assert_eq!(clean_name(&"ü".repeat(300)).chars().count(), NAME);
    }
}
