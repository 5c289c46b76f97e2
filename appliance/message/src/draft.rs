//! A message as a person writes it, and the message it becomes.
//! Nothing is sent here.

use pillarbox_proto::smtp::encode_base64;

use crate::addresses::{field, quoted};
use crate::encode::{encoded_words, quoted_printable};
use crate::html::{self, Excess};
use crate::names;
use crate::structure::{Person as Correspondent, Structure};

/// Octets that make a line of base64 (RFC 2045 §6.8).
const LINE: usize = 57;
/// Quotes within quotes that stay apart when plain text is formatted.
const QUOTES: usize = 20;
/// Words that speak of a file.
const MENTIONS: [&str; 8] =
    ["attached", "attachment", "enclosed", "anhang", "angehängt", "anbei", "beigefügt", "anlage"];
/// Identifiers of a conversation that go along (RFC 5322 §3.6.4).
const REFERENCES: usize = 20;

/// What is to happen with a draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    Send,
    /// The same, without the file that is spoken of.
    #[default]
    Anyway,
    /// It is kept.
    Draft,
    /// It is kept, and the writer goes on: the script asks for that.
    Autosave,
}

impl Order {
    fn of(word: &str) -> Order {
        match word {
            "send" => Order::Send,
            "draft" => Order::Draft,
            "autosave" => Order::Autosave,
            _ => Order::Anyway,
        }
    }
}

/// What a draft has to do with a message that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// It answers the sender.
    #[default]
    Reply,
    /// It answers everybody.
    All,
    Forward,
    /// Forwarded as a file.
    Attach,
    /// The draft is gone on with.
    Draft,
    /// It goes again, to somebody else than before.
    Again,
}

impl How {
    /// The way of a word in a link; any other word is an answer.
    pub fn of(word: &str) -> How {
        [How::All, How::Forward, How::Attach, How::Draft, How::Again]
            .into_iter()
            .find(|how| how.as_str() == word)
            .unwrap_or_default()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            How::Reply => "reply",
            How::All => "all",
            How::Forward => "forward",
            How::Attach => "attach",
            How::Draft => "draft",
            How::Again => "again",
        }
    }
}

/// What a person writes.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Empty: the account's own address.
    pub from: String,
    /// People as they are typed, for `addresses::recipients`.
    pub to: String,
    /// As `to`.
    pub cc: String,
    /// As `to`.
    pub bcc: String,
    /// As typed; what is not on one line is put on one.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// The same with formatting, where it was written so; what it says counts then.
    pub html: String,
    pub order: Order,
    /// When it goes out, as browsers write local times; empty: at once.
    pub later: String,
    /// The message it answers, and the kind: `reply`, `all`, `forward`.
    pub answers: String,
    /// The identifier of the answered message (RFC 5322 §3.6.4).
    pub in_reply_to: String,
    /// Identifiers of the conversation, oldest first, with spaces between them.
    pub references: String,
    /// The draft it goes on with.
    pub continues: String,
    /// Files of the answered message or the draft that go along, as the form names them.
    pub carry: Vec<String>,
}

impl Draft {
    /// Takes a field of the form.
    pub fn put(&mut self, name: &str, value: String) {
        match name {
            "from" => self.from = value,
            "later" => self.later = value,
            "to" => self.to = value,
            "cc" => self.cc = value,
            "bcc" => self.bcc = value,
            "subject" => self.subject = value,
            "body" => self.body = value,
            "html" => self.html = value,
            "order" => self.order = Order::of(&value),
            "answers" => self.answers = value,
            "in_reply_to" => self.in_reply_to = value,
            "references" => self.references = value,
            "draft" => self.continues = value,
            "carry" => self.carry.push(value),
            _ => {}
        }
    }

    /// Formatted text is made harmless, and read out as plain text for those who prefer it.
    /// What is formatted beyond all measure is left as plain text alone.
    pub fn clean(&mut self) -> Result<(), Excess> {
        if self.html.is_empty() {
            return Ok(());
        }
        let written = html::written(&self.html);
        self.body = html::to_text(written.as_ref().unwrap_or(&self.html));
        self.html = String::new();
        self.html = written?;
        Ok(())
    }

