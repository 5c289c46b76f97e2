//! Content-transfer-encodings, piece by piece (RFC 2045 §6): base64, quoted-printable, and as it is.

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing to decode: `7bit`, `8bit`, `binary`, and any unknown name.
    #[default]
    Identity,
    /// RFC 2045 §6.8.
    Base64,
    /// RFC 2045 §6.7.
    QuotedPrintable,
}

impl Encoding {
    /// By its name in the header; unknown ones are taken as they are.
    pub fn parse(name: &str) -> Encoding {
        match name.trim().to_ascii_lowercase().as_str() {
            "base64" => Encoding::Base64,
            "quoted-printable" => Encoding::QuotedPrintable,
            _ => Encoding::Identity,
        }
    }

    /// Its name in the header; that of all that needs no decoding is `binary`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Base64 => "base64",
            Encoding::QuotedPrintable => "quoted-printable",
            Encoding::Identity => "binary",
        }
    }
}

/// The value of each letter of base64 (RFC 4648 §4), and of what is none.
const VALUES: [u8; 256] = {
    let mut values = [NO_VALUE; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < letters.len() {
        values[letters[at] as usize] = at as u8;
        at += 1;
    }
    values
};
const NO_VALUE: u8 = 0x80;

/// Decodes a body as it comes in; what is malformed is passed over.
pub struct Decoder {
    encoding: Encoding,
    bits: u32,
    count: u8,
    /// Quoted-printable: an `=` and what followed it.
    held: Vec<u8>,
}

impl Decoder {
    /// At the beginning of a body.
    pub fn new(encoding: Encoding) -> Decoder {
        Decoder { encoding, bits: 0, count: 0, held: Vec::new() }
    }

    /// Decodes a piece behind `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => out.extend_from_slice(piece),
            Encoding::Base64 => self.base64_piece(piece, out),
            Encoding::QuotedPrintable => piece.iter().for_each(|&octet| self.quoted(octet, out)),
        }
    }

    /// The body is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// Four letters at a time where all of them are some; what is between lines comes singly.
    fn base64_piece(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() / 4 * 3 + 3);
        while let Some((&first, behind)) = piece.split_first() {
            if self.count == 0
                && let Some(four) = piece.first_chunk::<4>()
            {
                let [a, b, c, d] = four.map(|letter| VALUES[usize::from(letter)]);
                if (a | b | c | d) < NO_VALUE {
                    out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                    piece = &piece[4..];
                    continue;
                }
            }
            self.base64(first, out);
            piece = behind;
        }
    }

    fn base64(&mut self, octet: u8, out: &mut Vec<u8>) {
        let value = match VALUES[usize::from(octet)] {
            NO_VALUE if octet == b'=' => {
                (self.bits, self.count) = (0, 0);
                return;
            }
            NO_VALUE => return,
            value => value,
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count >= 8 {
            self.count -= 8;
            out.push((self.bits >> self.count) as u8);
            self.bits &= (1 << self.count) - 1;
        }
    }

    fn quoted(&mut self, octet: u8, out: &mut Vec<u8>) {
        if self.held.is_empty() {
            match octet {
                b'=' => self.held.push(octet),
                _ => out.push(octet),
            }
            return;
        }
        self.held.push(octet);
        let digit = |octet: u8| char::from(octet).to_digit(16).map(|d| d as u8);
        match self.held[..] {
            // A soft line break; blanks before its end don't count.
            [_, b'\n'] | [_, b'\r', b'\n'] => self.held.clear(),
            [_, b'\r'] => {}
            [_, .., b' ' | b'\t']
                if self.held.len() < 20
                    && self.held[1..].iter().all(|b| matches!(b, b' ' | b'\t')) => {}
            [_, high, low] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    self.held.clear();
                }
                _ => out.append(&mut self.held),
            },
            [_, first] if digit(first).is_some() => {}
            _ => out.append(&mut self.held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: Encoding, text: &[u8], size: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
        text.chunks(size).for_each(|piece| decoder.push(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    proptest::proptest! {
        #[test]
        fn any_octets_decode_the_same_however_they_are_cut(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..300), size in 1usize..40) {
            for encoding in [Encoding::Identity, Encoding::Base64, Encoding::QuotedPrintable] {
                proptest::prop_assert_eq!(decode(encoding, &octets, size), decode(encoding, &octets, 1000));
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_encoded_comes_out_again(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..300), line in 1usize..80, size in 1usize..40) {
            let text = pillarbox_proto::smtp::encode_base64(&octets);
            let lines = text.as_bytes().chunks(line).collect::<Vec<_>>().join(&b"\r\n"[..]);
            proptest::prop_assert_eq!(decode(Encoding::Base64, &lines, size), octets);
        }
    }

    #[test]
    fn bodies_decode_the_same_however_they_are_cut() {
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(decode(Encoding::Base64, b"SGVs\r\nbG8g\r\nV29ybGQ=", size), b"Hello World");
            assert_eq!(decode(Encoding::Base64, b"SGk=SGk=!!", size), b"HiHi");
            assert_eq!(
                decode(Encoding::QuotedPrintable, b"Gr=C3=BC=\r\n=C3=9Fe=3D=zz =", size),
                "Grüße==zz =".as_bytes()
            );
            assert_eq!(decode(Encoding::QuotedPrintable, b"a= \t\r\nb", size), b"a= \t\r\nb");
            assert_eq!(decode(Encoding::Identity, b"x=3D", size), b"x=3D");
        }
    }
}
