//! Codes that people read to each other.

use std::fmt;
use std::str::FromStr;

/// A code of 32 bits in replies and in `Received` fields, printed as seven letters and digits that can be
/// read over the telephone (Crockford base 32: no I, L, O, U).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShortCode(pub u32);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl fmt::Display for ShortCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shift in (0..7).rev() {
            let digit = (self.0 as u64 >> (5 * shift)) & 31;
            write!(f, "{}", ALPHABET[digit as usize] as char)?;
        }
        Ok(())
    }
}

impl FromStr for ShortCode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut value = 0u64;
        let mut digits = 0;
        for letter in text.bytes().filter(|&b| b != b'-') {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = ALPHABET.iter().position(|&a| a == letter).ok_or(())?;
            value = value << 5 | digit as u64;
            digits += 1;
            if digits > 7 {
                return Err(());
            }
        }
        match (digits, u32::try_from(value)) {
            (7, Ok(code)) => Ok(ShortCode(code)),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_codes_read_back_as_people_type_them() {
        for code in [0, 1, 77, u32::MAX] {
            let text = ShortCode(code).to_string();
            assert_eq!(text.len(), 7);
            assert_eq!(text.parse(), Ok(ShortCode(code)));
            assert_eq!(text.to_lowercase().replace('0', "o").parse(), Ok(ShortCode(code)));
        }
        assert!("TOOLONGCODE".parse::<ShortCode>().is_err());
        assert!("ZZZZZZZ".parse::<ShortCode>().is_err());
    }
}
