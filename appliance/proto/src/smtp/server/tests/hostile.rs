//! Peers that mean harm, or that behave as if they did.

use super::*;

const REFUSED: &str =
    "S: 554 5.6.0 The message holds a CR or LF alone; every line must end with CR LF";
const TO_DATA: &str = "C: MAIL FROM:<>\nC: RCPT TO:<ann@box.example>\nC: DATA\nS: 250 2.1.0 Sender ok\nS: 250 2.1.5 Recipient ok\nS: 354 ...\n";

#[test]
fn nothing_but_a_true_end_ends_content() {
    for end in [
        r"\n.\n", r"\r.\r", r"\n.\r\n", r"\r\n.\n", r"\r\n.\r", r"\n.\r", r"\r.\n", r"\r.\r\n",
        r"\n\n.\r\n",
    ] {
        let script = format!(
            r"{TO_DATA}
            c: Subject: x\r\n\r\nbody{end}MAIL FROM:<evil@example.org>\r\nRCPT TO:<ann@box.example>\r\nDATA\r\nspam
            E: discard
            C: 
            C: .
            C: RCPT TO:<ann@box.example>
            {REFUSED}
            S: 503 5.5.1 Begin a message with MAIL first
        "
        );
        after_ehlo(mta(), Security::Plain, &script);
    }
}

#[test]
fn nul_is_refused_wherever_it_stands() {
    let refused = "S: 550 5.6.0 The message holds NUL octets, which no mail may have; send such data as an attachment";
    for content in [
        r"a: b\r\n\r\n.\0\r\n", r"a: b\r\n\r\nx\r\n\0.\r\n", r"Subject: a\0b\r\n\r\nx\r\n",
        r"\0\r\n",
    ] {
        let script = format!(
            r"{TO_DATA}
            c: {content}MAIL FROM:<evil@example.org>\r\n
            E: discard
            C: .
            {refused}
        "
        );
        after_ehlo(mta(), Security::Plain, &script);
    }
    after_ehlo(
        mta(),
        Security::Plain,
        &format!(
            r"
            C: MAIL FROM:<>
            C: RCPT TO:<ann@box.example>
            C: BDAT 5 LAST
            c: a\0b\r\n
            E: discard
            S: 250 2.1.0 Sender ok
            S: 250 2.1.5 Recipient ok
            {refused}
        "
        ),
    );
}

#[test]
fn a_dot_line_with_more_on_it_does_not_end_content() {
    let script = format!(
        r"{TO_DATA}
        C: a
        C: . 
        C: .QUIT
        C: ...
        C: .
        M: <> <ann@box.example> a\r\n \r\nQUIT\r\n..\r\n
        S: 250 2.0.0 Ok: stored as K7QX
    "
    );
    after_ehlo(mta(), Security::Plain, &script);
}

#[test]
fn chunks_hold_no_bare_line_ends_either() {
    for (octets, size) in [(r"a\nb", 3), (r"a\rb", 3), (r"ab\r", 3), (r"a\r\r\n", 4)] {
        let script = format!(
            r"
            C: MAIL FROM:<>
            C: RCPT TO:<ann@box.example>
            C: BDAT {size} LAST
            c: {octets}
            C: NOOP
            E: discard
            S: 250 2.1.0 Sender ok
            S: 250 2.1.5 Recipient ok
            {REFUSED}
            S: 250 2.0.0 Ok
        "
        );
        after_ehlo(mta(), Security::Plain, &script);
    }
}

#[test]
fn a_refused_chunk_refuses_those_behind_it() {
    let script = format!(
        r"
        C: MAIL FROM:<>
        C: RCPT TO:<ann@box.example>
        C: BDAT 3
        c: a\nb
        C: BDAT 6 LAST
        C: QUIT
        E: discard
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        {REFUSED}
        S: 503 5.5.1 Begin a message with MAIL first
    "
    );
    after_ehlo(mta(), Security::Plain, &script);
}

#[test]
fn a_bare_line_feed_ends_the_session_not_a_command() {
    let end = "S: 500 5.5.2 Lines must end with CR LF, not with LF alone; closing the connection\nE: close";
    after_ehlo(mta(), Security::Plain, &format!("c: NOOP\\nMAIL FROM:<>\\r\\n\n{end}"));
    let long = "x".repeat(600);
    after_ehlo(mta(), Security::Plain, &format!("c: {long}\\nMAIL FROM:<>\\r\\n\n{end}"));
}

