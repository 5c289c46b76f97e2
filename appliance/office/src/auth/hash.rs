//! Passwords as they are stored.

use std::sync::Mutex;

use argon2::password_hash::{Output, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A hash that nothing matches, for user names that don't exist: same parameters as real ones.
pub const DECOY: &str = "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Fewest characters of a password that somebody chooses.
pub const SHORTEST: usize = 10;

/// What fails when a password can't be made into what is stored.
const HASHING: &str = "hashing a password";

/// Letters and digits that can't be mistaken for one another when typed from a screen.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

fn argon2() -> Argon2<'static> {
    // 7 MiB and five passes: of OWASP's equally strong choices the one with the least memory, for a board that has 512
    // MB for everything.
    let params = Params::new(7_168, 5, 1, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a chosen password.
/// Takes 7 MiB and a noticeable time.
pub fn password(password: &str) -> Result<String> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(Error::no_random_numbers)?;
    let text = SaltString::encode_b64(&salt).map_err(Error::failed(HASHING))?;
    let (argon2, mut found) = (argon2(), [0u8; Params::DEFAULT_OUTPUT_LEN]);
    WORKSPACES.hash(&argon2, password, &salt, &mut found).map_err(Error::failed(HASHING))?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: argon2.params().try_into().map_err(Error::failed(HASHING))?,
        salt: Some(text.as_salt()),
        hash: Some(Output::new(&found).map_err(Error::failed(HASHING))?),
    };
    Ok(hash.to_string())
}

/// True when the password matches a PHC string.
/// Takes 7 MiB and a noticeable time.
pub fn matches(stored: &str, password: &str) -> bool {
    computed(stored, password).is_some_and(|(wanted, found)| constant_time_equal(&wanted, &found))
}

/// The hash that is stored, and that of the password typed; `None` where the PHC string can't be read.
fn computed(stored: &str, password: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let parsed = PasswordHash::new(stored).ok()?;
    let (wanted, salt) = (parsed.hash?, parsed.salt?);
    let mut octets = [0u8; 64];
    let salt = salt.decode_b64(&mut octets).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    let mut found = vec![0; wanted.len()];
    let algorithm = Algorithm::try_from(parsed.algorithm).ok()?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    WORKSPACES.hash(&argon2, password, salt, &mut found).ok()?;
    Some((wanted.as_bytes().to_vec(), found))
}

/// Memory that passwords are hashed in, used again: as many pieces as checks ran at once.
/// A check that takes fresh memory leaves 7 MiB behind in each thread that ran one.
struct Workspaces(Mutex<Vec<Vec<Block>>>);

static WORKSPACES: Workspaces = Workspaces(Mutex::new(Vec::new()));

impl Workspaces {
    /// Hashes a password in one of them.
    fn hash(
        &self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
        found: &mut [u8],
    ) -> argon2::Result<()> {
        let mut blocks = self.take(argon2.params().block_count());
        let hashed =
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, found, &mut blocks);
        self.give_back(blocks);
        hashed
    }

    fn take(&self, blocks: usize) -> Vec<Block> {
        let kept = self.0.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut workspace = kept.unwrap_or_default();
        workspace.resize(blocks, Block::default());
        workspace
    }

    fn give_back(&self, workspace: Vec<Block>) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(workspace);
    }
}

/// Gives the memory of password checks back to the system.
/// Housekeeping calls this now and then.
pub fn release_memory() {
    WORKSPACES.0.lock().unwrap_or_else(|e| e.into_inner()).clear();
}

/// The stored form of a device password.
/// Those are random with 80 bits, so one round of SHA-256 is enough and logging in with one costs nothing.
/// Case, spaces and dashes don't matter.
pub fn device(password: &str) -> String {
    let typed: String =
        password.chars().filter(|c| !matches!(c, '-' | ' ')).flat_map(char::to_lowercase).collect();
    let digest = Sha256::new().chain_update(b"pillarbox device\0").chain_update(typed).finalize();
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("sha256:{hex}")
}

/// Compares two stored hashes in constant time.
pub fn equal(a: &str, b: &str) -> bool {
    constant_time_equal(a.as_bytes(), b.as_bytes())
}

fn constant_time_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (x, y)| differing | (x ^ y)) == 0
}

/// A new random password of 80 bits in groups of four: `k7pq-2mzw-h9ce-r4tx`.
pub fn generate() -> Result<String> {
    let mut octets = [0u8; 16];
    getrandom::fill(&mut octets).map_err(Error::no_random_numbers)?;
    let letters: Vec<char> = octets.iter().map(|o| ALPHABET[usize::from(o % 32)] as char).collect();
    Ok(letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_match_only_themselves() {
        let stored = password("correct horse").unwrap();
        assert!(matches(&stored, "correct horse"));
        assert!(!matches(&stored, "correct horse "));
        assert!(!matches(DECOY, ""));
        assert!(!matches("rubbish", "rubbish"));
        let parameters = |phc: &str| phc.split('$').nth(3).map(str::to_string);
        assert_eq!(parameters(&stored), parameters(DECOY));
    }

    #[test]
    fn device_passwords_forgive_how_they_are_typed() {
        let made = generate().unwrap();
        assert_eq!(made.len(), 19);
        assert!(equal(&device(&made), &device(&made.to_uppercase().replace('-', " "))));
        assert!(!equal(&device(&made), &device(&generate().unwrap())));
    }
}
