//! From what is known of a message to what is done with it: one pure decision, with its reasons.

mod handling;
mod reason;

pub use handling::{Group, Handling};
pub use reason::{Kind, Reason};

use std::collections::BTreeMap;

use pillarbox_message::head;
use pillarbox_message::own_fields::VERDICT;

use crate::authentication::Authentication;
use crate::content::{Opinion, Thought};
use crate::dmarc::{self, Policy as Asked};
use crate::files::Finding;
use crate::listing::Listing;
use crate::{dkim, iprev, spf};

/// From this weight on, of one reason or of all together, a message belongs into Junk.
pub const JUNK: i32 = 100;
/// Reasons that are written down, the weightiest.
const TOLD: usize = 10;
/// A reason of this weight has it refused.
pub const REFUSE: i32 = 150;

/// What is known of a message when all of it is there and nothing is stored yet.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The message's first octets as they were sent: most often the whole header.
    pub front: &'a [u8],
    /// What is proven of who sent it; `None`: it is from within, or of an address of which nothing can be asked.
    pub authentication: Option<&'a Authentication>,
    /// What it carries that does harm when it is opened.
    pub files: &'a [Finding],
    /// What was learned says of it; `None`: too little was learned.
    pub content: Option<&'a Thought>,
}

/// What the owner wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Domains that forward mail of others to the box, as they are registered.
    pub forwarders: Vec<String>,
    /// Addresses and domains whose mail is wanted, as far as it proves that it is theirs;
    /// domains as they are registered, all in small letters.
    pub allowed: Vec<String>,
    /// Addresses and domains whose mail is not taken.
    pub banned: Vec<String>,
    /// What is done with files, where it is not the usual.
    pub files: BTreeMap<Group, Handling>,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Into its recipients' inboxes.
    #[default]
    Inbox,
    /// Into the folders of theirs with the special use `\\Junk` (RFC 6154 §2).
    Junk,
    /// It is refused in the conversation.
    Refuse,
}

/// What is done with a message, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub action: Action,
    /// The weightiest first.
    pub reasons: Vec<Reason>,
}

/// A decision on messages.
/// It looks at nothing but what is given.
pub type Decide = fn(&Evidence<'_>, &Policy) -> Verdict;

/// Decides.
pub fn decide(evidence: &Evidence<'_>, policy: &Policy) -> Verdict {
    let found = evidence.authentication;
    let mut reasons = found.map_or_else(Vec::new, |found| senders(evidence.front, found, policy));
    reasons.extend(evidence.files.iter().map(|finding| {
        let weight = policy.handling(Group::of(finding.danger)).weight();
        Reason { weight, ..Reason::of(Kind::File(finding.danger), &finding.name) }
    }));
    reasons.extend(evidence.content.and_then(content));
    if let Some(found) = found {
        listed(&mut reasons, found, policy);
    }
    let is_refused = reasons.iter().any(|reason| reason.weight >= REFUSE);
    // What speaks for the author takes nothing of that back.
    let is_doubted = reasons.iter().any(|reason| reason.weight >= JUNK);
    let weight: i32 = reasons.iter().map(|reason| reason.weight).sum();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.weight.abs()));
    let action = match () {
        () if is_refused => Action::Refuse,
        () if is_doubted || weight >= JUNK => Action::Junk,
        () => Action::Inbox,
    };
    Verdict { action, reasons }
}

/// What it says, compared with other messages.
fn content(thought: &Thought) -> Option<Reason> {
    let kind = match thought.opinion {
        Opinion::Wanted => Kind::LikeWanted,
        Opinion::Doubtful => Kind::LikeDoubtful,
        Opinion::Unwanted => Kind::LikeUnwanted,
        Opinion::Unsure => return None,
    };
    Some(Reason::of(kind, &thought.words.join(", ")))
}

