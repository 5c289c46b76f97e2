//! `winmail.dat`: what old Outlooks wrap files and text in (MS-OXTNEF, "Transport Neutral Encapsulation Format").
//! Read in one pass, in bounded memory: of files the place is kept, of small attributes the content.

use crate::structure::Part;

/// Files that are listed.
const FILES: usize = 200;
/// Characters of a file's name.
const NAME: usize = 300;
/// Octets of an attribute that is read as a whole.
const KEPT: usize = 1 << 20;
const SIGNATURE: u32 = 0x223e_9f78;

const ATTACH_REND_DATA: u16 = 0x9002;
const ATTACH_TITLE: u16 = 0x8010;
const ATTACH_DATA: u16 = 0x800f;
const ATTACHMENT: u16 = 0x9005;
const BODY: u16 = 0x800c;
const MESSAGE_PROPERTIES: u16 = 0x9003;
const CODE_PAGE: u16 = 0x9007;
/// Properties (MS-OXPROPS): long file name, text, HTML.
const LONG_FILE_NAME: u16 = 0x3707;
const TEXT: u16 = 0x1000;
const HTML: u16 = 0x1013;

/// Whether a part is such a wrapping.
pub fn is_wrapping(part: &Part) -> bool {
    part.kind == "application/ms-tnef" || part.file_name.eq_ignore_ascii_case("winmail.dat")
}

/// A file within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The long name if there is one, at most 300 characters; whatever the sender wrote, never a path to write to.
    pub name: String,
    /// Where it begins, in octets from the beginning of the decoded `winmail.dat`.
    pub start: u64,
    /// Where it ends, as its length says; the octets may be over before.
    pub end: u64,
}

/// What is within.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Winmail {
    /// The message as plain text; empty: none.
    pub text: String,
    /// The same as HTML, not cleaned.
    pub html: String,
    /// At most 200.
    pub files: Vec<File>,
}

/// Reads it as it comes; push pieces, then finish.
pub struct Walker {
    found: Winmail,
    at: u64,
    state: State,
    held: Vec<u8>,
    charset: &'static encoding_rs::Encoding,
}

enum State {
    /// Signature and key: six octets.
    Beginning,
    /// Level, id and length: nine octets.
    Header,
    /// An attribute's data: its id, what is still to come, and whether it is kept.
    Data { id: u16, left: u64, is_kept: bool },
    /// Two octets of a sum that is not checked.
    Sum,
    /// Not what it says it is, or broken off.
    Over,
}

impl Default for Walker {
    fn default() -> Self {
        Walker {
            found: Winmail::default(),
            at: 0,
            state: State::Beginning,
            held: Vec::new(),
            charset: encoding_rs::WINDOWS_1252,
        }
    }
}

