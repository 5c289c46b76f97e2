//! TLS and logins.

use super::*;

fn submission() -> Config {
    config(Role::Submission)
}

#[test]
fn starttls_forgets_what_was_said_before() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: MAIL FROM:<bob@example.org>
        C: STARTTLS
        S: 250 2.1.0 Sender ok
        S: 220 2.0.0 Go ahead with TLS
        E: tls
        C: MAIL FROM:<bob@example.org>
        S: 503 5.5.1 Say EHLO first
        C: EHLO mail.example.org
        S: 250-box.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 REQUIRETLS
        C: STARTTLS
        S: 503 5.5.1 TLS is already on
    ",
    );
}

#[test]
fn plaintext_slipped_in_after_starttls_is_never_obeyed() {
    after_ehlo(
        mta(),
        Security::Plain,
        r"
        C: STARTTLS
        C: MAIL FROM:<evil@example.org>
        S: 554 5.5.1 Nothing may follow STARTTLS before TLS has begun; closing the connection
        E: close
    ",
    );
    let now = Instant::now();
    let mut session = Session::new(Arc::new(mta()), Security::Plain, now);
    session.poll(now);
    session.receive(now, b"STARTTLS\r\n");
    assert_eq!(session.poll(now), Action::Send(b"220 2.0.0 Go ahead with TLS\r\n"));
    session.receive(now, b"EHLO evil\r\n");
    assert_eq!(session.poll(now), Action::StartTls);
    session.receive(now, b"EHLO evil\r\n");
    let mut session = session.start_tls(now, facts());
    assert_eq!((session.buffered(), session.poll(now)), (0, Action::Input));
    assert_eq!(session.hello(), "");
}

#[test]
fn starttls_takes_no_arguments_and_may_be_absent() {
    after_ehlo(mta(), Security::Plain, "C: STARTTLS now\nS: 501 5.5.4 STARTTLS takes no arguments");
    let config = Config { starttls: Offer::No, ..mta() };
    after_ehlo(config, Security::Plain, "C: STARTTLS\nS: 502 5.5.1 STARTTLS is not offered here");
}

#[test]
fn notices_are_asked_for_where_they_are_offered() {
    dialog(
        submission(),
        tls(),
        r"
        S: 220 ...
        C: EHLO laptop
        S: 250-box.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-REQUIRETLS
        S: 250-DSN
        S: 250 AUTH PLAIN LOGIN
        C: AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=
        S: 235 2.7.0 You are logged in
        C: MAIL FROM:<ann@box.example> RET=HDRS ENVID=QQ314159
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<ann@box.example> NOTIFY=SOON
        S: 501 5.5.4 The parameter NOTIFY has no valid value, or stands there twice
        C: rcpt to:<POSTMASTER> notify=never orcpt=rfc822;ann@box.example
        S: 250 2.1.5 Recipient ok
    ",
    );
}

#[test]
fn a_scanner_that_says_helo_may_log_in() {
    let login = r"
        C: HELO scanner
        S: 250 box.example
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YW5uQGJveC5leGFtcGxl
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 You are logged in
        C: MAIL FROM:<ann@box.example>
        S: 250 2.1.0 Sender ok
    ";
    let plain = r"
        C: HELO scanner
        S: 250 box.example
        C: AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=
        S: 235 2.7.0 You are logged in
        C: MAIL FROM:<ann@box.example> BODY=8BITMIME
        S: 555 5.5.4 Parameters need a session that began with EHLO
    ";
    for script in [login, plain] {
        let mut driver = dialog(submission(), tls(), &format!("S: 220 ...\n{script}"));
        assert_eq!(driver.session().authenticated(), Some("ann"));
    }
    // Without TLS and on port 25 nothing changes.
    dialog(
        submission(),
        Security::Plain,
        "S: 220 ...\nC: HELO x\nS: 250 box.example\nC: AUTH LOGIN\nS: 538 5.7.11 Switch on TLS (STARTTLS) first; passwords are not taken without it",
    );
    dialog(
        mta(),
        tls(),
        "S: 220 ...\nC: HELO x\nS: 250 box.example\nC: AUTH LOGIN\nS: 502 5.5.1 Nobody logs in on this port; mail programs use port 465 or 587",
    );
}