    /// Whether it is only to be kept.
    pub fn is_draft(&self) -> bool {
        matches!(self.order, Order::Draft | Order::Autosave)
    }

    /// Whether it speaks of a file, in what is not quoted.
    pub fn mentions_file(&self) -> bool {
        let own = self
            .body
            .lines()
            .filter(|line| !line.starts_with('>'))
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase();
        MENTIONS.iter().any(|word| own.contains(word))
    }
}

/// Words of the reader's language that an answer begins with.
pub struct Phrases {
    /// "… wrote, at …:"
    pub intro: String,
    /// The line above a forwarded message.
    pub forwarded: String,
    /// When the message was written, as the reader's language has it.
    pub at: String,
}

/// Who answers.
pub struct Answerer {
    /// Addresses that lead to them and to nobody else, in lower case.
    pub own: Vec<String>,
    /// Addresses they may write from; the first is the account's own.
    pub senders: Vec<String>,
    /// The message lies among those they sent.
    pub has_sent_it: bool,
}

impl Answerer {
    fn is(&self, person: &Correspondent) -> bool {
        let address = person.address.to_lowercase();
        // What stands behind a `+` is the person's own affair (RFC 5233).
        let plain = address
            .split_once('@')
            .and_then(|(local, domain)| Some(format!("{}@{domain}", local.split_once('+')?.0)));
        self.own.contains(&address) || plain.is_some_and(|plain| self.own.contains(&plain))
    }

    /// These, each once, without the answerer and without those who are named already.
    fn others<'p>(
        &self,
        people: impl Iterator<Item = &'p Correspondent>,
        named: &[Correspondent],
    ) -> Vec<Correspondent> {
        let mut found: Vec<Correspondent> = Vec::new();
        for person in people {
            let is_same =
                |known: &Correspondent| known.address.eq_ignore_ascii_case(&person.address);
            if !self.is(person) && !named.iter().any(is_same) && !found.iter().any(is_same) {
                found.push(person.clone());
            }
        }
        found
    }

    /// To and Cc of an answer.
    /// One to an own message goes to those it went to (RFC 5322 §3.6.3 leaves it to the program).
    fn recipients(
        &self,
        structure: &Structure,
        how: How,
    ) -> (Vec<Correspondent>, Vec<Correspondent>) {
        let is_own = self.has_sent_it || structure.from.first().is_some_and(|from| self.is(from));
        let mut to = match is_own {
            true => self.others(structure.to.iter(), &[]),
            false if structure.reply_to.is_empty() => structure.from.clone(),
            false => structure.reply_to.clone(),
        };
        if to.is_empty() {
            // A note to oneself, or one that went to hidden recipients.
            to =
                if structure.to.is_empty() { structure.from.clone() } else { structure.to.clone() };
        }
        let cc = if how == How::All {
            self.others(structure.to.iter().chain(&structure.cc), &to)
        } else {
            Vec::new()
        };
        (to, cc)
    }

    /// The address to answer from: the one that was written to or from, if it is not the account's own; empty: that
    /// one.
    fn from(&self, structure: &Structure) -> String {
        let written = structure.to.iter().chain(&structure.cc).chain(if self.has_sent_it {
            structure.from.as_slice()
        } else {
            &[]
        });
        let usable = |person: &Correspondent| {
            self.senders.iter().find(|sender| sender.eq_ignore_ascii_case(&person.address))
        };
        let found: Vec<&String> = written.filter_map(usable).collect();
        // Who was written to by their own name answers by it.
        match found.iter().any(|sender| Some(*sender) == self.senders.first()) {
            true => String::new(),
            false => found.first().map(|sender| sender.to_string()).unwrap_or_default(),
        }
    }
}