impl Walker {
    /// Takes a piece of the decoded octets, of any size.
    pub fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let wanted = match &self.state {
                State::Over => return,
                State::Beginning => 6 - self.held.len(),
                State::Header => 9 - self.held.len(),
                State::Sum => 2 - self.held.len(),
                State::Data { left, .. } => usize::try_from(*left).unwrap_or(usize::MAX),
            };
            let (now, later) = piece.split_at(wanted.min(piece.len()));
            if !matches!(self.state, State::Data { is_kept: false, .. }) {
                self.held.extend_from_slice(now);
            }
            self.at += now.len() as u64;
            piece = later;
            if let State::Data { left, .. } = &mut self.state {
                *left -= now.len() as u64;
            }
            if now.len() == wanted {
                self.step();
            }
        }
    }

    /// What was found so far.
    pub fn finish(self) -> Winmail {
        self.found
    }

    /// The piece of the format that was waited for is there.
    fn step(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.state = match self.state {
            State::Beginning if u32_at(&held, 0) == Some(SIGNATURE) => State::Header,
            State::Beginning | State::Over => State::Over,
            State::Sum => State::Header,
            State::Header => self.begin(&held),
            State::Data { id, is_kept, .. } => {
                if is_kept {
                    self.take(id, &held);
                }
                State::Sum
            }
        };
    }

    fn begin(&mut self, header: &[u8]) -> State {
        let (Some(tag), Some(length)) = (u32_at(header, 1), u32_at(header, 5)) else {
            return State::Over;
        };
        let (id, length) = (tag as u16, u64::from(length));
        if id == ATTACH_REND_DATA && self.found.files.len() < FILES {
            self.found.files.push(File::default());
        }
        if id == ATTACH_DATA
            && let Some(file) = self.found.files.last_mut()
        {
            (file.start, file.end) = (self.at, self.at + length);
        }
        let is_kept =
            matches!(id, ATTACH_TITLE | ATTACHMENT | BODY | MESSAGE_PROPERTIES | CODE_PAGE)
                && length <= KEPT as u64;
        if length == 0 { State::Sum } else { State::Data { id, left: length, is_kept } }
    }

    fn take(&mut self, id: u16, data: &[u8]) {
        let charset = self.charset;
        let text = |octets: &[u8]| charset.decode(octets).0.trim_end_matches('\0').to_string();
        let short = |name: String| name.chars().take(NAME).collect();
        match id {
            CODE_PAGE => {
                let label = u32_at(data, 0).map(|page| {
                    if page == 65001 { "utf-8".to_string() } else { format!("windows-{page}") }
                });
                self.charset = label
                    .and_then(|label| encoding_rs::Encoding::for_label(label.as_bytes()))
                    .unwrap_or(charset);
            }
            BODY if self.found.text.is_empty() => self.found.text = text(data),
            ATTACH_TITLE => {
                if let Some(file) = self.found.files.last_mut().filter(|file| file.name.is_empty())
                {
                    file.name = short(text(data));
                }
            }
            ATTACHMENT => {
                let long = properties(data)
                    .into_iter()
                    .find(|(id, _, value)| *id == LONG_FILE_NAME && !value.is_empty());
                if let (Some(file), Some((_, is_wide, value))) = (self.found.files.last_mut(), long)
                {
                    file.name = short(if is_wide { utf16(value) } else { text(value) });
                }
            }
            MESSAGE_PROPERTIES => {
                for (id, is_wide, value) in properties(data) {
                    let value = if is_wide { utf16(value) } else { text(value) };
                    match id {
                        TEXT => self.found.text = value,
                        HTML => self.found.html = value,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Texts and octets among properties (MS-OXTNEF §2.1.3.4): id, whether it is UTF-16, value.
/// Ends where it stops making sense.
fn properties(data: &[u8]) -> Vec<(u16, bool, &[u8])> {
    let mut found = Vec::new();
    let mut rest = Reader(data);
    let count = rest.u32().unwrap_or(0);
    for _ in 0..count.min(1000) {
        if rest.property(&mut found).is_none() {
            break;
        }
    }
    found
}

struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn take(&mut self, count: usize) -> Option<&'d [u8]> {
        let (now, later) = self.0.split_at_checked(count)?;
        self.0 = later;
        Some(now)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|octets| u32_at(octets, 0))
    }

    /// Octets with their length in front, filled up to four.
    fn sized(&mut self) -> Option<&'d [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let value = self.take(length)?;
        self.take(length.next_multiple_of(4) - length)?;
        Some(value)
    }

    fn property(&mut self, found: &mut Vec<(u16, bool, &'d [u8])>) -> Option<()> {
        let tag = self.u32()?;
        let (kind, id) = (tag as u16, (tag >> 16) as u16);
        if id >= 0x8000 {
            self.take(16)?;
            match self.u32()? {
                0 => self.take(4)?,
                _ => self.sized()?,
            };
        }
        let is_many = kind & 0x1000 != 0;
        let kind = kind & 0x0fff;
        let fixed = match kind {
            0x02 | 0x03 | 0x04 | 0x0a | 0x0b => 4,
            0x05 | 0x06 | 0x07 | 0x14 | 0x40 => 8,
            0x48 => 16,
            0x0d | 0x1e | 0x1f | 0x102 => 0,
            _ => return None,
        };
        let count = if is_many || fixed == 0 { self.u32()?.min(100_000) } else { 1 };
        for _ in 0..count {
            match fixed {
                0 => {
                    let value = self.sized()?;
                    found.push((id, kind == 0x1f, value));
                }
                width => {
                    self.take(width)?;
                }
            }
        }
        Some(())
    }
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

fn utf16(octets: &[u8]) -> String {
    encoding_rs::UTF_16LE.decode(octets).0.trim_end_matches('\0').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(level: u8, id: u16, data: &[u8]) -> Vec<u8> {
        let mut out = vec![level];
        out.extend((0x0006_0000 | u32::from(id)).to_le_bytes());
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(data);
        out.extend([0, 0]);
        out
    }

    /// A file with a short and a long name, as Outlook writes it, and a text.
    fn sample() -> Vec<u8> {
        let mut long = Vec::new();
        long.extend(1u32.to_le_bytes());
        long.extend(0x3707_001fu32.to_le_bytes());
        let name: Vec<u8> = "Übersicht.pdf\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        long.extend(1u32.to_le_bytes());
        long.extend((name.len() as u32).to_le_bytes());
        long.extend(&name);
        long.resize(long.len().next_multiple_of(4), 0);
        let mut out = SIGNATURE.to_le_bytes().to_vec();
        out.extend([1, 0]);
        for (level, id, data) in [
            (1, CODE_PAGE, &[0xe4, 4, 0, 0, 0, 0, 0, 0][..]),
            (1, BODY, b"Hi \xfcber\0"),
            (2, ATTACH_REND_DATA, &[0; 14]),
            (2, ATTACH_TITLE, b"BERSIC~1.PDF\0"),
            (2, ATTACH_DATA, b"%PDF-1.4 inside"),
            (2, ATTACHMENT, &long),
        ] {
            out.extend(attribute(level, id, data));
        }
        out
    }

    #[test]
    fn long_names_are_not_kept_whole() {
        let mut sample = SIGNATURE.to_le_bytes().to_vec();
        sample.extend([1, 0]);
        for _ in 0..FILES + 10 {
            sample.extend(attribute(2, ATTACH_REND_DATA, &[0; 14]));
            sample.extend(attribute(2, ATTACH_TITLE, &[b'x'; 50_000]));
        }
        let mut walker = Walker::default();
        walker.push(&sample);
        let found = walker.finish();
        assert_eq!(
            (found.files.len(), found.files.iter().map(|file| file.name.len()).max()),
            (FILES, Some(NAME))
        );
    }

    #[test]
    fn files_and_text_are_found_however_it_is_cut() {
        let sample = sample();
        for size in [1, 3, 50, 4096] {
            let mut walker = Walker::default();
            sample.chunks(size).for_each(|piece| walker.push(piece));
            let found = walker.finish();
            assert_eq!(found.text, "Hi über");
            let [file] = &found.files[..] else { panic!("{found:?}") };
            assert_eq!(
                (file.name.as_str(), &sample[file.start as usize..file.end as usize]),
                ("Übersicht.pdf", &b"%PDF-1.4 inside"[..])
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rubbish_harms(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..300), at in 0usize..200) {
            let mut sample = sample();
            let at = at.min(sample.len());
            sample.splice(at..at, octets);
            let mut walker = Walker::default();
            walker.push(&sample);
            proptest::prop_assert!(walker.finish().files.len() <= FILES);
        }
    }
}
