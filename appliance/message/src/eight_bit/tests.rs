//! Copies that say the same as their originals, in octets and lines that every server takes.

use super::*;

fn convert(content: &[u8], piece: usize) -> Vec<u8> {
    convert_to(Needs::SEVEN_BITS, content, piece)
}

fn convert_to(needs: Needs, content: &[u8], piece: usize) -> Vec<u8> {
    let (mut downgrade, mut out) = (Downgrade::new(needs), Vec::new());
    content.chunks(piece).for_each(|chunk| downgrade.push(chunk, &mut out));
    downgrade.finish(&mut out);
    out
}

/// As it goes out when lines are too long.
fn shortened(bits: Bits, content: &[u8], piece: usize) -> Vec<u8> {
    let mut long = LongParts::default();
    content.chunks(piece).for_each(|chunk| long.push(chunk));
    convert_to(Needs { bits, long: Some(Arc::new(long.finish())) }, content, piece)
}

fn is_short(content: &[u8]) -> bool {
    content.split(|&b| b == b'\n').all(|line| line.len() <= lines::LINE_OCTETS + 1)
}

#[test]
fn parts_with_long_lines_are_encoded_and_the_others_stay() {
    let (x, wide, again) =
        ("x".repeat(3000), "Gr\u{fc}\u{df}e ".repeat(400), "QUJD".repeat(40_000));
    let quoted = "=C3=BC".repeat(30_000);
    let content = format!(
        "Subject: {}\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{x}\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{wide}\r\nsecond\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nkurz und gr\u{fc}n\r\n\
         --b\r\nContent-Type: application/json\r\n\r\n{{\"a\":\"{x}\"}}\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{again}\r\n\
         --b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{quoted}\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n{x}\r\n--b--\r\n{x}\r\n",
        "word ".repeat(300)
    );
    let parse = |content: &[u8]| {
        let message = mail_parser::MessageParser::new().parse(content).unwrap().into_owned();
        let texts: Vec<Vec<u8>> = message
            .parts
            .iter()
            .filter(|part| !part.is_multipart())
            .map(|part| part.contents().trim_ascii_end().to_vec())
            .collect();
        (message.subject().unwrap().to_string(), texts)
    };
    let before = parse(content.as_bytes());
    for bits in [Bits::Eight, Bits::Seven] {
        let whole = shortened(bits, content.as_bytes(), content.len());
        assert!(is_short(&whole) && whole.is_ascii() == (bits == Bits::Seven), "{bits:?}");
        for piece in [7, 1000, 65_535, 65_536, 65_537] {
            assert!(shortened(bits, content.as_bytes(), piece) == whole, "by {piece}");
        }
        let after = parse(&whole);
        assert_eq!(after.0, before.0);
        assert_eq!(after.1[..5], before.1[..5], "{bits:?}");
        let text = String::from_utf8(whole).unwrap();
        assert_eq!(
            text.contains("Content-Transfer-Encoding: 8bit\r\n\r\nkurz und gr\u{fc}n\r\n"),
            bits == Bits::Eight
        );
        assert!(
            text.contains("Subject: inner\r\nContent-Transfer-Encoding: quoted-printable\r\n"),
            "{bits:?}"
        );
    }
    // Where no line is long nothing changes, whatever is in between.
    let short = MIXED.as_bytes();
    assert_eq!(shortened(Bits::Eight, short, 10), short);
}

#[test]
fn lines_of_any_length_come_out_the_same_however_they_are_cut() {
    // What is signed is read in other pieces than what is sent.
    for length in [
        LINE_OCTETS - 3,
        LINE_OCTETS - 2,
        LINE_OCTETS - 1,
        LINE_OCTETS,
        LINE_OCTETS + 1,
        3 * LINE_OCTETS,
    ] {
        let line = "\u{fc}".repeat(length / 2 + 1);
        let line = &line.as_bytes()[..length];
        for head in [
            "Content-Transfer-Encoding: 8bit\r\n\r\n",
            "Content-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            "X: ",
        ] {
            let content =
                [head.as_bytes(), line, b"\r\n--b\r\n", b"\r\n", line, b"--b\r\nlast\r\n"].concat();
            let whole = convert(&content, content.len());
            for piece in [1000, LINE_OCTETS - 1, LINE_OCTETS, LINE_OCTETS + 1] {
                assert!(convert(&content, piece) == whole, "{length} {head:?} by {piece}");
            }
            let parsed = mail_parser::MessageParser::new().parse(&whole).unwrap();
            if head.starts_with("Content-Type") {
                assert!(parsed.parts[0].contents() == &content[head.len()..], "{length}");
            }
        }
    }
}

