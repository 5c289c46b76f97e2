//! Ordinary mail, and ordinary mistakes.

use super::*;

#[test]
fn a_message_with_data() {
    dialog(
        mta(),
        Security::Plain,
        r"
        S: 220 box.example ESMTP Pillarbox ready
        C: EHLO mail.example.org
        S: 250-box.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 STARTTLS
        C: MAIL FROM:<bob@example.org> SIZE=20
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<ann@box.example>
        S: 250 2.1.5 Recipient ok
        C: RCPT TO:<Postmaster>
        S: 250 2.1.5 Recipient ok
        C: DATA
        S: 354 Send the message; end it with a line that holds only a dot
        C: Subject: hello
        C: 
        C: ..dotted
        C: .
        M: <bob@example.org> <ann@box.example> <postmaster> Subject: hello\r\n\r\n.dotted\r\n
        S: 250 2.0.0 Ok: stored as K7QX
        C: QUIT
        S: 221 2.0.0 Goodbye
        E: close
    ",
    );
}

#[test]
fn pipelined_commands_get_their_replies_in_order() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: MAIL FROM:<>
        C: RCPT TO:<nobody@box.example>
        C: RCPT TO:<ann@box.example>
        C: RCPT TO:<later@box.example>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 550 5.1.1 No such mailbox
        S: 250 2.1.5 Recipient ok
        S: 450 4.2.1 Not now
        S: 354 ...
        C: .
        C: MAIL FROM:<bob@example.org>
        C: QUIT
        M: <> <ann@box.example> 
        S: 250 2.0.0 Ok: stored as K7QX
        S: 250 2.1.0 Sender ok
        S: 221 2.0.0 Goodbye
        E: close
    ",
    );
}

#[test]
fn data_is_not_entered_without_a_recipient() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: MAIL FROM:<bob@example.org>
        C: RCPT TO:<nobody@box.example>
        C: DATA
        S: 250 2.1.0 Sender ok
        S: 550 5.1.1 No such mailbox
        S: 554 5.5.1 No valid recipients...
        C: RSET
        S: 250 2.0.0 Ok
        C: DATA
        S: 503 5.5.1 Begin a message with MAIL first
    ",
    );
}

#[test]
fn a_message_in_chunks() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: MAIL FROM:<bob@example.org> BODY=8BITMIME
        C: RCPT TO:<ann@box.example>
        C: BDAT 5
        c: .\r\n.\r
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.0.0 5 octets taken
        C: BDAT 4 last
        c: \nend
        M: <bob@example.org> <ann@box.example> .\r\n.\r\nend\r\n
        S: 250 2.0.0 Ok: stored as K7QX
        C: MAIL FROM:<bob@example.org>
        C: RCPT TO:<ann@box.example>
        C: BDAT 3
        C: a
        C: BDAT 0 LAST
        M: <bob@example.org> <ann@box.example> a\r\n
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 250 2.0.0 3 octets taken
        S: 250 2.0.0 Ok: stored as K7QX
    ",
    );
}

#[test]
fn refused_chunks_are_never_read_as_commands() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: BDAT 6
        C: QUIT
        C: NOOP
        S: 503 5.5.1 Begin a message with MAIL first
        S: 250 2.0.0 Ok
        C: MAIL FROM:<bob@example.org>
        C: RCPT TO:<nobody@box.example>
        C: BDAT 6 LAST
        C: QUIT
        C: RSET
        S: 250 2.1.0 Sender ok
        S: 550 5.1.1 No such mailbox
        S: 554 5.5.1 No valid recipients...
        S: 250 2.0.0 Ok
        C: BDAT 6 FIRST
        C: QUIT
        C: BDAT x
        C: QUIT
        S: 501 5.5.4 After its size BDAT takes nothing but LAST
        S: 501 5.5.4 Write it as BDAT 1234 or BDAT 1234 LAST; closing the connection
        E: close
    ",
    );
}

