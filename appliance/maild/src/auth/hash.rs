//! Passwords as they are stored.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};

/// A hash that nothing matches, for user names that don't exist: same parameters as real ones.
pub const DECOY: &str = "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Fewest characters of a password that somebody chooses.
pub const SHORTEST: usize = 10;

/// Letters and digits that can't be mistaken for one another when typed from a screen.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

fn argon2() -> Argon2<'static> {
    // 7 MiB and five passes: of OWASP's equally strong choices the one with the least memory, for a
    // board that has 512 MB for everything.
    let params = Params::new(7_168, 5, 1, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a chosen password. Takes 7 MiB and a noticeable time.
pub fn password(password: &str) -> Result<String, String> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(|e| format!("the system gave no random numbers: {e}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| e.to_string())?;
    argon2().hash_password(password.as_bytes(), &salt).map(|h| h.to_string()).map_err(|e| e.to_string())
}

/// True when the password matches a PHC string. Takes 7 MiB and a noticeable time.
pub fn matches(stored: &str, password: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The stored form of a device password. Those are random with 80 bits, so one round of SHA-256 is
/// enough and logging in with one costs nothing. Case, spaces and dashes don't matter.
pub fn device(password: &str) -> String {
    let typed: String = password.chars().filter(|c| !matches!(c, '-' | ' ')).flat_map(char::to_lowercase).collect();
    let digest = Sha256::new().chain_update(b"pillarbox device\0").chain_update(typed).finalize();
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("sha256:{hex}")
}

/// Compares two stored hashes in constant time.
pub fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differing, (x, y)| differing | (x ^ y)) == 0
}

/// A new random password of 80 bits in groups of four: `k7pq-2mzw-h9ce-r4tx`.
pub fn generate() -> Result<String, String> {
    let mut octets = [0u8; 16];
    getrandom::fill(&mut octets).map_err(|e| format!("the system gave no random numbers: {e}"))?;
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
