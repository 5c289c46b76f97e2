//! One file, looked into as it comes in, and what was found so far.

use super::danger::{
    ACTIVE, BEGINNING, Danger, Form, Search, by_beginning, by_name, compound_marks, has,
};
use super::gzip::Gzip;
use super::tar::Tar;
use super::zip::Zip;
use super::{Finding, MOST_FINDINGS, NAME};

/// Archives within archives that are looked into.
const DEPTH: u8 = 4;
/// Files and names of files for one message.
const FILES: u32 = 20_000;

/// What was found in a message so far, and what may still be spent on it.
pub struct Context {
    findings: Vec<Finding>,
    unpacked_left: u64,
    files_left: u32,
    /// The archive that is being read.
    place: Place,
}

/// An archive, by the names on the way to it, and how deep it is.
#[derive(Clone, Default)]
struct Place {
    path: String,
    depth: u8,
}

impl Context {
    /// For a message of which so many octets may be unpacked.
    pub fn of(unpacked: u64) -> Context {
        Context {
            findings: Vec::new(),
            unpacked_left: unpacked,
            files_left: FILES,
            place: Place::default(),
        }
    }

    /// Whether no more is looked at: too much was in it.
    pub fn is_over(&self) -> bool {
        self.unpacked_left == 0 || self.files_left == 0
    }

    /// Counts what was unpacked; false: no more may be.
    pub fn unpack(&mut self, octets: usize) -> bool {
        self.unpacked_left = self.unpacked_left.saturating_sub(octets as u64);
        if self.unpacked_left == 0 {
            self.found_here(Danger::Endless);
        }
        self.unpacked_left > 0
    }

    /// Takes note of a name in the archive that is being read.
    pub fn name(&mut self, name: &str) {
        self.count();
        let path = self.path_of(name);
        if let Some(danger) = by_name(name) {
            self.found(danger, &path);
        }
        // The program within a document of the newer kind.
        if name.rsplit('/').next() == Some("vbaProject.bin") {
            self.found_here(Danger::Macros);
        }
    }

    /// A file of the archive that is being read opens with a password only.
    pub fn locked(&mut self) {
        self.found_here(Danger::Locked);
    }

    /// A file can't be unpacked.
    pub fn broken(&mut self, path: &str) {
        self.found(Danger::Endless, path);
    }

    /// Takes note of something in the archive that is being read, as a whole.
    fn found_here(&mut self, danger: Danger) {
        let path = self.place.path.clone();
        self.found(danger, &path);
    }

    /// Takes note of something.
    /// However much there is, each danger is told of: many small ones hide no large one.
    pub fn found(&mut self, danger: Danger, path: &str) {
        let name: String = path.chars().take(NAME).collect();
        let finding = Finding { danger, name };
        let is_known = self.findings.contains(&finding);
        let is_new = || !self.findings.iter().any(|known| known.danger == danger);
        if !is_known && self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else if !is_known && is_new() {
            // There are fewer dangers than findings, so one is there twice.
            let danger_at = |at: usize| self.findings.get(at).map(|known| known.danger);
            let twice = (0..self.findings.len())
                .rev()
                .find(|&at| (0..at).any(|other| danger_at(other) == danger_at(at)));
            if let Some(at) = twice {
                self.findings[at] = finding;
            }
        }
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn count(&mut self) {
        self.files_left = self.files_left.saturating_sub(1);
        if self.files_left == 0 {
            self.found_here(Danger::Endless);
        }
    }

    fn path_of(&self, name: &str) -> String {
        match self.place.path.is_empty() {
            true => name.to_string(),
            false => format!("{} / {name}", self.place.path),
        }
    }

    fn within(&mut self, place: Place, read: impl FnOnce(&mut Context)) {
        let outer = std::mem::replace(&mut self.place, place);
        read(self);
        self.place = outer;
    }
}

/// A file on its way in.
pub struct File {
    /// Its name, behind those of the archives it is in.
    pub path: String,
    depth: u8,
    beginning: Vec<u8>,
    way: Way,
}

/// How a file is looked into.
enum Way {
    /// Its beginning is not there yet.
    Unknown,
    Plain,
    Zip(Box<Zip>),
    Gzip(Box<Gzip>),
    Tar(Box<Tar>),
    /// Words are searched for.
    Words(Search, Vec<(Danger, Vec<u8>)>),
}

impl File {
    /// A file of the archive that is being read, or of the message itself.
    pub fn within(name: &str, context: &mut Context) -> File {
        context.name(name);
        File {
            path: context.path_of(name),
            depth: context.place.depth,
            beginning: Vec::new(),
            way: Way::Unknown,
        }
    }

