//! Patience: deadlines, ends of connections, a server that stops.

use super::*;

const TIMED_OUT: &str =
    "S: 421 4.4.2 box.example waited too long for you; closing the connection\nE: close";
const TO_DATA: &str = "MAIL FROM:<>\r\nRCPT TO:<ann@box.example>\r\nDATA\r\n";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A session after EHLO and `input`, its output so far forgotten.
fn after(input: &str) -> Driver {
    let mut driver = after_ehlo(mta(), Security::Plain, "");
    driver.feed(input.as_bytes());
    driver.output.clear();
    driver.record.clear();
    driver
}

/// Lets time pass up to just before the deadline, which must be `expected` away, then past it.
#[track_caller]
fn runs_out(mut driver: Driver, expected: Duration, end: &str) {
    let now = driver.now;
    let deadline = driver.session().deadline();
    assert_eq!(deadline - now, expected);
    driver.now = deadline - Duration::from_millis(1);
    driver.pump();
    assert!(!driver.is_closed);
    driver.now = deadline;
    driver.feed(b"");
    play(driver, end);
}

#[test]
fn a_silent_peer_is_sent_away() {
    let mut driver = Driver::new(mta(), Security::Plain);
    driver.output.clear();
    runs_out(driver, seconds(300), TIMED_OUT);
    runs_out(after("MAIL FROM:<>\r\n"), seconds(300), TIMED_OUT);
    runs_out(after("NO"), seconds(300), TIMED_OUT);
    runs_out(after(&"x".repeat(600)), seconds(300), TIMED_OUT);
}

#[test]
fn a_dripping_command_line_gains_no_time() {
    let mut driver = after("");
    driver.now += seconds(200);
    driver.feed(b"NOO");
    runs_out(driver, seconds(100), TIMED_OUT);
    let mut driver = after("");
    driver.now += seconds(200);
    driver.feed(b"NOOP\r\n");
    driver.output.clear();
    runs_out(driver, seconds(300), TIMED_OUT);
}

#[test]
fn content_has_its_own_deadlines() {
    let discarded = format!("E: discard\n{TIMED_OUT}");
    runs_out(after(TO_DATA), seconds(120), &discarded);
    let mut driver = after(TO_DATA);
    driver.now += seconds(100);
    driver.feed(b"a");
    runs_out(driver, seconds(180), &discarded);
    let mut driver = after(TO_DATA);
    driver.now += seconds(100);
    driver.feed(b".\r\n");
    driver.output.clear();
    driver.record.clear();
    runs_out(driver, seconds(300), TIMED_OUT);
}

#[test]
fn dripping_content_ends_some_time() {
    let mut driver = after(TO_DATA);
    for _ in 0..9 {
        driver.now += seconds(60);
        driver.feed(b"a");
    }
    runs_out(driver, seconds(60), &format!("E: discard\n{TIMED_OUT}"));
}

#[test]
fn chunks_have_deadlines_too() {
    let chunk = "MAIL FROM:<>\r\nRCPT TO:<ann@box.example>\r\nBDAT 3\r\n";
    let discarded = format!("E: discard\n{TIMED_OUT}");
    runs_out(after(chunk), seconds(180), &discarded);
    runs_out(after(&format!("{chunk}a\r\n")), seconds(300), &discarded);
    runs_out(after("BDAT 3\r\n"), seconds(180), TIMED_OUT);
}

#[test]
fn the_clock_does_not_run_while_the_driver_thinks() {
    let now = Instant::now();
    let mut session = Session::new(Arc::new(mta()), Security::Plain, now);
    session.receive(now, b"EHLO x\r\nMAIL FROM:<>\r\n");
    assert!(matches!(session.poll(now), Action::Ask(Question::Mail(_))));
    let later = now + seconds(1000);
    assert!(matches!(session.poll(later), Action::Ask(Question::Mail(_))));
    session.answer(later, Answer::Accept);
    assert!(matches!(session.poll(later), Action::Send(_)));
    assert_eq!(session.poll(later), Action::Input);
    assert_eq!(session.deadline(), later + seconds(300));
}

#[test]
fn a_new_tls_session_has_a_fresh_deadline() {
    let now = Instant::now();
    let mut session = Session::new(Arc::new(mta()), Security::Plain, now);
    session.receive(now, b"STARTTLS\r\n");
    while session.poll(now) != Action::StartTls {}
    let later = now + seconds(20);
    assert_eq!(session.start_tls(later, facts()).deadline(), later + seconds(300));
}

#[track_caller]
fn hangs_up(mut driver: Driver, end: &str) {
    driver.session().peer_closed();
    driver.pump();
    play(driver, end);
}

#[test]
fn a_lost_connection_discards_half_a_message() {
    hangs_up(after(""), "E: close");
    hangs_up(after("NOO"), "E: close");
    hangs_up(after("MAIL FROM:<>\r\n"), "E: close");
    hangs_up(after(TO_DATA), "E: discard\nE: close");
    hangs_up(after(&format!("{TO_DATA}a\r\n.\r")), "E: discard\nE: close");
    hangs_up(after(&format!("{TO_DATA}a\n")), "E: close");
    hangs_up(
        after("MAIL FROM:<>\r\nRCPT TO:<ann@box.example>\r\nBDAT 1\r\na"),
        "E: discard\nE: close",
    );
}

#[test]
fn what_came_before_the_end_of_the_connection_counts() {
    let now = Instant::now();
    let mut session = Session::new(Arc::new(mta()), Security::Plain, now);
    session.receive(now, b"QUIT\r\n");
    session.peer_closed();
    play(Driver::drive(session, now), "S: 220 ...\nS: 221 2.0.0 Goodbye\nE: close");
}

#[track_caller]
fn stops(mut driver: Driver, script: &str) {
    driver.session().shut_down();
    driver.pump();
    play(driver, script);
}

#[test]
fn a_stopping_server_finishes_the_message_at_hand() {
    let end = "S: 421 4.3.2 box.example is stopping; try again soon\nE: close";
    stops(after(""), end);
    stops(after("MAIL FROM:<>\r\n"), end);
    let taken = "M: <> <ann@box.example> a\\r\\n\nS: 250 2.0.0 Ok: stored as K7QX";
    stops(after(TO_DATA), &format!("C: a\nC: .\n{taken}\n{end}"));
    let chunk = "MAIL FROM:<>\r\nRCPT TO:<ann@box.example>\r\nBDAT 3\r\na\r\n";
    stops(after(chunk), &format!("C: BDAT 0 LAST\n{taken}\n{end}"));
}
