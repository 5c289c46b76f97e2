//! Delivery status notifications to senders (RFC 3461 §6, RFC 3464, RFC 6522): what a person reads comes first, what
//! programs read behind it.

use pillarbox_message::encode::{encoded_words, fold, quoted_printable};
use pillarbox_platform::clock;
use pillarbox_store::{Detail, Status};
use pillarbox_texts::{Language, in_all};
use pillarbox_vocabulary::Timestamp;

use super::failure;
use super::schedule::Dsn;

/// Most of the original that comes back with a failure, in octets; beyond it only its header does.
pub const RETURN_OCTETS: usize = 64 * 1024;
/// Most of a header that comes back.
pub const HEADER_OCTETS: usize = 32 * 1024;
/// Between one language and the next.
pub const SEPARATOR: &str = "\n----------------------------------------\n\n";

/// A recipient that the notice is about.
#[derive(Clone, Debug)]
pub struct About {
    pub address: String,
    /// `type;address`; may be empty.
    pub orcpt: String,
    /// As the ledger keeps it.
    pub detail: Detail,
    /// Until when it is tried; for delays.
    pub until: Timestamp,
    pub attempted_at: Timestamp,
}

/// The original as far as it comes back: a header, or all of it.
#[derive(Clone, Debug)]
pub enum Returned {
    Header(Vec<u8>),
    Message(Vec<u8>),
}

/// Everything a notice says.
pub struct Facts<'a> {
    pub hostname: &'a str,
    /// Whom it goes to.
    pub sender: &'a str,
    pub subject: &'a str,
    pub code: &'a str,
    pub arrived: Timestamp,
    pub envid: &'a str,
    pub about: &'a [About],
    pub returned: Returned,
    pub now: Timestamp,
    /// Random, for the Message-ID and the boundary.
    pub unique: u64,
}

impl Dsn {
    fn action(self) -> &'static str {
        match self {
            Dsn::Delivered => "delivered",
            Dsn::Relayed => "relayed",
            Dsn::Delayed => "delayed",
            Dsn::Failed => "failed",
        }
    }

    /// Its name in the catalogues.
    fn key(self) -> &'static str {
        match self {
            Dsn::Delivered => "notice-delivered",
            Dsn::Relayed => "notice-relayed",
            Dsn::Delayed => "notice-delayed",
            Dsn::Failed => "notice-failed",
        }
    }

    fn title(self) -> String {
        in_all(" / ", |language| language.get(&format!("{}.title", self.key())).into_owned())
    }
}

/// The whole notice, header and all, CRLF lines.
pub fn build(dsn: Dsn, facts: &Facts) -> Vec<u8> {
    let boundary = format!("pillarbox-{:016x}", facts.unique);
    let subject = match facts.subject.is_empty() {
        true => dsn.title(),
        false => format!("{}: {}", dsn.title(), facts.subject),
    };
    let is_wide = facts.about.iter().any(|a| !a.address.is_ascii()) || !facts.sender.is_ascii();
    let mut out = Vec::new();
    let mut line = |text: &str| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    line(&format!("From: Pillarbox <postmaster@{}>", facts.hostname));
    line(&format!("To: <{}>", clean(facts.sender)));
    line(&format!("Subject: {}", encoded_words(&clean(&subject))));
    line(&format!("Date: {}", clock::rfc5322(facts.now)));
    line(&format!("Message-ID: <{:016x}.{}@{}>", facts.unique, facts.code, facts.hostname));
    line("MIME-Version: 1.0");
    line("Auto-Submitted: auto-replied");
    line("Content-Type: multipart/report; report-type=delivery-status;");
    line(&format!("\tboundary=\"{boundary}\""));
    line("");
    line(&format!("--{boundary}"));
    line("Content-Type: text/plain; charset=utf-8");
    line("Content-Transfer-Encoding: quoted-printable");
    line("");
    line(&quoted_printable(&human(dsn, facts)));
    line(&format!("--{boundary}"));
    match is_wide {
        true => {
            line("Content-Type: message/global-delivery-status");
            line("Content-Transfer-Encoding: 8bit");
        }
        false => line("Content-Type: message/delivery-status"),
    }
    line("");
    line(&status_fields(dsn, facts));
    line(&format!("--{boundary}"));
    let (kind, content) = match &facts.returned {
        Returned::Header(header) => ("text/rfc822-headers", header),
        Returned::Message(message) => ("message/rfc822", message),
    };
    line(&format!("Content-Type: {kind}"));
    if !content.is_ascii() {
        line("Content-Transfer-Encoding: 8bit");
    }
    line("");
    out.extend_from_slice(content);
    if !content.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out
}

