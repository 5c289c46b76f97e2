//! Replies off the wire (RFC 5321 §4.2.1): liberal in what is taken, bounded in what is kept.

use memchr::memchr;

use crate::reply::{Enhanced, Reply, clip};

/// Octets of a reply line; RFC 5321 §4.5.3.1.5 says 512, servers say more.
const LINE_OCTETS: usize = 4096;
/// Lines of one reply that are kept; the rest are read past.
const LINES: usize = 64;
/// Octets of one reply's text that are kept: more than any list of extensions has.
const TEXT_OCTETS: usize = 4096;
/// Octets of one reply, all lines together, before it is taken for no reply at all.
const REPLY_OCTETS: usize = 256 * 1024;

/// What came is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSmtp;

/// Whether the lines of a reply agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    Same,
    /// They did not, against RFC 5321 §4.2.1; the last one counts, and the text is that of the lines with its code.
    Mixed,
}

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub reply: Reply,
    pub codes: Codes,
}

/// Gathers octets and gives replies.
#[derive(Debug)]
pub struct Replies {
    octets: Vec<u8>,
    lines: Vec<String>,
    /// Octets in `lines`.
    kept: usize,
    code: Option<u16>,
    codes: Codes,
    seen: usize,
}

impl Default for Replies {
    fn default() -> Self {
        Replies {
            octets: Vec::new(),
            lines: Vec::new(),
            kept: 0,
            code: None,
            codes: Codes::Same,
            seen: 0,
        }
    }
}

impl Replies {
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Forgets everything; for the change to TLS (RFC 3207 §4.2).
    pub fn clear(&mut self) {
        *self = Replies::default();
    }

    /// True when octets wait that belong to no reply asked for.
    pub fn has_rest(&self) -> bool {
        !self.octets.is_empty()
    }

    /// The next whole reply, if it is here.
    pub fn next(&mut self) -> Result<Option<Heard>, NotSmtp> {
        let mut from = 0;
        let result = loop {
            let rest = &self.octets[from..];
            let Some(end) = memchr(b'\n', rest) else {
                break if rest.len() > LINE_OCTETS { Err(NotSmtp) } else { Ok(None) };
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]).to_vec();
            from += end + 1;
            self.seen += line.len();
            match self.line(&line) {
                Ok(None) if self.seen <= REPLY_OCTETS => {}
                Ok(None) => break Err(NotSmtp),
                other => break other,
            }
        };
        self.octets.drain(..from);
        result
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Heard>, NotSmtp> {
        let (code, rest) = line.split_at_checked(3).ok_or(NotSmtp)?;
        let code =
            std::str::from_utf8(code).ok().and_then(|c| c.parse::<u16>().ok()).ok_or(NotSmtp)?;
        if !(200..600).contains(&code) || line.len() > LINE_OCTETS {
            return Err(NotSmtp);
        }
        if self.code.is_some_and(|before| before != code) {
            self.codes = Codes::Mixed;
            self.lines.clear();
            self.kept = 0;
        }
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(NotSmtp),
        };
        self.keep(text);
        self.code = Some(code);
        if !is_last {
            return Ok(None);
        }
        let mut lines = std::mem::take(&mut self.lines);
        let codes = std::mem::replace(&mut self.codes, Codes::Same);
        (self.code, self.seen, self.kept) = (None, 0, 0);
        let enhanced =
            lines.first().and_then(|line| enhanced(line, code)).map(|(enhanced, _)| enhanced);
        if enhanced.is_some() {
            for line in &mut lines {
                if let Some((_, text)) = self::enhanced(line, code) {
                    *line = text.to_string();
                }
            }
        }
        Ok(Some(Heard { reply: Reply { code, enhanced, lines }, codes }))
    }

    /// Keeps a line's text while there is room.
    fn keep(&mut self, text: &[u8]) {
        let room = TEXT_OCTETS - self.kept;
        if self.lines.len() < LINES && room > 0 {
            let text = String::from_utf8_lossy(text);
            let clean: String =
                text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let line = clip(&clean, room).to_string();
            self.kept += line.len();
            self.lines.push(line);
        }
    }
}

/// The enhanced status code in front of a text (RFC 2034 §4); its class must be that of the reply.
fn enhanced(text: &str, code: u16) -> Option<(Enhanced, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut numbers = word.split('.');
    let class: u8 = numbers.next()?.parse().ok()?;
    let (subject, detail) = (number(numbers.next()?)?, number(numbers.next()?)?);
    (numbers.next().is_none() && u16::from(class) == code / 100 && matches!(class, 2 | 4 | 5))
        .then_some((Enhanced(class, subject, detail), rest))
}

