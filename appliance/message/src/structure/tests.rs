use super::walker::{KIND, NAME, PARTS};
use super::*;
use crate::choice::Form;

fn walk(message: &str, size: usize) -> Structure {
    let mut walker = Walker::new();
    message.as_bytes().chunks(size).for_each(|piece| walker.push(piece));
    walker.finish()
}

const MIXED: &str = "From: Ann <ann@a.example>\r\nTo: b@b.example, \"C, D\" <c@c.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Date: Mon, 21 Sep 2026 14:13:20 +0000\r\nMessage-ID: <m@a>\r\nReferences: <r1@a> <r2@a>\r\nContent-Type: multipart/mixed; boundary=\"x y\"\r\n\r\n\
    preamble\r\n--x y\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nplain text\r\n--in\r\nContent-Type: text/html; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>h=FC\r\n--in--\r\n--x y\r\nContent-Type: application/pdf; name*=utf-8''R%C3%A9sum%C3%A9.pdf\r\n\
    Content-Transfer-Encoding: BASE64\r\nContent-Disposition: attachment\r\n\r\nSGk=\r\n--x y--\r\nepilogue --x y\r\n";

#[test]
fn parts_lie_where_they_are_however_the_message_is_cut() {
    for size in [1, 3, 64, 4096] {
        let found = walk(MIXED, size);
        assert_eq!(
            (found.subject.as_str(), found.to.len(), found.references.len()),
            ("Grüße", 2, 2)
        );
        let body = |at: usize| &MIXED[found.parts[at].start as usize..found.parts[at].end as usize];
        assert_eq!((body(0), body(1), body(2)), ("plain text", "<p>h=FC", "SGk="), "{size}");
        assert_eq!((found.shown(Form::Plain), found.shown(Form::Html)), (vec![0], vec![1]));
        let [(2, pdf)] = found.attachments()[..] else { panic!("{:?}", found.attachments()) };
        assert_eq!(
            (pdf.file_name.as_str(), pdf.kind.as_str(), pdf.encoding),
            ("Résumé.pdf", "application/pdf", Encoding::Base64)
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_octets_are_taken_apart_the_same_however_they_are_cut(
        octets in proptest::collection::vec(proptest::prop_oneof![proptest::num::u8::ANY, proptest::sample::select(b"-b\r\n:; =\"".to_vec())], 0..600),
        size in 1usize..50,
    ) {
        let message = [b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".as_slice(), &octets].concat();
        let walk = |size: usize| {
            let mut walker = Walker::new();
            message.chunks(size).for_each(|piece| walker.push(piece));
            walker.finish()
        };
        let whole = walk(message.len());
        for part in &whole.parts {
            proptest::prop_assert!(part.start <= part.end && part.end <= message.len() as u64);
        }
        proptest::prop_assert_eq!(walk(size), whole);
    }
}

#[test]
fn lines_that_end_in_lf_alone_lose_nothing() {
    let message = MIXED.replace("\r\n", "\n");
    for size in [1, 3, 4096] {
        let found = walk(&message, size);
        let body =
            |at: usize| &message[found.parts[at].start as usize..found.parts[at].end as usize];
        assert_eq!((body(0), body(1), body(2)), ("plain text", "<p>h=FC", "SGk="), "{size}");
    }
}

#[test]
fn the_newest_trace_field_counts() {
    let found = walk(
        "Received: from a by b with ESMTPS id 1; x\r\nReceived: from c by d with SMTP id 2; y\r\n\r\n",
        7,
    );
    assert_eq!(found.received, "from a by b with ESMTPS id 1; x");
}

#[test]
fn headers_that_never_end_cost_little() {
    let many = |piece: &dyn Fn(usize) -> String| (0..30_000).map(piece).collect::<String>();
    for header in [
        format!("Content-Type: a/b{}", many(&|n| format!("; n*{n}*=x"))),
        format!("Content-Type: a/b{}", many(&|_| "; n=x".into())),
        format!("Content-Disposition: attachment{}", many(&|n| format!("; filename*{n}=\"x\""))),
        format!("From: {}", "(".repeat(200_000)),
        format!("To: {}", many(&|n| format!("=?utf-8?q?=4{n}?= "))),
        format!("To: {}", many(&|n| format!("a{n}@b, "))),
        format!("Subject: {}", "=?utf-8?b?".repeat(20_000)),
        format!("References: {}", many(&|n| format!("<{n}@a> "))),
        format!("From: {}", "\"\\".repeat(100_000)),
        "X: y\r\n".repeat(40_000),
        ":\r\n".repeat(60_000),
    ] {
        let begun = crate::tests::worked();
        let part = format!(
            "{header}\r\nContent-Type: text/plain; name={}\r\n\r\nx\r\n",
            "n".repeat(100_000)
        );
        let mixed =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}--b--\r\n");
        for message in [part, mixed] {
            let found = walk(&message, 64 * 1024);
            let name = found
                .parts
                .iter()
                .map(|part| part.file_name.len() + part.content_id.len() + part.kind.len())
                .max();
            assert!(name.unwrap_or(0) <= 4 * (2 * NAME + KIND), "{}", &header[..30]);
        }
        assert!(
            crate::tests::worked() - begun < std::time::Duration::from_secs(20),
            "{}",
            &header[..30]
        );
    }
}

proptest::proptest! {
    #[test]
    fn parts_are_the_same_whether_the_rest_of_the_header_is_read_or_not(
        message in "(From: |To: |Subject: |Date: |Received: |References: |Content-Type: |Content-Disposition: |Content-Transfer-Encoding: |X-Y: |multipart/mixed; |text/html|message/rfc822|boundary=b|name=|base64|attachment; |--b|--b--|[ab,;:@<>()\"\\\\=?]|=\\?utf-8\\?q\\?|\r\n|\n|\r|\t| |\r\n\r\n){0,60}",
    ) {
        let mut walker = Walker::of_parts();
        walker.push(message.as_bytes());
        let (alone, whole) = (walker.finish(), walk(&message, 1000));
        proptest::prop_assert_eq!((alone.parts, alone.groups), (whole.parts, whole.groups));
    }
}

#[test]
fn what_is_strange_stays_within_bounds() {
    assert_eq!(walk("", 1).parts.len(), 1);
    let plain = walk("Subject: x\r\n\r\nbody\r\n", 5);
    assert_eq!((plain.parts.len(), plain.parts[0].start), (1, 14));
    let many = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(10_000)
    );
    assert_eq!(walk(&many, 1000).parts.len(), PARTS);
    let mut deep = String::new();
    (0..100).for_each(|n| {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
    });
    assert!(walk(&deep, 77).parts.len() <= PARTS);
    let cut = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf";
    assert_eq!((walk(cut, 9).parts.len(), walk(cut, 9).parts[0].end), (1, cut.len() as u64));
}
