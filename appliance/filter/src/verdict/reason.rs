//! Reasons: what was found, and how much it counts.

use pillarbox_vocabulary::text::one_line;

use crate::files::Danger;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The author's domain proves the message.
    Proven,
    /// The author's domain did not send it, and wants such messages refused.
    Refused,
    /// The same, and wants them looked at with suspicion.
    Suspected,
    /// The same, and wants nothing done.
    NotProven,
    /// The sender's domain says that the address may not send for it.
    Denied,
    /// The same, but it is not sure.
    Doubted,
    /// There is no author.
    NoAuthor,
    /// Where people look for the author's name stands an address of another domain.
    Posing,
    /// The header is longer than honest ones are, so that its end was not judged.
    LongHeader,
    /// The address has no name that leads back to it.
    NoName,
    /// The address is on a list of those that send spam.
    Listed,
    /// The address is on a list of households' connections.
    DialUp,
    /// It came through a mailing list, which proved itself.
    List,
    /// It came through a forwarder that the owner trusts.
    Forwarder,
    /// The owner wants mail of this address or domain, and it is proven to be from there.
    Allowed,
    /// The owner wants no mail of this address or domain.
    Banned,
    /// It is as messages are that were wanted.
    LikeWanted,
    /// It is more like unwanted ones than the wanted ones are, but not by far.
    LikeDoubtful,
    /// It is as messages are that were unwanted.
    LikeUnwanted,
    /// A file that does harm when it is opened.
    File(Danger),
}

/// Every kind: how it is written, and its weight; what speaks for a message weighs less than nothing.
/// Those of files are set by what the owner wants done with them.
const KINDS: [(Kind, &str, i32); 31] = [
    (Kind::Proven, "author-proven", -30),
    (Kind::Refused, "author-refused", 150),
    (Kind::Suspected, "author-suspected", 100),
    (Kind::NotProven, "author-not-proven", 20),
    (Kind::Denied, "sender-denied", 60),
    (Kind::Doubted, "sender-doubted", 20),
    (Kind::NoAuthor, "no-author", 60),
    (Kind::Posing, "posing", 70),
    (Kind::LongHeader, "long-header", 100),
    (Kind::NoName, "no-name", 40),
    (Kind::Listed, "listed", 80),
    (Kind::DialUp, "listed-dial-up", 60),
    (Kind::List, "mailing-list", 0),
    (Kind::Forwarder, "forwarder", 0),
    (Kind::Allowed, "allowed", 0),
    (Kind::Banned, "banned", 150),
    (Kind::LikeWanted, "like-wanted", -20),
    (Kind::LikeDoubtful, "like-doubtful", 60),
    (Kind::LikeUnwanted, "like-unwanted", 100),
    (Kind::File(Danger::TestVirus), "file-test-virus", 0),
    (Kind::File(Danger::Program), "file-program", 0),
    (Kind::File(Danger::Script), "file-script", 0),
    (Kind::File(Danger::Shortcut), "file-shortcut", 0),
    (Kind::File(Danger::DiskImage), "file-disk-image", 0),
    (Kind::File(Danger::Installer), "file-installer", 0),
    (Kind::File(Danger::Notebook), "file-notebook", 0),
    (Kind::File(Danger::Macros), "file-macros", 0),
    (Kind::File(Danger::ActivePage), "file-active-page", 0),
    (Kind::File(Danger::Locked), "file-locked", 0),
    (Kind::File(Danger::Closed), "file-closed", 0),
    (Kind::File(Danger::Endless), "file-endless", 0),
];

impl Kind {
    pub fn all() -> impl Iterator<Item = Kind> {
        KINDS.into_iter().map(|(kind, ..)| kind)
    }

