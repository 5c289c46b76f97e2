//! A message as a person writes it, and the message it becomes.
//! Nothing is sent here.

mod answer;
mod written;

use crate::html::{self, Excess};
pub use answer::{Answerer, Phrases, answer};
pub use written::{Lines, header, message_header, part_header};

/// Quotes within quotes that stay apart when plain text is formatted.
const QUOTES: usize = 20;
/// Words that speak of a file.
const MENTIONS: [&str; 8] =
    ["attached", "attachment", "enclosed", "anhang", "angehängt", "anbei", "beigefügt", "anlage"];

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
    /// It goes again, to other people than before.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Person as Correspondent, Structure};

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
        // From, Reply-To, To, Cc, is among the sent ones; from, To, Cc of an answer to all.
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