#[test]
fn leaving_a_message_in_chunks_discards_it() {
    for (command, reply) in [("RSET", "S: 250 2.0.0 Ok"), ("HELO x", "S: 250 box.example")] {
        let script = format!(
            r"
            C: MAIL FROM:<bob@example.org>
            C: RCPT TO:<ann@box.example>
            C: BDAT 3
            C: a
            S: 250 2.1.0 Sender ok
            S: 250 2.1.5 Recipient ok
            S: 250 2.0.0 3 octets taken
            C: RCPT TO:<ann@box.example>
            S: 503 5.5.1 The message has begun; it takes no more recipients
            C: DATA
            S: 503 5.5.1 The message began with BDAT and must go on with BDAT
            C: {command}
            E: discard
            {reply}
            C: BDAT 0 LAST
            S: 503 5.5.1 Begin a message with MAIL first
        "
        );
        after_ehlo(mta(), Security::Plain, &script);
    }
}

#[test]
fn a_refused_message_leaves_a_clean_session() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: MAIL FROM:<spammer@example.org>
        C: MAIL FROM:<bob@example.org>
        C: RCPT TO:<ann@box.example>
        C: DATA
        S: 550 5.7.1 No mail from you
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
        S: 354 ...
        C: spam
        C: .
        C: RCPT TO:<ann@box.example>
        C: MAIL FROM:<bob@example.org>
        S: 554 5.7.1 This is spam
        S: 503 5.5.1 Begin a message with MAIL first
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<bye@box.example>
        C: NOOP
        S: 421 4.7.0 Go away
        E: close
    ",
    );
}

#[test]
fn commands_out_of_turn() {
    dialog(
        mta(),
        Security::Plain,
        r"
        S: 220 ...
        C: MAIL FROM:<bob@example.org>
        S: 503 5.5.1 Say EHLO first
        C: EHLO
        S: 501 5.5.4 Say who you are, as in EHLO mail.example.org
        C: HELO mail.example.org
        S: 250 box.example
        C: RCPT TO:<ann@box.example>
        S: 503 5.5.1 Begin a message with MAIL first
        C: MAIL FROM:<bob@example.org> SIZE=3
        S: 555 5.5.4 Parameters need a session that began with EHLO
        C: MAIL FROM:<bob@example.org>
        S: 250 2.1.0 Sender ok
        C: MAIL FROM:<bob@example.org>
        S: 503 5.5.1 A message was already begun; finish it or say RSET
    ",
    );
}

#[test]
fn mistakes_are_told_in_words() {
    // What the peer says within a transaction, what it hears.
    let table = [
        (
            "RCPT TO:ann@box.example",
            "501 5.5.4 The address must stand in angle brackets: RCPT TO:<user@example.org>",
        ),
        ("RCPT <ann@box.example>", "501 5.5.4 Write it as RCPT TO:<user@example.org>"),
        (
            "RCPT TO:<>",
            "501 5.1.3 Bad recipient address: an address needs a domain, as in user@example.org",
        ),
        (
            "RCPT TO:<ann>",
            "501 5.1.3 Bad recipient address: an address needs a domain, as in user@example.org",
        ),
        ("RCPT TO:<a..b@c>", "501 5.1.3 Bad recipient address: the part before the @ is not valid"),
        (
            "RCPT TO:<ann@box..example>",
            "501 5.1.3 Bad recipient address: the part after the @ is not a valid domain",
        ),
        ("RCPT TO:<änn@box.example>", "553 5.6.7 ..."),
        ("RCPT TO:<ann@box.example> SIZE=1", "555 5.5.4 The parameter SIZE is not known here"),
        (
            "RCPT TO:<ann@box.example> NOTIFY=SOON",
            "555 5.5.4 The parameter NOTIFY is not known here",
        ),
        ("RCPT TO: <@a.example,@b.example:ann@box.example>", "250 2.1.5 Recipient ok"),
        (
            "RCPT TO:<ann@box.example> ORCPT=rfc822;ann@box.example",
            "555 5.5.4 The parameter ORCPT is not known here",
        ),
        ("rcpt to:<POSTMASTER>", "250 2.1.5 Recipient ok"),
        ("DATA now", "501 5.5.4 DATA takes no arguments"),
        ("RSET now", "501 5.5.4 RSET takes no arguments"),
        ("QUIT now", "501 5.5.4 QUIT takes no arguments"),
        ("VRFY", "501 5.5.4 VRFY takes an address"),
        ("VRFY ann", "252 2.5.0 Not told here; send a message and see"),
        ("EXPN staff", "502 5.5.1 This server does not tell who is on a list"),
        ("NOOP please", "250 2.0.0 Ok"),
        (
            "AUTH PLAIN AGEAYg==",
            "502 5.5.1 Nobody logs in on this port; mail programs use port 465 or 587",
        ),
        ("XYZZY", "500 5.5.2 Command not understood; HELP lists the commands"),
        ("", "500 5.5.2 Command not understood; HELP lists the commands"),
        (r"NOOP \0", "500 5.5.2 That line holds control characters"),
        (r"NOOP \r", "500 5.5.2 That line holds control characters"),
    ];
    for (command, reply) in table {
        let script = format!("C: MAIL FROM:<>\nS: 250 2.1.0 Sender ok\nC: {command}\nS: {reply}");
        after_ehlo(mta(), Security::Plain, &script);
    }
}