fn human(dsn: Dsn, facts: &Facts) -> String {
    in_all(SEPARATOR, |language| in_language(dsn, facts, language))
}

fn in_language(dsn: Dsn, facts: &Facts, language: Language) -> String {
    let subject = clean(facts.subject);
    let first = match subject.is_empty() {
        true => language.get(dsn.key()),
        false => language.with(&format!("{}.named", dsn.key()), &[("subject", &subject)]),
    };
    let mut text = format!("{first}\n");
    for about in facts.about {
        text.push_str(&format!("\n    {}\n", clean(&about.address)));
        if matches!(dsn, Dsn::Failed | Dsn::Delayed) {
            let explanation = failure::failure_class(&about.detail).explain(language);
            for sentence in [explanation.what, explanation.whose] {
                text.push_str(&format!("\n    {sentence}"));
            }
            // While it is still tried there is nothing to do.
            if dsn == Dsn::Failed {
                text.push_str(&format!(
                    "\n    {}",
                    language.with("notice-advice", &[("advice", &explanation.advice)])
                ));
            }
            text.push('\n');
        }
        let who = about.detail.host().map_or_else(
            || language.get("notice-details"),
            |host| language.with("notice-answer", &[("host", host)]),
        );
        text.push_str(&format!("\n    {who}\n    {}\n", clean(&about.detail.words())));
        if dsn == Dsn::Delayed {
            let until = clock::rfc5322(about.until);
            text.push_str(&format!(
                "\n    {}\n",
                language.with("notice-until", &[("until", &until)])
            ));
        }
    }
    text.push_str(&format!("\n{}\n", language.with("notice-code", &[("code", facts.code)])));
    text
}

/// RFC 3464 §2.2 and §2.3.
fn status_fields(dsn: Dsn, facts: &Facts) -> String {
    let kind = |address: &str| if address.is_ascii() { "rfc822" } else { "utf-8" };
    let mut text = format!("Reporting-MTA: dns; {}\r\n", facts.hostname);
    if !facts.envid.is_empty() {
        text.push_str(&format!("Original-Envelope-Id: {}\r\n", clean(facts.envid)));
    }
    text.push_str(&format!("Arrival-Date: {}\r\n", clock::rfc5322(facts.arrived)));
    for about in facts.about {
        text.push_str("\r\n");
        if let Some((kind, address)) = about.orcpt.split_once(';') {
            text.push_str(&format!("Original-Recipient: {}; {}\r\n", clean(kind), clean(address)));
        }
        text.push_str(&format!(
            "Final-Recipient: {}; {}\r\n",
            kind(&about.address),
            clean(&about.address)
        ));
        text.push_str(&format!("Action: {}\r\n", dsn.action()));
        let status = match dsn {
            Dsn::Delivered | Dsn::Relayed => Status { class: 2, subject: 0, detail: 0 },
            _ => failure::status(&about.detail, dsn == Dsn::Failed),
        };
        text.push_str(&format!("Status: {status}\r\n"));
        if let Some(host) = about.detail.host() {
            text.push_str(&format!("Remote-MTA: dns; {}\r\n", clean(host)));
            text.push_str(&format!(
                "Diagnostic-Code: smtp; {}\r\n",
                fold(&ascii(&clean(&about.detail.words())))
            ));
        }
        text.push_str(&format!("Last-Attempt-Date: {}\r\n", clock::rfc5322(about.attempted_at)));
        if dsn == Dsn::Delayed {
            text.push_str(&format!("Will-Retry-Until: {}\r\n", clock::rfc5322(about.until)));
        }
    }
    text
}