/// The beginning of an answer, a forward, or a draft gone on with.
pub fn answer(
    phrases: &Phrases,
    answerer: &Answerer,
    id: &str,
    how: How,
    structure: &Structure,
    text: &str,
) -> Draft {
    if matches!(how, How::Draft | How::Again) {
        return Draft {
            from: structure.from.first().map(|from| from.address.clone()).unwrap_or_default(),
            to: field(&structure.to),
            cc: field(&structure.cc),
            bcc: field(&structure.bcc),
            subject: structure.subject.clone(),
            body: text.to_string(),
            continues: if how == How::Draft { id.to_string() } else { String::new() },
            references: structure.references.join(" "),
            ..Draft::default()
        };
    }
    let Phrases { intro, forwarded, at } = phrases;
    let quoted: String = text
        .lines()
        .map(
            |line| if line.starts_with('>') { format!(">{line}\n") } else { format!("> {line}\n") },
        )
        .collect();
    let prefixed =
        |prefix: &str| match structure.subject.to_lowercase().starts_with(&prefix.to_lowercase()) {
            true => structure.subject.clone(),
            false => format!("{prefix} {}", structure.subject),
        };
    let mut references = structure.references.clone();
    references.push(structure.message_id.clone());
    let mut draft = Draft {
        body: format!("\n\n{intro}\n{quoted}"),
        answers: format!("{id}:{}", how.as_str()),
        in_reply_to: structure.message_id.clone(),
        references: references.join(" "),
        ..Draft::default()
    };
    if how == How::Forward {
        draft.subject = prefixed("Fwd:");
        draft.body = format!(
            "\n\n{forwarded}\nFrom: {}\nTo: {}\nDate: {at}\nSubject: {}\n\n{text}",
            field(&structure.from),
            field(&structure.to),
            structure.subject
        );
        return draft;
    }
    if how == How::Attach {
        (draft.subject, draft.body) = (prefixed("Fwd:"), String::new());
        return draft;
    }
    draft.subject = prefixed("Re:");
    let (to, cc) = answerer.recipients(structure, how);
    (draft.from, draft.to, draft.cc) = (answerer.from(structure), field(&to), field(&cc));
    draft
}

/// Plain text as formatted text: paragraphs, and quotes as such.
pub fn as_html(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for line in text.lines() {
        let marks = line.bytes().take_while(|&b| b == b'>').count();
        let rest = line[marks..].strip_prefix(' ').filter(|_| marks > 0).unwrap_or(&line[marks..]);
        let quoted = marks.min(QUOTES);
        (depth..quoted).for_each(|_| out.push_str("<blockquote>"));
        (quoted..depth).for_each(|_| out.push_str("</blockquote>"));
        depth = quoted;
        let escaped = rest.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        out.push_str(&format!("<div>{}</div>", if escaped.is_empty() { "<br>" } else { &escaped }));
    }
    (0..depth).for_each(|_| out.push_str("</blockquote>"));
    out
}

/// Header and text, quoted-printable; formatted text goes with plain text beside it (RFC 2046 §5.1.4).
pub fn header(
    draft: &Draft,
    from: &Correspondent,
    lists: &[Vec<Correspondent>; 3],
    boundary: &str,
    has_files: bool,
) -> String {
    let person = |person: &Correspondent| match (person.name.is_empty(), person.name.is_ascii()) {
        (true, _) => person.address.clone(),
        (false, true) => format!("{} <{}>", quoted(&person.name), person.address),
        (false, false) => format!("{} <{}>", encoded_words(&person.name), person.address),
    };
    let clean =
        |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let mut out = format!("From: {}\r\n", person(from));
    for (name, people) in ["To", "Cc", "Bcc"].iter().zip(lists) {
        if !people.is_empty() {
            out.push_str(&format!(
                "{name}: {}\r\n",
                people.iter().map(person).collect::<Vec<_>>().join(",\r\n ")
            ));
        }
    }
    out.push_str(&format!("Subject: {}\r\n", encoded_words(clean(&draft.subject).trim())));
    let ids = |text: &str| {
        clean(text)
            .split_whitespace()
            .map(|id| format!("<{}>", id.trim_matches(['<', '>'])))
            .collect::<Vec<_>>()
    };
    let (parent, references) = (ids(&draft.in_reply_to), ids(&draft.references));
    if let Some(parent) = parent.first() {
        out.push_str(&format!("In-Reply-To: {parent}\r\n"));
    }
    if !references.is_empty() {
        let kept = &references[references.len().saturating_sub(REFERENCES)..];
        out.push_str(&format!("References: {}\r\n", kept.join("\r\n ")));
    }
    out.push_str("MIME-Version: 1.0\r\nUser-Agent: Pillarbox\r\n");
    let part = |kind: &str, body: &str| {
        format!(
            "Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n",
            quoted_printable(body)
        )
    };
    let mut text = part("text/plain", &draft.body);
    if !draft.html.is_empty() {
        let (inner, formatted) = (
            format!("{boundary}-text"),
            part("text/html", &format!("<!doctype html><html><body>{}</body></html>", draft.html)),
        );
        text = format!(
            "Content-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n--{inner}\r\n{text}--{inner}\r\n{formatted}--{inner}--\r\n"
        );
    }
    match has_files {
        false => out.push_str(&text),
        true => out.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{text}"
        )),
    }
    out
}