#[test]
fn senders() {
    let table = [
        ("<>", "250 2.1.0 Sender ok"),
        ("<> SIZE=1000", "250 2.1.0 Sender ok"),
        (" <bob@example.org>", "250 2.1.0 Sender ok"),
        (
            "<bob@example.org> SIZE=1001",
            "552 5.3.4 The message is too big; this server takes up to 1000 octets",
        ),
        ("<bob@example.org> SIZE=99999999999999999999", "552 5.3.4 ..."),
        ("<bøb@example.org>", "553 5.6.7 ..."),
        ("<bøb@example.org> SMTPUTF8", "250 2.1.0 Sender ok"),
        ("<bob@example.org> BODY=BINARYMIME", "501 5.5.4 ..."),
        // Notices are not offered here (RFC 5321 §4.1.1.11).
        ("<bob@example.org> RET=HDRS", "555 5.5.4 The parameter RET is not known here"),
        ("<bob@example.org> ENVID=QQ314159", "555 5.5.4 The parameter ENVID is not known here"),
        ("<bob@example.org> XSTRANGE=1", "555 5.5.4 The parameter XSTRANGE is not known here"),
        ("<bob>", "501 5.1.7 ..."),
        (
            "bob@example.org",
            "501 5.5.4 The address must stand in angle brackets: MAIL FROM:<user@example.org>",
        ),
    ];
    for (path, reply) in table {
        after_ehlo(mta(), Security::Plain, &format!("C: MAIL FROM:{path}\nS: {reply}"));
    }
}

#[test]
fn an_international_message_names_its_protocol() {
    let mut driver = after_ehlo(
        mta(),
        tls(),
        r"
        C: MAIL FROM:<bøb@example.org> SMTPUTF8
        C: RCPT TO:<ann@bücher.example>
        S: 250 2.1.0 Sender ok
        S: 250 2.1.5 Recipient ok
    ",
    );
    assert_eq!(driver.session().protocol(), "UTF8SMTPS");
    assert_eq!(driver.session().hello(), "mail.example.org");
    assert!(!driver.session().envelope().recipients.is_empty());
}

#[test]
fn help_is_given() {
    after_ehlo(
        mta(),
        Security::Plain,
        "C: HELP\nS: 214-2.0.0 This server understands...\nS: 214 2.0.0 Write to postmaster...",
    );
}

#[test]
fn a_refused_peer_hears_why() {
    let now = Instant::now();
    let refuse = |code, class| {
        let reply = Reply::new(code, Enhanced(class, 7, 1), "Not you");
        Driver::drive(Session::refuse(Arc::new(mta()), reply, now), now)
    };
    play(refuse(421, 4), "S: 421 4.7.1 Not you\nE: close");
    play(
        refuse(554, 5),
        r"
        S: 554 5.7.1 Not you
        C: EHLO x
        S: 503 5.5.1 This server takes no mail from you now; say QUIT
        C: QUIT
        S: 221 2.0.0 Goodbye
        E: close
    ",
    );
}
