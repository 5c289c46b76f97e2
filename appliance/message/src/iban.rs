//! Numbers of bank accounts in texts (ISO 13616).

/// Countries whose numbers always have as many letters and digits; others have 15 to 34.
const LENGTHS: [(&[u8; 2], usize); 36] = [
    (b"AD", 24),
    (b"AT", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"CH", 21),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"EE", 20),
    (b"ES", 24),
    (b"FI", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GR", 27),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IS", 26),
    (b"IT", 27),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PL", 28),
    (b"PT", 25),
    (b"RO", 24),
    (b"RS", 22),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
];
const SHORTEST: usize = 15;
const LONGEST: usize = 34;
/// Numbers that are read out of a text.
const MOST: usize = 20;

/// The account numbers that a text names, each once, in large letters without blanks.
/// Only those whose check digits are right: a number with a slip of the pen is none.
pub fn find(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let octets = text.as_bytes();
    let mut is_within = false;
    for at in 0..octets.len() {
        let was_within = std::mem::replace(&mut is_within, octets[at].is_ascii_alphanumeric());
        let is_start = !was_within && octets[at].is_ascii_alphabetic();
        if !is_start || found.len() == MOST {
            continue;
        }
        if let Some(number) = number(&octets[at..]).filter(|number| !found.contains(number)) {
            found.push(number);
        }
    }
    found
}

/// The number that a text begins with.
fn number(octets: &[u8]) -> Option<String> {
    let mut letters = Vec::with_capacity(LONGEST);
    let mut is_apart = false;
    for &octet in octets {
        match octet {
            _ if letters.len() == LONGEST => break,
            octet if octet.is_ascii_alphanumeric() => {
                letters.push(octet.to_ascii_uppercase());
                is_apart = false;
            }
            // People write them in groups.
            b' ' | b'-' | b'.' if !is_apart => is_apart = true,
            _ => break,
        }
    }
    let (country, digits) = (letters.get(..2)?, letters.get(2..4)?);
    let is_one =
        country.iter().all(u8::is_ascii_uppercase) && digits.iter().all(u8::is_ascii_digit);
    let known = LENGTHS.iter().find(|(name, _)| name[..] == *country).map(|(_, length)| *length);
    let lengths = known.map_or(SHORTEST..=LONGEST, |length| length..=length);
    let right = |length: &usize| letters.get(..*length).is_some_and(is_right);
    let length = lengths.rev().find(right).filter(|_| is_one)?;
    String::from_utf8(letters[..length].to_vec()).ok()
}

/// Whether the check digits are right (ISO 7064, MOD 97-10).
fn is_right(number: &[u8]) -> bool {
    let (front, rest) = number.split_at(4);
    let sum = rest.iter().chain(front).fold(0u32, |sum, octet| match octet {
        b'0'..=b'9' => (sum * 10 + u32::from(octet - b'0')) % 97,
        octet => (sum * 100 + u32::from(octet - b'A') + 10) % 97,
    });
    sum == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_however_people_write_them() {
        for (text, expected) in [
            ("IBAN: DE89 3704 0044 0532 0130 00, BIC X", &["DE89370400440532013000"][..]),
            ("de89370400440532013000.", &["DE89370400440532013000"]),
            (
                "DE89-3704-0044-0532-0130-00\nGB82 WEST 1234 5698 7654 32",
                &["DE89370400440532013000", "GB82WEST12345698765432"],
            ),
            (
                "CH93 0076 2011 6238 5295 7 and CH93 0076 2011 6238 5295 7",
                &["CH9300762011623852957"],
            ),
            // One digit is wrong, one is missing, and it is within another word.
            ("DE89 3704 0044 0532 0130 01", &[]),
            ("DE89 3704 0044 0532 0130", &[]),
            ("XDE89370400440532013000", &[]),
            ("Best regards, Ann. Our office: Hauptstrasse 12, 12345 Stadt", &[]),
            ("", &[]),
        ] {
            assert_eq!(find(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text in "(DE|de|[0-9]{1,5}|[A-Z ]|\u{fc}|-){0,80}") {
            for number in find(&text) {
                proptest::prop_assert!((SHORTEST..=LONGEST).contains(&number.len()) && is_right(number.as_bytes()));
            }
        }
    }
}