/// The header of a part that is a whole message (RFC 2046 §5.2.1): it is never encoded.
pub fn message_header(boundary: &str, name: &str) -> String {
    let parameter = file_parameter(name);
    format!(
        "--{boundary}\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment;\r\n {parameter}\r\n\r\n"
    )
}

/// The header of a file's part; its name as RFC 2231 has it, and simply for old programs.
pub fn part_header(boundary: &str, kind: &str, name: &str) -> String {
    let is_kind = kind.split_once('/').is_some_and(|(a, b)| {
        [a, b].iter().all(|p| {
            !p.is_empty() && p.bytes().all(|c| c.is_ascii_alphanumeric() || b"-+._".contains(&c))
        })
    });
    // RFC 2046 §5.2.1 and §5.2.2: base64 is not for messages; a program opens such a file by the ending of its name.
    let is_message = kind.get(..8).is_some_and(|front| front.eq_ignore_ascii_case("message/"));
    let kind = if is_kind && !is_message { kind } else { "application/octet-stream" };
    let parameter = file_parameter(name);
    format!(
        "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n {parameter}\r\n\r\n"
    )
}

fn file_parameter(name: &str) -> String {
    let name = names::file_name(name);
    let encoded = names::percent_encoded(&name);
    match name.is_ascii() {
        true => format!("filename=\"{}\"", name.replace(['"', '\\'], "_")),
        // RFC 2231 §3: in pieces, so that no line grows long.
        false => encoded
            .as_bytes()
            .chunks(60)
            .enumerate()
            .map(|(at, piece)| {
                let charset = if at == 0 { "utf-8''" } else { "" };
                format!("filename*{at}*={charset}{}", String::from_utf8_lossy(piece))
            })
            .collect::<Vec<_>>()
            .join(";\r\n "),
    }
}