/// Without control characters: nothing a peer said ends a line or a field.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::MimeHeaders;
    use pillarbox_store::RemoteReply;

    fn facts<'a>(about: &'a [About], subject: &'a str) -> Facts<'a> {
        Facts {
            hostname: "box.example",
            sender: "ann@box.example",
            subject,
            code: "1K3Q9XM",
            arrived: Timestamp(1_790_000_000),
            envid: "QQ1",
            about,
            returned: Returned::Header(b"Subject: x\r\nMessage-ID: <1@box.example>\r\n".to_vec()),
            now: Timestamp(1_790_000_900),
            unique: 7,
        }
    }

    fn about(address: &str, detail: Detail) -> About {
        About {
            address: address.into(),
            orcpt: String::new(),
            detail,
            until: Timestamp(1_790_400_000),
            attempted_at: Timestamp(1_790_000_800),
        }
    }

    fn said(code: u16, (class, subject, detail): (u8, u16, u16), text: &str) -> Detail {
        let status = Some(Status { class, subject, detail });
        Detail::Reply(RemoteReply {
            host: "mx.example.net".into(),
            code,
            status,
            text: text.into(),
        })
    }

    #[test]
    fn a_failure_says_what_happened_in_both_languages_and_to_programs() {
        let list = [
            About {
                orcpt: "rfc822;Bob@example.net".into(),
                ..about("bob@example.net", said(550, (5, 1, 1), "No such user"))
            },
            about(
                "cy@example.net",
                Detail::found(4, 4, 1, "connecting to mx.example.net: timed out"),
            ),
        ];
        let whole = build(
            Dsn::Failed,
            &facts(&list, "Grüße an alle, die diesen langen Betreff lesen möchten"),
        );
        let message = mail_parser::MessageParser::new().parse(&whole).unwrap();
        assert_eq!(
            message.content_type().unwrap().attribute("report-type"),
            Some("delivery-status")
        );
        assert!(message.subject().unwrap().ends_with("Betreff lesen möchten"));
        let text = message.body_text(0).unwrap();
        for words in [
            "bob@example.net", "does not exist", "nicht gibt", "can't be reached", "1K3Q9XM",
            "550 5.1.1 No such user",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let fields = String::from_utf8_lossy(message.parts[2].contents()).to_string();
        for field in [
            "Original-Envelope-Id: QQ1",
            "Original-Recipient: rfc822; Bob@example.net",
            "Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.1.1",
            "Final-Recipient: rfc822; cy@example.net\r\nAction: failed\r\nStatus: 5.4.1",
        ] {
            assert!(fields.contains(field), "{field}: {fields}");
        }
        assert!(whole.is_ascii() && whole.split(|&b| b == b'\n').all(|l| l.len() <= 80));
    }

    #[test]
    fn a_delay_says_until_when_and_a_hostile_reply_stays_in_its_place() {
        let list = [about(
            "bob@example.net",
            said(451, (4, 0, 0), "x\r\nAction: delivered\r\n\r\n--pillarbox"),
        )];
        let whole = String::from_utf8(build(Dsn::Delayed, &facts(&list, ""))).unwrap();
        assert!(whole.contains("Will-Retry-Until:") && whole.contains("Status: 4.0.0"));
        assert!(!whole.contains("\r\nAction: delivered"));
    }

    #[test]
    fn addresses_beyond_ascii_have_their_own_type() {
        let list = [about("grüße@bücher.example", Detail::found(5, 6, 7, "not there"))];
        let whole = String::from_utf8(build(Dsn::Failed, &facts(&list, "x"))).unwrap();
        assert!(
            whole.contains("message/global-delivery-status")
                && whole.contains("Final-Recipient: utf-8; grüße@bücher.example")
        );
    }

    #[test]
    fn every_kind_has_its_sentences_in_both_languages() {
        let list = [about("bob@example.net", said(451, (4, 0, 0), "later"))];
        for (kind, title, named) in [
            (Dsn::Delivered, "Delivered / Zugestellt", "Your message \"x\" was delivered to:"),
            (
                Dsn::Relayed,
                "Passed on / Weitergegeben",
                "Ihre Nachricht „x“ wurde dem Mailserver des Empfängers übergeben",
            ),
            (
                Dsn::Delayed,
                "Not yet delivered / Noch nicht zugestellt",
                "Ihre Nachricht „x“ ist noch nicht zugestellt an:",
            ),
            (
                Dsn::Failed,
                "Could not be delivered / Nicht zustellbar",
                "Your message \"x\" could not be delivered to:",
            ),
        ] {
            assert_eq!(kind.title(), title);
            let text = human(kind, &facts(&list, "x"));
            assert!(text.contains(named) && text.contains(SEPARATOR), "{text}");
            // No key is left where a text should be.
            assert!(
                !text.contains("notice-") && !text.contains("cause-") && !text.contains('{'),
                "{text}"
            );
        }
    }
}
