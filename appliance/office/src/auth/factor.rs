//! The second factor: codes by time (RFC 6238) and recovery codes for the day the phone is gone.

use pillarbox_platform::secrets::Secrets;
use pillarbox_store::SecondFactor;
use pillarbox_vocabulary::Timestamp;
use totp_rs::{Algorithm, TOTP};

use super::hash;
use crate::error::{Error, Result};

/// What sealed secrets are for.
const PURPOSE: &str = "factor";
/// Octets of a secret (RFC 4226 §4 R6 asks for 20).
const SECRET: usize = 20;
/// Seconds a code counts, and steps that clocks may differ.
const STEP: u64 = 30;
const SKEW: u64 = 1;
const RECOVERY_CODES: usize = 8;

/// A new secret.
pub fn generate() -> Result<Vec<u8>> {
    let mut secret = vec![0; SECRET];
    getrandom::fill(&mut secret).map_err(Error::no_random_numbers)?;
    Ok(secret)
}

fn totp(secret: &[u8]) -> Result<TOTP> {
    TOTP::new(Algorithm::SHA1, 6, SKEW as u8, STEP, secret.to_vec())
        .map_err(Error::failed("making a second factor"))
}

/// The secret as people type it (RFC 4648 §6).
pub fn text(secret: &[u8]) -> String {
    totp(secret).map(|totp| totp.get_secret_base32()).unwrap_or_default()
}

/// The secret as phones scan it.
pub fn url(secret: &[u8], address: &str) -> String {
    let address: String = address
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }
        })
        .collect();
    format!("otpauth://totp/Pillarbox:{address}?secret={}&issuer=Pillarbox", text(secret))
}

/// The step a code belongs to, if it is right around `now` and later than `after`.
pub fn step_of(secret: &[u8], code: &str, after: u64, now: Timestamp) -> Option<u64> {
    let totp = totp(secret).ok()?;
    let code: String = code.chars().filter(char::is_ascii_digit).collect();
    let step = now.0 / STEP;
    (step.saturating_sub(SKEW)..=step + SKEW)
        .find(|&step| step > after && hash::equal(&totp.generate(step * STEP), &code))
}

/// The code of a step, as a phone shows it.
#[cfg(any(test, feature = "world"))]
pub fn code(secret: &[u8], step: u64) -> String {
    totp(secret).map(|totp| totp.generate(step * STEP)).unwrap_or_default()
}

/// A factor that is ready to be kept, and its recovery codes to be shown once.
pub fn make(secrets: &Secrets, secret: &[u8], step: u64) -> Result<(SecondFactor, Vec<String>)> {
    let codes = (0..RECOVERY_CODES).map(|_| hash::generate()).collect::<Result<Vec<_>, _>>()?;
    let recovery = codes.iter().map(|code| hash::device(code)).collect();
    Ok((SecondFactor { sealed: secrets.seal(PURPOSE, secret)?, recovery, last_step: step }, codes))
}

/// What the factor becomes by a right code; `None` when the code is wrong.
/// A recovery code is used up.
pub fn check(
    secrets: &Secrets,
    factor: &SecondFactor,
    code: &str,
    now: Timestamp,
) -> Result<Option<SecondFactor>> {
    let secret = secrets.open_sealed(PURPOSE, &factor.sealed)?;
    if let Some(step) = step_of(&secret, code, factor.last_step, now) {
        return Ok(Some(SecondFactor { last_step: step, ..factor.clone() }));
    }
    let typed = hash::device(code);
    Ok(factor.recovery.iter().position(|kept| hash::equal(kept, &typed)).map(|at| {
        let mut left = factor.clone();
        left.recovery.remove(at);
        left
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_standard_and_count_once() {
        // RFC 6238 appendix B, cut to six digits.
        let secret = b"12345678901234567890";
        assert_eq!(step_of(secret, "287082", 0, Timestamp(59)), Some(1));
        assert_eq!(step_of(secret, "287 082", 0, Timestamp(89)), Some(1), "a step late");
        assert_eq!(step_of(secret, "287082", 0, Timestamp(120)), None);
        assert_eq!(step_of(secret, "287082", 1, Timestamp(59)), None, "used already");
        assert_eq!(step_of(secret, "081804", 0, Timestamp(1_111_111_109)), Some(37_037_036));
        assert_eq!(step_of(secret, "", 0, Timestamp(59)), None);
    }

    #[test]
    fn recovery_codes_are_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path()).unwrap();
        let (factor, codes) = make(&secrets, &generate().unwrap(), 1).unwrap();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let left =
            check(&secrets, &factor, &codes[3].to_uppercase(), Timestamp(0)).unwrap().unwrap();
        assert_eq!(left.recovery.len(), RECOVERY_CODES - 1);
        assert_eq!(check(&secrets, &left, &codes[3], Timestamp(0)).unwrap(), None);
        assert!(
            url(b"12345678901234567890", "a@b.c")
                .contains("Pillarbox:a%40b%2Ec?secret=GEZDGNBVGY3TQOJQ")
        );
    }
}