/// Octets as lines of base64.
#[derive(Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Whole lines of what came so far; at the end the rest too.
    pub fn take(&mut self, octets: &[u8], is_end: bool) -> String {
        self.0.extend_from_slice(octets);
        let whole = if is_end { self.0.len() } else { self.0.len() / LINE * LINE };
        let ready: Vec<u8> = self.0.drain(..whole).collect();
        ready.chunks(LINE).map(|line| format!("{}\r\n", encode_base64(line))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_others_and_to_each_once() {
        let bob = |has_sent_it| Answerer {
            own: vec!["bob@box.test".into(), "info@box.test".into()],
            senders: vec!["bob@box.test".into(), "info@box.test".into(), "sales@box.test".into()],
            has_sent_it,
        };
        let people = |text: &str| crate::addresses::recipients(text).unwrap();
        let phrases =
            Phrases { intro: "wrote".into(), forwarded: "f".into(), at: "1 Jan 2026".into() };
        // From, Reply-To, To, Cc, lies among the sent ones; from, To, Cc of an answer to all.
        for (from, reply_to, to, cc, is_sent, answer_from, answer_to, answer_cc) in [
            (
                "\"Miller, Hans\" <h@x.test>", "", "bob@box.test, \"Doe, Jane\" <j@x.test>", "",
                false, "", "\"Miller, Hans\" <h@x.test>", "\"Doe, Jane\" <j@x.test>",
            ),
            (
                "a@x.test",
                "",
                "Info <Info@box.test>, c@x.test, Bob+x@box.test",
                "C@x.test, a@x.test",
                false,
                "info@box.test",
                "a@x.test",
                "c@x.test",
            ),
            // Others read what goes there, too.
            (
                "a@x.test", "", "sales@box.test", "bob@box.test", false, "", "a@x.test",
                "sales@box.test",
            ),
            ("a@x.test", "r@x.test", "bob@box.test", "", false, "", "r@x.test", ""),
            (
                "bob@box.test", "bob@box.test", "a@x.test, bob@box.test", "c@x.test", true, "",
                "a@x.test", "c@x.test",
            ),
            ("Info <info@box.test>", "", "a@x.test", "", false, "", "a@x.test", ""),
            ("sales@box.test", "", "a@x.test", "", true, "sales@box.test", "a@x.test", ""),
            ("bob@box.test", "", "bob@box.test", "", true, "", "bob@box.test", ""),
        ] {
            let structure = Structure {
                from: people(from),
                reply_to: people(reply_to),
                to: people(to),
                cc: people(cc),
                ..Structure::default()
            };
            let all = answer(&phrases, &bob(is_sent), "1.1", How::All, &structure, "x");
            assert_eq!(
                (all.from.as_str(), all.to.as_str(), all.cc.as_str()),
                (answer_from, answer_to, answer_cc),
                "{from} {to}"
            );
            let one = answer(&phrases, &bob(is_sent), "1.1", How::Reply, &structure, "x");
            assert_eq!((one.to.as_str(), one.cc.as_str()), (answer_to, ""), "{from} {to}");
        }
    }

    #[test]
    fn drafts_are_built_as_the_standards_have_them() {
        let draft = Draft {
            subject: "Grüße\r\nBcc: evil@x".into(),
            body: "Hé\n".into(),
            in_reply_to: "1@a".into(),
            references: "0@a <1@a>".into(),
            ..Draft::default()
        };
        let from = Correspondent { name: "Ann".into(), address: "ann@a.example".into() };
        let to = vec![Correspondent { name: "Jörg".into(), address: "j@b.example".into() }];
        let text = header(&draft, &from, &[to, Vec::new(), Vec::new()], "b", false);
        assert!(
            text.starts_with("From: \"Ann\" <ann@a.example>\r\nTo: =?utf-8?")
                && text.contains("\r\nIn-Reply-To: <1@a>\r\nReferences: <0@a>\r\n <1@a>\r\n"),
            "{text}"
        );
        assert!(!text.contains("\r\nBcc") && text.contains("H=C3=A9"));
        assert!(
            part_header("b", "Message/RFC822", "x.eml").contains("application/octet-stream")
                && part_header("b", "x\"y", "../Résumé.pdf").contains("application/octet-stream")
                && part_header("b", "a/b", "Résumé.pdf")
                    .contains("filename*0*=utf-8''R%C3%A9sum%C3%A9.pdf")
        );
        let mut formatted =
            Draft { html: "<p>Hé <b>you</b></p><script>x</script>".into(), ..Draft::default() };
        formatted.clean().unwrap();
        let text = header(&formatted, &from, &Default::default(), "b", true);
        assert!(
            text.contains("boundary=\"b\"\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=\"b-text\"") && text.ends_with("--b-text--\r\n"),
            "{text}"
        );
        assert!(
            text.contains("\r\nH=C3=A9 you\r\n")
                && text.contains("<b>you</b>")
                && !text.contains("script"),
            "{text}"
        );
        assert_eq!(
            as_html("a & b\n\n> x\n>> y"),
            "<div>a &amp; b</div><div><br></div><blockquote><div>x</div><blockquote><div>y</div></blockquote></blockquote>"
        );
        let deep = format!("{}x\n\n", ">".repeat(5_000)).repeat(100);
        assert!(as_html(&deep).len() < deep.len());
        let mut lines = Lines::default();
        let out = format!("{}{}", lines.take(&[1; 100], false), lines.take(&[2; 10], true));
        assert_eq!(out.lines().map(str::len).collect::<Vec<_>>(), [76, 72]);
    }
}
