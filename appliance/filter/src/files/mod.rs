//! What a message carries that does harm when it is opened: by its content as well as by its name, also within
//! archives, `winmail.dat` and attached messages.
//!
//! Everything is read once for each message within a message, in pieces; what is unpacked, named and kept is bounded.

pub mod danger;
mod gzip;
mod inspect;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::ops::ControlFlow;

pub use danger::Danger;
use inspect::{Context, File};
use pillarbox_message::extract::Extractor;
use pillarbox_message::head;
use pillarbox_message::structure::{Disposition, PARTS, Part, Structure, Walker};
use pillarbox_message::winmail;

/// Octets that are unpacked for one message, and at a glance.
const UNPACKED: u64 = 64 << 20;
const GLANCED: u64 = 256 << 10;
/// Findings that are kept for a message.
const MOST_FINDINGS: usize = 20;
/// Characters of a name.
const NAME: usize = 120;
/// Messages within messages that are looked into: each is one more reading of the whole.
const MESSAGES: usize = 8;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub danger: Danger,
    /// The file's name, behind those of the archives it is in; at most 120 characters, whatever the sender wrote.
    pub name: String,
}

/// Gives a message's octets in pieces, as often as it is asked and until no more of them are wanted.
pub type Replay<'a, E> = dyn Fn(&mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), E> + 'a;

/// Parts of a message that are to be looked into.
#[derive(Clone, Default)]
pub struct Wanted {
    /// Each behind those it is in.
    ways: Vec<Vec<Part>>,
    /// There may be more.
    is_cut: bool,
}

impl Wanted {
    fn add(&mut self, other: Wanted) {
        self.ways.extend(other.ways);
        self.is_cut |= other.is_cut;
    }

    /// There are none: it is text and nothing else.
    pub fn is_empty(&self) -> bool {
        self.ways.is_empty() && !self.is_cut
    }
}

/// Whether a message is one text without a name, by its first octets: nothing in it is to be looked into.
/// False also where the end of the header is not among them.
pub fn is_plain_text(front: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(front, b"\r\n\r\n") else { return false };
    let mut fields = head::fields(&front[..end + 2]);
    !fields.any(|field| {
        let name = head::name(field).unwrap_or_default();
        let value = field.get(name.len()..).unwrap_or_default().to_ascii_lowercase();
        let has = |word: &[u8]| memchr::memmem::find(&value, word).is_some();
        name.eq_ignore_ascii_case("content-disposition")
            || name.eq_ignore_ascii_case("content-type")
                && (has(b"multipart") || has(b"name") || !has(b"text/plain") && !has(b"text/html"))
    })
}

impl Wanted {
    /// What is to be looked into of a message that was taken apart.
    pub fn of(structure: &Structure) -> Wanted {
        wanted(structure, &[])
    }
}

/// Finds what is to be looked into.
/// Quick: it only takes the message apart.
///
/// # Errors
/// Those of `replay`.
pub fn survey<E>(replay: &Replay<'_, E>) -> Result<Wanted, E> {
    let mut walker = Walker::of_parts();
    replay(&mut |piece| {
        walker.push(piece);
        ControlFlow::Continue(())
    })?;
    Ok(Wanted::of(&walker.finish()))
}

/// Looks for what does harm.
/// Takes a tenth of a second of a fast core, or what a board needs for that, where much is packed.
///
/// # Errors
/// Those of `replay`.
pub fn inspect<E>(wanted: Wanted, replay: &Replay<'_, E>) -> Result<Vec<Finding>, E> {
    look(wanted, replay, UNPACKED).map(Context::into_findings)
}

/// The same for messages of no more than some ten thousand octets, within a fraction of a millisecond.
/// `None`: there is more in it than can be looked through in that time.
///
/// # Errors
/// Those of `replay`.
pub fn glance<E>(wanted: &Wanted, replay: &Replay<'_, E>) -> Result<Option<Vec<Finding>>, E> {
    let context = look(wanted.clone(), replay, GLANCED)?;
    Ok((!context.is_over()).then(|| context.into_findings()))
}