/// What is known of those who sent it.
fn senders(front: &[u8], found: &Authentication, policy: &Policy) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let forwarder = forwarder(found, policy);
    let list = list(front, found);
    reasons.extend(found.authors.iter().filter_map(author));
    reasons.extend(found.sender.as_ref().and_then(denied));
    reasons.extend(found.posing.first().map(|address| Reason::of(Kind::Posing, address)));
    if !found.is_whole {
        reasons.push(Reason::of(Kind::LongHeader, ""));
    } else if found.authors.is_empty() {
        reasons.push(Reason::of(Kind::NoAuthor, ""));
    }
    if found.name == iprev::Outcome::Fail {
        reasons.push(Reason::of(Kind::NoName, ""));
    }
    reasons.extend(found.listed.iter().map(|(list, listing)| {
        let kind = if *listing == Listing::DialUp { Kind::DialUp } else { Kind::Listed };
        Reason::of(kind, list)
    }));
    // On its way over others a message loses its proofs through no fault of its author's.
    if let Some(domain) = forwarder {
        reasons.retain(|reason| !reason.kind.is_of_way());
        reasons.push(Reason::of(Kind::Forwarder, &domain));
    } else if let Some(domain) = list.filter(|_| reasons.iter().any(|r| r.kind == Kind::Refused)) {
        reasons.iter_mut().filter(|reason| reason.kind == Kind::Refused).for_each(|reason| {
            *reason = Reason::of(Kind::Suspected, &reason.about);
        });
        reasons.push(Reason::of(Kind::List, &domain));
    }
    reasons
}

impl Policy {
    /// What is done with files of a group.
    pub fn handling(&self, group: Group) -> Handling {
        self.files.get(&group).copied().unwrap_or(group.usual())
    }
}

impl Verdict {
    /// The field that tells programs and the webmail, with its line end; `None`: there is nothing to tell.
    pub fn field(&self) -> Option<String> {
        let word = match self.action {
            Action::Inbox => "inbox",
            Action::Junk => "junk",
            Action::Refuse => "refuse",
        };
        let reasons = self.reasons.iter().take(TOLD);
        let reasons: String = reasons.map(|reason| format!(";\r\n\t{}", reason.text())).collect();
        (!self.reasons.is_empty()).then(|| format!("{VERDICT}: {word}{reasons}\r\n"))
    }

    /// For the ledger, in one line; empty where there is nothing to tell.
    pub fn summary(&self) -> String {
        let reasons = self.reasons.iter().take(TOLD).filter(|reason| reason.weight > 0);
        let words: Vec<String> = reasons.map(Reason::words).collect();
        match self.action == Action::Junk && !words.is_empty() {
            true => format!("into Junk: {}", words.join("; ")),
            false => String::new(),
        }
    }

    /// Whether those who have written to its author before get it all the same: it is doubted for nothing but soft
    /// reasons, and its author is proven.
    pub fn spares_known(&self) -> bool {
        let has = |kind| self.reasons.iter().any(|reason| reason.kind == kind);
        let mut against = self.reasons.iter().filter(|reason| reason.weight > 0);
        self.action == Action::Junk && has(Kind::Proven) && against.all(|one| one.kind.is_soft())
    }

    /// Reads what [`Verdict::field`] wrote, of the field's value; `None`: it is another text.
    pub fn parse(value: &str) -> Option<Verdict> {
        let mut parts = value.split(';').map(str::trim);
        let action = match parts.next()? {
            "inbox" => Action::Inbox,
            "junk" => Action::Junk,
            "refuse" => Action::Refuse,
            _ => return None,
        };
        let reasons = parts.map(Reason::parse).collect::<Option<Vec<_>>>()?;
        Some(Verdict { action, reasons })
    }
}

