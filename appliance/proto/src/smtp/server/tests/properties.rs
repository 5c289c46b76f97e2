//! What holds for every input.

use proptest::prelude::*;

use super::super::{AUTH_LINE_OCTETS, CONTENT_OCTETS, OUTPUT_OCTETS};
use super::*;

/// Lines that get a session into every state.
const PHRASES: [&[u8]; 34] = [
    b"EHLO x\r\n",
    b"HELO x\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<> SIZE=10 SMTPUTF8\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"RCPT TO:<nobody@d>\r\n",
    b"DATA\r\n",
    b"BDAT 3\r\n",
    b"BDAT 5 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 7000 LAST\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=\r\n",
    b"*\r\n",
    b"AGEAYg==\r\n",
    b"QUIT\r\n",
    b"GET / HTTP/1.1\r\n",
    b"Subject: x\r\n",
    b"Received: x\r\n",
    b"\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b".",
    b"\r",
    b"\n",
    b"..",
    b"abc\r\n",
    b"spam",
    &[b'x'; 700],
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let phrase = prop_oneof![
        12 => prop::sample::select(&PHRASES[..]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let start = prop_oneof![
        1 => Just(&b""[..]),
        1 => Just(&b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"[..]),
        1 => Just(&b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 9\r\n"[..]),
        1 => Just(&b"EHLO x\r\nAUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"[..]),
    ];
    (start, prop::collection::vec(phrase, 0..40))
        .prop_map(|(start, phrases)| [start.to_vec(), phrases.concat()].concat())
}

fn server() -> impl Strategy<Value = (Config, Security)> {
    let roles = prop::sample::select(vec![Role::Mta, Role::Submission]);
    let limits = Limits { errors: 1000, commands: 1000, messages: 1000, ..mta().limits };
    roles.prop_map(move |role| {
        (Config { role, starttls: Offer::No, limits: limits.clone(), ..mta() }, tls())
    })
}

/// All that the peer and the driver see in the end.
fn outcome(server: (Config, Security), pieces: &[&[u8]]) -> (Vec<String>, Vec<String>) {
    let mut driver = Driver::new(server.0, server.1);
    pieces.iter().for_each(|piece| driver.feed(piece));
    driver.session().peer_closed();
    driver.pump();
    driver.flush();
    driver.record.into_iter().partition(|line| line.starts_with("S: "))
}

fn is_reply_line(line: &[u8]) -> bool {
    line.len() + 2 <= 512
        && line.len() >= 4
        && matches!(line[0], b'2'..=b'5')
        && line[1..3].iter().all(u8::is_ascii_digit)
        && matches!(line[3], b' ' | b'-')
        && !line.iter().any(u8::is_ascii_control)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pieces_make_no_difference(server in server(), input in soup(), cuts in prop::collection::vec(1usize..40, 1..40)) {
        let whole = outcome(server.clone(), &[&input]);
        let octets: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(&outcome(server.clone(), &octets), &whole);
        let (mut rest, mut pieces) = (&input[..], Vec::new());
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(&outcome(server, &pieces), &whole);
    }

    #[test]
    fn replies_are_well_formed_and_memory_is_bounded(server in server(), input in soup(), repeat in 1usize..20) {
        let mut driver = Driver::new(server.0, server.1);
        let input = input.repeat(repeat);
        let mut rest = &input[..];
        let mut output = std::mem::take(&mut driver.output);
        while !rest.is_empty() && !driver.is_closed {
            let (piece, more) = rest.split_at(driver.session().wants_input().min(rest.len()));
            rest = more;
            driver.feed(piece);
            output.append(&mut driver.output);
            prop_assert!(driver.session().buffered() <= AUTH_LINE_OCTETS.max(CONTENT_OCTETS) + OUTPUT_OCTETS + 1024);
        }
        for event in &driver.record {
            if let Some(line) = event.strip_prefix("S: ") {
                prop_assert!(is_reply_line(line.as_bytes()), "{line}");
            }
        }
        prop_assert!(output.is_empty() || output.ends_with(b"\r\n"));
        for line in output.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            prop_assert!(line.strip_suffix(b"\r").is_some_and(is_reply_line), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn noise_does_no_harm(server in server(), input in prop::collection::vec(any::<u8>(), 0..3000)) {
        outcome(server, &[&input]);
    }
}