fn look<E>(wanted: Wanted, replay: &Replay<'_, E>, unpacked: u64) -> Result<Context, E> {
    let (mut context, mut wanted) = (Context::of(unpacked), wanted);
    for _ in 0..MESSAGES {
        if wanted.ways.is_empty() {
            break;
        }
        let mut readings: Vec<Reading> =
            wanted.ways.drain(..).map(|way| Reading::of(way, &mut context)).collect();
        let mut out = Vec::new();
        replay(&mut |piece| {
            for reading in readings.iter_mut().filter(|reading| reading.sink.is_some()) {
                reading.extractor.push(piece, &mut out);
                reading.push(&out, &mut context);
                out.clear();
                if reading.extractor.is_over() || reading.is_plain() {
                    wanted.add(reading.finish(&mut context));
                }
            }
            match readings.iter().any(|reading| reading.sink.is_some()) && !context.is_over() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        for mut reading in readings {
            wanted.add(reading.finish(&mut context));
        }
    }
    // More messages within messages, or more parts, than are looked into.
    if wanted.is_cut || !wanted.ways.is_empty() {
        context.found(Danger::Endless, "");
    }
    Ok(context)
}

/// The parts of a message that are looked into, behind those it is in.
fn wanted(structure: &Structure, outer: &[Part]) -> Wanted {
    let is_wanted = |part: &&Part| {
        let is_body = part.kind == "text/plain" || part.kind == "text/html";
        !is_body || !part.file_name.is_empty() || part.disposition == Disposition::Attachment
    };
    let parts = structure.parts.iter().filter(is_wanted);
    Wanted {
        ways: parts.map(|part| [outer, std::slice::from_ref(part)].concat()).collect(),
        is_cut: structure.parts.len() >= PARTS,
    }
}

/// A part that is being read.
struct Reading {
    way: Vec<Part>,
    extractor: Extractor,
    /// Gone when the part is over.
    sink: Option<Sink>,
}

enum Sink {
    File(Box<File>),
    /// A message in the message: its parts are looked into next.
    Message(Box<Walker>),
    /// What Outlook wraps.
    Winmail(Box<winmail::Walker>),
}

impl Reading {
    fn of(way: Vec<Part>, context: &mut Context) -> Reading {
        let part = way.last().cloned().unwrap_or_default();
        if !part.other_name.is_empty() {
            context.name(&part.other_name);
        }
        // Deeper than multiparts are taken apart.
        if part.kind.starts_with("multipart/") {
            context.found(Danger::Endless, &part.file_name);
        }
        let sink = match &part.kind[..] {
            "message/rfc822" | "message/global" => Sink::Message(Box::new(Walker::of_parts())),
            _ if winmail::is_wrapping(&part) => Sink::Winmail(Box::default()),
            _ => Sink::File(Box::new(File::within(&part.file_name, context))),
        };
        Reading { extractor: Extractor::along(&way), way, sink: Some(sink) }
    }

    /// Whether nothing more of it is of interest.
    fn is_plain(&self) -> bool {
        matches!(&self.sink, Some(Sink::File(file)) if file.is_plain())
    }

    fn push(&mut self, octets: &[u8], context: &mut Context) {
        match &mut self.sink {
            Some(Sink::File(file)) => file.push(octets, context),
            Some(Sink::Message(walker)) => walker.push(octets),
            Some(Sink::Winmail(walker)) => walker.push(octets),
            None => {}
        }
    }

    /// Ends it, once; gives parts to be looked into next.
    fn finish(&mut self, context: &mut Context) -> Wanted {
        if self.sink.is_none() {
            return Wanted::default();
        }
        let mut rest = Vec::new();
        self.extractor.finish(&mut rest);
        self.push(&rest, context);
        match self.sink.take() {
            None => Wanted::default(),
            Some(Sink::File(mut file)) => {
                file.finish(context);
                Wanted::default()
            }
            Some(Sink::Message(walker)) => wanted(&walker.finish(), &self.way),
            Some(Sink::Winmail(walker)) => {
                for file in walker.finish().files {
                    context.name(&file.name);
                }
                Wanted::default()
            }
        }
    }
}