#[test]
fn boundaries_that_begin_alike_are_told_apart() {
    // RFC 2046 §5.1.1 warns of them; the whole line counts here, and the innermost multipart first.
    for (outer, inner) in [("b", "bb"), ("b", "b-1"), ("outer", "outer-inner"), ("=_x", "=_x_=")] {
        let part = |text: &str| {
            format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
            )
        };
        let content = format!(
            "Content-Type: multipart/mixed; x-boundary=no; boundary=\"{outer}\"\r\n\r\n--{outer}\r\nContent-Type: multipart/alternative;\r\n\tname=\"; boundary=no\";\r\n\
             \tboundary = \"{inner}\"\r\n\r\n--{inner}\r\n{}--{inner}\r\n{}--{inner}--\r\n--{outer}\r\n{}--{outer}--\r\n",
            part("\u{fc}1"),
            part("\u{fc}2"),
            part("\u{fc}3")
        );
        let text = String::from_utf8(convert(content.as_bytes(), 7)).unwrap();
        assert!(
            ["=C3=BC1", "=C3=BC2", "=C3=BC3"].iter().all(|word| text.contains(word))
                && text.is_ascii(),
            "{text}"
        );
    }
}

const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed;\r\n boundary=\"b1\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    preamble\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße = schön \r\n\r\n\
    --b1\r\nContent-Type: image/x; name=a\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{e9}ab\r\ncd\r\n\
    --b1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{fc}\r\n\
    --b1\r\nContent-Type: text/plain\r\n\r\nplain = stays\r\n--b1--\r\nepilogue\r\n";

#[test]
fn every_part_becomes_seven_bits_and_says_the_same() {
    let whole = convert(MIXED.as_bytes(), MIXED.len());
    for piece in [1, 2, 3, 7, 50] {
        assert_eq!(convert(MIXED.as_bytes(), piece), whole, "by {piece}");
    }
    assert!(whole.is_ascii());
    let before = mail_parser::MessageParser::new().parse(MIXED.as_bytes()).unwrap();
    let after = mail_parser::MessageParser::new().parse(&whole).unwrap();
    assert_eq!(after.body_text(0), before.body_text(0));
    assert_eq!(after.parts.len(), before.parts.len());
    let attachments = |message: &mail_parser::Message| {
        message.attachments().map(|p| p.contents().to_vec()).collect::<Vec<_>>()
    };
    // The binary part comes back octet for octet.
    assert_eq!(attachments(&after)[0], attachments(&before)[0]);
    let text = String::from_utf8(whole).unwrap();
    assert!(
        text.contains("Gr=C3=BC=C3=9Fe =3D sch=C3=B6n=20\r\n\r\n--b1")
            && text.contains("plain = stays"),
        "{text}"
    );
}

#[test]
fn what_is_seven_bits_stays_octet_for_octet() {
    for content in [
        "Subject: a\r\n\r\nb\r\n",
        "a\r\n",
        "",
        "Content-Type: multipart/x; boundary=q\r\n\r\n--q\r\n\r\nx\r\n--q--\r\n",
    ] {
        assert_eq!(convert(content.as_bytes(), 3), content.as_bytes());
    }
}

#[test]
fn lines_stay_short_and_hostile_content_is_bounded() {
    let long = format!(
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        "ü".repeat(100_000)
    );
    let converted = convert(long.as_bytes(), 999);
    assert!(converted.split(|&b| b == b'\n').all(|line| line.len() <= 78));
    let parsed = mail_parser::MessageParser::new().parse(&converted).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "ü".repeat(100_000));
    let nested: String = (0..200)
        .map(|n| format!("--b{n}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", n + 1))
        .collect();
    let nested = format!("Content-Type: multipart/mixed; boundary=b0\r\n\r\n{nested}\u{fc}");
    assert!(convert(nested.as_bytes(), 100).is_ascii());
}

proptest::proptest! {
    #[test]
    fn any_octets_become_short(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), length in 900usize..2100, piece in 1usize..700) {
        for head in ["", "Content-Transfer-Encoding: base64\r\n\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\n", "Content-Type: multipart/x; boundary=b\r\n\r\n", "\r\n"] {
            let content = [head.as_bytes(), &octets, &vec![b'='; length / 2], &vec![b'a'; length], b"\r\n", &octets].concat();
            let once = shortened(Bits::Eight, &content, piece);
            proptest::prop_assert_eq!(&once, &shortened(Bits::Eight, &content, content.len()));
            // A header without a blank can't be folded.
            proptest::prop_assert!(head.is_empty() || is_short(&once));
        }
    }

    #[test]
    fn any_octets_become_ascii(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), piece in 1usize..50) {
        let wide = [b"Content-Transfer-Encoding: 8bit\r\n\r\n", &octets[..]].concat();
        for content in [&octets, &wide] {
            proptest::prop_assert!(convert(content, piece).is_ascii());
        }
    }
}
