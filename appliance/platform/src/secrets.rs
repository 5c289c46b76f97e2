//! Secrets at rest: sealed with a key that is beside the store, not in it.
//! A copy of the store's file alone (a backup gone astray, a support ticket) gives no password away.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::error::{Error, Result};

/// Octets of the key.
const KEY_OCTETS: usize = 32;

/// Seals and opens.
pub struct Secrets {
    key: LessSafeKey,
}

impl Secrets {
    /// Reads the key in the data folder, making it at the first time.
    pub fn open(data: &Path) -> Result<Secrets> {
        let path = data.join("secret.key");
        let fail = Error::file("", &path);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(data).map_err(&fail)?;
                let mut octets = vec![0; KEY_OCTETS];
                getrandom::fill(&mut octets).map_err(no_random)?;
                // Made whole under another name, then linked: of two makers at once the first one wins.
                let part = data.join(format!("secret.{}.part", std::process::id()));
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&part)
                    .map_err(&fail)?;
                file.write_all(&octets).and_then(|()| file.sync_all()).map_err(&fail)?;
                let linked = fs::hard_link(&part, &path);
                fs::remove_file(&part).map_err(&fail)?;
                match linked {
                    Ok(()) => octets,
                    Err(_) => fs::read(&path).map_err(&fail)?,
                }
            }
            Err(e) => return Err(fail(e)),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &octets).map_err(|_| {
            Error::file("", &path)(format!(
                "not a key of {KEY_OCTETS} octets; restore it from a backup"
            ))
        })?;
        Ok(Secrets { key: LessSafeKey::new(key) })
    }

    /// Seals a secret; `purpose` must be the same when it is opened.
    pub fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(no_random)?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose),
                &mut sealed,
            )
            .map_err(|_| Error::Sealing)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for the same purpose; the error says what to do when the key has changed.
    pub fn open_sealed(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Error::WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::WrongKey)?;
        let mut rest = rest.to_vec();
        let secret = self
            .key
            .open_in_place(nonce, Aad::from(purpose), &mut rest)
            .map_err(|_| Error::WrongKey)?;
        Ok(secret.to_vec())
    }
}

fn no_random(why: getrandom::Error) -> Error {
    Error::NoRandomNumbers { why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_open_with_their_key_and_purpose_only() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secrets = Secrets::open(ours.path()).unwrap();
        let sealed = secrets.seal("route", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        let again = Secrets::open(ours.path()).unwrap();
        assert_eq!(again.open_sealed("route", &sealed).unwrap(), b"hunter2");
        assert!(again.open_sealed("dkim", &sealed).is_err());
        assert!(Secrets::open(other.path()).unwrap().open_sealed("route", &sealed).is_err());
        assert!(again.open_sealed("route", b"short").is_err());
        fs::write(other.path().join("secret.key"), "short").unwrap();
        assert!(Secrets::open(other.path()).is_err());
    }
}