    /// In header fields, and as the end of the keys of texts.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (Kind, &'static str, i32) {
        // Every kind is there: a test looks.
        KINDS.into_iter().find(|(kind, ..)| *kind == self).unwrap_or((self, "", 0))
    }

    /// Whether it is a doubt that goes when the owner knows better: nothing that is forged or dangerous.
    pub fn is_soft(self) -> bool {
        matches!(
            self,
            Kind::Doubted
                | Kind::Posing
                | Kind::NoName
                | Kind::Listed
                | Kind::DialUp
                | Kind::LongHeader
                | Kind::LikeDoubtful
                | Kind::LikeUnwanted
        )
    }

    /// Whether it is about the way: proofs that get lost on one over others, and the last server of it.
    pub fn is_of_way(self) -> bool {
        matches!(
            self,
            Kind::Refused
                | Kind::Suspected
                | Kind::NotProven
                | Kind::Denied
                | Kind::Doubted
                | Kind::Listed
                | Kind::DialUp
        )
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub kind: Kind,
    /// How much it counts, against [`super::JUNK`] and [`super::REFUSE`].
    pub weight: i32,
    /// The domain or file that it is about, on one line; empty where it is about none.
    pub about: String,
}

impl Reason {
    /// With its usual weight.
    pub fn of(kind: Kind, about: &str) -> Reason {
        Reason { kind, weight: kind.entry().2, about: one_line(about) }
    }

    /// In plain words, for the ledger and for whoever runs the other server.
    pub fn words(&self) -> String {
        let about = &self.about;
        match self.kind {
            Kind::Proven => format!("{about} proves that it sent it"),
            Kind::Refused => format!(
                "it says to be from {about}, neither SPF nor DKIM proves it, and {about} asks to refuse such mail (DMARC)"
            ),
            Kind::Suspected => format!(
                "it says to be from {about}, neither SPF nor DKIM proves it, and {about} asks to suspect such mail (DMARC)"
            ),
            Kind::NotProven => {
                format!("it says to be from {about}, and neither SPF nor DKIM proves it")
            }
            Kind::Denied => format!("{about} says that this server must not send for it (SPF)"),
            Kind::Doubted => format!("{about} does not count this server among its own (SPF)"),
            Kind::NoAuthor => "it has no author".into(),
            Kind::Posing => format!("the name of its author is {about}, which is not the address"),
            Kind::LongHeader => "its header is longer than honest ones are".into(),
            Kind::NoName => "the server's address has no name that leads back to it".into(),
            Kind::Listed => {
                format!("the server's address is on {about}, a list of those that send spam")
            }
            Kind::DialUp => {
                format!("the server's address is on {about}, a list of households' lines")
            }
            Kind::List => format!("it came through a mailing list of {about}"),
            Kind::Forwarder => format!("it came through {about}, which is trusted"),
            Kind::Allowed => format!("mail from {about} is always wanted here"),
            Kind::Banned => format!("mail from {about} is not wanted here"),
            Kind::LikeWanted => "it is like messages that were wanted here".into(),
            Kind::LikeDoubtful => {
                format!("it is somewhat like messages that were called unwanted here ({about})")
            }
            Kind::LikeUnwanted => {
                format!("it is like messages that were called unwanted here ({about})")
            }
            Kind::File(danger) if about.is_empty() => format!("the message {}", danger.words()),
            Kind::File(danger) => format!("the attachment \"{about}\" {}", danger.words()),
        }
    }

    /// As it is written: name, weight and what it is about, with spaces.
    pub fn text(&self) -> String {
        format!("{} {:+} {}", self.kind.name(), self.weight, written(&self.about)).trim_end().into()
    }

    /// Reads that.
    pub fn parse(text: &str) -> Option<Reason> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next()?;
        let kind = Kind::all().find(|kind| kind.name() == name)?;
        let weight = words.next()?.parse().ok()?;
        let about = read(words.next().unwrap_or_default())?;
        words.next().is_none().then_some(Reason { kind, weight, about })
    }
}

/// Octets of a name as it is written.
const MOST: usize = 200;

/// A name that others chose, where it can do no harm: everything but the letters of host names as in URLs
/// (RFC 3986 §2.1).
fn written(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let is_plain = c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '@' | ':');
        let mut octets = [0; 4];
        let one = match is_plain {
            true => c.to_string(),
            false => c.encode_utf8(&mut octets).bytes().map(|b| format!("%{b:02X}")).collect(),
        };
        if out.len() + one.len() > MOST {
            break;
        }
        out.push_str(&one);
    }
    out
}

fn read(text: &str) -> Option<String> {
    let (mut octets, mut rest) = (Vec::new(), text.bytes());
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            octet => octet,
        });
    }
    String::from_utf8(octets).ok().map(|name| one_line(&name))
}