/// What an author's domain says of the message.
fn author(judged: &dmarc::Judged) -> Option<Reason> {
    let kind = match (judged.outcome, judged.policy) {
        (dmarc::Outcome::Pass, _) => Kind::Proven,
        (dmarc::Outcome::Fail, Some(Asked::Reject)) => Kind::Refused,
        (dmarc::Outcome::Fail, Some(Asked::Quarantine)) => Kind::Suspected,
        (dmarc::Outcome::Fail, _) => Kind::NotProven,
        (dmarc::Outcome::None | dmarc::Outcome::Temporary, _) => return None,
    };
    Some(Reason::of(kind, &judged.domain))
}

/// What the sender's domain says of the address that the message came from.
fn denied(sender: &crate::authentication::Spf) -> Option<Reason> {
    let kind = match sender.outcome {
        Ok(spf::Verdict::Fail) => Kind::Denied,
        Ok(spf::Verdict::SoftFail) => Kind::Doubted,
        _ => return None,
    };
    Some(Reason::of(kind, &sender.domain))
}

/// Domains that had to do with the message, as far as that is proven: by its way, or by a signature.
fn proven(found: &Authentication) -> impl Iterator<Item = &str> {
    let spf = found.sender.iter().chain(&found.hello);
    let way = spf.filter(|spf| spf.outcome == Ok(spf::Verdict::Pass)).map(|spf| &spf.domain[..]);
    let signed = found.signatures.iter().filter(|one| one.outcome == dkim::Outcome::Pass);
    let name = match &found.name {
        iprev::Outcome::Pass(name) => Some(name.trim_end_matches('.')),
        _ => None,
    };
    way.chain(signed.map(|one| &one.domain[..])).chain(name)
}

/// What the owner's lists say of those who sent it.
fn listed(reasons: &mut Vec<Reason>, found: &Authentication, policy: &Policy) {
    let entry = |list: &[String], (local, domain): &(&str, String)| {
        let address = format!("{local}@{domain}");
        list.iter().find(|entry| **entry == address || is_of(domain, entry)).cloned()
    };
    let addresses = found.addresses.iter().chain([&found.reverse_path]);
    let addresses = addresses.filter_map(|address| address.rsplit_once('@'));
    let addresses: Vec<(&str, String)> =
        addresses.map(|(local, domain)| (local, dkim::registered(domain.trim()))).collect();
    let refused = addresses.iter().find_map(|address| entry(&policy.banned, address));
    let is_proven = |(_, domain): &&(&str, String)| {
        proven(found).any(|name| is_of(domain, name) || is_of(name, domain))
    };
    let allowed = addresses.iter().filter(is_proven).find_map(|one| entry(&policy.allowed, one));
    if let Some(entry) = refused {
        reasons.push(Reason::of(Kind::Banned, &entry));
    } else if let Some(entry) = allowed {
        // Neither a forged author nor a dangerous file becomes harmless by it.
        reasons.retain(|reason| !reason.kind.is_soft());
        reasons.push(Reason::of(Kind::Allowed, &entry));
    }
}

/// Whether a name is a domain's, or that of a host in it.
fn is_of(name: &str, domain: &str) -> bool {
    let front = name.strip_suffix(domain);
    !domain.is_empty() && front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// The owner's forwarder that the message came through.
fn forwarder(found: &Authentication, policy: &Policy) -> Option<String> {
    let trusted = policy.forwarders.iter();
    let mut trusted = trusted.filter(|domain| proven(found).any(|name| is_of(name, domain)));
    trusted.next().cloned()
}

/// The domain of the mailing list that the message came through; `None`: it says of none, or the list proves nothing.
fn list(front: &[u8], found: &Authentication) -> Option<String> {
    let mut fields = head::fields(head::section(front));
    let is_list = fields.any(|field| {
        head::name(field).is_some_and(|name| {
            name.eq_ignore_ascii_case("List-Id") || name.eq_ignore_ascii_case("List-Post")
        })
    });
    let is_author = |domain: &str| found.authors.iter().any(|author| author.domain == domain);
    let domain = proven(found).find(|domain| !is_author(domain));
    domain.filter(|_| is_list).map(str::to_string)
}

#[cfg(test)]
mod tests;