fn number(text: &str) -> Option<u16> {
    (text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(wire: &[u8], piece: usize) -> Result<Vec<Heard>, NotSmtp> {
        let (mut replies, mut found) = (Replies::default(), Vec::new());
        for chunk in wire.chunks(piece) {
            replies.push(chunk);
            while let Some(heard) = replies.next()? {
                found.push(heard);
            }
        }
        Ok(found)
    }

    fn all(wire: &[u8], piece: usize) -> Result<Vec<Reply>, NotSmtp> {
        Ok(heard(wire, piece)?.into_iter().map(|heard| heard.reply).collect())
    }

    #[test]
    fn of_codes_that_contradict_each_other_the_last_one_counts() {
        let table = [
            (
                "220-mx ESMTP\r\n521 5.7.1 Your address is on a list\r\n",
                "521 5.7.1 Your address is on a list",
                Codes::Mixed,
            ),
            ("220-mx\r\n521-5.7.1 Go\r\n521 5.7.1 away\r\n", "521 5.7.1 Go away", Codes::Mixed),
            ("250-a\r\n251 b\r\n", "251 b", Codes::Mixed),
            ("554-no\r\n220-but\r\n220 yes\r\n", "220 but yes", Codes::Mixed),
            ("220-a\r\n220 b\r\n", "220 a b", Codes::Same),
        ];
        for (wire, text, codes) in table {
            for piece in 1..=wire.len() {
                // What comes next is not mistaken for more of it.
                let found = heard(format!("{wire}250 ok\r\n").as_bytes(), piece).unwrap();
                assert_eq!(
                    (found[0].reply.on_one_line(" ").as_str(), found[0].codes),
                    (text, codes)
                );
                assert_eq!((found[1].reply.code, found[1].codes), (250, Codes::Same));
            }
        }
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let wire = b"220 mail.example ESMTP\r\n250-one\r\n250-two\r\n250 three\n550-5.1.1 no\r\n550 5.1.1 such\r\n354\r\n";
        for piece in 1..=wire.len() {
            let found = all(wire, piece).unwrap();
            let short: Vec<_> = found.iter().map(|r| (r.code, r.lines.join("|"))).collect();
            let expected =
                [(220, "mail.example ESMTP"), (250, "one|two|three"), (550, "no|such"), (354, "")];
            assert_eq!(short, expected.map(|(c, t)| (c, t.to_string())));
            assert_eq!(found[2].enhanced, Some(Enhanced(5, 1, 1)));
        }
    }

    #[test]
    fn what_is_no_smtp_is_refused_and_nothing_grows() {
        for wire in [
            &b"HTTP/1.1 400 Bad\r\n"[..],
            b"2\r\n",
            b"250x\r\n",
            b"250-a\r\n2x1 b\r\n",
            b"999 a\r\n",
            b"\r\n",
            &[b'2'; 9000],
        ] {
            assert_eq!(all(wire, 7), Err(NotSmtp), "{:?}", wire.escape_ascii());
        }
        let endless = b"250-abcdefgh\r\n".repeat(40_000);
        assert_eq!(all(&endless, 1000), Err(NotSmtp));
    }

    #[test]
    fn of_a_long_reply_little_is_kept() {
        let wire = [b"550-5.7.1 ".to_vec(), "ü".repeat(2000).into_bytes(), b"\r\n".to_vec()]
            .concat()
            .repeat(60);
        let reply = all(&[wire, b"550 5.7.1 end\r\n".to_vec()].concat(), 1000).unwrap().remove(0);
        let kept: usize = reply.lines.iter().map(String::len).sum();
        assert!(
            kept <= TEXT_OCTETS
                && kept > TEXT_OCTETS / 2
                && reply.enhanced == Some(Enhanced(5, 7, 1)),
            "{kept}"
        );
    }

    #[test]
    fn enhanced_codes_must_fit_the_reply() {
        let reply = |wire: &str| all(wire.as_bytes(), 99).unwrap().remove(0);
        assert_eq!(reply("250 2.0.0 Ok\r\n").lines, ["Ok"]);
        assert_eq!(reply("250 5.0.0 Ok\r\n").enhanced, None);
        assert_eq!(reply("450 4.7.1.2 x\r\n").enhanced, None);
        assert_eq!(reply("220 192.0.2.1 x\r\n").enhanced, None);
    }
}
