use super::*;
use crate::structure::Walker;

/// A message of parts in short: `m(` begins a mixed, `a(` an alternative, `r(` a related one, `)` ends it; anything
/// else is a part's header without line ends, or an abbreviation.
fn built(parts: &[&str]) -> Structure {
    let (mut text, mut open, mut count) = (String::from("Subject: x\r\n"), Vec::new(), 0);
    for part in parts {
        if *part == ")" {
            let ended: String = open.pop().unwrap();
            text.push_str(&format!("--{ended}--\r\n"));
            continue;
        }
        if let Some(boundary) = open.last() {
            text.push_str(&format!("--{boundary}\r\n"));
        }
        if let Some(kind) = part.strip_suffix('(') {
            count += 1;
            open.push(format!("b{count}"));
            text.push_str(&format!("Content-Type: multipart/{kind}; boundary=b{count}\r\n\r\n"));
            continue;
        }
        let header = match *part {
            "plain" | "html" => format!("Content-Type: text/{part}"),
            "empty" => "Content-Type: text/plain".into(),
            "png" => "Content-Type: image/png; name=p.png\r\nContent-Disposition: inline".into(),
            "cid" => "Content-Type: image/png\r\nContent-ID: <p@x>".into(),
            "pdf" => "Content-Type: application/pdf; name=f.pdf\r\nContent-Disposition: attachment"
                .into(),
            other => other.replace('|', "\r\n"),
        };
        text.push_str(&format!(
            "{header}\r\n\r\n{}\r\n",
            if *part == "empty" { "" } else { "some words" }
        ));
    }
    let mut walker = Walker::new();
    text.as_bytes().chunks(50).for_each(|piece| walker.push(piece));
    walker.finish()
}

/// The parts of a message as in [`built`]; which of them are shown richly, which plainly, and which are files.
type Row = (&'static [&'static str], &'static [usize], &'static [usize], &'static [usize]);

const MESSAGES: [Row; 20] = [
    (&["plain"], &[0], &[0], &[]),
    (&["mixed(", "html", "png", "html", "pdf", "html", ")"], &[0, 1, 2, 4], &[0, 2, 4], &[1, 3]),
    (&["mixed(", "plain", "html", ")"], &[0, 1], &[0, 1], &[]),
    (&["alternative(", "plain", "html", ")"], &[1], &[0], &[]),
    (&["alternative(", "html", "plain", ")"], &[0], &[1], &[]),
    (&["alternative(", "empty", "html", ")"], &[1], &[1], &[]),
    (&["mixed(", "alternative(", "plain", "html", ")", "plain", ")"], &[1, 2], &[0, 2], &[]),
    (&["alternative(", "plain", "related(", "html", "cid", ")", ")"], &[1], &[0], &[2]),
    (&["related(", "alternative(", "plain", "html", ")", "cid", ")"], &[1], &[0], &[2]),
    (&["alternative(", "related(", "plain", "cid", ")", "html", ")"], &[2], &[0], &[1]),
    (&["alternative(", "plain", "mixed(", "html", "pdf", "html", ")", ")"], &[1, 3], &[0], &[2]),
    (&["alternative(", "plain", "html", "Content-Type: text/calendar", ")"], &[1], &[0], &[2]),
    (&["alternative(", "plain", "Content-Type: text/x-amp-html", "html", ")"], &[2], &[0], &[1]),
    (&["Content-Type: text/html; name=body.html"], &[0], &[0], &[]),
    (&["mixed(", "plain", "Content-Type: text/plain; name=notes.txt", ")"], &[0, 1], &[0, 1], &[1]),
    (
        &["mixed(", "plain", "Content-Type: text/plain|Content-Disposition: attachment", ")"],
        &[0],
        &[0],
        &[1],
    ),
    (
        &["mixed(", "plain", "Content-Type: text/csv; name=a.csv", "Content-Type: text/x-log", ")"],
        &[0, 2],
        &[0, 2],
        &[1],
    ),
    (
        &["related(", "html", "Content-Type: text/css|Content-ID: <c@x>", "plain", ")"],
        &[0, 2],
        &[0, 2],
        &[1],
    ),
    (
        &["report(", "Content-Type: message/delivery-status", "Content-Type: message/rfc822", ")"],
        &[0],
        &[0],
        &[1],
    ),
    (&["mixed(", "plain", "digest(", "Subject: y", "Subject: z", ")", ")"], &[0], &[0], &[1, 2]),
];

#[test]
fn what_can_be_read_in_its_place_is_read_there_and_only_alternatives_are_a_choice() {
    for (parts, html, plain, files) in MESSAGES {
        let found = built(parts);
        let numbers: Vec<usize> = found.attachments().iter().map(|(at, _)| *at).collect();
        assert_eq!(
            (
                found.shown(Form::Html).as_slice(),
                found.shown(Form::Plain).as_slice(),
                numbers.as_slice()
            ),
            (html, plain, files),
            "{parts:?}"
        );
    }
    assert!(built(&["digest(", "Subject: y", ")"]).parts[0].is_message(), "RFC 2046 §5.1.5");
}

fn taken_apart(message: &str) -> (Structure, Vec<&str>) {
    let mut walker = Walker::new();
    message.as_bytes().chunks(7).for_each(|piece| walker.push(piece));
    let found = walker.finish();
    let shown = found
        .shown(Form::Plain)
        .iter()
        .map(|&at| &message[found.parts[at].start as usize..found.parts[at].end as usize])
        .collect();
    (found, shown)
}

#[test]
fn a_broken_multipart_is_never_an_empty_page() {
    for (header, body, said) in [
        ("multipart/mixed; boundary=b", "no parts at all\r\n", &["no parts at all\r\n"][..]),
        ("multipart/mixed; boundary=b", "only its end\r\n--b--\r\n", &["only its end"]),
        (
            "multipart/alternative",
            "only words\r\n-- \r\nAnn\r\n",
            &["only words\r\n-- \r\nAnn\r\n"],
        ),
        ("multipart/mixed; boundary=\"\"", "--\r\nwords\r\n", &["--\r\nwords\r\n"]),
        // Another boundary than the header says, or none there: what is before a part's fields is one.
        (
            "multipart/mixed; boundary=b",
            "--c\r\nContent-Type: text/plain\r\n\r\none\r\n--c\r\n\r\ntwo\r\n--c--\r\n",
            &["one", "two"],
        ),
        (
            "multipart/alternative",
            "pre\r\n--=_1\r\ncontent-type: text/plain\r\n\r\none\r\n--=_1--\r\n",
            &["one"],
        ),
        // The right one comes later.
        (
            "multipart/mixed; boundary=b",
            "--\r\n--x\r\nno field\r\n--b\r\n\r\none\r\n--b--\r\n",
            &["one"],
        ),
        (
            "multipart/mixed; boundary=b",
            "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\ninner\r\n--b\r\n\r\nlast\r\n--b--\r\n",
            &["inner", "last"],
        ),
        ("multipart/mixed; boundary=b", "--x", &["--x"]),
    ] {
        let message = format!("Content-Type: {header}\r\n\r\n{body}");
        let (found, shown) = taken_apart(&message);
        assert_eq!(shown, said, "{message}: {found:?}");
        assert!(found.attachments().is_empty());
    }
}