#[test]
fn submission_wants_a_login() {
    let mut driver = dialog(
        submission(),
        tls(),
        r"
        S: 220 ...
        C: AUTH PLAIN
        S: 503 5.5.1 Say EHLO first
        C: EHLO laptop
        S: 250-box.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-REQUIRETLS
        S: 250-DSN
        S: 250 AUTH PLAIN LOGIN
        C: MAIL FROM:<ann@box.example>
        S: 530 5.7.0 Log in first: your mail program must send user name and password
        C: AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=
        S: 235 2.7.0 You are logged in
        C: AUTH LOGIN
        S: 503 5.5.1 You are already logged in
        C: MAIL FROM:<ann@box.example>
        S: 250 2.1.0 Sender ok
    ",
    );
    assert_eq!(driver.session().authenticated(), Some("ann"));
    assert_eq!(driver.session().protocol(), "ESMTPSA");
}

#[test]
fn no_password_without_tls() {
    after_ehlo(
        submission(),
        Security::Plain,
        r"
        C: MAIL FROM:<ann@box.example>
        S: 530 5.7.0 Switch on TLS (STARTTLS) and log in first; see the settings of your mail program
        C: AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=
        S: 538 5.7.11 Switch on TLS (STARTTLS) first; passwords are not taken without it
    ",
    );
}

#[test]
fn logins_by_prompt() {
    let plain = "C: AUTH PLAIN\nS: 334 \nC: AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=\nS: 235 2.7.0 You are logged in";
    let login = r"
        C: auth login
        S: 334 VXNlcm5hbWU6
        C: YW5uQGJveC5leGFtcGxl
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 You are logged in";
    let login_with_user = r"
        C: AUTH LOGIN YW5uQGJveC5leGFtcGxl
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 You are logged in";
    for script in [plain, login, login_with_user] {
        let mut driver = after_ehlo(submission(), tls(), script);
        assert_eq!(driver.session().authenticated(), Some("ann"));
    }
}

#[test]
fn logins_that_go_wrong() {
    let table = [
        ("AUTH", "501 5.5.4 AUTH takes a mechanism: PLAIN or LOGIN"),
        ("AUTH CRAM-MD5", "504 5.5.4 This mechanism is not offered; use PLAIN or LOGIN"),
        ("AUTH PLAIN AGE", "501 5.5.2 That is not UTF-8 text in base64"),
        ("AUTH PLAIN =", "501 5.5.2 PLAIN needs user name and password, separated by NUL"),
        ("AUTH PLAIN //8=", "501 5.5.2 That is not UTF-8 text in base64"),
        (
            "AUTH PLAIN AAA=",
            "535 5.7.8 Wrong user name or password. The user name is the full e-mail address",
        ),
        (
            "AUTH PLAIN AGEAYg==",
            "535 5.7.8 Wrong user name or password. The user name is the full e-mail address",
        ),
        ("AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: *", "501 5.7.0 Login cancelled"),
        ("AUTH PLAIN\nS: 334 \nC: %%%", "501 5.5.2 That is not UTF-8 text in base64"),
        ("AUTH PLAIN\nS: 334 \nC: \\0", "500 5.5.2 That line holds control characters"),
    ];
    for (command, reply) in table {
        let script = format!("C: {command}\nS: {reply}\nC: NOOP\nS: 250 2.0.0 Ok");
        let mut driver = after_ehlo(submission(), tls(), &script);
        assert_eq!(driver.session().authenticated(), None);
    }
}

#[test]
fn guessing_ends_the_session() {
    after_ehlo(
        submission(),
        tls(),
        r"
        C: AUTH PLAIN AGEAYg==
        C: AUTH PLAIN AGEAYw==
        C: AUTH PLAIN AGFubkBib3guZXhhbXBsZQBzZWNyZXQ=
        S: 535 ...
        S: 535 ...
        S: 421 4.7.0 box.example saw too many failed logins; closing the connection
        E: close
    ",
    );
}

#[test]
fn login_lines_may_be_longer_than_others() {
    let mut driver = after_ehlo(submission(), tls(), "");
    driver.feed(format!("AUTH PLAIN {}\r\n", "AAAA".repeat(2000)).as_bytes());
    let mut driver = play(driver, "S: 501 5.5.2 PLAIN needs...");
    driver.feed(format!("AUTH PLAIN {}\r\n", "AAAA".repeat(4000)).as_bytes());
    let mut driver = play(driver, "S: 500 5.5.6 That line is too long");
    driver.feed(format!("NOOP {}\r\n", "AAAA".repeat(2000)).as_bytes());
    play(driver, "S: 500 5.5.6 That line is too long");
}
