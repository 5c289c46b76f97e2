//! Trace fields (RFC 5321 §4.4).
//! Pure text; nothing a peer said can leave its place in the field.

use std::net::IpAddr;

use super::config::TlsFacts;

/// Where lines are folded (RFC 5322 §2.1.1).
const LINE_OCTETS: usize = 78;
/// How much of the peer's name is kept.
const HELLO_CHARS: usize = 255;

/// Whether the field tells where the message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Shown(IpAddr),
    /// The `from` clause is left out: where a person sits who submits mail is not shown.
    Hidden,
}

/// What a `Received:` field says.
#[derive(Clone, Debug)]
pub struct Received {
    /// The name the peer gave in EHLO or HELO.
    pub hello: String,
    pub peer: Peer,
    /// Our name.
    pub hostname: String,
    /// As [`Session::protocol`](super::Session::protocol) gives it.
    pub protocol: &'static str,
    pub tls: Option<TlsFacts>,
    /// The queue id.
    pub id: String,
    /// The recipient if there is exactly one; with more, naming them would betray blind copies (RFC 5321 §7.2).
    pub recipient: Option<String>,
    /// Date and time as RFC 5322 §3.3 has it.
    pub date: String,
}

/// Builds the field, folded, its CRLF included.
pub fn received(field: &Received) -> String {
    let mut words = Vec::new();
    if let Peer::Shown(address) = field.peer {
        words.push(format!("from {}", name(&field.hello)));
        words.push(format!("({})", literal(address)));
    }
    words.push(format!("by {}", name(&field.hostname)));
    words.push("(Pillarbox)".to_string());
    words.push(format!("with {}", field.protocol));
    if let Some(tls) = &field.tls {
        words.push(format!("({} {})", name(&tls.version), name(&tls.cipher)));
    }
    words.push(format!("id {}", name(&field.id)));
    if let Some(recipient) = &field.recipient {
        words.push(format!("for <{}>", visible(recipient)));
    }
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(visible(&field.date));
    fold("Received:", &words)
}

/// RFC 5321 §4.1.3.
fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// A name fit for a clause: everything that could end or open something there becomes `_`.
fn name(text: &str) -> String {
    let clean = |c: char| match c.is_ascii_alphanumeric() || "-_.:[]".contains(c) {
        true => c,
        false => '_',
    };
    match text.is_empty() {
        true => "unknown".to_string(),
        false => text.chars().take(HELLO_CHARS).map(clean).collect(),
    }
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn fold(field_name: &str, words: &[String]) -> String {
    let mut out = field_name.to_string();
    let mut column = out.len();
    for word in words {
        // The field's name is not left alone on its line: folded white space alone is easily misread.
        if column + 1 + word.len() > LINE_OCTETS && column != field_name.len() {
            out.push_str("\r\n\t");
            column = 8;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Received {
        Received {
            hello: "mail.example.org".into(),
            peer: Peer::Shown(IpAddr::from([192, 0, 2, 1])),
            hostname: "box.example".into(),
            protocol: "ESMTPS",
            tls: Some(TlsFacts {
                version: "TLS1.3".into(),
                cipher: "TLS13_AES_128_GCM_SHA256".into(),
                server_name: None,
            }),
            id: "K7QX".into(),
            recipient: Some("ann@box.example".into()),
            date: "Mon, 23 Nov 2026 23:31:21 +0000".into(),
        }
    }

    #[test]
    fn a_field_reads_well() {
        let expected = "Received: from mail.example.org ([192.0.2.1]) by box.example (Pillarbox)\r\n\
            \twith ESMTPS (TLS1.3 TLS13_AES_128_GCM_SHA256) id K7QX\r\n\
            \tfor <ann@box.example>; Mon, 23 Nov 2026 23:31:21 +0000\r\n";
        assert_eq!(received(&sample()), expected);
    }

    #[test]
    fn a_hidden_peer_leaves_no_address() {
        let field =
            Received { peer: Peer::Hidden, protocol: "ESMTPSA", recipient: None, ..sample() };
        let text = received(&field);
        assert!(!text.contains("192.0.2.1") && !text.contains("mail.example.org"));
        assert!(text.starts_with("Received: by box.example (Pillarbox) with ESMTPSA"));
        assert!(text.contains("id K7QX;"));
    }

    #[test]
    fn a_peer_cannot_write_beyond_its_word() {
        let hello = "a\r\nSubject: x\r\n\r\n(b) \u{e9} by evil; for <x@y>".to_string();
        let peer = Peer::Shown("2001:db8::1".parse().unwrap());
        let text =
            received(&Received { hello, peer, recipient: Some("a\r\nb@c".into()), ..sample() });
        assert!(
            text.starts_with("Received: from a__Subject:_x_____b____by_evil__for__x_y_"),
            "{text}"
        );
        assert!(text.contains("([IPv6:2001:db8::1])") && text.contains("for <ab@c>;"));
        assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
        assert!(text.trim_end().split("\r\n").skip(1).all(|line| line.starts_with('\t')));
    }

    #[test]
    fn long_names_are_cut_and_empty_ones_are_unknown() {
        let text = received(&Received { hello: "x".repeat(5000), ..sample() });
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        assert!(
            received(&Received { hello: String::new(), ..sample() })
                .starts_with("Received: from unknown (")
        );
    }
}
