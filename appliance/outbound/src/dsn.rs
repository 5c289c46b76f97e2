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

impl Returned {
    fn content(&self) -> &[u8] {
        match self {
            Returned::Header(content) | Returned::Message(content) => content,
        }
    }

    /// What it is labelled as.
    /// A header with octets beyond ASCII has types of its own (RFC 6533 §4, RFC 6532 §3.7); what the body holds is the
    /// transfer encoding's matter.
    fn media(&self) -> &'static str {
        let content = self.content();
        let end = memchr::memmem::find(content, b"\r\n\r\n").unwrap_or(content.len());
        match (self, content[..end].is_ascii()) {
            (Returned::Header(_), true) => "text/rfc822-headers",
            (Returned::Header(_), false) => "message/global-headers",
            (Returned::Message(_), true) => "message/rfc822",
            (Returned::Message(_), false) => "message/global",
        }
    }
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
    // RFC 2045 §6.4: a multipart says so when a part of it has octets beyond ASCII.
    if is_wide || !facts.returned.content().is_ascii() {
        line("Content-Transfer-Encoding: 8bit");
    }
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
    line(&format!("Content-Type: {}", facts.returned.media()));
    let content = facts.returned.content();
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
    use proptest::prelude::*;

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

    /// The fields of the part with the original, and what is in it.
    fn last_part(whole: &[u8]) -> (String, &[u8]) {
        let boundary = b"--pillarbox-0000000000000007\r\n";
        let at = memchr::memmem::rfind(whole, boundary).unwrap() + boundary.len();
        let end = memchr::memmem::find(&whole[at..], b"\r\n\r\n").unwrap();
        let content = &whole[at + end + 4..];
        (String::from_utf8(whole[at..at + end].to_vec()).unwrap(), content)
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[ -~]{0,60}".prop_map(String::into_bytes),
            "[ -~]{0,20}[ü-ÿ☃-♿]{0,3}[ -~]{0,20}".prop_map(String::into_bytes),
            prop::collection::vec(
                any::<u8>().prop_filter("a line", |b| !b"\r\n".contains(b)),
                0..60
            ),
        ]
    }

    proptest! {
        #[test]
        fn an_original_is_labelled_by_the_octets_of_its_header(
            fields in prop::collection::vec(octets(), 1..5),
            body in prop::option::of(prop::collection::vec(octets(), 0..5)),
        ) {
            let mut content: Vec<u8> =
                fields.iter().flat_map(|text| [b"X: ", &text[..], b"\r\n"].concat()).collect();
            let header = content.clone();
            let returned = match body {
                Some(lines) => {
                    content.extend_from_slice(b"\r\n");
                    lines.iter().for_each(|text| content.extend([&text[..], b"\r\n"].concat()));
                    Returned::Message(content.clone())
                }
                None => Returned::Header(content.clone()),
            };
            let media = match (&returned, header.is_ascii()) {
                (Returned::Header(_), true) => "text/rfc822-headers",
                (Returned::Header(_), false) => "message/global-headers",
                (Returned::Message(_), true) => "message/rfc822",
                (Returned::Message(_), false) => "message/global",
            };
            let list = [about("bob@example.net", said(550, (5, 1, 1), "No such user"))];
            let whole = build(Dsn::Failed, &Facts { returned, ..facts(&list, "x") });
            let (fields, kept) = last_part(&whole);
            let wide = "Content-Transfer-Encoding: 8bit";
            let is_labelled = |field: &str| fields.split("\r\n").any(|line| line == field);
            prop_assert!(is_labelled(&format!("Content-Type: {media}")), "{media}: {fields}");
            prop_assert_eq!(is_labelled(wide), !content.is_ascii());
            prop_assert!(kept.starts_with(&content));
            let top = whole[..memchr::memmem::find(&whole, b"\r\n\r\n").unwrap()].to_vec();
            let top = String::from_utf8(top).unwrap();
            prop_assert!(top.is_ascii());
            prop_assert_eq!(top.contains(wide), !whole.is_ascii());
        }
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
