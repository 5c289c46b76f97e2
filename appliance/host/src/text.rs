//! Files that people write, as editors leave them.

/// The text of a file: in UTF-8 or, where its first octets say so, in UTF-16.
/// `most`: octets it may have.
/// The error is a sentence about the file, without its name.
pub fn of(octets: &[u8], most: usize) -> Result<String, String> {
    if octets.len() > most {
        return Err(format!("it is larger than {most} octets"));
    }
    let unreadable = || "it is not in UTF-8: please choose that when saving it".to_string();
    let wide = |read: fn([u8; 2]) -> u16| {
        let pairs = octets[2..]
            .chunks(2)
            .map(|pair| Some(read(pair.try_into().ok()?)))
            .collect::<Option<Vec<u16>>>();
        pairs.and_then(|units| String::from_utf16(&units).ok()).ok_or_else(unreadable)
    };
    match octets {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).map_err(|_| unreadable()),
        plain => String::from_utf8(plain.to_vec()).map_err(|_| unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_read_as_editors_leave_them() {
        let wide = |read: fn(u16) -> [u8; 2]| {
            "\u{feff}Büro".encode_utf16().flat_map(read).collect::<Vec<u8>>()
        };
        for octets in [
            "Büro".as_bytes(),
            "\u{feff}Büro".as_bytes(),
            &wide(u16::to_le_bytes),
            &wide(u16::to_be_bytes),
        ] {
            assert_eq!(of(octets, 100).as_deref(), Ok("Büro"));
        }
        for bad in [&b"B\xfcro"[..], b"\xff\xfea", b"\xff\xfe\x00\xd8"] {
            assert!(of(bad, 100).unwrap_err().contains("UTF-8"), "{bad:?}");
        }
        assert!(of(b"1234", 3).unwrap_err().contains("larger than 3"));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_text_or_refused(octets in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(text) = of(&octets, 60) {
                prop_assert!(text.len() <= 3 * octets.len());
            }
        }
    }
}