    /// Whether nothing more of it is of interest.
    pub fn is_plain(&self) -> bool {
        matches!(self.way, Way::Plain)
    }

    /// The next piece of it, of any size.
    pub fn push(&mut self, piece: &[u8], context: &mut Context) {
        if !matches!(self.way, Way::Unknown) {
            return self.read(piece, context);
        }
        let taken = piece.len().min(BEGINNING - self.beginning.len());
        self.beginning.extend_from_slice(&piece[..taken]);
        if self.beginning.len() == BEGINNING {
            self.decide(context);
            self.read(&piece[taken..], context);
        }
    }

    /// All of it was there.
    pub fn finish(&mut self, context: &mut Context) {
        if matches!(self.way, Way::Unknown) {
            self.decide(context);
        }
        let place = self.place();
        match &mut self.way {
            Way::Zip(zip) => context.within(place, |context| zip.finish(context)),
            Way::Gzip(gzip) => context.within(place, |context| gzip.finish(context)),
            Way::Tar(tar) => context.within(place, |context| tar.finish(context)),
            Way::Unknown | Way::Plain | Way::Words(..) => {}
        }
        self.way = Way::Plain;
    }

    fn place(&self) -> Place {
        Place { path: self.path.clone(), depth: self.depth + 1 }
    }

    /// By its beginning.
    fn decide(&mut self, context: &mut Context) {
        let beginning = std::mem::take(&mut self.beginning);
        let (danger, form) = by_beginning(&beginning);
        if let Some(danger) = danger {
            context.found(danger, &self.path);
        }
        let is_archive = matches!(form, Form::Zip | Form::Gzip | Form::Tar);
        self.way = match form {
            _ if is_archive && self.depth >= DEPTH => {
                context.found(Danger::Endless, &self.path);
                Way::Plain
            }
            Form::Zip => Way::Zip(Box::new(Zip::new())),
            Form::Gzip => Way::Gzip(Box::new(Gzip::new(&self.path))),
            Form::Tar => Way::Tar(Box::default()),
            Form::Compound => words(compound_marks().to_vec(), false),
            Form::Markup if self.is_page(&beginning) => {
                words(ACTIVE.map(|word| (Danger::ActivePage, word.to_vec())).to_vec(), true)
            }
            Form::Markup | Form::Plain => Way::Plain,
        };
        self.read(&beginning, context);
    }

    /// Whether a browser would open it: by its name, or by what it says of itself.
    fn is_page(&self, beginning: &[u8]) -> bool {
        let beginning = beginning.to_ascii_lowercase();
        let ends = [".html", ".htm", ".xhtml", ".shtml", ".svg", ".mht", ".mhtml"];
        let path = self.path.trim_end_matches(['.', ' ']).to_lowercase();
        let says = [&b"<!doctype html"[..], b"<html", b"<svg", b"<script", b"<head", b"<body"];
        ends.iter().any(|end| path.ends_with(end)) || says.iter().any(|word| has(&beginning, word))
    }

    fn read(&mut self, piece: &[u8], context: &mut Context) {
        if piece.is_empty() || context.is_over() {
            return;
        }
        let place = self.place();
        match &mut self.way {
            Way::Unknown | Way::Plain => {}
            Way::Zip(zip) => context.within(place, |context| zip.push(piece, context)),
            Way::Gzip(gzip) => context.within(place, |context| gzip.push(piece, context)),
            Way::Tar(tar) => context.within(place, |context| tar.push(piece, context)),
            Way::Words(search, words) => {
                let window = search.window(piece);
                let found = words.iter().find(|(_, word)| has(window, word));
                if let Some((danger, _)) = found {
                    context.found(*danger, &self.path);
                    self.way = Way::Plain;
                }
            }
        }
    }
}

fn words(words: Vec<(Danger, Vec<u8>)>, is_folded: bool) -> Way {
    let longest = words.iter().map(|(_, word)| word.len()).max().unwrap_or_default();
    Way::Words(Search::new(longest, is_folded), words)
}