#[test]
fn web_requests_end_the_session() {
    for line in ["GET / HTTP/1.1", "POST /x HTTP/1.1", "post / http/1.0"] {
        let script = format!(
            "C: {line}\nC: Host: box.example\nC: \nC: MAIL FROM:<>\nS: 554 5.5.1 This is a mail server...\nE: close"
        );
        after_ehlo(mta(), Security::Plain, &script);
    }
}

#[test]
fn long_lines_are_passed_over_whole() {
    let end = "S: 500 5.5.6 That line is too long\nS: 250 2.0.0 Ok";
    for length in [507, 508, 511, 512, 513, 5000] {
        let script = format!("C: NOOP {}\nC: NOOP\n{end}", "x".repeat(length));
        let fits = length + 7 <= 512;
        assert!(!fits);
        after_ehlo(mta(), Security::Plain, &script);
    }
    let script = format!("C: NOOP {}\nS: 250 2.0.0 Ok", "x".repeat(505));
    after_ehlo(mta(), Security::Plain, &script);
}

#[test]
fn a_message_beyond_the_limit_is_read_past() {
    let line = "x".repeat(98);
    let mut script = TO_DATA.to_string();
    script.extend(std::iter::repeat_n(format!("C: {line}\n"), 11));
    script.push_str("C: .\nE: discard\nS: 552 5.3.4 The message is too big; this server takes up to 1000 octets\n");
    let chunk = "x".repeat(1001);
    script.push_str(&format!(
        "C: MAIL FROM:<>\nC: RCPT TO:<ann@box.example>\nC: BDAT 1001 LAST\nc: {chunk}\n"
    ));
    script.push_str(
        "E: discard\nS: 250 2.1.0 Sender ok\nS: 250 2.1.5 Recipient ok\nS: 552 5.3.4 ...\n",
    );
    after_ehlo(mta(), Security::Plain, &script);
}

#[test]
fn a_message_of_just_the_limit_is_taken() {
    let mut driver = after_ehlo(mta(), Security::Plain, TO_DATA);
    driver.feed(format!("{}\r\n.\r\n", "x".repeat(998)).as_bytes());
    play(driver, "M: <> <ann@box.example> xxx...\nS: 250 2.0.0 Ok: stored as K7QX");
}

#[test]
fn a_message_that_goes_in_circles_is_refused() {
    let script = format!(
        r"{TO_DATA}
        C: Received: a
        C: RECEIVED: b
        C: received: c
        E: discard
        C: 
        C: .
        S: 554 5.4.6 The message has passed too many servers; it seems to go in circles
    "
    );
    after_ehlo(mta(), Security::Plain, &script);
    let script = format!(
        r"{TO_DATA}
        C: Received: a
        C: Received: b
        C: 
        C: Received: in the body
        C: .
        M: <> <ann@box.example> Received: a...
        S: 250 2.0.0 Ok: stored as K7QX
    "
    );
    after_ehlo(mta(), Security::Plain, &script);
}

#[test]
fn limits_of_a_session() {
    let rcpt = "C: RCPT TO:<ann@box.example>\n";
    let many = format!("C: MAIL FROM:<>\n{}S: 250 2.1.0 Sender ok\n", rcpt.repeat(5))
        + &"S: 250 2.1.5 Recipient ok\n".repeat(3)
        + &"S: 452 4.5.3 A message can have 3 recipients here; send to the others separately\n"
            .repeat(2);
    after_ehlo(mta(), Security::Plain, &many);
    let errors = "C: X\n".repeat(9)
        + &"S: 500 ...\n".repeat(6)
        + "S: 421 4.7.0 box.example saw too many errors; closing the connection\nE: close";
    after_ehlo(mta(), Security::Plain, &errors);
    // EHLO was the first of eight.
    let commands = "C: NOOP\n".repeat(9)
        + &"S: 250 2.0.0 Ok\n".repeat(7)
        + "S: 421 4.7.0 box.example saw too many commands without mail; closing the connection\nE: close";
    after_ehlo(mta(), Security::Plain, &commands);
    let message =
        format!("{TO_DATA}C: .\nM: <> <ann@box.example> \nS: 250 2.0.0 Ok: stored as K7QX\n");
    let messages = message.repeat(3)
        + "C: MAIL FROM:<>\nS: 421 4.7.0 box.example takes no more messages in this session; please connect again\nE: close";
    after_ehlo(mta(), Security::Plain, &messages);
}

#[test]
fn octets_beyond_ascii_must_be_utf8() {
    let mut driver = after_ehlo(mta(), Security::Plain, "");
    driver.feed(b"NOOP \xe4\r\n");
    play(driver, "S: 500 5.5.2 That line is not UTF-8");
}
